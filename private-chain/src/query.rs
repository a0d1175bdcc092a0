//! Typed reads of the private chain's state, for nodes, and decoders of results, for clients.

use crate::audit::{ActionClass, AuditBatch, BatchId, Bucket};
use crate::genesis::PrivateGenesis;
use crate::policy::PolicyRecord;
use crate::rules::AuditReceipt;
use crate::state::{self, AnchorRef, BatchPlace, HospitalKeys, Retired, STAFF_PREFIX, StaffRecord};
use crate::tx::SignedEmergencyKey;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::evidence::Anchor;
use caduceus_crypto::index::Tag;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::merkle::{self, InclusionProof};
use caduceus_ledger::{Height, Space, StateError, StateView};

/// The chain's own genesis.
///
/// # Errors
/// When the store fails.
pub fn genesis(view: &dyn StateView) -> Result<PrivateGenesis, StateError> {
    state::genesis().require(view)
}

/// The hospital's keys that count now.
///
/// # Errors
/// When the store fails.
pub fn hospital_keys(view: &dyn StateView) -> Result<HospitalKeys, StateError> {
    state::hospital_keys().require(view)
}

/// The policies in force and to come.
///
/// # Errors
/// When the store fails.
pub fn policy(view: &dyn StateView) -> Result<PolicyRecord, StateError> {
    Ok(state::policy().get(view)?.unwrap_or_default())
}

/// A member of staff.
///
/// # Errors
/// When the store fails.
pub fn staff(view: &dyn StateView, key: &PublicKey) -> Result<Option<StaffRecord>, StateError> {
    state::staff(key).get(view)
}

/// Up to `limit` members of staff, in key order.
///
/// # Errors
/// When the store fails.
pub fn all_staff(
    view: &dyn StateView,
    limit: usize,
) -> Result<Vec<(PublicKey, StaffRecord)>, StateError> {
    let mut found = Vec::new();
    for (key, value) in view.scan(Space::Auth, STAFF_PREFIX.as_bytes(), limit)? {
        let staff = PublicKey::from_bytes(&key[STAFF_PREFIX.len()..])
            .map_err(|e| StateError(format!("staff key: {e}")))?;
        let record = state::staff(&staff).decode(&value)?;
        found.push((staff, record));
    }
    Ok(found)
}

/// The newest emergency key, if the hospital has named one.
///
/// # Errors
/// When the store fails.
pub fn emergency_key(view: &dyn StateView) -> Result<Option<SignedEmergencyKey>, StateError> {
    match state::emergency_generation().get(view)? {
        Some(generation) => emergency_key_of(view, generation),
        None => Ok(None),
    }
}

/// An emergency key by its generation.
///
/// # Errors
/// When the store fails.
pub fn emergency_key_of(
    view: &dyn StateView,
    generation: u32,
) -> Result<Option<SignedEmergencyKey>, StateError> {
    state::emergency_key(generation).get(view)
}

/// An anchor by its place.
///
/// # Errors
/// When the store fails.
pub fn anchor(view: &dyn StateView, at: &AnchorRef) -> Result<Option<Anchor>, StateError> {
    state::anchor(at).get(view)
}

/// Where a record is anchored.
///
/// # Errors
/// When the store fails.
pub fn find_record(view: &dyn StateView, record: &Hash) -> Result<Option<AnchorRef>, StateError> {
    state::record(record).get(view)
}

/// Where a pseudonym, by its point P, is anchored.
///
/// # Errors
/// When the store fails.
pub fn find_pseudonym(
    view: &dyn StateView,
    point: &PublicKey,
) -> Result<Option<AnchorRef>, StateError> {
    state::pseudonym(point).get(view)
}

/// The record that replaces a record; none for the newest version.
///
/// # Errors
/// When the store fails.
pub fn replaced_by(view: &dyn StateView, record: &Hash) -> Result<Option<Hash>, StateError> {
    state::replaced_by(record).get(view)
}

