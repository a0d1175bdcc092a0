//! Grants of two records of each of many patients, signed as the transaction that nodes see.

use super::features::Public;
use super::records::{Hospital, Made, Patient};
use crate::attack::world::rng;
use alliance_chain::state::RecordRef;
use alliance_chain::tx::{Grant, SignedGrant};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::reencrypt::fragment_commitment;
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use caduceus_custody::delegate::delegate;
use caduceus_custody::patient::PatientKeys;
use caduceus_ledger::ChainId;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// Proxies of a grant, and how many of them it takes.
const PROXIES: usize = 3;
const THRESHOLD: usize = 2;

/// Grants of both records of each patient: to two data users, or to one.
pub(super) fn made(
    hospital: &Hospital,
    patients: &[Patient],
    seed: u64,
    one_data_user: bool,
) -> Vec<[SignedGrant; 2]> {
    let mut common = rng(seed, 4);
    let proxies: Vec<PublicKey> = (0..PROXIES)
        .map(|_| SecretKey::generate(&mut common).public())
        .collect();
    patients
        .par_iter()
        .enumerate()
        .map(|(number, patient)| {
            let purpose = 8_u64 + u64::from(one_data_user);
            let mut rng = rng(
                seed,
                (purpose << 32) + u64::try_from(number).expect("a count fits"),
            );
            let first = DataUser::new(&mut rng);
            let second = if one_data_user {
                first
            } else {
                DataUser::new(&mut rng)
            };
            let mut grant = |user: &DataUser, record: &Made| {
                granted(&mut rng, hospital, &proxies, &patient.keys, user, record)
            };
            let [earlier, later] = &patient.records;
            [grant(&first, earlier), grant(&second, later)]
        })
        .collect()
}

/// The public keys of a data user.
#[derive(Clone, Copy)]
struct DataUser {
    signing: PublicKey,
    receiving: PublicKey,
}

impl DataUser {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            signing: SecretKey::generate(rng).public(),
            receiving: SecretKey::generate(rng).public(),
        }
    }
}

fn granted(
    rng: &mut ChaCha20Rng,
    hospital: &Hospital,
    proxies: &[PublicKey],
    keys: &PatientKeys,
    user: &DataUser,
    record: &Made,
) -> SignedGrant {
    let pseudonym = &record.sealed.pseudonym;
    let one_time = keys.one_time(&hospital.id, pseudonym);
    let one_time = one_time.expect("the record is hers");
    let made = delegate(
        rng,
        &one_time.delegating,
        &user.receiving,
        THRESHOLD,
        PROXIES,
    );
    let made = made.expect("the threshold fits the proxies");
    let fragment_commitments = made
        .fragments
        .iter()
        .map(|fragment| fragment_commitment(&random(rng), fragment))
        .collect();
    let grant = Grant {
        data_user: user.signing,
        receiving: user.receiving,
        // The salted hash of a purpose is 32 bytes that nobody can tell from random ones.
        purpose_commitment: Hash(random(rng)),
        hospital: hospital.id,
        record: RecordRef {
            height: rng.gen_range(1..1_000_000),
            position: rng.gen_range(0..16),
        },
        record_hash: record.sealed.record_hash,
        pseudonym: pseudonym.point,
        delegating: record.sealed.header.delegating,
        verifying: made.verifying,
        expires: TimeMillis(rng.gen_range(1..=90 * MILLIS_PER_DAY)),
        proxies: proxies.to_vec(),
        threshold: u8::try_from(THRESHOLD).expect("a threshold is small"),
        fragment_commitments,
    };
    grant.sign(&ChainId(Hash([7; 32])), &one_time.secret)
}

fn random(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// The same transactions as a classifier sees them.
pub(super) fn public(grants: &[[SignedGrant; 2]]) -> Vec<[Public; 2]> {
    grants
        .par_iter()
        .map(|pair| [public_of(&pair[0]), public_of(&pair[1])])
        .collect()
}

fn public_of(grant: &SignedGrant) -> Public {
    let body = &grant.body;
    let mut fields = vec![
        body.data_user.as_bytes().to_vec(),
        body.receiving.as_bytes().to_vec(),
        body.purpose_commitment.as_bytes().to_vec(),
        body.record_hash.as_bytes().to_vec(),
        body.pseudonym.as_bytes().to_vec(),
        body.delegating.as_bytes().to_vec(),
        body.verifying.as_bytes().to_vec(),
        grant.signature.as_bytes().to_vec(),
    ];
    let commitments = body.fragment_commitments.iter();
    fields.extend(commitments.map(|commitment| commitment.as_bytes().to_vec()));
    let numbers = vec![
        f64::from(body.threshold),
        body.expires.0 as f64,
        body.record.height as f64,
        f64::from(body.record.position),
    ];
    Public::new(fields, numbers, [])
}
