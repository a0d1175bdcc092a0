//! Rules of `Revoke` (DESIGN 6.2). An expired grant may still be revoked: it changes nothing and says so.

use super::{Failure, ensure, refuse};
use crate::state::{self, GrantStatus};
use crate::tx::SignedRevoke;
use caduceus_crypto::Hash;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};

/// Why a revocation is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// No such grant.
    #[error("no grant {grant}")]
    GrantUnknown {
        /// The grant.
        grant: Hash,
    },
    /// The grant is revoked already.
    #[error("the grant was revoked at {at} already")]
    Already {
        /// Block time of the revocation.
        at: TimeMillis,
    },
    /// Not signed under the grant's pseudonym.
    #[error("the revocation is not signed under the grant's pseudonym")]
    NotSigned,
}

impl RevokeError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            RevokeError::GrantUnknown { .. } => "revoke_grant_unknown",
            RevokeError::Already { .. } => "revoke_already",
            RevokeError::NotSigned => "revoke_not_signed",
        }
    }
}

/// Ends a grant. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedRevoke,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let grant = tx.body.grant;
    let key = state::grant(&grant);
    let Some(mut record) = key.get(state)? else {
        return refuse(RevokeError::GrantUnknown { grant });
    };
    if let GrantStatus::Revoked { at } = record.status {
        return refuse(RevokeError::Already { at });
    }
    ensure(tx.is_signed_by(&ctx.chain, &record.grant.pseudonym), || {
        RevokeError::NotSigned
    })?;
    record.status = GrantStatus::Revoked { at: ctx.time };
    key.put(state, &record);
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, NOW};
    use crate::tx::{Revoke, Tx};
    use caduceus_crypto::keys::SecretKey;

    fn by(one_time: &SecretKey, grant: Hash) -> Tx {
        Tx::Revoke(Revoke { grant }.sign(&testing::chain(), one_time))
    }

    fn granted() -> (Chain, Hash) {
        let mut chain = Chain::new();
        let grant = chain.add_grant();
        (chain, grant)
    }

    #[test]
    fn the_owner_revokes() {
        let (mut chain, grant) = granted();
        assert!(chain.accept(&by(&testing::one_time(0), grant)).is_empty());
        let record = state::grant(&grant).get(&chain).unwrap().unwrap();
        assert_eq!(record.status, GrantStatus::Revoked { at: NOW });
        assert!(!record.is_active(NOW));
    }

    #[test]
    fn a_grant_is_needed() {
        Chain::new().refuse(
            &by(&testing::one_time(0), Hash([1; 32])),
            "revoke_grant_unknown",
        );
    }

    #[test]
    fn a_grant_ends_once() {
        let (mut chain, grant) = granted();
        chain.accept(&by(&testing::one_time(0), grant));
        chain.refuse(&by(&testing::one_time(0), grant), "revoke_already");
    }

    #[test]
    fn only_the_owner_signs_and_only_for_this_chain() {
        let (mut chain, grant) = granted();
        chain.refuse(&by(&testing::one_time(1), grant), "revoke_not_signed");
        chain.refuse(&by(&testing::data_user(), grant), "revoke_not_signed");
        let elsewhere =
            Tx::Revoke(Revoke { grant }.sign(&testing::other_chain(), &testing::one_time(0)));
        chain.refuse(&elsewhere, "revoke_not_signed");
    }
}
