//! What a chain shows of itself, with proofs.

use super::{Chain, Committed};
use crate::bft::SignedVote;
use crate::store::{Snapshot, StoreError};
use caduceus_crypto::{Hash, merkle};
use caduceus_ledger::{
    Address, CertifiedHeader, Height, StateProofAt, TxProof, Vote, VoteKind, find_tx, tree,
};

/// Certificates looked through for a validator's vote.
const CERTIFICATES_SEARCHED: u64 = 256;

impl Chain {
    /// The newest certified header; none before block 1.
    ///
    /// # Errors
    /// When the database fails.
    pub fn head(&self) -> Result<Option<CertifiedHeader>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(tip) = snapshot.tip()? else {
            return Ok(None);
        };
        snapshot.certified(tip.header.height)
    }

    /// A committed transaction and its result, proved; none also where this node does not keep its block, so that
    /// whoever asks asks another.
    ///
    /// # Errors
    /// When the database fails.
    pub fn prove_tx(&self, id: &Hash) -> Result<Option<TxProof>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(place) = find_tx(&snapshot, id)? else {
            return Ok(None);
        };
        let damaged = |what| StoreError::Damaged {
            height: place.height.0,
            what,
        };
        let block = match snapshot.block(place.height) {
            Err(StoreError::Pruned { .. }) => return Ok(None),
            block => block?.ok_or_else(|| damaged("block"))?,
        };
        let head = snapshot
            .certified(place.height)?
            .ok_or_else(|| damaged("certificate"))?;
        let results = snapshot.results(place.height)?;
        let index = place.index as usize;
        let (Some(tx), Some(result)) = (block.txs.get(index), results.get(index)) else {
            return Err(damaged("results"));
        };
        Ok(Some(TxProof {
            head,
            tx: tx.clone(),
            tx_proof: merkle::prove(&block.txs, index),
            result: result.clone(),
            result_proof: merkle::prove(&results, index),
        }))
    }

    /// A validator's precommit in the newest of the last certificates that has one.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_certified_vote(&self, of: &Address) -> Result<Option<SignedVote>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let tip = self.tip().height.0;
        for height in (tip.saturating_sub(CERTIFICATES_SEARCHED)..=tip).rev() {
            let Some(certificate) = snapshot.certificate(Height(height))? else {
                continue;
            };
            if let Some((voter, signature)) = certificate.signatures.iter().find(|s| s.0 == *of) {
                return Ok(Some(SignedVote {
                    vote: Vote {
                        chain: self.id,
                        kind: VoteKind::Precommit,
                        height: certificate.height,
                        round: certificate.round,
                        block: Some(certificate.block),
                    },
                    voter: *voter,
                    signature: *signature,
                }));
            }
        }
        Ok(None)
    }

    /// What the state holds under a key, proved at the newest height; none before block 1.
    ///
    /// # Errors
    /// When the database fails.
    pub fn prove_state(&self, key: &[u8]) -> Result<Option<StateProofAt>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(tip) = snapshot.tip()? else {
            return Ok(None);
        };
        let Some(head) = snapshot.certified(tip.header.height)? else {
            return Ok(None);
        };
        let proof = tree::prove(&snapshot, tip.header.height.0, key)?;
        Ok(Some(StateProofAt { head, proof }))
    }

    /// The bytes of a committed transaction, from its verified block.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tx_bytes(&self, id: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(place) = find_tx(&snapshot, id)? else {
            return Ok(None);
        };
        let tx = snapshot
            .block(place.height)?
            .and_then(|block| block.txs.into_iter().nth(place.index as usize));
        tx.map(Some).ok_or(StoreError::Damaged {
            height: place.height.0,
            what: "block",
        })
    }
}

/// Where a transaction is committed, if it is.
pub(super) fn committed(snapshot: &Snapshot, id: &Hash) -> Result<Option<Committed>, StoreError> {
    let Some(place) = find_tx(snapshot, id)? else {
        return Ok(None);
    };
    // The results first: they are what a node that prunes lacks.
    let result = snapshot
        .results(place.height)?
        .into_iter()
        .nth(place.index as usize)
        .ok_or(StoreError::Damaged {
            height: place.height.0,
            what: "results",
        })?;
    let block = snapshot
        .block_hash(place.height)?
        .ok_or(StoreError::Damaged {
            height: place.height.0,
            what: "block",
        })?;
    Ok(Some(Committed {
        height: place.height,
        index: place.index,
        block,
        result,
    }))
}
