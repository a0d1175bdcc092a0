//! Signing through the last-signed guard, and verifying.

use super::context::{BftProposal, BftVote, Bip340, Ctx};
use super::wal::actor::{Myself, encode};
use super::wal::{Journal, Own, WalError};
use async_trait::async_trait;
use caduceus_crypto::{PublicKey, SecretKey, Signature, domain};
use caduceus_ledger::ChainId;
use malachitebft_app_channel::app::consensus::Input;
use malachitebft_app_channel::app::types::core::{
    SignedMessage, ValidatorProof, VoteExtensionScope,
};
use malachitebft_signing::{Error, Signer, VerificationResult, Verifier};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Signs with one validator key, never two values for one height, round and step.
pub struct GuardedSigner {
    pub myself: Myself,
    pub key: SecretKey,
    pub journal: Arc<Mutex<Journal>>,
    /// Set when the guard refused: the node observes until that height has passed.
    pub refused: Arc<AtomicBool>,
}

impl GuardedSigner {
    /// Signs with the guard's leave; durable in log and guard when it returns.
    fn signed(&self, own: Own, sign: impl FnOnce() -> Input<Ctx>) -> Result<Input<Ctx>, Error> {
        let outcome: Result<Input<Ctx>, WalError> = tokio::task::block_in_place(|| {
            let mut journal = self.journal.lock().expect("no holder of this lock panics");
            journal.request(own)?;
            let input = sign();
            let entry = encode(input.clone()).map_err(|source| WalError::Entry { source })?;
            journal.append(own.height, &entry, Some(own))?;
            Ok(input)
        });
        outcome.map_err(|e| {
            tracing::error!(error = %e, "a vote or proposal is not signed");
            if e.is_refusal() {
                self.refused.store(true, Ordering::SeqCst);
            }
            Error::from_source(e)
        })
    }
}

/// The proof that the holder of a validator's key runs the peer of this identity.
pub fn validator_proof(
    key: &SecretKey,
    public_key: Vec<u8>,
    peer_id: Vec<u8>,
) -> ValidatorProof<Ctx> {
    let bytes = ValidatorProof::<Ctx>::signing_bytes(&public_key, &peer_id);
    let signature = key.sign(domain::VALIDATOR_PROOF, &bytes);
    ValidatorProof::new(public_key, peer_id, signature)
}

#[async_trait]
impl Signer<Ctx> for GuardedSigner {
    async fn sign_vote(&self, vote: BftVote) -> Result<SignedMessage<Ctx, BftVote>, Error> {
        let signed = vote.to_ledger(self.myself.chain).ok_or_else(Error::new)?;
        let own = self.myself.vote(&vote).ok_or_else(Error::new)?;
        let input = self.signed(own, || {
            let signature = self.key.sign(domain::VOTE, &signed.sign_bytes());
            Input::Vote(SignedMessage::new(vote, signature))
        })?;
        match input {
            Input::Vote(vote) => Ok(vote),
            _ => Err(Error::new()),
        }
    }

    async fn sign_proposal(
        &self,
        proposal: BftProposal,
    ) -> Result<SignedMessage<Ctx, BftProposal>, Error> {
        let own = self.myself.proposal(&proposal).ok_or_else(Error::new)?;
        let bytes = proposal.sign_bytes(self.myself.chain);
        let input = self.signed(own, || {
            let signature = self.key.sign(domain::PROPOSAL, &bytes);
            Input::Proposal(SignedMessage::new(proposal, signature))
        })?;
        match input {
            Input::Proposal(proposal) => Ok(proposal),
            _ => Err(Error::new()),
        }
    }

    async fn sign_vote_extension(
        &self,
        _scope: VoteExtensionScope<Ctx>,
        _extension: Vec<u8>,
    ) -> Result<SignedMessage<Ctx, Vec<u8>>, Error> {
        Err(Error::from_source("vote extensions are disabled"))
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<Ctx>, Error> {
        Ok(validator_proof(&self.key, public_key, peer_id))
    }
}

/// Verifies what other validators signed.
pub struct ChainVerifier {
    pub chain: ChainId,
}

fn judged(ok: bool) -> Result<VerificationResult, Error> {
    Ok(VerificationResult::from_bool(ok))
}

#[async_trait]
impl Verifier<Ctx> for ChainVerifier {
    async fn verify_signed_vote(
        &self,
        vote: &BftVote,
        signature: &Signature,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        judged(
            vote.to_ledger(self.chain)
                .is_some_and(|v| key.verify(domain::VOTE, &v.sign_bytes(), signature).is_ok()),
        )
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &BftProposal,
        signature: &Signature,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        judged(
            key.verify(
                domain::PROPOSAL,
                &proposal.sign_bytes(self.chain),
                signature,
            )
            .is_ok(),
        )
    }

    async fn verify_signed_vote_extension(
        &self,
        _scope: &VoteExtensionScope<Ctx>,
        _extension: &Vec<u8>,
        _signature: &Signature,
        _key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        judged(false)
    }

    async fn verify_validator_proof(
        &self,
        proof: &ValidatorProof<Ctx>,
    ) -> Result<VerificationResult, Error> {
        use malachitebft_app_channel::app::types::core::SigningScheme;
        let Ok(key) = Bip340::decode_public_key(&proof.public_key) else {
            return judged(false);
        };
        judged(
            key.verify(domain::VALIDATOR_PROOF, &proof.preimage(), &proof.signature)
                .is_ok(),
        )
    }
}
