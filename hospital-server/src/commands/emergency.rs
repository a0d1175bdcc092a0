//! `emergency`: the hospital's emergency key, its officers, and records opened without their patient.

use std::fs;
use std::path::{Path, PathBuf};

use caduceus_cli::{
    CliError, CommonArgs, NetworkFile, Output, create_private_dir, read_limited, write_private_new,
};
use caduceus_crypto::Hash;
use caduceus_crypto::card::Card;
use caduceus_crypto::keys::PublicKey;
use caduceus_network::exchange::EmergencyTarget;
use clap::{Args, Subcommand};
use hospital_server::HospitalMap;
use hospital_server::workstation::{
    EmergencyAim, EmergencyCase, EmergencyOpened, MAX_SHARE_FILE_BYTES, ShareFile, WorkstationError,
};
use serde::Serialize;

use super::admin::{self, ServerHome};
use super::desk::Desk;

/// Commands about emergencies.
#[derive(Debug, Subcommand)]
pub(crate) enum EmergencyCommand {
    /// Deal a new emergency key among officers (where the hospital's identity key is)
    Setup(SetupArgs),
    /// Take the share that the administrator dealt to you
    Accept {
        /// The share file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Ask to open records without their patient
    Request(RequestArgs),
    /// See who asks for what, and why
    Review {
        /// What emergency request printed, 64 digits
        #[arg(value_name = "REQUEST")]
        request: Hash,
    },
    /// Agree, as an officer
    Approve {
        /// What emergency request printed, 64 digits
        #[arg(value_name = "REQUEST")]
        request: Hash,
    },
    /// Open what enough officers agreed to
    Open {
        /// What emergency request printed, 64 digits
        #[arg(value_name = "REQUEST")]
        request: Hash,
        /// Write the records here; the directory is made
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// What `setup` needs.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// The officers' staff keys, 66 digits each
    #[arg(long, value_name = "KEY", required = true, num_args = 1..)]
    officers: Vec<PublicKey>,
    /// How many of them it takes, 2 or more
    #[arg(long, value_name = "T")]
    threshold: usize,
    /// Write the share files here [default: emergency-N in the server's home]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    home: ServerHome,
}

/// What `request` needs.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// The record, 64 digits
    #[arg(
        long,
        value_name = "RECORD_HASH",
        conflicts_with = "card",
        required_unless_present = "card"
    )]
    record: Option<Hash>,
    /// The card that was found on the patient, its number or the text of its QR code: her newest records
    #[arg(long, value_name = "CARD")]
    card: Option<String>,
    /// Why it cannot wait for the patient; she reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Serialize)]
struct SetupRow {
    generation: u32,
    threshold: usize,
    officer: String,
    share: String,
    height: u64,
}

#[derive(Serialize)]
struct AcceptRow {
    generation: u32,
    threshold: usize,
    officers: usize,
    share: String,
}

#[derive(Serialize)]
struct CaseRow {
    request: String,
    requester: String,
    target: String,
    reason: String,
    records: Vec<String>,
    left_out: u32,
    officers_needed: usize,
    until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals: Option<u32>,
}

#[derive(Serialize)]
struct OpenedRow {
    record: String,
    media_type: String,
    bytes: usize,
    file: String,
    logged_at: u64,
    officers_at_fault: Vec<String>,
}

/// `emergency ...`.
pub(crate) async fn emergency(
    common: &CommonArgs,
    output: &Output,
    command: &EmergencyCommand,
) -> Result<(), CliError> {
    match command {
        EmergencyCommand::Setup(arguments) => setup(common, output, arguments).await,
        EmergencyCommand::Accept { file } => accept(common, output, file),
        EmergencyCommand::Request(arguments) => request(common, output, arguments).await,
        EmergencyCommand::Review { request } => review(common, output, request).await,
        EmergencyCommand::Approve { request } => approve(common, output, request).await,
        EmergencyCommand::Open { request, out } => open(common, output, request, out).await,
    }
}

async fn setup(
    common: &CommonArgs,
    output: &Output,
    arguments: &SetupArgs,
) -> Result<(), CliError> {
    let network = admin::network(common, &arguments.home)?;
    let administrator = admin::open(&network, &arguments.home).await?;
    let outcome = dealt(&administrator, arguments).await;
    administrator.close().await;
    let rows = outcome?;
    output.rows(&rows)?;
    output.note(
        "give each officer her file: hospital-server emergency accept FILE; then delete it here",
    );
    Ok(())
}

/// The share files are on disk before the key is named: a key without shares would wrap records that nobody opens.
async fn dealt(
    administrator: &hospital_server::workstation::Administrator,
    arguments: &SetupArgs,
) -> Result<Vec<SetupRow>, CliError> {
    let (key, shares) = administrator
        .deal_emergency_key(&arguments.officers, arguments.threshold)
        .await?;
    let generation = key.body.generation;
    let folder = arguments.out.clone().unwrap_or_else(|| {
        arguments
            .home
            .path()
            .join(format!("emergency-{generation}"))
    });
    create_private_dir(&folder)?;
    let mut written = Vec::with_capacity(shares.len());
    for share in &shares {
        let name: String = share.officer.to_string().chars().take(16).collect();
        let path = folder.join(format!("emergency-share-{generation}-{name}.key"));
        if let Err(error) = write_private_new(&path, &share.file.to_bytes()) {
            remove(&written);
            return Err(error);
        }
        written.push(path);
    }
    let committed = match administrator.name_emergency_key(key).await {
        Ok(committed) => committed,
        Err(error) => {
            // A refusal is final. Where the chain is only silent, it may still take the key, and then needs the shares.
            if matches!(error, WorkstationError::Denied { .. }) {
                remove(&written);
            }
            return Err(error.into());
        }
    };
    Ok(shares
        .iter()
        .zip(&written)
        .map(|(share, path)| SetupRow {
            generation,
            threshold: arguments.threshold,
            officer: share.officer.to_string(),
            share: path.display().to_string(),
            height: committed.height,
        })
        .collect())
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        // What stays is of no use to anybody: its key was never named.
        let _ = fs::remove_file(path);
    }
}

