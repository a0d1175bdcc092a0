//! Names, limits and signatures of the exchanges.

#![allow(clippy::unwrap_used)]

use super::*;
use caduceus_crypto::emergency::{EmergencyConsent, MAX_EXCERPT_BYTES, MAX_OFFICERS};
use caduceus_crypto::{
    Hash, HospitalId, MetaAddress, PublicKey, Quarter, SecretKey, Signature, Tag, TimeMillis,
    decode_exact, encode,
};
use libp2p::PeerId;
use rand_core::OsRng;
use std::collections::BTreeSet;

fn key() -> PublicKey {
    SecretKey::generate(&mut OsRng).public()
}

fn meta() -> MetaAddress {
    MetaAddress::new(key(), key())
}

const SIGNATURE: Signature = Signature([9; 64]);
const HASH: Hash = Hash([8; 32]);
const HOSPITAL: HospitalId = HospitalId([7; 32]);
const NOW: TimeMillis = TimeMillis(1_700_000_000_000);

#[test]
fn names_are_distinct_and_versioned() {
    let distinct: BTreeSet<&str> = PROTOCOLS.iter().copied().collect();
    assert_eq!(distinct.len(), PROTOCOLS.len());
    assert_eq!(PROTOCOLS.len(), 29);
    for name in PROTOCOLS {
        let parts: Vec<&str> = name.split('/').collect();
        assert_eq!(parts.len(), 4, "{name}");
        let second = [
            "health",
            "store-record",
            "index-key",
            "meta-lookup",
            "register-patient",
            "audit-query",
        ];
        let version = if second.contains(&parts[2]) { "2" } else { "1" };
        assert_eq!((parts[0], parts[1], parts[3]), ("", "caduceus", version));
    }
}

/// Encodes, checks the limit, decodes, and encodes again.
fn fits<T: BorshSerialize + BorshDeserialize>(value: &T, limit: usize) {
    let bytes = encode(value);
    assert!(bytes.len() <= limit, "{} bytes, limit {limit}", bytes.len());
    let again: T = decode_exact(&bytes, limit).unwrap();
    assert_eq!(encode(&again), bytes);
}

fn request<E: Exchange>(value: E::Request) {
    fits(&value, E::MAX_REQUEST);
}

fn response<E: Exchange>(value: E::Response) {
    fits(&value, E::MAX_RESPONSE);
}

