use super::*;
use crate::codec::decode_exact;
use crate::index::{PeksEntry, Tag};
use crate::merkle;
use crate::reencrypt::{serialize, umbral_key};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

struct Keys {
    author: SecretKey,
    vault: SecretKey,
    hospital: SecretKey,
}

fn keys() -> Keys {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    Keys {
        author: SecretKey::generate(&mut rng),
        vault: SecretKey::generate(&mut rng),
        hospital: SecretKey::generate(&mut rng),
    }
}

fn anchor(seed: u64) -> Anchor {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let keys = keys();
    let mut key = || SecretKey::generate(&mut rng).public();
    let pseudonym = Pseudonym {
        point: key(),
        ephemeral: key(),
        view_tag: 7,
    };
    let delegating = key();
    let (capsule, _) =
        umbral_pre::encrypt_with_rng(&mut rng, &umbral_key(&delegating), &[1; 32]).unwrap();
    let body = AnchorBody {
        hospital: HospitalId::from_identity(&keys.hospital.public()),
        pseudonym,
        record_hash: Hash([2; 32]),
        header_hash: Hash([3; 32]),
        entries: IndexEntries::Tags((0..16u8).map(|i| Tag([i; 16])).collect()),
        capsule: serialize(&capsule),
        delegating,
        visit: Hash::ZERO,
        epoch: Epoch(19_860),
        authored_at: TimeMillis(1_715_934_600_000),
    };
    signed(body, 50_000)
}

fn signed(body: AnchorBody, stored_bytes: u64) -> Anchor {
    let keys = keys();
    let author_signature = body.sign(&keys.author);
    let vault_signature = sign_vault_receipt(&keys.vault, &body.record_hash, stored_bytes);
    Anchor {
        body,
        author: keys.author.public(),
        author_signature,
        stored_bytes,
        vault: keys.vault.public(),
        vault_signature,
    }
}

#[test]
fn a_good_anchor_passes_and_yields_its_leaf() {
    let anchor = anchor(1);
    assert_eq!(anchor.check(), Ok(()));
    let leaf = anchor.leaf();
    assert_eq!(leaf.pseudonym, anchor.body.pseudonym);
    assert_eq!(leaf.record_hash, anchor.body.record_hash);
    assert_eq!(leaf.entries, anchor.body.entries);
    assert_eq!(
        decode_exact::<AnchorLeaf>(&leaf.to_bytes(), 1_000),
        Ok(leaf.clone())
    );
    let leaves = [leaf.to_bytes()];
    assert_eq!(
        merkle::prove(&leaves, 0).verify(&merkle::root(&leaves), &leaf.to_bytes()),
        Ok(())
    );
    let bytes = encode(&anchor);
    assert_eq!(decode_exact::<Anchor>(&bytes, bytes.len()), Ok(anchor));
}

