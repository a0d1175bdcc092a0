//! `verify`.

use super::context::{Context, named_hospitals};
use super::receipt_file::read_receipt;
use caduceus_cli::{CliError, OutputFormat, create_private_dir};
use patient_client::{Finding, HospitalVerified, VerifyOutcome, VerifySpec, Warning};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Verify this hospital only, and the receipts given; repeat for more
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
struct WarningRow {
    hospital: String,
    record: String,
    warning: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct UncheckedRow {
    record: String,
    reason: String,
}

/// A hospital, and why something of it could not be had.
#[derive(Serialize)]
struct ReasonRow {
    hospital: String,
    reason: String,
}

#[derive(Serialize)]
struct VerifyView {
    hospitals: Vec<HospitalRow>,
    findings: Vec<FindingRow>,
    warnings: Vec<WarningRow>,
    unchecked: Vec<UncheckedRow>,
    unread_logs: Vec<ReasonRow>,
    unverified: Vec<ReasonRow>,
    /// Files of evidence, written after this is printed.
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
    // A directory that can't be is a mistake to be told of before an hour's work.
    if let Some(dir) = &args.report {
        create_private_dir(dir)?;
    }
    let progress = context.output.progress("verifying");
    let outcome = patient.verify(&spec).await;
    drop(progress);
    let outcome = outcome?;
    patient.close().await;
    show(context, &outcome, args.report.as_deref())?;
    tell(context, &outcome, args.report.is_none());
    // What was found is told by now, whatever becomes of the files.
    if let Some(dir) = &args.report {
        for each in &outcome.evidence {
            each.write(dir)?;
        }
    }
    verdict(&outcome)
}

/// The findings; as JSON all that was verified.
fn show(context: &Context, outcome: &VerifyOutcome, dir: Option<&Path>) -> Result<(), CliError> {
    let rows: Vec<FindingRow> = outcome.findings.iter().map(finding_row).collect();
    let evidence: Vec<String> = dir.map_or_else(Vec::new, |dir| {
        let files = outcome.evidence.iter().map(|each| each.path(dir));
        files.map(|path| path.display().to_string()).collect()
    });
    if context.output.format() == OutputFormat::Json {
        return context.output.object(&view(outcome, rows, evidence));
    }
    context.output.rows(&rows)?;
    for path in &evidence {
        context.output.note(&format!("evidence: {path}"));
    }
    Ok(())
}

fn view(outcome: &VerifyOutcome, findings: Vec<FindingRow>, evidence: Vec<String>) -> VerifyView {
    VerifyView {
        hospitals: outcome.hospitals.iter().map(hospital_row).collect(),
        findings,
        warnings: outcome.warnings.iter().map(warning_row).collect(),
        unchecked: unchecked(outcome),
        unread_logs: outcome.unread_logs.iter().map(reason_row).collect(),
        unverified: outcome.unverified.iter().map(reason_row).collect(),
        evidence,
    }
}

/// An error when something is wrong, so that scripts see it; or when something could not be verified.
fn verdict(outcome: &VerifyOutcome) -> Result<(), CliError> {
    let faults = outcome.findings.len();
    if faults > 0 {
        return Err(CliError::verification_failed(
            format!(
                "{faults} {} with your records",
                if faults == 1 { "fault" } else { "faults" }
            ),
            "show the findings to the hospital or its supervisor, with your receipts and the evidence of --report DIR",
        ));
    }
    if outcome.unverified.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = outcome
        .unverified
        .iter()
        .map(|(hospital, reason)| format!("{hospital}: {reason}"))
        .collect();
    Err(CliError::unreachable(
        format!(
            "not verified, as what is linked could not be had: {}",
            told.join("; ")
        ),
        "the same command again later; nothing is wrong with what could be verified",
    ))
}

/// What was verified, for people; warnings for everybody.
fn tell(context: &Context, outcome: &VerifyOutcome, no_report: bool) {
    for each in &outcome.hospitals {
        context.output.note(&summary(each));
    }
    for each in &outcome.warnings {
        let (record, warning) = (each.record_hash, each.caution.as_str());
        tracing::warn!(hospital = %each.name, %record, "{warning}: {}", each.caution);
    }
    for (found, reason) in &outcome.unchecked {
        tracing::warn!(record = %found.record_hash, %reason, "this record could not be checked");
    }
    for (hospital, reason) in &outcome.unread_logs {
        tracing::warn!(%hospital, %reason, "the hospital's own log could not be read, or not all of it");
    }
    // Without a finding the error at the end says it.
    if !outcome.findings.is_empty() {
        for (hospital, reason) in &outcome.unverified {
            tracing::warn!(%hospital, %reason, "nothing of this hospital could be verified");
        }
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
    if outcome.hospitals.iter().any(|each| each.compared > 0) {
        context.output.note(
            "your records were fetched in random order from random nodes, each as by a stranger; a node that sees \
             several go to your network address can still guess that they are one patient's",
        );
    }
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

fn warning_row(warning: &Warning) -> WarningRow {
    WarningRow {
        hospital: warning.name.clone(),
        record: warning.record_hash.to_string(),
        warning: warning.caution.as_str(),
        detail: warning.caution.to_string(),
    }
}

fn reason_row((hospital, reason): &(String, String)) -> ReasonRow {
    ReasonRow {
        hospital: hospital.clone(),
        reason: reason.clone(),
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
    use alliance_chain::RecordRef;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::{Hash, HospitalId, TimeMillis};
    use patient_client::{Caution, Fault, Reported};

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
        let other = Fault::NotAsPromised {
            at: RecordRef {
                height: 3,
                position: 0,
            },
            record_hash: Hash([2; 32]),
            entries_hash: Hash([4; 32]),
            other_pseudonym: false,
        };
        let row = finding_row(&finding(other, Reported::Unprovable));
        assert_eq!(
            (row.finding, row.reported.as_str()),
            ("not-as-promised", "")
        );
        assert_eq!(Reported::Already.to_string(), "already");
    }

    /// What may be wrong, or could not be read, is told and ends nothing.
    #[test]
    fn warnings_are_no_faults() {
        let warning = |caution| Warning {
            hospital: HospitalId([1; 32]),
            name: "North".to_owned(),
            record_hash: Hash([2; 32]),
            caution,
        };
        let outcome = VerifyOutcome {
            warnings: vec![
                warning(Caution::Late {
                    deadline: TimeMillis(0),
                }),
                warning(Caution::Unconfirmed {
                    stored: TimeMillis(0),
                    reason: "the server of North refuses".to_owned(),
                }),
            ],
            unread_logs: vec![("North".to_owned(), "no answer".to_owned())],
            ..VerifyOutcome::default()
        };
        assert!(verdict(&outcome).is_ok());
        let shown = serde_json::to_value(view(&outcome, Vec::new(), Vec::new())).unwrap();
        assert_eq!(shown["findings"], serde_json::json!([]));
        let warnings = shown["warnings"].as_array().unwrap();
        let names: Vec<&str> = warnings
            .iter()
            .map(|row| row["warning"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["late", "unconfirmed"]);
        let detail = warnings[1]["detail"].as_str().unwrap();
        assert!(detail.contains("the server of North refuses"));
        assert_eq!(shown["unread_logs"][0]["hospital"], "North");
        assert_eq!(shown["unread_logs"][0]["reason"], "no answer");
    }

    #[test]
    fn a_hospital_that_could_not_be_verified_has_its_code_unless_something_is_wrong() {
        let mut outcome = VerifyOutcome {
            unverified: vec![("North".to_owned(), "no node answers".to_owned())],
            ..VerifyOutcome::default()
        };
        let error = verdict(&outcome).unwrap_err();
        assert_eq!(error.exit, ExitCode::Unreachable);
        assert!(error.to_string().contains("North: no node answers"));
        assert_eq!(error.to_string().lines().count(), 2);
        let shown = serde_json::to_value(view(&outcome, Vec::new(), Vec::new())).unwrap();
        assert_eq!(shown["unverified"][0]["hospital"], "North");
        let missed = Fault::MissedDeadline {
            deadline: TimeMillis(0),
        };
        let found = finding(missed, Reported::Already);
        outcome.findings.push(found);
        let error = verdict(&outcome).unwrap_err();
        assert_eq!(error.exit, ExitCode::VerificationFailed);
    }
}
