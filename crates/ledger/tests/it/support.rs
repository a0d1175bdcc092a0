//! A chain of notes in memory: keys, a machine, a store for state and tree, blocks and their certificates.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, SecretKey, TimeMillis, codec, domain, merkle};
use caduceus_ledger::block::MAX_TX_BYTES;
use caduceus_ledger::execute::VALIDATORS_KEY;
use caduceus_ledger::tree::{self, LeafNode, Node, NodeKey, OwnedValue, TreeKey, Version};
use caduceus_ledger::{
    Address, Block, BlockContext, BlockError, Certificate, CertifiedHeader, ChainKind, DecodedTx,
    Executed, Genesis, Header, Height, LightBlock, Overlay, Rejection, Space, StateError,
    StateMachine, StateProofAt, StateView, TreeReader, TreeUpdateBatch, Trusted, TxFailure,
    TxProof, Validator, ValidatorSet, Vote, VoteKind, Writes, build, genesis_state, replay,
};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Time of the genesis.
pub const START: TimeMillis = TimeMillis(1_715_000_000_000);

/// What [`build`] gives.
pub type Built = (Block, Executed, Vec<(Hash, Rejection)>);

/// Validator key number `n`.
pub fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::VOTE, &[n], &[])
}

pub fn address(n: u8) -> Address {
    Address::of(&key(n).public())
}

/// Validators 0, 1 and so on with these powers.
pub fn validators(powers: &[u64]) -> Vec<Validator> {
    (0u8..)
        .zip(powers)
        .map(|(n, power)| Validator {
            key: key(n).public(),
            power: *power,
        })
        .collect()
}

pub fn set(powers: &[u64]) -> ValidatorSet {
    ValidatorSet::new(validators(powers)).unwrap()
}

/// Total power 9: validators 0 and 1 have exactly two thirds.
pub fn genesis() -> Genesis {
    Genesis {
        kind: ChainKind::Private,
        name: "notes".into(),
        time: START,
        validators: set(&[3, 3, 2, 1]),
        app: Vec::new(),
    }
}

/// A header of the chain of notes that nobody executed, one second a height.
pub fn header(height: u64, voters: &ValidatorSet, next: &ValidatorSet) -> Header {
    Header {
        chain: genesis().chain_id(),
        height: Height(height),
        time: TimeMillis(START.0 + height * 1_000),
        proposer: address(0),
        parent: Hash([1; 32]),
        txs_root: merkle::EMPTY,
        results_root: merkle::EMPTY,
        state_root: Hash([2; 32]),
        validators: voters.hash(),
        next_validators: next.hash(),
        extra: Vec::new(),
    }
}

/// The precommit on a header in round 0.
pub fn precommit(header: &Header) -> Vote {
    Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    }
}

/// A certificate on a header in round 0, whose signatures are over this vote.
pub fn certificate_over(vote: &Vote, header: &Header, signers: &[u8]) -> Certificate {
    let signatures = signers
        .iter()
        .map(|n| (address(*n), key(*n).sign(domain::VOTE, &vote.sign_bytes())))
        .collect();
    Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures,
    }
}

pub fn certificate(header: &Header, signers: &[u8]) -> Certificate {
    certificate_over(&precommit(header), header, signers)
}

pub fn certified(header: &Header, signers: &[u8]) -> CertifiedHeader {
    CertifiedHeader {
        header: header.clone(),
        certificate: certificate(header, signers),
    }
}

/// A set of these validators, power 1 each.
pub fn set_of(numbers: &[u8]) -> ValidatorSet {
    set_with(&numbers.iter().map(|n| (*n, 1)).collect::<Vec<_>>())
}

/// A set of these validators with these powers.
pub fn set_with(powers: &[(u8, u64)]) -> ValidatorSet {
    let of = |(n, power): &(u8, u64)| Validator {
        key: key(*n).public(),
        power: *power,
    };
    ValidatorSet::new(powers.iter().map(of).collect()).unwrap()
}

/// Linked light blocks of heights 1, 2 and so on: `sets[h - 1]` votes at height h, all of its members sign, and the
/// last set goes on. Validators are numbered; each has power 1.
pub fn light_chain(sets: &[Vec<u8>]) -> Vec<LightBlock> {
    let mut parent = Hash([0xaa; 32]);
    let mut blocks = Vec::with_capacity(sets.len());
    for (index, signers) in sets.iter().enumerate() {
        let next = sets.get(index + 1).unwrap_or(signers);
        let block = light_block(
            index as u64 + 1,
            parent,
            signers,
            &set_of(signers),
            &set_of(next),
        );
        parent = block.hash();
        blocks.push(block);
    }
    blocks
}

