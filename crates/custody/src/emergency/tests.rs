use super::*;
use caduceus_crypto::emergency::{
    EmergencyExcerpt, EmergencyKey, EmergencyKeyError, EmergencyWrapError, ExcerptError,
    MAX_EXCERPT_BYTES, MAX_OFFICERS, PartialError, generator,
};
use caduceus_crypto::hash::hash;
use caduceus_crypto::record::{VERSION, VERSION_EMERGENCY, parse};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::fixtures::{patient, request, sealed as sealed_plain};
use crate::frame::Fields;
use crate::open::open_with_data_key;
use crate::seal::seal_with_emergency;

const DATA_KEY: [u8; 32] = [0x5a; 32];

struct World {
    rng: ChaCha20Rng,
    staff: Vec<SecretKey>,
    key: CheckedEmergencyKey,
    shares: Vec<EmergencyShare>,
}

impl World {
    fn new(seed: u64, threshold: usize, officers: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let staff: Vec<SecretKey> = (0..officers)
            .map(|_| SecretKey::generate(&mut rng))
            .collect();
        let public: Vec<PublicKey> = staff.iter().map(SecretKey::public).collect();
        let dealt = deal(&mut rng, 1, &public, threshold).unwrap();
        World {
            rng,
            staff,
            key: dealt.key.check().unwrap(),
            shares: dealt.shares,
        }
    }

    fn wrapped(&mut self, header: &Hash) -> VerifiedWrap {
        wrap(&mut self.rng, &self.key, header, &DATA_KEY)
            .verify(&self.key, *header)
            .unwrap()
    }

    fn partial(&mut self, officer: usize, wrap: &VerifiedWrap) -> EmergencyPartial {
        partial(&mut self.rng, &self.shares[officer], wrap)
    }

    fn checked(&mut self, officer: usize, wrap: &VerifiedWrap) -> VerifiedPartial {
        self.partial(officer, wrap).verify(&self.key, wrap).unwrap()
    }
}

fn header(n: u8) -> Hash {
    hash(domain::RECORD_HEADER, &[&[n]])
}

