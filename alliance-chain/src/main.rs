//! `alliance-chain`: runs and inspects a node of the alliance chain.

use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use alliance_chain::query;
use caduceus_cli::{
    CliError, CommonArgs, HiddenCommand, NetworkFile, Output, Program, run_main, until_stopped,
};
use caduceus_crypto::SecretKey;
use caduceus_ledger::{Height, StateView};
use caduceus_network::exchange::Health;
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::{NodeHome, Store, SystemClock};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;

/// Run and inspect a node of the alliance chain.
#[derive(Parser)]
#[command(name = "alliance-chain", version, about)]
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
    /// The members of the alliance.
    Members,
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
    let path = common.home_dir("alliance-chain")?;
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
    let node = AllianceNode::start(AllianceNodeConfig::from_home(
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
            "start it: alliance-chain start --home DIR",
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
    proposer: String,
    state_root: String,
}

#[derive(Serialize)]
struct MemberRow {
    hospital: String,
    name: String,
    identity: String,
    checkpointed: u64,
    linked: u64,
}

fn inspect(home: &NodeHome, what: &Inspect, output: &Output) -> Result<(), CliError> {
    let failed = |e: String| {
        CliError::failure(
            format!("the store cannot be read: {e}"),
            "stop the node first, then inspect",
        )
    };
    let store = Store::open(&home.path.join("chain.redb")).map_err(|e| failed(e.to_string()))?;
    let snapshot = store.snapshot().map_err(|e| failed(e.to_string()))?;
    match what {
        Inspect::Block { height } => {
            let tip = snapshot
                .tip()
                .map_err(|e| failed(e.to_string()))?
                .map_or(0, |t| t.header.height.0);
            let height = Height(height.unwrap_or(tip));
            let block = snapshot
                .block(height)
                .map_err(|e| failed(e.to_string()))?
                .ok_or_else(|| {
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
                proposer: block.header.proposer.to_string(),
                state_root: block.header.state_root.to_string(),
            })
        }
        Inspect::Members => {
            let view: &dyn StateView = &snapshot;
            let members = query::members(view).map_err(|e| failed(e.to_string()))?;
            let mut rows = Vec::new();
            for member in members {
                let head = query::checkpoint_head(view, &member.hospital)
                    .map_err(|e| failed(e.to_string()))?;
                let linked = query::linked_height(view, &member.hospital)
                    .map_err(|e| failed(e.to_string()))?;
                rows.push(MemberRow {
                    hospital: member.hospital.to_string(),
                    name: member.name,
                    identity: member.identity.to_string(),
                    checkpointed: head.map_or(0, |head| head.height.0),
                    linked,
                });
            }
            output.rows(&rows)
        }
    }
}
