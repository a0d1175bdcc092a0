//! Mistakes at the desk that need a home, a card or files, and are told before anybody is asked.

use caduceus_crypto::index::SchemeKey;
use caduceus_crypto::{Card, CardQr, HospitalId, MetaAddress, PublicKey, SecretKey};
use caduceus_custody::keystore::KeystoreParams;
use hospital_server::workstation::home::StaffHome;
use rand_core::OsRng;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The generator of G1: as good an index key as any.
const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
    6c55e83ff97a1aeffb3af00adb22c6bb";

fn key() -> PublicKey {
    SecretKey::generate(&mut OsRng).public()
}

/// A network file with a hospital, North, whose services nobody runs.
fn write_network(path: &Path, scheme: &str) {
    let service = |port: u16| {
        let id = caduceus_network::peer_id(&key());
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{id}")
    };
    let identity = key();
    let text = format!(
        r#"
index_scheme = "{scheme}"
[alliance]
genesis = "alliance.genesis"
chain_id = "{chain}"
[[alliance.nodes]]
name = "a1"
service = "{node}"
key = "{identity}"
[[hospitals]]
name = "North"
id = "{id}"
identity_key = "{identity}"
server = "{server}"
keys = "{keys}"
index_key = "{identity}"
chain_id = "{chain}"
"#,
        chain = "c1".repeat(32),
        node = service(1),
        id = HospitalId::from_identity(&identity),
        server = service(2),
        keys = service(3),
    );
    fs::write(path, text).unwrap();
}

/// Runs the program without a passphrase; gives its exit code and what it says.
fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_hospital-server"))
        .args(arguments)
        .current_dir(home.parent().unwrap())
        .env_clear()
        .env("CADUCEUS_HOME", home)
        .output()
        .unwrap();
    assert!(done.stdout.is_empty(), "{arguments:?}");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.code(), said)
}

#[test]
fn a_meta_address_of_another_scheme_is_not_registered() {
    let bare = MetaAddress::new(key(), key());
    let point: [u8; 48] = hex::decode(GENERATOR).unwrap().try_into().unwrap();
    let keyed = MetaAddress {
        index: Some(SchemeKey::from_bytes(&point).unwrap()),
        ..bare
    };
    let cases = [
        ("tags", keyed, "has an index key", "has no use for one"),
        ("peks", bare, "has no index key", "needs one"),
        ("paeks", bare, "has no index key", "needs one"),
    ];
    for (scheme, meta, found, wanted) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (network, home) = (
            folder.path().join("network.toml"),
            folder.path().join("home"),
        );
        write_network(&network, scheme);
        let params = KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap();
        StaffHome::create(&home, &network, "North", "correct horse", params).unwrap();
        let (code, said) = run(&home, &["patient", "register", &meta.to_string()]);
        let expected = format!(
            "error: the meta-address {found}, and this network's index scheme, {scheme}, {wanted}\n\
             try: the meta-address that patient-client card shows in a home of this network\n"
        );
        assert_eq!((code, said), (Some(2), expected));
        assert!(
            StaffHome::open(&home)
                .unwrap()
                .patients()
                .unwrap()
                .is_empty()
        );
    }
    println!("{} mistakes", cases.len());
}

#[test]
fn several_records_replace_none() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    for name in ["a.txt", "b.txt"] {
        fs::write(folder.path().join(name), "corrected").unwrap();
    }
    let meta = MetaAddress::new(key(), key());
    let card = Card::generate(&mut OsRng, HospitalId::from_identity(&key()));
    let (card, record) = (CardQr::new(&card, &meta).to_string(), "ab".repeat(32));
    let upload = |files: &[&str]| {
        let mut arguments = vec!["upload", "--card", &card, "--amends", &record];
        arguments.extend_from_slice(&["--media-type", "text/plain"]);
        arguments.extend_from_slice(files);
        run(&home, &arguments)
    };
    let several = "error: --amends replaces one record by one, and the files hold 2\n\
                   try: one file with one record; --organisation may narrow a Bundle down\n";
    assert_eq!(upload(&["a.txt", "b.txt"]), (Some(2), several.to_owned()));
    // One is right, and what is wrong then is that there is no home.
    let (code, said) = upload(&["a.txt"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("is no home of a member of staff"), "{said}");
    assert!(!home.exists());
}
