//! What an operator may set for a node, besides its keys and addresses: `[options]` in `node.toml`.

use serde::{Deserialize, Serialize};

/// Settings with defaults that suit a hospital's node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeOptions {
    /// How a node without a chain gets one.
    pub join: Join,
    /// Which blocks stay.
    pub keep: Keep,
    /// Heights between two snapshots; without it, [`crate::statesync::SNAPSHOT_EVERY`]. The same on all nodes of a
    /// chain: a snapshot that no other node makes is attested by nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_every: Option<u64>,
    /// Write down every vote and proposal that is signed, in `signed.journal`, before it leaves the process: for
    /// tests that look for double signatures. The file grows without end.
    pub sign_journal: bool,
    /// Sign without the last-signed guard, which leads to double signatures: for the control of a crash test, and
    /// refused by every other program. See [`crate::bft::Signing`].
    pub risky_no_guard: bool,
}

/// How a node without a chain gets one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// By the newest snapshot that more than two thirds of the validators attest to; by all blocks, where nobody has
    /// one.
    #[default]
    Snapshot,
    /// By executing all blocks from the genesis. An archive node joins like this.
    Blocks,
}

/// Which blocks a node keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// All that it ever had.
    #[default]
    All,
    /// Those above the older of the two newest snapshots; headers and certificates of all.
    Snapshot,
}
