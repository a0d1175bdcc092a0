//! `audit retain`: which buckets are older than they may be kept, and has them forgotten.

use crate::cli::PROGRAM;
use caduceus_cli::{CliError, Output};
use caduceus_crypto::SecretKey;
use caduceus_node::{Clock, NodeHome, SystemClock};
use caduceus_operator::{OwnNode, key_file};
use clap::Args;
use private_chain::audit::model::is_over;
use private_chain::audit::month_of;
use private_chain::policy::Retention;
use private_chain::state;
use private_chain::tx::SignedRetire;
use private_chain::{ActionClass, Bucket, Tx};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the chain is asked whether the keys are gone.
const PAUSE: Duration = Duration::from_millis(500);

/// How long entries are kept, and what to do.
#[derive(Debug, Args)]
pub(in crate::cli) struct RetainArgs {
    /// Say what would be forgotten, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Months for which the entries of a class are kept [default: what the policy in force says]
    #[arg(long, value_name = "CLASS=MONTHS,...", value_delimiter = ',', value_parser = kept)]
    keep: Vec<(ActionClass, u16)>,
    /// The hospital's identity key
    #[arg(long, value_name = "KEY-FILE", default_value = "identity.key")]
    identity: PathBuf,
    /// Wait so many seconds for the validators to say that their keys are gone
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

fn kept(text: &str) -> Result<(ActionClass, u16), String> {
    let wrong = || format!("{text:?} is no retention: clinical-read=120 expected");
    let (class, months) = text.split_once('=').ok_or_else(wrong)?;
    let class = class.parse().map_err(|_| wrong())?;
    let months = months.parse().map_err(|_| wrong())?;
    Ok((class, months))
}

#[derive(Serialize)]
struct Row {
    bucket: String,
    class: &'static str,
    month: String,
    kept_months: u16,
    state: &'static str,
    missing: Vec<String>,
}

impl Row {
    fn new(bucket: &Bucket, kept_months: u16, state: &'static str) -> Self {
        Self {
            bucket: bucket.to_string(),
            class: bucket.class.as_str(),
            month: format!("{:04}-{:02}", bucket.year(), bucket.month_of_year()),
            kept_months,
            state,
            missing: Vec::new(),
        }
    }
}

/// Does it, at the running node of a folder, as the hospital.
pub(super) async fn run(
    home: &NodeHome,
    args: &RetainArgs,
    output: &Output,
) -> Result<(), CliError> {
    let identity = key_file(&args.identity)?;
    let node = OwnNode::connect(home, PROGRAM, &identity).await?;
    let done = retain(home, &node, args, &identity, output).await;
    node.close().await;
    done
}

async fn retain(
    home: &NodeHome,
    node: &OwnNode,
    args: &RetainArgs,
    identity: &SecretKey,
    output: &Output,
) -> Result<(), CliError> {
    let retention = retention(node, &args.keep).await?;
    if retention.months.is_empty() {
        return Err(CliError::usage(
            "nothing says how long entries are kept: all are kept for good",
            "--keep CLASS=MONTHS,... or a policy that says it",
        ));
    }
    let retired = retired(node).await?;
    // Entries of the month before the first block's may be among the first.
    let first = month_of(home.genesis.time).saturating_sub(1);
    let over = over(&retention, first, month_of(SystemClock.now()));
    let (before, due): (Vec<_>, Vec<_>) = over.into_iter().partition(|(b, _)| retired.contains(b));
    if args.dry_run {
        let rows: Vec<Row> = due.iter().map(|(b, m)| Row::new(b, *m, "due")).collect();
        return output.rows(&rows);
    }
    let mut rows: Vec<(Bucket, Row)> = Vec::new();
    for (bucket, months) in before {
        let mut row = Row::new(&bucket, months, "retired");
        look(node, &bucket, &mut row).await?;
        // What was finished before is no news.
        if !row.missing.is_empty() {
            rows.push((bucket, row));
        }
    }
    let mut stopped = None;
    for (bucket, months) in due {
        let tx = Tx::Retire(SignedRetire::sign(bucket, &node.chain(), identity));
        match node.submit(tx.encode()).await {
            Ok(_) => rows.push((bucket, Row::new(&bucket, months, "retired"))),
            Err(error) => {
                stopped = Some(error);
                break;
            }
        }
    }
    await_destroyed(node, &mut rows, args.wait).await?;
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    output.rows(&rows)?;
    if let Some(error) = stopped {
        return Err(error);
    }
    let missing: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.missing.iter().map(String::as_str))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<&str> = missing.into_iter().collect();
    Err(CliError::unreachable(
        format!(
            "the entries are retired, but these validators have not said that their keys are gone: {}",
            missing.join(", ")
        ),
        "start them; they destroy the keys when they see the retirement, and audit retain can be run again",
    ))
}

