use super::*;
use crate::keys::SecretKey;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use umbral_pre::{Signer, decrypt_reencrypted, encrypt_with_rng, generate_kfrags_with_rng};

fn public(key: &umbral_pre::SecretKey) -> PublicKey {
    PublicKey::from_bytes(&key.public_key().to_compressed_bytes()).unwrap()
}

/// A delegation of 2 of 3, and a capsule under its delegating key.
struct Scene {
    rng: ChaCha20Rng,
    delegating: umbral_pre::SecretKey,
    receiving: umbral_pre::SecretKey,
    verifying: PublicKey,
    fragments: Vec<KeyFragment>,
    capsule: Vec<u8>,
    wrapped: Vec<u8>,
}

impl Scene {
    fn with_flags(seed: u64, sign_delegating: bool, sign_receiving: bool) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let delegating = umbral_pre::SecretKey::random_with_rng(&mut rng);
        let receiving = umbral_pre::SecretKey::random_with_rng(&mut rng);
        let signing = umbral_pre::SecretKey::random_with_rng(&mut rng);
        let verifying = public(&signing);
        let fragments = generate_kfrags_with_rng(
            &mut rng,
            &delegating,
            &receiving.public_key(),
            &Signer::new(signing),
            2,
            3,
            sign_delegating,
            sign_receiving,
        )
        .iter()
        .map(|fragment| KeyFragment(serialize(fragment)))
        .collect();
        let (capsule, wrapped) =
            encrypt_with_rng(&mut rng, &delegating.public_key(), &[7; 32]).unwrap();
        let capsule = serialize(&capsule);
        Scene {
            rng,
            delegating,
            receiving,
            verifying,
            fragments,
            capsule,
            wrapped: wrapped.into_vec(),
        }
    }

    fn new(seed: u64) -> Self {
        Self::with_flags(seed, true, true)
    }

    fn verify(&self, fragment: &KeyFragment) -> Result<VerifiedFragment, FragmentError> {
        fragment.verify(
            &self.verifying,
            &public(&self.delegating),
            &public(&self.receiving),
        )
    }

    fn answer(&mut self, at: usize) -> Vec<u8> {
        let fragment = self.verify(&self.fragments[at]).unwrap();
        reencrypt(&self.capsule, &fragment, &mut self.rng).unwrap()
    }

    fn check(&self, answer: &[u8]) -> Result<VerifiedCapsuleFrag, CapsuleFragmentError> {
        let (delegating, receiving) = (public(&self.delegating), public(&self.receiving));
        verify_capsule_fragment(
            &self.capsule,
            answer,
            &self.verifying,
            &delegating,
            &receiving,
        )
    }
}

#[test]
fn layouts_have_umbrals_lengths() {
    let mut scene = Scene::new(1);
    assert_eq!(CAPSULE_BYTES, 105);
    assert_eq!(KEY_FRAGMENT_BYTES, 310);
    assert_eq!(CAPSULE_FRAGMENT_BYTES, 381);
    assert_eq!(scene.capsule.len(), CAPSULE_BYTES);
    assert_eq!(scene.fragments[0].0.len(), KEY_FRAGMENT_BYTES);
    assert_eq!(scene.answer(0).len(), CAPSULE_FRAGMENT_BYTES);
    assert_eq!(&scene.fragments[0].0[4..37], second_generator());
    assert_eq!(RECEIVER_SIGNATURE.end + 2, KEY_FRAGMENT_BYTES);
    assert_eq!(PROXY_SIGNATURE.len(), RECEIVER_SIGNATURE.len());
}

#[test]
fn two_of_three_answers_open_the_capsule() {
    let mut scene = Scene::new(2);
    let answers = [scene.answer(0), scene.answer(2)];
    let verified: Vec<VerifiedCapsuleFrag> = answers
        .iter()
        .map(|answer| scene.check(answer).unwrap())
        .collect();
    let capsule = parse_capsule(&scene.capsule).unwrap();
    let delegating = scene.delegating.public_key();
    let opened = decrypt_reencrypted(
        &scene.receiving,
        &delegating,
        &capsule,
        verified.clone(),
        &scene.wrapped,
    );
    assert_eq!(&opened.unwrap()[..], &[7; 32]);
    let one = verified[..1].to_vec();
    assert!(
        decrypt_reencrypted(&scene.receiving, &delegating, &capsule, one, &scene.wrapped).is_err()
    );
}

