//! What workstation and server must say alike of an emergency, so that a person's signature is on the server's entry.

use caduceus_crypto::{Hash, PublicKey, TimeMillis};
use private_chain::audit::Statement;
use private_chain::{Action, Subject};

/// HL7 v3 PurposeOfUse: emergency treatment.
pub const PURPOSE: &str = "ETREAT";

/// A step that a person signs for, record by record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An officer agrees.
    Approve,
    /// The requester opens.
    Open,
}

impl Step {
    /// The action of its entry.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Step::Approve => Action::Execute,
            Step::Open => Action::Read,
        }
    }

    /// The subtype of its entry.
    #[must_use]
    pub const fn subtype(self) -> &'static str {
        match self {
            Step::Approve => "emergency-approve",
            Step::Open => "emergency-open",
        }
    }

    /// What the person signs for one record.
    #[must_use]
    pub fn statement(
        self,
        actor: PublicKey,
        at: TimeMillis,
        request: &Hash,
        (point, record): (PublicKey, Hash),
    ) -> Statement {
        Statement {
            time: at,
            actor,
            action: self.action(),
            subtype: self.subtype().into(),
            patient: Some(Subject::Pseudonym(point)),
            resource: Some(record.into()),
            purpose: PURPOSE.into(),
            grant: Some(*request),
            request: hex::encode(request_id(request)).into(),
        }
    }
}

/// The identifier that all entries of one emergency share: the beginning of the request's hash.
#[must_use]
pub fn request_id(request: &Hash) -> [u8; 16] {
    let mut id = [0u8; 16];
    id.copy_from_slice(&request.0[..16]);
    id
}