#[test]
fn the_largest_messages_of_the_chains_fit() {
    request::<Submit>(SubmitRequest {
        tx: vec![1; MAX_TX_BYTES],
        wait: true,
    });
    response::<Submit>(SubmitReply::Committed {
        height: u64::MAX,
        index: u32::MAX,
        block_hash: HASH,
        result: vec![1; MAX_RESULT_BYTES],
    });
    response::<Submit>(SubmitReply::rejected("x".repeat(100), "y".repeat(9000)));
    response::<Submit>(SubmitReply::unavailable("\u{fc}".repeat(9000)));
    response::<Submit>(SubmitReply::Accepted);
    let mut txs = vec![vec![1; MAX_TX_BYTES]; 15];
    txs.push(vec![2; 1000]);
    request::<Relay>(RelayRequest { txs });
    response::<Relay>(());
    request::<Headers>(HeadersRequest {
        from: Some(u64::MAX),
        limit: 256,
    });
    let reply = HeadersReply::fitting((0..1000).map(|_| vec![1; MAX_CERTIFIED_BYTES]));
    assert!((100..=MAX_HEADERS).contains(&reply.items.len()));
    response::<Headers>(reply);
    request::<LightBlocks>(LightBlocksRequest {
        heights: vec![u64::MAX; MAX_LIGHT_BLOCKS],
    });
    response::<LightBlocks>(LightBlocksReply {
        items: vec![vec![1; MAX_LIGHT_BLOCK_BYTES]; MAX_LIGHT_BLOCKS],
    });
    request::<Query>(QueryRequest::List {
        prefix: vec![1; 512],
        limit: u16::MAX,
    });
    request::<Query>(QueryRequest::Tx { id: HASH });
    request::<Query>(QueryRequest::State { key: vec![1; 512] });
    request::<Query>(QueryRequest::Head);
    response::<Query>(QueryReply::Found(vec![1; MAX_TX_BYTES + MAX_RESULT_BYTES]));
    response::<Query>(QueryReply::NotFound);
    request::<LinkedRecords>(LinkedRecordsRequest {
        hospital: HOSPITAL,
        from: u64::MAX,
    });
    response::<LinkedRecords>(LinkedRecordsReply {
        blocks: vec![1; MAX_LINKED_BYTES],
    });
    request::<FetchAnchor>(FetchAnchorRequest {
        height: u64::MAX,
        position: u32::MAX,
    });
    response::<FetchAnchor>(FetchAnchorReply {
        anchor: vec![1; MAX_ANCHOR_BYTES],
        header: vec![1; MAX_CERTIFIED_BYTES],
        certificate: vec![1; MAX_CERTIFIED_BYTES],
        proof: vec![1; MAX_PROOF_BYTES],
    });
    request::<SnapshotInfo>(SnapshotInfoRequest {
        height: Some(u64::MAX),
    });
    response::<SnapshotInfo>(SnapshotInfoReply {
        tip: u64::MAX,
        kept_from: u64::MAX,
        snapshot: Some(SnapshotOffer {
            manifest: vec![1; 32 * 1024],
            certificate: vec![1; MAX_CERTIFIED_BYTES],
            attestations: vec![1; 16 * 1024],
            chunks: vec![HASH; MAX_SNAPSHOT_CHUNKS],
        }),
    });
    request::<SnapshotChunk>(SnapshotChunkRequest {
        height: u64::MAX,
        index: u32::MAX,
    });
    response::<SnapshotChunk>(SnapshotChunkReply {
        bytes: vec![1; MAX_SNAPSHOT_CHUNK_BYTES],
    });
    request::<Health>(());
    response::<Health>(HealthReply {
        program: "p".repeat(64),
        version: "v".repeat(64),
        ready: true,
        height: u64::MAX,
        head_time: NOW,
        detail: "d".repeat(1024),
        consensus: Some(ConsensusHealth {
            engine: "e".repeat(64),
            silent: vec![
                SilentValidator {
                    name: "n".repeat(192),
                };
                MAX_SILENT
            ],
            ..ConsensusHealth::default()
        }),
    });
    request::<LastVote>(LastVoteRequest { validator: [1; 20] });
    response::<LastVote>(LastVoteReply {
        tip: u64::MAX,
        vote: Some(vec![1; 512]),
    });
}

fn signed() -> Option<PersonSigned> {
    Some(PersonSigned {
        at: NOW,
        request_id: [1; 16],
        purpose: "p".repeat(32),
        salt: [2; 16],
        signature: SIGNATURE,
    })
}

