//! `inspect heads`: how far each private chain is checkpointed and linked.

use alliance_chain::query;
use caduceus_cli::CliError;
use caduceus_crypto::TimeMillis;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct HeadRow {
    hospital: String,
    name: String,
    /// Private height of the last checkpoint; none before the first.
    checkpointed: Option<u64>,
    hash: Option<String>,
    /// Its time on the private chain.
    time_ms: Option<u64>,
    /// Alliance block time of the checkpoint.
    recorded_at_ms: Option<u64>,
    /// Age of the checkpoint at the alliance's last block.
    age_ms: Option<u64>,
    /// Private height up to which every anchored record is linked.
    linked: u64,
    records: u64,
    digest: Option<String>,
}

/// One row a hospital that is or was a member. `now` is the time of the last block.
pub(super) fn rows(view: &dyn StateView, now: TimeMillis) -> Result<Vec<HeadRow>, CliError> {
    let mut rows = Vec::new();
    for record in query::members_ever(view).map_err(unreadable)? {
        let hospital = record.member.hospital;
        let head = query::checkpoint_head(view, &hospital).map_err(unreadable)?;
        let linked = query::linked_head(view, &hospital).map_err(unreadable)?;
        rows.push(HeadRow {
            hospital: hospital.to_string(),
            name: record.member.name,
            checkpointed: head.map(|head| head.height.0),
            hash: head.map(|head| head.hash.to_string()),
            time_ms: head.map(|head| head.time.0),
            recorded_at_ms: head.map(|head| head.recorded_at.0),
            age_ms: head.map(|head| now.0.saturating_sub(head.recorded_at.0)),
            linked: query::linked_height(view, &hospital).map_err(unreadable)?,
            records: linked.map_or(0, |linked| linked.records),
            digest: linked.map(|linked| linked.digest.to_string()),
        });
    }
    Ok(rows)
}
