//! The state of the private chain: typed keys over the ledger's spaces.
//!
//! | key | space | value |
//! |---|---|---|
//! | `genesis` | Auth | [`PrivateGenesis`] |
//! | `keys` | Auth | [`HospitalKeys`] |
//! | `staff/` key | Auth | [`StaffRecord`] |
//! | `policy` | Auth | [`PolicyRecord`]; absent until there was a proposal |
//! | `emergency` | Auth | u32: generation of the newest emergency key; absent before the first |
//! | `emergency/` generation | Auth | `SignedEmergencyKey` |
//! | `audit-count` | Auth | u64: entries so far, hence the next sequence number |
//! | `anchor/` height position | Bulk | `Anchor` |
//! | zero (u32) tag | Index | [`AnchorRef`]; with index scheme `tags` only |
//! | `pseudonym/` P | Bulk | [`AnchorRef`] |
//! | `record/` record hash | Bulk | [`AnchorRef`] |
//! | `replaced-by/` record hash | Bulk | record hash of the next version; absent for the newest |
//! | `replaces/` record hash | Bulk | record hash of the version before; absent for the first |
//! | `audit-batch/` first sequence | Bulk | `AuditBatch` |
//! | `audit-place/` first sequence | Bulk | [`BatchPlace`] |
//! | `audit-id/` batch id | Bulk | u64: first sequence |
//! | `retired/` class month | Auth | [`Retired`] |
//! | `destroyed/` class month validator | Auth | [`Destroyed`] |
//! | `block-anchors` | Bulk | u32: anchors of the block in progress; absent between blocks |
//! | `block-validators` | Bulk | bool: the block in progress changed the voters; absent between blocks |
//!
//! Heights, positions, sequences and generations are big-endian in keys, so that key order is chain order. Tags are looked up
//! one by one and never listed: their rows have the fixed lengths of [`Space::Index`], 20 and 12 bytes. The zero
//! in front stands where the alliance chain has a hospital's number.

use crate::audit::{AuditBatch, BatchId, Bucket};
use crate::genesis::PrivateGenesis;
use crate::policy::{PolicyRecord, PolicySet};
use crate::tx::{Role, SignedEmergencyKey};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::evidence::Anchor;
use caduceus_crypto::index::Tag;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{Height, Overlay, Space, StateError, StateView};
use std::marker::PhantomData;
use std::sync::Arc;

/// Where one typed value lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<T> {
    space: Space,
    bytes: Vec<u8>,
    value: PhantomData<T>,
}

impl<T> Key<T> {
    fn new(space: Space, prefix: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = prefix.as_bytes().to_vec();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Self {
            space,
            bytes,
            value: PhantomData,
        }
    }

    /// The key's bytes, as a state proof names them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key's space.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Whether anything is stored here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_set(&self, view: &dyn StateView) -> Result<bool, StateError> {
        Ok(view.get(self.space, &self.bytes)?.is_some())
    }

    /// Removes the value.
    pub fn clear(&self, state: &mut Overlay<'_>) {
        state.delete(self.space, &self.bytes);
    }

    fn label(&self) -> String {
        self.bytes.escape_ascii().to_string()
    }
}

impl<T: BorshSerialize + BorshDeserialize> Key<T> {
    /// The value, if one is stored.
    ///
    /// # Errors
    /// When the store fails or holds bytes that do not decode.
    pub fn get(&self, view: &dyn StateView) -> Result<Option<T>, StateError> {
        match view.get(self.space, &self.bytes)? {
            Some(bytes) => self.decode(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The value, which an invariant says is there.
    ///
    /// # Errors
    /// When the store fails, holds nothing here, or holds bytes that do not decode.
    pub fn require(&self, view: &dyn StateView) -> Result<T, StateError> {
        self.get(view)?
            .ok_or_else(|| StateError(format!("nothing under {}", self.label())))
    }

    /// Stores a value.
    pub fn put(&self, state: &mut Overlay<'_>, value: &T) {
        state.put(self.space, &self.bytes, codec::encode(value));
    }

    /// Decodes stored bytes, for instance those of a state proof.
    ///
    /// # Errors
    /// When the bytes are not exactly a value.
    pub fn decode(&self, bytes: &[u8]) -> Result<T, StateError> {
        borsh::from_slice(bytes)
            .map_err(|e| StateError(format!("value under {}: {e}", self.label())))
    }
}

/// The hospital's keys that count now. The genesis goes on to say with which ones the chain began.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HospitalKeys {
    /// Changes of keys and voters so far.
    pub generation: u64,
    /// Identity key: enrols and suspends staff, names the voters, changes keys.
    pub identity: PublicKey,
    /// Server key: signs audit entries and vault receipts.
    pub server: PublicKey,
    /// The server key before, while it still counts.
    pub former: Option<FormerServer>,
}

/// A server key that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FormerServer {
    /// The key.
    pub key: PublicKey,
    /// First block time at which it counts no more.
    pub until: TimeMillis,
}

impl HospitalKeys {
    /// The keys that a chain begins with.
    pub fn first(genesis: &PrivateGenesis) -> Self {
        Self {
            generation: 0,
            identity: genesis.identity,
            server: genesis.server,
            former: None,
        }
    }

