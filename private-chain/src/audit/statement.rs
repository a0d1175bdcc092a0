//! What a person says of an action of hers: signed on her workstation, kept inside the sealed entry.
//!
//! The signature covers (chain, salt, statement): who asks for what, about whom, why and when. How it ended is the
//! server's to say. It travels and is stored encrypted only, and the salt keeps a guess of the statement from being
//! confirmed by whoever sees the signature elsewhere. When the entry's bucket key goes, it goes with it.

use super::entry::{Action, Actor, AuditEntry, Resource, Subject, Text};
use crate::tx::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use rand_core::{CryptoRng, RngCore};

/// What a person says of an action. Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Statement {
    /// When.
    pub time: TimeMillis,
    /// Who: the signer.
    pub actor: PublicKey,
    /// What is asked for.
    pub action: Action,
    /// Kind of that action.
    pub subtype: Text,
    /// The patient concerned.
    pub patient: Option<Subject>,
    /// The record or other thing concerned.
    pub resource: Option<Resource>,
    /// Purpose of use.
    pub purpose: Text,
    /// The grant acted under.
    pub grant: Option<Hash>,
    /// The request identifier.
    pub request: Text,
}

/// A claimed signature on the [`Statement`] of the entry that it stands in.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedStatement {
    /// Random.
    pub salt: [u8; 16],
    /// The actor's, over (chain, salt, statement).
    pub signature: Signature,
}

/// What an entry's statement is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementCheck {
    /// There is none: the server alone speaks.
    None,
    /// The actor signed it.
    Signed,
    /// There is one, and it is not the actor's signature on this entry.
    Wrong,
}

impl StatementCheck {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            StatementCheck::None => "none",
            StatementCheck::Signed => "signed",
            StatementCheck::Wrong => "wrong",
        }
    }
}

impl Statement {
    /// What an entry says of the action; none if its actor is no key.
    pub fn of(entry: &AuditEntry) -> Option<Self> {
        let Actor::Key(actor) = &entry.actor else {
            return None;
        };
        Some(Self {
            time: entry.time,
            actor: *actor,
            action: entry.action,
            subtype: entry.subtype.clone(),
            patient: entry.patient.clone(),
            resource: entry.resource.clone(),
            purpose: entry.purpose.clone(),
            grant: entry.grant,
            request: entry.request.clone(),
        })
    }

    /// Signs as the actor.
    pub fn sign(
        &self,
        rng: &mut (impl CryptoRng + RngCore),
        chain: &ChainId,
        actor: &SecretKey,
    ) -> SignedStatement {
        let mut salt = [0u8; 16];
        rng.fill_bytes(&mut salt);
        let signature = actor.sign(
            domain::AUDIT_STATEMENT,
            &signed_payload(chain, &(salt, self)),
        );
        SignedStatement { salt, signature }
    }

    /// Whether the actor signed this.
    pub fn is_signed(&self, chain: &ChainId, signed: &SignedStatement) -> bool {
        let payload = signed_payload(chain, &(signed.salt, self));
        self.actor
            .verify(domain::AUDIT_STATEMENT, &payload, &signed.signature)
            .is_ok()
    }
}

impl AuditEntry {
    /// Whether the statement inside is the actor's.
    pub fn statement_check(&self, chain: &ChainId) -> StatementCheck {
        let Some(signed) = &self.statement else {
            return StatementCheck::None;
        };
        match Statement::of(self) {
            Some(statement) if statement.is_signed(chain, signed) => StatementCheck::Signed,
            _ => StatementCheck::Wrong,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::Outcome;
    use crate::testing::{self, NOW};

    #[test]
    fn a_statement_is_the_actors_and_covers_what_she_says() {
        let mut entry = testing::entry(NOW);
        assert_eq!(
            entry.statement_check(&testing::chain()),
            StatementCheck::None
        );
        let statement = Statement::of(&entry).unwrap();
        let signed = statement.sign(&mut testing::rng(1), &testing::chain(), &testing::author());
        entry.statement = Some(signed);
        let check = |entry: &AuditEntry| entry.statement_check(&testing::chain());
        assert_eq!(check(&entry), StatementCheck::Signed);
        assert_eq!(
            entry.statement_check(&testing::other_chain()),
            StatementCheck::Wrong
        );
        // How it ended is the server's.
        let denied = AuditEntry {
            outcome: Outcome::Denied,
            reason: "staff_role".into(),
            ..entry.clone()
        };
        assert_eq!(check(&denied), StatementCheck::Signed);
        let changed = [
            AuditEntry {
                time: testing::later(1),
                ..entry.clone()
            },
            AuditEntry {
                actor: testing::server().public().into(),
                ..entry.clone()
            },
            AuditEntry {
                action: Action::Delete,
                ..entry.clone()
            },
            AuditEntry {
                subtype: "other".into(),
                ..entry.clone()
            },
            AuditEntry {
                patient: None,
                ..entry.clone()
            },
            AuditEntry {
                resource: None,
                ..entry.clone()
            },
            AuditEntry {
                purpose: "ETREAT".into(),
                ..entry.clone()
            },
            AuditEntry {
                grant: Some(Hash([1; 32])),
                ..entry.clone()
            },
            AuditEntry {
                request: "another".into(),
                ..entry.clone()
            },
        ];
        for entry in changed {
            assert_eq!(check(&entry), StatementCheck::Wrong, "{entry:?}");
        }
    }
}
