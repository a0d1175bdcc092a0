//! Votes and commit certificates: what makes a header final (DESIGN 4.5).

use crate::block::Header;
use crate::types::{Address, ChainId, Height, ValidatorSet};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, Signature, codec, domain};
use std::collections::BTreeSet;

/// The two voting steps of Tendermint (arXiv:1807.04938).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum VoteKind {
    /// First step.
    Prevote,
    /// Second step; more than 2/3 of the power for one block decides it.
    Precommit,
}

/// What a validator signs when it votes. The chain identifier is inside, so a vote is worth nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// The chain.
    pub chain: ChainId,
    /// The step.
    pub kind: VoteKind,
    /// The height.
    pub height: Height,
    /// The round, from 0.
    pub round: u32,
    /// The block voted for, or none.
    pub block: Option<Hash>,
}

impl Vote {
    /// The signed bytes.
    pub fn sign_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// Precommits by more than two thirds of the voting power for one block. Certificates for one block differ
/// from node to node, so no root contains one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// The decided height.
    pub height: Height,
    /// The round of the precommits.
    pub round: u32,
    /// The decided block.
    pub block: Hash,
    /// Who signed.
    pub signatures: Vec<(Address, Signature)>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is about another block than the header given.
    #[error("the certificate is for block {found}, not {expected}")]
    OtherBlock {
        /// Hash of the header given.
        expected: Hash,
        /// Hash in the certificate.
        found: Hash,
    },
    /// It is about another height than the header given.
    #[error("the certificate is for height {found}, not {expected}")]
    OtherHeight {
        /// Height of the header.
        expected: Height,
        /// Height in the certificate.
        found: Height,
    },
    /// A signer that does not vote at this height.
    #[error("{signer} is not a validator")]
    Stranger {
        /// The signer.
        signer: Address,
    },
    /// One validator counted twice.
    #[error("{signer} signed twice")]
    Repeated {
        /// The signer.
        signer: Address,
    },
    /// A signature that does not verify.
    #[error("the signature of {signer} is wrong")]
    BadSignature {
        /// The signer.
        signer: Address,
    },
    /// Too little power.
    #[error("{power} of {total} voting power signed, more than two thirds needed")]
    NoQuorum {
        /// Power that signed.
        power: u64,
        /// Total power.
        total: u64,
    },
}

impl Certificate {
    /// Checks that more than 2/3 of the set's power precommitted this certificate's block.
    ///
    /// # Errors
    /// [`CertificateError`] names the rule broken.
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        let vote = Vote {
            chain: *chain,
            kind: VoteKind::Precommit,
            height: self.height,
            round: self.round,
            block: Some(self.block),
        };
        let bytes = vote.sign_bytes();
        let mut seen = BTreeSet::new();
        let mut power = 0u64;
        for (signer, signature) in &self.signatures {
            if !seen.insert(*signer) {
                return Err(CertificateError::Repeated { signer: *signer });
            }
            let Some(validator) = set.get(signer) else {
                return Err(CertificateError::Stranger { signer: *signer });
            };
            validator
                .key
                .verify(domain::VOTE, &bytes, signature)
                .map_err(|_| CertificateError::BadSignature { signer: *signer })?;
            power += validator.power;
        }
        if !set.is_quorum(power) {
            return Err(CertificateError::NoQuorum {
                power,
                total: set.total_power(),
            });
        }
        Ok(())
    }
}

/// A header with the certificate that decided it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// The certificate on it.
    pub certificate: Certificate,
}

impl CertifiedHeader {
    /// Checks that the certificate is on this header and that the set signed it.
    ///
    /// # Errors
    /// [`CertificateError`] names the rule broken.
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        let expected = self.header.hash();
        if self.certificate.block != expected {
            return Err(CertificateError::OtherBlock {
                expected,
                found: self.certificate.block,
            });
        }
        if self.certificate.height != self.header.height {
            return Err(CertificateError::OtherHeight {
                expected: self.header.height,
                found: self.certificate.height,
            });
        }
        self.certificate.verify(chain, set)
    }
}
