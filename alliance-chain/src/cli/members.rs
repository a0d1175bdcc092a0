//! `members`: who belongs to the alliance, and how its members change it together. A change is a file that they pass
//! around: one proposes, enough approve, one submits.

mod affected;
mod approve;
mod list;
mod propose;
mod show;
mod submit;

use super::PROGRAM;
use alliance_chain::proposal::{MAX_PROPOSAL_BYTES, Proposal};
use alliance_chain::state::{self, MEMBER_PREFIX};
use alliance_chain::{Member, MemberRecord};
use caduceus_cli::{CliError, Output, read_limited};
use caduceus_crypto::{HospitalId, SecretKey};
use caduceus_node::NodeHome;
use caduceus_operator::{DeedKind, OwnNode};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Members {
    /// List the members, as the running node in --home has them.
    List,
    /// List the validators of the alliance chain.
    Validators,
    /// List the re-encryption proxies.
    Proxies,
    /// Write a proposal that nobody approved yet.
    Propose {
        #[command(subcommand)]
        what: propose::Propose,
        /// The file to write
        #[arg(
            long,
            value_name = "FILE",
            global = true,
            default_value = "proposal.txt"
        )]
        out: PathBuf,
    },
    /// Say in words what a proposal does and who approved.
    Show { file: PathBuf },
    /// Add the approval of the member whose identity key this is.
    Approve {
        file: PathBuf,
        /// The member's identity key
        #[arg(long, value_name = "KEY-FILE")]
        identity: PathBuf,
    },
    /// Send a proposal that enough members approved.
    Submit { file: PathBuf },
    /// List the active grants that need a fragment of a proxy: those to reissue when it leaves.
    Affected {
        /// The proxy's key
        #[arg(long, value_name = "KEY")]
        proxy: String,
    },
}

impl Members {
    /// Whether it shows or changes.
    pub(super) fn kind(&self) -> DeedKind {
        match self {
            Members::List
            | Members::Validators
            | Members::Proxies
            | Members::Affected { .. }
            | Members::Show { .. } => DeedKind::Read,
            Members::Propose { .. } | Members::Approve { .. } | Members::Submit { .. } => {
                DeedKind::Update
            }
        }
    }
}

/// Does it, at the running node of a folder.
pub(super) async fn run(home: &NodeHome, what: Members, output: &Output) -> Result<(), CliError> {
    let key = SecretKey::generate(&mut rand_core::OsRng);
    let node = OwnNode::connect(home, PROGRAM, &key).await?;
    let done = match what {
        Members::List => list::members_rows(&node, output).await,
        Members::Validators => list::validators(&node, output).await,
        Members::Proxies => list::proxies_rows(&node, output).await,
        Members::Propose { what, out } => propose::run(&node, what, &out, output).await,
        Members::Show { file } => show::run(&node, &file, output).await,
        Members::Approve { file, identity } => approve::run(&node, &file, &identity, output).await,
        Members::Submit { file } => submit::run(&node, &file, output).await,
        Members::Affected { proxy } => affected::run(&node, &proxy, output).await,
    };
    node.close().await;
    done
}

/// A value of the chain that does not decode: the store is damaged or of another version.
fn damaged(error: impl std::fmt::Display) -> CliError {
    CliError::verification_failed(
        format!("the node's state does not decode: {error}"),
        format!("check its store: {PROGRAM} validate --home DIR"),
    )
}

/// Every hospital that is or was a member.
async fn members_ever(node: &OwnNode) -> Result<Vec<MemberRecord>, CliError> {
    let key = state::member(&HospitalId::default());
    node.list(MEMBER_PREFIX.as_bytes())
        .await?
        .iter()
        .map(|(_, value)| key.decode(value).map_err(damaged))
        .collect()
}

/// The present members.
async fn members(node: &OwnNode) -> Result<Vec<Member>, CliError> {
    let all = members_ever(node).await?;
    Ok(all
        .into_iter()
        .filter(MemberRecord::is_active)
        .map(|record| record.member)
        .collect())
}

/// The number of the next change.
async fn generation(node: &OwnNode) -> Result<u64, CliError> {
    let key = state::generation();
    match node.state(key.bytes()).await? {
        Some(bytes) => key.decode(&bytes).map_err(damaged),
        None => Err(damaged("it has no generation")),
    }
}

/// The present proxies.
async fn proxies(node: &OwnNode) -> Result<Vec<alliance_chain::ProxyInfo>, CliError> {
    let key = state::proxies();
    match node.state(key.bytes()).await? {
        Some(bytes) => key.decode(&bytes).map_err(damaged),
        None => Err(damaged("it has no list of proxies")),
    }
}

/// Who runs which validator.
async fn operators(node: &OwnNode) -> Result<Vec<alliance_chain::Operator>, CliError> {
    let key = state::operators();
    match node.state(key.bytes()).await? {
        Some(bytes) => key.decode(&bytes).map_err(damaged),
        None => Ok(Vec::new()),
    }
}

/// The prices of service credits.
async fn policy(node: &OwnNode) -> Result<alliance_chain::CreditPolicy, CliError> {
    let key = state::params();
    match node.state(key.bytes()).await? {
        Some(bytes) => Ok(key.decode(&bytes).map_err(damaged)?.credits),
        None => Err(damaged("it has no parameters")),
    }
}

/// A member by name, or by the beginning of its identifier.
fn named<'a>(members: &'a [Member], text: &str) -> Result<&'a Member, CliError> {
    let wanted = text.to_ascii_lowercase();
    let mut fitting = members.iter().filter(|member| {
        member.name == text
            || (wanted.len() >= 8 && member.hospital.to_string().starts_with(&wanted))
    });
    match (fitting.next(), fitting.next()) {
        (Some(member), None) => Ok(member),
        _ => Err(CliError::not_found(
            format!("no member, or more than one, is {text:?}"),
            "a name or identifier of those that members list shows",
        )),
    }
}

/// Reads a proposal for this node's chain.
fn read(node: &OwnNode, file: &Path) -> Result<Proposal, CliError> {
    let wrong = |what: String| {
        CliError::usage(
            format!("{} is no proposal: {what}", file.display()),
            "the file that members propose wrote and others approved",
        )
    };
    let bytes = read_limited(file, 2 * MAX_PROPOSAL_BYTES + 256)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text".into()))?;
    let proposal = Proposal::parse(&text).map_err(|e| wrong(e.to_string()))?;
    if proposal.chain != node.chain() {
        return Err(CliError::verification_failed(
            format!("the proposal is for chain {}", proposal.chain),
            format!(
                "this node's chain is {}: --home DIR of the right one",
                node.chain()
            ),
        ));
    }
    Ok(proposal)
}

/// Refuses a proposal whose place is gone, or not there yet.
async fn check_generation(node: &OwnNode, proposal: &Proposal) -> Result<(), CliError> {
    let (next, found) = (generation(node).await?, proposal.governance.body.generation);
    if found < next {
        return Err(CliError::failure(
            format!("the proposal is change {found}, and {next} changes are decided"),
            "propose it again: approvals count for one place in the order alone",
        ));
    }
    if found > next {
        return Err(CliError::failure(
            format!("the proposal is change {found}, change {next} is next"),
            "submit the change before it first, or wait until this node has caught up",
        ));
    }
    Ok(())
}

/// Writes a proposal over its file.
fn write(file: &Path, proposal: &Proposal) -> Result<(), CliError> {
    caduceus_cli::write_private(file, proposal.to_text().as_bytes())
}
