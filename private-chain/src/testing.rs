//! A chain in memory for the tests of the rules: keys, an anchor, and a state that blocks would build.

#![allow(clippy::unwrap_used)]

use crate::audit::{
    Action, ActionClass, AuditBatch, AuditEntry, AuditRow, DraftBatch, Outcome, Place, Resource,
    Subject,
};
use crate::genesis::PrivateGenesis;
use crate::machine::PrivateMachine;
use crate::tx::{Enrol, Role, Suspend, Tx};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::evidence::{Anchor, AnchorBody, sign_vault_receipt};
use caduceus_crypto::index::{IndexEntries, SchemeId, Tag};
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::block::ChainKind;
use caduceus_ledger::{
    Address, BlockContext, ChainId, Genesis, Height, Overlay, Space, StateError, StateMachine,
    StateView, TxFailure, Validator, ValidatorSet, put_validators,
};
use caduceus_ledger::{DecodedTx, Writes};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use umbral_pre::DefaultSerialize;

/// Block time of a fresh chain: 2024-05-06, 12:53 UTC.
pub const NOW: TimeMillis = TimeMillis(1_715_000_000_000);

/// So many milliseconds after [`NOW`].
pub fn later(millis: u64) -> TimeMillis {
    TimeMillis(NOW.0 + millis)
}

/// A seeded generator.
pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Key number `seed`, 1 to 254.
pub fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

/// The hospital's identity key.
pub fn identity() -> SecretKey {
    secret(1)
}

/// The hospital's server key.
pub fn server() -> SecretKey {
    secret(2)
}

/// The key that signs [`anchor`]s.
pub fn author() -> SecretKey {
    secret(10)
}

/// The chain of the tests.
pub fn chain() -> ChainId {
    genesis().chain_id()
}

/// Some other chain.
pub fn other_chain() -> ChainId {
    ChainId(Hash([0xaa; 32]))
}

/// The genesis of the chain of the tests.
pub fn genesis() -> Genesis {
    genesis_of(SchemeId::Tags)
}

/// The same with another index scheme.
pub fn genesis_of(scheme: SchemeId) -> Genesis {
    let own = PrivateGenesis::new("St Mary".into(), identity().public(), server().public())
        .unwrap()
        .with_scheme(scheme);
    Genesis {
        kind: ChainKind::Private,
        name: "st-mary".into(),
        time: TimeMillis(NOW.0 - 1_000),
        validators: voters(&[(3, 1), (4, 1), (5, 1)]),
        app: own.encode(),
    }
}

/// A set of voters: number of the key, as in [`secret`], and its power.
pub fn voters(members: &[(u8, u64)]) -> ValidatorSet {
    let validators = members
        .iter()
        .map(|(i, power)| Validator {
            key: secret(*i).public(),
            power: *power,
        })
        .collect();
    ValidatorSet::new(validators).unwrap()
}

/// The hospital of the tests.
pub fn hospital() -> HospitalId {
    HospitalId::from_identity(&identity().public())
}

/// An audit entry at this time.
pub fn entry(time: TimeMillis) -> AuditEntry {
    AuditEntry {
        time,
        actor: author().public().into(),
        role: Some(Role::Physician),
        organisation: hospital(),
        action: Action::Read,
        subtype: "open".into(),
        outcome: Outcome::Success,
        reason: "visit".into(),
        patient: Some(Subject::Card(Hash([5; 32]))),
        resource: Some(Resource::Record(Hash([6; 32]))),
        purpose: "TREAT".into(),
        grant: None,
        source: "ward 3".into(),
        request: "07070707070707070707070707070707".into(),
        reference: "".into(),
        statement: None,
    }
}

/// The key of every bucket of the tests.
pub const BUCKET_KEY: [u8; 32] = [9; 32];

/// A batch in the making with so many entries, its identifier drawn from `seed`.
pub fn draft(seed: u64, count: u64) -> DraftBatch {
    let mut draft = DraftBatch::new(&mut rng(seed));
    for n in 0..count {
        let entry = AuditEntry {
            reference: format!("{seed}-{n}").into(),
            ..entry(NOW)
        };
        draft
            .push(&BUCKET_KEY, ActionClass::ClinicalRead, NOW, &entry)
            .unwrap();
    }
    draft
}

/// That batch, signed with any key.
pub fn batch_signed_by(signer: &SecretKey, seed: u64, count: u64) -> AuditBatch {
    draft(seed, count).sign(&chain(), signer)
}

