//! `verify`.

use super::context::{Context, named_hospitals};
use super::receipt_file::read_receipt;
use caduceus_cli::{CliError, OutputFormat};
use patient_client::{Finding, HospitalVerified, VerifyOutcome, VerifySpec};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Verify this hospital only; repeat for more
    #[arg(long, value_name = "NAME")]
    hospital: Vec<String>,
    /// Keep this receipt, as the workstation handed it over, and judge it too; repeat for more
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
    /// Write evidence of wrong indexing into this directory, readable by you alone
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Put the key that opens the record into its evidence: whoever gets the file can read that record
    #[arg(long, requires = "report")]
    disclose: bool,
}

#[derive(Serialize)]
struct FindingRow {
    hospital: String,
    record: String,
    finding: &'static str,
    detail: String,
    reported: String,
}

#[derive(Serialize)]
struct HospitalRow {
    hospital: String,
    alliance_height: u64,
    block_time: String,
    linked_height: u64,
    linked_records: u64,
    yours: usize,
    compared: usize,
    receipts: usize,
    due: usize,
}

#[derive(Serialize)]
struct UncheckedRow {
    record: String,
    reason: String,
}

#[derive(Serialize)]
struct VerifyView {
    hospitals: Vec<HospitalRow>,
    findings: Vec<FindingRow>,
    unchecked: Vec<UncheckedRow>,
    evidence: Vec<String>,
}

pub(super) async fn verify(context: &Context, args: VerifyArgs) -> Result<(), CliError> {
    let mut receipts = Vec::new();
    for path in &args.receipt {
        receipts.push(read_receipt(path)?);
    }
    let (mut patient, network) = context.patient_and_network().await?;
    let spec = VerifySpec {
        hospitals: named_hospitals(&network, &args.hospital)?,
        receipts,
        disclose: args.disclose,
    };
    let progress = context.output.progress("verifying");
    let outcome = patient.verify(&spec).await;
    drop(progress);
    let outcome = outcome?;
    patient.close().await;
    let evidence = match &args.report {
        Some(dir) => write_evidence(&outcome, dir)?,
        None => Vec::new(),
    };
    let rows: Vec<FindingRow> = outcome.findings.iter().map(finding_row).collect();
    if context.output.format() == OutputFormat::Json {
        context.output.object(&VerifyView {
            hospitals: outcome.hospitals.iter().map(hospital_row).collect(),
            findings: rows,
            unchecked: unchecked(&outcome),
            evidence,
        })?;
    } else {
        context.output.rows(&rows)?;
        for path in &evidence {
            context.output.note(&format!("evidence: {path}"));
        }
    }
    tell(context, &outcome, args.report.is_none());
    verdict(&outcome)
}

fn write_evidence(outcome: &VerifyOutcome, dir: &Path) -> Result<Vec<String>, CliError> {
    outcome
        .evidence
        .iter()
        .map(|each| Ok(each.write(dir)?.display().to_string()))
        .collect()
}

/// An error when something is wrong, so that scripts see it.
fn verdict(outcome: &VerifyOutcome) -> Result<(), CliError> {
    let faults = outcome.findings.len();
    if faults == 0 {
        return Ok(());
    }
    Err(CliError::verification_failed(
        format!(
            "{faults} {} with your records",
            if faults == 1 { "fault" } else { "faults" }
        ),
        "show the findings to the hospital or its supervisor, with your receipts and the evidence of --report DIR",
    ))
}

/// What was verified, for people; warnings for everybody.
fn tell(context: &Context, outcome: &VerifyOutcome, no_report: bool) {
    for each in &outcome.hospitals {
        context.output.note(&summary(each));
    }
    for (found, reason) in &outcome.unchecked {
        tracing::warn!(record = %found.record_hash, %reason, "this record could not be checked");
    }
    for (hospital, reason) in &outcome.unread_logs {
        tracing::warn!(%hospital, %reason, "the hospital's own log could not be read, or not all of it");
    }
    if no_report && !outcome.evidence.is_empty() {
        context.output.note(&format!(
            "--report DIR writes evidence about {} records",
            outcome.evidence.len()
        ));
    }
    context.output.note(
        "a record that a hospital stored and never linked shows by its receipt or in the hospital's own log: private \
         chains answer members only",
    );
}

fn summary(each: &HospitalVerified) -> String {
    format!(
        "{}: all {} linked records up to height {} of its chain are proved at alliance height {} ({}); {} are yours, \
         {} of them compared with their index; {} receipts judged, {} not due yet",
        each.name,
        each.linked,
        each.linked_height,
        each.height,
        each.time,
        each.mine,
        each.compared,
        each.receipts,
        each.due
    )
}

fn finding_row(finding: &Finding) -> FindingRow {
    FindingRow {
        hospital: finding.name.clone(),
        record: finding.record_hash.to_string(),
        finding: finding.fault.as_str(),
        detail: finding.fault.to_string(),
        reported: finding.reported.to_string(),
    }
}

fn hospital_row(each: &HospitalVerified) -> HospitalRow {
    HospitalRow {
        hospital: each.name.clone(),
        alliance_height: each.height.0,
        block_time: each.time.to_string(),
        linked_height: each.linked_height,
        linked_records: each.linked,
        yours: each.mine,
        compared: each.compared,
        receipts: each.receipts,
        due: each.due,
    }
}

fn unchecked(outcome: &VerifyOutcome) -> Vec<UncheckedRow> {
    outcome
        .unchecked
        .iter()
        .map(|(found, reason)| UncheckedRow {
            record: found.record_hash.to_string(),
            reason: reason.clone(),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::{Hash, HospitalId, TimeMillis};
    use patient_client::{Fault, Reported};

    fn finding(fault: Fault, reported: Reported) -> Finding {
        Finding {
            hospital: HospitalId([1; 32]),
            name: "North".to_owned(),
            record_hash: Hash([2; 32]),
            fault,
            reported,
        }
    }

    #[test]
    fn faults_end_the_program_with_their_code() {
        let mut outcome = VerifyOutcome::default();
        assert!(verdict(&outcome).is_ok());
        let missed = Fault::MissedDeadline {
            deadline: TimeMillis(0),
        };
        outcome
            .findings
            .push(finding(missed, Reported::As(Hash([3; 32]))));
        let error = verdict(&outcome).unwrap_err();
        assert_eq!(error.exit, ExitCode::VerificationFailed);
        assert!(error.to_string().starts_with("error: 1 fault with your"));
        assert_eq!(error.to_string().lines().count(), 2);
        let row = finding_row(&outcome.findings[0]);
        assert_eq!(
            (row.finding, row.hospital.as_str()),
            ("missed-deadline", "North")
        );
        assert_eq!(row.reported, "03".repeat(32));
        assert!(row.detail.contains("1970-01-01"));
    }

    #[test]
    fn what_is_hers_alone_to_show_is_not_said_to_be_reported() {
        let stored = Fault::StoredNotLinked {
            stored: TimeMillis(0),
        };
        let row = finding_row(&finding(stored, Reported::Unprovable));
        assert_eq!(
            (row.finding, row.reported.as_str()),
            ("stored-not-linked", "")
        );
        assert_eq!(Reported::Already.to_string(), "today already");
    }
}
