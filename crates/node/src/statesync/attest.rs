//! Validators' signatures that their own state gives a manifest.

use super::manifest::Manifest;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, SecretKey, Signature, domain};
use caduceus_ledger::{Address, ValidatorSet};
use std::collections::BTreeMap;

/// One validator's signature over a manifest's hash, which names chain and height.
///
/// Bytes: signer (20), signature (64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Attestation {
    /// The validator.
    pub signer: Address,
    /// Its signature.
    pub signature: Signature,
}

/// Why attestations are not enough.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// A signer that did not vote at this height.
    #[error("{signer} is not a validator of the snapshot's height")]
    Stranger {
        /// The signer.
        signer: Address,
    },
    /// A signature that does not verify.
    #[error("the attestation of {signer} is wrong")]
    BadSignature {
        /// The signer.
        signer: Address,
    },
    /// One validator counted twice.
    #[error("{signer} attests twice")]
    Repeated {
        /// The signer.
        signer: Address,
    },
    /// Too little power.
    #[error("{power} of {total} voting power attest, more than two thirds needed")]
    NoQuorum {
        /// Power that attests.
        power: u64,
        /// Total power.
        total: u64,
    },
}

impl Attestation {
    /// Signs a manifest that was cut from the signer's own state.
    #[must_use]
    pub fn sign(manifest: &Hash, key: &SecretKey) -> Self {
        Self {
            signer: Address::of(&key.public()),
            signature: key.sign(domain::SNAPSHOT_ATTESTATION, manifest.as_bytes()),
        }
    }

    /// Checks it and returns the signer's power.
    ///
    /// # Errors
    /// [`AttestationError`] names the rule broken.
    pub fn verify(&self, manifest: &Hash, voters: &ValidatorSet) -> Result<u64, AttestationError> {
        let signer = self.signer;
        let validator = voters
            .get(&signer)
            .ok_or(AttestationError::Stranger { signer })?;
        validator
            .key
            .verify(
                domain::SNAPSHOT_ATTESTATION,
                manifest.as_bytes(),
                &self.signature,
            )
            .map_err(|_| AttestationError::BadSignature { signer })?;
        Ok(validator.power)
    }
}

/// Attestations that were checked, one a validator.
#[derive(Clone, Debug, Default)]
pub struct Attestations(BTreeMap<Address, (Attestation, u64)>);

impl Attestations {
    /// Checks a list as a whole.
    ///
    /// # Errors
    /// [`AttestationError`] names the rule broken; that the power is too little is none here.
    pub fn check(list: &[Attestation], manifest: &Manifest) -> Result<Self, AttestationError> {
        let hash = manifest.hash();
        let mut checked = BTreeMap::new();
        for attestation in list {
            let power = attestation.verify(&hash, &manifest.voters)?;
            let signer = attestation.signer;
            if checked.insert(signer, (*attestation, power)).is_some() {
                return Err(AttestationError::Repeated { signer });
            }
        }
        Ok(Self(checked))
    }

    /// Takes what is new and holds of what somebody sent; the rest is worth nothing. True if something was new.
    pub fn add(&mut self, list: &[Attestation], manifest: &Manifest) -> bool {
        let hash = manifest.hash();
        let before = self.0.len();
        for attestation in list.iter().take(ValidatorSet::MAX) {
            if self.0.contains_key(&attestation.signer) {
                continue;
            }
            if let Ok(power) = attestation.verify(&hash, &manifest.voters) {
                self.0.insert(attestation.signer, (*attestation, power));
            }
        }
        self.0.len() > before
    }

    /// Checks that more than two thirds of the power that voted on the manifest's height attest to it.
    ///
    /// # Errors
    /// [`AttestationError::NoQuorum`].
    pub fn quorum(&self, voters: &ValidatorSet) -> Result<(), AttestationError> {
        let power = self.0.values().map(|(_, power)| power).sum();
        if voters.is_quorum(power) {
            return Ok(());
        }
        Err(AttestationError::NoQuorum {
            power,
            total: voters.total_power(),
        })
    }

    /// All of them, by signer.
    pub fn list(&self) -> Vec<Attestation> {
        self.0
            .values()
            .map(|(attestation, _)| *attestation)
            .collect()
    }
}