#[test]
fn fragments_are_bound_to_their_keys() {
    let scene = Scene::new(3);
    let other = SecretKey::generate(&mut ChaCha20Rng::seed_from_u64(99)).public();
    let (d, r, v) = (
        public(&scene.delegating),
        public(&scene.receiving),
        scene.verifying,
    );
    let fragment = &scene.fragments[0];
    let verified = fragment.verify(&v, &d, &r).unwrap();
    assert_eq!(verified.to_bytes(), fragment.0);
    assert_eq!(
        fragment.verify(&other, &d, &r),
        Err(FragmentError::Signature)
    );
    assert_eq!(
        fragment.verify(&v, &other, &r),
        Err(FragmentError::Signature)
    );
    assert_eq!(
        fragment.verify(&v, &d, &other),
        Err(FragmentError::Signature)
    );
    for (sign_delegating, sign_receiving) in [(false, true), (true, false), (false, false)] {
        let loose = Scene::with_flags(3, sign_delegating, sign_receiving);
        assert_eq!(
            loose.verify(&loose.fragments[0]),
            Err(FragmentError::Malformed)
        );
    }
}

#[test]
fn foreign_parameters_are_refused() {
    let scene = Scene::new(4);
    let mut fragment = scene.fragments[0].clone();
    let foreign = SecretKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).public();
    fragment.0[4..37].copy_from_slice(foreign.as_bytes());
    assert_eq!(
        scene.verify(&fragment),
        Err(FragmentError::ForeignParameters)
    );
}

#[test]
fn a_bad_signature_for_the_receiver_is_the_senders_fault_not_the_proxys() {
    let scene = Scene::new(5);
    let mut fragment = scene.fragments[0].clone();
    let others = scene.fragments[1].0[RECEIVER_SIGNATURE].to_vec();
    fragment.0[RECEIVER_SIGNATURE].copy_from_slice(&others);
    assert_eq!(scene.verify(&fragment), Err(FragmentError::Signature));
}

#[test]
fn every_flipped_byte_of_a_key_fragment_is_refused() {
    let scene = Scene::new(6);
    for at in 0..KEY_FRAGMENT_BYTES {
        let mut fragment = scene.fragments[0].clone();
        fragment.0[at] ^= 1;
        assert!(scene.verify(&fragment).is_err(), "byte {at}");
    }
}