#[test]
fn the_largest_messages_about_records_fit() {
    let secret = SecretKey::generate(&mut OsRng);
    let claim = RecordClaim {
        hospital: HOSPITAL,
        private_height: u64::MAX,
        position: u32::MAX,
        record_hash: HASH,
        caller: vec![1; 64],
        at: NOW,
    };
    request::<FetchRecord>(FetchRecordRequest {
        right: claim.claim_with_ticket(&secret, HASH),
        claim,
        offset: u64::MAX,
    });
    response::<FetchRecord>(FetchRecordReply::Chunk {
        total: u64::MAX,
        bytes: vec![1; CHUNK_BYTES],
    });
    response::<FetchRecord>(FetchRecordReply::Tampered {
        hospital: HOSPITAL,
        record_hash: HASH,
        found: HASH,
    });
    response::<FetchRecord>(FetchRecordReply::withheld(HOSPITAL, HASH, "x".repeat(5000)));
    response::<FetchRecord>(FetchRecordReply::Later { after_millis: 1 });
    request::<StoreRecord>(StoreRecordRequest::Chunk {
        upload: [1; 16],
        offset: u64::MAX,
        bytes: vec![1; CHUNK_BYTES],
    });
    request::<StoreRecord>(StoreRecordRequest::Finish(Finish {
        upload: [1; 16],
        total: u64::MAX,
        request_id: [2; 16],
        card: [3; 16],
        anchor_body: vec![1; MAX_ANCHOR_BYTES],
        author_signature: SIGNATURE,
        amends: Some(HASH),
        statement: signed(),
    }));
    response::<StoreRecord>(StoreRecordReply::Stored {
        height: 1,
        position: 2,
        block_hash: HASH,
        record_hash: HASH,
        receipt: vec![1; 4 * 1024],
    });
    response::<StoreRecord>(StoreRecordReply::denied("r".repeat(100), "d".repeat(5000)));
    response::<StoreRecord>(StoreRecordReply::retry(1, "d".repeat(5000)));
    request::<TagCounters>(TagCountersRequest {
        tags: vec![Tag([1; 16]); MAX_TAGS],
    });
    response::<TagCounters>(TagCountersReply::new(&[true; MAX_TAGS]));
    request::<BucketKeys>(BucketKeysRequest::Fetch {
        buckets: vec![[1; 3]; MAX_BUCKETS],
    });
    let living = LivingKey {
        bucket: [1; 3],
        key: [2; 32],
    };
    request::<BucketKeys>(BucketKeysRequest::Offer(living.clone()));
    response::<BucketKeys>(BucketKeysReply::Keys(vec![living; MAX_BUCKETS]));
    let text = |n: usize| "x".repeat(n);
    request::<LogDeed>(
        Deed {
            time: NOW,
            program: text(1000),
            node: text(1000),
            kind: DeedKind::Update,
            command: text(1000),
            operator: text(1000),
            outcome: DeedOutcome::Failed,
            reason: text(1000),
            request: [1; 16],
        }
        .cut(),
    );
    response::<LogDeed>(Reply::Done(u64::MAX));
    request::<AuditRows>(AuditRowsRequest {
        filter: vec![1; MAX_AUDIT_FILTER_BYTES],
        newest_first: true,
        cursor: Some(u64::MAX),
        limit: MAX_AUDIT_ROWS,
    });
    response::<AuditRows>(AuditRowsReply::Rows {
        rows: vec![1; MAX_AUDIT_ROWS_BYTES],
        next: Some(u64::MAX),
        unread: vec![[1; 3]; 4096],
    });
    request::<FetchReceipt>(FetchReceiptRequest { record_hash: HASH });
    response::<FetchReceipt>(FetchReceiptReply {
        receipt: vec![1; 4 * 1024],
    });
    request::<DeliverFragments>(DeliverFragmentsRequest {
        grant: HASH,
        index: u16::MAX,
        fragment: vec![1; 1024],
        salt: [1; 32],
        purpose: "p".repeat(2048),
        purpose_salt: [2; 32],
    });
    response::<DeliverFragments>(Reply::Done(FragmentKept {
        proxy: key(),
        signature: SIGNATURE,
    }));
    request::<Reencrypt>(ReencryptRequest {
        access: HASH,
        capsule: vec![1; 2048],
    });
    response::<Reencrypt>(Reply::Done(Reencrypted {
        capsule_fragment: vec![1; 2048],
        proxy: key(),
        signature: SIGNATURE,
        purpose: "p".repeat(2048),
        purpose_salt: [2; 32],
    }));
}

fn registration() -> RegisterRequest {
    RegisterRequest {
        hospital: HOSPITAL,
        card: [1; 16],
        desk_code: [2; 5],
        meta: meta(),
        sealed_pair_secret: vec![1; 256],
        audit_key: key(),
        at: NOW,
        signature: SIGNATURE,
    }
}

fn consent() -> EmergencyConsent {
    let view = SecretKey::generate(&mut OsRng);
    EmergencyConsent::sign(&view, HOSPITAL, HASH, true, NOW)
}

fn emergency() -> EmergencyRequest {
    EmergencyRequest {
        hospital: HOSPITAL,
        requester: key(),
        target: EmergencyTarget::Card(HASH),
        reason: "r".repeat(MAX_EMERGENCY_REASON_BYTES),
        at: NOW,
        nonce: [1; 16],
        signature: SIGNATURE,
    }
}

