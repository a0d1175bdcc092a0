//! A value of the alliance's state, with all that leads to it from the genesis: what an exported proof carries.

use super::alliance::{Doubt, trusted, with_nodes};
use super::follow::Nodes;
use caduceus_cli::{CliError, NetworkFile};
use caduceus_ledger::{Genesis, LightBlock, StateProof};
use caduceus_network::PeerAddr;
use caduceus_node::{Clock, SystemClock};
use std::path::Path;

/// A value of the alliance's state, and what proves it from the genesis alone.
#[derive(Clone, Debug)]
pub struct AllianceState {
    /// The genesis that the network file names.
    pub genesis: Genesis,
    /// Light blocks, each reached from the one before, the first from the genesis. The proof leads to the state root of
    /// the last.
    pub blocks: Vec<LightBlock>,
    /// The value, or its absence.
    pub proof: StateProof,
}

/// Asks the alliance's nodes in turn until one shows the value under a key and the way to it.
///
/// # Errors
/// Unreachable, when no alliance node shows it; verification failed, when what one shows does not hold.
pub async fn alliance_state(network: &Path, key: &[u8]) -> Result<AllianceState, CliError> {
    let file = NetworkFile::load(network)?;
    let (genesis, _) = trusted(&file, network)?;
    with_nodes(&file, async |nodes, node| {
        let node: PeerAddr = node
            .parse()
            .map_err(|_| Doubt::Absent("not an address".into()))?;
        ask(nodes, &node, &genesis, key).await
    })
    .await
}

async fn ask(
    nodes: &Nodes<'_>,
    node: &PeerAddr,
    genesis: &Genesis,
    key: &[u8],
) -> Result<AllianceState, Doubt> {
    let found = super::alliance::fetch(nodes.service, node, key).await?;
    let header = &found.head.header;
    let way = nodes
        .way_to(node, genesis, header.height, SystemClock.now())
        .await?;
    let reached = way.last().map(LightBlock::hash);
    if reached != Some(header.hash()) || found.proof.key != key {
        return Err(Doubt::Unproved("it shows two blocks of one height".into()));
    }
    found
        .proof
        .verify(&header.state_root)
        .map_err(|e| Doubt::Unproved(e.to_string()))?;
    Ok(AllianceState {
        genesis: genesis.clone(),
        blocks: way,
        proof: found.proof,
    })
}
