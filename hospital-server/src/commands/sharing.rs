//! `shared` and `link`: what the alliance has for this hospital's staff.

use std::path::PathBuf;

use caduceus_cli::{CliError, CommonArgs, Output};
use caduceus_client::{Alliance, ConnectOptions, load_network};
use caduceus_crypto::hash::Hash;
use clap::Subcommand;
use data_user_client::home::store_fetched;
use data_user_client::{DataUser, Standing};
use hospital_server::HospitalMap;
use hospital_server::workstation::{WorkstationError, link_status};
use serde::Serialize;

use super::desk::Desk;

/// Commands about shared records.
#[derive(Debug, Subcommand)]
pub(crate) enum SharedCommand {
    /// List the grants made to your keys
    List,
    /// Open a granted record
    Fetch {
        /// The grant, 64 digits
        #[arg(value_name = "GRANT")]
        grant: Hash,
        /// Write the content here instead of into the home; - for standard output
        #[arg(short = 'o', long = "to", value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// Commands about the link.
#[derive(Debug, Subcommand)]
pub(crate) enum LinkCommand {
    /// Compare the private chain's head with its newest checkpoint
    Status {
        /// The hospital [default: that of the home]
        #[arg(long, value_name = "NAME")]
        hospital: Option<String>,
    },
}

#[derive(Serialize)]
struct GrantRow {
    grant: String,
    status: &'static str,
    record: String,
    expires: String,
}

#[derive(Serialize)]
struct FetchedRow {
    grant: String,
    access: String,
    record_hash: String,
    media_type: String,
    purpose: String,
    proxies: usize,
    file: String,
}

#[derive(Serialize)]
struct LinkRow {
    hospital: String,
    private_height: Option<u64>,
    private_time: Option<String>,
    checkpointed_height: Option<u64>,
    checkpointed_at: Option<String>,
    blocks_behind: Option<u64>,
    checkpoint_age_ms: Option<u64>,
    overdue: bool,
}

/// `shared ...`.
pub(crate) async fn shared(
    common: &CommonArgs,
    output: &Output,
    command: &SharedCommand,
) -> Result<(), CliError> {
    let desk = Desk::open(common)?;
    let (network, genesis) = load_network(&desk.network_path)?;
    let options = ConnectOptions::kept_in(desk.home.dir());
    let user = DataUser::connect(&network, genesis, desk.unlock()?, options).await?;
    let outcome = match command {
        SharedCommand::List => list(&user, output).await,
        SharedCommand::Fetch { grant, to } => {
            fetch(&desk, &user, output, grant, to.as_deref()).await
        }
    };
    user.close().await;
    outcome
}

async fn list(user: &DataUser, output: &Output) -> Result<(), CliError> {
    let grants = user.grants().await?;
    let rows: Vec<GrantRow> = grants
        .into_iter()
        .map(|entry| GrantRow {
            grant: entry.id.to_string(),
            status: match entry.standing {
                Standing::Active => "active",
                Standing::Revoked { .. } => "revoked",
                Standing::Expired => "expired",
            },
            record: entry.record.grant.record_hash.to_string(),
            expires: entry.record.grant.expires.to_string(),
        })
        .collect();
    output.rows(&rows)
}

async fn fetch(
    desk: &Desk,
    user: &DataUser,
    output: &Output,
    grant: &Hash,
    to: Option<&std::path::Path>,
) -> Result<(), CliError> {
    let progress = output.progress("taking a ticket, fetching, asking proxies");
    let outcome = user.fetch(grant).await;
    drop(progress);
    let fetched = outcome?;
    if to.is_some_and(|path| path.as_os_str() == "-") {
        return output.raw(&fetched.opened.plaintext);
    }
    let info = store_fetched(desk.home.dir(), &fetched, to)?;
    output.object(&FetchedRow {
        grant: info.grant,
        access: info.access,
        record_hash: info.record_hash,
        media_type: info.media_type,
        purpose: info.purpose,
        proxies: info.proxies,
        file: info.file.display().to_string(),
    })
}

/// `link ...`.
pub(crate) async fn link(
    common: &CommonArgs,
    output: &Output,
    command: &LinkCommand,
) -> Result<(), CliError> {
    let LinkCommand::Status { hospital } = command;
    // Nothing here needs a key: with both flags there need not be a home.
    let (path, hospital) = match (&common.network, hospital) {
        (Some(path), Some(hospital)) => (path.clone(), hospital.clone()),
        (_, hospital) => {
            let desk = Desk::open(common)?;
            let hospital = hospital
                .clone()
                .unwrap_or_else(|| desk.home.hospital().to_owned());
            (desk.network_path, hospital)
        }
    };
    let (network, genesis) = load_network(&path)?;
    let map = HospitalMap::read(&network, &hospital).map_err(WorkstationError::from)?;
    let alliance = Alliance::connect(&network, genesis, ConnectOptions::default()).await?;
    let outcome = link_status(&alliance, &map).await;
    alliance.close().await;
    let status = outcome?;
    if status.private.is_none() {
        output.note("no private node gave a head that verifies; the checkpoint is proved on the alliance chain");
    }
    output.object(&LinkRow {
        private_height: status.private.map(|(height, _)| height),
        private_time: status.private.map(|(_, time)| time.to_string()),
        checkpointed_height: status.checkpoint.map(|head| head.height.0),
        checkpointed_at: status.checkpoint.map(|head| head.recorded_at.to_string()),
        blocks_behind: status.behind(),
        checkpoint_age_ms: status.age_millis(),
        overdue: status.is_overdue(),
        hospital: status.hospital,
    })
}
