//! Entries that prove themselves, in a text that needs no network (DESIGN 5.3).
//!
//! The text has the shape of the transparency logs' notes (C2SP tlog-proof, tlog-checkpoint): lines of a name and a
//! value, sections between empty lines, a last line that begins with a dash. What is trusted is the identifier of the
//! alliance chain, which is the hash of its genesis; from there [`ProofFile::verify`] goes step by step ([`Step`]):
//!
//! 1. *digest*: the text is whole. It binds what no other step does, and proves nothing by itself.
//! 2. *genesis*: the alliance's genesis has the trusted hash.
//! 3. *voters*: each light block is reached from the last point that is trusted, the first from the genesis.
//! 4. *record*: the last one's state holds the tree of the hospital's checkpointed headers.
//! 5. *header*: the private header is in that tree, at its height.
//! 6. *receipt*: the header's results hold the receipt of the batch.
//! 7. *batch*: the receipt's root holds the sealed entry, at its index.
//! 8. *entry*: the sealed entry opens under the key that the text gives.
//! 9. *text*: what stands in clear is what was opened, and every line is as it would be written.
//!
//! That the hospital's validators certified the header is what the alliance checked before it recorded it.
//!
//! # Security
//! The trusting period is waived, as for any proof that is looked at years later: whoever holds more than two thirds
//! of the keys of *former* alliance voters could make a false one. The proof of a report says nothing of entries that
//! are not in it. The key of an entry opens that entry and no other.

mod text;
mod verify;

pub use text::{MAX_PROOF_BYTES, MAX_PROVED, ParseError};
pub use verify::{ProofError, Step, Verified, VerifiedEntry};

use super::sealed::{BatchId, SealedEntry};
use crate::rules::AuditReceipt;
use caduceus_crypto::Hash;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::merkle::InclusionProof;
use caduceus_ledger::{Genesis, Header, LightBlock};

/// What proves one entry under its private header, and that header under the alliance's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// Opens the entry.
    pub key: [u8; 32],
    /// The batch.
    pub batch: BatchId,
    /// Index in the batch.
    pub index: u32,
    /// The entry as the chain holds it.
    pub sealed: SealedEntry,
    /// From the sealed entry to the receipt's root.
    pub in_batch: Vec<Hash>,
    /// Result of the transaction that brought the batch.
    pub receipt: AuditReceipt,
    /// From the receipt to the header's results root.
    pub in_results: Vec<Hash>,
    /// On which sides the siblings stand there: see [`sides`].
    pub sides: u64,
    /// The private header.
    pub header: Header,
    /// From the header's hash to the root of the alliance's tree of the hospital's headers.
    pub in_headers: Vec<Hash>,
}

/// What the alliance has on record of the hospital, and what leads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllianceProof {
    /// The alliance's genesis.
    pub genesis: Genesis,
    /// From the genesis, each reached from the one before. The state of the last one holds the record.
    pub blocks: Vec<LightBlock>,
    /// The record: borsh of a `HeaderTree`.
    pub record: Vec<u8>,
    /// From the record to the state root.
    pub in_state: Vec<u8>,
}

/// An export: entries and what proves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// The hospital.
    pub hospital: HospitalId,
    /// The entries, 1 to [`MAX_PROVED`].
    pub entries: Vec<EntryProof>,
    /// The alliance's part.
    pub alliance: AllianceProof,
}

/// On which sides the siblings of a path stand: bit n is set if the n-th is on the left. No root commits to a tree's
/// size, and some sizes share a proof; the sides are all that counts, and none can be changed.
pub fn sides(proof: &InclusionProof) -> u64 {
    let (mut at, mut last) = (proof.index, proof.size.saturating_sub(1));
    let (mut sides, mut level) = (0, 0);
    while last > 0 {
        // A node at the right border without a sibling stands for itself one level up.
        if at & 1 == 1 {
            sides |= 1 << level;
            level += 1;
        } else if at < last {
            level += 1;
        }
        at >>= 1;
        last >>= 1;
    }
    sides
}

/// The inclusion proof with these sides: as in a full tree of the path's depth.
fn inclusion(sides: u64, path: &[Hash]) -> Option<InclusionProof> {
    let depth = u32::try_from(path.len())
        .ok()
        .filter(|depth| *depth <= 40)?;
    let size = 1u64 << depth;
    (sides < size).then(|| InclusionProof {
        index: sides,
        size,
        path: path.to_vec(),
    })
}

#[cfg(test)]
mod tests;
