//! `inspect record`: where a record is anchored, and its versions.

use caduceus_cli::CliError;
use caduceus_crypto::Hash;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use private_chain::{AnchorRef, query};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct VersionRow {
    record_hash: String,
    height: u64,
    position: u32,
    replaces: Option<String>,
    replaced_by: Option<String>,
    newest_version: String,
}

/// Where a record is anchored.
pub(super) fn place(view: &dyn StateView, record: &Hash) -> Result<AnchorRef, CliError> {
    query::find_record(view, record)
        .map_err(unreadable)?
        .ok_or_else(|| {
            CliError::not_found(
                format!("record {record} is not anchored on this chain"),
                "a record hash from a receipt or from hospital-server records",
            )
        })
}

/// A record's place and its neighbours.
pub(super) fn version(view: &dyn StateView, record: &Hash) -> Result<VersionRow, CliError> {
    let at = place(view, record)?;
    let text = |found: Option<Hash>| found.map(|hash| hash.to_string());
    Ok(VersionRow {
        record_hash: record.to_string(),
        height: at.height.0,
        position: at.position,
        replaces: text(query::replaces(view, record).map_err(unreadable)?),
        replaced_by: text(query::replaced_by(view, record).map_err(unreadable)?),
        newest_version: query::newest_version(view, record)
            .map_err(unreadable)?
            .to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_ledger::{Height, Overlay, Space, StateError};
    use private_chain::state;

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
}
