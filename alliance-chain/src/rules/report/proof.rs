//! What a report's proof must show. A hospital is held to its own signature, and to what it had checkpointed.
//!
//! A receipt names no chain, so a hospital of two alliances is held to its promise in both: that it was due after
//! this one began is all that can be told.

use super::{Failure, ReportError, ensure, fork, refuse};
use crate::genesis::Member;
use crate::state::{self, MemberRecord, RecordRef};
use crate::tx::{Report, ReportProof};
use caduceus_crypto::codec;
use caduceus_crypto::evidence::{AnchorLeaf, Receipt};
use caduceus_crypto::merkle::InclusionProof;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{Height, Overlay};

/// Checks the proof of a report about a hospital; one without a proof passes. A former member is held to what it
/// linked, but not to what it could not link any more.
pub(super) fn check(
    body: &Report,
    known: &MemberRecord,
    now: TimeMillis,
    state: &Overlay<'_>,
) -> Result<(), Failure> {
    match (&body.proof, body.record) {
        (ReportProof::None, _) => Ok(()),
        (
            ReportProof::Fork {
                recorded,
                second,
                certificate,
            },
            _,
        ) => {
            let proof = fork::Proof {
                recorded: recorded.as_ref(),
                second,
                certificate,
            };
            proof.check(known, state)
        }
        (ReportProof::MissedDeadline { .. }, Some(record)) => {
            refuse(ReportError::RecordNamed { record })
        }
        (ReportProof::MissedDeadline { receipt }, None) => {
            let hospital = body.hospital;
            ensure(known.is_active(), || ReportError::NotAMember { hospital })?;
            check_late(receipt, body, now, state)?;
            check_receipt(receipt, &known.member, state)
        }
        (ReportProof::EntriesDiffer { .. }, None) => {
            refuse(ReportError::RecordMissing { kind: body.kind })
        }
        (
            ReportProof::EntriesDiffer {
                receipt,
                leaf,
                proof,
            },
            Some(record),
        ) => {
            check_differs(receipt, leaf, record)?;
            check_included(leaf, proof, body, record, state)?;
            check_receipt(receipt, &known.member, state)
        }
    }
}

/// The deadline has passed and nothing is linked under the pseudonym.
fn check_late(
    receipt: &Receipt,
    body: &Report,
    now: TimeMillis,
    state: &Overlay<'_>,
) -> Result<(), Failure> {
    let deadline = receipt.link_deadline;
    ensure(now > deadline, || ReportError::NotLate { deadline, now })?;
    match state::pseudonym(&body.hospital, &receipt.pseudonym.point).get(state)? {
        Some(at) => refuse(ReportError::Linked { at }),
        None => Ok(()),
    }
}

/// The leaf is under the receipt's P, and about another record, with other entries, or with another R or view tag,
/// by which the patient would not know the record for hers.
fn check_differs(receipt: &Receipt, leaf: &AnchorLeaf, record: RecordRef) -> Result<(), Failure> {
    let (expected, found) = (receipt.pseudonym.point, leaf.pseudonym.point);
    ensure(expected == found, || ReportError::OtherPseudonym {
        expected,
        found,
    })?;
    let as_promised = leaf.pseudonym == receipt.pseudonym
        && leaf.record_hash == receipt.record_hash
        && leaf.entries.hash() == receipt.entries_hash;
    ensure(!as_promised, || ReportError::AsPromised { record })
}

/// The leaf is the one that the checkpointed header commits to at the record's place.
fn check_included(
    leaf: &AnchorLeaf,
    proof: &InclusionProof,
    body: &Report,
    record: RecordRef,
    state: &Overlay<'_>,
) -> Result<(), Failure> {
    // It is there: the record is linked, and only what is checkpointed is.
    let header = state::header(&body.hospital, Height(record.height)).require(state)?;
    let (index, size) = (proof.index, proof.size);
    let at_place = index == u64::from(record.position) && size == u64::from(header.anchors_count);
    ensure(at_place, || ReportError::OtherPosition {
        record,
        index,
        size,
    })?;
    proof
        .verify(&header.anchors_root, &codec::encode(leaf))
        .or_else(|source| refuse(ReportError::NotIncluded { record, source }))
}

/// The hospital itself made the promise, for this alliance as far as can be told.
fn check_receipt(receipt: &Receipt, hospital: &Member, state: &Overlay<'_>) -> Result<(), Failure> {
    let (expected, found) = (hospital.hospital, receipt.hospital);
    ensure(expected == found, || ReportError::ReceiptElsewhere {
        expected,
        found,
    })?;
    let deadline = receipt.link_deadline;
    let first = state::params().require(state)?.first_epoch;
    ensure(deadline >= first.start(), || ReportError::BeforeAlliance {
        deadline,
        first,
    })?;
    let mut keys = vec![hospital.identity];
    keys.extend(
        state::former_identities(&expected)
            .get(state)?
            .unwrap_or_default(),
    );
    // A promise outlives the key that it was signed with.
    let signed = keys.iter().any(|key| receipt.verify(key).is_ok());
    ensure(signed, || ReportError::ReceiptForged { hospital: expected })
}

#[cfg(test)]
mod tests;
