use crate::query;
use crate::testing::{
    Chain, anchor, anchor_body, author, later, secret, server, signed_anchor, tag,
};
use crate::tx::{Role, Tx};
use caduceus_crypto::Hash;
use caduceus_crypto::evidence::{Anchor, AnchorBody};
use caduceus_crypto::index::IndexEntries;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::time::{Epoch, MILLIS_PER_DAY};

/// Record hash of anchor number `seed`.
fn record(seed: u8) -> Hash {
    anchor_body(seed).record_hash
}

fn amend(anchor: Anchor, replaces: Hash) -> Tx {
    Tx::amend(anchor, [4; 16], replaces)
}

/// Anchor number `new` in place of number `old`.
fn replacing(new: u8, old: u8) -> Tx {
    amend(anchor(new), record(old))
}

fn signed(body: AnchorBody) -> Tx {
    amend(signed_anchor(body, &author(), &server()), record(1))
}

/// A chain with record 1.
fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.enrol(&author(), Role::Physician);
    chain.accept(&Tx::anchor(anchor(1), [4; 16]));
    chain
}

#[test]
fn a_record_replaces_another_and_both_stay() {
    let mut chain = chain();
    chain.finish_block();
    let position = chain.accept(&replacing(2, 1));
    assert_eq!(query::anchor_result(&position).unwrap(), 0);
    for seed in [1, 2] {
        let at = query::find_record(&chain, &record(seed)).unwrap().unwrap();
        assert_eq!(query::anchor(&chain, &at).unwrap(), Some(anchor(seed)));
        assert_eq!(
            query::newest_version(&chain, &record(seed)).unwrap(),
            record(2)
        );
    }
    assert_eq!(
        query::replaces(&chain, &record(2)).unwrap(),
        Some(record(1))
    );
    assert_eq!(query::replaces(&chain, &record(1)).unwrap(), None);
    assert_eq!(
        query::replaced_by(&chain, &record(1)).unwrap(),
        Some(record(2))
    );
    assert_eq!(query::replaced_by(&chain, &record(2)).unwrap(), None);
}

#[test]
fn its_leaf_counts_like_any_other() {
    let mut chain = chain();
    let position = chain.accept(&replacing(2, 1));
    assert_eq!(query::anchor_result(&position).unwrap(), 1);
    let position = chain.accept(&Tx::anchor(anchor(3), [4; 16]));
    assert_eq!(query::anchor_result(&position).unwrap(), 2);
    let height = chain.height;
    let extra = crate::AnchorsExtra::parse(&chain.finish_block()).unwrap();
    let leaves: Vec<Vec<u8>> = [1, 2, 3].map(|n| anchor(n).leaf().to_bytes()).to_vec();
    assert_eq!(extra.count, 3);
    assert_eq!(extra.root, caduceus_crypto::merkle::root(&leaves));
    assert_eq!(query::leaves_at(&chain, height).unwrap(), leaves);
}

#[test]
fn versions_form_one_line() {
    let mut chain = chain();
    chain.accept(&replacing(2, 1));
    chain.refuse(&replacing(3, 1), "amend_already_replaced");
    chain.accept(&replacing(3, 2));
    chain.finish_block();
    chain.accept(&replacing(4, 3));
    for seed in 1..=4 {
        assert_eq!(
            query::newest_version(&chain, &record(seed)).unwrap(),
            record(4)
        );
    }
    // A record that stands alone is its own newest version.
    chain.accept(&Tx::anchor(anchor(5), [4; 16]));
    assert_eq!(
        query::newest_version(&chain, &record(5)).unwrap(),
        record(5)
    );
}

#[test]
fn what_is_replaced_is_anchored_here() {
    let mut chain = chain();
    chain.refuse(&replacing(2, 3), "amend_unknown_record");
    // Also in the other order: what comes later is not known yet.
    chain.accept(&Tx::anchor(anchor(3), [4; 16]));
    chain.accept(&replacing(2, 3));
}

#[test]
fn a_record_does_not_replace_itself() {
    let mut chain = chain();
    chain.refuse(&replacing(1, 1), "amend_itself");
    chain.refuse(&replacing(2, 2), "amend_itself");
}

#[test]
fn a_record_that_is_anchored_replaces_nothing_later() {
    let mut chain = chain();
    chain.accept(&Tx::anchor(anchor(2), [4; 16]));
    chain.refuse(&replacing(2, 1), "anchor_record_repeated");
}

#[test]
fn every_rule_of_an_anchor_holds() {
    let body = || anchor_body(2);
    let foreign = AnchorBody {
        hospital: HospitalId::from_identity(&secret(99).public()),
        ..body()
    };
    let late = AnchorBody {
        epoch: Epoch(body().epoch.0 + 2),
        ..body()
    };
    let mut unpadded = body();
    unpadded.entries = IndexEntries::Tags((0..7).map(|n| tag(2, n)).collect());
    let mut repeated = body();
    let mut tags = repeated.entries.tags().to_vec();
    tags[0] = tag(1, 3);
    repeated.entries = IndexEntries::Tags(tags);
    let pseudonym = AnchorBody {
        pseudonym: anchor_body(1).pseudonym,
        ..body()
    };
    let stranger = amend(signed_anchor(body(), &secret(99), &server()), record(1));
    let elsewhere = amend(signed_anchor(body(), &author(), &secret(99)), record(1));
    let cases = [
        (signed(foreign), "anchor_other_hospital"),
        (stranger, "anchor_author_unknown"),
        (signed(late), "anchor_epoch_drift"),
        (elsewhere, "anchor_other_vault"),
        (signed(unpadded), "anchor_evidence"),
        (signed(repeated), "anchor_tag_repeated"),
        (signed(pseudonym), "anchor_pseudonym_repeated"),
    ];
    println!("{} rules", cases.len());
    for (tx, rule) in cases {
        let mut chain = chain();
        chain.refuse(&tx, rule);
        // Nothing of it stays: the record can be replaced.
        assert_eq!(query::replaced_by(&chain, &record(1)).unwrap(), None);
        chain.accept(&replacing(2, 1));
    }
}

#[test]
fn the_author_may_write_now() {
    let mut suspended = chain();
    suspended.suspend(&author());
    suspended.refuse(&replacing(2, 1), "anchor_author_suspended");

    let mut clerk = chain();
    clerk.enrol(&secret(20), Role::Registrar);
    let by_clerk = amend(
        signed_anchor(anchor_body(2), &secret(20), &server()),
        record(1),
    );
    clerk.refuse(&by_clerk, "anchor_author_role");

    let mut expired = Chain::new();
    expired.enrol_until(&author(), Role::Physician, later(1_000));
    expired.accept(&Tx::anchor(anchor(1), [4; 16]));
    expired.time = later(1_000);
    expired.refuse(&replacing(2, 1), "anchor_author_not_valid");

    let mut stale = chain();
    stale.time = later(2 * MILLIS_PER_DAY);
    stale.refuse(&replacing(2, 1), "anchor_epoch_drift");
}