/// The record that a record replaces; none for a first version.
///
/// # Errors
/// When the store fails.
pub fn replaces(view: &dyn StateView, record: &Hash) -> Result<Option<Hash>, StateError> {
    state::replaces(record).get(view)
}

/// The newest version of a record: itself if nothing replaces it, also when it is not anchored here.
///
/// # Errors
/// When the store fails.
pub fn newest_version(view: &dyn StateView, record: &Hash) -> Result<Hash, StateError> {
    let mut newest = *record;
    // It ends: what replaces a record is anchored after it.
    while let Some(next) = replaced_by(view, &newest)? {
        newest = next;
    }
    Ok(newest)
}

/// For each tag, whether a committed anchor carries it: how a workstation finds its counters.
/// With another index scheme than `tags` none is.
///
/// # Errors
/// When the store fails.
pub fn committed_tags(view: &dyn StateView, tags: &[Tag]) -> Result<Vec<bool>, StateError> {
    tags.iter()
        .map(|tag| state::tag(tag).is_set(view))
        .collect()
}

/// The encoded leaves of a block's anchors, by position: the body of a `Link` of the alliance chain.
///
/// # Errors
/// When the store fails.
pub fn leaves_at(view: &dyn StateView, height: Height) -> Result<Vec<Vec<u8>>, StateError> {
    Ok(anchors_at(view, height)?
        .iter()
        .map(|anchor| codec::encode(&anchor.leaf()))
        .collect())
}

/// The anchors of a block, by position.
///
/// # Errors
/// When the store fails.
pub fn anchors_at(view: &dyn StateView, height: Height) -> Result<Vec<Anchor>, StateError> {
    let mut anchors = Vec::new();
    for position in 0..=u32::MAX {
        match state::anchor(&AnchorRef { height, position }).get(view)? {
            Some(anchor) => anchors.push(anchor),
            None => break,
        }
    }
    Ok(anchors)
}

/// An anchor with the proof that its private header commits to it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AnchorProof {
    /// The anchor.
    pub anchor: Anchor,
    /// Inclusion of its leaf under the header's `anchors_root`.
    pub proof: InclusionProof,
}

/// Proves an anchor against the header of its block; none if there is no such anchor.
///
/// # Errors
/// When the store fails.
pub fn anchor_proof(
    view: &dyn StateView,
    at: &AnchorRef,
) -> Result<Option<AnchorProof>, StateError> {
    let anchors = anchors_at(view, at.height)?;
    let index = at.position as usize;
    let Some(anchor) = anchors.get(index) else {
        return Ok(None);
    };
    let leaves: Vec<Vec<u8>> = anchors.iter().map(|a| codec::encode(&a.leaf())).collect();
    let proof = merkle::prove(&leaves, index);
    Ok(Some(AnchorProof {
        anchor: anchor.clone(),
        proof,
    }))
}

/// Number of audit entries on the chain.
///
/// # Errors
/// When the store fails.
pub fn audit_count(view: &dyn StateView) -> Result<u64, StateError> {
    Ok(state::audit_count().get(view)?.unwrap_or(0))
}

/// Up to `limit` batches that begin at or after this sequence number, with the number of their first entry and where
/// they stand. `from` must be the beginning of a batch, or the number of entries so far.
///
/// # Errors
/// When the store fails, or no batch begins there.
pub fn audit_batches(
    view: &dyn StateView,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, BatchPlace, AuditBatch)>, StateError> {
    let end = audit_count(view)?;
    let mut batches = Vec::new();
    let mut first = from;
    while first < end && batches.len() < limit {
        let place = state::audit_place(first).require(view)?;
        batches.push((first, place, state::audit_batch(first).require(view)?));
        first += u64::from(place.count);
    }
    Ok(batches)
}

