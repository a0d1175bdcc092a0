//! The steps of a proof.

use super::{AllianceProof, EntryProof, ParseError, ProofFile, inclusion, text};
use crate::audit::bucket::ActionClass;
use crate::audit::entry::AuditEntry;
use crate::audit::sealed::{BatchId, OpenError};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::merkle::InclusionProof;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::checkpoint::tree_key;
use caduceus_ledger::light::{Bisection, Progress};
use caduceus_ledger::{ChainId, HeaderTree, Height, LightBlock, StateProof, Trusted};
use std::fmt;

/// A step of the verification, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The text is that of a proof, and whole.
    Digest,
    /// The alliance's genesis is the trusted one.
    Genesis,
    /// The alliance's voters lead from the genesis to the last block.
    Voters,
    /// The alliance's state holds the record of the hospital's headers.
    Record,
    /// The private header is on record.
    Header,
    /// The header's results hold the receipt.
    Receipt,
    /// The receipt's root holds the sealed entry.
    Batch,
    /// The sealed entry opens.
    Entry,
    /// The text says in clear what was opened.
    Text,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Digest => "digest",
            Step::Genesis => "genesis",
            Step::Voters => "voters",
            Step::Record => "record",
            Step::Header => "header",
            Step::Receipt => "receipt",
            Step::Batch => "batch",
            Step::Entry => "entry",
            Step::Text => "text",
        })
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {what}")]
pub struct ProofError {
    /// The step that fails.
    pub step: Step,
    /// What does not hold.
    pub what: String,
}

fn fails(step: Step) -> impl Fn(String) -> ProofError {
    move |what| ProofError { step, what }
}

impl From<ParseError> for ProofError {
    fn from(error: ParseError) -> Self {
        fails(Step::Digest)(error.to_string())
    }
}

/// An entry that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// Sequence number.
    pub sequence: u64,
    /// Retention class.
    pub class: ActionClass,
    /// The entry.
    pub entry: AuditEntry,
    /// The private chain.
    pub chain: ChainId,
    /// Height of the private block.
    pub height: u64,
    /// Its hash.
    pub block_hash: Hash,
    /// Its time.
    pub block_time: TimeMillis,
    /// The batch.
    pub batch: BatchId,
    /// Index in the batch.
    pub index: u32,
}

/// The same before it is proved.
pub(super) type ClearEntry = VerifiedEntry;

/// What a proof proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The hospital.
    pub hospital: HospitalId,
    /// Alliance height under which it is proved.
    pub alliance_height: u64,
    /// Time of that block.
    pub alliance_time: TimeMillis,
    /// Private headers on record there.
    pub recorded: u64,
    /// Light blocks from the genesis on.
    pub blocks: usize,
    /// The entries.
    pub entries: Vec<VerifiedEntry>,
}

impl ProofFile {
    /// The text.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// Reads a text without proving anything.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        text::parse(text)
    }

    /// Verifies a text against the identifier of the alliance chain. `now` is to refuse blocks of the time to come.
    ///
    /// # Errors
    /// [`ProofError`] names the step that fails.
    pub fn verify(text: &str, alliance: &ChainId, now: TimeMillis) -> Result<Verified, ProofError> {
        let step = fails(Step::Digest);
        if text.len() > text::MAX_PROOF_BYTES {
            return Err(step("longer than a proof may be".to_owned()));
        }
        text::check_kind(text)?;
        if !text::is_whole(text) {
            return Err(step("the text was altered or cut short".to_owned()));
        }
        let file = Self::parse(text)?;
        let (last, tree) = file.alliance.check(alliance, &file.hospital, now)?;
        let entries = file
            .entries
            .iter()
            .map(|entry| entry.check(&tree))
            .collect::<Result<Vec<_>, _>>()?;
        // What was opened is written anew: not a letter may differ.
        if file.to_text() != text {
            return Err(fails(Step::Text)(
                "what stands in clear is not what is proved".to_owned(),
            ));
        }
        Ok(Verified {
            hospital: file.hospital,
            alliance_height: last.height().0,
            alliance_time: last.head.header.time,
            recorded: tree.size(),
            blocks: file.alliance.blocks.len(),
            entries,
        })
    }
}

