//! Guessing against PEKS: one pairing a word gives a table in which every trapdoor of the patient can be looked up.

use super::{GuessOptions, Scene};
use crate::attack::report::{Counted, Finding, Kind};
use crate::attack::world::rng;
use caduceus_crypto::domain;
use caduceus_crypto::index::{SchemeId, SchemeKey, Slots};
use caduceus_crypto::pairing::{
    G1Affine, GT_BYTES, Gt, PairingSecret, g2_from_bytes, gt_to_bytes, hash_to_g2, pair,
};
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::scheme::PeksScheme;
use caduceus_custody::seed::PatientSeed;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use std::collections::HashMap;

/// Runs the attack.
pub(super) fn attack(options: &GuessOptions) -> Vec<Finding> {
    let scene = Scene::<PeksScheme>::new(options);
    let mut rng = rng(options.seed, 2);
    let victim = scene.pair.hospital.meta.index;
    let victim = victim.expect("a meta-address of this scheme has its key");
    let other = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
    let other = other.with_scheme(SchemeId::Peks).meta().index;
    let other = other.expect("a meta-address of this scheme has its key");
    let mut findings = vec![
        scene
            .sure(
                Kind::Promise,
                "trapdoors guessed, as the literature says",
                guesses(&scene, &victim, &mut rng),
            )
            .given("the trapdoor and h, which every hospital of the patient knows"),
        scene.trapdoors_live(),
    ];
    let mut powerless = scene
        .no_better_than_chance(
            "trapdoors guessed under another patient's h",
            guesses(&scene, &other, &mut rng),
        )
        .given("the trapdoor and another patient's h");
    powerless.kind = Kind::Control;
    findings.push(powerless);
    findings
}

/// Looks e(g1, T) up in the table of e(h, H1(w)).
fn guesses(scene: &Scene<PeksScheme>, h: &SchemeKey, rng: &mut ChaCha20Rng) -> Counted {
    let h = h.point();
    let table: HashMap<[u8; GT_BYTES], usize> = scene
        .dictionary
        .par_iter()
        .enumerate()
        .map(|(number, word)| {
            let hashed = hash_to_g2(domain::PEKS_H1_DST, word.as_bytes());
            (key_of(&pair(&h, &hashed)), number)
        })
        .collect();
    let g1 = generator();
    scene.score(rng, |trapdoor| {
        let Slots::Peks(scan) = trapdoor else {
            return None;
        };
        let point = g2_from_bytes(&scan.trapdoors[0].0).ok()?;
        table.get(&key_of(&pair(&g1, &point))).copied()
    })
}

fn key_of(value: &Gt) -> [u8; GT_BYTES] {
    gt_to_bytes(value).expect("the pairing of points other than the identity is none")
}

/// g1 = 1 * g1.
fn generator() -> G1Affine {
    let mut one = [0u8; 32];
    one[31] = 1;
    let one = PairingSecret::from_bytes(&one).expect("one is a scalar other than zero");
    one.public_g1()
}
