//! The bytes of what travels and rests, one value a type. A snapshot that changes is a change of format: it is
//! a decision, and says `Format:` in the change log.
//!
//! Left out: `Tx::Issuer` and `IssuerRecord`, for want of a fixed 2,048-bit key.

mod credits;
mod index;

use alliance_chain::proposal::Proposal;
use alliance_chain::{
    Access, AccessRecord, Account, AccountRecord, Acknowledge, AnchorsExtra, Change, Checkpoint,
    CheckpointHead, CheckpointedHeader, Governance, Grant, GrantRecord, GrantStatus, Hit, Link,
    LinkedRecord, Member, MemberRecord, Params, ProxyInfo, Purpose, RecordRef, Report, ReportKind,
    ReportProof, ReportRecord, Request, RequestRecord, Revoke, Search, SearchResult, Tx,
};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::index::Slots;
use caduceus_crypto::{
    AnchorLeaf, Clause, Cover, CoverNode, Epoch, Hash, HospitalId, IndexEntries, Pseudonym,
    Quarter, QuarterCover, Query, SecretKey, Tag, TimeMillis, Token, codec, domain,
};
use caduceus_ledger::{
    Address, Certificate, ChainId, Header, Height, Validator, ValidatorSet, Vote, VoteKind,
};
use sha3::{Digest, Sha3_256};
use std::fmt::Debug;

/// 2024-05-06, 12:53 UTC.
const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
const CHAIN: ChainId = ChainId(Hash([0xa1; 32]));
const PRIVATE_CHAIN: ChainId = ChainId(Hash([0x50; 32]));
const PLACE: RecordRef = RecordRef {
    height: 12,
    position: 3,
};

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

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::NETWORK_KEY, &[n], &[])
}

/// Identity key of hospital `n`, 0 to 9.
fn identity(n: u8) -> SecretKey {
    key(10 + n)
}

fn hospital(n: u8) -> HospitalId {
    HospitalId::from_identity(&identity(n).public())
}

/// Validators of the private chain of hospital 0.
fn voters(power: u64) -> ValidatorSet {
    let validators = (30..34)
        .map(|n| Validator {
            key: key(n).public(),
            power,
        })
        .collect();
    ValidatorSet::new(validators).unwrap()
}

fn member() -> Member {
    Member {
        hospital: hospital(0),
        name: "St Mary".into(),
        identity: identity(0).public(),
        server: key(20).public(),
        private_chain: PRIVATE_CHAIN,
        private_validators: voters(1),
    }
}

fn proxies() -> Vec<ProxyInfo> {
    (40..43)
        .map(|n| ProxyInfo {
            key: key(n).public(),
            validator: Address::of(&key(n + 10).public()),
        })
        .collect()
}

fn approved(change: Change) -> Tx {
    let body = Governance {
        generation: 3,
        change,
    };
    let approvals = (0..2)
        .map(|n| (hospital(n), body.approve(&CHAIN, &identity(n))))
        .collect();
    Tx::Member(body.with_approvals(approvals))
}

fn pseudonym() -> Pseudonym {
    Pseudonym {
        point: key(60).public(),
        ephemeral: key(61).public(),
        view_tag: 0xa5,
    }
}

fn leaf() -> AnchorLeaf {
    AnchorLeaf {
        pseudonym: pseudonym(),
        record_hash: Hash([0x11; 32]),
        entries: IndexEntries::Tags((0..8u8).map(|n| Tag([n; 16])).collect()),
    }
}

fn anchors_extra() -> AnchorsExtra {
    AnchorsExtra {
        root: Hash([0x44; 32]),
        count: 258,
    }
}

fn header() -> Header {
    Header {
        chain: PRIVATE_CHAIN,
        height: Height(12),
        time: NOW,
        proposer: Address::of(&key(30).public()),
        parent: Hash([1; 32]),
        txs_root: Hash([2; 32]),
        results_root: Hash([3; 32]),
        state_root: Hash([4; 32]),
        validators: voters(1).hash(),
        next_validators: voters(2).hash(),
        extra: anchors_extra().to_bytes(),
    }
}

/// Three of four validators.
fn certificate() -> Certificate {
    let header = header();
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 1,
        block: Some(header.hash()),
    };
    let signatures = (30..33)
        .map(|n| {
            let key = key(n);
            let signature = key.sign(domain::VOTE, &vote.sign_bytes());
            (Address::of(&key.public()), signature)
        })
        .collect();
    Certificate {
        height: header.height,
        round: 1,
        block: header.hash(),
        signatures,
    }
}

