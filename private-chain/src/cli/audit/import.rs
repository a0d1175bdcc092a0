//! `audit import`: another system's log, read, counted, and appended to this one.

use super::export::bucket_keys;
use crate::cli::PROGRAM;
use caduceus_cli::{CliError, Output, OutputFormat, read_limited};
use caduceus_crypto::HospitalId;
use caduceus_node::{Clock, NodeHome, SystemClock};
use caduceus_operator::{OwnNode, key_file};
use clap::{Args, ValueEnum};
use private_chain::audit::import::{Format, Mapping, class_of, read};
use private_chain::audit::month_of;
use private_chain::audit_log::operator_key;
use private_chain::tx::{BATCH_BYTES, MAX_ENTRIES_PER_TX};
use private_chain::{AuditEntry, Bucket, DraftBatch, PrivateGenesis, Tx};
use rand_core::OsRng;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Largest log that is read at once, bytes.
const MAX_LOG_BYTES: usize = 1024 * 1024 * 1024;
/// Rows shown of each file.
const SHOWN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The logs of the iDASH 2018 competition, track 1.
    Idash,
    /// Separated values whose first row names the columns.
    Csv,
}

/// What to read.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// How the log is written
    #[arg(long, value_enum)]
    format: Kind,
    /// Which column says what, by name or number: time, user, patient, resource, action, activity, outcome, reason,
    /// purpose, source, request, reference
    #[arg(long, value_name = "WHAT=COLUMN,...", required_if_eq("format", "csv"))]
    map: Option<Mapping>,
    /// Say what would be imported, and do nothing: no node needed
    #[arg(long)]
    pub dry_run: bool,
    /// The hospital's identity key, which the running node takes transactions from
    #[arg(long, value_name = "KEY-FILE", default_value = "identity.key")]
    identity: PathBuf,
    /// The logs, uncompressed
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Counted {
    file: String,
    rows: usize,
    users: usize,
    patients: usize,
    resources: usize,
    requests: usize,
    actions: Vec<String>,
    from: Option<String>,
    to: Option<String>,
    first: Vec<First>,
}

#[derive(Serialize)]
struct First {
    time: String,
    user: String,
    action: String,
    outcome: &'static str,
    patient: Option<String>,
    resource: Option<String>,
    source: String,
    request: String,
    reference: String,
    class: &'static str,
}

/// Reads a file. All or none: a row that is no entry ends it.
fn entries(
    args: &ImportArgs,
    path: &Path,
    organisation: HospitalId,
) -> Result<Vec<AuditEntry>, CliError> {
    let text = read_limited(path, MAX_LOG_BYTES)?;
    let format = match (&args.map, args.format) {
        (Some(mapping), Kind::Csv) => Format::csv(&text, mapping.clone()),
        _ => Format::idash(),
    };
    read(&text, &format, organisation).map_err(|error| {
        CliError::failure(
            format!("{}: {error}", path.display()),
            "mend the row or the mapping: --map WHAT=COLUMN,...; nothing was imported",
        )
    })
}

/// Says what is in the files.
pub(super) fn dry_run(args: &ImportArgs, output: &Output) -> Result<(), CliError> {
    let mut counted = Vec::new();
    for path in &args.files {
        // Whose log it becomes is no matter to the rows.
        let entries = entries(args, path, HospitalId([0; 32]))?;
        counted.push(count(path.display().to_string(), &entries));
    }
    if output.format() == OutputFormat::Table {
        for one in &mut counted {
            output.rows(&one.first)?;
            one.first.clear();
        }
    }
    output.rows(&counted)
}

#[derive(Serialize)]
struct Imported {
    file: String,
    rows: usize,
    batches: usize,
    height: u64,
}

