//! Proofs that a client checks against a certified header.

use crate::block::tx_id;
use crate::certificate::CertifiedHeader;
use crate::light::{LightClient, LightError};
use crate::tree::StateProof;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, merkle::InclusionProof};

/// A committed transaction with its result, both proved against one certified header.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxProof {
    /// The block that holds it.
    pub head: CertifiedHeader,
    /// The transaction.
    pub tx: Vec<u8>,
    /// Its inclusion under the transactions root; its index is the position in the block.
    pub tx_proof: InclusionProof,
    /// The result.
    pub result: Vec<u8>,
    /// Its inclusion under the results root, at the same index.
    pub result_proof: InclusionProof,
}

impl TxProof {
    /// Checks certificate and both inclusions, and that this is the transaction asked for.
    ///
    /// # Errors
    /// [`LightError`] names the check that failed.
    pub fn verify(&self, client: &LightClient, id: &Hash) -> Result<(), LightError> {
        client.verify_header(&self.head)?;
        let found = tx_id(&self.tx);
        if found != *id {
            return Err(LightError::OtherTransaction {
                expected: *id,
                found,
            });
        }
        if self.tx_proof.index != self.result_proof.index
            || self.tx_proof.size != self.result_proof.size
        {
            return Err(LightError::ResultOfAnother);
        }
        self.tx_proof
            .verify(&self.head.header.txs_root, &self.tx)
            .map_err(|_| LightError::NotIncluded {
                what: "transaction",
            })?;
        self.result_proof
            .verify(&self.head.header.results_root, &self.result)
            .map_err(|_| LightError::NotIncluded { what: "result" })
    }
}

/// A state value, or its absence, proved against a certified header.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateProofAt {
    /// The header whose state root the proof leads to.
    pub head: CertifiedHeader,
    /// The proof.
    pub proof: StateProof,
}

impl StateProofAt {
    /// Checks certificate and proof and returns the value, none meaning proved absent.
    ///
    /// # Errors
    /// [`LightError`] names the check that failed.
    pub fn verify(&self, client: &LightClient, key: &[u8]) -> Result<Option<&[u8]>, LightError> {
        client.verify_header(&self.head)?;
        if self.proof.key != key {
            return Err(LightError::NotIncluded { what: "state key" });
        }
        self.proof
            .verify(&self.head.header.state_root)
            .map_err(|_| LightError::NotIncluded {
                what: "state value",
            })
    }
}
