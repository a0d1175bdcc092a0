//! `access-log`.

use super::context::Context;
use caduceus_cli::CliError;
use caduceus_crypto::TimeMillis;
use serde::Serialize;

/// Marks what was done without her.
const EMERGENCY: &str = "EMERGENCY";

/// One line of the log, whoever tells it.
#[derive(Serialize)]
struct LogRow {
    time: String,
    told_by: String,
    who: String,
    action: String,
    outcome: String,
    flag: &'static str,
    reason: String,
    record: String,
    grant: String,
    purpose: String,
}

pub(super) async fn access_log(context: &Context) -> Result<(), CliError> {
    let patient = context.patient().await?;
    let progress = context.output.progress("reading the logs");
    let log = patient.access_log().await;
    drop(progress);
    let log = log?;
    patient.close().await;
    let mut rows: Vec<(TimeMillis, LogRow)> = Vec::new();
    for each in &log.disclosures {
        let row = LogRow {
            time: each.time.to_string(),
            told_by: "the alliance (proved)".to_owned(),
            who: each.label.clone(),
            action: "disclosure".to_owned(),
            outcome: "success".to_owned(),
            flag: "",
            reason: String::new(),
            record: each.record_hash.to_string(),
            grant: each.grant.to_string(),
            purpose: String::new(),
        };
        rows.push((each.time, row));
    }
    for hospital in &log.hospitals {
        for entry in &hospital.entries {
            let who: String = entry.actor.to_string().chars().take(12).collect();
            let row = LogRow {
                time: entry.time.to_string(),
                told_by: format!("{} (as told by the hospital)", hospital.name),
                who: entry
                    .role
                    .as_ref()
                    .map_or_else(|| who.clone(), |role| format!("{role} {who}")),
                action: entry.action.clone(),
                outcome: entry.outcome.clone(),
                flag: if entry.is_emergency() { EMERGENCY } else { "" },
                reason: entry.reason.clone(),
                record: entry
                    .record
                    .map(|hash| hash.to_string())
                    .unwrap_or_default(),
                grant: entry.grant.map(|hash| hash.to_string()).unwrap_or_default(),
                purpose: entry.purpose.clone(),
            };
            rows.push((entry.time, row));
        }
        if let Some(problem) = &hospital.problem {
            tracing::warn!(hospital = %hospital.name, %problem, "its own entries are missing or not all here");
        }
    }
    rows.sort_by_key(|(time, _)| *time);
    let rows: Vec<LogRow> = rows.into_iter().map(|(_, row)| row).collect();
    let emergencies = rows.iter().filter(|row| row.flag == EMERGENCY).count();
    context.output.rows(&rows)?;
    if emergencies > 0 {
        context.output.note(&format!(
            "{emergencies} entries marked {EMERGENCY}: access without you, asked for, agreed to, carried out or denied; \
             each has its reason"
        ));
    }
    context.output.note(&format!(
        "{} disclosures through the alliance, proved complete at height {} for {} records; \
         hospitals' own entries are what they tell",
        log.disclosures.len(),
        log.height,
        log.records
    ));
    Ok(())
}