pub fn light_block(
    height: u64,
    parent: Hash,
    signers: &[u8],
    voters: &ValidatorSet,
    next: &ValidatorSet,
) -> LightBlock {
    let mut header = header(height, voters, next);
    header.parent = parent;
    LightBlock {
        head: certified(&header, signers),
        validators: voters.clone(),
        next_validators: next.clone(),
    }
}

/// The chain of notes, founded by these validators with power 1 each: the identifier stays the test genesis's.
pub fn trusting_first(sets: &[Vec<u8>]) -> Trusted {
    Trusted::recorded(
        genesis().chain_id(),
        Height::GENESIS,
        START,
        set_of(&sets[0]),
    )
}

/// A transaction of the chain of notes.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub enum Note {
    /// Writes a value.
    Put { key: Vec<u8>, value: Vec<u8> },
    /// Removes a value.
    Delete { key: Vec<u8> },
    /// Writes a value and is refused then.
    Refused { key: Vec<u8> },
    /// Fails as a broken store would.
    Broken,
    /// Names the voters of the next height.
    Voters(ValidatorSet),
}

impl Note {
    pub fn bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// The transaction that writes a value.
pub fn put(key: &str, value: &str) -> Vec<u8> {
    let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    Note::Put { key, value }.bytes()
}

/// The transaction that is refused.
pub fn refused(key: &str) -> Vec<u8> {
    let key = key.as_bytes().to_vec();
    Note::Refused { key }.bytes()
}

const COUNT: &[u8] = b"count";

/// Keeps notes in the authenticated state and their number in the plain one. A result is that number.
pub struct Notes {
    /// What every header carries as extra bytes.
    pub extra: Vec<u8>,
}

impl StateMachine for Notes {
    fn genesis(&self, _: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError> {
        state.put(Space::Bulk, COUNT, codec::encode(&0u64));
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        let note: Note = codec::decode_exact(tx, MAX_TX_BYTES).map_err(|e| Rejection {
            rule: "malformed",
            detail: e.to_string(),
        })?;
        Ok(Arc::new(note))
    }

    fn execute(
        &self,
        _: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        match tx.content::<Note>()?.clone() {
            Note::Put { key, value } => state.put(Space::Auth, &key, value),
            Note::Delete { key } => state.delete(Space::Auth, &key),
            Note::Refused { key } => {
                state.put(Space::Auth, &key, b"half done".to_vec());
                let rejection = Rejection {
                    rule: "refused",
                    detail: "this note is refused".into(),
                };
                return Err(rejection.into());
            }
            Note::Broken => return Err(StateError("broken".into()).into()),
            Note::Voters(voters) => state.put(Space::Auth, VALIDATORS_KEY, codec::encode(&voters)),
        }
        let old = state.get(Space::Bulk, COUNT)?.unwrap();
        let count = borsh::from_slice::<u64>(&old).unwrap() + 1;
        state.put(Space::Bulk, COUNT, codec::encode(&count));
        Ok(codec::encode(&count))
    }

    fn finish(
        &self,
        _: &BlockContext,
        _: &[Vec<u8>],
        _: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        Ok(self.extra.clone())
    }
}

/// State and every version of the tree, in memory.
#[derive(Default)]
pub struct Store {
    pairs: BTreeMap<(Space, Vec<u8>), Vec<u8>>,
    nodes: BTreeMap<NodeKey, Node>,
    values: BTreeMap<(TreeKey, Version), Option<OwnedValue>>,
}

impl Store {
    pub fn apply(&mut self, writes: &Writes) {
        for (key, value) in writes.clone() {
            match value {
                Some(value) => self.pairs.insert(key, value),
                None => self.pairs.remove(&key),
            };
        }
    }