    /// Whether a key signs for the server at a block time: the present one, or the one before in its grace.
    pub fn is_server(&self, key: &PublicKey, now: TimeMillis) -> bool {
        *key == self.server
            || self
                .former
                .is_some_and(|former| former.key == *key && now < former.until)
    }

    /// Whether a key is one of the hospital's own at a time.
    pub fn is_own(&self, key: &PublicKey, now: TimeMillis) -> bool {
        *key == self.identity || self.is_server(key, now)
    }
}

/// A member of staff as the chain knows her.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StaffRecord {
    /// What she is.
    pub role: Role,
    /// Staff number or name for people.
    pub label: String,
    /// First instant at which the enrolment holds.
    pub not_before: TimeMillis,
    /// First instant at which it no longer holds.
    pub not_after: TimeMillis,
    /// Block time of the newest enrolment.
    pub enrolled_at: TimeMillis,
    /// Block time of the suspension, if suspended.
    pub suspended_at: Option<TimeMillis>,
}

impl StaffRecord {
    /// Whether block time `now` is inside the enrolment's validity; says nothing about suspension.
    pub fn covers(&self, now: TimeMillis) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// An anchor's place: the private block and its index among that block's anchors.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct AnchorRef {
    /// Height of the private block.
    pub height: Height,
    /// Index among the anchors of that block, from 0.
    pub position: u32,
}

/// Where a batch of audit entries stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BatchPlace {
    /// Height of the block.
    pub height: Height,
    /// Block time.
    pub time: TimeMillis,
    /// Number of entries.
    pub count: u32,
}

/// A retention bucket whose key is to be destroyed everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Retired {
    /// Height of the block with the `Retire`.
    pub height: Height,
    /// Its time.
    pub time: TimeMillis,
}

/// A validator's word that it no longer has a retired bucket's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Destroyed {
    /// Height of the block that brought it.
    pub height: Height,
    /// Its time.
    pub time: TimeMillis,
}

/// The chain's own genesis.
pub fn genesis() -> Key<PrivateGenesis> {
    Key::new(Space::Auth, "genesis", &[])
}

/// The hospital's keys.
pub fn hospital_keys() -> Key<HospitalKeys> {
    Key::new(Space::Auth, "keys", &[])
}

/// Prefix of all staff keys in [`Space::Auth`].
pub const STAFF_PREFIX: &str = "staff/";

/// A member of staff.
pub fn staff(key: &PublicKey) -> Key<StaffRecord> {
    Key::new(Space::Auth, STAFF_PREFIX, &[key.as_bytes()])
}

/// Number of audit entries so far.
pub fn audit_count() -> Key<u64> {
    Key::new(Space::Auth, "audit-count", &[])
}

/// An anchor.
pub fn anchor(at: &AnchorRef) -> Key<Anchor> {
    Key::new(
        Space::Bulk,
        "anchor/",
        &[&at.height.0.to_be_bytes(), &at.position.to_be_bytes()],
    )
}

/// The anchor that carries a tag.
pub fn tag(tag: &Tag) -> Key<AnchorRef> {
    Key::new(Space::Index, "", &[&0u32.to_be_bytes(), tag.as_bytes()])
}

/// The anchor that carries a pseudonym, by its point P.
pub fn pseudonym(point: &PublicKey) -> Key<AnchorRef> {
    Key::new(Space::Bulk, "pseudonym/", &[point.as_bytes()])
}

