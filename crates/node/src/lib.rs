//! Run a chain: engines, store, mempool and sync.
//!
//! A [`Node`] owns one chain: [`store::Store`] keeps it, [`chain::Chain`] executes it, an engine decides it
//! (`bft`: Malachite; `solo`: one sequencer; `pow`: one
//! sequencer that mines each block). docs/design.md tells what is durable when.

pub mod bft;
pub mod chain;
mod database;
mod filter;
pub mod guard;
#[cfg(feature = "risky-no-guard")]
pub mod hazmat;
pub mod home;
pub mod key_file;
pub mod mempool;
pub mod node;
pub mod options;
pub mod pending;
pub mod pow;
pub mod relay;
pub mod service;
pub mod solo;
pub mod stages;
pub mod statesync;
pub mod store;
pub mod tag_index;
pub mod validate;

pub use chain::{Chain, Committed, LiveCheck, SubmitError};
pub use guard::{Guard, GuardError};
pub use home::{HomeError, NodeFile, NodeHome};
pub use node::{BftSettings, Clock, Engine, Node, NodeConfig, NodeError, SystemClock, TxRelay};
pub use options::NodeOptions;
pub use pow::PowSettings;
pub use relay::{PeerRelay, RelayPeers};
pub use service::{ChainPolicy, PeerWitness, serve_chain};
pub use stages::{Stage, StageTimes, Stages};
pub use store::{Snapshot, Store, StoreError};
