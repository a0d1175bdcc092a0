//! `audit export --proof`: entries with all that proves them, as a text that needs no network.

use super::options::FilterArgs;
use super::source::{RowSource, all};
use crate::cli::PROGRAM;
use caduceus_cli::{CliError, NetworkFile, Output};
use caduceus_crypto::merkle;
use caduceus_crypto::{Hash, HospitalId, decode_exact, encode};
use caduceus_ledger::checkpoint::tree_key;
use caduceus_ledger::{CertifiedHeader, HeaderTree, TxProof};
use caduceus_network::exchange::{
    BucketKeys, BucketKeysReply, BucketKeysRequest, Headers, HeadersRequest, MAX_HEADERS, Query,
    QueryReply, QueryRequest,
};
use caduceus_node::{Clock, SystemClock};
use caduceus_operator::{OwnNode, alliance_state};
use clap::Args;
use private_chain::audit::proof::{AllianceProof, EntryProof, MAX_PROVED, ProofFile, sides};
use private_chain::audit::{AuditBatch, AuditRow, BatchKey, Bucket, Filter, Order, SecretBytes};
use private_chain::{Tx, query};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Which entries.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// Export proofs
    #[arg(long, required = true)]
    proof: bool,
    /// The entry with this sequence number; repeat for several. With the options below, those among them that fit
    #[arg(long = "entry", value_name = "SEQUENCE")]
    entries: Vec<u64>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// A batch on the chain, with what proves its receipt.
struct Placed {
    batch: AuditBatch,
    proof: TxProof,
}

fn nonsense(what: impl std::fmt::Display) -> CliError {
    CliError::verification_failed(
        format!("the node's answer does not hold: {what}"),
        format!("check its store: {PROGRAM} validate --home DIR"),
    )
}

/// Collects, verifies what was collected, and prints it.
pub(super) async fn run(
    source: &impl RowSource,
    node: &OwnNode,
    network: &Path,
    args: &ExportArgs,
    output: &Output,
) -> Result<(), CliError> {
    let filter = args.filter.filter()?;
    let rows = match args.entries[..] {
        [] => all(source, &filter).await?,
        _ => these(source, &filter, &args.entries).await?,
    };
    if rows.is_empty() {
        return Err(CliError::not_found(
            "no entry fits",
            "look for it first: audit query",
        ));
    }
    if rows.len() > MAX_PROVED {
        return Err(CliError::failure(
            format!(
                "{} entries fit, a proof has at most {MAX_PROVED}",
                rows.len()
            ),
            "export them in parts: --from and --until",
        ));
    }
    let file = prove(node, network, &rows).await?;
    let text = file.to_text();
    let alliance = file.alliance.genesis.chain_id();
    ProofFile::verify(&text, &alliance, SystemClock.now()).map_err(nonsense)?;
    output.raw(text.as_bytes())
}

/// Those of some entries that fit, each once, in their order on the chain.
async fn these(
    source: &impl RowSource,
    filter: &Filter,
    entries: &[u64],
) -> Result<Vec<AuditRow>, CliError> {
    let wanted: BTreeSet<u64> = entries.iter().copied().collect();
    let mut rows = Vec::new();
    for sequence in wanted {
        let page = source.page(filter, Order::OldestFirst, Some(sequence), 1);
        rows.extend(
            page.await?
                .rows
                .into_iter()
                .filter(|row| row.sequence == sequence),
        );
    }
    Ok(rows)
}

async fn prove(node: &OwnNode, network: &Path, rows: &[AuditRow]) -> Result<ProofFile, CliError> {
    let hospital = hospital(node, network)?;
    let state = alliance_state(network, &tree_key(&hospital)).await?;
    let record = state.proof.value.clone().ok_or_else(|| {
        CliError::not_found(
            "the alliance has nothing on record of this chain yet",
            "again after the hospital server's next checkpoint, within a minute",
        )
    })?;
    let tree: HeaderTree = decode_exact(&record, HeaderTree::MAX_BYTES).map_err(nonsense)?;
    let newest = rows.iter().map(|row| row.place.height).max().unwrap_or(0);
    if newest > tree.size() {
        return Err(CliError::failure(
            format!(
                "the alliance has recorded heights up to {}, an entry is in block {newest}",
                tree.size()
            ),
            "again after the hospital server's next checkpoint, within a minute",
        ));
    }
    let leaves = header_hashes(node, tree.size()).await?;
    let mut batches: BTreeMap<Hash, Placed> = BTreeMap::new();
    let mut buckets = BTreeSet::new();
    for row in rows {
        let tx = row.place.tx;
        if !batches.contains_key(&tx) {
            let placed = placed(node, tx).await?;
            buckets.extend(placed.batch.buckets());
            batches.insert(tx, placed);
        }
    }
    let keys = bucket_keys(node, &buckets).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let placed = batches.get(&row.place.tx);
        let placed = placed.expect("the batch of every row was fetched above");
        entries.push(entry(row, placed, &keys, &leaves)?);
    }
    Ok(ProofFile {
        hospital,
        entries,
        alliance: AllianceProof {
            genesis: state.genesis,
            blocks: state.blocks,
            record,
            in_state: state.proof.proof,
        },
    })
}

