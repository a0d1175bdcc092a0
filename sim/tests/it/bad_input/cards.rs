//! Cards that are wrong, mistyped or another hospital's; at the workstation and with the patient.

use super::table::{Case, Table};
use super::world::{PASSPHRASE, World};
use caduceus_cli::ExitCode::{Denied, NotFound, Usage, VerificationFailed};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{Card, CardQr, HospitalId, SecretKey};
use patient_client::Wallet;
use rand_core::OsRng;

/// A card with one wrong symbol.
fn mistyped(card: &str) -> String {
    let at = "CAD1-00".len();
    let other = if card[at..].starts_with('1') {
        "2"
    } else {
        "1"
    };
    format!("{}{other}{}", &card[..at], &card[at + 1..])
}

/// A hospital that the network does not have.
fn elsewhere() -> HospitalId {
    HospitalId::from_identity(&SecretKey::generate(&mut OsRng).public())
}

pub async fn run(world: &World, table: &mut Table) {
    workstation(world, table).await;
    registrar(world, table).await;
    patient(world, table).await;
}

async fn workstation(world: &World, table: &mut Table) {
    let (alice, bob) = (&world.people["alice"], &world.people["bob"]);
    let good = world.good_file();
    let upload = |card: &str| world.upload(card, &[&good]);
    let qr = alice.card.qr.as_str();
    let foreign = CardQr::new(&Card::generate(&mut OsRng, elsewhere()), &alice.meta).to_string();
    let never_made = CardQr::new(
        &Card::generate(&mut OsRng, world.layout.hospitals[0].id),
        &alice.meta,
    )
    .to_string();
    let (_, bobs_binding) = bob.card.qr.split_once('|').unwrap();
    let substituted = format!("{}|{bobs_binding}", alice.card.number);
    let typed = qr.to_lowercase().replace('-', " ");
    let stranger = world.workstation("stranger", &["upload", "--card", qr, &good]);
    let cases = vec![
        Case::works("the right one", upload(qr)),
        Case::works("the right one, typed in other letters", upload(&typed)),
        Case::fails(
            "no card at all",
            upload("my card"),
            Usage,
            "not a card number",
        ),
        Case::fails("half of one", upload(&qr[..20]), Usage, "not a card number"),
        Case::fails(
            "its number alone",
            upload(&alice.card.number),
            Usage,
            "not a card number",
        ),
        Case::fails("mistyped", upload(&mistyped(qr)), Usage, "typing error"),
        Case::fails(
            "another hospital's",
            upload(&foreign),
            Denied,
            "another hospital",
        ),
        Case::fails(
            "bound to other keys",
            upload(&substituted),
            VerificationFailed,
            "not the card holder's",
        ),
        Case::fails(
            "never handed out",
            upload(&never_made),
            NotFound,
            "card_unknown",
        ),
        Case::fails(
            "not registered yet",
            upload(&bob.card.qr),
            NotFound,
            "not registered this card",
        ),
        Case::fails(
            "the right one, shown to a stranger",
            stranger,
            Denied,
            "refused to talk to this key",
        ),
    ];
    table.run(world, "a card at the workstation", cases).await;
}

async fn registrar(world: &World, table: &mut Table) {
    let meta = world.people["alice"].meta.to_string();
    let register = |meta: &str| world.workstation("registrar", &["patient", "register", meta]);
    let by_doctor = world.workstation("doctor", &["patient", "register", &meta]);
    let cases = vec![
        Case::works("the right one", register(&meta)),
        Case::fails(
            "something else",
            register("alice"),
            Usage,
            "begins with cadmeta1",
        ),
        Case::fails("half of one", register(&meta[..40]), Usage, "wrong length"),
        Case::fails("mistyped", register(&swapped(&meta)), Usage, "typing error"),
        Case::fails(
            "the right one, registered by a doctor",
            by_doctor,
            Denied,
            "no policy permits register-patient to a physician",
        ),
    ];
    table.run(world, "a meta-address", cases).await;
    index_keys(world, table).await;
}

