//! `alliance-chain validate` over the files of a node: what it prints, and how it ends.

use alliance_chain::{Account, AllianceGenesis, AllianceMachine, Member, Params, Tx};
use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis, domain, encode};
use caduceus_ledger::{
    Address, Block, Certificate, ChainId, ChainKind, DecodedTx, Genesis, Validator, ValidatorSet,
    Vote, VoteKind, build, genesis_state,
};
use caduceus_node::Store;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
const NODE: &str = r#"
moniker = "validated"
genesis = "alliance.genesis"
network = "network.toml"
engine = "solo"
service_listen = "/ip4/127.0.0.1/tcp/1"
consensus_listen = "/ip4/127.0.0.1/tcp/2"
"#;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn hospital() -> HospitalId {
    HospitalId::from_identity(&key(1).public())
}

fn genesis() -> Genesis {
    let voter = Validator {
        key: key(3).public(),
        power: 1,
    };
    let voters = ValidatorSet::new(vec![voter]).unwrap();
    let member = Member {
        hospital: hospital(),
        name: "St Mary".into(),
        identity: key(1).public(),
        server: key(2).public(),
        private_chain: ChainId(Hash([5; 32])),
        private_validators: voters.clone(),
    };
    let own = AllianceGenesis {
        members: vec![member],
        proxies: Vec::new(),
        params: Params::standard(NOW.epoch()),
    };
    Genesis {
        kind: ChainKind::Alliance,
        name: "alliance".into(),
        time: NOW,
        validators: voters,
        app: own.encode(),
    }
}

/// The member vouches for a data user.
fn tx(n: u8) -> Vec<u8> {
    let account = Account {
        data_user: key(100 + n).public(),
        receiving: key(200).public(),
        label: format!("Institute number {n:04}"),
        member: hospital(),
    };
    Tx::Account(account.sign(&genesis().chain_id(), &key(1))).encode()
}

fn certificate(block: &Block) -> Certificate {
    let header = &block.header;
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    };
    let signature = key(3).sign(domain::VOTE, &vote.sign_bytes());
    Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures: vec![(Address::of(&key(3).public()), signature)],
    }
}

/// The folder of a node with five blocks, one transaction each.
fn write_home(home: &Path) {
    let genesis = genesis();
    std::fs::write(home.join("node.toml"), NODE).unwrap();
    std::fs::write(home.join("node.key"), hex::encode([3; 32])).unwrap();
    std::fs::write(home.join("alliance.genesis"), encode(&genesis)).unwrap();
    let store = Store::open(&home.join("chain.redb")).unwrap();
    let empty = store.snapshot().unwrap();
    let first = genesis_state(&AllianceMachine, &genesis, &empty, &empty).unwrap();
    store.init(&encode(&genesis), &first).unwrap();
    let mut parent = first.header;
    for n in 1..=5 {
        let view = store.snapshot().unwrap();
        let (block, executed, refused) = build(
            &AllianceMachine,
            &view,
            &view,
            &parent,
            TimeMillis(parent.time.0 + 1_000),
            Address::of(&key(3).public()),
            [DecodedTx::new(&AllianceMachine, Arc::new(tx(n))).unwrap()],
            genesis.kind.max_block_bytes(),
        )
        .unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        store
            .commit(&block, &certificate(&block), &executed)
            .unwrap();
        parent = block.header;
    }
}

/// Changes some bytes in the file wherever they stand, as an editor of files would.
fn edit(home: &Path, from: &[u8], to: &[u8]) {
    let path = home.join("chain.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "nothing to edit");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    std::fs::write(&path, bytes).unwrap();
}

fn validate(home: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alliance-chain"))
        .args(["validate", "--output", "json"])
        .args(flags)
        .env_clear()
        .env("CADUCEUS_HOME", home)
        .output()
        .unwrap()
}

fn data(done: &Output) -> Value {
    serde_json::from_slice(&done.stdout).unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

#[test]
fn a_whole_chain_holds() {
    let home = tempfile::tempdir().unwrap();
    write_home(home.path());
    for flags in [&[][..], &["--fast"]] {
        let done = validate(home.path(), flags);
        assert_eq!(said(&done), "");
        assert_eq!(done.status.code(), Some(0));
        assert_eq!(
            data(&done),
            json!({
                "tip": 5,
                "from": 0,
                "blocks": 5,
                "transactions": 5,
                "holds": true,
                "height": null,
                "what": null,
                "transaction_index": null,
                "transaction_id": null,
            })
        );
    }
}

#[test]
fn an_edited_transaction_ends_with_two_lines_and_code_5() {
    let home = tempfile::tempdir().unwrap();
    write_home(home.path());
    edit(
        home.path(),
        b"Institute number 0003",
        b"Institute number 9993",
    );
    for flags in [&[][..], &["--fast"]] {
        let done = validate(home.path(), flags);
        assert_eq!(done.status.code(), Some(5), "{}", said(&done));
        let found = data(&done);
        assert_eq!(found["holds"], false);
        assert_eq!((&found["height"], &found["blocks"]), (&json!(3), &json!(2)));
        assert_eq!(found["transaction_index"], 0);
        let id = found["transaction_id"].as_str().unwrap();
        assert_eq!(
            said(&done),
            format!(
                "error: height 3: the transactions are not those of the header's root (transaction 0, {id})\n\
                 try: restore or resync this node: put back a backup of chain.redb, or move it away and start \
                 the node, which catches up from the others\n"
            )
        );
    }
}

#[test]
fn a_store_in_use_or_no_node_at_all_is_two_lines() {
    let home = tempfile::tempdir().unwrap();
    let done = validate(home.path(), &[]);
    assert_eq!(done.status.code(), Some(2));
    assert!(said(&done).starts_with("error: no node here: "));
    assert_eq!(said(&done).lines().count(), 2);

    write_home(home.path());
    let _running = Store::open(&home.path().join("chain.redb")).unwrap();
    let done = validate(home.path(), &[]);
    assert_eq!(done.status.code(), Some(1));
    let said = said(&done);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with("error: the store cannot be read: "),
        "{said}"
    );
    assert_eq!(lines[1], "try: stop the node first, then validate");
    assert!(done.stdout.is_empty());
}