fn accept(common: &CommonArgs, output: &Output, file: &Path) -> Result<(), CliError> {
    let share = ShareFile::from_bytes(&read_limited(file, MAX_SHARE_FILE_BYTES)?)
        .map_err(WorkstationError::from)?;
    let desk = Desk::open(common)?;
    let network = NetworkFile::load(&desk.network_path)?;
    let map = HospitalMap::read(&network, desk.home.hospital()).map_err(WorkstationError::from)?;
    let key = share.key(&map).map_err(WorkstationError::from)?;
    let keys = desk.unlock()?;
    share
        .open(&map, keys.signing())
        .map_err(WorkstationError::from)?;
    let path = desk.home.keep_share(&share)?;
    output.object(&AcceptRow {
        generation: share.generation(),
        threshold: key.threshold(),
        officers: key.officers().len(),
        share: path.display().to_string(),
    })
}

async fn request(
    common: &CommonArgs,
    output: &Output,
    arguments: &RequestArgs,
) -> Result<(), CliError> {
    let aim = aim(arguments)?;
    let desk = Desk::open(common)?;
    let station = desk.station().await?;
    let outcome = station.emergency_request(aim, &arguments.reason).await;
    station.close().await;
    let case = outcome?;
    output.object(&row(&case, None))?;
    output.note(&format!(
        "tell {} officers: hospital-server emergency approve {}",
        case.threshold(),
        case.id()
    ));
    Ok(())
}

fn aim(arguments: &RequestArgs) -> Result<EmergencyAim, CliError> {
    if let Some(record) = arguments.record {
        return Ok(EmergencyAim::Record(record));
    }
    let text = arguments.card.as_deref().unwrap_or_default();
    // The number stands before the bar in the text of a QR code.
    let number = text.split('|').next().unwrap_or_default();
    let card = Card::parse(number).map_err(WorkstationError::from)?;
    Ok(EmergencyAim::Card(card))
}

async fn review(common: &CommonArgs, output: &Output, request: &Hash) -> Result<(), CliError> {
    let station = Desk::open(common)?.station().await?;
    let outcome = station.emergency_review(request).await;
    station.close().await;
    output.object(&row(&outcome?, None))
}

async fn approve(common: &CommonArgs, output: &Output, request: &Hash) -> Result<(), CliError> {
    let desk = Desk::open(common)?;
    let shares = desk.home.shares()?;
    let station = desk.station().await?;
    let outcome = match station.emergency_review(request).await {
        Ok(case) => station.emergency_approve(case, &shares).await,
        Err(error) => Err(error),
    };
    station.close().await;
    let approved = outcome?;
    output.object(&row(&approved.case, Some(approved.approvals)))
}

async fn open(
    common: &CommonArgs,
    output: &Output,
    request: &Hash,
    out: &Path,
) -> Result<(), CliError> {
    let desk = Desk::open(common)?;
    // Before anybody is asked: an opening is not to fail for want of a directory.
    create_private_dir(out)?;
    let station = desk.station().await?;
    let outcome = station.emergency_open(request).await;
    station.close().await;
    let mut rows = Vec::new();
    for record in outcome? {
        rows.push(written(record, out)?);
    }
    output.rows(&rows)?;
    output.note("the patient reads in her access log who opened this, and why");
    Ok(())
}

fn written(record: EmergencyOpened, out: &Path) -> Result<OpenedRow, CliError> {
    let end = if hospital_server::workstation::is_fhir_json(&record.opened.media_type) {
        "json"
    } else {
        "bin"
    };
    let path = out.join(format!("{}.{end}", record.record));
    write_private_new(&path, &record.opened.plaintext)?;
    Ok(OpenedRow {
        record: record.record.to_string(),
        media_type: record.opened.media_type,
        bytes: record.opened.plaintext.len(),
        file: path.display().to_string(),
        logged_at: record.logged_at,
        officers_at_fault: record.blamed.iter().map(ToString::to_string).collect(),
    })
}

fn row(case: &EmergencyCase, approvals: Option<u32>) -> CaseRow {
    let request = case.request();
    CaseRow {
        request: case.id().to_string(),
        requester: request.requester.to_string(),
        target: match &request.target {
            EmergencyTarget::Record(record) => format!("record {record}"),
            EmergencyTarget::Card(card) => format!("card {card}"),
        },
        reason: request.reason.clone(),
        records: case
            .records()
            .iter()
            .map(|record| record.excerpt.record_hash.to_string())
            .collect(),
        left_out: case.left_out(),
        officers_needed: case.threshold(),
        until: case.until().to_string(),
        approvals,
    }
}
