//! `init`, `restore`, `card`, `register`, `emergency`.

use super::context::{Context, Settings, absolute};
use caduceus_cli::{CliError, OutputFormat, new_passphrase, write_private};
use caduceus_crypto::card::{Card, CardQr, DeskCode};
use caduceus_custody::keystore::KeystoreParams;
use caduceus_custody::seed::PatientSeed;
use patient_client::{CardEntry, PatientError, Wallet};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use rand_core::OsRng;
use serde::Serialize;
use std::io::{BufRead, IsTerminal};
use zeroize::Zeroizing;

/// Longest line read as a phrase, bytes: 24 words need 215.
const MAX_PHRASE_BYTES: u64 = 1024;

#[derive(Serialize)]
struct InitView<'a> {
    home: String,
    meta_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_phrase: Option<&'a str>,
}

#[derive(Serialize)]
struct CardView {
    hospital: String,
    card: String,
    qr_text: String,
    tokens: usize,
    since: String,
}

#[derive(Serialize)]
struct CardsView {
    meta_address: String,
    cards: Vec<CardView>,
}

#[derive(Serialize)]
struct RegisteredView {
    hospital: String,
    card: String,
    emergency_access: bool,
}

#[derive(Serialize)]
struct EmergencyView {
    hospital: String,
    emergency_access: bool,
}

pub(super) fn init(context: &Context) -> Result<(), CliError> {
    let seed = PatientSeed::generate(&mut OsRng);
    let phrase = seed.to_phrase();
    make_home(context, &seed, Some(phrase.as_str()))?;
    context.output.note("Write the 24 words down and keep them safe: they are shown once, and they are all your keys.");
    context.output.note(
        "Show the meta-address at your hospital's desk (patient-client card has it as a QR code).",
    );
    Ok(())
}

pub(super) fn restore(context: &Context) -> Result<(), CliError> {
    refuse_second(context)?;
    if std::io::stdin().is_terminal() {
        context
            .output
            .note("Type your 24 words on one line, then Enter:");
    }
    let mut line = Zeroizing::new(String::new());
    let mut limited = std::io::Read::take(std::io::stdin().lock(), MAX_PHRASE_BYTES);
    limited.read_line(&mut line).map_err(|error| {
        CliError::failure(
            format!("cannot read the words: {error}"),
            "type them, or pipe them in as one line",
        )
    })?;
    let seed = PatientSeed::from_phrase(&line).map_err(|error| {
        CliError::usage(
            error.to_string(),
            "the 24 words in their order, as they were shown at init",
        )
    })?;
    make_home(context, &seed, None)?;
    context
        .output
        .note("Add your cards again: patient-client card --add CARD");
    Ok(())
}

fn refuse_second(context: &Context) -> Result<(), CliError> {
    if Wallet::exists(&context.home) {
        return Err(CliError::failure(
            format!("there is a keystore in {} already", context.home.display()),
            "another --home DIR; a keystore is never overwritten",
        ));
    }
    Ok(())
}

fn make_home(context: &Context, seed: &PatientSeed, phrase: Option<&str>) -> Result<(), CliError> {
    refuse_second(context)?;
    let scheme = context.scheme()?;
    let passphrase = new_passphrase("your keystore")?;
    let wallet = Wallet::create(&context.home, seed, &passphrase, KeystoreParams::DEFAULT)?
        .with_scheme(scheme);
    if let Some(network) = &context.common.network {
        let settings = Settings {
            network: Some(absolute(network).display().to_string()),
            timeout_seconds: None,
        };
        let text = toml::to_string(&settings).map_err(|error| {
            CliError::failure(
                format!("the settings have no TOML form: {error}"),
                "a plainer path of the network file",
            )
        })?;
        write_private(&context.home.join("config.toml"), text.as_bytes())?;
    }
    context.output.object(&InitView {
        home: context.home.display().to_string(),
        meta_address: wallet.meta().to_string(),
        recovery_phrase: phrase,
    })
}

pub(super) async fn card(context: &Context, add: Option<&str>) -> Result<(), CliError> {
    let wallet = match add {
        None => context.wallet()?.with_scheme(context.scheme()?),
        Some(text) => {
            let (number, _) = read_card(text)?;
            let mut patient = context.patient().await?;
            patient.add_card(&number).await?;
            patient.close().await
        }
    };
    let meta = wallet.meta().to_string();
    let state = wallet.state();
    if context.output.format() == OutputFormat::Table {
        let mut text = format!("meta-address: {meta}\n{}\n", qr(&meta)?);
        for card in &state.cards {
            let code = card.qr().to_string();
            text.push_str(&format!("\n{}: {}\n{}\n", card.name, card.card, qr(&code)?));
        }
        if state.cards.is_empty() {
            text.push_str("\nno cards yet: show the meta-address at a hospital's desk\n");
        }
        return context.output.raw(text.as_bytes());
    }
    let tokens = |card: &CardEntry| {
        state
            .tokens
            .iter()
            .filter(|token| token.issuer == card.hospital)
            .count()
    };
    let cards = state
        .cards
        .iter()
        .map(|card| CardView {
            hospital: card.name.clone(),
            card: card.card.to_string(),
            qr_text: card.qr().to_string(),
            tokens: tokens(card),
            since: card.since.to_string(),
        })
        .collect();
    context.output.object(&CardsView {
        meta_address: meta,
        cards,
    })
}

