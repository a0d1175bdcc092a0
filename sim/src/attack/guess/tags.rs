//! Guessing against epoch tags: a trapdoor's salt and nodes follow from the word and K_q, so the attacker tries to
//! come by K_q.

use super::{GuessOptions, Scene, record_day};
use crate::attack::report::{Bound, Counted, Finding, Kind};
use crate::attack::world::rng;
use caduceus_crypto::domain;
use caduceus_crypto::hash::{hash, kdf};
use caduceus_crypto::index::{SchemeId, Slots, Tag, leaf_tag};
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_custody::index_key::{IndexKeyService, QuarterKey};
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::scheme::TagsScheme;
use caduceus_custody::seed::PatientSeed;
use caduceus_custody::tags::keyword_key;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

const PUBLIC: &str = "cover and salts, V, S, I, all tags on the chain, and keys of the attacker's own: K_q made of \
                      public values, with a zero pair secret, of another pair, of another hospital";
const FALLEN: &str =
    "the same, and the agreed point hV, as if the curve had fallen; not the pair secret";
const SERVICE: &str = "the key service's h and the pair secret";

/// Runs the attack. With `leak` the attacker of the first figure gets what he must not have.
pub(super) fn attack(options: &GuessOptions, leak: bool) -> Vec<Finding> {
    let scene = Scene::<TagsScheme>::new(options);
    let mut rng = rng(options.seed, 2);
    let true_key = scene.pair.hospital.service.quarter_key(
        &scene.pair.hospital.meta.view,
        &scene.pair.hospital.pair_secret,
        &record_day().quarter(),
    );

    let mut keys = from_public_values(&scene, &mut rng);
    if leak {
        keys.push(true_key.clone());
    }
    let public = Trees::grow(&scene, &keys);
    let fallen = Trees::grow(&scene, &from_agreed_point(&scene));
    let service = Trees::grow(&scene, &[true_key]);
    vec![
        scene
            .no_better_than_chance("trapdoors guessed", public.guesses(&scene, &mut rng))
            .given(PUBLIC),
        Finding::rate(
            Kind::Promise,
            "indexed words recognised on the chain, without a trapdoor",
            public.recognised(&scene),
            0.0,
        )
        .of(SchemeId::Tags)
        .given(PUBLIC)
        .judged(Bound::SuccessAtMost(0.0)),
        scene
            .no_better_than_chance(
                "trapdoors guessed, the curve having fallen",
                fallen.guesses(&scene, &mut rng),
            )
            .given(FALLEN),
        scene
            .sure(
                Kind::Control,
                "trapdoors guessed by the hospital, against the records it wrote itself",
                service.guesses(&scene, &mut rng),
            )
            .given(SERVICE),
        Finding::rate(
            Kind::Control,
            "indexed words recognised by the hospital, without a trapdoor",
            service.recognised(&scene),
            0.0,
        )
        .of(SchemeId::Tags)
        .given(SERVICE)
        .judged(Bound::SuccessAtLeast(1.0)),
        scene.trapdoors_live(),
    ]
}

/// The keyword trees of some quarter keys, for every word of the dictionary.
struct Trees {
    /// Which word a salt belongs to.
    salts: HashMap<[u8; 16], usize>,
    /// The first tag of each word on the day of the records.
    tags: HashSet<Tag>,
}

impl Trees {
    fn grow(scene: &Scene<TagsScheme>, keys: &[QuarterKey]) -> Self {
        let day = record_day().day_of_quarter();
        let grown: Vec<([u8; 16], usize, Tag)> = keys
            .iter()
            .flat_map(|key| {
                let words = scene.dictionary.par_iter().enumerate();
                let trees = words.map(|(number, word)| {
                    let tree = keyword_key(key, word);
                    (tree.salt(), number, leaf_tag(&tree.leaf(day), 0))
                });
                trees.collect::<Vec<_>>()
            })
            .collect();
        Self {
            salts: grown.iter().map(|(salt, word, _)| (*salt, *word)).collect(),
            tags: grown.into_iter().map(|(_, _, tag)| tag).collect(),
        }
    }

    fn guesses(&self, scene: &Scene<TagsScheme>, rng: &mut ChaCha20Rng) -> Counted {
        scene.score(rng, |trapdoor| {
            let Slots::Tags(covers) = trapdoor else {
                return None;
            };
            let quarters = covers.iter().flat_map(|cover| &cover.quarters);
            quarters
                .filter_map(|quarter| self.salts.get(&quarter.salt))
                .copied()
                .next()
        })
    }

