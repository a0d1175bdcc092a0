//! `Report`: misbehaviour is put on record, by a member or a proxy, or by anybody who proves it (DESIGN 2.2, 2.3, 6.1).
//!
//! # Leakage
//! A proof shows every member, for ever, a receipt: which pseudonym was promised which record and by when. A patient
//! signs it with a fresh key, so that two reports of hers can't be linked.

use super::signed_payload;
use crate::state::RecordRef;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::evidence::{AnchorLeaf, Receipt};
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey, Signature};
use caduceus_crypto::merkle::InclusionProof;
use caduceus_ledger::{Certificate, CertifiedHeader, ChainId, Header};
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
    /// A record was linked with other index entries than its keywords have, or otherwise than its receipt says.
    MisIndexed,
}

impl ReportKind {
    /// Every kind.
    pub const ALL: [ReportKind; 6] = [
        ReportKind::Tampered,
        ReportKind::Withheld,
        ReportKind::Unlinked,
        ReportKind::BadFragment,
        ReportKind::Fork,
        ReportKind::MisIndexed,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportKind::Tampered => "tampered",
            ReportKind::Withheld => "withheld",
            ReportKind::Unlinked => "unlinked",
            ReportKind::BadFragment => "bad-fragment",
            ReportKind::Fork => "fork",
            ReportKind::MisIndexed => "misindexed",
        }
    }

    /// Whether the report must name a linked record.
    pub fn names_linked_record(self) -> bool {
        matches!(
            self,
            ReportKind::Tampered
                | ReportKind::Withheld
                | ReportKind::BadFragment
                | ReportKind::MisIndexed
        )
    }
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What shows that a report is true, to whoever reads the chain.
// A report holds one, and reports are rare, so boxes would gain nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ReportProof {
    /// Nothing but the reporter's word.
    None,
    /// The hospital, a member, promised to link a record by a time that has passed, and nothing is linked under its
    /// pseudonym. For [`ReportKind::Unlinked`].
    MissedDeadline {
        /// The hospital's promise.
        receipt: Receipt,
    },
    /// What the hospital linked under a pseudonym's P is not what it promised: another record, other entries, another
    /// R or view tag. For [`ReportKind::MisIndexed`].
    EntriesDiffer {
        /// The hospital's promise.
        receipt: Receipt,
        /// What is linked instead.
        leaf: AnchorLeaf,
        /// That the leaf is under the anchors root of the record's private block.
        proof: InclusionProof,
    },
    /// Voters of the private chain certified a second header at a height. For [`ReportKind::Fork`].
    Fork {
        /// The header that stands there, certified, where the reporter has it. The chain has its hash if it is
        /// checkpointed; above what is, it must be shown.
        recorded: Option<CertifiedHeader>,
        /// Consecutive headers, one of which, or the first one's parent, is another one than stands at its height;
        /// 1 to [`super::MAX_CHECKPOINT_HEADERS`].
        second: Vec<Header>,
        /// Certificate on the last of them; it covers those before, since each names its parent.
        certificate: Certificate,
    },
}

impl ReportProof {
    /// The hospital's promise; none where the proof is no receipt.
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            ReportProof::None | ReportProof::Fork { .. } => None,
            ReportProof::MissedDeadline { receipt }
            | ReportProof::EntriesDiffer { receipt, .. } => Some(receipt),
        }
    }

    /// The only kind of report that it proves; none where there is only the reporter's word.
    pub fn proves(&self) -> Option<ReportKind> {
        match self {
            ReportProof::None => None,
            ReportProof::MissedDeadline { .. } => Some(ReportKind::Unlinked),
            ReportProof::EntriesDiffer { .. } => Some(ReportKind::MisIndexed),
            ReportProof::Fork { .. } => Some(ReportKind::Fork),
        }
    }
}

/// Who says that what went wrong where.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Report {
    /// A member's identity or server key, or a proxy's; any key, at best a fresh one, where there is a proof.
    pub reporter: PublicKey,
    /// What went wrong.
    pub kind: ReportKind,
    /// The hospital concerned.
    pub hospital: HospitalId,
    /// The record concerned; required where the kind is about a linked record, and none where the proof is that
    /// nothing is linked.
    pub record: Option<RecordRef>,
    /// What was seen, for people and tools; at most [`MAX_DETAIL_BYTES`] bytes.
    pub detail: String,
    /// What shows it.
    pub proof: ReportProof,
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
