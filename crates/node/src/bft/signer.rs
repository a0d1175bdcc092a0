//! Signing through the last-signed guard, and verifying.

use super::context::{BftProposal, BftVote, Bip340, Ctx};
use crate::guard::{Guard, GuardError, Step};
use async_trait::async_trait;
use caduceus_crypto::{Hash, PublicKey, SecretKey, Signature, domain, hash};
use caduceus_ledger::{ChainId, VoteKind};
use malachitebft_app_channel::app::types::core::{
    SignedMessage, ValidatorProof, VoteExtensionScope,
};
use malachitebft_signing::{Error, Signer, VerificationResult, Verifier};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Signs with one validator key, never two values for one height, round and step.
pub struct GuardedSigner {
    pub chain: ChainId,
    pub key: SecretKey,
    pub guard: Arc<Mutex<Guard>>,
    /// Set when the guard refused: the node observes until that height has passed.
    pub refused: Arc<AtomicBool>,
}

impl GuardedSigner {
    fn record(&self, height: u64, round: u32, step: Step, value: Hash) -> Result<(), Error> {
        // A lock, a write and an fdatasync: about 0.3 ms.
        let outcome: Result<(), GuardError> = tokio::task::block_in_place(|| {
            self.guard
                .lock()
                .expect("no holder of this lock panics")
                .record(height, round, step, value)
        });
        outcome.map_err(|e| {
            tracing::error!(error = %e, "the last-signed guard refused a signature");
            self.refused.store(true, Ordering::SeqCst);
            Error::from_source(e)
        })
    }
}

#[async_trait]
impl Signer<Ctx> for GuardedSigner {
    async fn sign_vote(&self, vote: BftVote) -> Result<SignedMessage<Ctx, BftVote>, Error> {
        let signed = vote.to_ledger(self.chain).ok_or_else(Error::new)?;
        let step = match vote.kind {
            VoteKind::Prevote => Step::Prevote,
            VoteKind::Precommit => Step::Precommit,
        };
        // Nil votes have a value of their own, so nil after a block is a conflict too.
        self.record(
            vote.height.0,
            signed.round,
            step,
            signed.block.unwrap_or(Hash::ZERO),
        )?;
        let signature = self.key.sign(domain::VOTE, &signed.sign_bytes());
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(
        &self,
        proposal: BftProposal,
    ) -> Result<SignedMessage<Ctx, BftProposal>, Error> {
        let round = proposal.round.as_u32().ok_or_else(Error::new)?;
        let bytes = proposal.sign_bytes(self.chain);
        self.record(
            proposal.height.0,
            round,
            Step::Proposal,
            hash(domain::PROPOSAL, &[&bytes]),
        )?;
        let signature = self.key.sign(domain::PROPOSAL, &bytes);
        Ok(SignedMessage::new(proposal, signature))
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
        let bytes = ValidatorProof::<Ctx>::signing_bytes(&public_key, &peer_id);
        let signature = self.key.sign(domain::VALIDATOR_PROOF, &bytes);
        Ok(ValidatorProof::new(public_key, peer_id, signature))
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