#[test]
fn each_rule_has_its_error() {
    let good = anchor(2);
    let resigned = |change: fn(&mut AnchorBody)| {
        let mut body = good.body.clone();
        change(&mut body);
        signed(body, good.stored_bytes).check().unwrap_err()
    };
    assert_eq!(
        resigned(|body| body.pseudonym.ephemeral = body.pseudonym.point),
        EvidenceError::KeysNotDistinct
    );
    assert_eq!(
        resigned(|body| body.delegating = body.pseudonym.point),
        EvidenceError::KeysNotDistinct
    );
    assert_eq!(
        resigned(|body| body.delegating = body.pseudonym.ephemeral),
        EvidenceError::KeysNotDistinct
    );
    assert_eq!(
        resigned(|body| {
            let tags = body.entries.tags()[..15].to_vec();
            body.entries = IndexEntries::Tags(tags);
        }),
        EvidenceError::Entries(EntriesError::NotPadded { found: 15 })
    );
    assert_eq!(
        resigned(|body| {
            let entries = (0..8u8).map(|i| PeksEntry([i; 80])).collect();
            body.entries = IndexEntries::Peks(entries);
        }),
        EvidenceError::Entries(EntriesError::Point { at: 0 })
    );
    assert_eq!(
        resigned(|body| body.capsule.push(0)),
        EvidenceError::Capsule(CapsuleError::Malformed)
    );
    assert_eq!(
        resigned(|body| body.capsule[104] ^= 1),
        EvidenceError::Capsule(CapsuleError::Proof)
    );

    for found in [
        0,
        MIN_RECORD_BYTES - 1,
        MAX_RECORD_BYTES as u64 + 1,
        u64::MAX,
    ] {
        let anchor = signed(good.body.clone(), found);
        assert_eq!(anchor.check(), Err(EvidenceError::StoredBytes { found }));
    }

    let mut unsigned = good.clone();
    unsigned.body.epoch = Epoch(1);
    assert_eq!(unsigned.check(), Err(EvidenceError::AuthorSignature));
    let mut other_author = good.clone();
    other_author.author = keys().vault.public();
    assert_eq!(other_author.check(), Err(EvidenceError::AuthorSignature));
    let mut other_size = good.clone();
    other_size.stored_bytes += 1;
    assert_eq!(other_size.check(), Err(EvidenceError::VaultSignature));
    let mut other_vault = good.clone();
    other_vault.vault = keys().author.public();
    assert_eq!(other_vault.check(), Err(EvidenceError::VaultSignature));
    // The author's signature is worth nothing as the vault's.
    let mut confused = good;
    confused.vault = confused.author;
    confused.vault_signature = confused.author_signature;
    assert_eq!(confused.check(), Err(EvidenceError::VaultSignature));
}

#[test]
fn a_receipt_covers_every_field() {
    let keys = keys();
    let body = anchor(3).body;
    let good = Receipt::sign(
        &keys.hospital,
        body.hospital,
        body.record_hash,
        body.entries.hash(),
        body.pseudonym,
        TimeMillis(5),
    );
    let public = keys.hospital.public();
    assert_eq!(good.verify(&public), Ok(()));
    assert_eq!(good.verify(&keys.vault.public()), Err(BadSignature));
    let changes: [fn(&mut Receipt); 5] = [
        |receipt| receipt.hospital.0[0] ^= 1,
        |receipt| receipt.record_hash.0[0] ^= 1,
        |receipt| receipt.entries_hash.0[0] ^= 1,
        |receipt| receipt.pseudonym.view_tag ^= 1,
        |receipt| receipt.link_deadline.0 += 1,
    ];
    for change in changes {
        let mut receipt = good.clone();
        change(&mut receipt);
        assert_eq!(receipt.verify(&public), Err(BadSignature));
    }
}

#[test]
fn a_visit_token_covers_every_field_and_hides_behind_its_salt() {
    let keys = keys();
    let hospital = HospitalId([9; 32]);
    let token = VisitToken::sign(&keys.author, hospital, Epoch(3), [4; 32]);
    let public = keys.author.public();
    assert_eq!(token.verify(&public), Ok(()));
    let changes: [fn(&mut VisitToken); 3] = [
        |token| token.hospital.0[0] ^= 1,
        |token| token.day.0 += 1,
        |token| token.nonce[0] ^= 1,
    ];
    for change in changes {
        let mut token = token.clone();
        change(&mut token);
        assert_eq!(token.verify(&public), Err(BadSignature));
    }
    let opening = VisitOpening {
        salt: [1; 32],
        token,
    };
    let salted = VisitOpening {
        salt: [2; 32],
        token: opening.token.clone(),
    };
    assert_eq!(opening.commitment(), opening.clone().commitment());
    assert_ne!(opening.commitment(), salted.commitment());
    assert_ne!(opening.commitment(), Hash::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_anchor_never_passes(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(&anchor(4));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = decode_exact::<Anchor>(&bytes, bytes.len()) {
            prop_assert!(changed.check().is_err(), "byte {}", at);
        }
    }

    #[test]
    fn any_bytes_decode_and_check_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        if let Ok(anchor) = decode_exact::<Anchor>(&bytes, 800) {
            let _ = anchor.check();
        }
    }
}
