//! Records that were granted, what their author knows, and opening with a secret that the attacker came by.

use crate::attack::world::day;
use caduceus_crypto::domain;
use caduceus_crypto::hash::hash;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::record::parse;
use caduceus_crypto::reencrypt::{KeyFragment, parse_capsule, reencrypt};
use caduceus_custody::delegate::delegate;
use caduceus_custody::frame::MAX_PLAINTEXT_BYTES;
use caduceus_custody::open::open_with_data_key;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::seal::{SealRequest, Sealed, seal};
use k256::elliptic_curve::ops::Reduce;
use k256::{Scalar, U256};
use rand_chacha::ChaCha20Rng;
use umbral_pre::{SecretKeyFactory, decrypt_original};

/// A record and its grant.
pub(super) struct Granted {
    pub(super) number: u32,
    pub(super) plaintext: Vec<u8>,
    pub(super) sealed: Sealed,
    pub(super) author: AuthorKnowledge,
    /// The grant's Umbral signer.
    pub(super) verifying: PublicKey,
    /// One a proxy.
    pub(super) fragments: Vec<Vec<u8>>,
}

/// What the author of a record could keep.
pub(super) struct AuthorKnowledge {
    /// The ephemeral secret.
    pub(super) r: SecretKey,
    /// p - s.
    pub(super) z: SecretKey,
}

impl Granted {
    /// Seals a record for the patient and grants it to the grantee, `t` of `n`.
    pub(super) fn new(
        rng: &mut ChaCha20Rng,
        patient: &PatientKeys,
        grantee: &SecretKey,
        number: u32,
        (t, n): (usize, usize),
    ) -> Self {
        let hospital = HospitalId([0x11; 32]);
        let plaintext = format!("record {number} of a patient").into_bytes();
        // Sealing draws r first of all, so that another generator in the same state gives r to the attack.
        let mut authors = rng.clone();
        let request = SealRequest {
            hospital,
            meta: patient.meta(),
            epoch: day(number % 365),
            media_type: "text/plain",
            plaintext: &plaintext,
            visit: None,
        };
        let sealed = seal(rng, request).expect("a short text can be sealed");
        let author = AuthorKnowledge::recall(&mut authors, patient, &hospital, &sealed);
        let keys = patient.one_time(&hospital, &sealed.pseudonym);
        let d = keys.expect("the record is hers").delegating;
        let made = delegate(rng, &d, &grantee.public(), t, n);
        let made = made.expect("the threshold fits the proxies");
        Self {
            number,
            plaintext,
            sealed,
            author,
            verifying: made.verifying,
            fragments: made.fragments,
        }
    }

    /// The answers of the first `count` proxies for a capsule.
    pub(super) fn reencrypted(
        &self,
        rng: &mut ChaCha20Rng,
        grantee: &SecretKey,
        capsule: &[u8],
        count: usize,
    ) -> Vec<Vec<u8>> {
        let delegating = self.sealed.header.delegating;
        let fragments = self.fragments.iter().take(count);
        fragments
            .map(|fragment| {
                let verified = KeyFragment(fragment.clone()).verify(
                    &self.verifying,
                    &delegating,
                    &grantee.public(),
                );
                let verified = verified.expect("the patient made the fragment for these keys");
                reencrypt(capsule, &verified, rng).expect("a sealed record has a capsule")
            })
            .collect()
    }
}

impl AuthorKnowledge {
    /// r from the author's generator, and z = H("pseudonym" | hospital | R | V | S | rV) mod n.
    ///
    /// # Panics
    /// When they are not those of the record: then the attack would be given less than the author has.
    fn recall(
        rng: &mut ChaCha20Rng,
        patient: &PatientKeys,
        hospital: &HospitalId,
        sealed: &Sealed,
    ) -> Self {
        let meta = patient.meta();
        let r = SecretKey::generate(rng);
        let digest = hash(
            domain::PSEUDONYM,
            &[
                hospital.as_bytes(),
                r.public().as_bytes(),
                meta.view.as_bytes(),
                meta.spend.as_bytes(),
                &r.shared_point(&meta.view)[..],
            ],
        );
        let z = <Scalar as Reduce<U256>>::reduce_bytes(&digest.0.into());
        let z = SecretKey::from_scalar(z).expect("a hash is zero with probability 2^-256");
        let sum = PublicKey::from_point(meta.spend.point() + z.public().point());
        assert!(
            r.public() == sealed.pseudonym.ephemeral && sum == Ok(sealed.pseudonym.point),
            "the author's secrets are those of the record"
        );
        Self { r, z }
    }
}

/// Whether a record's data key decrypts under a secret, checks of the header left out.
pub(super) fn decrypts(secret: &SecretKey, bytes: &[u8]) -> bool {
    data_key(secret, bytes).is_some()
}

/// A record's plaintext by a delegating secret.
pub(super) fn opens_with(secret: &SecretKey, bytes: &[u8]) -> Option<Vec<u8>> {
    let data_key = data_key(secret, bytes)?;
    let opened = open_with_data_key(bytes, &data_key, MAX_PLAINTEXT_BYTES).ok()?;
    Some(opened.plaintext)
}

fn data_key(secret: &SecretKey, bytes: &[u8]) -> Option<[u8; 32]> {
    let view = parse(bytes).ok()?;
    let capsule = parse_capsule(&view.wrap.capsule).ok()?;
    let plain = decrypt_original(&umbral_secret(secret), &capsule, &view.wrap.wrapped_key).ok()?;
    <[u8; 32]>::try_from(&plain[..]).ok()
}

/// The key as Umbral wants it. The library's secret box can only be had from a key of its own.
fn umbral_secret(key: &SecretKey) -> umbral_pre::SecretKey {
    let factory = SecretKeyFactory::from_secure_randomness(&[0u8; 32]);
    let placeholder = factory
        .expect("the factory's seed has 32 bytes")
        .make_key(b"placeholder");
    let mut boxed = placeholder.to_be_bytes();
    boxed.as_mut_secret().copy_from_slice(&key.to_bytes()[..]);
    umbral_pre::SecretKey::try_from_be_bytes(&boxed)
        .expect("a secret key is a non-zero scalar below the group order")
}