fn approval() -> EmergencyApproval {
    EmergencyApproval {
        hospital: HOSPITAL,
        request: HASH,
        officer: key(),
        sealed: vec![1; MAX_EMERGENCY_BOX_BYTES],
        statements: vec![vec![1; 96]; MAX_EMERGENCY_RECORDS],
        at: NOW,
        signature: SIGNATURE,
    }
}

fn opening() -> EmergencyOpening {
    EmergencyOpening {
        hospital: HOSPITAL,
        request: HASH,
        statements: vec![vec![1; 96]; MAX_EMERGENCY_RECORDS],
        at: NOW,
        signature: SIGNATURE,
    }
}

#[test]
fn the_largest_messages_of_an_emergency_fit() {
    let document = EmergencyDocument {
        request: emergency(),
        until: NOW,
        excerpts: vec![vec![1; MAX_EXCERPT_BYTES]; MAX_EMERGENCY_RECORDS],
        keys: vec![vec![1; MAX_EMERGENCY_KEY_BYTES]; MAX_EMERGENCY_KEYS],
        left_out: u32::MAX,
    };
    request::<Emergency>(EmergencyCall::Consent {
        card: [1; 16],
        consent: consent(),
    });
    request::<Emergency>(EmergencyCall::Request {
        card: Some([1; 16]),
        request: emergency(),
    });
    request::<Emergency>(EmergencyCall::Review { request: HASH });
    request::<Emergency>(EmergencyCall::Approve(approval()));
    request::<Emergency>(EmergencyCall::Open(opening()));
    request::<Emergency>(EmergencyCall::Fetch {
        request: HASH,
        record: HASH,
        offset: u64::MAX,
    });
    response::<Emergency>(Reply::Done(EmergencyAnswer::Noted));
    response::<Emergency>(Reply::Done(EmergencyAnswer::Document(document.clone())));
    response::<Emergency>(Reply::Done(EmergencyAnswer::Approved { approvals: 32 }));
    response::<Emergency>(Reply::Done(EmergencyAnswer::Opened {
        document,
        approvals: vec![approval(); MAX_OFFICERS],
        logged_at: u64::MAX,
    }));
    response::<Emergency>(Reply::Done(EmergencyAnswer::Chunk {
        total: u64::MAX,
        bytes: vec![1; CHUNK_BYTES],
    }));
}

#[test]
fn an_emergency_is_signed_for_by_each_person() {
    let (one, two) = (
        SecretKey::generate(&mut OsRng),
        SecretKey::generate(&mut OsRng),
    );
    let request = emergency().signed(&one);
    assert_eq!(request.requester, one.public());
    assert!(request.check().is_ok());
    let changed: [fn(&mut EmergencyRequest); 6] = [
        |request| request.hospital = HospitalId([1; 32]),
        |request| request.requester = key(),
        |request| request.target = EmergencyTarget::Record(HASH),
        |request| request.reason.clear(),
        |request| request.at = TimeMillis(1),
        |request| request.nonce = [2; 16],
    ];
    for change in changed {
        let mut bad = request.clone();
        change(&mut bad);
        assert!(bad.check().is_err(), "{bad:?}");
        assert_ne!(bad.id(), request.id());
    }
    let given = approval().signed(&two);
    assert!(given.check().is_ok());
    let changed: [fn(&mut EmergencyApproval); 6] = [
        |approval| approval.hospital = HospitalId([1; 32]),
        |approval| approval.request = Hash([1; 32]),
        |approval| approval.officer = key(),
        |approval| approval.sealed[0] ^= 1,
        |approval| approval.statements[0][0] ^= 1,
        |approval| approval.at = TimeMillis(1),
    ];
    for change in changed {
        let mut bad = given.clone();
        change(&mut bad);
        assert!(bad.check().is_err(), "{bad:?}");
    }
    let opened = opening().signed(&one);
    assert!(opened.check(&one.public()).is_ok());
    assert!(opened.check(&two.public()).is_err());
    let mut other = opened.clone();
    other.request = Hash([1; 32]);
    assert!(other.check(&one.public()).is_err());
}

