//! Keys come back as they were made, damage is named, and what was destroyed stays so.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::audit::ActionClass;
use crate::testing::secret;
use std::os::unix::fs::PermissionsExt;

fn bucket(month: u16) -> Bucket {
    Bucket {
        class: ActionClass::ClinicalRead,
        month: 24_292 + month,
    }
}

fn open(dir: &Path) -> BucketKeys {
    BucketKeys::open(dir.join("keys"), &secret(3)).unwrap()
}

fn path(dir: &Path, month: u16, suffix: &str) -> PathBuf {
    dir.join("keys").join(format!("{}{suffix}", bucket(month)))
}

#[test]
fn a_key_is_drawn_once_and_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path());
    assert!(keys.get(&bucket(0)).unwrap().is_none());
    let drawn = keys.draw(&bucket(0)).unwrap();
    assert_eq!(keys.draw(&bucket(0)).unwrap(), drawn);
    assert_ne!(keys.draw(&bucket(1)).unwrap(), drawn);
    keys.insert(&bucket(2), Zeroizing::new([5; 32])).unwrap();
    drop(keys);
    let keys = open(dir.path());
    assert_eq!(keys.get(&bucket(0)).unwrap().unwrap(), drawn);
    assert_eq!(keys.draw(&bucket(0)).unwrap(), drawn);
    assert_eq!(*keys.get(&bucket(2)).unwrap().unwrap(), [5; 32]);
    assert_eq!(keys.list().unwrap(), [bucket(0), bucket(1), bucket(2)]);
}

#[test]
fn only_the_owner_may_read_a_file_and_the_key_is_not_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path());
    keys.insert(&bucket(0), Zeroizing::new([5; 32])).unwrap();
    let file = path(dir.path(), 0, ".key");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes.len(), FILE_BYTES);
    assert!(!bytes.windows(8).any(|part| part == [5; 8]));
}

#[test]
fn another_key_for_a_bucket_is_refused_and_the_same_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path());
    keys.insert(&bucket(0), Zeroizing::new([5; 32])).unwrap();
    keys.insert(&bucket(0), Zeroizing::new([5; 32])).unwrap();
    let other = keys.insert(&bucket(0), Zeroizing::new([6; 32]));
    assert!(matches!(other, Err(KeyError::Conflict { .. })));
    assert_eq!(*keys.get(&bucket(0)).unwrap().unwrap(), [5; 32]);
}

#[test]
fn each_altered_byte_is_noticed_and_a_peer_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path())
        .insert(&bucket(0), Zeroizing::new([5; 32]))
        .unwrap();
    let file = path(dir.path(), 0, ".key");
    let good = fs::read(&file).unwrap();
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        fs::write(&file, &bad).unwrap();
        let found = open(dir.path()).get(&bucket(0)).unwrap_err();
        let named = match position {
            0..8 => matches!(found, KeyError::Form { .. }),
            _ => matches!(found, KeyError::Altered { .. }),
        };
        assert!(named && found.is_damage(), "byte {position}: {found}");
    }
    for length in [0, 1, good.len() - 1, good.len() + 1] {
        let mut bad = good.clone();
        bad.resize(length, 0);
        fs::write(&file, &bad).unwrap();
        let keys = open(dir.path());
        let found = keys.get(&bucket(0)).unwrap_err();
        assert!(
            matches!(found, KeyError::Length { .. }),
            "{length}: {found}"
        );
        // A new key would not open what is sealed under the old one.
        assert!(keys.draw(&bucket(0)).is_err());
    }
    let keys = open(dir.path());
    keys.insert(&bucket(0), Zeroizing::new([5; 32])).unwrap();
    assert_eq!(*open(dir.path()).get(&bucket(0)).unwrap().unwrap(), [5; 32]);
}

#[test]
fn a_file_of_another_node_or_bucket_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).draw(&bucket(0)).unwrap();
    let other = BucketKeys::open(dir.path().join("keys"), &secret(4)).unwrap();
    let found = other.get(&bucket(0)).unwrap_err();
    assert!(matches!(found, KeyError::OtherNode { .. }), "{found}");
    fs::rename(path(dir.path(), 0, ".key"), path(dir.path(), 1, ".key")).unwrap();
    let found = open(dir.path()).get(&bucket(1)).unwrap_err();
    assert!(matches!(found, KeyError::Altered { .. }), "{found}");
}

#[test]
fn what_is_destroyed_never_returns() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path());
    let key = keys.draw(&bucket(0)).unwrap();
    for again in [&keys, &open(dir.path())] {
        again.destroy(&bucket(0)).unwrap();
        again.destroy(&bucket(1)).unwrap();
        for gone in [bucket(0), bucket(1)] {
            assert!(again.is_destroyed(&gone));
            assert!(again.get(&gone).unwrap().is_none());
            let refused = [
                again.draw(&gone).unwrap_err(),
                again.insert(&gone, key.clone()).unwrap_err(),
            ];
            for error in refused {
                assert!(matches!(error, KeyError::Destroyed { .. }), "{error}");
            }
        }
        assert!(again.list().unwrap().is_empty());
    }
    assert!(!path(dir.path(), 0, ".key").exists());
}

#[test]
fn a_destruction_that_was_cut_short_is_ended_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path());
    keys.draw(&bucket(0)).unwrap();
    keys.draw(&bucket(1)).unwrap();
    // As a crash right after the note would leave it, and one while a key was being written.
    fs::write(path(dir.path(), 0, ".gone"), b"").unwrap();
    fs::write(path(dir.path(), 2, ".key.new"), b"half").unwrap();
    drop(keys);
    let keys = open(dir.path());
    assert!(keys.is_destroyed(&bucket(0)) && keys.get(&bucket(0)).unwrap().is_none());
    assert!(!path(dir.path(), 0, ".key").exists());
    assert!(!path(dir.path(), 2, ".key.new").exists());
    assert_eq!(keys.list().unwrap(), [bucket(1)]);
}
