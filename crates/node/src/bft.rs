//! The `bft` engine: Malachite (Tendermint, arXiv:1807.04938) over libp2p.
//!
//! `context` names the types, `codec` their bytes, `wal` log and guard, `signer` the guarded signatures, `signing` which
//! signer a validator gets, `parts` how a block travels, `peers` who is let in, `app` answers what consensus asks,
//! `engine` starts and supervises it, `heard` and `progress` tell how it does, `evidence` keeps proof of misbehaviour.

mod app;
mod codec;
mod context;
mod engine;
mod evidence;
mod heard;
mod parts;
mod peers;
mod progress;
mod signer;
mod signing;
pub mod wal;

pub use engine::{Answer, Run, Witness, Witnesses};
pub use evidence::{Evidence, EvidenceFolder};
pub use heard::SignedVote;
pub use progress::{Progress, Report, STALLED_AFTER};
pub use signing::journal::{JOURNAL_FILE, JournalError, SignJournal, Signed, double_signatures};
pub use signing::{Signing, open_log};
