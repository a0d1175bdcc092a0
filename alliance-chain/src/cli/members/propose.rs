//! `members propose`: writes a change at the next place in the order of changes.

use super::{generation, members, named, proxies, write};
use alliance_chain::proposal::Proposal;
use alliance_chain::{Change, Member, ProxyInfo};
use caduceus_cli::{CliError, Output};
use caduceus_crypto::HospitalId;
use caduceus_ledger::{Address, ChainKind};
use caduceus_node::home::read_genesis;
use caduceus_operator::{OwnNode, SetEdit, public_key};
use clap::Subcommand;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to propose.
#[derive(Debug, Subcommand)]
pub(crate) enum Propose {
    /// A hospital joins.
    Admit {
        /// Its name
        #[arg(long)]
        name: String,
        /// Its identity key; its identifier is the hash of this key for ever
        #[arg(long, value_name = "KEY")]
        identity: String,
        /// Its server's key
        #[arg(long, value_name = "KEY")]
        server: String,
        /// The genesis file of its private chain, whose first validators certify it
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
    },
    /// A hospital leaves: what it linked stays, nothing is added.
    Remove {
        /// Name or identifier of the member
        hospital: String,
    },
    /// A hospital changes its keys.
    Rotate {
        /// Name or identifier of the member
        hospital: String,
        /// Its new identity key
        #[arg(long, value_name = "KEY")]
        identity: String,
        /// Its new server key
        #[arg(long, value_name = "KEY")]
        server: String,
    },
    /// The proxies change. Grants to one that leaves are reissued by their patients: members affected.
    Proxies {
        /// Add this node as a proxy
        #[arg(long, value_name = "KEY")]
        add: Vec<String>,
        /// Take this proxy out
        #[arg(long, value_name = "KEY")]
        remove: Vec<String>,
    },
    /// The validators of the alliance chain change.
    Validators(SetEdit),
}

#[derive(Serialize)]
struct Proposed {
    file: String,
    generation: u64,
    change: String,
}

/// Writes the proposal.
pub(super) async fn run(
    node: &OwnNode,
    what: Propose,
    out: &Path,
    output: &Output,
) -> Result<(), CliError> {
    let change = change(node, what).await?;
    let proposal = Proposal::new(node.chain(), generation(node).await?, change);
    if out.exists() {
        return Err(CliError::usage(
            format!("{} exists already", out.display()),
            "another file: --out FILE",
        ));
    }
    write(out, &proposal)?;
    output.object(&Proposed {
        file: out.display().to_string(),
        generation: proposal.governance.body.generation,
        change: super::show::sentence(&proposal.governance.body.change),
    })?;
    output.note("Members approve it: alliance-chain members approve FILE --identity KEY-FILE");
    Ok(())
}

async fn change(node: &OwnNode, what: Propose) -> Result<Change, CliError> {
    Ok(match what {
        Propose::Admit {
            name,
            identity,
            server,
            genesis,
        } => admit(name, &identity, &server, &genesis)?,
        Propose::Remove { hospital } => {
            Change::Remove(named(&members(node).await?, &hospital)?.hospital)
        }
        Propose::Rotate {
            hospital,
            identity,
            server,
        } => Change::Rotate {
            hospital: named(&members(node).await?, &hospital)?.hospital,
            identity: public_key(&identity)?,
            server: public_key(&server)?,
        },
        Propose::Proxies { add, remove } => changed_proxies(proxies(node).await?, &add, &remove)?,
        Propose::Validators(edit) => Change::Validators(edit.apply(&node.validators().await?)?),
    })
}

fn admit(name: String, identity: &str, server: &str, genesis: &Path) -> Result<Change, CliError> {
    let genesis = read_genesis(genesis).map_err(|e| {
        CliError::usage(
            format!("no genesis: {e}"),
            "--genesis FILE, as private-chain genesis makes it",
        )
    })?;
    if genesis.kind != ChainKind::Private {
        return Err(CliError::usage(
            "the genesis is not that of a private chain",
            "--genesis FILE, as private-chain genesis makes it",
        ));
    }
    let identity = public_key(identity)?;
    let member = Member {
        hospital: HospitalId::from_identity(&identity),
        name,
        identity,
        server: public_key(server)?,
        private_chain: genesis.chain_id(),
        private_validators: genesis.validators,
    };
    member
        .check()
        .map_err(|e| CliError::usage(e.to_string(), "name it and its two keys as they are"))?;
    Ok(Change::Admit(member))
}

fn changed_proxies(
    mut proxies: Vec<ProxyInfo>,
    add: &[String],
    remove: &[String],
) -> Result<Change, CliError> {
    for text in remove {
        let key = public_key(text)?;
        let before = proxies.len();
        proxies.retain(|proxy| proxy.key != key);
        if proxies.len() == before {
            return Err(CliError::not_found(
                format!("{key} is no proxy"),
                "one of those that members proxies lists",
            ));
        }
    }
    for text in add {
        let key = public_key(text)?;
        proxies.push(ProxyInfo {
            key,
            validator: Address::of(&key),
        });
    }
    if add.is_empty() && remove.is_empty() {
        return Err(CliError::usage(
            "nothing changes",
            "--add KEY of a node, --remove KEY of a proxy",
        ));
    }
    alliance_chain::genesis::check_proxies(&proxies)
        .map_err(|e| CliError::usage(e.to_string(), "fewer proxies, each once"))?;
    Ok(Change::Proxies(proxies))
}
