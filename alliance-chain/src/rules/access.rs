//! Rules of `Access` (DESIGN 6.2).

use super::{Failure, credits, ensure, refuse};
use crate::state::{self, AccessRecord, GrantStatus};
use crate::tx::SignedAccess;
use caduceus_crypto::Hash;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};

/// Why an access ticket is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// No such grant.
    #[error("no grant {grant}")]
    GrantUnknown {
        /// The grant.
        grant: Hash,
    },
    /// The patient revoked the grant.
    #[error("the grant was revoked at {at}")]
    Revoked {
        /// Block time of the revocation.
        at: TimeMillis,
    },
    /// The grant has ended.
    #[error("the grant ended at {expires}, block time is {now}")]
    Expired {
        /// The end.
        expires: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// Not signed by the grant's data user.
    #[error("the access is not signed by the data user of the grant")]
    NotSigned,
}

impl AccessError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            AccessError::GrantUnknown { .. } => "access_grant_unknown",
            AccessError::Revoked { .. } => "access_revoked",
            AccessError::Expired { .. } => "access_expired",
            AccessError::NotSigned => "access_not_signed",
        }
    }
}

/// Records a ticket under the transaction's identifier. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    id: Hash,
    tx: &SignedAccess,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let grant = tx.body.grant;
    let Some(record) = state::grant(&grant).get(state)? else {
        return refuse(AccessError::GrantUnknown { grant });
    };
    if let GrantStatus::Revoked { at } = record.status {
        return refuse(AccessError::Revoked { at });
    }
    let expires = record.grant.expires;
    ensure(ctx.time < expires, || AccessError::Expired {
        expires,
        now: ctx.time,
    })?;
    let data_user = record.grant.data_user;
    ensure(tx.is_signed_by(&ctx.chain, &data_user), || {
        AccessError::NotSigned
    })?;
    let index = state::accesses_of(&grant).push(state, &id)?;
    state::access(&id).put(
        state,
        &AccessRecord {
            grant,
            data_user,
            index,
            height: ctx.height,
            time: ctx.time,
        },
    );
    credits::deposit(&id, &data_user, record.grant.threshold, state)?;
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, DAY, NOW, later};
    use crate::tx::{Access, Tx};
    use caduceus_crypto::keys::SecretKey;

    fn by(data_user: &SecretKey, grant: Hash, nonce: u8) -> Tx {
        Tx::Access(
            Access {
                grant,
                nonce: [nonce; 32],
            }
            .sign(&testing::chain(), data_user),
        )
    }

    fn granted() -> (Chain, Hash) {
        let mut chain = Chain::new();
        let grant = chain.add_grant();
        (chain, grant)
    }

    #[test]
    fn the_data_user_gets_tickets() {
        let (mut chain, grant) = granted();
        let (first, second) = (
            by(&testing::data_user(), grant, 1),
            by(&testing::data_user(), grant, 2),
        );
        assert!(chain.accept(&first).is_empty());
        chain.accept(&second);
        assert_eq!(
            state::accesses_of(&grant).page(&chain, 0, 10).unwrap(),
            [first.id(), second.id()]
        );
        let record = state::access(&second.id()).get(&chain).unwrap().unwrap();
        let data_user = testing::data_user().public();
        assert_eq!(
            record,
            AccessRecord {
                grant,
                data_user,
                index: 1,
                height: chain.height,
                time: NOW
            }
        );
    }

    #[test]
    fn a_grant_is_needed() {
        let tx = by(&testing::data_user(), Hash([1; 32]), 1);
        Chain::new().refuse(&tx, "access_grant_unknown");
    }

    #[test]
    fn a_revoked_grant_gives_no_ticket() {
        let (mut chain, grant) = granted();
        chain.revoke(grant);
        chain.refuse(&by(&testing::data_user(), grant, 1), "access_revoked");
    }

    #[test]
    fn an_expired_grant_gives_no_ticket() {
        let (mut chain, grant) = granted();
        chain.time = later(30 * DAY);
        chain.refuse(&by(&testing::data_user(), grant, 1), "access_expired");
    }

    #[test]
    fn only_the_data_user_signs_and_only_for_this_chain() {
        let (mut chain, grant) = granted();
        chain.refuse(&by(&testing::secret(77), grant, 1), "access_not_signed");
        let access = Access {
            grant,
            nonce: [1; 32],
        };
        let elsewhere = Tx::Access(access.sign(&testing::other_chain(), &testing::data_user()));
        chain.refuse(&elsewhere, "access_not_signed");
    }
}
