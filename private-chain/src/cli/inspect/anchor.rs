//! `inspect anchor`: the evidence of one record.

use super::record;
use caduceus_cli::CliError;
use caduceus_crypto::Hash;
use caduceus_ledger::{Height, StateView};
use caduceus_operator::{Fields, unreadable};
use private_chain::{AnchorRef, query};
use serde::Serialize;
use std::str::FromStr;

/// A record by its hash, or an anchor by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum AnchorName {
    /// The hash.
    Record(Hash),
    /// Height and position.
    Place(AnchorRef),
}

/// Why text is no [`AnchorName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a record hash of 64 hexadecimal digits, or HEIGHT/POSITION")]
pub(in crate::cli) struct BadAnchorName;

impl FromStr for AnchorName {
    type Err = BadAnchorName;

    fn from_str(text: &str) -> Result<Self, BadAnchorName> {
        if let Some((height, position)) = text.split_once('/') {
            let place = AnchorRef {
                height: Height(height.parse().map_err(|_| BadAnchorName)?),
                position: position.parse().map_err(|_| BadAnchorName)?,
            };
            return Ok(AnchorName::Place(place));
        }
        text.parse()
            .map(AnchorName::Record)
            .map_err(|_| BadAnchorName)
    }
}

#[derive(Serialize)]
pub(super) struct AnchorRow {
    height: u64,
    position: u32,
    #[serde(flatten)]
    said: Fields,
    /// Whether signatures and form hold by themselves.
    evidence_holds: bool,
    evidence_fault: Option<String>,
    replaces: Option<String>,
    replaced_by: Option<String>,
}

/// The row of an anchor.
pub(super) fn row(view: &dyn StateView, name: &AnchorName) -> Result<AnchorRow, CliError> {
    let at = match name {
        AnchorName::Record(hash) => record::place(view, hash)?,
        AnchorName::Place(at) => *at,
    };
    let anchor = query::anchor(view, &at)
        .map_err(unreadable)?
        .ok_or_else(|| {
            CliError::not_found(
                format!("there is no anchor at {}/{}", at.height, at.position),
                "a height with anchors, from inspect blocks, and a position below their number",
            )
        })?;
    let hash = anchor.body.record_hash;
    let text = |found: Option<Hash>| found.map(|hash| hash.to_string());
    let fault = anchor.check().err();
    Ok(AnchorRow {
        height: at.height.0,
        position: at.position,
        said: super::words::anchor(&anchor),
        evidence_holds: fault.is_none(),
        evidence_fault: fault.map(|fault| fault.to_string()),
        replaces: text(query::replaces(view, &hash).map_err(unreadable)?),
        replaced_by: text(query::replaced_by(view, &hash).map_err(unreadable)?),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_has_two_names() {
        let hash = Hash([7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(AnchorName::Record(hash)));
        let place = AnchorRef {
            height: Height(12),
            position: 3,
        };
        assert_eq!("12/3".parse(), Ok(AnchorName::Place(place)));
        for bad in ["", "12", "12/", "/3", "12/-1", "12/3/4", "xx"] {
            assert_eq!(bad.parse::<AnchorName>(), Err(BadAnchorName), "{bad}");
        }
    }
}
