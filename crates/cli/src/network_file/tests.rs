//! What passes as a network file and what does not.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::ExitCode;

const PEER: &str = "16Uiu2HAmPeerIdentifierInBase58";

fn node(name: &str) -> NodeEntry {
    NodeEntry {
        name: name.to_owned(),
        service: format!("/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"),
        key: "02".repeat(33),
        hospital: None,
    }
}

fn hospital(name: &str, id: &str) -> HospitalEntry {
    HospitalEntry {
        name: name.to_owned(),
        id: id.repeat(32),
        identity_key: "02".repeat(33),
        former_identity_keys: Vec::new(),
        server: format!("/ip4/127.0.0.1/tcp/5001/p2p/{PEER}"),
        keys: format!("/ip4/127.0.0.1/udp/5002/quic-v1/p2p/{PEER}"),
        index_key: "03".repeat(33),
        chain_id: "cd".repeat(32),
        nodes: vec![node("a"), node("b")],
    }
}

fn network() -> NetworkFile {
    NetworkFile {
        index_scheme: "tags".to_owned(),
        alliance: AllianceSection {
            genesis: "alliance-genesis.bin".to_owned(),
            chain_id: "ab".repeat(32),
            nodes: vec![node("a"), node("b")],
        },
        hospitals: vec![hospital("North", "11"), hospital("Sankt J\u{fc}rgen", "22")],
    }
}

#[test]
fn a_network_survives_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.toml");
    network().save(&path).unwrap();
    assert_eq!(NetworkFile::load(&path).unwrap(), network());
    assert_eq!(
        network().genesis_path(&path),
        dir.path().join("alliance-genesis.bin")
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn each_mistake_has_its_error() {
    type Mistake = (fn(&mut NetworkFile), fn(&NetworkFileError) -> bool);
    let mistakes: [Mistake; 12] = [
        (
            |n| n.index_scheme = "pecks".to_owned(),
            |e| matches!(e, NetworkFileError::IndexScheme { .. }),
        ),
        (
            |n| n.alliance.genesis = "../genesis".to_owned(),
            |e| matches!(e, NetworkFileError::Genesis { .. }),
        ),
        (
            |n| n.alliance.genesis = String::new(),
            |e| matches!(e, NetworkFileError::Genesis { .. }),
        ),
        (
            |n| n.alliance.chain_id.push('0'),
            |e| matches!(e, NetworkFileError::Hex { digits: 64, .. }),
        ),
        (
            |n| n.alliance.nodes.clear(),
            |e| matches!(e, NetworkFileError::NoNodes),
        ),
        (
            |n| n.alliance.nodes[1].name = "a".to_owned(),
            |e| matches!(e, NetworkFileError::Repeated { .. }),
        ),
        (
            |n| n.alliance.nodes[0].key = "zz".repeat(33),
            |e| matches!(e, NetworkFileError::Hex { digits: 66, .. }),
        ),
        (
            |n| n.hospitals[0].server = "127.0.0.1:5001".to_owned(),
            |e| matches!(e, NetworkFileError::Service { .. }),
        ),
        (
            |n| n.hospitals[0].keys = "/ip4/127.0.0.1/tcp/1".to_owned(),
            |e| matches!(e, NetworkFileError::Service { .. }),
        ),
        (
            |n| n.hospitals[1].name = "North".to_owned(),
            |e| matches!(e, NetworkFileError::Repeated { .. }),
        ),
        (
            |n| n.hospitals[1].name = "a/b".to_owned(),
            |e| matches!(e, NetworkFileError::Name { .. }),
        ),
        (
            |n| n.hospitals[1].index_key.clear(),
            |e| matches!(e, NetworkFileError::Hex { digits: 66, .. }),
        ),
    ];
    for (number, (make, expected)) in mistakes.into_iter().enumerate() {
        let mut broken = network();
        make(&mut broken);
        let error = broken.validate().unwrap_err();
        assert!(expected(&error), "mistake {number}: {error}");
    }
    network().validate().unwrap();
}

#[test]
fn a_wrong_file_is_a_usage_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.toml");
    let missing = NetworkFile::load(&path).unwrap_err();
    assert_eq!(missing.exit, ExitCode::NotFound);
    std::fs::write(&path, "[alliance]\ngenesis = 7\n").unwrap();
    let wrong = NetworkFile::load(&path).unwrap_err();
    assert_eq!(wrong.exit, ExitCode::Usage);
    assert!(wrong.what.contains("network.toml"), "{wrong}");
    assert_eq!(wrong.to_string().lines().count(), 2, "{wrong}");
    let unknown = format!("colour = \"red\"\n{}", toml::to_string(&network()).unwrap());
    assert!(matches!(
        NetworkFile::parse(unknown.as_bytes()),
        Err(NetworkFileError::Syntax(_))
    ));
}

#[test]
fn hospitals_are_found_by_name_and_by_the_beginning_of_their_identifier() {
    let network = network();
    assert_eq!(network.hospital("North").unwrap().name, "North");
    let by_id = network.hospital("22222222").unwrap();
    assert_eq!(by_id.name, "Sankt J\u{fc}rgen");
    for absent in ["2222", "South", "33333333", ""] {
        let error = network.hospital(absent).unwrap_err();
        assert_eq!(error.exit, ExitCode::NotFound);
        assert!(error.todo.contains("North"));
    }
}
