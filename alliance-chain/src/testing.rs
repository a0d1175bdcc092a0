//! A chain in memory for the tests of the rules: members, private headers, records, and a state that blocks
//! would build.

#![allow(clippy::unwrap_used)]

mod private;
mod scan;
mod search;
mod watched;

use crate::genesis::{AllianceGenesis, Member, Operator, Params, ProxyInfo};
use crate::machine::AllianceMachine;
use crate::query;
use crate::rules::member::put_new_member;
use crate::state::RecordRef;
use crate::tx::{Account, Change, Governance, Grant, Issuer, Link, Revoke, SignedGovernance, Tx};
use caduceus_crypto::Hash;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_crypto::time::{Epoch, MILLIS_PER_DAY, TimeMillis};
use caduceus_ledger::block::ChainKind;
use caduceus_ledger::{
    Address, BlockContext, ChainId, Genesis, Height, Overlay, Space, StateError, StateMachine,
    StateView, TxFailure, Validator, ValidatorSet, put_validators,
};
use caduceus_ledger::{DecodedTx, Writes};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use private::{PrivateBlocks, certificate, leaf, leaf_of, private_chain, private_set};
pub use scan::{paeks_trapdoor, peks_trapdoor};
pub use search::{issuer_key, keyword_cover, search, search_body, token, token_key};

/// Block time of a fresh chain: 2024-05-06, 12:53 UTC.
pub const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
/// A day in milliseconds.
pub const DAY: u64 = MILLIS_PER_DAY;

/// So many milliseconds after [`NOW`].
pub fn later(millis: u64) -> TimeMillis {
    TimeMillis(NOW.0 + millis)
}

/// Key number `seed`, 1 to 254.
pub fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

/// Identity key of hospital `i`; 0 to 2 are members.
pub fn identity(i: u8) -> SecretKey {
    secret(10 + i)
}

/// Server key of hospital `i`.
pub fn server(i: u8) -> SecretKey {
    secret(30 + i)
}

/// Hospital `i`.
pub fn hospital(i: u8) -> HospitalId {
    HospitalId::from_identity(&identity(i).public())
}

/// Service key of proxy `i`, 0 to 2.
pub fn proxy(i: u8) -> SecretKey {
    secret(90 + i)
}

/// The data user's signing key.
pub fn data_user() -> SecretKey {
    secret(120)
}

/// The one-time secret of the pseudonym of record `i`, 0 to 2.
pub fn one_time(i: u8) -> SecretKey {
    secret(130 + i)
}

/// The alliance chain of the tests.
pub fn chain() -> ChainId {
    ChainId(Hash([0xa1; 32]))
}

/// Some other chain.
pub fn other_chain() -> ChainId {
    ChainId(Hash([0xaa; 32]))
}

/// Hospital `i` as a member.
pub fn member(i: u8) -> Member {
    Member {
        hospital: hospital(i),
        name: format!("Hospital {i}"),
        identity: identity(i).public(),
        server: server(i).public(),
        private_chain: private_chain(i),
        private_validators: private_set(i),
    }
}

/// Hospital `i` runs the validator beside proxy `i`.
pub fn operator(i: u8) -> Operator {
    Operator {
        validator: validator(i),
        hospital: hospital(i),
    }
}

/// The validator beside proxy `i`.
pub fn validator(i: u8) -> Address {
    Address::of(&secret(100 + i).public())
}

/// Three members, two of which run a validator, three proxies, searches from 2020 on.
pub fn alliance_genesis() -> AllianceGenesis {
    let proxies = (0..3)
        .map(|i| ProxyInfo {
            key: proxy(i).public(),
            validator: Address::of(&secret(100 + i).public()),
        })
        .collect();
    AllianceGenesis {
        members: (0..3).map(member).collect(),
        proxies,
        operators: (0..2).map(operator).collect(),
        params: Params::standard(Epoch::from_ymd(2020, 1, 1).unwrap()),
    }
}

/// The genesis of the chain of the tests.
pub fn genesis() -> Genesis {
    genesis_with(&alliance_genesis())
}

fn genesis_with(own: &AllianceGenesis) -> Genesis {
    Genesis {
        kind: ChainKind::Alliance,
        name: "alliance".into(),
        time: TimeMillis(NOW.0 - 1_000),
        validators: voters(&[(0, 1), (1, 1), (2, 1), (3, 1)]),
        app: own.encode(),
    }
}