fn question() -> AuditQueryRequest {
    let text = Some("t".repeat(128));
    AuditQueryRequest {
        hospital: HOSPITAL,
        filter: AuditFilter {
            actor: Some(key()),
            action: text.clone(),
            outcome: text,
            patient: Some(HASH),
            record: Some(HASH),
            grant: Some(HASH),
            request_id: Some([1; 16]),
            from: Some(NOW),
            until: Some(NOW),
            newest_first: true,
        },
        cursor: Some(vec![1; 256]),
        limit: 256,
        at: NOW,
        right: AuditRight::Staff,
        statement: signed(),
    }
}

#[test]
fn the_largest_messages_about_cards_and_the_log_fit() {
    request::<Register>(registration());
    response::<Register>(Reply::Done(Registered {
        index_key: key(),
        issuer: vec![1; 1024],
    }));
    response::<Register>(Reply::denied("r".repeat(100), "d".repeat(5000)));
    response::<Register>(Reply::later(1, "d".repeat(5000)));
    request::<IssueTokens>(IssueTokensRequest {
        hospital: HOSPITAL,
        card: [1; 16],
        blinded: vec![vec![1; 512]; MAX_TOKENS],
        at: NOW,
        signature: SIGNATURE,
    });
    response::<IssueTokens>(Reply::Done(TokenSignatures {
        signatures: vec![vec![1; 512]; MAX_TOKENS],
    }));
    request::<IndexKey>(IndexKeyRequest {
        card: [1; 16],
        quarter: Quarter(8096),
        statement: signed(),
    });
    response::<IndexKey>(Reply::Done(SealedIndexKey {
        sealed: vec![1; 256],
        view: key(),
    }));
    request::<MetaLookup>(MetaLookupRequest {
        card: [1; 16],
        statement: signed(),
    });
    response::<MetaLookup>(Reply::Done(CardHolder {
        hospital: HOSPITAL,
        meta: meta(),
        index_key: key(),
        audit_key: Some(key()),
        since: NOW,
        emergency: Some(EmergencyTerms {
            consent: consent(),
            key: vec![1; MAX_EMERGENCY_KEY_BYTES],
        }),
    }));
    request::<RegisterPatient>(RegisterPatientRequest {
        card: [1; 16],
        meta: meta(),
        statement: signed(),
    });
    response::<RegisterPatient>(Reply::Done(NewCard {
        card: [1; 16],
        desk_code: [2; 5],
        hospital: HOSPITAL,
        since: NOW,
    }));
    request::<LogAction>(LogActionRequest {
        entry: vec![1; 4 * 1024],
    });
    response::<LogAction>(Reply::Done(ActionLogged {
        height: u64::MAX,
        block_hash: HASH,
    }));
    request::<DepositPairSecret>(DepositPairSecretRequest {
        card: [1; 16],
        meta: meta(),
        sealed_pair_secret: vec![1; 256],
    });
    response::<DepositPairSecret>(Reply::later(1, "d".repeat(5000)));
    request::<AuditQuery>(question());
    response::<AuditQuery>(Reply::Done(AuditPage {
        entries: vec![vec![1; 20 * 1024]; 256],
        next: Some(vec![1; 256]),
        head: vec![1; MAX_CERTIFIED_BYTES],
        logged_at: u64::MAX,
    }));
}

#[test]
fn a_field_over_its_bound_is_refused() {
    let too_long = SubmitRequest {
        tx: vec![1; MAX_TX_BYTES + 1],
        wait: false,
    };
    let bytes = encode(&too_long);
    assert!(decode_exact::<SubmitRequest>(&bytes, Submit::MAX_REQUEST).is_err());
    let too_long = RelayRequest {
        txs: vec![vec![1; MAX_TX_BYTES + 1]],
    };
    let bytes = encode(&too_long);
    assert!(decode_exact::<RelayRequest>(&bytes, Relay::MAX_REQUEST).is_err());
    let too_many = TagCountersRequest {
        tags: vec![Tag([1; 16]); MAX_TAGS + 1],
    };
    let bytes = encode(&too_many);
    assert!(decode_exact::<TagCountersRequest>(&bytes, TagCounters::MAX_REQUEST).is_err());
}

