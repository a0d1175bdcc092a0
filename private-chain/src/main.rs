//! `private-chain`: runs and inspects a node of a hospital's private chain.

use caduceus_cli::{
    CliError, CommonArgs, HiddenCommand, NetworkFile, Output, Program, run_main, until_stopped,
};
use caduceus_crypto::{Hash, SecretKey};
use caduceus_ledger::{Height, StateView};
use caduceus_network::exchange::Health;
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::{NodeHome, Store, SystemClock};
use clap::{Parser, Subcommand};
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::{AnchorsExtra, Tx, query};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;

/// Run and inspect a node of a hospital's private chain.
#[derive(Parser)]
#[command(name = "private-chain", version, about)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node in --home until stopped.
    Start,
    /// Say how a running node is doing.
    Status,
    /// Show what the node in --home stores (the node must not be running).
    Inspect {
        #[command(subcommand)]
        what: Inspect,
    },
    #[command(flatten)]
    Hidden(HiddenCommand),
}

#[derive(Subcommand)]
enum Inspect {
    /// A block's header; the last one if no height is given.
    Block { height: Option<u64> },
    /// The staff enrolled on the chain.
    Staff,
    /// Where a record is anchored, and which versions of it there are.
    Record {
        /// Its hash, 64 digits.
        #[arg(value_name = "RECORD_HASH")]
        record: Hash,
    },
}

impl Program for Arguments {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn log_level(&self) -> u8 {
        self.common.verbose
    }
}

fn main() -> ExitCode {
    run_main(run)
}

