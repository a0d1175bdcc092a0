//! Batches: entries that were waiting together, under one signature.
//!
//! The signature covers (chain, batch identifier, root); the root is RFC 6962's over the borsh of the sealed entries,
//! so one entry can be proved without the others ([`crate::rules::AuditReceipt`] carries the root into the results).

use super::bucket::{ActionClass, Bucket, month_of};
use super::entry::AuditEntry;
use super::sealed::{BatchId, BatchKey, OpenError, SealError, SealedEntry};
use crate::tx::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_crypto::merkle::{self, InclusionProof, RootBuilder};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use rand_core::{CryptoRng, RngCore};
use std::collections::BTreeMap;

/// Sealed entries under one signature. Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditBatch {
    /// Random identifier; selects the keys within the buckets.
    pub id: BatchId,
    /// The entries, in order.
    pub entries: Vec<SealedEntry>,
    /// The server's key, or a validator's of the chain.
    pub signer: PublicKey,
    /// Signature over (chain, id, root of the entries).
    pub signature: Signature,
}

/// A batch in the making.
pub struct DraftBatch {
    id: BatchId,
    keys: BTreeMap<Bucket, BatchKey>,
    entries: Vec<SealedEntry>,
    bytes: usize,
}

impl DraftBatch {
    /// An empty batch with a fresh identifier.
    pub fn new(rng: &mut (impl CryptoRng + RngCore)) -> Self {
        let mut id = [0u8; 32];
        rng.fill_bytes(&mut id);
        Self {
            id,
            keys: BTreeMap::new(),
            entries: Vec::new(),
            bytes: 0,
        }
    }

    /// Seals an entry and appends it. The class is the caller's, the month that in which it is logged (an entry of
    /// another log may be of long ago), and the key that of this bucket. Gives its index.
    ///
    /// # Errors
    /// [`SealError`] when the entry is too long or of the time to come; the batch is as before.
    pub fn push(
        &mut self,
        bucket_key: &[u8; 32],
        class: ActionClass,
        logged: TimeMillis,
        entry: &AuditEntry,
    ) -> Result<u32, SealError> {
        let bucket = Bucket {
            class,
            month: month_of(logged),
        };
        let id = self.id;
        let key = self
            .keys
            .entry(bucket)
            .or_insert_with(|| BatchKey::derive(bucket_key, bucket, &id));
        let index = u32::try_from(self.entries.len()).expect("a batch is bounded by its bytes");
        let sealed = key.seal(index, entry)?;
        self.bytes += sealed.ciphertext.len() + 8;
        self.entries.push(sealed);
        Ok(index)
    }

    /// Number of entries so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About as many bytes as the entries take in a transaction.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Signs as the server, or as a node for its own deeds.
    pub fn sign(self, chain: &ChainId, signer: &SecretKey) -> AuditBatch {
        let root = root(&self.entries);
        AuditBatch {
            signature: signer.sign(
                domain::AUDIT_BATCH,
                &signed_payload(chain, &(self.id, root)),
            ),
            id: self.id,
            entries: self.entries,
            signer: signer.public(),
        }
    }
}

fn root(entries: &[SealedEntry]) -> Hash {
    let mut tree = RootBuilder::new();
    let mut leaf = Vec::with_capacity(512);
    for entry in entries {
        leaf.clear();
        entry
            .serialize(&mut leaf)
            .expect("writing to memory does not fail");
        tree.push(&leaf);
    }
    tree.root()
}

impl AuditBatch {
    /// RFC 6962 root over the borsh of the entries.
    pub fn root(&self) -> Hash {
        root(&self.entries)
    }

    /// Whether the signer signed these entries, whose root is `root`, for this chain.
    pub fn is_signed(&self, chain: &ChainId, root: &Hash) -> bool {
        self.signer
            .verify(
                domain::AUDIT_BATCH,
                &signed_payload(chain, &(self.id, root)),
                &self.signature,
            )
            .is_ok()
    }

    /// Proves that the entry at this index is under the root; none if there is no such entry.
    pub fn prove(&self, index: u32) -> Option<InclusionProof> {
        let index = usize::try_from(index).ok()?;
        if index >= self.entries.len() {
            return None;
        }
        let leaves: Vec<Vec<u8>> = self.entries.iter().map(codec::encode).collect();
        Some(merkle::prove(&leaves, index))
    }

    /// Opens the entry at an index with the key of its bucket. Whoever opens many derives a [`BatchKey`] once.
    ///
    /// # Errors
    /// [`OpenError`] says which layer does not hold.
    ///
    /// # Panics
    /// When there is no such entry.
    pub fn open(&self, index: u32, bucket_key: &[u8; 32]) -> Result<AuditEntry, OpenError> {
        let at = usize::try_from(index).expect("an index fits in memory");
        let sealed = self.entries.get(at).expect("the entry is of this batch");
        BatchKey::derive(bucket_key, sealed.bucket(), &self.id).open(index, sealed)
    }

    /// The buckets of the entries.
    pub fn buckets(&self) -> std::collections::BTreeSet<Bucket> {
        self.entries.iter().map(SealedEntry::bucket).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, NOW};

    fn batch(count: u64) -> AuditBatch {
        let mut draft = DraftBatch::new(&mut testing::rng(1));
        for n in 0..count {
            let mut entry = testing::entry(NOW);
            entry.reference = n.to_string().into();
            let class = ActionClass::ALL[usize::try_from(n % 2).unwrap()];
            let index = draft.push(&[n as u8 % 2; 32], class, NOW, &entry).unwrap();
            assert_eq!(u64::from(index), n);
        }
        draft.sign(&testing::chain(), &testing::server())
    }

    #[test]
    fn one_signature_covers_every_entry_and_its_place() {
        let batch = batch(5);
        let root = batch.root();
        assert!(batch.is_signed(&testing::chain(), &root));
        assert!(!batch.is_signed(&testing::other_chain(), &root));
        let mut swapped = batch.clone();
        swapped.entries.swap(0, 1);
        let mut altered = batch.clone();
        altered.entries[4].ciphertext[0] ^= 1;
        let mut shorter = batch.clone();
        shorter.entries.pop();
        for wrong in [swapped, altered, shorter] {
            assert_ne!(wrong.root(), root);
            assert!(!wrong.is_signed(&testing::chain(), &wrong.root()));
        }
        let mut renamed = batch.clone();
        renamed.id[0] ^= 1;
        assert!(!renamed.is_signed(&testing::chain(), &root));
    }

    #[test]
    fn each_entry_is_proved_without_the_others_and_opens_under_its_bucket() {
        let batch = batch(7);
        let root = batch.root();
        for index in 0..7u32 {
            let sealed = &batch.entries[usize::try_from(index).unwrap()];
            let proof = batch.prove(index).unwrap();
            proof.verify(&root, &codec::encode(sealed)).unwrap();
            let key = [index as u8 % 2; 32];
            let entry = batch.open(index, &key).unwrap();
            assert_eq!(&*entry.reference, index.to_string());
            assert!(batch.open(index, &[index as u8 % 2 + 1; 32]).is_err());
        }
        assert!(batch.prove(7).is_none());
        assert_eq!(batch.buckets().len(), 2);
    }
}