#[test]
fn too_many_buckets_or_bytes_are_refused_and_a_key_is_not_printed() {
    let too_many = encode(&BucketKeysRequest::Fetch {
        buckets: vec![[1; 3]; MAX_BUCKETS + 1],
    });
    assert!(decode_exact::<BucketKeysRequest>(&too_many, BucketKeys::MAX_REQUEST).is_err());
    let too_long = encode(&AuditRowsReply::Rows {
        rows: vec![1; MAX_AUDIT_ROWS_BYTES + 1],
        next: None,
        unread: Vec::new(),
    });
    assert!(decode_exact::<AuditRowsReply>(&too_long, AuditRows::MAX_RESPONSE).is_err());
    let offer = BucketKeysRequest::Offer(LivingKey {
        bucket: [1; 3],
        key: [77; 32],
    });
    assert!(!format!("{offer:?}").contains("77"));
}

#[test]
fn the_bitmap_answers_for_each_tag() {
    let committed: Vec<bool> = (0..37).map(|i| i % 3 == 0).collect();
    let reply = TagCountersReply::new(&committed);
    for (index, expected) in committed.iter().enumerate() {
        assert_eq!(reply.is_committed(index), Some(*expected));
    }
    assert_eq!(reply.is_committed(40), None);
}

#[test]
fn a_record_right_is_worth_nothing_elsewhere() {
    let owner = SecretKey::generate(&mut OsRng);
    let other = SecretKey::generate(&mut OsRng);
    let peer = PeerId::random();
    let claim = RecordClaim {
        hospital: HOSPITAL,
        private_height: 1,
        position: 2,
        record_hash: HASH,
        caller: peer.to_bytes(),
        at: NOW,
    };
    let right = claim.claim_as_owner(&owner);
    claim.check(&right, &owner.public()).unwrap();
    assert!(claim.is_from(&peer));
    assert!(!claim.is_from(&PeerId::random()));
    assert!(claim.check(&right, &other.public()).is_err());
    let changes: [fn(&mut RecordClaim); 6] = [
        |c| c.hospital = HospitalId([1; 32]),
        |c| c.private_height += 1,
        |c| c.position += 1,
        |c| c.record_hash = Hash([1; 32]),
        |c| c.caller = PeerId::random().to_bytes(),
        |c| c.at = TimeMillis(1),
    ];
    for change in changes {
        let mut changed = claim.clone();
        change(&mut changed);
        assert!(changed.check(&right, &owner.public()).is_err());
    }
    let ticket = claim.claim_with_ticket(&owner, HASH);
    claim.check(&ticket, &owner.public()).unwrap();
    let RecordRight::Ticket { signature, .. } = ticket else {
        panic!("a ticket was asked for");
    };
    let forged = RecordRight::Ticket {
        access: Hash([1; 32]),
        signature,
    };
    assert!(claim.check(&forged, &owner.public()).is_err());
    assert!(
        claim
            .check(&RecordRight::Owner { signature }, &owner.public())
            .is_err()
    );
}

#[test]
fn signed_requests_show_any_change() {
    let secret = SecretKey::generate(&mut OsRng);
    let signed = registration().signed_for_registration(&secret);
    signed.check().unwrap();
    let mut changed = signed.clone();
    changed.desk_code = [0; 5];
    assert!(changed.check().is_err());
    let mut changed = signed;
    changed.audit_key = key();
    assert!(changed.check().is_err());

    let tokens = IssueTokensRequest {
        hospital: HOSPITAL,
        card: [1; 16],
        blinded: vec![vec![1; 256]],
        at: NOW,
        signature: SIGNATURE,
    }
    .signed_for_tokens(&secret);
    tokens.check(&secret.public()).unwrap();
    assert!(tokens.check(&key()).is_err());
    let mut changed = tokens;
    changed.blinded.push(vec![2; 256]);
    assert!(changed.check(&secret.public()).is_err());

    for asked in [
        question().signed_by_audit_key(&secret),
        question().signed_by_pseudonym(&secret),
    ] {
        asked.check().unwrap();
        let mut changed = asked;
        changed.filter.record = None;
        assert!(changed.check().is_err());
    }
    question().check().unwrap();
}
