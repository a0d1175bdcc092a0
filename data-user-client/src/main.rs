//! `data-user-client`: requests, grants, and what was granted, for research institutes, insurers, specialists.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alliance_chain::Purpose;
use caduceus_cli::{
    CliError, CommonArgs, HiddenCommand, Output, Program, create_private_dir, new_passphrase,
    passphrase, run_main, write_private,
};
use caduceus_client::{ConnectOptions, load_network};
use caduceus_crypto::hash::Hash;
use caduceus_custody::keystore::KeystoreParams;
use clap::{Parser, Subcommand};
use data_user_client::export::Ndjson;
use data_user_client::home::Home;
use data_user_client::{DataUser, DataUserError, Standing};
use serde::Serialize;

const PROGRAM: &str = "data-user-client";

/// Ask patients for records, and open what they granted
#[derive(Debug, Parser)]
#[command(name = "data-user-client", version)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

impl Program for Arguments {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a home with fresh keys
    Init,
    /// Show the public keys, as a hospital needs them to vouch for you
    Id,
    /// Post a request for records
    Request {
        /// HL7 purpose of use, e.g. HRESCH, TREAT, PUBHLTH
        #[arg(long, value_name = "CODE")]
        purpose: Purpose,
        /// What is sought, for people
        #[arg(long, value_name = "TEXT")]
        sought: String,
        /// How long the request stands
        #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
    /// List your requests
    Requests,
    /// List the grants made to your key
    Grants,
    /// Open a granted record
    Fetch {
        /// The grant, 64 digits
        grant: Hash,
        /// Write the content here instead of into the home; - for standard output
        #[arg(short = 'o', long = "to", value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Write the FHIR fetched so far as NDJSON, one file a resource type
    Export {
        /// Directory for the files
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
        /// Only these grants
        grants: Vec<Hash>,
    },
    #[command(flatten)]
    Hidden(HiddenCommand),
}

#[derive(Serialize)]
struct Identity {
    signing_key: String,
    receiving_key: String,
    admit: String,
}

#[derive(Serialize)]
struct PostedRow {
    request: String,
    until: String,
    height: u64,
}

#[derive(Serialize)]
struct RequestRow {
    request: String,
    purpose: String,
    sought: String,
    posted: String,
    until: String,
}

#[derive(Serialize)]
struct GrantRow {
    grant: String,
    status: &'static str,
    hospital: String,
    record: String,
    expires: String,
    threshold: u8,
    proxies: usize,
}

#[derive(Serialize)]
struct FetchedRow {
    grant: String,
    access: String,
    hospital: String,
    record_hash: String,
    media_type: String,
    bytes: u64,
    purpose: String,
    proxies: usize,
    blamed: Vec<String>,
    took_millis: u64,
    file: String,
}

#[derive(Serialize)]
struct ExportRow {
    resource_type: String,
    resources: usize,
    file: String,
}

fn main() -> ExitCode {
    run_main(|arguments: Arguments, output| run(arguments, output))
}

async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Init => init(common, &output),
        Command::Id => identity(&Home::open(&common.home_dir(PROGRAM)?)?, &output),
        Command::Request {
            purpose,
            sought,
            days,
        } => {
            let (_, user) = connect(common).await?;
            let posted = user.request(*purpose, sought, *days).await?;
            user.close().await;
            output.object(&PostedRow {
                request: posted.id.to_string(),
                until: posted.until.to_string(),
                height: posted.height.0,
            })
        }
        Command::Requests => requests(common, &output).await,
        Command::Grants => grants(common, &output).await,
        Command::Fetch { grant, to } => fetch(common, &output, grant, to.as_deref()).await,
        Command::Export { to, grants } => export(common, &output, to, grants),
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

fn init(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    let network = common.network_path()?;
    // A wrong network file is told before keys are made.
    load_network(&network)?;
    let secret = new_passphrase("your keystore")?;
    let (home, _) = Home::create(
        &common.home_dir(PROGRAM)?,
        &network,
        &secret,
        KeystoreParams::DEFAULT,
    )?;
    output.note(&format!(
        "keys made in {}; back up this directory and the passphrase",
        home.dir().display()
    ));
    identity(&home, output)
}

fn identity(home: &Home, output: &Output) -> Result<(), CliError> {
    let (signing_key, receiving_key) = (
        home.signing_key().to_owned(),
        home.receiving_key().to_owned(),
    );
    let admit =
        format!("hospital-server data-user admit {signing_key} {receiving_key} --label NAME");
    output.object(&Identity {
        signing_key,
        receiving_key,
        admit,
    })
}

async fn connect(common: &CommonArgs) -> Result<(Home, DataUser), CliError> {
    let home = Home::open(&common.home_dir(PROGRAM)?)?;
    let path = common
        .network
        .clone()
        .unwrap_or_else(|| home.network().to_owned());
    let (network, genesis) = load_network(&path)?;
    let keys = home.unlock(&passphrase("your keystore")?)?;
    let user =
        DataUser::connect(&network, genesis, keys, ConnectOptions::kept_in(home.dir())).await?;
    Ok((home, user))
}

async fn requests(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    let (_, user) = connect(common).await?;
    let entries = user.requests().await?;
    user.close().await;
    let rows: Vec<RequestRow> = entries
        .into_iter()
        .map(|entry| RequestRow {
            request: entry.id.to_string(),
            purpose: entry.record.request.purpose.to_string(),
            sought: entry.record.request.sought,
            posted: entry.record.posted.to_string(),
            until: entry.record.request.until.to_string(),
        })
        .collect();
    output.rows(&rows)
}

async fn grants(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    let (_, user) = connect(common).await?;
    let entries = user.grants().await?;
    user.close().await;
    let rows: Vec<GrantRow> = entries
        .into_iter()
        .map(|entry| GrantRow {
            grant: entry.id.to_string(),
            status: match entry.standing {
                Standing::Active => "active",
                Standing::Revoked { .. } => "revoked",
                Standing::Expired => "expired",
            },
            hospital: entry.record.grant.hospital.short(),
            record: entry.record.grant.record_hash.to_string(),
            expires: entry.record.grant.expires.to_string(),
            threshold: entry.record.grant.threshold,
            proxies: entry.record.grant.proxies.len(),
        })
        .collect();
    output.rows(&rows)
}

async fn fetch(
    common: &CommonArgs,
    output: &Output,
    grant: &Hash,
    to: Option<&Path>,
) -> Result<(), CliError> {
    let (home, user) = connect(common).await?;
    let progress = output.progress("taking a ticket, fetching, asking proxies");
    let outcome: Result<_, DataUserError> = user.fetch(grant).await;
    drop(progress);
    user.close().await;
    let fetched = outcome?;
    if to.is_some_and(|path| path.as_os_str() == "-") {
        return output.raw(&fetched.opened.plaintext);
    }
    let info = home.store(&fetched, to)?;
    output.object(&FetchedRow {
        grant: info.grant,
        access: info.access,
        hospital: info.hospital,
        record_hash: info.record_hash,
        media_type: info.media_type,
        bytes: info.bytes,
        purpose: info.purpose,
        proxies: info.proxies,
        blamed: fetched.blamed.iter().map(ToString::to_string).collect(),
        took_millis: u64::try_from(fetched.took.as_millis()).unwrap_or(u64::MAX),
        file: info.file.display().to_string(),
    })
}

fn export(
    common: &CommonArgs,
    output: &Output,
    to: &Path,
    grants: &[Hash],
) -> Result<(), CliError> {
    let home = Home::open(&common.home_dir(PROGRAM)?)?;
    let mut ndjson = Ndjson::default();
    let mut other = 0usize;
    for info in home.fetched(grants)? {
        if !info.is_fhir_json() {
            other += 1;
            continue;
        }
        ndjson.add(&home.content(&info)?).map_err(|error| {
            CliError::failure(
                format!("{}: {error}", info.file.display()),
                "fetch the grant again, or name the other grants",
            )
        })?;
    }
    if other > 0 {
        output.note(&format!(
            "{other} records are no FHIR and stay where they are"
        ));
    }
    create_private_dir(to)?;
    let mut rows = Vec::new();
    for (kind, resources) in ndjson.types() {
        let path = to.join(format!("{kind}.ndjson"));
        let text = ndjson.file(kind).unwrap_or_default();
        write_private(&path, text.as_bytes())?;
        rows.push(ExportRow {
            resource_type: kind.to_owned(),
            resources,
            file: path.display().to_string(),
        });
    }
    output.rows(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