/// All subsets of n up to 5, for all thresholds: those of t or more open, all others do not.
#[test]
fn any_t_of_n_officers_open_and_fewer_do_not() {
    let mut cases = 0;
    for officers in 2..=5usize {
        for threshold in 2..=officers {
            let mut world = World::new(officers as u64, threshold, officers);
            let wrap = world.wrapped(&header(1));
            let partials: Vec<VerifiedPartial> = (0..officers)
                .map(|officer| world.checked(officer, &wrap))
                .collect();
            for subset in 0u32..1 << officers {
                let chosen: Vec<VerifiedPartial> = (0..officers)
                    .filter(|officer| subset >> officer & 1 == 1)
                    .map(|officer| partials[officer].clone())
                    .collect();
                let found = chosen.len();
                let opened = unwrap(&world.key, &wrap, &chosen);
                if found >= threshold {
                    assert_eq!(*opened.unwrap(), DATA_KEY);
                } else {
                    let needed = threshold;
                    assert_eq!(
                        opened.unwrap_err(),
                        EmergencyOpenError::TooFew { needed, found }
                    );
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 4 + 2 * 8 + 3 * 16 + 4 * 32);
}

/// One officer's partial counts once, and interpolation below the threshold gives another point.
#[test]
fn fewer_than_t_officers_cannot_open_by_repeating_or_interpolating() {
    let mut world = World::new(7, 3, 5);
    let wrap = world.wrapped(&header(1));
    let two = [world.checked(0, &wrap), world.checked(1, &wrap)];
    let repeated = [two[0].clone(), two[1].clone(), two[1].clone()];
    assert_eq!(
        unwrap(&world.key, &wrap, &repeated).unwrap_err(),
        EmergencyOpenError::TooFew {
            needed: 3,
            found: 2
        }
    );
    let sum = two
        .iter()
        .map(|partial| partial.point().point() * lagrange_at_zero(partial.index(), &[1, 2]))
        .sum::<ProjectivePoint>();
    let shared = PublicKey::from_point(sum).unwrap().to_bytes();
    let wrapping = wrapping_key(
        &world.key,
        wrap.header_hash(),
        &wrap.wrap().ephemeral,
        &shared,
    );
    assert!(
        cipher(&wrapping)
            .decrypt(Nonce::from_slice(&NONCE), &wrap.wrap().wrapped_key[..])
            .is_err()
    );
}

#[test]
fn a_bad_partial_names_its_officer() {
    let mut world = World::new(8, 2, 3);
    let wrap = world.wrapped(&header(1));
    let good = world.partial(1, &wrap);
    let blame = Err(PartialError::Proof {
        index: 2,
        officer: world.staff[1].public(),
    });
    let mut other_point = good.clone();
    other_point.point = *generator();
    assert_eq!(other_point.verify(&world.key, &wrap), blame);
    // Another officer's point under this officer's name.
    let mut stolen = world.partial(0, &wrap);
    stolen.index = 2;
    assert_eq!(stolen.verify(&world.key, &wrap), blame);
    let mut beyond = good.clone();
    beyond.index = 4;
    assert_eq!(
        beyond.verify(&world.key, &wrap),
        Err(PartialError::NoOfficer { index: 4 })
    );
    beyond.index = 0;
    assert_eq!(
        beyond.verify(&world.key, &wrap),
        Err(PartialError::NoOfficer { index: 0 })
    );
    // A wrong share, with a proof that holds for it.
    let forged = EmergencyShare::clone(&World::new(9, 2, 3).shares[1]);
    let forged = partial(&mut world.rng, &forged, &wrap);
    assert_eq!(forged.verify(&world.key, &wrap), blame);
    assert!(good.verify(&world.key, &wrap).is_ok());
}

#[test]
fn a_partial_for_one_record_does_not_open_another() {
    let mut world = World::new(10, 2, 3);
    let (a, b) = (world.wrapped(&header(1)), world.wrapped(&header(2)));
    let for_a = world.partial(0, &a);
    assert!(matches!(
        for_a.verify(&world.key, &b),
        Err(PartialError::Proof { index: 1, .. })
    ));
    let mixed = [world.checked(0, &a), world.checked(1, &b)];
    assert_eq!(
        unwrap(&world.key, &b, &mixed).unwrap_err(),
        EmergencyOpenError::OtherWrap { index: 1 }
    );
}

/// R of record A in a made-up record B, which officers might agree to open.
#[test]
fn a_wrap_moved_to_another_record_or_key_is_refused_before_any_officer_answers() {
    let mut world = World::new(11, 2, 3);
    let wrap = world.wrapped(&header(1)).wrap().clone();
    assert_eq!(
        wrap.clone().verify(&world.key, header(2)),
        Err(EmergencyWrapError::Proof)
    );
    let mut own_key = wrap.clone();
    own_key.wrapped_key[0] ^= 1;
    assert_eq!(
        own_key.verify(&world.key, header(1)),
        Err(EmergencyWrapError::Proof)
    );
    let other = World::new(12, 2, 3);
    assert_eq!(
        wrap.clone().verify(&other.key, header(1)),
        Err(EmergencyWrapError::Proof)
    );
    let mut later = wrap;
    later.generation = 2;
    assert_eq!(
        later.verify(&world.key, header(1)),
        Err(EmergencyWrapError::Generation {
            expected: 1,
            found: 2
        })
    );
}

#[test]
fn an_author_who_wraps_something_else_is_found_out_when_it_opens() {
    let mut world = World::new(13, 2, 2);
    let header = header(1);
    let nonce = SecretKey::generate(&mut world.rng);
    let mut bad = wrap(&mut world.rng, &world.key, &header, &DATA_KEY);
    bad.ephemeral = nonce.public();
    bad.second = times(second_generator(), &nonce);
    let id = world.key.id();
    let context = wrap_context(&id, &header, &bad.wrapped_key);
    let proof = DleqProof::prove(
        &mut world.rng,
        domain::EMERGENCY_WRAP_PROOF,
        &context,
        &bad.equality(),
        &nonce,
    );
    bad.proof = proof;
    let bad = bad.verify(&world.key, header).unwrap();
    let partials = [world.checked(0, &bad), world.checked(1, &bad)];
    assert_eq!(
        unwrap(&world.key, &bad, &partials).unwrap_err(),
        EmergencyOpenError::Unwrap
    );
}

#[test]
fn each_officer_opens_and_checks_her_own_share_alone() {
    let mut world = World::new(14, 2, 3);
    let public: Vec<PublicKey> = world.staff.iter().map(SecretKey::public).collect();
    let sealed = seal_share(&mut world.rng, &world.key, &public[0], &world.shares[0]);
    assert_eq!(sealed.len(), SHARE_BOX_BYTES);
    let share = open_share(&world.key, &world.staff[0], &sealed).unwrap();
    assert_eq!(share.index(), 1);
    assert!(matches!(
        open_share(&world.key, &world.staff[1], &sealed),
        Err(ShareError::Box(_))
    ));
    let other = World::new(15, 2, 3);
    assert!(matches!(
        open_share(&other.key, &world.staff[0], &sealed),
        Err(ShareError::Box(_))
    ));
    // A dealer that cheats: the share of another polynomial, and another officer's share.
    let cheat = seal_share(&mut world.rng, &world.key, &public[0], &other.shares[0]);
    assert_eq!(
        open_share(&world.key, &world.staff[0], &cheat).unwrap_err(),
        ShareError::Commitments
    );
    let swapped = seal_share(&mut world.rng, &world.key, &public[0], &world.shares[1]);
    assert_eq!(
        open_share(&world.key, &world.staff[0], &swapped).unwrap_err(),
        ShareError::NotAnOfficer
    );
    assert_eq!(format!("{:?}", world.shares[0]), "EmergencyShare(1, ..)");
}

#[test]
fn numbers_and_officers_have_bounds() {
    let mut rng = ChaCha20Rng::seed_from_u64(16);
    let mut keys = |count: usize| -> Vec<PublicKey> {
        (0..count)
            .map(|_| SecretKey::generate(&mut rng).public())
            .collect()
    };
    let (three, many) = (keys(3), keys(MAX_OFFICERS + 1));
    let mut rng = ChaCha20Rng::seed_from_u64(17);
    let mut refused = |officers: &[PublicKey], threshold| {
        let DealError::Key(error) = deal(&mut rng, 1, officers, threshold).unwrap_err();
        error
    };
    for threshold in [0, 1, 4] {
        assert_eq!(
            refused(&three, threshold),
            EmergencyKeyError::Threshold {
                threshold,
                officers: 3
            }
        );
    }
    assert_eq!(
        refused(&many, 2),
        EmergencyKeyError::TooManyOfficers { found: 33 }
    );
    let twice = [three[0], three[1], three[0]];
    assert_eq!(
        refused(&twice, 2),
        EmergencyKeyError::OfficerTwice { officer: three[0] }
    );
    let full = deal(&mut rng, 1, &many[..MAX_OFFICERS], MAX_OFFICERS).unwrap();
    assert_eq!(full.key.check().unwrap().threshold(), MAX_OFFICERS);
    let DealError::Key(error) = deal(&mut rng, 0, &three, 2).unwrap_err();
    assert_eq!(error, EmergencyKeyError::Generation);
}

/// The officers open exactly what the patient opens; nobody opens a record without the wrap but she.
#[test]
fn a_sealed_record_opens_by_its_owner_and_by_its_officers() {
    let mut world = World::new(18, 2, 3);
    let patient = patient(1);
    let sealed = seal_with_emergency(
        &mut world.rng,
        request(&patient, b"{}"),
        Fields::new(),
        Some(&world.key),
    )
    .unwrap();
    assert_eq!(sealed.header.version, VERSION_EMERGENCY);
    let hers = patient.open(&sealed.bytes).unwrap();
    let view = parse(&sealed.bytes).unwrap();
    let wrap = view
        .emergency
        .clone()
        .unwrap()
        .verify(&world.key, view.header_hash())
        .unwrap();
    let partials = [world.checked(2, &wrap), world.checked(0, &wrap)];
    let data_key = unwrap(&world.key, &wrap, &partials).unwrap();
    let theirs = open_with_data_key(&sealed.bytes, &data_key, 1024).unwrap();
    assert_eq!(theirs, hers);
    assert_eq!(theirs.plaintext, b"{}");

    let plain = sealed_plain(&mut world.rng, &patient, b"{}");
    assert_eq!(plain.header.version, VERSION);
    assert_eq!(parse(&plain.bytes).unwrap().emergency, None);
}

/// What a server shows an officer is the record's, or is refused.
#[test]
fn an_excerpt_is_of_its_record_alone() {
    let mut world = World::new(19, 2, 3);
    let mut long = vec![0u8; 300_000];
    world.rng.fill_bytes(&mut long);
    let mut excerpt_of = |text: &[u8]| {
        let sealed = seal_with_emergency(
            &mut world.rng,
            request(&patient(1), text),
            Fields::new(),
            Some(&world.key),
        )
        .unwrap();
        EmergencyExcerpt::of(&parse(&sealed.bytes).unwrap()).unwrap()
    };
    let (a, b) = (excerpt_of(b"{}"), excerpt_of(&long));
    assert!(b.wrap_proof.size > 5, "it has {} leaves", b.wrap_proof.size);
    for good in [&a, &b] {
        let wrap = good.verify(&world.key).unwrap();
        assert_eq!(*wrap.header_hash(), good.header.hash());
        let bytes = caduceus_crypto::codec::encode(good);
        assert!(bytes.len() <= MAX_EXCERPT_BYTES, "{}", bytes.len());
    }
    // Record A's name on record B's parts, one part and both.
    let renamed = EmergencyExcerpt {
        record_hash: a.record_hash,
        ..b.clone()
    };
    let other_wrap = EmergencyExcerpt {
        wrap: b.wrap.clone(),
        ..a.clone()
    };
    let other_header = EmergencyExcerpt {
        header: b.header,
        ..a.clone()
    };
    for bad in [renamed, other_wrap, other_header] {
        assert!(matches!(
            bad.verify(&world.key),
            Err(ExcerptError::Proof(_))
        ));
    }
    let mut moved = a.clone();
    moved.wrap_proof = a.header_proof.clone();
    assert_eq!(moved.verify(&world.key), Err(ExcerptError::Place));
    let mut plain = a.clone();
    plain.header.version = VERSION;
    assert_eq!(plain.verify(&world.key), Err(ExcerptError::Version));
    let other = World::new(20, 2, 3);
    assert!(matches!(
        a.verify(&other.key),
        Err(ExcerptError::Wrap(EmergencyWrapError::Proof))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn t_random_officers_open_and_any_changed_byte_of_a_partial_is_blamed(
        seed in any::<u64>(),
        officers in 2usize..=9,
        threshold in 2usize..=9,
        rotate in 0usize..9,
        at in 0usize..98,
        change in 1u8..,
    ) {
        let threshold = threshold.min(officers);
        let mut world = World::new(seed, threshold, officers);
        let wrap = world.wrapped(&header(1));
        let chosen: Vec<VerifiedPartial> = (0..threshold)
            .map(|n| world.checked((n + rotate) % officers, &wrap))
            .collect();
        prop_assert_eq!(*unwrap(&world.key, &wrap, &chosen).unwrap(), DATA_KEY);

        let good = world.partial(rotate % officers, &wrap);
        let mut bytes = caduceus_crypto::codec::encode(&good);
        prop_assert_eq!(bytes.len(), 98);
        bytes[at] ^= change;
        // A point off the curve does not decode, an index out of range has no officer; all else is blamed.
        if let Ok(bad) = caduceus_crypto::codec::decode_exact::<EmergencyPartial>(&bytes, 98) {
            prop_assert!(bad.verify(&world.key, &wrap).is_err());
        }
    }
}

/// A key, a wrap and two partials of another implementation, `vectors.py` beside this file, open here.
#[test]
fn what_another_implementation_made_opens() {
    fn read<T: borsh::BorshDeserialize + borsh::BorshSerialize>(text: &str) -> T {
        let bytes = hex::decode(text).unwrap();
        caduceus_crypto::codec::decode_exact(&bytes, bytes.len()).unwrap()
    }
    let header_hash: Hash = HEADER_HASH.parse().unwrap();
    let key = read::<EmergencyKey>(KEY).check().unwrap();
    let wrap = read::<EmergencyWrap>(WRAP)
        .verify(&key, header_hash)
        .unwrap();
    let partials: Vec<VerifiedPartial> = PARTIALS
        .iter()
        .map(|text| read::<EmergencyPartial>(text).verify(&key, &wrap).unwrap())
        .collect();
    let opened = unwrap(&key, &wrap, &partials).unwrap();
    assert_eq!(hex::encode(&opened[..]), VECTOR_DATA_KEY);
}

const HEADER_HASH: &str = "1e0584a25d9f43bf5cbd0aec01eb1af2220ed085b4e7f1837b0d89958cae353a";
const VECTOR_DATA_KEY: &str = "1b073b04f6ab05e9db9e2d717c501ed00cdac5c85d812fb80a32c4736cbeec36";
const KEY: &str = concat!(
    "0100000002000000026a633a0703a2161893575cbdcaa84b03c05f7ee3f4461683a22e80418023f73b02468c7e01b3fe",
    "d4dd4b3d6b438112fee37efc4c723249a67aaa85744193d19c0003000000023474d094f7e1608857a50e45a1f915e0ba",
    "de90faccaecf8e02f67aaa6b3a91c10320096b2146b9ea8c961cf80d3f74a905210918db0d6009d0d6a67e8d10b24306",
    "035cce7efa2a91cc680ac3637fb2791bb35f017b9fcd6a1a3179d3ffb46c7ae744",
);
const WRAP: &str = concat!(
    "0100000002d429da871d9b258d099ec1c9193e9d0e6e4114a8458c53eb041884291036b98902735460f96fa10d0c5800",
    "2f4cf6818aa10b7d34896cd07698bec3c7469c7c911620b0c5704bfcf21d5c821befddf34fc835b822952bce289843fa",
    "87a49714a51c8952adc0d50c7668db44c0d092be4ec26b7cfa9d4b683a47869dceda49de97a707b2b8d435716bf219b6",
    "b7da6fe3218866f556a6d13324107808d646ea4770b9340c71bb385da1fa6c87f618202f8e91",
);
const PARTIALS: [&str; 2] = [
    concat!(
        "0102def2b34ad59573160c353d3be3a99f315316fa43b367f27c14735f3c3546dafaa2abf7a2603c9e729a8554437e2e",
        "bbef587a93c464bf8223022d461458b690771daeeb2f8ef7c14889ae5caf2d6158724ffdf0121c83e5c530f8f3731933",
        "636a",
    ),
    concat!(
        "0302bfb31b10d4e14dade5c5670cb71772c5a83480ceee1dffacce9a35b3ca3c159d8e8e5e8cff91f7240c478fc74a42",
        "51f4d941a2c773004963864eecee43d72b366f1d20105b39c59d3ea3984875b86cb05a4475383636b74e99dbb2eccee1",
        "fe15",
    ),
];
