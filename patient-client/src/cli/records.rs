//! `search`, `open`, `records`.

use super::context::{Context, named_record};
use caduceus_cli::{CliError, OutputFormat, read_limited, write_private};
use caduceus_crypto::codec;
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::{Epoch, HospitalId};
use patient_client::{FoundRecord, HospitalSearch, PatientError, SearchOutcome, SearchSpec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Largest receipt file, bytes.
const MAX_RECEIPT_BYTES: usize = 64 * 1024;

/// Names the shape of a receipt file.
const RECEIPT_FORMAT: &str = "caduceus-receipt/1";

/// What counts of a receipt file, as `hospital-server upload` writes it.
#[derive(Deserialize)]
struct ReceiptFile {
    format: String,
    /// Borsh of the signed receipt, hexadecimal.
    receipt: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct SearchArgs {
    /// Words with AND, OR, NOT and parentheses; code:38341003, type:Condition, year:2024
    query: String,
    /// First clinical day, month or year
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Last clinical day, month or year
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// First day on which the record was stored
    #[arg(long, value_name = "DAY")]
    anchored_since: Option<String>,
    /// Last day on which the record was stored
    #[arg(long, value_name = "DAY")]
    anchored_until: Option<String>,
    /// Search this hospital only; repeat for more
    #[arg(long, value_name = "NAME")]
    hospital: Vec<String>,
}

#[derive(Serialize)]
struct HitRow {
    number: usize,
    hospital: String,
    place: String,
    record: String,
}

#[derive(Serialize)]
struct HospitalRow {
    hospital: String,
    verified: bool,
    alliance_height: u64,
    block_time: String,
    linked_height: u64,
    hits: usize,
    dropped: usize,
    searches: usize,
    complete: bool,
}

#[derive(Serialize)]
struct SearchView {
    hospitals: Vec<HospitalRow>,
    hits: Vec<HitRow>,
}

#[derive(Serialize)]
struct RecordRow {
    hospital: String,
    record: String,
    place: String,
    receipt: String,
}

pub(super) async fn search(context: &Context, args: SearchArgs) -> Result<(), CliError> {
    let anchored_since = day(args.anchored_since.as_deref())?;
    let anchored_until = day(args.anchored_until.as_deref())?;
    let (mut patient, network) = context.patient_and_network().await?;
    let mut hospitals: Vec<HospitalId> = Vec::new();
    for name in &args.hospital {
        let entry = network.hospital(name)?;
        let id: HospitalId = entry
            .id
            .parse()
            .map_err(|_| PatientError::UnknownHospital { name: name.clone() })?;
        hospitals.push(id);
    }
    let spec = SearchSpec {
        text: args.query,
        from: args.from,
        to: args.to,
        anchored_since,
        anchored_until,
        hospitals,
    };
    let progress = context.output.progress("searching");
    let outcome = patient.search(&spec).await;
    drop(progress);
    let outcome = outcome?;
    let rows: Vec<HitRow> = outcome
        .records
        .iter()
        .enumerate()
        .map(|(index, found)| hit_row(index + 1, &patient.name_of(&found.hospital), found))
        .collect();
    patient.close().await;
    if context.output.format() == OutputFormat::Json {
        let hospitals = outcome.hospitals.iter().map(hospital_row).collect();
        context.output.object(&SearchView {
            hospitals,
            hits: rows,
        })?;
    } else {
        context.output.rows(&rows)?;
    }
    tell(context, &outcome);
    Ok(())
}

/// What was proved, by hospital, for people; warnings for everybody.
fn tell(context: &Context, outcome: &SearchOutcome) {
    for each in &outcome.hospitals {
        context.output.note(&format!(
            "{}: verified at alliance height {} ({}); every record up to height {} of its chain was searched; {} found",
            each.name, each.height, each.time, each.linked_height, each.hits
        ));
        if each.foreign > 0 {
            tracing::warn!(
                hospital = %each.name,
                "{} matching records are not yours and were dropped: tell the hospital",
                each.foreign
            );
        }
        if !each.complete {
            tracing::warn!(
                hospital = %each.name,
                "one day has more matches than a search returns: add words to see the others"
            );
        }
    }
    for (found, reason) in &outcome.undated {
        tracing::warn!(record = %found.record_hash, %reason, "its clinical day is not known, so it is shown");
    }
    if !outcome.records.is_empty() {
        context
            .output
            .note("open one with: patient-client open NUMBER");
    }
}

fn hit_row(number: usize, hospital: &str, found: &FoundRecord) -> HitRow {
    HitRow {
        number,
        hospital: hospital.to_owned(),
        place: found.record.to_string(),
        record: found.record_hash.to_string(),
    }
}

fn hospital_row(each: &HospitalSearch) -> HospitalRow {
    HospitalRow {
        hospital: each.name.clone(),
        // An answer that does not verify is an error before it comes here.
        verified: true,
        alliance_height: each.height.0,
        block_time: each.time.to_string(),
        linked_height: each.linked_height,
        hits: each.hits,
        dropped: each.foreign,
        searches: each.searches,
        complete: each.complete,
    }
}

fn day(text: Option<&str>) -> Result<Option<Epoch>, CliError> {
    let Some(text) = text else {
        return Ok(None);
    };
    text.parse::<Epoch>()
        .map(Some)
        .map_err(|error| CliError::usage(format!("{text:?}: {error}"), "a day such as 2026-11-20"))
}

pub(super) async fn open(
    context: &Context,
    record: &str,
    out: Option<&Path>,
) -> Result<(), CliError> {
    let patient = context.patient().await?;
    let found = named_record(&patient, record)?;
    let progress = context.output.progress("fetching");
    let opened = patient.open(&found).await;
    drop(progress);
    let opened = opened?;
    patient.close().await;
    match out {
        Some(path) => write_private(path, &opened.plaintext)?,
        None => context.output.raw(&opened.plaintext)?,
    }
    context.output.note(&format!(
        "{}, {} bytes; its hash is the anchored one",
        opened.media_type,
        opened.plaintext.len()
    ));
    Ok(())
}

/// A receipt from a file of the workstation.
fn read_receipt(path: &Path) -> Result<Receipt, CliError> {
    let wrong = |reason: String| {
        CliError::usage(
            format!("{} is not a receipt: {reason}", path.display()),
            "the file that the workstation wrote at the upload",
        )
    };
    let text = read_limited(path, MAX_RECEIPT_BYTES)?;
    let file: ReceiptFile =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if file.format != RECEIPT_FORMAT {
        return Err(wrong(format!(
            "its format is {:?}, not {RECEIPT_FORMAT:?}",
            file.format
        )));
    }
    let bytes = hex::decode(&file.receipt).map_err(|error| wrong(error.to_string()))?;
    codec::decode_exact::<Receipt>(&bytes, MAX_RECEIPT_BYTES)
        .map_err(|error| wrong(error.to_string()))
}

pub(super) async fn list(context: &Context, receipts: &[PathBuf]) -> Result<(), CliError> {
    let mut patient = context.patient().await?;
    for path in receipts {
        patient.add_receipt(read_receipt(path)?)?;
    }
    let mut rows: Vec<RecordRow> = Vec::new();
    for view in patient.records() {
        let receipt = match (view.link_deadline, view.overdue) {
            (None, _) => String::new(),
            (Some(deadline), true) => format!("due {deadline}, not seen yet"),
            (Some(deadline), false) => format!("due {deadline}"),
        };
        rows.push(RecordRow {
            hospital: view.name,
            record: view.record_hash.to_string(),
            place: view
                .place
                .map(|place| place.to_string())
                .unwrap_or_default(),
            receipt,
        });
    }
    patient.close().await;
    context.output.rows(&rows)?;
    context
        .output
        .note("records stored since your last search show after the next one");
    Ok(())
}