/// Appends the files' entries to the log of the running node in --home, in batches that its key signs.
pub(super) async fn run(
    home: &NodeHome,
    args: &ImportArgs,
    output: &Output,
) -> Result<(), CliError> {
    let identity = key_file(&args.identity)?;
    // The genesis has it, also after the identity key was rotated.
    let genesis = PrivateGenesis::decode(&home.genesis.app);
    let hospital = genesis
        .map_err(|error| {
            CliError::verification_failed(
                format!("genesis.bin: {error}"),
                "a home made by private-chain init or sim",
            )
        })?
        .hospital;
    // Every file is read before the first entry is appended.
    let mut read = Vec::new();
    for path in &args.files {
        read.push((path.display().to_string(), entries(args, path, hospital)?));
    }
    let own = OwnNode::connect(home, PROGRAM, &operator_key(&home.key)).await?;
    let node = OwnNode::connect(home, PROGRAM, &identity).await?;
    let mut done = Vec::new();
    let mut outcome = Ok(());
    for (file, entries) in read {
        match append(home, &own, &node, file, &entries).await {
            Ok(imported) => done.push(imported),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    own.close().await;
    node.close().await;
    output.rows(&done)?;
    outcome
}

async fn append(
    home: &NodeHome,
    own: &OwnNode,
    node: &OwnNode,
    file: String,
    entries: &[AuditEntry],
) -> Result<Imported, CliError> {
    let now = SystemClock.now();
    let bucket_of = |entry: &AuditEntry| Bucket {
        class: class_of(entry),
        month: month_of(now),
    };
    let buckets: BTreeSet<Bucket> = entries.iter().map(bucket_of).collect();
    let keys = bucket_keys(own, &buckets).await?;
    if let Some(missing) = buckets.iter().find(|bucket| !keys.contains_key(bucket)) {
        return Err(CliError::failure(
            format!(
                "the node has no key of {missing}: the hospital's server draws it with its first such entry"
            ),
            "start the server and do something that it logs in this class, then import",
        ));
    }
    let chain = node.chain();
    let (mut batches, mut height, mut at) = (0, 0, 0);
    while at < entries.len() {
        let mut draft = DraftBatch::new(&mut OsRng);
        while let Some(entry) = entries.get(at) {
            let bucket = bucket_of(entry);
            let key = keys
                .get(&bucket)
                .expect("every bucket's key was looked for above");
            draft.push(key, bucket.class, now, entry).map_err(|error| {
                CliError::failure(
                    format!("{file}: {error}"),
                    "mend the row; rows before it are imported",
                )
            })?;
            at += 1;
            if draft.len() == MAX_ENTRIES_PER_TX || draft.bytes() >= BATCH_BYTES {
                break;
            }
        }
        let tx = Tx::audit(draft.sign(&chain, &home.key));
        height = node.submit(tx.encode()).await?.height;
        batches += 1;
    }
    Ok(Imported {
        file,
        rows: entries.len(),
        batches,
        height,
    })
}

fn count(file: String, entries: &[AuditEntry]) -> Counted {
    let users: BTreeSet<_> = entries.iter().map(|e| &e.actor).collect();
    let patients: BTreeSet<_> = entries.iter().filter_map(|e| e.patient.as_ref()).collect();
    let resources: BTreeSet<_> = entries.iter().filter_map(|e| e.resource.as_ref()).collect();
    let requests: BTreeSet<_> = entries.iter().map(|e| &e.request).collect();
    let actions: BTreeSet<_> = entries.iter().map(AuditEntry::action_name).collect();
    Counted {
        file,
        rows: entries.len(),
        users: users.len(),
        patients: patients.len(),
        resources: resources.len(),
        requests: requests.len(),
        actions: actions.into_iter().collect(),
        from: entries.iter().map(|e| e.time).min().map(|t| t.to_string()),
        to: entries.iter().map(|e| e.time).max().map(|t| t.to_string()),
        first: entries.iter().take(SHOWN).map(first).collect(),
    }
}

fn first(entry: &AuditEntry) -> First {
    First {
        time: entry.time.to_string(),
        user: entry.actor.to_string(),
        action: entry.action_name(),
        outcome: entry.outcome.as_str(),
        patient: entry.patient.as_ref().map(ToString::to_string),
        resource: entry.resource.as_ref().map(ToString::to_string),
        source: entry.source.to_string(),
        request: entry.request.to_string(),
        reference: entry.reference.to_string(),
        class: class_of(entry).as_str(),
    }
}
