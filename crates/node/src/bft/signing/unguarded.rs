//! A signer that signs whatever it is asked to: for the control of a crash test, which must find double signatures.

use crate::bft::context::{BftProposal, BftVote, Ctx};
use crate::bft::signer::validator_proof;
use async_trait::async_trait;
use caduceus_crypto::{SecretKey, domain};
use caduceus_ledger::ChainId;
use malachitebft_app_channel::app::types::core::{
    SignedMessage, ValidatorProof, VoteExtensionScope,
};
use malachitebft_signing::{Error, Signer};

pub(super) struct UnguardedSigner {
    pub chain: ChainId,
    pub key: SecretKey,
}

#[async_trait]
impl Signer<Ctx> for UnguardedSigner {
    async fn sign_vote(&self, vote: BftVote) -> Result<SignedMessage<Ctx, BftVote>, Error> {
        let plain = vote.to_ledger(self.chain).ok_or_else(Error::new)?;
        let signature = self.key.sign(domain::VOTE, &plain.sign_bytes());
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(
        &self,
        proposal: BftProposal,
    ) -> Result<SignedMessage<Ctx, BftProposal>, Error> {
        let bytes = proposal.sign_bytes(self.chain);
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
        Ok(validator_proof(&self.key, public_key, peer_id))
    }
}
