//! The audit task of the iDASH 2018 competition, track 1, on four validators of a private chain: each row is submitted
//! by itself at one node and must be durable and readable at all; then the 100 queries run at every node (DESIGN 11).
//!
//! The chain is real: validators of [`crate::layout::Layout`] in this process, each with its own sockets, store, engine
//! and index. Beside each runs the log writer of a hospital's server, which gathers what is waiting into batches.
//! Every answer of every node is compared with a scan of the files. PostgreSQL does the same task in the same run,
//! where a URL is given.

mod idash;
mod load;
mod postgres;
mod report;

use self::idash::{Query, Row};
use self::report::{Percentiles, Report};
use super::measure::{Machine, rounded};
use anyhow::Context;
use caduceus_cli::{CliError, Output};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// What to load the chain with.
#[derive(Clone, Debug, Args)]
pub struct AuditBenchArgs {
    /// Folder of the competition's files: test0.txt.gz to test3.txt.gz and gerstein-100-queries.txt
    #[arg(long, value_name = "DIR")]
    idash: PathBuf,
    /// Do the same on this PostgreSQL server, which must not be in use: postgresql://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Connections to PostgreSQL that insert at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=90))]
    postgres_connections: u16,
    /// Rows of each node's file [default: all]
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Submitters that wait for their rows at once, over all nodes
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u16).range(4..))]
    in_flight: u16,
    /// Rows signed by a person each, in a run of their own; 0 for none
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    person_signed: usize,
    /// How often the queries run at each node, the first time not timed
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=100))]
    rounds: u8,
}

/// Runs the bench and prints the report.
///
/// # Errors
/// Not found, when the files are not there; failure, when it could not be run to its end; verification failed, when an
/// answer is not that of the scan.
pub async fn run(arguments: &AuditBenchArgs, output: &Output) -> Result<(), CliError> {
    let files = arguments.idash.join("test0.txt.gz");
    if !files.exists() {
        return Err(CliError::not_found(
            format!("{} is not there", files.display()),
            "--idash DIR with the files of iDASH 2018, track 1 (github.com/Emory-AIMS/idash2018)",
        ));
    }
    let report = measure(arguments, output).await.map_err(|e| {
        CliError::failure(
            format!("the bench stopped: {e:#}"),
            "run it again with -v to see more",
        )
    })?;
    output.object(&report)?;
    if report.wrong == 0 && report.postgres_wrong.unwrap_or(0) == 0 {
        return Ok(());
    }
    Err(CliError::verification_failed(
        format!("{} answers are not those of the scan", report.wrong),
        "report this with the command's output",
    ))
}

