//! `Enrol`: the hospital's identity key makes a person's key a member of staff for a while (DESIGN 5.2).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use std::fmt;
use std::str::FromStr;

/// Longest staff label, in bytes of UTF-8.
pub const MAX_LABEL_BYTES: usize = 64;

/// What a member of staff is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Role {
    /// Writes and reads records.
    Physician,
    /// Writes and reads records.
    Nurse,
    /// Registers patients.
    Registrar,
    /// Reads the audit log.
    Auditor,
    /// Runs the server.
    Administrator,
}

/// Not the name of a [`Role`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role: physician, nurse, registrar, auditor or administrator expected")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [
        Role::Physician,
        Role::Nurse,
        Role::Registrar,
        Role::Auditor,
        Role::Administrator,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Physician => "physician",
            Role::Nurse => "nurse",
            Role::Registrar => "registrar",
            Role::Auditor => "auditor",
            Role::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// What the hospital says about a key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Enrol {
    /// The person's signing key.
    pub staff: PublicKey,
    /// What the person is.
    pub role: Role,
    /// Staff number or name for people, 1 to [`MAX_LABEL_BYTES`] bytes.
    pub label: String,
    /// First instant at which the enrolment holds.
    pub not_before: TimeMillis,
    /// First instant at which it no longer holds.
    pub not_after: TimeMillis,
}

/// An [`Enrol`] with a claimed signature of the hospital's identity key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedEnrol {
    /// What is said.
    pub body: Enrol,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl Enrol {
    /// Signs as the hospital.
    pub fn sign(self, chain: &ChainId, identity: &SecretKey) -> SignedEnrol {
        let signature = identity.sign(domain::ENROL, &signed_payload(chain, &self));
        SignedEnrol {
            body: self,
            signature,
        }
    }
}

impl SignedEnrol {
    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        identity
            .verify(
                domain::ENROL,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}
