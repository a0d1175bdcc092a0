//! `staff` and `data-user`: what needs the hospital's identity key.

use std::path::{Path, PathBuf};

use caduceus_cli::{CliError, CommonArgs, NetworkFile, Output, read_limited};
use caduceus_client::{Alliance, ConnectOptions, load_network};
use caduceus_crypto::keys::{PublicKey, SecretKey};
use clap::{Args, Subcommand};
use hospital_server::key_file::read_key;
use hospital_server::system_clock;
use hospital_server::workstation::{Administrator, Committed};
use private_chain::Role;
use serde::Serialize;

/// Largest settings file, bytes.
const MAX_SETTINGS_BYTES: usize = 64 * 1024;

/// Where the hospital's own keys are.
#[derive(Debug, Args)]
pub(crate) struct ServerHome {
    /// The hospital server's home, with identity.key
    #[arg(long, value_name = "DIR", env = "CADUCEUS_SERVER_HOME")]
    server_home: PathBuf,
}

impl ServerHome {
    pub(super) fn path(&self) -> &Path {
        &self.server_home
    }
}

/// Commands about staff.
#[derive(Debug, Subcommand)]
pub(crate) enum StaffCommand {
    /// Enrol a key, or renew its enrolment
    Enrol {
        /// The signing key that hospital-server init printed, 66 digits
        #[arg(value_name = "KEY")]
        key: PublicKey,
        /// physician, nurse, registrar, auditor or administrator
        #[arg(long)]
        role: Role,
        /// Staff number or name
        #[arg(long, value_name = "NAME")]
        label: String,
        /// How long the enrolment holds
        #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3660))]
        days: u32,
        #[command(flatten)]
        home: ServerHome,
    },
    /// Suspend a key, at once and for good
    Suspend {
        /// The enrolled key, 66 digits
        #[arg(value_name = "KEY")]
        key: PublicKey,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        home: ServerHome,
    },
}

/// Commands about data users.
#[derive(Debug, Subcommand)]
pub(crate) enum DataUserCommand {
    /// Vouch for a data user on the alliance chain
    Admit {
        /// The signing key that data-user-client id shows, 66 digits
        #[arg(value_name = "KEY")]
        key: PublicKey,
        /// The receiving key that it shows, 66 digits
        #[arg(value_name = "RECEIVING")]
        receiving: PublicKey,
        /// Name, for people
        #[arg(long, value_name = "NAME")]
        label: String,
        #[command(flatten)]
        home: ServerHome,
    },
}

#[derive(Serialize)]
struct StaffRow {
    key: String,
    status: &'static str,
    height: u64,
    block: String,
}

#[derive(Serialize)]
struct AdmittedRow {
    data_user: String,
    transaction: String,
    height: u64,
}

/// `staff ...`.
pub(crate) async fn staff(
    common: &CommonArgs,
    output: &Output,
    command: &StaffCommand,
) -> Result<(), CliError> {
    match command {
        StaffCommand::Enrol {
            key,
            role,
            label,
            days,
            home,
        } => {
            let administrator = open(&network(common, home)?, home).await?;
            let outcome = administrator.enrol(*key, *role, label, *days).await;
            administrator.close().await;
            output.object(&row(key, "enrolled", &outcome?))
        }
        StaffCommand::Suspend { key, reason, home } => {
            let administrator = open(&network(common, home)?, home).await?;
            let outcome = administrator.suspend(*key, reason).await;
            administrator.close().await;
            output.object(&row(key, "suspended", &outcome?))
        }
    }
}

/// `data-user ...`.
pub(crate) async fn data_user(
    common: &CommonArgs,
    output: &Output,
    command: &DataUserCommand,
) -> Result<(), CliError> {
    let DataUserCommand::Admit {
        key,
        receiving,
        label,
        home,
    } = command;
    let (network, genesis) = load_network(&network_path(common, home)?)?;
    let administrator = open(&network, home).await?;
    let alliance = Alliance::connect(&network, genesis, ConnectOptions::default()).await?;
    let outcome = administrator
        .admit_data_user(&alliance, *key, *receiving, label)
        .await;
    alliance.close().await;
    administrator.close().await;
    let proved = outcome?;
    output.object(&AdmittedRow {
        data_user: key.to_string(),
        transaction: proved.id.to_string(),
        height: proved.height.0,
    })
}

fn row(key: &PublicKey, status: &'static str, committed: &Committed) -> StaffRow {
    StaffRow {
        key: key.to_string(),
        status,
        height: committed.height,
        block: committed.block_hash.to_string(),
    }
}

pub(super) async fn open(
    network: &NetworkFile,
    home: &ServerHome,
) -> Result<Administrator, CliError> {
    let identity: SecretKey = read_key(&home.server_home.join("identity.key"))?;
    Ok(Administrator::open(network, identity, system_clock()).await?)
}

pub(super) fn network(common: &CommonArgs, home: &ServerHome) -> Result<NetworkFile, CliError> {
    NetworkFile::load(&network_path(common, home)?)
}

/// `--network`, else what the server's own settings name.
fn network_path(common: &CommonArgs, home: &ServerHome) -> Result<PathBuf, CliError> {
    if common.network.is_some() {
        return common.network_path();
    }
    match named_by_server(&home.server_home) {
        Some(path) => Ok(path),
        None => common.network_path(),
    }
}

fn named_by_server(home: &Path) -> Option<PathBuf> {
    let bytes = read_limited(&home.join("server.toml"), MAX_SETTINGS_BYTES).ok()?;
    let settings: toml::Table = toml::from_str(&String::from_utf8_lossy(&bytes)).ok()?;
    let network = settings.get("network")?.as_str()?;
    // A relative path is relative to the home.
    Some(home.join(network))
}
