//! `audit verify --offline`: an exported proof against the alliance's genesis.

use caduceus_cli::{CliError, CommonArgs, NetworkFile, Output, OutputFormat, read_limited};
use caduceus_crypto::Hash;
use caduceus_ledger::ChainId;
use caduceus_node::{Clock, SystemClock};
use clap::Args;
use private_chain::audit::proof::{MAX_PROOF_BYTES, ProofFile, Verified, VerifiedEntry};
use serde::Serialize;
use std::path::PathBuf;

/// What to verify.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Verify this exported proof instead
    #[arg(long, value_name = "FILE")]
    offline: Option<PathBuf>,
    /// Trust the alliance with this genesis hash, its chain identifier [default: the one that --network names]
    #[arg(long, value_name = "HASH", requires = "offline")]
    genesis_hash: Option<Hash>,
}

#[derive(Serialize)]
struct Proved {
    verified: bool,
    alliance: String,
    hospital: String,
    alliance_height: u64,
    alliance_time: String,
    light_blocks: usize,
    headers_on_record: u64,
    entries: Vec<ProvedEntry>,
}

#[derive(Serialize)]
struct ProvedEntry {
    entry: u64,
    time: String,
    actor: String,
    role: Option<String>,
    action: String,
    outcome: &'static str,
    reason: String,
    patient: Option<String>,
    resource: Option<String>,
    statement: &'static str,
    class: &'static str,
    chain: String,
    block: u64,
    block_hash: String,
    block_time: String,
}

impl VerifyArgs {
    pub(super) fn is_offline(&self) -> bool {
        self.offline.is_some()
    }
}

/// Verifies it and says what was.
pub(super) fn run(args: &VerifyArgs, common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    let Some(path) = &args.offline else {
        return Err(CliError::usage(
            "there is no proof to verify",
            "--offline FILE",
        ));
    };
    let alliance = trusted(args, common)?;
    let bytes = read_limited(path, MAX_PROOF_BYTES)?;
    let unproved = |what: String| {
        CliError::verification_failed(
            format!("{} proves nothing: {what}", path.display()),
            "get it again from whoever exported it; if it fails again, report that one",
        )
    };
    let text = String::from_utf8(bytes).map_err(|_| unproved("step digest: not a text".into()))?;
    let proved = ProofFile::verify(&text, &alliance, SystemClock.now())
        .map_err(|error| unproved(error.to_string()))?;
    say(&proved, &alliance, output)
}

fn trusted(args: &VerifyArgs, common: &CommonArgs) -> Result<ChainId, CliError> {
    if let Some(hash) = args.genesis_hash {
        return Ok(ChainId(hash));
    }
    let Some(network) = &common.network else {
        return Err(CliError::usage(
            "there is nothing to trust",
            "--genesis-hash HASH of the alliance, or --network FILE that names it",
        ));
    };
    let file = NetworkFile::load(network)?;
    let hash: Hash = file.alliance.chain_id.parse().map_err(|_| {
        CliError::usage(
            format!("{} names no alliance chain", network.display()),
            "get the network file again from whoever runs the network",
        )
    })?;
    Ok(ChainId(hash))
}

fn say(proved: &Verified, alliance: &ChainId, output: &Output) -> Result<(), CliError> {
    let entries: Vec<ProvedEntry> = proved.entries.iter().map(row).collect();
    output.note(&format!(
        "genesis: alliance {alliance}\n\
         voters: {} light blocks from there to height {} of {}\n\
         record: {} headers of hospital {}\n\
         header, receipt, batch, entry: {} entries\n\
         text: as it was written",
        proved.blocks,
        proved.alliance_height,
        proved.alliance_time,
        proved.recorded,
        proved.hospital,
        entries.len(),
    ));
    match output.format() {
        OutputFormat::Table | OutputFormat::Csv => output.rows(&entries),
        OutputFormat::Json | OutputFormat::Ndjson => output.object(&Proved {
            verified: true,
            alliance: alliance.to_string(),
            hospital: proved.hospital.to_string(),
            alliance_height: proved.alliance_height,
            alliance_time: proved.alliance_time.to_string(),
            light_blocks: proved.blocks,
            headers_on_record: proved.recorded,
            entries,
        }),
    }
}

fn row(proved: &VerifiedEntry) -> ProvedEntry {
    let entry = &proved.entry;
    ProvedEntry {
        entry: proved.sequence,
        time: entry.time.to_string(),
        actor: entry.actor.to_string(),
        role: entry.role.map(|role| role.to_string()),
        action: entry.action_name(),
        outcome: entry.outcome.as_str(),
        reason: entry.reason.to_string(),
        patient: entry.patient.as_ref().map(ToString::to_string),
        resource: entry.resource.as_ref().map(ToString::to_string),
        statement: entry.statement_check(&proved.chain).as_str(),
        class: proved.class.as_str(),
        chain: proved.chain.to_string(),
        block: proved.height,
        block_hash: proved.block_hash.to_string(),
        block_time: proved.block_time.to_string(),
    }
}