fn account() -> Account {
    Account {
        data_user: key(70).public(),
        receiving: key(71).public(),
        label: "Institute".into(),
        member: hospital(0),
    }
}

fn request() -> Request {
    Request {
        data_user: key(70).public(),
        purpose: Purpose::Research,
        sought: "laboratory reports of 2023".into(),
        until: TimeMillis(NOW.0 + 86_400_000),
    }
}

fn grant() -> Grant {
    Grant {
        data_user: key(70).public(),
        receiving: key(71).public(),
        purpose_commitment: Hash([0x21; 32]),
        hospital: hospital(0),
        record: PLACE,
        record_hash: Hash([0x11; 32]),
        pseudonym: key(60).public(),
        delegating: key(62).public(),
        verifying: key(63).public(),
        expires: TimeMillis(NOW.0 + 86_400_000),
        proxies: (40..43).map(|n| key(n).public()).collect(),
        threshold: 2,
        fragment_commitments: (0..3u8).map(|n| Hash([n; 32])).collect(),
    }
}

fn report() -> Report {
    Report {
        reporter: key(20).public(),
        kind: ReportKind::Withheld,
        hospital: hospital(1),
        record: Some(PLACE),
        detail: "no answer in a day".into(),
        proof: ReportProof::None,
    }
}

#[test]
fn a_transaction_that_admits_a_member() {
    check("tx_member_admit", &approved(Change::Admit(member())));
}

#[test]
fn a_transaction_that_removes_a_member() {
    check("tx_member_remove", &approved(Change::Remove(hospital(1))));
}

#[test]
fn a_transaction_that_rotates_a_members_keys() {
    let change = Change::Rotate {
        hospital: hospital(0),
        identity: key(80).public(),
        server: key(81).public(),
    };
    check("tx_member_rotate", &approved(change));
}

#[test]
fn a_transaction_that_names_the_proxies() {
    check("tx_member_proxies", &approved(Change::Proxies(proxies())));
}

#[test]
fn a_transaction_that_names_the_validators() {
    check(
        "tx_member_validators",
        &approved(Change::Validators(voters(2))),
    );
}

#[test]
fn a_proposal_file() {
    let mut proposal = Proposal::new(CHAIN, 3, Change::Remove(hospital(1)));
    proposal.approve(hospital(0), &identity(0));
    check("proposal", &proposal);
    let text = proposal.to_text();
    assert_eq!(Proposal::parse(&text).unwrap(), proposal);
    assert!(text.starts_with("caduceus alliance proposal 1\n"));
}

#[test]
fn the_former_identity_keys_of_a_member() {
    check(
        "former_identities",
        &vec![identity(1).public(), identity(2).public()],
    );
}

#[test]
fn a_transaction_that_opens_an_account() {
    let signed = account().sign(&CHAIN, &identity(0));
    check("tx_account", &Tx::Account(signed));
}

#[test]
fn a_transaction_that_checkpoints() {
    let checkpoint = Checkpoint {
        hospital: hospital(0),
        headers: vec![header()],
        certificate: certificate(),
        next_validators: Some(voters(2)),
    };
    check("tx_checkpoint", &Tx::Checkpoint(checkpoint));
}

#[test]
fn a_transaction_that_links() {
    let link = Link {
        hospital: hospital(0),
        height: Height(12),
        leaves: vec![leaf()],
    };
    check("tx_link", &Tx::Link(link));
}

/// The token's signature is none: what counts here is its place.
fn search(slots: Slots) -> Tx {
    let search = Search {
        hospital: hospital(0),
        query: Query {
            clauses: vec![Clause {
                negative: false,
                slots: vec![0],
            }],
            slots,
        },
        nonce: [6; 32],
        expires: Height(100),
        chain: CHAIN,
        issuer: hospital(1),
        token: Token {
            key: key(90).public(),
            signature: vec![7; 256],
        },
    };
    Tx::Search(search.sign(&key(90)))
}

#[test]
fn a_transaction_that_searches() {
    let cover = Cover {
        quarters: vec![QuarterCover {
            quarter: Quarter(8_097),
            salt: [1; 16],
            nodes: vec![CoverNode {
                depth: 0,
                position: 0,
                seed: [2; 16],
            }],
        }],
    };
    check("tx_search", &search(Slots::Tags(vec![cover])));
}

