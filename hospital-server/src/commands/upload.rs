//! `upload`: files of the patient whose card is presented.

use std::io;
use std::path::{Path, PathBuf};

use caduceus_cli::{CliError, CommonArgs, Output};
use caduceus_crypto::card::CardQr;
use caduceus_crypto::hash::Hash;
use clap::Args;
use hospital_server::workstation::documents::{self, Document};
use hospital_server::workstation::home::{RecordLine, StaffHome};
use hospital_server::workstation::{ReceiptFile, UploadInput, Uploaded, Visit, WorkstationError};
use serde::Serialize;

use super::desk::Desk;

/// What `upload` needs.
#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Text of the card's QR code, CAD1-...|...; - reads it from standard input
    #[arg(
        long,
        value_name = "QRTEXT",
        env = "CADUCEUS_CARD",
        hide_env_values = true
    )]
    card: String,
    /// A word of your own under which the records are found; repeat for more
    #[arg(long = "term", value_name = "WORD")]
    terms: Vec<String>,
    /// Only encounters of this organisation, by name or reference
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// What the files are [default: by extension; .json is FHIR]
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// The record that this one replaces, 64 digits: its newest version; both stay
    #[arg(long, value_name = "RECORD_HASH")]
    amends: Option<Hash>,
    /// Write receipts here [default: receipts in the home]
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    /// FHIR R4 Bundles in JSON (a record an encounter), or other files (a record each)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct UploadedRow {
    record_hash: String,
    source: String,
    height: u64,
    position: u32,
    tags: usize,
    keywords: usize,
    keywords_dropped: usize,
    sealed_bytes: u64,
    attempts: u32,
    took_millis: u64,
    link_deadline: String,
    receipt: String,
    replaces: Option<String>,
}

/// `upload`.
pub(crate) async fn upload(
    common: &CommonArgs,
    output: &Output,
    arguments: &UploadArgs,
) -> Result<(), CliError> {
    let card: CardQr = card_text(&arguments.card)?
        .parse::<CardQr>()
        .map_err(WorkstationError::from)?;
    // Every file is read and checked before anybody is asked.
    let mut all: Vec<Document> = Vec::new();
    for file in &arguments.files {
        let (media_type, organisation) = (
            arguments.media_type.as_deref(),
            arguments.organisation.as_deref(),
        );
        all.extend(documents::read(file, media_type, organisation)?);
    }
    check_amends(arguments.amends.as_ref(), all.len())?;
    let desk = Desk::open(common)?;
    let receipts = arguments
        .receipts
        .clone()
        .unwrap_or_else(|| desk.home.receipts());
    let station = desk.station().await?;
    let mut rows = Vec::new();
    let outcome = match station.visit(&card).await {
        Ok(mut visit) => {
            upload_all(
                &mut visit, &desk.home, output, all, arguments, &receipts, &mut rows,
            )
            .await
        }
        Err(error) => Err(error.into()),
    };
    station.close().await;
    // What was stored is told even when a later file failed.
    if !rows.is_empty() || outcome.is_ok() {
        output.rows(&rows)?;
    }
    outcome
}

async fn upload_all(
    visit: &mut Visit,
    home: &StaffHome,
    output: &Output,
    all: Vec<Document>,
    arguments: &UploadArgs,
    receipts: &Path,
    rows: &mut Vec<UploadedRow>,
) -> Result<(), CliError> {
    let card_hash = visit.card().hash().to_string();
    let progress = output.progress("uploading");
    let total = all.len();
    for (done, document) in all.into_iter().enumerate() {
        progress.set_steps(as_u64(done), as_u64(total));
        progress.message(document.name.clone());
        let media_type = document.media_type.clone();
        let input = UploadInput {
            bytes: document.bytes,
            media_type: document.media_type,
            own_terms: arguments.terms.clone(),
            amends: arguments.amends,
        };
        let uploaded = match visit.upload(input).await {
            Ok(uploaded) => uploaded,
            Err(error) => return Err(after(done, total, &document.name, error.into())),
        };
        if uploaded.dropped > 0 {
            let (name, dropped) = (&document.name, uploaded.dropped);
            progress.note(&format!(
                "{name}: {dropped} of its keywords found no room and are not indexed"
            ));
        }
        let receipt = ReceiptFile::of(&uploaded.receipt, uploaded.height, uploaded.position)
            .write(receipts)?;
        let replaces = arguments.amends.map(|hash| hash.to_string());
        home.note_record(&RecordLine {
            replaces: replaces.clone(),
            ..line(&uploaded, &card_hash, &document.name, media_type, &receipt)
        })?;
        rows.push(UploadedRow {
            replaces,
            ..row(&uploaded, document.name, &receipt)
        });
    }
    Ok(())
}

/// A record is replaced by one: which of several would be its next version?
fn check_amends(amends: Option<&Hash>, documents: usize) -> Result<(), CliError> {
    if amends.is_none() || documents == 1 {
        return Ok(());
    }
    Err(CliError::usage(
        format!("--amends replaces one record by one, and the files hold {documents}"),
        "one file with one record; --organisation may narrow a Bundle down",
    ))
}

/// Says which file failed and how many are stored.
fn after(done: usize, total: usize, name: &str, mut error: CliError) -> CliError {
    error.what = format!(
        "{name}: {} ({done} of {total} records are stored)",
        error.what
    );
    error
}

fn card_text(given: &str) -> Result<String, CliError> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    io::stdin().read_line(&mut text).map_err(|error| {
        CliError::usage(
            format!("cannot read the card from standard input: {error}"),
            "--card QRTEXT",
        )
    })?;
    Ok(text)
}

fn line(
    uploaded: &Uploaded,
    card_hash: &str,
    name: &str,
    media_type: String,
    receipt: &Path,
) -> RecordLine {
    RecordLine {
        record_hash: uploaded.record_hash.to_string(),
        card_hash: card_hash.to_owned(),
        source: name.to_owned(),
        media_type,
        height: uploaded.height,
        position: uploaded.position,
        tags: uploaded.tags,
        sealed_bytes: uploaded.sealed_bytes,
        link_deadline: uploaded.receipt.link_deadline.to_string(),
        receipt: receipt.to_owned(),
        replaces: None,
    }
}

fn row(uploaded: &Uploaded, source: String, receipt: &Path) -> UploadedRow {
    UploadedRow {
        record_hash: uploaded.record_hash.to_string(),
        source,
        height: uploaded.height,
        position: uploaded.position,
        tags: uploaded.tags,
        keywords: uploaded.keywords,
        keywords_dropped: uploaded.dropped,
        sealed_bytes: uploaded.sealed_bytes,
        attempts: uploaded.attempts,
        took_millis: u64::try_from(uploaded.took.as_millis()).unwrap_or(u64::MAX),
        link_deadline: uploaded.receipt.link_deadline.to_string(),
        receipt: receipt.display().to_string(),
        replaces: None,
    }
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    #[test]
    fn one_record_replaces_one() {
        let record = Hash([1; 32]);
        for (amends, documents) in [(None, 1), (None, 7), (Some(&record), 1)] {
            assert!(check_amends(amends, documents).is_ok());
        }
        for documents in [0, 2, 289] {
            let error = check_amends(Some(&record), documents).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage);
            assert_eq!(
                error.to_string(),
                format!(
                    "error: --amends replaces one record by one, and the files hold {documents}\n\
                     try: one file with one record; --organisation may narrow a Bundle down"
                )
            );
        }
    }
}