#[test]
fn every_flipped_byte_of_an_answer_is_refused() {
    let mut scene = Scene::new(7);
    let answer = scene.answer(1);
    assert!(scene.check(&answer).is_ok());
    for at in 0..answer.len() {
        let mut flipped = answer.clone();
        flipped[at] ^= 1;
        assert!(scene.check(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn every_flipped_byte_of_a_capsule_is_refused() {
    let scene = Scene::new(8);
    assert_eq!(check_capsule(&scene.capsule), Ok(()));
    for at in 0..scene.capsule.len() {
        let mut flipped = scene.capsule.clone();
        flipped[at] ^= 1;
        assert!(check_capsule(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn trailing_and_missing_bytes_are_refused() {
    let mut scene = Scene::new(9);
    let answer = scene.answer(0);
    for (bytes, check) in [
        (scene.capsule.clone(), 0),
        (scene.fragments[0].0.clone(), 1),
        (answer, 2),
    ] {
        let mut longer = bytes.clone();
        longer.push(0);
        for bad in [longer, bytes[..bytes.len() - 1].to_vec(), vec![]] {
            match check {
                0 => assert_eq!(check_capsule(&bad), Err(CapsuleError::Malformed)),
                1 => assert_eq!(
                    scene.verify(&KeyFragment(bad)),
                    Err(FragmentError::Malformed)
                ),
                _ => assert_eq!(scene.check(&bad), Err(CapsuleFragmentError::Malformed)),
            }
        }
    }
}

/// On either of these `umbral-pre` 0.11 panics: the first when it hashes the identity, the second when the owner
/// opens the capsule, whose proof anybody can make.
#[test]
fn capsules_that_would_panic_are_refused() {
    let capsule = Scene::new(10).capsule;
    let mut identity = vec![0x93, 0xc4, 1, 0, 0xc4, 33];
    identity.extend_from_slice(&capsule[38..]);
    assert_eq!(check_capsule(&identity), Err(CapsuleError::Malformed));

    let mut negated = capsule.clone();
    negated.copy_within(3..36, 38);
    assert_eq!(check_capsule(&negated), Err(CapsuleError::Degenerate));
    negated[38] ^= 1;
    assert_eq!(check_capsule(&negated), Err(CapsuleError::Degenerate));
}

#[test]
fn answers_belong_to_one_capsule() {
    let mut scene = Scene::new(11);
    let answer = scene.answer(0);
    let (capsule, _) =
        encrypt_with_rng(&mut scene.rng, &scene.delegating.public_key(), &[7; 32]).unwrap();
    scene.capsule = serialize(&capsule);
    assert_eq!(scene.check(&answer), Err(CapsuleFragmentError::Proof));
}

#[test]
fn commitments_and_payloads_cover_all_they_name() {
    let scene = Scene::new(12);
    let bytes = &scene.fragments[0].0;
    let commitment = fragment_commitment(&[1; 32], bytes);
    assert_eq!(commitment, fragment_commitment(&[1; 32], bytes));
    assert_ne!(commitment, fragment_commitment(&[2; 32], bytes));
    assert_ne!(
        commitment,
        fragment_commitment(&[1; 32], &scene.fragments[1].0)
    );
    let payload = disclosure_payload(b"capsule", b"fragment", &Hash([3; 32]));
    assert_ne!(
        payload,
        disclosure_payload(b"capsulef", b"ragment", &Hash([3; 32]))
    );
    assert_ne!(
        payload,
        disclosure_payload(b"capsule", b"fragment", &Hash([4; 32]))
    );
}

#[test]
fn secrets_do_not_print() {
    let scene = Scene::new(13);
    assert_eq!(format!("{:?}", scene.fragments[0]), "KeyFragment(..)");
    assert_eq!(
        format!("{:?}", scene.verify(&scene.fragments[0]).unwrap()),
        "VerifiedFragment(..)"
    );
}

#[test]
fn borsh_refuses_an_oversized_fragment() {
    let good = borsh::to_vec(&Scene::new(14).fragments[0]).unwrap();
    assert!(borsh::from_slice::<KeyFragment>(&good).is_ok());
    let long = borsh::to_vec(&KeyFragment(vec![0; KEY_FRAGMENT_BYTES + 1])).unwrap();
    assert!(borsh::from_slice::<KeyFragment>(&long).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(check_capsule(&bytes).is_err());
        prop_assert!(parse_capsule_fragment(&bytes).is_err());
        let key = SecretKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).public();
        prop_assert!(KeyFragment(bytes).verify(&key, &key, &key).is_err());
    }

    #[test]
    fn any_content_in_the_right_layout_is_judged_without_panic(
        fill in prop::collection::vec(any::<u8>(), 400),
        at in 0usize..400,
        len in 0usize..64,
    ) {
        let mut scene = Scene::new(15);
        let answer = scene.answer(0);
        let change = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let end = (at + len).min(bytes.len());
            if at < end {
                bytes[at..end].copy_from_slice(&fill[at..end]);
            }
            bytes
        };
        let _ = check_capsule(&change(&scene.capsule));
        let _ = scene.check(&change(&answer));
        let _ = scene.verify(&KeyFragment(change(&scene.fragments[0].0)));
    }
}
