//! Sharing: patient -> proxies -> data user, and everything that must fail.

use caduceus_crypto::reencrypt::{KeyFragment, reencrypt};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::delegate::{Delegation, delegate};
use crate::fixtures::{hospital, patient, rng, sealed};
use crate::patient::PatientKeys;
use crate::seal::Sealed;

const TEXT: &[u8] = b"shared with a specialist";

struct Scene {
    rng: ChaCha20Rng,
    owner: PatientKeys,
    user: SecretKey,
    record: Sealed,
}

fn scene(seed: u64) -> Scene {
    let (mut rng, owner) = (rng(seed), patient(1));
    let user = SecretKey::generate(&mut rng);
    let record = sealed(&mut rng, &owner, TEXT);
    Scene {
        rng,
        owner,
        user,
        record,
    }
}

impl Scene {
    fn delegate(&mut self, record: &Sealed, t: usize, n: usize) -> Delegation {
        let keys = self.owner.one_time(&hospital(), &record.pseudonym).unwrap();
        delegate(&mut self.rng, &keys.delegating, &self.user.public(), t, n).unwrap()
    }

    /// Each proxy verifies its fragment and re-encrypts the record's capsule.
    fn answers(&mut self, record: &Sealed, delegation: &Delegation) -> Vec<Vec<u8>> {
        let delegating = record.header.delegating;
        let receiving = self.user.public();
        delegation
            .fragments
            .iter()
            .map(|bytes| {
                let fragment = KeyFragment(bytes.clone())
                    .verify(&delegation.verifying, &delegating, &receiving)
                    .unwrap();
                reencrypt(&record.capsule, &fragment, &mut self.rng).unwrap()
            })
            .collect()
    }

    fn open(&self, delegation: &Delegation, cfrags: &[Vec<u8>]) -> Result<Opened, SharedError> {
        open_shared(
            &self.record.bytes,
            &self.user,
            &self.record.header.delegating,
            &delegation.verifying,
            cfrags,
        )
    }
}

fn subset(answers: &[Vec<u8>], mask: usize) -> Vec<Vec<u8>> {
    answers
        .iter()
        .enumerate()
        .filter(|(index, _)| mask >> index & 1 == 1)
        .map(|(_, answer)| answer.clone())
        .collect()
}