/// The batch that holds an entry: the number of its first entry and where it stands; none if there is no such entry.
///
/// # Errors
/// When the store fails.
pub fn audit_batch_of(
    view: &dyn StateView,
    sequence: u64,
) -> Result<Option<(u64, BatchPlace)>, StateError> {
    if sequence >= audit_count(view)? {
        return Ok(None);
    }
    // Batches have at most 1,024 entries, so one begins in the block of 256 numbers that holds this one, or in one of
    // the four before it.
    const BLOCK: u64 = 256;
    let last = sequence / BLOCK;
    for block in (last.saturating_sub(4)..=last).rev() {
        let mut prefix = state::AUDIT_PLACE_PREFIX.as_bytes().to_vec();
        prefix.extend_from_slice(&(block * BLOCK).to_be_bytes()[..7]);
        let rows = view.scan(Space::Bulk, &prefix, 256)?;
        for (key, value) in rows.iter().rev() {
            let first = key[state::AUDIT_PLACE_PREFIX.len()..]
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| StateError("a batch's place has a malformed key".to_owned()))?;
            if first <= sequence {
                return Ok(Some((first, state::audit_place(first).decode(value)?)));
            }
        }
    }
    Err(StateError(format!("no batch holds entry {sequence}")))
}

/// An audit entry as the chain holds it, with its batch; none if there is no such entry.
///
/// # Errors
/// When the store fails.
pub fn audit_entry(
    view: &dyn StateView,
    sequence: u64,
) -> Result<Option<(u64, BatchPlace, AuditBatch)>, StateError> {
    let Some((first, place)) = audit_batch_of(view, sequence)? else {
        return Ok(None);
    };
    Ok(Some((
        first,
        place,
        state::audit_batch(first).require(view)?,
    )))
}

/// Sequence number of the first entry of a batch.
///
/// # Errors
/// When the store fails.
pub fn find_audit_batch(view: &dyn StateView, id: &BatchId) -> Result<Option<u64>, StateError> {
    state::audit_id(id).get(view)
}

/// The retention buckets that are retired, in order.
///
/// # Errors
/// When the store fails.
pub fn retired_buckets(view: &dyn StateView) -> Result<Vec<(Bucket, Retired)>, StateError> {
    let rows = view.scan(Space::Auth, state::RETIRED_PREFIX.as_bytes(), usize::MAX)?;
    rows.iter()
        .map(|(key, value)| {
            let parts = &key[state::RETIRED_PREFIX.len()..];
            let malformed = || StateError("a retired bucket has a malformed key".to_owned());
            let [class, high, low] = *parts else {
                return Err(malformed());
            };
            let class = ActionClass::ALL
                .into_iter()
                .find(|known| *known as u8 == class)
                .ok_or_else(malformed)?;
            let month = u16::from_be_bytes([high, low]);
            let bucket = Bucket { class, month };
            Ok((bucket, state::retired(&bucket).decode(value)?))
        })
        .collect()
}

/// Reads the result of an `Anchor` or `Amend`: its position among its block's anchors.
///
/// # Errors
/// [`DecodeError`] when the bytes are no such result.
pub fn anchor_result(result: &[u8]) -> Result<u32, DecodeError> {
    codec::decode_exact(result, 4)
}

