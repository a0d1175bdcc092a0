//! `members propose`: writes a change at the next place in the order of changes.

use super::{generation, members, named, operators, policy, proxies, write};
use alliance_chain::proposal::Proposal;
use alliance_chain::{Change, CreditPolicy, Member, Operator, ProxyInfo};
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
    /// Which member runs which validator, so that it earns what the validator does.
    Operators {
        /// This validator is run by this member: KEY=HOSPITAL
        #[arg(long, value_name = "KEY=HOSPITAL")]
        set: Vec<String>,
        /// This validator is run by no member
        #[arg(long, value_name = "KEY")]
        remove: Vec<String>,
    },
    /// The prices of service credits change; what is left out stays as it is.
    Credits(Prices),
}

/// Prices in service credits.
#[derive(Debug, clap::Args)]
pub(crate) struct Prices {
    /// What a member has when it joins
    #[arg(long)]
    opening: Option<u32>,
    /// Earned for a proposed block with transactions
    #[arg(long)]
    block: Option<u32>,
    /// Earned for a fragment that served an access
    #[arg(long)]
    reencryption: Option<u32>,
    /// Earned for a record that served an access in time
    #[arg(long)]
    record: Option<u32>,
    /// Paid for a search
    #[arg(long)]
    search: Option<u32>,
    /// Paid for a data user's account
    #[arg(long)]
    account: Option<u32>,
    /// Paid for a data user's request
    #[arg(long)]
    request: Option<u32>,
}

impl Prices {
    fn apply(&self, now: CreditPolicy) -> CreditPolicy {
        CreditPolicy {
            opening: self.opening.unwrap_or(now.opening),
            block: self.block.unwrap_or(now.block),
            reencryption: self.reencryption.unwrap_or(now.reencryption),
            record: self.record.unwrap_or(now.record),
            search: self.search.unwrap_or(now.search),
            account: self.account.unwrap_or(now.account),
            request: self.request.unwrap_or(now.request),
        }
    }
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
        Propose::Operators { set, remove } => {
            let (now, members) = (operators(node).await?, members(node).await?);
            changed_operators(now, &members, &set, &remove)?
        }
        Propose::Credits(prices) => Change::Credits(prices.apply(policy(node).await?)),
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

fn changed_operators(
    mut operators: Vec<Operator>,
    members: &[Member],
    set: &[String],
    remove: &[String],
) -> Result<Change, CliError> {
    if set.is_empty() && remove.is_empty() {
        return Err(CliError::usage(
            "nothing changes",
            "--set KEY=HOSPITAL or --remove KEY",
        ));
    }
    for text in remove {
        let validator = Address::of(&public_key(text)?);
        operators.retain(|operator| operator.validator != validator);
    }
    for text in set {
        let (key, hospital) = text.split_once('=').ok_or_else(|| {
            CliError::usage(
                format!("{text:?} does not say who runs what"),
                "--set KEY=HOSPITAL: a validator's key and a member's name or identifier",
            )
        })?;
        let validator = Address::of(&public_key(key)?);
        let hospital = named(members, hospital)?.hospital;
        operators.retain(|operator| operator.validator != validator);
        operators.push(Operator {
            validator,
            hospital,
        });
    }
    Ok(Change::Operators(operators))
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
