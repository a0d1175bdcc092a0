//! What the bench prints.

use crate::bench::measure::{Machine, rounded};
use crate::loopback::Chains;
use caduceus_node::Stage;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Milliseconds, to a tenth.
pub(super) fn ms(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3, 1)
}

/// Of times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) links_per_s: f64,
    pub(super) blocks: u64,
    /// From a `Link`'s submission to its block, as the submitter waits.
    pub(super) commit_ms: Percentiles,
    /// By how much the first validator's files grew.
    pub(super) bytes_per_link: f64,
    /// Processor time of the whole process: all validators and the submitter.
    pub(super) cpu_s_per_1000_links: f64,
    pub(super) validators_agree: bool,
    pub(super) engine: String,
    pub(super) validators: usize,
    pub(super) links: u32,
    pub(super) tags: u16,
    pub(super) preloaded: u32,
    pub(super) link_transactions: usize,
    pub(super) anchors_a_private_block: u32,
    /// Records that the chain says were linked while it was timed.
    pub(super) linked: u64,
    pub(super) wall_s: f64,
    /// By stage, over all validators.
    pub(super) stages: Stages,
    /// Tables of the first validator.
    pub(super) tables: Vec<Table>,
    pub(super) machine: Machine,
}

/// Times of a stage, over all validators.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct StageRow {
    /// How often it ran.
    count: u64,
    /// All its time.
    total_s: f64,
    /// Median of the median validator's newest times.
    p50_ms: f64,
    /// The slowest validator's.
    p99_ms: f64,
}

/// One row a stage, in order.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Stages(BTreeMap<&'static str, StageRow>);

impl Stages {
    pub(super) fn of(chains: &Chains) -> Self {
        let rows = Stage::ALL.map(|stage| {
            let mut times: Vec<_> = chains
                .alliance_here()
                .map(|node| node.node.chain().stages().of(stage))
                .collect();
            times.sort_by_key(|times| times.p50);
            let total: Duration = times.iter().map(|times| times.total).sum();
            let row = StageRow {
                count: times.iter().map(|times| times.count).sum(),
                total_s: rounded(total.as_secs_f64(), 3),
                p50_ms: ms(times.get(times.len() / 2).map_or(Duration::ZERO, |t| t.p50)),
                p99_ms: ms(times.iter().map(|t| t.p99).max().unwrap_or_default()),
            };
            (stage.as_str(), row)
        });
        Self(rows.into_iter().collect())
    }
}

/// One table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Table {
    table: &'static str,
    rows: u64,
    stored_bytes: u64,
    page_bytes: u64,
}

/// The tables of the first validator.
pub(super) fn tables(chains: &Chains) -> anyhow::Result<Vec<Table>> {
    let Some(node) = chains.alliance(0) else {
        return Ok(Vec::new());
    };
    Ok(node
        .node
        .chain()
        .store()
        .sizes()?
        .into_iter()
        .map(|size| Table {
            table: size.table,
            rows: size.rows,
            stored_bytes: size.stored_bytes,
            page_bytes: size.page_bytes,
        })
        .collect())
}