/// The anchor of a record.
pub fn record(hash: &Hash) -> Key<AnchorRef> {
    Key::new(Space::Bulk, "record/", &[hash.as_bytes()])
}

/// The record that replaces a record.
pub fn replaced_by(record: &Hash) -> Key<Hash> {
    Key::new(Space::Bulk, "replaced-by/", &[record.as_bytes()])
}

/// The record that a record replaces.
pub fn replaces(record: &Hash) -> Key<Hash> {
    Key::new(Space::Bulk, "replaces/", &[record.as_bytes()])
}

/// A batch of audit entries, by the sequence number of its first entry, from 0.
pub fn audit_batch(first: u64) -> Key<AuditBatch> {
    Key::new(Space::Bulk, "audit-batch/", &[&first.to_be_bytes()])
}

/// Prefix of all [`audit_place`] keys.
pub const AUDIT_PLACE_PREFIX: &str = "audit-place/";

/// Where a batch stands, by the sequence number of its first entry: small, so that they can be listed.
pub fn audit_place(first: u64) -> Key<BatchPlace> {
    Key::new(Space::Bulk, AUDIT_PLACE_PREFIX, &[&first.to_be_bytes()])
}

/// Sequence number of the first entry of a batch, by the batch's identifier.
pub fn audit_id(batch: &BatchId) -> Key<u64> {
    Key::new(Space::Bulk, "audit-id/", &[batch])
}

/// Prefix of all [`retired`] keys in [`Space::Auth`].
pub const RETIRED_PREFIX: &str = "retired/";

/// Set for a bucket whose entries are to be forgotten.
pub fn retired(bucket: &Bucket) -> Key<Retired> {
    Key::new(Space::Auth, RETIRED_PREFIX, &bucket_parts(bucket).each())
}

/// What a validator says about the key of a retired bucket.
pub fn destroyed(bucket: &Bucket, validator: &PublicKey) -> Key<Destroyed> {
    let parts = bucket_parts(bucket);
    let [class, month] = parts.each();
    Key::new(
        Space::Auth,
        "destroyed/",
        &[class, month, validator.as_bytes()],
    )
}

struct BucketParts([u8; 1], [u8; 2]);

impl BucketParts {
    fn each(&self) -> [&[u8]; 2] {
        [&self.0, &self.1]
    }
}

fn bucket_parts(bucket: &Bucket) -> BucketParts {
    BucketParts([bucket.class as u8], bucket.month.to_be_bytes())
}

/// Anchors so far in the block in progress.
pub fn block_anchors() -> Key<u32> {
    Key::new(Space::Bulk, "block-anchors", &[])
}

/// The policies in force and to come.
pub fn policy() -> Key<PolicyRecord> {
    Key::new(Space::Auth, "policy", &[])
}

/// The policy set in force at a height.
///
/// # Errors
/// When the store fails, or holds a text that is no policy set for this program.
pub fn policy_at(view: &dyn StateView, height: Height) -> Result<Arc<PolicySet>, StateError> {
    let record = policy().get(view)?.unwrap_or_default();
    record
        .set_at(height)
        .map_err(|e| StateError(format!("the policy on record: {e}")))
}

/// Set where the block in progress changed the voters.
pub fn block_validators() -> Key<bool> {
    Key::new(Space::Bulk, "block-validators", &[])
}

/// Generation of the newest emergency key.
pub fn emergency_generation() -> Key<u32> {
    Key::new(Space::Auth, "emergency", &[])
}

/// An emergency key by its generation, from 1. With the hospital's signature, so that a workstation needs the network
/// file alone to check it.
pub fn emergency_key(generation: u32) -> Key<SignedEmergencyKey> {
    Key::new(Space::Auth, "emergency/", &[&generation.to_be_bytes()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_ledger::{INDEX_KEY_BYTES, INDEX_VALUE_BYTES};

    #[test]
    fn a_tag_row_has_the_lengths_of_its_space() {
        let key = tag(&Tag([7; 16]));
        assert_eq!(key.space(), Space::Index);
        assert_eq!(key.bytes().len(), INDEX_KEY_BYTES);
        assert_eq!(key.bytes()[..4], [0; 4]);
        let at = AnchorRef {
            height: Height(3),
            position: 5,
        };
        let value = codec::encode(&at);
        assert_eq!(value.len(), INDEX_VALUE_BYTES);
        assert_eq!(key.decode(&value).unwrap(), at);
    }
}