async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    match arguments.command {
        Command::Start => start(home(&arguments.common)?).await,
        Command::Status => status(&home(&arguments.common)?, &output).await,
        Command::Inspect { what } => inspect(&home(&arguments.common)?, &what, &output),
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

fn home(common: &CommonArgs) -> Result<NodeHome, CliError> {
    let path = common.home_dir("private-chain")?;
    NodeHome::load(&path).map_err(|e| {
        CliError::usage(
            format!("no node here: {e}"),
            "--home DIR of a node, as `sim devnet up` or your operator makes it",
        )
    })
}

async fn start(home: NodeHome) -> Result<(), CliError> {
    let network = NetworkFile::load(&home.network_path())?;
    let moniker = home.file.moniker.clone();
    let node = PrivateNode::start(PrivateNodeConfig::from_home(
        home,
        &network,
        Arc::new(SystemClock),
    ))
    .await
    .map_err(|e| {
        CliError::failure(
            format!("the node does not start: {e}"),
            "mend what it names, then start again",
        )
    })?;
    tracing::info!(moniker, "running");
    until_stopped().await?;
    node.stop().await;
    Ok(())
}

#[derive(Serialize)]
struct Status {
    ready: bool,
    height: u64,
    head_time_ms: u64,
    detail: String,
}

async fn status(home: &NodeHome, output: &Output) -> Result<(), CliError> {
    let unreachable = |e: String| {
        CliError::unreachable(
            format!("the node does not answer: {e}"),
            "start it: private-chain start --home DIR",
        )
    };
    let key = SecretKey::generate(&mut rand_core::OsRng);
    let service = Service::start(ServiceConfig {
        key: &key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .map_err(|e| unreachable(e.to_string()))?;
    let address = PeerAddr {
        id: caduceus_network::peer_id(&home.key.public()),
        address: home.file.service_listen.clone(),
    };
    let health = service
        .call::<Health>(&address, ())
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    output.object(&Status {
        ready: health.ready,
        height: health.height,
        head_time_ms: health.head_time.0,
        detail: health.detail,
    })
}

#[derive(Serialize)]
struct BlockRow {
    height: u64,
    hash: String,
    time_ms: u64,
    transactions: usize,
    anchors: u32,
    amendments: usize,
    proposer: String,
    state_root: String,
}

#[derive(Serialize)]
struct VersionRow {
    record_hash: String,
    height: u64,
    position: u32,
    replaces: Option<String>,
    replaced_by: Option<String>,
    newest_version: String,
}

#[derive(Serialize)]
struct StaffRow {
    key: String,
    role: String,
    label: String,
    suspended: bool,
}

fn failed(e: impl std::fmt::Display) -> CliError {
    CliError::failure(
        format!("the store cannot be read: {e}"),
        "stop the node first, then inspect",
    )
}

fn inspect(home: &NodeHome, what: &Inspect, output: &Output) -> Result<(), CliError> {
    let store = Store::open(&home.path.join("chain.redb")).map_err(failed)?;
    let snapshot = store.snapshot().map_err(failed)?;
    match what {
        Inspect::Block { height } => {
            let tip = snapshot
                .tip()
                .map_err(failed)?
                .map_or(0, |t| t.header.height.0);
            let height = Height(height.unwrap_or(tip));
            let block = snapshot.block(height).map_err(failed)?.ok_or_else(|| {
                CliError::not_found(
                    format!("there is no block {height}"),
                    format!("a height from 0 to {tip}"),
                )
            })?;
            output.object(&BlockRow {
                height: height.0,
                hash: block.hash().to_string(),
                time_ms: block.header.time.0,
                transactions: block.txs.len(),
                anchors: AnchorsExtra::parse(&block.header.extra).map_or(0, |extra| extra.count),
                amendments: amendments(&block.txs),
                proposer: block.header.proposer.to_string(),
                state_root: block.header.state_root.to_string(),
            })
        }
        Inspect::Staff => {
            let view: &dyn StateView = &snapshot;
            let staff = query::all_staff(view, 10_000).map_err(failed)?;
            let rows: Vec<StaffRow> = staff
                .into_iter()
                .map(|(key, record)| StaffRow {
                    key: key.to_string(),
                    role: format!("{:?}", record.role).to_lowercase(),
                    label: record.label,
                    suspended: record.suspended_at.is_some(),
                })
                .collect();
            output.rows(&rows)
        }
        Inspect::Record { record } => output.object(&version(&snapshot, record)?),
    }
}

/// How many of a block's anchors replace an earlier record.
fn amendments(txs: &[Vec<u8>]) -> usize {
    txs.iter()
        .filter(|tx| matches!(Tx::decode(tx), Ok(Tx::Amend(_))))
        .count()
}

fn version(view: &dyn StateView, record: &Hash) -> Result<VersionRow, CliError> {
    let at = query::find_record(view, record)
        .map_err(failed)?
        .ok_or_else(|| {
            CliError::not_found(
                format!("record {record} is not anchored on this chain"),
                "a record hash from a receipt or from hospital-server records",
            )
        })?;
    let text = |found: Option<Hash>| found.map(|hash| hash.to_string());
    Ok(VersionRow {
        record_hash: record.to_string(),
        height: at.height.0,
        position: at.position,
        replaces: text(query::replaces(view, record).map_err(failed)?),
        replaced_by: text(query::replaced_by(view, record).map_err(failed)?),
        newest_version: query::newest_version(view, record)
            .map_err(failed)?
            .to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_ledger::{Overlay, Space, StateError};
    use private_chain::{AnchorRef, state};

    /// A store that holds nothing.
    struct Nothing;

    impl StateView for Nothing {
        fn get(&self, _: Space, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }

        fn scan(
            &self,
            _: Space,
            _: &[u8],
            _: usize,
        ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_record_is_shown_with_its_versions() {
        let [first, second] = [Hash([1; 32]), Hash([2; 32])];
        let mut state = Overlay::new(&Nothing);
        for (height, record) in [(3, first), (5, second)] {
            let at = AnchorRef {
                height: Height(height),
                position: 0,
            };
            state::record(&record).put(&mut state, &at);
        }
        state::replaced_by(&first).put(&mut state, &second);
        state::replaces(&second).put(&mut state, &first);
        let old = version(&state, &first).unwrap();
        assert_eq!((old.height, old.replaces), (3, None));
        assert_eq!(old.replaced_by, Some(second.to_string()));
        assert_eq!(old.newest_version, second.to_string());
        let new = version(&state, &second).unwrap();
        assert_eq!((new.height, new.replaced_by), (5, None));
        assert_eq!(new.replaces, Some(first.to_string()));
        assert_eq!(new.newest_version, second.to_string());
    }

    #[test]
    fn an_unknown_record_is_two_lines() {
        let Err(error) = version(&Nothing, &Hash([9; 32])) else {
            panic!("the store holds nothing");
        };
        assert_eq!(error.exit, caduceus_cli::ExitCode::NotFound);
        let record = "09".repeat(32);
        assert_eq!(
            error.to_string(),
            format!(
                "error: record {record} is not anchored on this chain\n\
                 try: a record hash from a receipt or from hospital-server records"
            )
        );
    }

    #[test]
    fn only_amendments_are_counted() {
        let audit = Tx::audit(Vec::new()).encode();
        assert_eq!(amendments(&[audit, vec![255; 8], Vec::new()]), 0);
    }
}