fn entry(
    row: &AuditRow,
    placed: &Placed,
    keys: &BTreeMap<Bucket, SecretBytes>,
    leaves: &[Vec<u8>],
) -> Result<EntryProof, CliError> {
    let (index, batch) = (row.index(), &placed.batch);
    let missing = || nonsense(format!("entry {} is not in its batch", row.sequence));
    let at = usize::try_from(index).map_err(|_| missing())?;
    let sealed = batch.entries.get(at).ok_or_else(missing)?;
    let in_batch = batch.prove(index).ok_or_else(missing)?;
    let bucket = sealed.bucket();
    let key = keys.get(&bucket).ok_or_else(|| {
        CliError::not_found(
            format!("the key of {bucket} is not here, or no more"),
            "ask another node of the hospital; what was retired cannot be proved in clear",
        )
    })?;
    let key = BatchKey::derive(key, bucket, &batch.id).entry_key(index);
    let header = &placed.proof.head.header;
    let leaf = usize::try_from(header.height.0 - 1).map_err(|_| missing())?;
    if leaf >= leaves.len() {
        return Err(nonsense(format!(
            "there is no header of height {}",
            header.height
        )));
    }
    Ok(EntryProof {
        key: *key,
        batch: batch.id,
        index,
        sealed: sealed.clone(),
        in_batch: in_batch.path,
        receipt: query::audit_result(&placed.proof.result).map_err(nonsense)?,
        sides: sides(&placed.proof.result_proof),
        in_results: placed.proof.result_proof.path.clone(),
        header: header.clone(),
        in_headers: merkle::prove(leaves, leaf).path,
    })
}

/// The keys that the node has of these buckets.
pub(super) async fn bucket_keys(
    node: &OwnNode,
    buckets: &BTreeSet<Bucket>,
) -> Result<BTreeMap<Bucket, SecretBytes>, CliError> {
    let name = |bucket: &Bucket| -> [u8; 3] {
        let bytes = encode(bucket);
        bytes
            .try_into()
            .expect("a class and a month take three bytes")
    };
    let request = BucketKeysRequest::Fetch {
        buckets: buckets.iter().map(name).collect(),
    };
    let BucketKeysReply::Keys(living) = node.call::<BucketKeys>(request).await? else {
        return Err(nonsense("it was asked for keys"));
    };
    living
        .into_iter()
        .map(|living| {
            let bucket = decode_exact(&living.bucket, living.bucket.len()).map_err(nonsense)?;
            Ok((bucket, SecretBytes::new(living.key)))
        })
        .collect()
}

/// The hospital whose private chain this is.
fn hospital(node: &OwnNode, network: &Path) -> Result<HospitalId, CliError> {
    let file = NetworkFile::load(network)?;
    let chain = node.chain().to_string();
    let entry = file
        .hospitals
        .iter()
        .find(|hospital| hospital.chain_id.eq_ignore_ascii_case(&chain));
    entry
        .and_then(|entry| entry.id.parse().ok())
        .ok_or_else(|| {
            CliError::usage(
                format!("the network file names no hospital with private chain {chain}"),
                "--home of a node of a hospital's private chain, and --network of its network",
            )
        })
}

async fn placed(node: &OwnNode, tx: Hash) -> Result<Placed, CliError> {
    let request = QueryRequest::Tx { id: tx };
    let QueryReply::Found(document) = node.call::<Query>(request).await? else {
        return Err(CliError::not_found(
            format!("the node has no block with transaction {tx} any more"),
            "ask a node of the hospital that keeps all blocks",
        ));
    };
    let proof: TxProof = decode_exact(&document, MAX_DOCUMENT_BYTES).map_err(nonsense)?;
    match Tx::decode(&proof.tx).map_err(nonsense)? {
        Tx::Audit(batch) => Ok(Placed { batch, proof }),
        _ => Err(nonsense(format!(
            "transaction {tx} brings no audit entries"
        ))),
    }
}

/// Hashes of the headers of heights 1 to `size`, as the leaves of the alliance's tree.
async fn header_hashes(node: &OwnNode, size: u64) -> Result<Vec<Vec<u8>>, CliError> {
    let mut hashes: Vec<Vec<u8>> = Vec::new();
    while (hashes.len() as u64) < size {
        let from = hashes.len() as u64 + 1;
        let request = HeadersRequest {
            from: Some(from),
            limit: u16::try_from(MAX_HEADERS).unwrap_or(u16::MAX),
        };
        let reply = node.call::<Headers>(request).await?;
        if reply.items.is_empty() {
            return Err(nonsense(format!("it has no header of height {from}")));
        }
        for item in reply
            .items
            .iter()
            .take(usize::try_from(size - from + 1).unwrap_or(usize::MAX))
        {
            let certified: CertifiedHeader =
                decode_exact(item, MAX_HEADER_BYTES).map_err(nonsense)?;
            if certified.header.height.0 != hashes.len() as u64 + 1 {
                return Err(nonsense("headers that do not follow each other"));
            }
            hashes.push(certified.header.hash().as_bytes().to_vec());
        }
    }
    Ok(hashes)
}
