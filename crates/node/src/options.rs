//! What an operator may set for a node, besides its keys and addresses: `[options]` in `node.toml`.

use serde::{Deserialize, Serialize};

/// Settings with defaults that suit a hospital's node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeOptions {}