/// Meta-addresses with the key of an index scheme, which this network has no use for.
async fn index_keys(world: &World, table: &mut Table) {
    let register = |meta: &str| world.workstation("registrar", &["patient", "register", meta]);
    let plain = world.people["alice"].meta.to_string();
    let with_key = |scheme: SchemeId| {
        Wallet::open(&world.home("alice"), PASSPHRASE)
            .unwrap()
            .with_scheme(scheme)
            .meta()
            .to_string()
    };
    let peks = with_key(SchemeId::Peks);
    let no_use = "has no use for one";
    let last = peks.len() - 1;
    let cases = vec![
        Case::fails("for peks", register(&peks), Usage, no_use),
        Case::fails(
            "for paeks",
            register(&with_key(SchemeId::Paeks)),
            Usage,
            no_use,
        ),
        Case::fails(
            "for peks, in other letters",
            register(&peks.to_uppercase()),
            Usage,
            no_use,
        ),
        Case::fails(
            "for peks, mistyped",
            register(&swapped(&peks)),
            Usage,
            "typing error",
        ),
        Case::fails(
            "for peks, cut by a letter",
            register(&peks[..last]),
            Usage,
            "wrong length",
        ),
        Case::fails(
            "for peks, with a letter too many",
            register(&format!("{peks}0")),
            Usage,
            "wrong length",
        ),
        Case::fails(
            "for peks, cut to the length of one without a key",
            register(&peks[..plain.len()]),
            Usage,
            "typing error",
        ),
        Case::fails(
            "the right one, and the key of one for peks",
            register(&format!("{plain}{}", &peks[plain.len()..])),
            Usage,
            "typing error",
        ),
    ];
    table
        .run(world, "a meta-address with an index key", cases)
        .await;
}

/// A meta-address with two neighbours swapped, the first ones that differ.
fn swapped(meta: &str) -> String {
    let mut bytes = meta.as_bytes().to_vec();
    let at = (20..).find(|at| bytes[*at] != bytes[*at + 1]).unwrap();
    bytes.swap(at, at + 1);
    String::from_utf8(bytes).unwrap()
}

async fn patient(world: &World, table: &mut Table) {
    let (alice, bob) = (&world.people["alice"], &world.people["bob"]);
    let register =
        |card: &str, code: &str| world.patient("bob", &["register", card, "--desk-code", code]);
    let add = |card: &str| world.patient("bob", &["card", "--add", card]);
    let (qr, number, code) = (
        bob.card.qr.as_str(),
        bob.card.number.as_str(),
        bob.card.code.as_str(),
    );
    let foreign = Card::generate(&mut OsRng, elsewhere());
    let never_made = Card::generate(&mut OsRng, world.layout.hospitals[0].id).to_string();
    let other_code = if code.starts_with('0') {
        format!("1{}", &code[1..])
    } else {
        format!("0{}", &code[1..])
    };
    let cases = vec![
        Case::fails(
            "no card at all",
            register("my card", code),
            Usage,
            "not a card number",
        ),
        Case::fails(
            "a QR text without its card",
            register("|", code),
            Usage,
            "not a card number",
        ),
        Case::fails(
            "mistyped",
            register(&mistyped(number), code),
            Usage,
            "typing error",
        ),
        Case::fails(
            "mistyped QR text",
            register(&mistyped(qr), code),
            Usage,
            "typing error",
        ),
        Case::fails(
            "a foreign one",
            register(&foreign.to_string(), code),
            Denied,
            "another hospital",
        ),
        Case::fails(
            "a foreign one's QR text",
            register(&CardQr::new(&foreign, &bob.meta).to_string(), code),
            Denied,
            "another hospital",
        ),
        Case::fails(
            "another patient's",
            register(&alice.card.qr, code),
            VerificationFailed,
            "not the card holder's",
        ),
        Case::fails(
            "another patient's number",
            register(&alice.card.number, &alice.card.code),
            Denied,
            "card_other_holder",
        ),
        Case::fails(
            "never handed out",
            register(&never_made, code),
            Denied,
            "does not accept this card",
        ),
        Case::fails(
            "a desk code that is none",
            register(qr, "12"),
            Usage,
            "not a desk code",
        ),
        Case::fails(
            "another desk code",
            register(qr, &other_code),
            Denied,
            "desk_code_wrong",
        ),
        Case::fails(
            "no desk code",
            world.patient("bob", &["register", qr]),
            Usage,
            "required arguments",
        ),
        Case::fails(
            "added, no card at all",
            add("my card"),
            Usage,
            "not a card number",
        ),
        Case::fails(
            "added, mistyped",
            add(&mistyped(number)),
            Usage,
            "typing error",
        ),
        Case::fails(
            "added, a foreign one",
            add(&foreign.to_string()),
            Denied,
            "another hospital",
        ),
        Case::works("the right one", register(qr, code)),
        Case::works("the right one, once more", register(qr, code)),
    ];
    table.run(world, "a card at the patient's", cases).await;
}
