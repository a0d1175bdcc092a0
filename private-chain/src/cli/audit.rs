//! `audit`: what an auditor asks of the log, what can be said of it as a whole, and how it is kept.

mod export;
mod import;
mod known;
mod model;
mod options;
mod query;
mod report;
mod retain;
mod source;
mod verify;

use super::PROGRAM;
use caduceus_cli::{CliError, CommonArgs, Output};
use caduceus_node::{Clock, NodeHome, SystemClock};
use caduceus_operator::{DeedKind, OwnNode, audit_verify};
use clap::Subcommand;
use private_chain::audit_log::operator_key;
use source::NodeRows;
use std::path::Path;

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Compare the log with what the alliance has on record of it, proved from the alliance's genesis alone. The node
    /// in --home may be running. Exit code 5, and both heads, if the log was rewritten. With --offline, verify an
    /// exported proof: no node, no network.
    Verify(verify::VerifyArgs),
    /// Show the entries that fit everything that is asked for, as the running node in --home has them.
    Query(query::QueryArgs),
    /// Answer the questions that are asked again and again.
    Report(report::ReportArgs),
    /// Compute the logging paper's model over a range: its objective, its bounds, and whether all that was performed has
    /// its entry. Exit code 5 if a constraint does not hold.
    Model(model::ModelArgs),
    /// Export entries with all that proves them, as a text that audit verify --offline checks.
    Export(export::ExportArgs),
    /// Append another system's log to this one, or say with --dry-run what it holds.
    Import(import::ImportArgs),
    /// Have buckets of entries forgotten that are older than they may be kept: their keys are destroyed on every
    /// node.
    Retain(retain::RetainArgs),
}

impl Audit {
    /// What the audit log says of it.
    pub(super) fn kind(&self) -> DeedKind {
        match self {
            Audit::Import(_) | Audit::Retain(_) => DeedKind::Update,
            _ => DeedKind::AuditRead,
        }
    }
}

/// Runs what needs no node; gives back what does.
pub(super) fn run_offline(
    what: Audit,
    common: &CommonArgs,
    output: &Output,
) -> Result<Option<Audit>, CliError> {
    match what {
        Audit::Verify(args) if args.is_offline() => {
            verify::run(&args, common, output).map(|()| None)
        }
        Audit::Import(args) if args.dry_run => import::dry_run(&args, output).map(|()| None),
        what => Ok(Some(what)),
    }
}

/// Runs the rest.
pub(super) async fn run(
    home: &NodeHome,
    what: Audit,
    common: &CommonArgs,
    output: &Output,
) -> Result<(), CliError> {
    let network = common
        .network
        .clone()
        .unwrap_or_else(|| home.network_path());
    match what {
        Audit::Verify(_) => audit_verify(home, &network, output).await,
        Audit::Import(args) => import::run(home, &args, output).await,
        Audit::Retain(args) => retain::run(home, &args, output).await,
        what => {
            // The node answers its own operator.
            let node = OwnNode::connect(home, PROGRAM, &operator_key(&home.key)).await?;
            let done = ask(&node, what, &network, output).await;
            node.close().await;
            done
        }
    }
}

/// Runs what reads entries.
async fn ask(node: &OwnNode, what: Audit, network: &Path, output: &Output) -> Result<(), CliError> {
    let source = NodeRows::of(node);
    match what {
        Audit::Query(args) => {
            let known = known::known(node, network).await?;
            query::run(&source, &known, &args, output).await?;
        }
        Audit::Report(args) => {
            let known = known::known(node, network).await?;
            report::run(&source, &known, &args, output).await?;
        }
        Audit::Model(args) => {
            model::run(&source, node, &args, SystemClock.now(), output).await?;
        }
        Audit::Export(args) => export::run(&source, node, network, &args, output).await?,
        // Run before: they read no entries.
        Audit::Verify(_) | Audit::Import(_) | Audit::Retain(_) => {}
    }
    source.say_unread();
    Ok(())
}