    pub fn apply_tree(&mut self, batch: &TreeUpdateBatch) {
        for (key, node) in batch.node_batch.nodes() {
            self.nodes.insert(key.clone(), node.clone());
        }
        for ((version, key), value) in batch.node_batch.values() {
            self.values.insert((*key, *version), value.clone());
        }
    }
}

impl StateView for Store {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.pairs.get(&(space, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        Ok(self
            .pairs
            .range((space, prefix.to_vec())..)
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}

impl TreeReader for Store {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }

    fn get_value_option(
        &self,
        max_version: Version,
        key: TreeKey,
    ) -> anyhow::Result<Option<OwnedValue>> {
        let newest = self.values.range((key, 0)..=(key, max_version)).next_back();
        Ok(newest.and_then(|(_, value)| value.clone()))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored from leaves")
    }
}

/// The chain of notes as one node has it.
pub struct Chain {
    pub machine: Notes,
    pub store: Store,
    /// Header of the last committed height.
    pub tip: Header,
}

impl Chain {
    /// Right after the genesis.
    pub fn new() -> Self {
        Self::with_extra(Vec::new())
    }

    /// Right after the genesis; every header to come carries these extra bytes.
    pub fn with_extra(extra: Vec<u8>) -> Self {
        let (machine, mut store) = (Notes { extra }, Store::default());
        let first = genesis_state(&machine, &genesis(), &store, &store).unwrap();
        store.apply(&first.writes);
        store.apply_tree(&first.tree);
        Self {
            machine,
            store,
            tip: first.header,
        }
    }

    /// A transaction that decodes.
    pub fn decoded(&self, tx: Vec<u8>) -> DecodedTx {
        DecodedTx::new(&self.machine, Arc::new(tx)).unwrap()
    }

    /// The next block, one second after the tip, proposed by validator 0.
    pub fn try_build(
        &self,
        candidates: Vec<Vec<u8>>,
        max_block_bytes: usize,
    ) -> Result<Built, StateError> {
        build(
            &self.machine,
            &self.store,
            &self.store,
            &self.tip,
            TimeMillis(self.tip.time.0 + 1_000),
            address(0),
            candidates.into_iter().map(|tx| self.decoded(tx)),
            max_block_bytes,
        )
    }

    pub fn build(&self, candidates: Vec<Vec<u8>>) -> Built {
        self.try_build(candidates, ChainKind::Private.max_block_bytes())
            .unwrap()
    }

    pub fn replay_within(
        &self,
        block: &Block,
        max_block_bytes: usize,
    ) -> Result<Executed, BlockError> {
        replay(
            &self.machine,
            &self.store,
            &self.store,
            &self.tip,
            block,
            max_block_bytes,
        )
    }

    pub fn replay(&self, block: &Block) -> Result<Executed, BlockError> {
        self.replay_within(block, ChainKind::Private.max_block_bytes())
    }

    pub fn commit(&mut self, executed: &Executed) {
        self.store.apply(&executed.writes);
        self.store.apply_tree(&executed.tree);
        self.tip = executed.header.clone();
    }
}

/// A committed block with what a node needs to prove anything in it.
pub struct Proved {
    pub chain: Chain,
    pub block: Block,
    pub results: Vec<Vec<u8>>,
    pub head: CertifiedHeader,
}

/// The chain after one block of five notes.
pub fn five_notes() -> Proved {
    let mut chain = Chain::new();
    let notes = ["a", "b", "c", "d", "e"].map(|name| put(&format!("note/{name}"), name));
    let (block, executed, left_out) = chain.build(notes.to_vec());
    assert!(left_out.is_empty());
    chain.commit(&executed);
    Proved {
        head: certified(&block.header, &[0, 1, 2]),
        results: executed.results,
        chain,
        block,
    }
}

impl Proved {
    pub fn tx_proof(&self, index: usize) -> TxProof {
        TxProof {
            head: self.head.clone(),
            tx: self.block.txs[index].clone(),
            tx_proof: merkle::prove(&self.block.txs, index),
            result: self.results[index].clone(),
            result_proof: merkle::prove(&self.results, index),
        }
    }

    pub fn state_proof(&self, key: &[u8]) -> StateProofAt {
        let version = self.head.header.height.0;
        StateProofAt {
            head: self.head.clone(),
            proof: tree::prove(&self.chain.store, version, key).unwrap(),
        }
    }
}

/// For each place the bytes with that one byte changed.
pub fn flipped(bytes: &[u8], mask: u8) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).map(move |at| {
        let mut copy = bytes.to_vec();
        copy[at] ^= mask;
        (at, copy)
    })
}
