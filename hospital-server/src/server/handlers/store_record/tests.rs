#![allow(clippy::unwrap_used)]

use super::*;
use caduceus_crypto::index::IndexEntries;
use caduceus_crypto::{Epoch, HospitalId, Pseudonym, Signature};
use rand_core::OsRng;

const NOW: TimeMillis = TimeMillis(1_715_000_000_000);

fn key() -> PublicKey {
    SecretKey::generate(&mut OsRng).public()
}

fn anchor() -> Anchor {
    let author = SecretKey::generate(&mut OsRng);
    let body = AnchorBody {
        hospital: HospitalId([1; 32]),
        pseudonym: Pseudonym {
            point: key(),
            ephemeral: key(),
            view_tag: 3,
        },
        record_hash: Hash([2; 32]),
        header_hash: Hash([3; 32]),
        entries: IndexEntries::Tags(Vec::new()),
        capsule: Vec::new(),
        delegating: key(),
        visit: Hash::ZERO,
        epoch: NOW.epoch(),
        authored_at: NOW,
    };
    Anchor {
        author: author.public(),
        author_signature: body.sign(&author),
        stored_bytes: 20_000,
        vault: key(),
        vault_signature: sign_vault_receipt(&author, &body.record_hash, 20_000),
        body,
    }
}

#[test]
fn a_repeated_request_makes_the_same_transaction() {
    let anchor = anchor();
    let finish = |amends: Option<Hash>| Finish {
        upload: [5; 16],
        total: 20_000,
        request_id: [6; 16],
        card: [7; 16],
        anchor_body: encode(&anchor.body),
        author_signature: Signature([9; 64]),
        amends,
        statement: None,
    };
    let replaced = Hash([8; 32]);
    let plain = transaction(&anchor, &finish(None));
    assert_eq!(plain, Tx::anchor(anchor.clone(), [6; 16]));
    let amend = transaction(&anchor, &finish(Some(replaced)));
    assert_eq!(amend, Tx::amend(anchor.clone(), [6; 16], replaced));
    for amends in [None, Some(replaced)] {
        let encoded = || transaction(&anchor, &finish(amends)).encode();
        assert_eq!(encoded(), encoded());
    }
    assert_ne!(plain.id(), amend.id());
}

/// An upload whose first attempt ended after the anchor was committed, finished a day later.
#[test]
fn a_receipt_is_not_late_when_it_is_given() {
    let home = tempfile::tempdir().unwrap();
    let register = Register::open(&home.path().join("register.redb")).unwrap();
    let identity = SecretKey::generate(&mut OsRng);
    let (id, card, caller) = ([6; 16], [7; 16], key());
    let anchor = anchor();
    let body = &anchor.body;
    let record = body.record_hash;
    let look = || known(&register, &id, caller, record).unwrap();
    assert_eq!(look(), Before::Nothing);
    let row = RequestRow {
        caller,
        record_hash: record,
        done: false,
    };
    register.intend(&id, row).unwrap();
    assert_eq!(look(), Before::Begun);

    let a_day = 24 * 60 * 60 * 1000;
    let finish = |now: TimeMillis| {
        let receipt = promise(&identity, body, now);
        receipt.verify(&identity.public()).unwrap();
        let row = RecordRow {
            card: Hash([8; 32]),
            pseudonym: body.pseudonym,
            height: 5,
            position: 0,
            block_hash: Hash([9; 32]),
            stored_bytes: 20_000,
            receipt: encode(&receipt),
        };
        let kept = register.finish(&id, &card, &record, &row).unwrap();
        (receipt, kept)
    };
    let tomorrow = TimeMillis(NOW.0 + a_day);
    let (receipt, kept) = finish(tomorrow);
    assert_eq!(receipt.link_deadline.0, tomorrow.0 + LINK_WITHIN_MILLIS);
    assert_eq!(kept.receipt, encode(&receipt));
    assert_eq!(look(), Before::Done(stored(record, &kept)));
    // Whoever asks again gets the same promise, not a later one.
    let (later, again) = finish(TimeMillis(tomorrow.0 + a_day));
    assert!(later.link_deadline > receipt.link_deadline);
    assert_eq!(again, kept);
    assert_eq!(look(), Before::Done(stored(record, &kept)));
    // Another caller, record or request is another matter.
    let of = |id, caller, record| known(&register, &id, caller, record).unwrap();
    assert_eq!(of(id, key(), record), Before::Nothing);
    assert_eq!(of(id, caller, Hash([1; 32])), Before::Nothing);
    assert_eq!(of([1; 16], caller, record), Before::Nothing);
}

#[test]
fn an_anchor_is_of_today_give_or_take_a_day() {
    let mut body = anchor().body;
    let today = NOW.epoch().0;
    for epoch in today - 1..=today + 1 {
        body.epoch = Epoch(epoch);
        assert_eq!(evidence::is_of_today(&body, NOW), Ok(()));
    }
    for epoch in [0, today - 2, today + 2, u32::MAX] {
        body.epoch = Epoch(epoch);
        let (rule, _) = evidence::is_of_today(&body, NOW).unwrap_err();
        assert_eq!(rule, "anchor_epoch_drift");
    }
}
