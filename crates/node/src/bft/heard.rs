//! The newest vote of each validator, with a signature that was checked: who is there, and what a validator that lost
//! its memory signed.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{PublicKey, Signature, domain};
use caduceus_ledger::{Address, Certificate, ChainId, ValidatorSet, Vote, VoteKind};
use std::collections::BTreeMap;

/// A vote as a third party can check it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedVote {
    /// The vote.
    pub vote: Vote,
    /// Who signed it.
    pub voter: Address,
    /// Over [`Vote::sign_bytes`].
    pub signature: Signature,
}

impl SignedVote {
    /// Whether a key signed it.
    pub fn is_by(&self, key: &PublicKey) -> bool {
        self.voter == Address::of(key)
            && key
                .verify(domain::VOTE, &self.vote.sign_bytes(), &self.signature)
                .is_ok()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Heard(BTreeMap<Address, SignedVote>);

fn place(vote: &Vote) -> (u64, u32, u8) {
    let step = match vote.kind {
        VoteKind::Prevote => 0,
        VoteKind::Precommit => 1,
    };
    (vote.height.0, vote.round, step)
}

impl Heard {
    fn is_newer(&self, vote: &SignedVote) -> bool {
        self.0
            .get(&vote.voter)
            .is_none_or(|known| place(&vote.vote) > place(&known.vote))
    }

    /// Takes a vote that came in, if it is its voter's newest and truly its.
    pub fn hear(&mut self, chain: ChainId, voters: &ValidatorSet, vote: &SignedVote) {
        if vote.vote.chain != chain || !self.is_newer(vote) {
            return;
        }
        let voter = voters.iter().find(|v| v.address() == vote.voter);
        if voter.is_some_and(|voter| vote.is_by(&voter.key)) {
            self.0.insert(vote.voter, vote.clone());
        }
    }

    /// Takes the votes of a certificate that was verified.
    pub fn take(&mut self, chain: ChainId, certificate: &Certificate) {
        for (voter, signature) in &certificate.signatures {
            let vote = SignedVote {
                vote: Vote {
                    chain,
                    kind: VoteKind::Precommit,
                    height: certificate.height,
                    round: certificate.round,
                    block: Some(certificate.block),
                },
                voter: *voter,
                signature: *signature,
            };
            if self.is_newer(&vote) {
                self.0.insert(*voter, vote);
            }
        }
    }

    /// The newest vote of a validator.
    pub fn last(&self, of: &Address) -> Option<&SignedVote> {
        self.0.get(of)
    }

    /// Whether a validator was heard at a height and round, or beyond.
    pub fn reached(&self, of: &Address, (height, round): (u64, u32)) -> bool {
        self.last(of)
            .is_some_and(|known| (known.vote.height.0, known.vote.round) >= (height, round))
    }
}
