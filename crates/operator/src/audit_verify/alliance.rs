//! What the alliance has on record of a private chain, proved by the light client from the genesis.

use super::follow::{Nodes, doubt};
use caduceus_cli::{CliError, NetworkFile};
use caduceus_crypto::{HospitalId, SecretKey, TimeMillis, decode_exact};
use caduceus_ledger::checkpoint::head_key;
use caduceus_ledger::light::{MAX_HEAD_AGE_MILLIS, check_fresh};
use caduceus_ledger::{CheckpointHead, Genesis, Height, LightClient, LightError, StateProofAt};
use caduceus_network::exchange::{Query, QueryReply, QueryRequest};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::home::read_genesis;
use caduceus_node::{Clock, SystemClock};
use std::path::Path;

/// Largest proof that is decoded, bytes.
const MAX_PROOF_BYTES: usize = 1024 * 1024;
/// Bytes of a [`CheckpointHead`].
const HEAD_BYTES: usize = 56;

/// A proved record.
pub(super) struct Recorded {
    /// The newest checkpointed header; none, proved, before the first.
    pub head: Option<CheckpointHead>,
    /// Alliance height of the proof.
    pub proved_at: Height,
}

/// Asks the alliance's nodes in turn until one answers with a proof that holds.
pub(super) async fn recorded(
    file: &NetworkFile,
    path: &Path,
    hospital: &HospitalId,
) -> Result<Recorded, CliError> {
    let (_, light) = trusted(file, path)?;
    with_nodes(file, async |nodes, node| {
        ask(nodes, node, &light, hospital).await
    })
    .await
}

/// Asks each node of the network file in turn, until one's answer holds.
pub(super) async fn with_nodes<T>(
    file: &NetworkFile,
    ask: impl AsyncFn(&Nodes<'_>, &str) -> Result<T, Doubt>,
) -> Result<T, CliError> {
    let unreachable = |why: String| {
        CliError::unreachable(
            format!("no alliance node proves what is on record: {why}"),
            "see that an alliance node of the network file runs and can be reached",
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
    let (mut absent, mut unproved) = ("the network file names none".to_owned(), None);
    let mut found = None;
    let entries = &file.alliance.nodes;
    let all: Vec<PeerAddr> = entries
        .iter()
        .filter_map(|node| node.service.parse().ok())
        .collect();
    let nodes = Nodes {
        service: &service,
        all: &all,
    };
    for node in entries {
        match ask(&nodes, &node.service).await {
            Ok(answer) => {
                found = Some(answer);
                break;
            }
            Err(Doubt::Absent(why)) => absent = format!("{}: {why}", node.name),
            Err(Doubt::Unproved(why)) => unproved = Some(format!("{}: {why}", node.name)),
        }
    }
    service.shutdown().await;
    match (found, unproved) {
        (Some(answer), _) => Ok(answer),
        (None, Some(why)) => Err(CliError::verification_failed(
            format!("an alliance node's answer does not hold: {why}"),
            "ask again when another alliance node can be reached, and report that one",
        )),
        (None, None) => Err(unreachable(absent)),
    }
}

/// The genesis beside the network file, if it is the one that the file names.
pub(super) fn trusted(file: &NetworkFile, path: &Path) -> Result<(Genesis, LightClient), CliError> {
    let again = "get the network file and its genesis again from whoever runs the network";
    let genesis = read_genesis(&file.genesis_path(path))
        .map_err(|e| CliError::usage(format!("the alliance's genesis: {e}"), again))?;
    let (expected, found) = (&file.alliance.chain_id, genesis.chain_id().to_string());
    if !expected.eq_ignore_ascii_case(&found) {
        return Err(CliError::verification_failed(
            format!(
                "the alliance's genesis is that of chain {found}, the network file names {expected}"
            ),
            again,
        ));
    }
    let light = LightClient::from_genesis(&genesis);
    Ok((genesis, light))
}

/// Why a node's answer is not taken.
pub(super) enum Doubt {
    /// It has none, or is behind.
    Absent(String),
    /// What it says does not hold.
    Unproved(String),
}

async fn ask(
    nodes: &Nodes<'_>,
    node: &str,
    light: &LightClient,
    hospital: &HospitalId,
) -> Result<Recorded, Doubt> {
    let node: PeerAddr = node
        .parse()
        .map_err(|_| Doubt::Absent("not an address".into()))?;
    let key = head_key(hospital);
    // What one node shows is not built upon when the next one is asked.
    let mut light = light.clone();
    let mut again = true;
    loop {
        nodes.follow(&node, &mut light, SystemClock.now()).await?;
        let proof = fetch(nodes.service, &node, &key).await?;
        match proof.verify(&light, &key) {
            Ok(value) => return record(&proof, value, SystemClock.now()),
            // The voters changed between the two questions.
            Err(LightError::UnknownValidators { .. }) if again => again = false,
            Err(error) => return Err(doubt(error)),
        }
    }
}

pub(super) async fn fetch(
    service: &Service,
    node: &PeerAddr,
    key: &[u8],
) -> Result<StateProofAt, Doubt> {
    let request = QueryRequest::State { key: key.to_vec() };
    let document = match service.call::<Query>(node, request).await {
        Ok(QueryReply::Found(document)) => document,
        Ok(QueryReply::NotFound) => return Err(Doubt::Absent("it has no block yet".into())),
        Err(error) => return Err(Doubt::Absent(error.to_string())),
    };
    decode_exact(&document, MAX_PROOF_BYTES)
        .map_err(|e| Doubt::Unproved(format!("the proof does not decode: {e}")))
}

/// Reads what was proved, unless the node is behind: a newer record may be on the chain then.
fn record(proof: &StateProofAt, value: Option<&[u8]>, now: TimeMillis) -> Result<Recorded, Doubt> {
    let header = &proof.head.header;
    check_fresh(header, now, MAX_HEAD_AGE_MILLIS).map_err(doubt)?;
    let head = value
        .map(|bytes| decode_exact(bytes, HEAD_BYTES))
        .transpose()
        .map_err(|e| Doubt::Unproved(format!("the record does not decode: {e}")))?;
    Ok(Recorded {
        head,
        proved_at: header.height,
    })
}
