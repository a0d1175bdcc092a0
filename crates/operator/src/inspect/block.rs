//! `inspect block`: one block with what decided it.

use super::{ChainWords, Fields, SealRow, block_at, tip_height, unreadable};
use caduceus_cli::CliError;
use caduceus_ledger::{Certificate, Height, ValidatorSet};
use caduceus_node::Snapshot;
use serde::Serialize;

/// A block's header, certificate and seal.
#[derive(Debug, Serialize)]
pub(super) struct BlockRow {
    height: u64,
    hash: String,
    time_ms: u64,
    parent: String,
    proposer: String,
    transactions: usize,
    transaction_ids: Vec<String>,
    body_bytes: usize,
    #[serde(flatten)]
    own: Fields,
    txs_root: String,
    results_root: String,
    state_root: String,
    validators: String,
    next_validators: String,
    extra: String,
    /// None for the genesis.
    certificate: Option<CertificateRow>,
    /// None on a chain that is not mined.
    seal: Option<SealRow>,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    round: u32,
    signers: Vec<String>,
    /// None where the voters of this height are not the present ones, whose powers alone are stored.
    signed_power: Option<u64>,
    total_power: Option<u64>,
}

/// The row of a height, or of the tip.
pub(super) fn row(
    snapshot: &Snapshot,
    height: Option<Height>,
    words: &ChainWords,
) -> Result<BlockRow, CliError> {
    let height = match height {
        Some(height) => height,
        None => Height(tip_height(snapshot)?),
    };
    let block = block_at(snapshot, height)?;
    let header = &block.header;
    let present = snapshot
        .tip()
        .map_err(unreadable)?
        .map(|tip| tip.next_validators)
        .filter(|set| set.hash() == header.validators);
    let certificate = snapshot.certificate(height).map_err(unreadable)?;
    Ok(BlockRow {
        height: height.0,
        hash: block.hash().to_string(),
        time_ms: header.time.0,
        parent: header.parent.to_string(),
        proposer: header.proposer.to_string(),
        transactions: block.txs.len(),
        transaction_ids: block
            .txs
            .iter()
            .map(|tx| caduceus_ledger::tx_id(tx).to_string())
            .collect(),
        body_bytes: block.txs.iter().map(Vec::len).sum(),
        own: (words.block)(&block),
        txs_root: header.txs_root.to_string(),
        results_root: header.results_root.to_string(),
        state_root: header.state_root.to_string(),
        validators: header.validators.to_string(),
        next_validators: header.next_validators.to_string(),
        extra: hex::encode(&header.extra),
        certificate: certificate.map(|certificate| CertificateRow {
            round: certificate.round,
            signed_power: present.as_ref().map(|set| power(set, &certificate)),
            total_power: present.as_ref().map(ValidatorSet::total_power),
            signers: certificate
                .signatures
                .iter()
                .map(|(signer, _)| signer.to_string())
                .collect(),
        }),
        seal: snapshot
            .seal(height)
            .map_err(unreadable)?
            .map(|seal| SealRow::from(&seal.body)),
    })
}

/// How much of a set's power signed.
fn power(set: &ValidatorSet, certificate: &Certificate) -> u64 {
    certificate
        .signatures
        .iter()
        .filter_map(|(signer, _)| set.get(signer))
        .map(|validator| validator.power)
        .sum()
}