    /// How many words of the victim's records stand on the chain as the attacker's tags.
    fn recognised(&self, scene: &Scene<TagsScheme>) -> Counted {
        let on_chain = scene.chain.iter().flat_map(|entries| entries.tags());
        let found = on_chain.filter(|tag| self.tags.contains(tag)).count();
        // A word that two records share has its first tag once.
        let words: HashSet<usize> = scene.searched.iter().copied().collect();
        Counted {
            successes: u64::try_from(found).expect("a count fits"),
            trials: u64::try_from(words.len()).expect("a count fits"),
        }
    }
}

/// Quarter keys that can be made without a secret of the pair.
fn from_public_values(scene: &Scene<TagsScheme>, rng: &mut ChaCha20Rng) -> Vec<QuarterKey> {
    let hospital = &scene.pair.hospital;
    let quarter = record_day().quarter();
    let (view, spend, index) = (
        hospital.meta.view,
        hospital.meta.spend,
        hospital.service.public(),
    );
    let none = [0u8; 32];
    let own = SecretKey::generate(rng);
    let own_service = IndexKeyService::new(own.clone());
    // The attacker is a patient of the same hospital, with a key and a pair secret of his own.
    let patient = PatientKeys::from_seed(&PatientSeed::generate(rng));
    let own_secret = patient.pair_secret(&hospital.hospital);
    let public_hash = hash(
        domain::INDEX_KEY,
        &[view.as_bytes(), spend.as_bytes(), index.as_bytes()],
    );

    let mut keys: Vec<QuarterKey> = [view, spend, index]
        .iter()
        .map(|point| derived(scene, point.as_bytes(), &none))
        .collect();
    keys.extend([
        QuarterKey::from_bytes(quarter, &none),
        QuarterKey::from_bytes(quarter, public_hash.as_bytes()),
        derived(scene, &own.shared_point(&view), &none),
        derived(scene, &own.shared_point(&index), &none),
        derived(scene, &own.shared_point(&view), &own_secret),
        own_service.quarter_key(&view, &none, &quarter),
        hospital
            .service
            .quarter_key(&patient.meta().view, &own_secret, &quarter),
        hospital
            .service
            .quarter_key(&patient.meta().view, &none, &quarter),
    ]);
    keys
}

/// Quarter keys that can be made of hV without the pair secret.
fn from_agreed_point(scene: &Scene<TagsScheme>) -> Vec<QuarterKey> {
    let patient = &scene.pair.patient;
    let agreed = patient.keys.view().shared_point(&patient.index);
    let elsewhere = HospitalId([0xff; 32]);
    vec![
        derived(scene, &agreed, &[0u8; 32]),
        derived(scene, &agreed, scene.pair.hospital.hospital.as_bytes()),
        derived(scene, &agreed, &patient.keys.pair_secret(&elsewhere)),
    ]
}

/// K_q as the pair derives it (`custody::index_key`), of a point and a pair secret that the attacker supposes.
fn derived(scene: &Scene<TagsScheme>, shared: &[u8; 33], pair_secret: &[u8; 32]) -> QuarterKey {
    let quarter = record_day().quarter();
    let hospital = &scene.pair.hospital;
    let (index, number) = (hospital.service.public(), quarter.0.to_le_bytes());
    let secrets = [&shared[..], &pair_secret[..]].concat();
    let fields: [&[u8]; 3] = [hospital.meta.view.as_bytes(), index.as_bytes(), &number];
    QuarterKey::from_bytes(quarter, &kdf::<32>(domain::INDEX_KEY, &secrets, &fields))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The attacker's derivation is the pair's: with its secrets it gives its key, so that it can only fail for
    /// want of them.
    #[test]
    fn the_attacker_derives_as_the_pair_does() {
        let scene = Scene::<TagsScheme>::new(&GuessOptions {
            scheme: SchemeId::Tags,
            words: 50,
            trials: 2,
            seed: 4,
        });
        let (hospital, patient) = (&scene.pair.hospital, &scene.pair.patient);
        let quarter = record_day().quarter();
        let theirs =
            hospital
                .service
                .quarter_key(&hospital.meta.view, &hospital.pair_secret, &quarter);
        let agreed = patient.keys.view().shared_point(&patient.index);
        let derived = derived(&scene, &agreed, &hospital.pair_secret);
        assert_eq!(derived.expose(), theirs.expose());
    }
}