/// The statement of anchor number `seed`, 1 to 29.
pub fn anchor_body(seed: u8) -> AnchorBody {
    let delegating = umbral_pre::SecretKey::random_with_rng(&mut rng(u64::from(seed))).public_key();
    let (capsule, _) =
        umbral_pre::encrypt_with_rng(&mut rng(u64::from(seed)), &delegating, b"data key").unwrap();
    AnchorBody {
        hospital: hospital(),
        pseudonym: Pseudonym {
            point: secret(100 + seed).public(),
            ephemeral: secret(130 + seed).public(),
            view_tag: seed,
        },
        record_hash: Hash([seed; 32]),
        header_hash: Hash([seed + 100; 32]),
        entries: IndexEntries::Tags((0..8).map(|n| tag(seed, n)).collect()),
        capsule: capsule.to_bytes().unwrap().into_vec(),
        delegating: secret(160 + seed).public(),
        visit: Hash::ZERO,
        epoch: NOW.epoch(),
        authored_at: NOW,
    }
}

/// Eight entries of scheme `peks`, good in form: the generator of G1 as the point, and a hash each.
pub fn peks_entries() -> IndexEntries {
    const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
        6c55e83ff97a1aeffb3af00adb22c6bb";
    let point = hex::decode(GENERATOR).unwrap();
    let mut bytes = vec![SchemeId::Peks as u8];
    bytes.extend_from_slice(&8u32.to_le_bytes());
    for n in 0..8 {
        bytes.extend_from_slice(&point);
        bytes.extend_from_slice(&[n; 32]);
    }
    codec::decode_exact(&bytes, bytes.len()).unwrap()
}

/// Tag `n` of anchor number `seed`.
pub fn tag(seed: u8, n: u8) -> Tag {
    let mut bytes = [0; 16];
    bytes[0] = seed;
    bytes[1] = n;
    Tag(bytes)
}

/// An anchor of this statement, signed by its author and by a vault.
pub fn signed_anchor(body: AnchorBody, author: &SecretKey, vault: &SecretKey) -> Anchor {
    let stored_bytes = 20_000;
    Anchor {
        author: author.public(),
        author_signature: body.sign(author),
        stored_bytes,
        vault: vault.public(),
        vault_signature: sign_vault_receipt(vault, &body.record_hash, stored_bytes),
        body,
    }
}

/// Anchor number `seed`, 1 to 29, good in every respect.
pub fn anchor(seed: u8) -> Anchor {
    signed_anchor(anchor_body(seed), &author(), &server())
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
        Self::of_scheme(SchemeId::Tags)
    }

    /// The same with another index scheme.
    pub fn of_scheme(scheme: SchemeId) -> Self {
        let mut store = Store::default();
        let mut state = Overlay::new(&store);
        let genesis = genesis_of(scheme);
        PrivateMachine.genesis(&genesis, &mut state).unwrap();
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
        let tx = DecodedTx::new(&PrivateMachine, Arc::new(tx.to_vec()))?;
        let result = PrivateMachine.execute(&ctx, &tx, &mut state)?;
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
        let extra = PrivateMachine.finish(&ctx, &[], &mut state).unwrap();
        let writes = state.into_writes();
        self.store.apply(writes);
        self.height = self.height.next();
        self.time = TimeMillis(self.time.0 + 1_000);
        extra
    }

    /// Enrols a key for a long time.
    pub fn enrol(&mut self, staff: &SecretKey, role: Role) {
        self.enrol_until(staff, role, later(1_000_000_000));
    }

    /// Enrols a key until an instant.
    pub fn enrol_until(&mut self, staff: &SecretKey, role: Role, not_after: TimeMillis) {
        let body = Enrol {
            staff: staff.public(),
            role,
            label: "staff".into(),
            not_before: NOW,
            not_after,
        };
        self.accept(&Tx::Enrol(body.sign(&chain(), &identity())));
    }

    /// Suspends an enrolled key.
    pub fn suspend(&mut self, staff: &SecretKey) {
        let body = Suspend {
            staff: staff.public(),
            reason: String::new(),
        };
        self.accept(&Tx::Suspend(body.sign(&chain(), &identity())));
    }
}

/// A row with this entry: number `sequence` of the chain, entry 3 of its batch, in block 12.
pub fn row(sequence: u64, entry: AuditEntry) -> AuditRow {
    AuditRow {
        sequence,
        class: ActionClass::ClinicalRead,
        place: Arc::new(Place {
            height: 12,
            block_hash: Hash([0xb1; 32]),
            block_time: TimeMillis(NOW.0 + 250),
            tx: Hash([0x7a; 32]),
            batch: [0xba ^ sequence as u8; 32],
            first: sequence.saturating_sub(3),
        }),
        entry: Arc::new(entry),
    }
}