#[test]
fn every_subset_opens_if_and_only_if_it_reaches_the_threshold() {
    let mut cases = 0;
    for (t, n) in [(1, 1), (2, 3), (3, 4)] {
        let mut scene = scene(40);
        let record = scene.record.clone();
        let delegation = scene.delegate(&record, t, n);
        let answers = scene.answers(&record, &delegation);
        for mask in 0..(1usize << n) {
            let chosen = subset(&answers, mask);
            let opened = scene.open(&delegation, &chosen);
            if chosen.len() >= t {
                assert_eq!(opened.unwrap().plaintext, TEXT, "{t} of {n}, {mask:b}");
            } else {
                let expected = SharedError::NotEnoughFragments {
                    found: chosen.len(),
                };
                assert_eq!(opened.unwrap_err(), expected, "{t} of {n}, {mask:b}");
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 2 + 8 + 16);
}

#[test]
fn the_order_of_the_fragments_does_not_matter() {
    let mut scene = scene(41);
    let record = scene.record.clone();
    let delegation = scene.delegate(&record, 2, 3);
    let mut answers = scene.answers(&record, &delegation);
    answers.reverse();
    assert_eq!(
        scene.open(&delegation, &answers[..2]).unwrap().plaintext,
        TEXT
    );
}

/// Two records of one patient, granted to one user: fragments of one are worth nothing on the other.
#[test]
fn fragments_of_one_record_fail_on_another() {
    let mut scene = scene(42);
    let first = scene.record.clone();
    let owner = scene.owner.clone();
    let second = sealed(&mut scene.rng, &owner, b"another record");
    let granted = scene.delegate(&first, 2, 3);
    let receiving = scene.user.public();
    // A proxy is not fooled into accepting the fragment for the second record's key.
    for bytes in &granted.fragments {
        let foreign = KeyFragment(bytes.clone()).verify(
            &granted.verifying,
            &second.header.delegating,
            &receiving,
        );
        assert!(foreign.is_err());
    }
    // A proxy that colludes re-encrypts the second record's capsule all the same: useless.
    let mut stolen = Vec::new();
    for bytes in &granted.fragments {
        let fragment = KeyFragment(bytes.clone())
            .verify(&granted.verifying, &first.header.delegating, &receiving)
            .unwrap();
        stolen.push(reencrypt(&second.capsule, &fragment, &mut scene.rng).unwrap());
    }
    let on_second = open_shared(
        &second.bytes,
        &scene.user,
        &second.header.delegating,
        &granted.verifying,
        &stolen,
    );
    assert_eq!(
        on_second.unwrap_err(),
        SharedError::BadFragment { index: 0 }
    );
    assert_eq!(
        scene.open(&granted, &stolen).unwrap_err(),
        SharedError::BadFragment { index: 0 }
    );
    // Naming the first record's key for the second record is noticed as well.
    let renamed = open_shared(
        &second.bytes,
        &scene.user,
        &first.header.delegating,
        &granted.verifying,
        &stolen,
    );
    assert_eq!(
        renamed.unwrap_err(),
        SharedError::Open(OpenError::DelegatingKey)
    );
}

#[test]
fn a_bad_fragment_is_named() {
    let mut scene = scene(43);
    let record = scene.record.clone();
    let delegation = scene.delegate(&record, 2, 3);
    let answers = scene.answers(&record, &delegation);
    for index in 0..3 {
        let mut bad = answers.clone();
        let middle = bad[index].len() / 2;
        bad[index][middle] ^= 1;
        assert_eq!(
            scene.open(&delegation, &bad).unwrap_err(),
            SharedError::BadFragment { index }
        );
    }
    let mut other = scene.answers(&record, &delegation);
    other[1] = answers[0].clone();
    other[0] = answers[0].clone();
    assert_eq!(
        scene.open(&delegation, &other).unwrap_err(),
        SharedError::RepeatedFragment { index: 1, first: 0 }
    );
}

/// Also a second re-encryption with the same key fragment, whose proof has other bytes.
#[test]
fn one_proxy_does_not_count_twice() {
    let mut scene = scene(44);
    let record = scene.record.clone();
    let delegation = scene.delegate(&record, 2, 3);
    let once = scene.answers(&record, &delegation);
    let twice = scene.answers(&record, &delegation);
    assert_ne!(once[2], twice[2]);
    let pair = [once[2].clone(), twice[2].clone()];
    assert_eq!(
        scene.open(&delegation, &pair).unwrap_err(),
        SharedError::RepeatedFragment { index: 1, first: 0 }
    );
}

#[test]
fn every_flipped_byte_of_a_fragment_is_refused() {
    let mut scene = scene(45);
    let record = scene.record.clone();
    let delegation = scene.delegate(&record, 1, 1);
    let answer = scene.answers(&record, &delegation).remove(0);
    assert_eq!(
        scene
            .open(&delegation, &[answer.clone()])
            .unwrap()
            .plaintext,
        TEXT
    );
    for at in 0..answer.len() {
        let mut bad = answer.clone();
        bad[at] ^= 1 << (at % 8);
        for bytes in [bad, answer[..at].to_vec()] {
            assert_eq!(
                scene.open(&delegation, &[bytes]).unwrap_err(),
                SharedError::BadFragment { index: 0 },
                "byte {at}"
            );
        }
    }
}

#[test]
fn only_the_grantee_opens() {
    let mut scene = scene(46);
    let record = scene.record.clone();
    let delegation = scene.delegate(&record, 2, 3);
    let answers = scene.answers(&record, &delegation);
    let thief = SecretKey::generate(&mut scene.rng);
    let stolen = open_shared(
        &record.bytes,
        &thief,
        &record.header.delegating,
        &delegation.verifying,
        &answers,
    );
    assert_eq!(stolen.unwrap_err(), SharedError::BadFragment { index: 0 });
    // Fragments of a later grant don't mix with these.
    let later = scene.delegate(&record, 2, 3);
    let mixed = scene.answers(&record, &later);
    assert_eq!(
        scene
            .open(&delegation, &[answers[0].clone(), mixed[1].clone()])
            .unwrap_err(),
        SharedError::BadFragment { index: 1 }
    );
    assert_eq!(scene.open(&later, &mixed).unwrap().plaintext, TEXT);
}

/// What d gives away is this record: it equals neither the signing secret nor the other record's d.
#[test]
fn the_delegating_secret_is_the_records_own() {
    let mut scene = scene(47);
    let owner = scene.owner.clone();
    let second = sealed(&mut scene.rng, &owner, b"another record");
    let one = owner
        .one_time(&hospital(), &scene.record.pseudonym)
        .unwrap();
    let two = owner.one_time(&hospital(), &second.pseudonym).unwrap();
    assert_ne!(one.delegating.to_bytes()[..], two.delegating.to_bytes()[..]);
    assert_ne!(one.delegating.to_bytes()[..], one.secret.to_bytes()[..]);
}
