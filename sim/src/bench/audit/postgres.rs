//! The same rows and queries on PostgreSQL, as the peer: single-row inserts that are durable before they are
//! acknowledged, from many connections at once, into a table with an index for each field and for the usual pairs.

use super::idash::{Query, Row};
use anyhow::{Context, ensure};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// Table of the bench: made anew, and dropped at the end.
const TABLE: &str = "caduceus_bench_audit";

/// What PostgreSQL took.
pub(super) struct Peer {
    /// All inserts.
    pub(super) insert: Duration,
    /// Each query, rows fetched and decoded, in the order of the queries.
    pub(super) queries: Vec<Duration>,
    /// Queries whose rows are not those of the scan.
    pub(super) wrong: usize,
    /// Bytes of the table with its indexes.
    pub(super) bytes: u64,
    /// As the server names itself.
    pub(super) version: String,
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("PostgreSQL cannot be reached")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

/// Inserts all rows over so many connections and runs the queries over one.
pub(super) async fn run(
    url: &str,
    rows: &[Row],
    queries: &[(Query, Vec<Row>)],
    connections: usize,
) -> anyhow::Result<Peer> {
    let client = connect(url).await?;
    let version: String = client.query_one("select version()", &[]).await?.get(0);
    let commit: String = client
        .query_one("show synchronous_commit", &[])
        .await?
        .get(0);
    let fsync: String = client.query_one("show fsync", &[]).await?.get(0);
    ensure!(
        commit == "on" && fsync == "on",
        "PostgreSQL runs with synchronous_commit={commit} and fsync={fsync}: both must be on"
    );
    client.batch_execute(&schema()).await?;
    let insert = insert(url, rows, connections).await?;
    client.batch_execute(&format!("analyze {TABLE}")).await?;
    let mut peer = Peer {
        insert,
        queries: Vec::new(),
        wrong: 0,
        bytes: 0,
        version,
    };
    // Once to warm up, as the nodes are warmed up.
    for timed in [false, true] {
        for (query, expected) in queries {
            let (took, found) = ask(&client, query).await?;
            if timed {
                peer.queries.push(took);
                peer.wrong += usize::from(!super::same(expected, found));
            }
        }
    }
    let size = format!("select pg_total_relation_size('{TABLE}')");
    let bytes: i64 = client.query_one(&size, &[]).await?.get(0);
    peer.bytes = u64::try_from(bytes).unwrap_or(0);
    client.batch_execute(&format!("drop table {TABLE}")).await?;
    Ok(peer)
}

fn schema() -> String {
    let mut text = format!(
        "drop table if exists {TABLE};
         create table {TABLE} (ts bigint not null, node int not null, id int not null, refid int not null,
             usr int not null, activity text not null, resource text not null, primary key (node, id));"
    );
    let indexes = [
        "ts",
        "id",
        "refid, usr",
        "usr, ts",
        "resource, refid",
        "activity, node",
        "node, ts",
    ];
    for fields in indexes {
        text.push_str(&format!("create index on {TABLE} ({fields});"));
    }
    text
}

async fn insert(url: &str, rows: &[Row], connections: usize) -> anyhow::Result<Duration> {
    let waiting: Arc<Mutex<VecDeque<Row>>> = Arc::new(Mutex::new(rows.iter().cloned().collect()));
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(connect(url).await?);
    }
    let begun = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for client in clients {
        let waiting = Arc::clone(&waiting);
        running.spawn(async move {
            let insert = client
                .prepare(&format!(
                    "insert into {TABLE} values ($1, $2, $3, $4, $5, $6, $7)"
                ))
                .await?;
            loop {
                let next = waiting
                    .lock()
                    .expect("no holder of this lock panics")
                    .pop_front();
                let Some(row) = next else {
                    return anyhow::Ok(());
                };
                let numbers = [row.node, row.id, row.ref_id, row.user].map(i32::try_from);
                let [node, id, ref_id, user] = numbers;
                let timestamp = i64::try_from(row.timestamp)?;
                client
                    .execute(
                        &insert,
                        &[
                            &timestamp,
                            &node?,
                            &id?,
                            &ref_id?,
                            &user?,
                            &row.activity,
                            &row.resource,
                        ],
                    )
                    .await?;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(begun.elapsed())
}

/// Runs one query, prepared beforehand, and fetches its rows.
async fn ask(client: &Client, query: &Query) -> anyhow::Result<(Duration, Vec<Row>)> {
    let mut clauses = Vec::new();
    let mut values: Vec<Box<dyn ToSql + Sync + Send>> = Vec::new();
    let mut add = |clause: &str, value: Option<Box<dyn ToSql + Sync + Send>>| {
        if let Some(value) = value {
            values.push(value);
            clauses.push(format!("{clause} ${}", values.len()));
        }
    };
    let long =
        |value: Option<u64>| value.map(|v| Box::new(v as i64) as Box<dyn ToSql + Sync + Send>);
    let int =
        |value: Option<u32>| value.map(|v| Box::new(v as i32) as Box<dyn ToSql + Sync + Send>);
    let text = |value: &Option<String>| {
        value
            .clone()
            .map(|v| Box::new(v) as Box<dyn ToSql + Sync + Send>)
    };
    add("ts =", long(query.timestamp));
    add("ts >=", long(query.start));
    add("ts <=", long(query.end));
    add("node =", int(query.node));
    add("id =", int(query.id));
    add("refid =", int(query.ref_id));
    add("usr =", int(query.user));
    add("activity =", text(&query.activity));
    add("resource =", text(&query.resource));
    let statement = client
        .prepare(&format!(
            "select ts, node, id, refid, usr, activity, resource from {TABLE} where {}",
            clauses.join(" and ")
        ))
        .await?;
    let values: Vec<&(dyn ToSql + Sync)> = values
        .iter()
        .map(|value| value.as_ref() as &(dyn ToSql + Sync))
        .collect();
    let begun = Instant::now();
    let found = client.query(&statement, &values).await?;
    let rows = found
        .iter()
        .map(|row| {
            let int = |n: usize| u32::try_from(row.get::<_, i32>(n)).unwrap_or(0);
            Row {
                timestamp: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
                node: int(1),
                id: int(2),
                ref_id: int(3),
                user: int(4),
                activity: row.get(5),
                resource: row.get(6),
            }
        })
        .collect();
    Ok((begun.elapsed(), rows))
}
