//! Snapshots of the state: made by every node, attested by validators, joined from by new nodes.
//!
//! A header's state root certifies the authenticated rows alone; plain rows and the index follow from blocks and are
//! under no root. So a snapshot of height H is all three, in key order, cut into chunks ([`rows`]), and its
//! [`Manifest`] commits to them. A validator that executed the chain to H and cut the same manifest signs it. Whoever
//! joins checks:
//!
//! | what | by |
//! |---|---|
//! | the header of H | its certificate, under validators reached from the genesis |
//! | authenticated rows | the state root of that header |
//! | plain rows, index rows | attestations of more than two thirds of the power that voted on H |
//!
//! So a third of the power cannot make a node believe wrong rows of any kind, but rows of the last kind rest on what
//! validators say of H alone, not on a proof. A node that believes nobody starts with `join = "blocks"`.

mod attest;
mod fetch;
mod folder;
mod join;
mod keeper;
mod load;
mod make;
mod manifest;
pub mod rows;
mod serve;
mod tend;
mod trust;

pub use attest::{Attestation, AttestationError, Attestations};
pub use fetch::FetchError;
pub use folder::{Folder, SnapshotError, list};
pub use join::{JoinError, Joined, join};
pub use keeper::{Keeper, Kept};
pub(crate) use keeper::{Maker, folder_of};
pub(crate) use load::load;
pub(crate) use make::Cut;
pub use manifest::{BadManifest, Manifest, Section};
pub use serve::serve_snapshots;
pub(crate) use trust::reach;

/// Heights between two snapshots. All nodes of a chain use the same, or no manifest finds its attestations.
pub const SNAPSHOT_EVERY: u64 = 10_000;
/// Snapshots kept, the newest ones.
pub const KEPT: usize = 2;
