//! What the register keeps, and that a desk code is good once.

#![allow(clippy::unwrap_used)]

use super::cards::Shown;
use super::*;
use caduceus_crypto::{Epoch, MetaAddress, Pseudonym, PublicKey, SecretKey, TimeMillis};
use rand_core::OsRng;

const CARD: CardNo = [1; 16];
const CODE: [u8; 5] = [2; 5];
const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
const TODAY: Epoch = Epoch(19_849);

fn key() -> PublicKey {
    SecretKey::generate(&mut OsRng).public()
}

fn meta() -> MetaAddress {
    MetaAddress::new(key(), key())
}

#[test]
fn a_desk_code_is_good_for_one_audit_key_across_restarts() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("register.redb");
    let (meta, first, second) = (meta(), key(), key());
    {
        let register = Register::open(&path).unwrap();
        register.add_card(&CARD, &CODE, meta, NOW).unwrap();
        assert_eq!(
            register.show_code(&CARD, &CODE, &meta, &first).unwrap(),
            Shown::Fresh
        );
        register.register(&CARD, &CODE, &meta, &first).unwrap();
    }
    let register = Register::open(&path).unwrap();
    assert_eq!(register.card(&CARD).unwrap().audit_key, Some(first));
    assert_eq!(register.card_of(&first).unwrap(), Some(CARD));
    assert_eq!(register.card_of(&second).unwrap(), None);
    assert_eq!(
        register.show_code(&CARD, &CODE, &meta, &first).unwrap(),
        Shown::Again
    );
    register.register(&CARD, &CODE, &meta, &first).unwrap();
    for outcome in [
        register.show_code(&CARD, &CODE, &meta, &second).map(|_| ()),
        register.register(&CARD, &CODE, &meta, &second),
    ] {
        assert!(matches!(outcome, Err(RegisterError::DeskCodeUsed)));
    }
    assert_eq!(register.card_of(&second).unwrap(), None);

    register.add_card(&[9; 16], &CODE, meta, NOW).unwrap();
    let taken = register.show_code(&[9; 16], &CODE, &meta, &first);
    assert!(matches!(taken, Err(RegisterError::AuditKeyTaken)));
}

#[test]
fn wrong_codes_are_counted_and_lock_the_card() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("register.redb");
    let (meta, audit_key) = (meta(), key());
    Register::open(&path)
        .unwrap()
        .add_card(&CARD, &CODE, meta, NOW)
        .unwrap();
    for left in (0..MAX_DESK_TRIES).rev() {
        let register = Register::open(&path).unwrap();
        match register.show_code(&CARD, &[0; 5], &meta, &audit_key) {
            Err(RegisterError::DeskCodeWrong { left: found }) => assert_eq!(found, left),
            other => panic!("{other:?}"),
        }
    }
    let register = Register::open(&path).unwrap();
    let right = register.show_code(&CARD, &CODE, &meta, &audit_key);
    assert!(matches!(right, Err(RegisterError::DeskCodeLocked)));
    let right = register.register(&CARD, &CODE, &meta, &audit_key);
    assert!(matches!(right, Err(RegisterError::DeskCodeLocked)));
}

#[test]
fn a_code_belongs_to_its_card_and_holder() {
    let home = tempfile::tempdir().unwrap();
    let register = Register::open(&home.path().join("register.redb")).unwrap();
    let holder = meta();
    register.add_card(&CARD, &CODE, holder, NOW).unwrap();
    let other = register.show_code(&CARD, &CODE, &meta(), &key());
    assert!(matches!(other, Err(RegisterError::OtherHolder)));
    let unknown = register.show_code(&[3; 16], &CODE, &holder, &key());
    assert!(matches!(unknown, Err(RegisterError::CardUnknown)));
    assert_ne!(
        card_hash(&CARD, &HospitalId([1; 32])),
        card_hash(&[3; 16], &HospitalId([1; 32]))
    );
}

#[test]
fn tokens_have_a_daily_allowance() {
    let home = tempfile::tempdir().unwrap();
    let register = Register::open(&home.path().join("register.redb")).unwrap();
    let (meta, audit_key) = (meta(), key());
    register.add_card(&CARD, &CODE, meta, NOW).unwrap();
    let early = register.take_tokens(&CARD, 1, TODAY);
    assert!(matches!(early, Err(RegisterError::NotRegistered)));
    register.register(&CARD, &CODE, &meta, &audit_key).unwrap();
    register
        .take_tokens(&CARD, TOKENS_A_DAY - 1, TODAY)
        .unwrap();
    let over = register.take_tokens(&CARD, 2, TODAY);
    assert!(matches!(
        over,
        Err(RegisterError::TokensUsedUp { asked: 2, left: 1 })
    ));
    register.take_tokens(&CARD, 1, TODAY).unwrap();
    register.return_tokens(&CARD, 5, TODAY).unwrap();
    register.take_tokens(&CARD, 5, TODAY).unwrap();
    register
        .take_tokens(&CARD, TOKENS_A_DAY, Epoch(TODAY.0 + 1))
        .unwrap();
}