/// Reads the result of an `Audit`.
///
/// # Errors
/// [`DecodeError`] when the bytes are no such result.
pub fn audit_result(result: &[u8]) -> Result<AuditReceipt, DecodeError> {
    codec::decode_exact(result, AuditReceipt::BYTES)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain};
    use crate::tx::{Role, Tx};

    #[test]
    fn staff_are_listed() {
        let mut chain = Chain::new();
        chain.enrol(&testing::author(), Role::Physician);
        chain.enrol(&testing::secret(20), Role::Auditor);
        let mut keys: Vec<PublicKey> = all_staff(&chain, 10)
            .unwrap()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let mut expected = vec![testing::author().public(), testing::secret(20).public()];
        keys.sort();
        expected.sort();
        assert_eq!(keys, expected);
        assert_eq!(all_staff(&chain, 1).unwrap().len(), 1);
    }

    #[test]
    fn an_anchor_is_found_and_proved() {
        let mut chain = Chain::new();
        chain.enrol(&testing::author(), Role::Physician);
        let anchors = [testing::anchor(1), testing::anchor(2), testing::anchor(3)];
        for anchor in &anchors {
            chain.accept(&Tx::anchor(anchor.clone(), [0; 16]));
        }
        let body = &anchors[1].body;
        let at = find_record(&chain, &body.record_hash).unwrap().unwrap();
        assert_eq!(
            at,
            AnchorRef {
                height: chain.height,
                position: 1
            }
        );
        assert_eq!(
            find_pseudonym(&chain, &body.pseudonym.point).unwrap(),
            Some(at)
        );
        assert_eq!(anchor(&chain, &at).unwrap().unwrap(), anchors[1]);
        assert_eq!(
            committed_tags(&chain, &[body.entries.tags()[0], Tag([0xee; 16])]).unwrap(),
            [true, false]
        );

        let proved = anchor_proof(&chain, &at).unwrap().unwrap();
        let extra = crate::AnchorsExtra::parse(&chain.finish_block()).unwrap();
        proved
            .proof
            .verify(&extra.root, &codec::encode(&proved.anchor.leaf()))
            .unwrap();
        let absent = AnchorRef { position: 3, ..at };
        assert!(anchor_proof(&chain, &absent).unwrap().is_none());
    }

    #[test]
    fn audit_entries_come_in_order_and_each_is_found_in_its_batch() {
        let mut chain = Chain::new();
        let sizes = [5u64, 1, 600, 3, 900, 1, 1];
        let mut firsts = Vec::new();
        let mut first = 0;
        for (seed, count) in (1..).zip(sizes) {
            let batch = testing::batch_signed_by(&testing::server(), seed, count);
            let receipt = audit_result(&chain.accept(&Tx::audit(batch.clone()))).unwrap();
            assert_eq!((receipt.first, u64::from(receipt.count)), (first, count));
            assert_eq!(find_audit_batch(&chain, &batch.id).unwrap(), Some(first));
            firsts.push(first);
            first += count;
        }
        assert_eq!(audit_count(&chain).unwrap(), first);
        for sequence in 0..first {
            let expected = firsts.iter().rev().find(|f| **f <= sequence).copied();
            let found = audit_batch_of(&chain, sequence).unwrap();
            assert_eq!(found.map(|(first, _)| first), expected);
        }
        assert!(audit_batch_of(&chain, first).unwrap().is_none());
        let listed = audit_batches(&chain, firsts[2], 3).unwrap();
        assert_eq!(
            listed.iter().map(|(first, ..)| *first).collect::<Vec<_>>(),
            firsts[2..5]
        );
        assert!(audit_batches(&chain, first, 3).unwrap().is_empty());
        let (at, _, batch) = audit_entry(&chain, 7).unwrap().unwrap();
        let entry = batch.open(u32::try_from(7 - at).unwrap(), &testing::BUCKET_KEY);
        assert_eq!(&*entry.unwrap().reference, "3-1");
    }

    #[test]
    fn retired_buckets_are_listed() {
        use crate::audit::month_of;
        use crate::tx::SignedRetire;
        let mut chain = Chain::new();
        let bucket = |class| Bucket {
            class,
            month: month_of(testing::NOW) - 3,
        };
        for class in [ActionClass::Emergency, ActionClass::ClinicalWrite] {
            let tx = SignedRetire::sign(bucket(class), &testing::chain(), &testing::identity());
            chain.accept(&Tx::Retire(tx));
        }
        let listed: Vec<Bucket> = retired_buckets(&chain)
            .unwrap()
            .into_iter()
            .map(|(bucket, _)| bucket)
            .collect();
        assert_eq!(
            listed,
            [
                bucket(ActionClass::ClinicalWrite),
                bucket(ActionClass::Emergency)
            ]
        );
    }
}
