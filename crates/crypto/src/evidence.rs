//! Evidence (DESIGN 3.5): what lets nodes accept an anchor without reading the record, what the alliance links
//! of it, and what the patient keeps in case either is withheld.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::encode;
use crate::domain;
use crate::hash::{Hash, hash};
use crate::index::{EntriesError, IndexEntries};
use crate::keys::{BadSignature, HospitalId, PublicKey, SecretKey, Signature};
use crate::pseudonym::Pseudonym;
use crate::record::{HEADER_BYTES, MAX_RECORD_BYTES, MIN_PADDED, TAG_BYTES};
use crate::reencrypt::{CapsuleError, check_capsule};
use crate::time::{Epoch, TimeMillis};

/// Least bytes of a sealed record: header, and one segment of the least padded length.
pub const MIN_RECORD_BYTES: u64 = (HEADER_BYTES + MIN_PADDED + TAG_BYTES) as u64;

/// What an author says of a record.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AnchorBody {
    /// Where it was made.
    pub hospital: HospitalId,
    /// Whose it is.
    pub pseudonym: Pseudonym,
    /// Record hash ([`crate::record`]).
    pub record_hash: Hash,
    /// Header hash.
    pub header_hash: Hash,
    /// Its index entries.
    pub entries: IndexEntries,
    /// Umbral capsule of its data key.
    pub capsule: Vec<u8>,
    /// D, the key that the capsule is meant for.
    pub delegating: PublicKey,
    /// H(salt, visit token), or zero for *unattested* ([`VisitOpening`]).
    pub visit: Hash,
    /// UTC day of anchoring, that of the index entries. The chain holds it to block time, give or take a day.
    pub epoch: Epoch,
    /// When the author signed.
    pub authored_at: TimeMillis,
}

impl AnchorBody {
    /// The author's signature over the encoded body.
    pub fn sign(&self, author: &SecretKey) -> Signature {
        author.sign(domain::ANCHOR, &encode(self))
    }
}

/// A record's anchor: the author's statement and the vault's receipt. Nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Anchor {
    /// The statement.
    pub body: AnchorBody,
    /// The author's key; its enrolment is the chain's to check.
    pub author: PublicKey,
    /// Over the encoded body.
    pub author_signature: Signature,
    /// Bytes of the sealed record in the vault.
    pub stored_bytes: u64,
    /// The vault's key; whether it is the hospital's vault is the chain's to check.
    pub vault: PublicKey,
    /// Over record hash and stored bytes.
    pub vault_signature: Signature,
}

/// What is wrong with an anchor. One variant, one rule; all that can be told without the chain's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// P, R and D are not three keys.
    #[error("pseudonym, ephemeral and delegating key must differ")]
    KeysNotDistinct,
    /// The index entries' form.
    #[error("index entries: {0}")]
    Entries(#[source] EntriesError),
    /// Not a capsule.
    #[error("capsule: {0}")]
    Capsule(#[source] CapsuleError),
    /// No sealed record has this size.
    #[error("a record of {found} bytes, {min} to {max} allowed", min = MIN_RECORD_BYTES, max = MAX_RECORD_BYTES)]
    StoredBytes {
        /// The size stated.
        found: u64,
    },
    /// The author's signature.
    #[error("the author's signature is not valid")]
    AuthorSignature,
    /// The vault's signature.
    #[error("the vault's signature is not valid")]
    VaultSignature,
}

impl Anchor {
    /// Checks every rule that needs no state.
    ///
    /// Left to the chain: that hospital, author and vault are its own, that the index scheme is, that the epoch is
    /// near block time, that pseudonym and tags are new.
    ///
    /// # Errors
    /// [`EvidenceError`] names the first rule broken; the cheap ones come first.
    pub fn check(&self) -> Result<(), EvidenceError> {
        let Pseudonym {
            point, ephemeral, ..
        } = self.body.pseudonym;
        let delegating = self.body.delegating;
        if point == ephemeral || point == delegating || ephemeral == delegating {
            return Err(EvidenceError::KeysNotDistinct);
        }
        self.body
            .entries
            .check_form()
            .map_err(EvidenceError::Entries)?;
        if !(MIN_RECORD_BYTES..=MAX_RECORD_BYTES as u64).contains(&self.stored_bytes) {
            return Err(EvidenceError::StoredBytes {
                found: self.stored_bytes,
            });
        }
        self.author
            .verify(domain::ANCHOR, &encode(&self.body), &self.author_signature)
            .map_err(|BadSignature| EvidenceError::AuthorSignature)?;
        verify_vault_receipt(
            &self.vault,
            &self.body.record_hash,
            self.stored_bytes,
            &self.vault_signature,
        )
        .map_err(|BadSignature| EvidenceError::VaultSignature)?;
        check_capsule(&self.body.capsule).map_err(EvidenceError::Capsule)
    }

    /// What is linked on the alliance chain.
    pub fn leaf(&self) -> AnchorLeaf {
        AnchorLeaf {
            pseudonym: self.body.pseudonym,
            record_hash: self.body.record_hash,
            entries: self.body.entries.clone(),
        }
    }
}

fn vault_receipt_message(record_hash: &Hash, stored_bytes: u64) -> [u8; 40] {
    let mut message = [0u8; 40];
    message[..32].copy_from_slice(record_hash.as_bytes());
    message[32..].copy_from_slice(&stored_bytes.to_le_bytes());
    message
}

/// The vault's signature that it durably stores this many bytes with this record hash: over the hash's 32
/// bytes and the length as u64 little-endian.
pub fn sign_vault_receipt(vault: &SecretKey, record_hash: &Hash, stored_bytes: u64) -> Signature {
    vault.sign(
        domain::VAULT_RECEIPT,
        &vault_receipt_message(record_hash, stored_bytes),
    )
}

/// Checks a vault's signature.
///
/// # Errors
/// [`BadSignature`].
pub fn verify_vault_receipt(
    vault: &PublicKey,
    record_hash: &Hash,
    stored_bytes: u64,
    signature: &Signature,
) -> Result<(), BadSignature> {
    vault.verify(
        domain::VAULT_RECEIPT,
        &vault_receipt_message(record_hash, stored_bytes),
        signature,
    )
}

/// What the alliance chain learns of an anchor: a leaf of the private header's anchors root.
///
/// # Leakage
/// To all members: a pseudonym, a hash, a number of index entries rounded up to 8.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AnchorLeaf {
    /// Whose it is.
    pub pseudonym: Pseudonym,
    /// Record hash.
    pub record_hash: Hash,
    /// Its index entries.
    pub entries: IndexEntries,
}

