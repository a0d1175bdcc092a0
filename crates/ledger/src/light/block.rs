//! What a node shows of one height to a client that does not know the height's voters.

use super::LightError;
use crate::certificate::CertifiedHeader;
use crate::types::{ChainId, Height, ValidatorSet};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;

/// Largest encoded light block: header and certificate below 12 kB, two sets of [`ValidatorSet::MAX`] voters at
/// 41 bytes each.
pub const MAX_LIGHT_BLOCK_BYTES: usize = 24 * 1024;

/// A certified header with the sets that it names. As it comes from a node it proves nothing: [`super::step`] does.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LightBlock {
    /// Header and certificate.
    pub head: CertifiedHeader,
    /// The set that voted on it.
    pub validators: ValidatorSet,
    /// The set that votes on the next height.
    pub next_validators: ValidatorSet,
}

impl LightBlock {
    /// The height.
    pub fn height(&self) -> Height {
        self.head.header.height
    }

    /// Hash of the header.
    pub fn hash(&self) -> Hash {
        self.head.header.hash()
    }

    /// Checks the block in itself: it is of the chain, both sets are those that the header names, and more than
    /// 2/3 of its own set certified it. Whether that set is the chain's is not checked here.
    ///
    /// # Errors
    /// [`LightError`] names the check that failed.
    pub fn check(&self, chain: &ChainId) -> Result<(), LightError> {
        let header = &self.head.header;
        let height = header.height;
        if header.chain != *chain {
            return Err(LightError::OtherChain {
                expected: *chain,
                found: header.chain,
            });
        }
        if self.validators.hash() != header.validators {
            return Err(LightError::WrongSet { height });
        }
        if self.next_validators.hash() != header.next_validators {
            return Err(LightError::WrongNextSet { height });
        }
        Ok(self.head.verify(chain, &self.validators)?)
    }
}
