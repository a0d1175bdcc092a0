//! `inspect state`: the bytes under a key of the state.

use super::{tip_height, unreadable};
use caduceus_cli::CliError;
use caduceus_crypto::Hash;
use caduceus_ledger::{INDEX_KEY_BYTES, Space, StateView};
use caduceus_node::Snapshot;
use serde::Serialize;
use std::str::FromStr;

/// Longest key that is looked up.
const MAX_KEY_BYTES: usize = 1_024;

/// A key of the state, as `validate` prints keys: text, and `\xNN` for a byte that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateKey(Vec<u8>);

/// Why text is no [`StateKey`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 1024 bytes, as text with \\xNN for what is none, or as 0xHEX")]
pub struct BadStateKey;

impl FromStr for StateKey {
    type Err = BadStateKey;

    fn from_str(text: &str) -> Result<Self, BadStateKey> {
        let bytes = match text.strip_prefix("0x") {
            Some(digits) => hex::decode(digits).map_err(|_| BadStateKey)?,
            None => unescape(text).ok_or(BadStateKey)?,
        };
        if bytes.is_empty() || bytes.len() > MAX_KEY_BYTES {
            return Err(BadStateKey);
        }
        Ok(Self(bytes))
    }
}

/// The inverse of `<[u8]>::escape_ascii`.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escape, tail) = rest.split_first()?;
        rest = tail;
        bytes.push(match escape {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            b'\\' | b'\'' | b'"' => *escape,
            b'x' => {
                let (digits, tail) = rest.split_first_chunk::<2>()?;
                rest = tail;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                byte[0]
            }
            _ => return None,
        });
    }
    Some(bytes)
}

#[derive(Debug, Serialize)]
pub(super) struct StateRow {
    key: String,
    /// Which table holds it; only `auth` is under the header's state root.
    space: &'static str,
    height: u64,
    bytes: usize,
    value: String,
    /// Of the value, under `auth`: a proof of it holds against this root.
    state_root: Option<Hash>,
}

/// What the newest state holds under a key.
pub(super) fn row(snapshot: &Snapshot, key: &StateKey) -> Result<StateRow, CliError> {
    let height = tip_height(snapshot)?;
    let root = snapshot
        .tip()
        .map_err(unreadable)?
        .map(|tip| tip.header.state_root);
    for (space, name) in [
        (Space::Auth, "auth"),
        (Space::Bulk, "bulk"),
        (Space::Index, "index"),
    ] {
        if space == Space::Index && key.0.len() != INDEX_KEY_BYTES {
            continue;
        }
        if let Some(value) = snapshot.get(space, &key.0).map_err(unreadable)? {
            return Ok(StateRow {
                key: key.0.escape_ascii().to_string(),
                space: name,
                height,
                bytes: value.len(),
                value: hex::encode(value),
                state_root: root.filter(|_| space == Space::Auth),
            });
        }
    }
    Err(CliError::not_found(
        format!(
            "the state at height {height} holds nothing under {}",
            key.0.escape_ascii()
        ),
        "a key as the tables of the state name them, every byte of it; validate prints keys in this form",
    ))
}
