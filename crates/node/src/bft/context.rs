//! Malachite's `Context` for our chains: value = block hash, votes as in [`caduceus_ledger::Vote`].

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, PublicKey, SecretKey, Signature};
use caduceus_ledger::{Address, ChainId, Height, ValidatorSet, VoteKind};
use mala::{LinearTimeouts, NilOrVal, Round, SignedExtension, VoteType, VotingPower};
use malachitebft_app_channel::app::types::core as mala;
use std::fmt;
use std::sync::Arc;

/// See [`mala::Context`].
#[derive(Clone, Debug)]
pub struct Ctx;

/// A height; [`Height`] as Malachite wants it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct BftHeight(pub u64);

impl fmt::Display for BftHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<BftHeight> for Height {
    fn from(h: BftHeight) -> Height {
        Height(h.0)
    }
}

impl mala::Height for BftHeight {
    const ZERO: Self = BftHeight(0);
    const INITIAL: Self = BftHeight(1);

    fn increment_by(&self, n: u64) -> Self {
        BftHeight(self.0 + n)
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(BftHeight)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// A validator address; [`Address`] as Malachite wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct BftAddress(pub Address);

impl fmt::Display for BftAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl mala::Address for BftAddress {}

/// What is decided: a block's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct BftValue(pub Hash);

impl mala::Value for BftValue {
    type Id = Hash;

    fn id(&self) -> Hash {
        self.0
    }
}

/// A validator with its address at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BftValidator {
    address: BftAddress,
    key: PublicKey,
    power: VotingPower,
}

impl mala::Validator<Ctx> for BftValidator {
    fn address(&self) -> &BftAddress {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        self.power
    }
}

/// A validator set, in address order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BftValidatorSet(Arc<Vec<BftValidator>>);

impl From<&ValidatorSet> for BftValidatorSet {
    fn from(set: &ValidatorSet) -> Self {
        let validators = set
            .iter()
            .map(|v| BftValidator {
                address: BftAddress(v.address()),
                key: v.key,
                power: v.power,
            })
            .collect();
        Self(Arc::new(validators))
    }
}

impl mala::ValidatorSet<Ctx> for BftValidatorSet {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.0.iter().map(|v| v.power).sum()
    }

    fn get_by_address(&self, address: &BftAddress) -> Option<&BftValidator> {
        self.0.iter().find(|v| v.address == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&BftValidator> {
        self.0.get(index)
    }
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BftVote {
    pub kind: VoteKind,
    pub height: BftHeight,
    pub round: Round,
    pub value: NilOrVal<Hash>,
    pub address: BftAddress,
}

impl BftVote {
    /// The vote as it is signed and as light clients know it; none if the round is undefined.
    pub fn to_ledger(&self, chain: ChainId) -> Option<caduceus_ledger::Vote> {
        Some(caduceus_ledger::Vote {
            chain,
            kind: self.kind,
            height: self.height.into(),
            round: self.round.as_u32()?,
            block: match &self.value {
                NilOrVal::Nil => None,
                NilOrVal::Val(id) => Some(*id),
            },
        })
    }
}

impl mala::Vote<Ctx> for BftVote {
    fn height(&self) -> BftHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<Hash> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<Hash> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        match self.kind {
            VoteKind::Prevote => VoteType::Prevote,
            VoteKind::Precommit => VoteType::Precommit,
        }
    }

    fn validator_address(&self) -> &BftAddress {
        &self.address
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }

    // Vote extensions are disabled for every height.
    fn extend(self, _extension: SignedExtension<Ctx>) -> Self {
        self
    }
}

/// A proposal: names a block, whose bytes travel as parts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BftProposal {
    pub height: BftHeight,
    pub round: Round,
    pub value: BftValue,
    pub pol_round: Round,
    pub address: BftAddress,
}

impl BftProposal {
    /// The signed bytes: chain identifier and the whole proposal.
    pub fn sign_bytes(&self, chain: ChainId) -> Vec<u8> {
        caduceus_crypto::codec::encode(&(chain, self.clone()))
    }
}

impl mala::Proposal<Ctx> for BftProposal {
    fn height(&self) -> BftHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BftValue {
        &self.value
    }

    fn take_value(self) -> BftValue {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &BftAddress {
        &self.address
    }
}

/// One piece of a proposed block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BftPart {
    pub height: BftHeight,
    pub round: Round,
    pub valid_round: Round,
    pub proposer: BftAddress,
    pub block: Hash,
    pub index: u16,
    pub count: u16,
    pub bytes: Vec<u8>,
}

impl mala::ProposalPart<Ctx> for BftPart {
    fn is_first(&self) -> bool {
        self.index == 0
    }

    fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }
}

/// BIP-340 signatures, as everywhere in Caduceus (ADR 0002).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bip340;

impl mala::SigningScheme for Bip340 {
    type DecodingError = String;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = SecretKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature, String> {
        Ok(Signature(bytes.try_into().map_err(|_| {
            format!("{} bytes, 64 expected", bytes.len())
        })?))
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, String> {
        PublicKey::from_bytes(bytes).map_err(|e| e.to_string())
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl mala::Context for Ctx {
    type Address = BftAddress;
    type Height = BftHeight;
    type ProposalPart = BftPart;
    type Proposal = BftProposal;
    type Validator = BftValidator;
    type ValidatorSet = BftValidatorSet;
    type Timeouts = LinearTimeouts;
    type Value = BftValue;
    type Vote = BftVote;
    type Extension = Vec<u8>;
    type SigningScheme = Bip340;

    fn select_proposer<'a>(
        &self,
        set: &'a BftValidatorSet,
        height: BftHeight,
        round: Round,
    ) -> &'a BftValidator {
        let turn = height
            .0
            .wrapping_add(u64::from(round.as_u32().unwrap_or(0)));
        &set.0[(turn % set.0.len() as u64) as usize]
    }

    fn new_proposal(
        &self,
        height: BftHeight,
        round: Round,
        value: BftValue,
        pol_round: Round,
        address: BftAddress,
    ) -> BftProposal {
        BftProposal {
            height,
            round,
            value,
            pol_round,
            address,
        }
    }

    fn new_prevote(
        &self,
        height: BftHeight,
        round: Round,
        value: NilOrVal<Hash>,
        address: BftAddress,
    ) -> BftVote {
        BftVote {
            kind: VoteKind::Prevote,
            height,
            round,
            value,
            address,
        }
    }

    fn new_precommit(
        &self,
        height: BftHeight,
        round: Round,
        value: NilOrVal<Hash>,
        address: BftAddress,
    ) -> BftVote {
        BftVote {
            kind: VoteKind::Precommit,
            height,
            round,
            value,
            address,
        }
    }
}
