//! Rules of `Issuer`.

use super::{Failure, active_member, ensure, refuse};
use crate::state::{self, IssuerRecord, MAX_ISSUER_KEYS};
use crate::tx::SignedIssuer;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{BlockContext, Overlay};

/// Why a token key is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The issuer is no member.
    #[error("{member} is no member")]
    NotAMember {
        /// The claimed member.
        member: HospitalId,
    },
    /// The key is the newest or the one before it already.
    #[error("this token key of {member} is known already")]
    KeyKnown {
        /// The member.
        member: HospitalId,
    },
    /// Not signed by the member's identity key.
    #[error("the token key is not signed with the identity key of {member}")]
    NotSigned {
        /// The member.
        member: HospitalId,
    },
}

impl IssuerError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            IssuerError::NotAMember { .. } => "issuer_not_a_member",
            IssuerError::KeyKnown { .. } => "issuer_key_known",
            IssuerError::NotSigned { .. } => "issuer_not_signed",
        }
    }
}

/// Makes a key the member's newest token key. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: SignedIssuer,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let member = tx.body.member;
    let Some(record) = active_member(state, &member)? else {
        return refuse(IssuerError::NotAMember { member });
    };
    let key = state::issuer(&member);
    let mut keys = match key.get(state)? {
        Some(known) => known.keys,
        None => Vec::new(),
    };
    ensure(!keys.contains(&tx.body.key), || IssuerError::KeyKnown {
        member,
    })?;
    ensure(tx.is_signed_by(&ctx.chain, &record.member.identity), || {
        IssuerError::NotSigned { member }
    })?;
    keys.insert(0, tx.body.key);
    keys.truncate(MAX_ISSUER_KEYS);
    key.put(state, &IssuerRecord { keys });
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain};
    use crate::tx::{Issuer, Tx};

    fn signed(body: Issuer) -> Tx {
        Tx::Issuer(body.sign(&testing::chain(), &testing::identity(0)))
    }

    fn body(key: u8) -> Issuer {
        Issuer {
            member: testing::hospital(0),
            key: testing::issuer_key(key),
        }
    }

    #[test]
    fn the_newest_two_keys_count() {
        let mut chain = Chain::new();
        for key in 0..3 {
            assert!(chain.accept(&signed(body(key))).is_empty());
        }
        let record = state::issuer(&testing::hospital(0))
            .get(&chain)
            .unwrap()
            .unwrap();
        assert_eq!(
            record.keys,
            [testing::issuer_key(2), testing::issuer_key(1)]
        );
    }

    #[test]
    fn only_members_issue() {
        let stranger = Issuer {
            member: testing::hospital(9),
            ..body(0)
        };
        Chain::new().refuse(&signed(stranger), "issuer_not_a_member");
    }

    #[test]
    fn a_known_key_is_refused() {
        let mut chain = Chain::new();
        chain.accept(&signed(body(0)));
        chain.accept(&signed(body(1)));
        chain.refuse(&signed(body(0)), "issuer_key_known");
    }

    #[test]
    fn only_the_identity_key_signs_and_only_for_this_chain() {
        let by_server = Tx::Issuer(body(0).sign(&testing::chain(), &testing::server(0)));
        Chain::new().refuse(&by_server, "issuer_not_signed");
        let elsewhere = Tx::Issuer(body(0).sign(&testing::other_chain(), &testing::identity(0)));
        Chain::new().refuse(&elsewhere, "issuer_not_signed");
    }
}
