//! `inspect reports`: what went wrong, and who says so.

use super::MAX_ROWS;
use alliance_chain::query;
use caduceus_cli::CliError;
use caduceus_crypto::HospitalId;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ReportRow {
    report: String,
    hospital: String,
    kind: &'static str,
    /// Whether the report shows it by itself; else it is the reporter's word.
    proved: bool,
    reporter: String,
    record: Option<String>,
    detail: String,
    height: u64,
    time_ms: u64,
}

/// The reports about a hospital, or about everybody who is or was a member; oldest first for each.
pub(super) fn rows(
    view: &dyn StateView,
    hospital: Option<&HospitalId>,
) -> Result<Vec<ReportRow>, CliError> {
    let hospitals: Vec<HospitalId> = match hospital {
        Some(hospital) => vec![*hospital],
        None => query::members_ever(view)
            .map_err(unreadable)?
            .into_iter()
            .map(|record| record.member.hospital)
            .collect(),
    };
    let mut rows = Vec::new();
    for hospital in &hospitals {
        for (id, record) in query::reports_about(view, hospital, 0, MAX_ROWS).map_err(unreadable)? {
            let report = record.report;
            rows.push(ReportRow {
                report: id.to_string(),
                hospital: hospital.to_string(),
                kind: report.kind.as_str(),
                proved: report.proof.proves().is_some(),
                reporter: report.reporter.to_string(),
                record: report.record.map(|record| record.to_string()),
                detail: report.detail,
                height: record.height.0,
                time_ms: record.time.0,
            });
        }
    }
    Ok(rows)
}
