#![allow(clippy::unwrap_used)]

use crate::query;
use crate::state::{self, AnchorRef};
use crate::testing::{
    Chain, NOW, anchor, anchor_body, author, later, peks_entries, secret, server, signed_anchor,
    tag,
};
use crate::tx::{Role, Tx};
use caduceus_crypto::codec;
use caduceus_crypto::evidence::{Anchor, AnchorBody};
use caduceus_crypto::index::{IndexEntries, SchemeId};
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::time::{Epoch, MILLIS_PER_DAY};

fn tx(anchor: Anchor) -> Tx {
    Tx::anchor(anchor, [4; 16])
}

fn signed(body: AnchorBody) -> Tx {
    tx(signed_anchor(body, &author(), &server()))
}

fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.enrol(&author(), Role::Physician);
    chain
}

#[test]
fn a_physician_and_a_nurse_anchor() {
    let mut chain = chain();
    let nurse = secret(20);
    chain.enrol(&nurse, Role::Nurse);
    let first = chain.accept(&tx(anchor(1)));
    let second = chain.accept(&tx(signed_anchor(anchor_body(2), &nurse, &server())));
    assert_eq!(query::anchor_result(&first).unwrap(), 0);
    assert_eq!(query::anchor_result(&second).unwrap(), 1);
    let at = AnchorRef {
        height: chain.height,
        position: 0,
    };
    assert_eq!(query::anchor(&chain, &at).unwrap(), Some(anchor(1)));
    for n in 0..8 {
        assert_eq!(state::tag(&tag(1, n)).get(&chain).unwrap(), Some(at));
    }
}

#[test]
fn the_anchor_is_for_this_hospital() {
    let hospital = HospitalId::from_identity(&secret(99).public());
    chain().refuse(
        &signed(AnchorBody {
            hospital,
            ..anchor_body(1)
        }),
        "anchor_other_hospital",
    );
}

#[test]
fn the_entries_are_of_the_chains_scheme() {
    let peks = || AnchorBody {
        entries: peks_entries(),
        ..anchor_body(1)
    };
    chain().refuse(&signed(peks()), "anchor_index_scheme");
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        let mut other = Chain::of_scheme(scheme);
        other.enrol(&author(), Role::Physician);
        other.refuse(&tx(anchor(1)), "anchor_index_scheme");
        if scheme == SchemeId::Peks {
            other.accept(&signed(peks()));
            // Entries are drawn anew for each record, so that none can be recognised: none is repeated.
            let again = AnchorBody {
                entries: peks_entries(),
                ..anchor_body(2)
            };
            other.accept(&signed(again));
        } else {
            other.refuse(&signed(peks()), "anchor_index_scheme");
        }
    }
}

#[test]
fn entries_without_a_point_are_no_evidence() {
    let mut bytes = codec::encode(&peks_entries());
    // Behind the scheme and the number: the first entry's point is on no curve now.
    bytes[5..53].fill(0xff);
    let Ok(entries) = codec::decode_exact::<IndexEntries>(&bytes, bytes.len()) else {
        panic!("the form of entries is checked, not decoded");
    };
    let mut chain = Chain::of_scheme(SchemeId::Peks);
    chain.enrol(&author(), Role::Physician);
    let body = AnchorBody {
        entries,
        ..anchor_body(1)
    };
    chain.refuse(&signed(body), "anchor_evidence");
}

#[test]
fn the_author_is_enrolled() {
    Chain::new().refuse(&tx(anchor(1)), "anchor_author_unknown");
}

#[test]
fn the_authors_role_writes_records() {
    for role in [Role::Registrar, Role::Auditor, Role::Administrator] {
        let mut chain = Chain::new();
        chain.enrol(&author(), role);
        chain.refuse(&tx(anchor(1)), "anchor_author_role");
    }
}

#[test]
fn the_enrolment_holds_now() {
    let mut chain = Chain::new();
    chain.enrol_until(&author(), Role::Physician, later(1_000));
    chain.time = later(1_000);
    chain.refuse(&tx(anchor(1)), "anchor_author_not_valid");
    chain.time = later(999);
    chain.accept(&tx(anchor(1)));
}

#[test]
fn the_author_is_not_suspended() {
    let mut chain = chain();
    chain.suspend(&author());
    chain.refuse(&tx(anchor(1)), "anchor_author_suspended");
}

#[test]
fn the_epoch_is_near_block_time() {
    let today = NOW.epoch().0;
    for day in [today - 2, today + 2] {
        let body = AnchorBody {
            epoch: Epoch(day),
            ..anchor_body(1)
        };
        chain().refuse(&signed(body), "anchor_epoch_drift");
    }
    for day in [today - 1, today + 1] {
        let body = AnchorBody {
            epoch: Epoch(day),
            ..anchor_body(1)
        };
        chain().accept(&signed(body));
    }
    let mut late = chain();
    late.time = later(2 * MILLIS_PER_DAY);
    late.refuse(&tx(anchor(1)), "anchor_epoch_drift");
}

#[test]
fn the_vault_is_the_hospitals() {
    let elsewhere = signed_anchor(anchor_body(1), &author(), &secret(99));
    chain().refuse(&tx(elsewhere), "anchor_other_vault");
}

#[test]
fn the_evidence_holds() {
    let mut forged = anchor(1);
    forged.body.header_hash.0[0] ^= 1;
    chain().refuse(&tx(forged), "anchor_evidence");
    let mut lying = anchor(1);
    lying.stored_bytes += 1;
    chain().refuse(&tx(lying), "anchor_evidence");
    let mut body = anchor_body(1);
    body.capsule[70] ^= 1;
    chain().refuse(&signed(body), "anchor_evidence");
    let mut body = anchor_body(1);
    body.entries = IndexEntries::Tags((0..7).map(|n| tag(1, n)).collect());
    chain().refuse(&signed(body), "anchor_evidence");
}

#[test]
fn a_record_is_anchored_once() {
    let mut chain = chain();
    chain.accept(&tx(anchor(1)));
    chain.finish_block();
    chain.refuse(&Tx::anchor(anchor(1), [5; 16]), "anchor_record_repeated");
}

#[test]
fn a_pseudonym_is_used_once() {
    let mut chain = chain();
    chain.accept(&tx(anchor(1)));
    let body = AnchorBody {
        pseudonym: anchor_body(1).pseudonym,
        ..anchor_body(2)
    };
    chain.refuse(&signed(body), "anchor_pseudonym_repeated");
}

#[test]
fn a_tag_is_used_once() {
    let mut chain = chain();
    chain.accept(&tx(anchor(1)));
    let mut body = anchor_body(2);
    let mut tags = body.entries.tags().to_vec();
    tags[0] = tag(1, 3);
    body.entries = IndexEntries::Tags(tags);
    chain.refuse(&signed(body), "anchor_tag_repeated");
    // A refused anchor leaves nothing behind: its own tags stay free.
    chain.accept(&tx(anchor(2)));
}
