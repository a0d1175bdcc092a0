//! Guessing against PAEKS: the trapdoor e(y * H(w), x * g2) needs the sender's secret x or the receiver's y, so the
//! attacker tries what he has in their place: the public keys, and a sender's key of his own.

use super::{GuessOptions, Scene, record_day};
use crate::attack::report::{Bound, Counted, Finding, Kind};
use crate::attack::world::{Wielded, rng};
use caduceus_crypto::domain;
use caduceus_crypto::index::{PaeksTrapdoor, SchemeId, Slots};
use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::pairing::{
    G1Affine, G2Affine, GT_BYTES, Gt, PairingSecret, g2_from_bytes, gt_from_bytes, gt_to_bytes,
    hash_to_g1, pair,
};
use caduceus_custody::index_key::IndexKeyService;
use caduceus_custody::scheme::{HospitalSide, IndexScheme, PaeksScheme};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use std::collections::HashMap;

type Table = HashMap<[u8; GT_BYTES], usize>;

/// Runs the attack. With `leak` the attacker of the first figure gets what he must not have.
pub(super) fn attack(options: &GuessOptions, leak: bool) -> Vec<Finding> {
    let scene = Scene::<PaeksScheme>::new(options);
    let mut rng = rng(options.seed, 2);
    let x = sender_secret(&scene);
    let receiver = receiver_key(&scene);
    let sender = x.public_g2();

    let mut tables = vec![
        // e(H(w), y * g2): as if the sender's secret were one.
        table(&scene, &receiver, |hashed| hashed),
        // e(H(w), x * g2): as if the receiver's were.
        table(&scene, &sender, |hashed| hashed),
    ];
    if leak {
        tables.push(table(&scene, &receiver, |hashed| x.times_g1(&hashed)));
    }
    let public = scene.score(&mut rng, |trapdoor| {
        let token = token_of(trapdoor)?;
        tables.iter().find_map(|table| look_up(table, &token))
    });

    // Under a sender's key of his own the attacker's entry for w passes the test if the token is
    // e(x' * H(w), y * g2). With x' = 1 / u that is to find the token to the power of u in the first table.
    let u = PairingSecret::generate(&mut rng);
    let own_sender = scene.score(&mut rng, |trapdoor| {
        look_up(&tables[0], &(token_of(trapdoor)? * u.scalar()))
    });

    let secret = table(&scene, &receiver, |hashed| x.times_g1(&hashed));
    let hospital = scene.score(&mut rng, |trapdoor| look_up(&secret, &token_of(trapdoor)?));

    vec![
        scene
            .no_better_than_chance("trapdoors guessed", public)
            .given("the trapdoor, x * g2, y * g1, y * g2, all entries on the chain"),
        scene
            .no_better_than_chance(
                "trapdoors guessed under a sender's key of one's own",
                own_sender,
            )
            .given("the same, and a sender's key of the attacker's own"),
        Finding::rate(
            Kind::Promise,
            "the attacker's own entry for the very word passes the test",
            forged_entries(&scene, &mut rng),
            0.0,
        )
        .of(SchemeId::Paeks)
        .given("the same, and the searched word itself")
        .judged(Bound::SuccessAtMost(0.0)),
        scene
            .sure(Kind::Control, "trapdoors guessed by the hospital", hospital)
            .given("the sender's secret x, which the key service has"),
        scene.trapdoors_live(),
    ]
}

/// Makes entries for each searched word as a hospital that is not the patient's would, and tests them.
fn forged_entries(scene: &Scene<PaeksScheme>, rng: &mut ChaCha20Rng) -> Counted {
    let victims = &scene.pair.hospital;
    let forger = HospitalSide {
        service: IndexKeyService::new(SecretKey::generate(rng)),
        meta: victims.meta,
        pair_secret: victims.pair_secret.clone(),
        hospital: victims.hospital,
    };
    let author = PaeksScheme::author_key(&forger, record_day());
    Counted::of(
        scene
            .trapdoors
            .iter()
            .zip(&scene.searched)
            .map(|(trapdoor, word)| {
                let keywords = [(&*scene.dictionary[*word], 0)];
                let entries = PaeksScheme::index(rng, &author, record_day(), &keywords);
                let entries = entries.expect("a record of one keyword can be indexed");
                Wielded::of(trapdoor).matches(&entries)
            }),
    )
}

fn table(
    scene: &Scene<PaeksScheme>,
    key: &G2Affine,
    raise: impl Fn(G1Affine) -> G1Affine + Sync,
) -> Table {
    let words = scene.dictionary.par_iter().enumerate();
    words
        .map(|(number, word)| {
            let hashed = hash_to_g1(domain::PAEKS_H_DST, word.as_bytes());
            let value = gt_to_bytes(&pair(&raise(hashed), key));
            let value = value.expect("the pairing of points other than the identity is none");
            (value, number)
        })
        .collect()
}

fn look_up(table: &Table, token: &Gt) -> Option<usize> {
    table.get(&gt_to_bytes(token).ok()?).copied()
}

fn token_of(trapdoor: &Slots) -> Option<Gt> {
    gt_from_bytes(&first(trapdoor)?.token).ok()
}

/// y * g2, which every trapdoor carries.
fn receiver_key(scene: &Scene<PaeksScheme>) -> G2Affine {
    let key =
        first(&scene.trapdoors[0]).and_then(|trapdoor| g2_from_bytes(&trapdoor.receiver).ok());
    key.expect("the patient made a trapdoor of this scheme")
}

fn first(slots: &Slots) -> Option<&PaeksTrapdoor> {
    match slots {
        Slots::Paeks(scan) => scan.trapdoors.first(),
        _ => None,
    }
}

/// x, as the key service hands it to a workstation for a visit.
fn sender_secret(scene: &Scene<PaeksScheme>) -> PairingSecret {
    let x = scene.pair.hospital.visit_key(SchemeId::Paeks, record_day());
    PairingSecret::from_bytes(&x).expect("the key service makes a scalar other than zero")
}
