//! `inspect`: shows what a node stores.

use caduceus_cli::{CliError, Output};
use caduceus_crypto::Hash;
use caduceus_ledger::{Height, StateView};
use caduceus_node::{NodeHome, Store};
use clap::Subcommand;
use private_chain::{AnchorsExtra, Tx, query};
use serde::Serialize;

/// What to show.
#[derive(Debug, Subcommand)]
pub(super) enum Inspect {
    /// A block's header; the last one if no height is given.
    Block { height: Option<u64> },
    /// The staff enrolled on the chain.
    Staff,
    /// Where a record is anchored, and which versions of it there are.
    Record {
        /// Its hash, 64 digits.
        #[arg(value_name = "RECORD_HASH")]
        record: Hash,
    },
}

#[derive(Serialize)]
struct BlockRow {
    height: u64,
    hash: String,
    time_ms: u64,
    transactions: usize,
    anchors: u32,
    amendments: usize,
    proposer: String,
    state_root: String,
}

#[derive(Serialize)]
struct VersionRow {
    record_hash: String,
    height: u64,
    position: u32,
    replaces: Option<String>,
    replaced_by: Option<String>,
    newest_version: String,
}

#[derive(Serialize)]
struct StaffRow {
    key: String,
    role: String,
    label: String,
    suspended: bool,
}

fn failed(e: impl std::fmt::Display) -> CliError {
    CliError::failure(
        format!("the store cannot be read: {e}"),
        "stop the node first, then inspect",
    )
}

/// Prints what was asked for.
pub(super) fn run(home: &NodeHome, what: &Inspect, output: &Output) -> Result<(), CliError> {
    let store = Store::open(&home.path.join("chain.redb")).map_err(failed)?;
    let snapshot = store.snapshot().map_err(failed)?;
    match what {
        Inspect::Block { height } => {
            let tip = snapshot
                .tip()
                .map_err(failed)?
                .map_or(0, |t| t.header.height.0);
            let height = Height(height.unwrap_or(tip));
            let block = snapshot.block(height).map_err(failed)?.ok_or_else(|| {
                CliError::not_found(
                    format!("there is no block {height}"),
                    format!("a height from 0 to {tip}"),
                )
            })?;
            output.object(&BlockRow {
                height: height.0,
                hash: block.hash().to_string(),
                time_ms: block.header.time.0,
                transactions: block.txs.len(),
                anchors: AnchorsExtra::parse(&block.header.extra).map_or(0, |extra| extra.count),
                amendments: amendments(&block.txs),
                proposer: block.header.proposer.to_string(),
                state_root: block.header.state_root.to_string(),
            })
        }
        Inspect::Staff => {
            let view: &dyn StateView = &snapshot;
            let staff = query::all_staff(view, 10_000).map_err(failed)?;
            let rows: Vec<StaffRow> = staff
                .into_iter()
                .map(|(key, record)| StaffRow {
                    key: key.to_string(),
                    role: format!("{:?}", record.role).to_lowercase(),
                    label: record.label,
                    suspended: record.suspended_at.is_some(),
                })
                .collect();
            output.rows(&rows)
        }
        Inspect::Record { record } => output.object(&version(&snapshot, record)?),
    }
}

/// How many of a block's anchors replace an earlier record.
fn amendments(txs: &[Vec<u8>]) -> usize {
    txs.iter()
        .filter(|tx| matches!(Tx::decode(tx), Ok(Tx::Amend(_))))
        .count()
}

fn version(view: &dyn StateView, record: &Hash) -> Result<VersionRow, CliError> {
    let at = query::find_record(view, record)
        .map_err(failed)?
        .ok_or_else(|| {
            CliError::not_found(
                format!("record {record} is not anchored on this chain"),
                "a record hash from a receipt or from hospital-server records",
            )
        })?;
    let text = |found: Option<Hash>| found.map(|hash| hash.to_string());
    Ok(VersionRow {
        record_hash: record.to_string(),
        height: at.height.0,
        position: at.position,
        replaces: text(query::replaces(view, record).map_err(failed)?),
        replaced_by: text(query::replaced_by(view, record).map_err(failed)?),
        newest_version: query::newest_version(view, record)
            .map_err(failed)?
            .to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_ledger::{Overlay, Space, StateError};
    use private_chain::{AnchorRef, state};

    /// A store that holds nothing.
    struct Nothing;

    impl StateView for Nothing {
        fn get(&self, _: Space, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }

        fn scan(
            &self,
            _: Space,
            _: &[u8],
            _: usize,
        ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_record_is_shown_with_its_versions() {
        let [first, second] = [Hash([1; 32]), Hash([2; 32])];
        let mut state = Overlay::new(&Nothing);
        for (height, record) in [(3, first), (5, second)] {
            let at = AnchorRef {
                height: Height(height),
                position: 0,
            };
            state::record(&record).put(&mut state, &at);
        }
        state::replaced_by(&first).put(&mut state, &second);
        state::replaces(&second).put(&mut state, &first);
        let old = version(&state, &first).unwrap();
        assert_eq!((old.height, old.replaces), (3, None));
        assert_eq!(old.replaced_by, Some(second.to_string()));
        assert_eq!(old.newest_version, second.to_string());
        let new = version(&state, &second).unwrap();
        assert_eq!((new.height, new.replaced_by), (5, None));
        assert_eq!(new.replaces, Some(first.to_string()));
        assert_eq!(new.newest_version, second.to_string());
    }

    #[test]
    fn an_unknown_record_is_two_lines() {
        let Err(error) = version(&Nothing, &Hash([9; 32])) else {
            panic!("the store holds nothing");
        };
        assert_eq!(error.exit, caduceus_cli::ExitCode::NotFound);
        let record = "09".repeat(32);
        assert_eq!(
            error.to_string(),
            format!(
                "error: record {record} is not anchored on this chain\n\
                 try: a record hash from a receipt or from hospital-server records"
            )
        );
    }

    #[test]
    fn only_amendments_are_counted() {
        let audit = Tx::audit(Vec::new()).encode();
        assert_eq!(amendments(&[audit, vec![255; 8], Vec::new()]), 0);
    }
}