pub(super) async fn register(
    context: &Context,
    card: &str,
    desk_code: &str,
    emergency: bool,
) -> Result<(), CliError> {
    let (number, code) = read_card(card)?;
    let desk_code = DeskCode::parse(desk_code).map_err(|error| {
        CliError::usage(
            error.to_string(),
            "the code as it was printed with the card",
        )
    })?;
    let mut patient = context.patient().await?;
    let registered = match &code {
        Some(code) => patient.register(code, &desk_code).await,
        None => patient.register_card(&number, &desk_code).await,
    };
    let hospital = registered?;
    let opted_in = match emergency {
        true => patient.set_emergency_access(&hospital, true).await,
        false => Ok(()),
    };
    let entry = patient.card(&hospital)?;
    let view = RegisteredView {
        hospital: entry.name.clone(),
        card: entry.card.to_string(),
        emergency_access: emergency && opted_in.is_ok(),
    };
    patient.close().await;
    context.output.object(&view)?;
    // The card is registered, whatever became of the rest.
    opted_in?;
    context
        .output
        .note("Your searches reach this hospital now; show the card at your visits.");
    Ok(())
}

pub(super) async fn emergency(
    context: &Context,
    hospital: &str,
    wanted: bool,
) -> Result<(), CliError> {
    let patient = context.patient().await?;
    let known = patient
        .state()
        .cards
        .iter()
        .find(|card| card.name == hospital)
        .map(|card| card.hospital);
    let outcome = match known {
        Some(id) => patient.set_emergency_access(&id, wanted).await,
        None => Err(PatientError::NoCard {
            hospital: hospital.to_owned(),
        }),
    };
    patient.close().await;
    outcome?;
    context.output.object(&EmergencyView {
        hospital: hospital.to_owned(),
        emergency_access: wanted,
    })?;
    context.output.note(if wanted {
        "Records sealed from now on can be opened by the hospital's officers together; access-log shows every use."
    } else {
        "Nobody opens your records without you from now on."
    });
    Ok(())
}

/// A card's number, or the text of its QR code.
fn read_card(text: &str) -> Result<(caduceus_crypto::CardNumber, Option<CardQr>), CliError> {
    if text.contains('|') {
        let code: CardQr = text.parse().map_err(PatientError::Card)?;
        return Ok((code.card, Some(code)));
    }
    Ok((Card::parse(text).map_err(PatientError::Card)?, None))
}

/// A QR code of half-height blocks, light on dark as terminals are.
fn qr(text: &str) -> Result<String, CliError> {
    let code = QrCode::new(text.as_bytes()).map_err(|error| {
        CliError::failure(
            format!("no QR code can be made: {error}"),
            "--output json shows the text itself",
        )
    })?;
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::index::SchemeId;
    use caduceus_crypto::{HospitalId, SecretKey};
    use caduceus_custody::patient::PatientKeys;

    #[test]
    fn a_card_is_read_in_both_forms_and_its_mistakes_are_told() {
        let card = Card::generate(
            &mut OsRng,
            HospitalId::from_identity(&SecretKey::generate(&mut OsRng).public()),
        );
        let meta = PatientKeys::from_seed(&PatientSeed::generate(&mut OsRng)).meta();
        let code = CardQr::new(&card, &meta);
        assert_eq!(
            read_card(&card.to_string()).unwrap(),
            (card.card_number(), None)
        );
        assert_eq!(
            read_card(&code.to_string()).unwrap(),
            (card.card_number(), Some(code))
        );
        for bad in ["CAD1", "nonsense", "CAD1-X|00", "|"] {
            let error = read_card(bad).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage, "{bad}");
            assert_eq!(error.to_string().lines().count(), 2);
        }
    }

    #[test]
    fn a_meta_address_fits_a_code() {
        for scheme in SchemeId::ALL {
            let keys = PatientKeys::from_seed(&PatientSeed::generate(&mut OsRng));
            let meta = keys.with_scheme(scheme).meta();
            assert!(qr(&meta.to_string()).unwrap().lines().count() > 10);
        }
    }
}
