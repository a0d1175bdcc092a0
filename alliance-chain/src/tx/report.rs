//! `Report`: a member or a proxy puts misbehaviour on record (DESIGN 2.3, 6.1).

use super::signed_payload;
use crate::state::RecordRef;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;
use std::fmt;

/// Longest detail, in bytes of UTF-8.
pub const MAX_DETAIL_BYTES: usize = 1024;

/// What went wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum ReportKind {
    /// A record served differs from its anchor.
    Tampered,
    /// A linked record was not served.
    Withheld,
    /// A record with a receipt was not linked in time.
    Unlinked,
    /// A proxy served a fragment that does not verify.
    BadFragment,
    /// Two headers at one height of a private chain.
    Fork,
}

impl ReportKind {
    /// Every kind.
    pub const ALL: [ReportKind; 5] = [
        ReportKind::Tampered,
        ReportKind::Withheld,
        ReportKind::Unlinked,
        ReportKind::BadFragment,
        ReportKind::Fork,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportKind::Tampered => "tampered",
            ReportKind::Withheld => "withheld",
            ReportKind::Unlinked => "unlinked",
            ReportKind::BadFragment => "bad-fragment",
            ReportKind::Fork => "fork",
        }
    }

    /// Whether the report must name a linked record.
    pub fn names_linked_record(self) -> bool {
        matches!(
            self,
            ReportKind::Tampered | ReportKind::Withheld | ReportKind::BadFragment
        )
    }
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who says that what went wrong where.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Report {
    /// A member's identity or server key, or a proxy's.
    pub reporter: PublicKey,
    /// What went wrong.
    pub kind: ReportKind,
    /// The hospital concerned.
    pub hospital: HospitalId,
    /// The record concerned; required where the kind is about a linked record.
    pub record: Option<RecordRef>,
    /// What was seen, for people and tools; at most [`MAX_DETAIL_BYTES`] bytes.
    pub detail: String,
}

/// A [`Report`] with a claimed signature of the reporter.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedReport {
    /// What is said.
    pub body: Report,
    /// Reporter's signature over (chain, body).
    pub signature: Signature,
}

impl Report {
    /// Signs as the reporter.
    pub fn sign(self, chain: &ChainId, reporter: &SecretKey) -> SignedReport {
        let signature = reporter.sign(domain::REPORT, &signed_payload(chain, &self));
        SignedReport {
            body: self,
            signature,
        }
    }
}

impl SignedReport {
    /// Whether the reporter in the body signed it for this chain.
    pub fn is_signed(&self, chain: &ChainId) -> bool {
        self.body
            .reporter
            .verify(
                domain::REPORT,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}