#[test]
fn a_repeated_request_gets_its_first_receipt() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("register.redb");
    let (caller, point, refused) = (key(), key(), key());
    let row = |record: u8| RequestRow {
        caller,
        record_hash: Hash([record; 32]),
        done: false,
    };
    let record = RecordRow {
        card: Hash([5; 32]),
        pseudonym: Pseudonym {
            point,
            ephemeral: key(),
            view_tag: 3,
        },
        height: 7,
        position: 0,
        block_hash: Hash([6; 32]),
        stored_bytes: 20_000,
        receipt: vec![1, 2, 3],
    };
    {
        let register = Register::open(&path).unwrap();
        register.intend(&[4; 16], row(1)).unwrap();
    }
    let register = Register::open(&path).unwrap();
    // Refused as a repetition and made anew: the same request, another record.
    register.intend(&[4; 16], row(2)).unwrap();
    assert_eq!(register.request(&[4; 16]).unwrap(), Some(row(2)));
    // An intent gives nobody a name in the log.
    assert!(register.pseudonyms(&CARD).unwrap().is_empty());
    assert!(!register.knows_pseudonym(&point).unwrap());
    assert!(register.record(&Hash([2; 32])).unwrap().is_none());
    let finish = |record: &RecordRow| {
        register
            .finish(&[4; 16], &CARD, &Hash([2; 32]), record)
            .unwrap()
    };
    assert_eq!(finish(&record), record);
    // Finishing twice is the same as once, though the second receipt would promise something later.
    let later = RecordRow {
        receipt: vec![9, 9, 9],
        ..record.clone()
    };
    assert_eq!(finish(&later), record);
    assert!(register.request(&[4; 16]).unwrap().unwrap().done);
    assert_eq!(register.record(&Hash([2; 32])).unwrap().unwrap(), record);
    register.intend(&[4; 16], row(2)).unwrap();
    assert!(register.request(&[4; 16]).unwrap().unwrap().done);
    let reused = register.intend(&[4; 16], row(3));
    assert!(matches!(reused, Err(RegisterError::RequestReused)));
    let mut foreign = row(2);
    foreign.caller = key();
    let reused = register.intend(&[4; 16], foreign);
    assert!(matches!(reused, Err(RegisterError::RequestReused)));
    assert_eq!(register.pseudonyms(&CARD).unwrap(), [point]);
    assert!(register.pseudonyms(&[0; 16]).unwrap().is_empty());
    assert!(register.knows_pseudonym(&point).unwrap());
    assert!(!register.knows_pseudonym(&refused).unwrap());
}

#[test]
fn a_pseudonym_stays_with_its_record_and_card() {
    let home = tempfile::tempdir().unwrap();
    let register = Register::open(&home.path().join("register.redb")).unwrap();
    let other: CardNo = [8; 16];
    let hospital = HospitalId([1; 32]);
    let record = RecordRow {
        card: card_hash(&CARD, &hospital),
        pseudonym: Pseudonym {
            point: key(),
            ephemeral: key(),
            view_tag: 3,
        },
        height: 7,
        position: 0,
        block_hash: Hash([6; 32]),
        stored_bytes: 20_000,
        receipt: vec![1, 2, 3],
    };
    register
        .finish(&[4; 16], &CARD, &Hash([2; 32]), &record)
        .unwrap();
    let mut stolen = record.clone();
    stolen.card = card_hash(&other, &hospital);
    // The same pseudonym in another record, and the same record for another card.
    for hash in [Hash([3; 32]), Hash([2; 32])] {
        let outcome = register.finish(&[5; 16], &other, &hash, &stolen);
        assert!(matches!(outcome, Err(RegisterError::PseudonymTaken)));
    }
    assert!(register.pseudonyms(&other).unwrap().is_empty());
    assert!(register.record(&Hash([3; 32])).unwrap().is_none());
    assert_eq!(register.record(&Hash([2; 32])).unwrap(), Some(record));
}

#[test]
fn a_record_is_its_holders_whichever_of_her_cards_she_shows() {
    let home = tempfile::tempdir().unwrap();
    let register = Register::open(&home.path().join("register.redb")).unwrap();
    let hospital = HospitalId([1; 32]);
    let (holder, other) = (meta(), meta());
    let (lost, new, neighbours): (CardNo, CardNo, CardNo) = ([1; 16], [2; 16], [3; 16]);
    for (card, meta) in [(lost, holder), (new, holder), (neighbours, other)] {
        register.add_card(&card, &CODE, meta, NOW).unwrap();
    }
    let of = |card: &CardNo, hash: Hash| register.is_of_holder(card, &hash, &hospital);
    let by_lost = card_hash(&lost, &hospital);
    assert!(of(&lost, by_lost).unwrap());
    assert!(of(&new, by_lost).unwrap());
    assert!(!of(&neighbours, by_lost).unwrap());
    assert!(!of(&new, card_hash(&neighbours, &hospital)).unwrap());
    // The hash of a card of another hospital, and of none.
    assert!(!of(&new, card_hash(&lost, &HospitalId([2; 32]))).unwrap());
    assert!(!of(&new, Hash([9; 32])).unwrap());
    let unknown = of(&[7; 16], by_lost);
    assert!(matches!(unknown, Err(RegisterError::CardUnknown)));
}

#[test]
fn a_card_keeps_its_holders_index_key() {
    let home = tempfile::tempdir().unwrap();
    let register = Register::open(&home.path().join("register.redb")).unwrap();
    let bare = meta();
    let keyed = crate::network_map::with_index_key(bare);
    register.add_card(&CARD, &CODE, keyed, NOW).unwrap();
    assert_eq!(register.card(&CARD).unwrap().meta, keyed);
    // Without the key it is another meta-address.
    let shown = register.show_code(&CARD, &CODE, &bare, &key());
    assert!(matches!(shown, Err(RegisterError::OtherHolder)));
}