impl AnchorLeaf {
    /// The leaf of the Merkle tree.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

/// The hospital's promise to the patient: this record, indexed so, linked by then. With it her client proves a
/// record that was never anchored or linked, or not with these index entries.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// Who promises.
    pub hospital: HospitalId,
    /// Record hash.
    pub record_hash: Hash,
    /// Hash of its index entries ([`IndexEntries::hash`]).
    pub entries_hash: Hash,
    /// Whose it is; holds P, R and the view tag.
    pub pseudonym: Pseudonym,
    /// By when it is linked.
    pub link_deadline: TimeMillis,
    /// The hospital key's, over all that stands before.
    pub signature: Signature,
}

impl Receipt {
    /// Makes the promise, with the hospital's identity key.
    pub fn sign(
        key: &SecretKey,
        hospital: HospitalId,
        record_hash: Hash,
        entries_hash: Hash,
        pseudonym: Pseudonym,
        link_deadline: TimeMillis,
    ) -> Self {
        let message = encode(&(
            hospital,
            record_hash,
            entries_hash,
            pseudonym,
            link_deadline,
        ));
        let signature = key.sign(domain::RECEIPT, &message);
        Receipt {
            hospital,
            record_hash,
            entries_hash,
            pseudonym,
            link_deadline,
            signature,
        }
    }

    /// Checks that this key made the promise. That the key is the hospital's is the caller's to know.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        let said = (
            self.hospital,
            self.record_hash,
            self.entries_hash,
            self.pseudonym,
            self.link_deadline,
        );
        key.verify(domain::RECEIPT, &encode(&said), &self.signature)
    }
}

/// The patient client's signature that she was at a hospital on a day.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VisitToken {
    /// Where.
    pub hospital: HospitalId,
    /// When, UTC.
    pub day: Epoch,
    /// Random, so that two visits on a day differ.
    pub nonce: [u8; 32],
    /// By the patient's key for this hospital.
    pub signature: Signature,
}

impl VisitToken {
    /// Attests a visit.
    pub fn sign(key: &SecretKey, hospital: HospitalId, day: Epoch, nonce: [u8; 32]) -> Self {
        let signature = key.sign(domain::VISIT_TOKEN, &encode(&(hospital, day, nonce)));
        VisitToken {
            hospital,
            day,
            nonce,
            signature,
        }
    }

    /// Checks that this key attested the visit.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        key.verify(
            domain::VISIT_TOKEN,
            &encode(&(self.hospital, self.day, self.nonce)),
            &self.signature,
        )
    }
}

/// A visit token and the salt that hides it. It travels inside the sealed record and serves in a dispute.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VisitOpening {
    /// Random.
    pub salt: [u8; 32],
    /// The token.
    pub token: VisitToken,
}

impl VisitOpening {
    /// What the anchor carries: H(salt, token).
    ///
    /// # Leakage
    /// Without the salt, nothing: tokens of one patient cannot be told to belong together.
    pub fn commitment(&self) -> Hash {
        hash(
            domain::VISIT_COMMITMENT,
            &[&self.salt, &encode(&self.token)],
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
