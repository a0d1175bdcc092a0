//! What the bench prints.

use super::postgres::Peer;
use crate::bench::measure::{Machine, millis, percentile, rounded};
use serde::Serialize;
use std::time::Duration;

/// Of times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Percentiles {
    pub(super) fn of(times: &[Duration]) -> Self {
        let at = |percent| millis(percentile(times, percent));
        Self {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) rows: usize,
    /// Until every row was durable on more than two thirds of the validators and readable at all of them.
    pub(super) insert_rows_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres_insert_rows_per_s: Option<f64>,
    pub(super) queries: usize,
    /// Answers, of any node, that are not those of a scan of the files.
    pub(super) wrong: usize,
    /// Over all queries at all nodes, in the node's process, all rows at hand. PostgreSQL's are those of a client on a
    /// socket of the same machine, without encryption.
    pub(super) query_ms: Percentiles,
    /// The same queries as a client of the node waits for all rows: an exchange for each page, inside Noise.
    pub(super) query_network_ms: Percentiles,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres_query_ms: Option<Percentiles>,
    /// Median here over PostgreSQL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_p50: Option<f64>,
    /// Largest here over PostgreSQL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_max: Option<f64>,
    /// Median over the network over PostgreSQL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_network_p50: Option<f64>,
    /// Largest over the network over PostgreSQL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_network_max: Option<f64>,
    /// By how much the first node's folder grew, over the rows.
    pub(super) bytes_per_row: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres_bytes_per_row: Option<f64>,
    /// From a row's submission to the proof of its block, as the submitter waits.
    pub(super) commit_ms: Percentiles,
    /// Rows of which each was signed by a person and her signature checked, in a run of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) person_signed_rows_per_s: Option<f64>,
    /// Rows whose submitters wait at once.
    pub(super) in_flight: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres_connections: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres_wrong: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres_version: Option<String>,
    pub(super) validators: usize,
    pub(super) blocks: u64,
    /// Processor time of this process while rows were inserted, over thousand rows.
    pub(super) cpu_s_per_1000_rows: f64,
    pub(super) insert_s: f64,
    /// Rows over all queries, at one node.
    pub(super) rows_returned: usize,
    pub(super) machine: Machine,
}

impl Report {
    /// Adds what PostgreSQL took.
    pub(super) fn beside(&mut self, peer: Peer, connections: usize) {
        let times = Percentiles::of(&peer.queries);
        self.postgres_insert_rows_per_s =
            Some(rounded(self.rows as f64 / peer.insert.as_secs_f64(), 1));
        self.ratio_p50 = Some(rounded(self.query_ms.p50 / times.p50, 3));
        self.ratio_max = Some(rounded(self.query_ms.max / times.max, 3));
        self.ratio_network_p50 = Some(rounded(self.query_network_ms.p50 / times.p50, 3));
        self.ratio_network_max = Some(rounded(self.query_network_ms.max / times.max, 3));
        self.postgres_query_ms = Some(times);
        self.postgres_bytes_per_row = Some(rounded(peer.bytes as f64 / self.rows as f64, 1));
        self.postgres_connections = Some(connections);
        self.postgres_wrong = Some(peer.wrong);
        self.postgres_version = Some(peer.version);
    }
}
