//! The `bft` engine: Malachite (Tendermint, arXiv:1807.04938) over libp2p.
//!
//! `context` names the types, `codec` their bytes, `signer` the guarded signatures, `signing` which signer a
//! validator gets, `parts` how a block travels, `app` answers what consensus asks, `engine` starts and supervises it.

mod app;
mod codec;
mod context;
mod engine;
mod parts;
mod peers;
mod signer;
mod signing;

pub use engine::{Progress, Run};
pub use signing::Signing;
pub use signing::journal::{JOURNAL_FILE, JournalError, SignJournal, Signed, double_signatures};
