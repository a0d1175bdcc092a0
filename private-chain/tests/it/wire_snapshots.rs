//! The bytes of what travels and rests, one value a type. A snapshot that changes is a change of format: it is
//! a decision, and says `Format:` in the change log.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::evidence::sign_vault_receipt;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::reencrypt::{serialize, umbral_key};
use caduceus_crypto::{
    Anchor, AnchorBody, EmergencyKey, Hash, HospitalId, IndexEntries, Pseudonym, SecretKey, Tag,
    TimeMillis, codec, domain,
};
use caduceus_ledger::{ChainId, Height, Validator, ValidatorSet};
use private_chain::audit::{Filter, Place, Statement};
use private_chain::policy::{Limits, PolicyRecord, PolicyVersion, Retention};
use private_chain::tx::{SignedDestroyed, SignedRetire};
use private_chain::{
    Action, ActionClass, Actor, AuditBatch, AuditEntry, AuditReceipt, Bucket, DraftBatch, Enrol,
    FormerServer, HospitalKeys, Outcome, Policy, PrivateGenesis, Resource, Role, Rotate,
    SignedEmergencyKey, StaffRecord, Subject, Suspend, Tx, Validators,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha3::{Digest, Sha3_256};
use std::fmt::Debug;

/// 2024-05-06, 12:53 UTC.
const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
const CHAIN: ChainId = ChainId(Hash([0xc1; 32]));
const BUCKET_KEY: [u8; 32] = [9; 32];

/// The first 64 bytes, the length, and the hash of all.
fn fingerprint(bytes: &[u8]) -> String {
    let head = hex::encode(&bytes[..bytes.len().min(64)]);
    let hash = hex::encode(Sha3_256::digest(bytes));
    format!("{head}\n{} bytes\nsha3-256 {hash}", bytes.len())
}

fn check<T>(name: &str, value: &T)
where
    T: BorshSerialize + BorshDeserialize + PartialEq + Debug,
{
    let bytes = codec::encode(value);
    let decoded: T = codec::decode_exact(&bytes, bytes.len()).unwrap();
    assert_eq!(&decoded, value);
    insta::assert_snapshot!(name, fingerprint(&bytes));
}

fn rng(n: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([n; 32])
}

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::NETWORK_KEY, &[n], &[])
}

/// That of identity key 1; its server's key is 2, an author's 3.
fn hospital() -> HospitalId {
    HospitalId::from_identity(&key(1).public())
}

fn anchor() -> Anchor {
    let delegating = key(6).public();
    let (capsule, _) =
        umbral_pre::encrypt_with_rng(&mut rng(1), &umbral_key(&delegating), &[1; 32]).unwrap();
    let body = AnchorBody {
        hospital: hospital(),
        pseudonym: Pseudonym {
            point: key(4).public(),
            ephemeral: key(5).public(),
            view_tag: 0xa5,
        },
        record_hash: Hash([0x11; 32]),
        header_hash: Hash([0x22; 32]),
        entries: IndexEntries::Tags((0..8u8).map(|n| Tag([n; 16])).collect()),
        capsule: serialize(&capsule),
        delegating,
        visit: Hash::ZERO,
        epoch: NOW.epoch(),
        authored_at: NOW,
    };
    let (author, vault) = (key(3), key(2));
    let stored_bytes = 20_000;
    Anchor {
        author: author.public(),
        author_signature: body.sign(&author),
        stored_bytes,
        vault: vault.public(),
        vault_signature: sign_vault_receipt(&vault, &body.record_hash, stored_bytes),
        body,
    }
}

