//! What an officer sees of a record: header and emergency wrap, with the proof that they are that record's.
//!
//! Without the proof a server could show the wrap of one record under the name of another: officers and log would
//! speak of the second while the first is opened.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{CheckedEmergencyKey, EmergencyWrap, EmergencyWrapError, VerifiedWrap};
use crate::hash::Hash;
use crate::merkle::{self, BadProof, InclusionProof};
use crate::record::{RecordHeader, SealedView, VERSION_EMERGENCY};

/// Most bytes of an encoded excerpt: header, wrap, and two paths in a tree of a record's segments.
pub const MAX_EXCERPT_BYTES: usize = 4 * 1024;

/// Where the header stands among the leaves of a record hash.
const HEADER_LEAF: u64 = 0;
/// Where the emergency wrap does.
const WRAP_LEAF: u64 = 2;

/// Why an excerpt is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExcerptError {
    /// The header is that of a record without an emergency wrap.
    #[error("the record has no emergency wrap")]
    Version,
    /// Header or wrap stand at another place of the record than they do.
    #[error("the excerpt's proofs are for other parts of the record")]
    Place,
    /// Header or wrap are not the record's.
    #[error("the excerpt is not the record's: {0}")]
    Proof(#[from] BadProof),
    /// The wrap is not good for this record and key.
    #[error(transparent)]
    Wrap(#[from] EmergencyWrapError),
}

/// Header and emergency wrap of a record: nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyExcerpt {
    /// The record.
    pub record_hash: Hash,
    /// Its header.
    pub header: RecordHeader,
    /// Its emergency wrap.
    pub wrap: EmergencyWrap,
    /// That the header is under the record hash.
    pub header_proof: InclusionProof,
    /// That the wrap is.
    pub wrap_proof: InclusionProof,
}

impl EmergencyExcerpt {
    /// The excerpt of a record; none if it has no emergency wrap. Reads every byte.
    pub fn of(view: &SealedView<'_>) -> Option<Self> {
        let wrap = view.emergency.clone()?;
        let leaves = view.leaves();
        let prove = |leaf: u64| {
            let index = usize::try_from(leaf).expect("one of the first leaves");
            merkle::prove(&leaves, index)
        };
        Some(EmergencyExcerpt {
            record_hash: view.record_hash(),
            header: view.header,
            wrap,
            header_proof: prove(HEADER_LEAF),
            wrap_proof: prove(WRAP_LEAF),
        })
    }

    /// Checks that header and wrap are the record's, and that the wrap was made for it under the key.
    ///
    /// # Errors
    /// [`ExcerptError`].
    pub fn verify(&self, key: &CheckedEmergencyKey) -> Result<VerifiedWrap, ExcerptError> {
        if self.header.version != VERSION_EMERGENCY {
            return Err(ExcerptError::Version);
        }
        if (self.header_proof.index, self.wrap_proof.index) != (HEADER_LEAF, WRAP_LEAF)
            || self.header_proof.size != self.wrap_proof.size
        {
            return Err(ExcerptError::Place);
        }
        self.header_proof
            .verify(&self.record_hash, &self.header.to_bytes())?;
        self.wrap_proof
            .verify(&self.record_hash, &self.wrap.to_bytes())?;
        Ok(self.wrap.clone().verify(key, self.header.hash())?)
    }
}