/// A set of voters of the alliance chain: number of the validator, 0 to 9, and its power.
pub fn voters(members: &[(u8, u64)]) -> ValidatorSet {
    let validators = members
        .iter()
        .map(|(i, power)| Validator {
            key: secret(100 + i).public(),
            power: *power,
        })
        .collect();
    ValidatorSet::new(validators).unwrap()
}

/// Key-value pairs in memory.
#[derive(Default)]
pub struct Store(BTreeMap<(Space, Vec<u8>), Vec<u8>>);

impl Store {
    /// Takes over changes.
    pub fn apply(&mut self, writes: Writes) {
        for (key, value) in writes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }
}

impl StateView for Store {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(&(space, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        Ok(self
            .0
            .range((space, prefix.to_vec())..)
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}

/// A chain whose transactions run one by one.
pub struct Chain {
    store: Store,
    /// Height of the block in progress.
    pub height: Height,
    /// Time of the block in progress.
    pub time: TimeMillis,
}

impl StateView for Chain {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.store.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        self.store.scan(space, prefix, limit)
    }
}

impl Chain {
    /// A chain right after its genesis.
    pub fn new() -> Self {
        Self::with_params(|_| {})
    }

    /// A chain right after a genesis with another index scheme.
    pub fn of_scheme(scheme: SchemeId) -> Self {
        Self::with_params(|params| *params = Params::of_scheme(scheme, params.first_epoch))
    }

    /// A chain right after a genesis with other bounds.
    pub fn with_params(change: impl FnOnce(&mut Params)) -> Self {
        let mut own = alliance_genesis();
        change(&mut own.params);
        let mut store = Store::default();
        let mut state = Overlay::new(&store);
        let genesis = genesis_with(&own);
        AllianceMachine.genesis(&genesis, &mut state).unwrap();
        put_validators(&mut state, &genesis.validators);
        let writes = state.into_writes();
        store.apply(writes);
        Self {
            store,
            height: Height(1),
            time: NOW,
        }
    }

    fn context(&self) -> BlockContext {
        BlockContext {
            chain: chain(),
            height: self.height,
            time: self.time,
            proposer: Address::default(),
        }
    }

    fn run(&mut self, tx: &[u8]) -> Result<Vec<u8>, TxFailure> {
        let ctx = self.context();
        let mut state = Overlay::new(&self.store);
        let tx = DecodedTx::new(&AllianceMachine, Arc::new(tx.to_vec()))?;
        let result = AllianceMachine.execute(&ctx, &tx, &mut state)?;
        let writes = state.into_writes();
        self.store.apply(writes);
        Ok(result)
    }

    /// Runs a transaction that the rules accept and gives its result.
    pub fn accept(&mut self, tx: &Tx) -> Vec<u8> {
        self.run(&tx.encode()).unwrap()
    }

    /// Runs a transaction that this rule refuses.
    pub fn refuse(&mut self, tx: &Tx, rule: &str) {
        self.refuse_bytes(&tx.encode(), rule);
    }

    /// Runs bytes that this rule refuses.
    pub fn refuse_bytes(&mut self, tx: &[u8], rule: &str) {
        match self.run(tx) {
            Err(TxFailure::Rejected(rejection)) => {
                assert_eq!(rejection.rule, rule, "{}", rejection.detail)
            }
            other => panic!("expected {rule}, got {other:?}"),
        }
    }

    /// Ends the block and gives its extra header bytes.
    pub fn finish_block(&mut self) -> Vec<u8> {
        let ctx = self.context();
        let mut state = Overlay::new(&self.store);
        let extra = AllianceMachine.finish(&ctx, &[], &mut state).unwrap();
        let writes = state.into_writes();
        self.store.apply(writes);
        self.height = self.height.next();
        self.time = TimeMillis(self.time.0 + 1_000);
        extra
    }

    /// A change that members 0 and 1 approve, at its place.
    pub fn approved(&self, change: Change) -> SignedGovernance {
        let generation = crate::state::generation().get(self).unwrap().unwrap();
        let body = Governance { generation, change };
        let approvals = (0..2)
            .map(|i| (hospital(i), body.approve(&chain(), &identity(i))))
            .collect();
        body.with_approvals(approvals)
    }

    /// Decides a change with the approvals of members 0 and 1.
    pub fn govern(&mut self, change: Change) {
        let signed = self.approved(change);
        self.accept(&Tx::Member(signed));
    }

    /// Puts hospitals into the state until there is no room.
    pub fn fill_members(&mut self) {
        self.edit(|state| {
            for i in 3..128u8 {
                let (identity, server) = (filled_key(i, 1).public(), filled_key(i, 2).public());
                let filled = Member {
                    hospital: HospitalId::from_identity(&identity),
                    identity,
                    server,
                    private_chain: ChainId(Hash([i; 32])),
                    ..member(0)
                };
                put_new_member(filled, state).unwrap();
            }
        });
    }

    /// Writes to the state directly.
    pub fn edit(&mut self, change: impl FnOnce(&mut Overlay<'_>)) {
        let mut state = Overlay::new(&self.store);
        change(&mut state);
        let writes = state.into_writes();
        self.store.apply(writes);
    }

    /// Makes key `issuer` the newest token key of member 0.
    pub fn add_issuer_key(&mut self, issuer: u8) {
        let body = Issuer {
            member: hospital(0),
            key: issuer_key(issuer),
        };
        self.accept(&Tx::Issuer(body.sign(&chain(), &identity(0))));
    }

    /// Gives the data user an account that member 0 vouches for.
    pub fn add_account(&mut self) {
        let body = Account {
            data_user: data_user().public(),
            receiving: secret(121).public(),
            label: "Institute".into(),
            member: hospital(0),
        };
        self.accept(&Tx::Account(body.sign(&chain(), &identity(0))));
    }

    /// Checkpoints and links private block 1 of hospital 0, with records 0 to 2.
    pub fn link_records(&mut self) {
        self.link_records_of(SchemeId::Tags);
    }

    /// The same, indexed under a scheme.
    pub fn link_records_of(&mut self, scheme: SchemeId) {
        let leaves: Vec<_> = (0..3).map(|i| leaf_of(scheme, i)).collect();
        let mut blocks = PrivateBlocks::new(0);
        blocks.push(&leaves);
        self.accept(&Tx::Checkpoint(blocks.checkpoint(1, 1)));
        self.accept(&Tx::Link(Link {
            hospital: hospital(0),
            height: Height(1),
            leaves,
        }));
    }

    /// Links the records and grants record 0 to the data user for 30 days. Gives the grant's identifier.
    pub fn add_grant(&mut self) -> Hash {
        self.link_records();
        let tx = Tx::Grant(grant().sign(&chain(), &one_time(0)));
        self.accept(&tx);
        tx.id()
    }

    /// Revokes a grant of record 0.
    pub fn revoke(&mut self, grant: Hash) {
        self.accept(&Tx::Revoke(Revoke { grant }.sign(&chain(), &one_time(0))));
    }

    /// The private height up to which hospital 0 is linked.
    pub fn linked_height(&self) -> u64 {
        query::linked_height(self, &hospital(0)).unwrap()
    }
}

/// Identity key of a hospital that [`Chain::fill_members`] made.
pub fn filled_identity(hospital: &HospitalId) -> SecretKey {
    (0..128u8)
        .map(|i| if i < 3 { identity(i) } else { filled_key(i, 1) })
        .find(|key| HospitalId::from_identity(&key.public()) == *hospital)
        .unwrap()
}

fn filled_key(i: u8, use_of: u8) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[30] = use_of;
    bytes[31] = i + 1;
    SecretKey::from_bytes(&bytes).unwrap()
}

/// A grant of record 0 to the data user, two of three proxies needed.
pub fn grant() -> Grant {
    let leaf = leaf(0);
    Grant {
        data_user: data_user().public(),
        receiving: secret(121).public(),
        purpose_commitment: Hash([3; 32]),
        hospital: hospital(0),
        record: RecordRef {
            height: 1,
            position: 0,
        },
        record_hash: leaf.record_hash,
        pseudonym: leaf.pseudonym.point,
        delegating: secret(150).public(),
        verifying: secret(160).public(),
        expires: later(30 * DAY),
        proxies: (0..3).map(|i| proxy(i).public()).collect(),
        threshold: 2,
        fragment_commitments: (0..3).map(|i| Hash([i; 32])).collect(),
    }
}
