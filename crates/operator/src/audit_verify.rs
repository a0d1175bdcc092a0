//! `audit verify`: the private chain that is here against what the alliance has on record of it (DESIGN 5.3, 6.2).
//!
//! The alliance keeps the newest checkpointed header of each private chain where it can be proved. Its hash commits to
//! every header before it, and each header to its transactions: so one comparison judges the whole log up to there.
//! A hospital that wrote its log anew with all its keys has another hash at that height, however well it is signed.

mod alliance;
mod follow;
mod here;
mod state;

use alliance::{Recorded, recorded};
use caduceus_cli::{CliError, NetworkFile, Output};
use caduceus_crypto::HospitalId;
use caduceus_ledger::CheckpointHead;
use caduceus_node::NodeHome;
use here::{Here, here};
use serde::Serialize;
pub use state::{AllianceState, alliance_state};

/// What the comparison says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Verdict {
    /// Whether nothing contradicts.
    agrees: bool,
    /// The hospital.
    hospital: String,
    /// The height compared, that of the newest checkpoint; 0 where there is none.
    height: u64,
    /// Hash of the block that is here at that height; none if the chain here ends before.
    here_hash: Option<String>,
    /// Time of that block, Unix milliseconds.
    here_time_ms: Option<u64>,
    /// Hash on record.
    recorded_hash: Option<String>,
    /// Time, by its own header, of the block on record.
    recorded_time_ms: Option<u64>,
    /// Alliance block time at which it was put on record.
    recorded_at_ms: Option<u64>,
    /// Height of the alliance block under which that is proved.
    proved_at: u64,
    /// Newest height here.
    here_height: u64,
    /// Blocks here whose links, and transactions where they are stored, hold. A node that joined by a snapshot has few
    /// of those before it; the hash at the height commits to all.
    checked: u64,
    /// Whether the transactions of every block up to the height were compared with their headers too.
    transactions_checked: bool,
    /// What contradicts, for people.
    what: Option<String>,
}

/// Compares the chain of a node with the alliance's record and prints what is found. The store is read if the node is
/// not running; else the node is asked for its headers.
///
/// # Errors
/// Verification failed, with both heads, when the chain here is not the one on record; unreachable, when no alliance
/// node proves what is; failure, when the height on record is below the headers that the node has.
pub async fn audit_verify(
    home: &NodeHome,
    network: &std::path::Path,
    output: &Output,
) -> Result<(), CliError> {
    let verdict = compare(home, network).await?;
    output.object(&verdict)?;
    match &verdict.what {
        None => {
            let height = verdict.height;
            output.note(&match verdict.recorded_hash {
                Some(_) => format!("agrees up to height {height}"),
                None => "the alliance has nothing on record of this chain yet".to_owned(),
            });
            Ok(())
        }
        Some(what) => Err(CliError::verification_failed(
            what.clone(),
            "keep this copy as evidence, ask the hospital's other nodes and the members of the alliance",
        )),
    }
}

async fn compare(home: &NodeHome, network: &std::path::Path) -> Result<Verdict, CliError> {
    let file = NetworkFile::load(network)?;
    let chain = home.genesis.chain_id().to_string();
    let unknown = || {
        CliError::usage(
            format!("the network file names no hospital with private chain {chain}"),
            "--home of a node of a hospital's private chain, and --network of its network",
        )
    };
    let entry = file
        .hospitals
        .iter()
        .find(|hospital| hospital.chain_id.eq_ignore_ascii_case(&chain))
        .ok_or_else(unknown)?;
    let hospital: HospitalId = entry.id.parse().map_err(|_| unknown())?;
    let recorded = recorded(&file, network, &hospital).await?;
    let height = recorded.head.map_or(0, |head| head.height.0);
    let here = here(home, height).await?;
    if here.lacks(height) {
        return Err(CliError::failure(
            format!(
                "the alliance has height {height} on record, whose header this node does not have: it joined by a snapshot of a later height"
            ),
            "ask another node of the hospital, or again after its next checkpoint",
        ));
    }
    Ok(judge(&entry.name, &recorded, &here))
}

fn judge(hospital: &str, recorded: &Recorded, here: &Here) -> Verdict {
    let mut verdict = Verdict {
        agrees: true,
        hospital: hospital.to_owned(),
        height: recorded.head.map_or(0, |head| head.height.0),
        here_hash: here.at.as_ref().map(|header| header.hash().to_string()),
        here_time_ms: here.at.as_ref().map(|header| header.time.0),
        recorded_hash: recorded.head.map(|head| head.hash.to_string()),
        recorded_time_ms: recorded.head.map(|head| head.time.0),
        recorded_at_ms: recorded.head.map(|head| head.recorded_at.0),
        proved_at: recorded.proved_at.0,
        here_height: here.tip,
        checked: here.checked,
        transactions_checked: here.transactions,
        what: None,
    };
    let Some(head) = recorded.head else {
        return verdict;
    };
    verdict.what = contradiction(&head, here);
    verdict.agrees = verdict.what.is_none();
    verdict
}

/// What contradicts the record, if anything does.
fn contradiction(head: &CheckpointHead, here: &Here) -> Option<String> {
    let since = format!(
        "the alliance has {} on record since {}",
        head.hash, head.recorded_at
    );
    match &here.at {
        None if here.tip >= head.height.0 => here
            .broken
            .as_ref()
            .map(|(height, what)| format!("height {height}: {what}, and {since}")),
        None => Some(format!(
            "the chain here ends at height {}, and at height {} {since}",
            here.tip, head.height
        )),
        Some(header) if header.hash() != head.hash => Some(format!(
            "height {} here is {} of {}, and {since}",
            head.height,
            header.hash(),
            header.time
        )),
        Some(_) => here
            .broken
            .as_ref()
            .map(|(height, what)| format!("height {height}: {what}, and {since}")),
    }
}

#[cfg(test)]
mod tests;
