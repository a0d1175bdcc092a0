//! `inspect`: shows what a node stores, one subject a file.

mod access;
mod checkpoint;
mod grant;
mod head;
mod issuer;
mod member;
mod params;
mod proxy;
mod report;
mod words;

use alliance_chain::query;
use caduceus_cli::{CliError, Output};
use caduceus_crypto::{Hash, HospitalId, PublicKey};
use caduceus_ledger::StateView;
use caduceus_node::NodeHome;
use caduceus_operator::{InspectChain, inspect_chain, open, unreadable};
use clap::{Args, Subcommand};

/// Most rows of a list that grows without end.
const MAX_ROWS: u32 = 10_000;

/// What to show.
#[derive(Debug, Subcommand)]
pub(super) enum Inspect {
    #[command(flatten)]
    Chain(InspectChain),
    /// The members of the alliance, present and former.
    Members,
    /// The proxies, and beside which validator each runs.
    Proxies,
    /// How far each hospital's private chain is checkpointed and linked.
    Heads,
    /// The checkpointed headers of a hospital's private chain; the last twenty if nothing is said.
    Checkpoints {
        /// The hospital, 64 digits.
        hospital: HospitalId,
        /// The first private height.
        #[arg(long, value_name = "HEIGHT")]
        from: Option<u64>,
        /// The last private height.
        #[arg(long, value_name = "HEIGHT")]
        to: Option<u64>,
    },
    /// The grants to a data user or under a pseudonym, oldest first.
    Grants(GrantsOf),
    /// The access tickets of a grant, oldest first.
    Accesses {
        /// The grant's identifier, 64 digits.
        #[arg(value_name = "GRANT_ID")]
        grant: Hash,
    },
    /// Reports of misbehaviour about a hospital, or about all of them.
    Reports {
        /// The hospital, 64 digits.
        hospital: Option<HospitalId>,
    },
    /// The keys under which members issue search tokens.
    Issuers,
    /// The bounds that every node applies.
    Params,
}

/// Whose grants.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct GrantsOf {
    /// The data user's signing key, 66 digits.
    #[arg(long, value_name = "KEY")]
    data_user: Option<PublicKey>,
    /// The record's pseudonym point, 66 digits.
    #[arg(long, value_name = "POINT")]
    pseudonym: Option<PublicKey>,
}

/// Prints what was asked for.
pub(super) fn run(home: &NodeHome, what: &Inspect, output: &Output) -> Result<(), CliError> {
    let store = open(home)?;
    let snapshot = store.snapshot().map_err(unreadable)?;
    if let Inspect::Chain(what) = what {
        return inspect_chain(&snapshot, what, &words::WORDS, output);
    }
    let Some(tip) = snapshot.tip().map_err(unreadable)? else {
        return Err(CliError::not_found(
            format!("the node in {} has stored nothing yet", home.path.display()),
            "start it once: alliance-chain start --home DIR",
        ));
    };
    let (view, now): (&dyn StateView, _) = (&snapshot, tip.header.time);
    match what {
        Inspect::Chain(_) => Ok(()),
        Inspect::Members => output.rows(&member::rows(view)?),
        Inspect::Proxies => output.rows(&proxy::rows(view, &tip.next_validators)?),
        Inspect::Heads => output.rows(&head::rows(view, now)?),
        Inspect::Checkpoints { hospital, from, to } => {
            known(view, hospital)?;
            output.rows(&checkpoint::rows(view, hospital, *from, *to)?)
        }
        Inspect::Grants(whose) => output.rows(&grant::rows(view, whose, now)?),
        Inspect::Accesses { grant } => output.rows(&access::rows(view, grant)?),
        Inspect::Reports { hospital } => {
            if let Some(hospital) = hospital {
                known(view, hospital)?;
            }
            output.rows(&report::rows(view, hospital.as_ref())?)
        }
        Inspect::Issuers => output.rows(&issuer::rows(view)?),
        Inspect::Params => output.object(&params::row(view)?),
    }
}

/// Refuses what was never a member.
fn known(view: &dyn StateView, hospital: &HospitalId) -> Result<(), CliError> {
    match query::member(view, hospital).map_err(unreadable)? {
        Some(_) => Ok(()),
        None => Err(CliError::not_found(
            format!("hospital {hospital} never was a member"),
            "a hospital from inspect members",
        )),
    }
}