impl AllianceProof {
    fn check(
        &self,
        trusted: &ChainId,
        hospital: &HospitalId,
        now: TimeMillis,
    ) -> Result<(&LightBlock, HeaderTree), ProofError> {
        let found = self.genesis.chain_id();
        if found != *trusted {
            return Err(fails(Step::Genesis)(format!(
                "the proof is of alliance {found}, trusted is {trusted}"
            )));
        }
        let mut point = Trusted::from_genesis(&self.genesis);
        for block in &self.blocks {
            point = reached(&point, block, now)?;
        }
        let voters = fails(Step::Voters);
        let last = self.blocks.last();
        let last = last.ok_or_else(|| voters("there is no block of the alliance".to_owned()))?;
        let record = fails(Step::Record);
        let proof = StateProof {
            key: tree_key(hospital),
            value: Some(self.record.clone()),
            proof: self.in_state.clone(),
        };
        proof
            .verify(&last.head.header.state_root)
            .map_err(|e| record(e.to_string()))?;
        let tree = codec::decode_exact(&self.record, HeaderTree::MAX_BYTES)
            .map_err(|e| record(e.to_string()))?;
        Ok((last, tree))
    }
}

/// One step of the light client, which needs no block in between.
fn reached(point: &Trusted, block: &LightBlock, now: TimeMillis) -> Result<Trusted, ProofError> {
    let voters = |what: String| {
        fails(Step::Voters)(format!("light block of height {}: {what}", block.height()))
    };
    if block.height() <= point.height() {
        return Err(voters("it is not after the one before it".to_owned()));
    }
    let way = Bisection::beyond_period(point, block.clone(), block, now);
    let mut way = way.map_err(|e| voters(e.to_string()))?;
    match way.advance().map_err(|e| voters(e.to_string()))? {
        Progress::Done(trusted) => Ok(*trusted),
        Progress::Want(height) => Err(voters(format!(
            "too few of the voters known before it signed it; the block of height {height} would be needed"
        ))),
    }
}

/// Opens the entry. Nothing is proved yet.
pub(super) fn open(proof: &EntryProof) -> Result<ClearEntry, OpenError> {
    let entry = proof.sealed.open(&proof.batch, proof.index, &proof.key)?;
    Ok(VerifiedEntry {
        sequence: proof.receipt.first.saturating_add(u64::from(proof.index)),
        class: proof.sealed.class,
        entry,
        chain: proof.header.chain,
        height: proof.header.height.0,
        block_hash: proof.header.hash(),
        block_time: proof.header.time,
        batch: proof.batch,
        index: proof.index,
    })
}

impl EntryProof {
    fn check(&self, tree: &HeaderTree) -> Result<VerifiedEntry, ProofError> {
        let height = self.header.height;
        let of = |step| {
            let number = self.receipt.first.saturating_add(u64::from(self.index));
            move |what: String| fails(step)(format!("entry {number}: {what}"))
        };
        let header = of(Step::Header);
        let path = InclusionProof {
            index: height.0.wrapping_sub(1),
            size: tree.size(),
            path: self.in_headers.clone(),
        };
        tree.check(Height(height.0), &self.header.hash(), &path)
            .map_err(|e| header(format!("the private header of height {height}: {e}")))?;

        let receipt = of(Step::Receipt);
        inclusion(self.sides, &self.in_results)
            .ok_or_else(|| receipt("more sides than siblings".to_owned()))?
            .verify(&self.header.results_root, &codec::encode(&self.receipt))
            .map_err(|e| receipt(e.to_string()))?;

        let batch = of(Step::Batch);
        let path = InclusionProof {
            index: u64::from(self.index),
            size: u64::from(self.receipt.count),
            path: self.in_batch.clone(),
        };
        path.verify(&self.receipt.root, &codec::encode(&self.sealed))
            .map_err(|e| batch(e.to_string()))?;

        open(self).map_err(|e| of(Step::Entry)(e.to_string()))
    }
}