fn entry() -> AuditEntry {
    AuditEntry {
        time: NOW,
        actor: key(3).public().into(),
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

fn batch() -> AuditBatch {
    let mut draft = DraftBatch::new(&mut rng(1));
    for entry in [entry(), other_entry()] {
        draft
            .push(&BUCKET_KEY, ActionClass::ClinicalRead, entry.time, &entry)
            .unwrap();
    }
    draft.sign(&CHAIN, &key(2))
}

/// An entry with the other choice wherever there is one.
fn other_entry() -> AuditEntry {
    let mut entry = AuditEntry {
        actor: Actor::Key(key(3).public()),
        role: None,
        action: Action::Execute,
        outcome: Outcome::Unknown,
        patient: Some(Subject::Pseudonym(key(4).public())),
        resource: None,
        grant: Some(Hash([8; 32])),
        ..entry()
    };
    let statement = Statement::of(&entry).unwrap();
    entry.statement = Some(statement.sign(&mut rng(2), &CHAIN, &key(3)));
    entry
}

/// An entry that came from another log.
fn imported_entry() -> AuditEntry {
    AuditEntry {
        actor: Actor::Named("8".into()),
        role: None,
        outcome: Outcome::Denied,
        patient: Some(Subject::Named("case A".into())),
        resource: Some(Resource::Named("MOD_GMOD".into())),
        reference: "31242".into(),
        ..entry()
    }
}

#[test]
fn a_transaction_that_enrols() {
    let enrol = Enrol {
        staff: key(3).public(),
        role: Role::Physician,
        label: "staff 17".into(),
        not_before: NOW,
        not_after: TimeMillis(NOW.0 + 86_400_000),
    };
    check("tx_enrol", &Tx::Enrol(enrol.sign(&CHAIN, &key(1))));
}

#[test]
fn a_transaction_that_suspends() {
    let suspend = Suspend {
        staff: key(3).public(),
        reason: "key lost".into(),
    };
    check("tx_suspend", &Tx::Suspend(suspend.sign(&CHAIN, &key(1))));
}

#[test]
fn a_transaction_that_anchors() {
    let anchor = anchor();
    assert_eq!(anchor.check(), Ok(()));
    check("tx_anchor", &Tx::anchor(anchor, [7; 16]));
}

fn voters() -> ValidatorSet {
    let validators = (30..34)
        .map(|n| Validator {
            key: key(n).public(),
            power: 2,
        })
        .collect();
    ValidatorSet::new(validators).unwrap()
}

#[test]
fn a_transaction_that_names_the_validators() {
    let body = Validators {
        generation: 3,
        set: voters(),
    };
    check("tx_validators", &Tx::Validators(body.sign(&CHAIN, &key(1))));
}

#[test]
fn a_transaction_that_rotates_the_hospitals_keys() {
    let body = Rotate {
        generation: 4,
        identity: key(8).public(),
        server: key(9).public(),
        grace_millis: 86_400_000,
    };
    let signed = body.sign(&CHAIN, &key(1), &key(8), &key(9));
    check("tx_rotate", &Tx::Rotate(signed));
}

#[test]
fn a_transaction_that_names_the_emergency_key() {
    let body = EmergencyKey {
        generation: 1,
        commitments: vec![key(50).public(), key(51).public()],
        officers: (3..6).map(|n| key(n).public()).collect(),
    };
    let signed = SignedEmergencyKey::sign(body, &CHAIN, &key(1));
    check("tx_emergency_key", &Tx::EmergencyKey(signed));
}

#[test]
fn the_hospitals_keys() {
    let mut keys = HospitalKeys {
        generation: 5,
        identity: key(1).public(),
        server: key(2).public(),
        former: None,
    };
    check("hospital_keys", &keys);
    keys.former = Some(FormerServer {
        key: key(7).public(),
        until: NOW,
    });
    check("hospital_keys_in_grace", &keys);
}

/// The bytes are those of the anchor, under another number, with the replaced record's hash after them.
#[test]
fn a_transaction_that_amends() {
    let replaces = Hash([0x33; 32]);
    let amend = codec::encode(&Tx::amend(anchor(), [7; 16], replaces));
    let plain = codec::encode(&Tx::anchor(anchor(), [7; 16]));
    assert_eq!((plain[0], amend[0]), (2, 4));
    assert_eq!(amend[1..], [&plain[1..], &replaces.0[..]].concat());
    check("tx_amend", &Tx::amend(anchor(), [7; 16], replaces));
}

#[test]
fn a_genesis() {
    let genesis = PrivateGenesis::new("St Anne".into(), key(1).public(), key(2).public()).unwrap();
    check("genesis", &genesis);
    check("genesis_peks", &genesis.with_scheme(SchemeId::Peks));
}

#[test]
fn a_transaction_of_audit_entries() {
    check("tx_audit", &Tx::audit(batch()));
}

#[test]
fn a_sealed_entry() {
    let batch = batch();
    assert!(batch.is_signed(&CHAIN, &batch.root()));
    assert_eq!(batch.open(0, &BUCKET_KEY).unwrap(), entry());
    check("sealed_entry", &batch.entries[0]);
}

#[test]
fn a_receipt_of_audit_entries() {
    let receipt = AuditReceipt {
        first: 7,
        count: 2,
        root: batch().root(),
    };
    check("audit_receipt", &receipt);
}

#[test]
fn an_audit_entry() {
    check("audit_entry", &entry());
    check("audit_entry_other_choices", &other_entry());
    check("audit_entry_imported", &imported_entry());
}

#[test]
fn an_audit_filter_and_a_place() {
    let filter = Filter {
        actor: Some(entry().actor),
        action: Some(Action::Read),
        patients: vec![Subject::Card(Hash([5; 32])), Subject::Named("p".into())],
        from: Some(NOW),
        ..Filter::default()
    };
    check("audit_filter", &filter);
    let place = Place {
        height: 7,
        block_hash: Hash([1; 32]),
        block_time: NOW,
        tx: Hash([2; 32]),
        batch: [3; 32],
        first: 9,
    };
    check("audit_place", &place);
}

#[test]
fn a_retired_bucket_and_a_word_that_its_key_is_gone() {
    let bucket = Bucket {
        class: ActionClass::ClinicalRead,
        month: 24_292,
    };
    check(
        "tx_retire",
        &Tx::Retire(SignedRetire::sign(bucket, &CHAIN, &key(1))),
    );
    let destroyed = SignedDestroyed::sign(bucket, &CHAIN, &key(3));
    check("tx_destroyed", &Tx::Destroyed(destroyed));
}

#[test]
fn a_staff_record() {
    let record = StaffRecord {
        role: Role::Nurse,
        label: "staff 18".into(),
        not_before: NOW,
        not_after: TimeMillis(NOW.0 + 86_400_000),
        enrolled_at: TimeMillis(NOW.0 + 1),
        suspended_at: None,
    };
    check("staff_record", &record);
}

#[test]
fn a_suspended_staff_record() {
    let record = StaffRecord {
        role: Role::Administrator,
        label: "staff 19".into(),
        not_before: NOW,
        not_after: TimeMillis(NOW.0 + 86_400_000),
        enrolled_at: TimeMillis(NOW.0 + 1),
        suspended_at: Some(TimeMillis(NOW.0 + 2)),
    };
    check("staff_record_suspended", &record);
}

fn limits() -> Limits {
    Limits {
        per_action: [("read".into(), 5_000), ("upload".into(), 200)].into(),
        per_slot: Some(20_000),
        slot_millis: Some(3_600_000),
    }
}

fn retention() -> Retention {
    Retention {
        months: [
            (ActionClass::ClinicalRead, 120),
            (ActionClass::AuditRead, 36),
        ]
        .into(),
    }
}

const POLICY: &str = "@id(\"hospital\") permit (principal is Server, action, resource);";

#[test]
fn a_transaction_that_proposes_a_policy() {
    let body = Policy {
        generation: 2,
        text: POLICY.into(),
        limits: limits(),
        retention: retention(),
        applies_at: Height(77),
    };
    check("tx_policy", &Tx::Policy(body.sign(&CHAIN, &key(1))));
}

#[test]
fn the_policies_on_record() {
    let version = |generation, since| PolicyVersion {
        generation,
        since: Height(since),
        text: POLICY.into(),
        limits: limits(),
        retention: retention(),
    };
    let mut record = PolicyRecord {
        generation: 1,
        current: None,
        next: Some(version(0, 50)),
    };
    check("policy_record_first", &record);
    record.current = Some(version(1, 77));
    record.next = Some(PolicyVersion {
        limits: Limits::default(),
        retention: Retention::default(),
        ..version(2, 99)
    });
    record.generation = 3;
    check("policy_record", &record);
}