#[test]
fn a_transaction_that_requests() {
    check("tx_request", &Tx::Request(request().sign(&CHAIN, &key(70))));
}

#[test]
fn a_transaction_that_grants() {
    check("tx_grant", &Tx::Grant(grant().sign(&CHAIN, &key(60))));
}

#[test]
fn a_transaction_that_accesses() {
    let access = Access {
        grant: Hash([0x31; 32]),
        nonce: [5; 32],
    };
    check("tx_access", &Tx::Access(access.sign(&CHAIN, &key(70))));
}

#[test]
fn a_transaction_that_revokes() {
    let revoke = Revoke {
        grant: Hash([0x31; 32]),
    };
    check("tx_revoke", &Tx::Revoke(revoke.sign(&CHAIN, &key(60))));
}

#[test]
fn a_transaction_that_reports() {
    check("tx_report", &Tx::Report(report().sign(&CHAIN, &key(20))));
}

#[test]
fn a_search_result() {
    let result = SearchResult {
        hospital: hospital(0),
        linked_height: 12,
        hits: vec![Hit {
            record: PLACE,
            pseudonym: pseudonym(),
            record_hash: Hash([0x11; 32]),
        }],
        stopped_at: Some(RecordRef {
            height: 12,
            position: 4,
        }),
        probes: 99,
    };
    check("search_result", &result);
}

#[test]
fn a_complete_search_result() {
    let result = SearchResult {
        hospital: hospital(0),
        linked_height: 12,
        hits: Vec::new(),
        stopped_at: None,
        probes: 1,
    };
    check("search_result_complete", &result);
}

#[test]
fn the_parameters() {
    check("params", &Params::standard(Epoch(18_262)));
}

#[test]
fn the_proxies() {
    check("proxies", &proxies());
}

#[test]
fn a_member_record() {
    let record = MemberRecord {
        member: member(),
        removed: Some(Height(40)),
    };
    check("member_record", &record);
}

#[test]
fn an_account_record() {
    let record = AccountRecord {
        account: account(),
        since: NOW,
    };
    check("account_record", &record);
}

#[test]
fn a_checkpoint_head() {
    let head = CheckpointHead {
        height: Height(12),
        hash: header().hash(),
        time: NOW,
        recorded_at: TimeMillis(NOW.0 + 500),
    };
    check("checkpoint_head", &head);
}

#[test]
fn a_checkpointed_header() {
    let kept = CheckpointedHeader {
        hash: header().hash(),
        time: NOW,
        anchors_root: Hash([0x44; 32]),
        anchors_count: 258,
    };
    check("checkpointed_header", &kept);
}

#[test]
fn the_extra_bytes_of_a_private_header() {
    let bytes = anchors_extra().to_bytes();
    assert_eq!(AnchorsExtra::parse(&bytes), Some(anchors_extra()));
    insta::assert_snapshot!("anchors_extra", fingerprint(&bytes));
}

#[test]
fn the_place_of_a_record() {
    check("record_ref", &PLACE);
}

#[test]
fn a_linked_record() {
    let record = LinkedRecord {
        pseudonym: pseudonym(),
        record_hash: Hash([0x11; 32]),
    };
    check("linked_record", &record);
}

#[test]
fn a_request_record() {
    let record = RequestRecord {
        request: request(),
        posted: NOW,
    };
    check("request_record", &record);
}

#[test]
fn a_grant_record() {
    let record = GrantRecord {
        grant: grant(),
        height: Height(50),
        granted: NOW,
        status: GrantStatus::Active,
    };
    check("grant_record_active", &record);
}

#[test]
fn a_revoked_grant_record() {
    let record = GrantRecord {
        grant: grant(),
        height: Height(50),
        granted: NOW,
        status: GrantStatus::Revoked {
            at: TimeMillis(NOW.0 + 1),
        },
    };
    check("grant_record_revoked", &record);
}

#[test]
fn an_access_record() {
    let record = AccessRecord {
        grant: Hash([0x31; 32]),
        data_user: key(70).public(),
        index: 2,
        height: Height(51),
        time: NOW,
    };
    check("access_record", &record);
}

#[test]
fn a_report_record() {
    let record = ReportRecord {
        report: report(),
        height: Height(52),
        time: NOW,
    };
    check("report_record", &record);
}
