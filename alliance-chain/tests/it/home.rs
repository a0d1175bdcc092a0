//! The folder of an alliance node, written without running one.

use alliance_chain::{
    Account, AllianceGenesis, AllianceMachine, Member, Params, ProxyInfo, Report, ReportKind,
    ReportProof, Tx,
};
use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis, domain, encode};
use caduceus_ledger::{
    Address, Block, Certificate, ChainId, ChainKind, DecodedTx, Genesis, Validator, ValidatorSet,
    Vote, VoteKind, build, genesis_state,
};
use caduceus_node::Store;
use std::path::Path;
use std::sync::Arc;

/// 2024-05-06, 12:53 UTC.
pub const NOW: TimeMillis = TimeMillis(1_715_000_000_000);

/// `node.toml` of a sequencer that listens on this port of loopback.
fn node_file(port: u16) -> String {
    format!(
        "moniker = \"validated\"\ngenesis = \"alliance.genesis\"\nnetwork = \"network.toml\"\n\
         engine = \"solo\"\nservice_listen = \"/ip4/127.0.0.1/tcp/{port}\"\n\
         consensus_listen = \"/ip4/127.0.0.1/tcp/2\"\n"
    )
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

pub fn hospital() -> HospitalId {
    HospitalId::from_identity(&key(1).public())
}

pub fn genesis(time: TimeMillis) -> Genesis {
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
        proxies: vec![ProxyInfo {
            key: key(3).public(),
            validator: Address::of(&key(3).public()),
        }],
        operators: Vec::new(),
        params: Params::standard(time.epoch()),
    };
    Genesis {
        kind: ChainKind::Alliance,
        name: "alliance".into(),
        time,
        validators: voters,
        app: own.encode(),
    }
}

/// The member vouches for a data user.
pub fn account(chain: &ChainId, n: u8) -> Vec<u8> {
    let account = Account {
        data_user: key(100 + n).public(),
        receiving: key(200).public(),
        label: format!("Institute number {n:04}"),
        member: hospital(),
    };
    Tx::Account(account.sign(chain, &key(1))).encode()
}

/// The member says of itself that its chain has a fork.
pub fn report(chain: &ChainId) -> Vec<u8> {
    let report = Report {
        reporter: key(1).public(),
        kind: ReportKind::Fork,
        hospital: hospital(),
        record: None,
        detail: "two headers at height 7".into(),
        proof: ReportProof::None,
    };
    Tx::Report(report.sign(chain, &key(1))).encode()
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

/// The folder of a node with five blocks, one data user each.
pub fn write_home(home: &Path) {
    let chain = genesis(NOW).chain_id();
    let txs: Vec<Vec<u8>> = (1..=5).map(|n| account(&chain, n)).collect();
    write_chain(home, NOW, 1, &txs);
}

/// The folder of a node that listens on a port, with a genesis of this time and a block for each transaction, a second
/// apart.
pub fn write_chain(home: &Path, time: TimeMillis, port: u16, txs: &[Vec<u8>]) {
    let genesis = genesis(time);
    std::fs::write(home.join("node.toml"), node_file(port)).unwrap();
    std::fs::write(home.join("node.key"), hex::encode([3; 32])).unwrap();
    std::fs::write(home.join("alliance.genesis"), encode(&genesis)).unwrap();
    let store = Store::open(&home.join("chain.redb")).unwrap();
    let empty = store.snapshot().unwrap();
    let first = genesis_state(&AllianceMachine, &genesis, &empty, &empty).unwrap();
    store.init(&encode(&genesis), &first).unwrap();
    let mut parent = first.header;
    for tx in txs {
        let view = store.snapshot().unwrap();
        let (block, executed, refused) = build(
            &AllianceMachine,
            &view,
            &view,
            &parent,
            TimeMillis(parent.time.0 + 1_000),
            Address::of(&key(3).public()),
            [DecodedTx::new(&AllianceMachine, Arc::new(tx.clone())).unwrap()],
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