async fn measure(arguments: &AuditBenchArgs, output: &Output) -> anyhow::Result<Report> {
    let mut by_node = idash::rows(&arguments.idash)?;
    if let Some(limit) = arguments.rows {
        for rows in &mut by_node {
            rows.truncate(limit);
        }
    }
    let queries = idash::queries(&arguments.idash)?;
    let rows: Vec<Row> = by_node.iter().flatten().cloned().collect();
    let queries = scanned(&rows, queries);

    let network = load::Network::start(arguments.in_flight.into()).await?;
    output.note(&format!("inserting {} rows", rows.len()));
    let inserted = network.insert(&by_node).await?;
    output.note(&format!("running {} queries at each node", queries.len()));
    let mut asked = Asked::default();
    for node in 0..network.nodes() {
        for round in 0..arguments.rounds {
            asked.round(&network, node, &queries, round > 0).await?;
        }
    }
    let person_signed_rows_per_s = match arguments.person_signed {
        0 => None,
        count => {
            output.note(&format!("inserting {count} rows that persons signed"));
            let took = network.insert_signed(&by_node, count).await?;
            Some(rounded(count as f64 / took.as_secs_f64(), 1))
        }
    };
    network.stop().await;

    let count = rows.len() as f64;
    let mut report = Report {
        rows: rows.len(),
        insert_rows_per_s: rounded(count / inserted.took.as_secs_f64(), 1),
        postgres_insert_rows_per_s: None,
        queries: queries.len(),
        wrong: asked.wrong,
        query_ms: Percentiles::of(&asked.inside),
        query_network_ms: Percentiles::of(&asked.outside),
        ratio_network_p50: None,
        ratio_network_max: None,
        postgres_query_ms: None,
        ratio_p50: None,
        ratio_max: None,
        bytes_per_row: rounded(inserted.bytes as f64 / count, 1),
        postgres_bytes_per_row: None,
        commit_ms: Percentiles::of(&inserted.waits),
        person_signed_rows_per_s,
        in_flight: arguments.in_flight.into(),
        postgres_connections: None,
        postgres_wrong: None,
        postgres_version: None,
        validators: load::VALIDATORS,
        blocks: inserted.blocks,
        cpu_s_per_1000_rows: rounded(inserted.cpu.as_secs_f64() * 1000.0 / count, 3),
        insert_s: rounded(inserted.took.as_secs_f64(), 3),
        rows_returned: queries.iter().map(|(_, expected)| expected.len()).sum(),
        machine: Machine::here(),
    };
    if let Some(url) = &arguments.postgres {
        output.note("the same on PostgreSQL");
        let connections = usize::from(arguments.postgres_connections);
        let peer = postgres::run(url, &rows, &queries, connections)
            .await
            .context("PostgreSQL")?;
        report.beside(peer, connections);
    }
    Ok(report)
}

/// Each query with the rows that a scan finds, ascending.
fn scanned(rows: &[Row], queries: Vec<Query>) -> Vec<(Query, Vec<Row>)> {
    queries
        .into_iter()
        .map(|query| {
            let fitting = rows.iter().filter(|row| query.fits(row));
            let mut expected: Vec<Row> = fitting.cloned().collect();
            expected.sort_unstable();
            (query, expected)
        })
        .collect()
}

/// Whether the rows found are the expected ones, each once.
fn same(expected: &[Row], mut found: Vec<Row>) -> bool {
    found.sort_unstable();
    found == expected
}

/// What the nodes took for the queries.
#[derive(Default)]
struct Asked {
    /// As a client waits.
    outside: Vec<Duration>,
    /// Inside the node.
    inside: Vec<Duration>,
    wrong: usize,
}

impl Asked {
    async fn round(
        &mut self,
        network: &load::Network,
        node: usize,
        queries: &[(Query, Vec<Row>)],
        timed: bool,
    ) -> anyhow::Result<()> {
        for (query, expected) in queries {
            let (took, found) = network.ask(node, query).await?;
            let (took_inside, found_inside) = network.ask_inside(node, query)?;
            if timed {
                self.outside.push(took);
                self.inside.push(took_inside);
            }
            self.wrong += usize::from(!same(expected, found));
            self.wrong += usize::from(!same(expected, found_inside));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn row(id: u32, user: u32) -> Row {
        Row {
            timestamp: 1_000 + u64::from(id),
            node: 1,
            id,
            ref_id: 1,
            user,
            activity: "FILE_ACCESS".into(),
            resource: "MOD_GMOD".into(),
        }
    }

    #[test]
    fn an_answer_is_right_only_if_it_is_the_scans() {
        let rows = [row(1, 8), row(2, 9), row(3, 8)];
        let query = Query {
            user: Some(8),
            ..Query::default()
        };
        let (_, expected) = scanned(&rows, vec![query]).remove(0);
        assert_eq!(expected, [row(1, 8), row(3, 8)]);
        let right = vec![row(3, 8), row(1, 8)];
        assert!(same(&expected, right.clone()));
        assert!(!same(&expected, vec![row(1, 8)]));
        assert!(!same(&expected, vec![row(1, 8), row(1, 8)]));
        assert!(!same(&expected, vec![row(1, 8), row(2, 9)]));
        assert!(!same(&expected, [right, vec![row(2, 9)]].concat()));
    }
}
