//! `open`, `records`.

use super::context::{Context, named_record};
use super::receipt_file::read_receipt;
use caduceus_cli::{CliError, write_private};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct RecordRow {
    hospital: String,
    record: String,
    place: String,
    receipt: String,
    replaces: String,
}

pub(super) async fn open(
    context: &Context,
    record: &str,
    out: Option<&Path>,
) -> Result<(), CliError> {
    let mut patient = context.patient().await?;
    let found = named_record(&patient, record)?;
    let progress = context.output.progress("fetching");
    let opened = patient.open(&found).await;
    drop(progress);
    let opened = opened?;
    let replaced = patient.note_opened(&found, &opened)?;
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
    if let Some(older) = replaced {
        context.output.note(&format!("it replaces record {older}"));
    }
    Ok(())
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
        let replaces = patient
            .state()
            .replaced_by(&view.hospital, &view.record_hash);
        rows.push(RecordRow {
            hospital: view.name,
            record: view.record_hash.to_string(),
            place: view
                .place
                .map(|place| place.to_string())
                .unwrap_or_default(),
            receipt,
            replaces: replaces.map(|older| older.to_string()).unwrap_or_default(),
        });
    }
    patient.close().await;
    context.output.rows(&rows)?;
    context
        .output
        .note("records stored since your last search show after the next one");
    Ok(())
}