/// Buckets that are over, oldest first, with the months for which their class is kept.
fn over(retention: &Retention, first: u16, now: u16) -> Vec<(Bucket, u16)> {
    let mut over = Vec::new();
    for month in first..now {
        for (class, months) in &retention.months {
            let bucket = Bucket {
                class: *class,
                month,
            };
            if is_over(month, *months, now) {
                over.push((bucket, *months));
            }
        }
    }
    over
}

/// What the options say, or else the policy in force.
async fn retention(node: &OwnNode, keep: &[(ActionClass, u16)]) -> Result<Retention, CliError> {
    let retention = if keep.is_empty() {
        let height = super::known::next_height(node).await?;
        super::known::policy(node).await?.retention_at(height)
    } else {
        Retention {
            months: keep.iter().copied().collect(),
        }
    };
    retention.check().map_err(|error| {
        CliError::usage(
            error.to_string(),
            "--keep CLASS=MONTHS with 1 to 1200 months",
        )
    })?;
    Ok(retention)
}

async fn retired(node: &OwnNode) -> Result<BTreeSet<Bucket>, CliError> {
    let rows = node.list(state::RETIRED_PREFIX.as_bytes()).await?;
    let known = |key: &[u8]| {
        let [class, high, low] = *key.strip_prefix(state::RETIRED_PREFIX.as_bytes())? else {
            return None;
        };
        let class = ActionClass::ALL
            .into_iter()
            .find(|known| *known as u8 == class)?;
        Some(Bucket {
            class,
            month: u16::from_be_bytes([high, low]),
        })
    };
    Ok(rows.iter().filter_map(|(key, _)| known(key)).collect())
}

/// Notes in a bucket's row which validators have not said that its key is gone.
async fn look(node: &OwnNode, bucket: &Bucket, row: &mut Row) -> Result<(), CliError> {
    row.missing.clear();
    for voter in node.validators().await?.iter().map(|v| v.key) {
        let said = node.state(state::destroyed(bucket, &voter).bytes()).await?;
        if said.is_none() {
            row.missing.push(voter.to_string());
        }
    }
    if row.missing.is_empty() {
        row.state = "destroyed";
    }
    Ok(())
}

/// Waits until every validator has said of every bucket that its key is gone.
async fn await_destroyed(
    node: &OwnNode,
    rows: &mut [(Bucket, Row)],
    wait_seconds: u64,
) -> Result<(), CliError> {
    let begun = Instant::now();
    loop {
        for (bucket, row) in rows.iter_mut().filter(|(_, row)| row.state == "retired") {
            look(node, bucket, row).await?;
        }
        let all = rows.iter().all(|(_, row)| row.state == "destroyed");
        if all || begun.elapsed() >= Duration::from_secs(wait_seconds) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_its_class_is_kept_is_over() {
        let retention = Retention {
            months: [(ActionClass::ClinicalRead, 3), (ActionClass::AuditRead, 12)].into(),
        };
        let bucket = |class, month| Bucket { class, month };
        let over = over(&retention, 100, 106);
        let expected = [
            (bucket(ActionClass::ClinicalRead, 100), 3),
            (bucket(ActionClass::ClinicalRead, 101), 3),
            (bucket(ActionClass::ClinicalRead, 102), 3),
        ];
        assert_eq!(over, expected);
    }

    #[test]
    fn a_retention_names_a_class_and_months() {
        assert_eq!(
            kept("clinical-read=120"),
            Ok((ActionClass::ClinicalRead, 120))
        );
        for wrong in [
            "clinical-read",
            "reads=1",
            "clinical-read=-1",
            "clinical-read=x",
        ] {
            assert!(kept(wrong).is_err(), "{wrong}");
        }
    }
}
