//! Speak with the alliance for end users: verified heads, state and transactions, records, proxies, servers.
//!
//! An [`Alliance`] is a session with the nodes of the alliance chain. It trusts the genesis and nothing else:
//! each answer is checked by the light client (DESIGN 4.5), and a node whose answer does not hold is dropped
//! for the next one. It calls from a fresh key unless told otherwise, so that two sessions of one person can't
//! be linked by their peer identifiers.
//!
//! What the user's own keys do (trapdoors, opening, delegating) is not here but in `caduceus-custody`.

mod cli_error;
mod error;
mod fragment;
mod hand_in;
mod head;
mod linked;
mod network;
mod record;
mod server;
mod session;
mod state;
mod submit;
mod trust;
mod turns;

pub use alliance_chain::consent::{fragment_receipt, purpose_commitment};
pub use error::ClientError;
pub use linked::{LinkedHistory, LinkedLeaf, leaves_of};
pub use network::{Hospital, index_scheme, load_network};
pub use record::RightKey;
pub use server::{ask_server, fetch_receipt};
pub use session::{Alliance, Clock, ConnectOptions, Kept, ephemeral_service, system_clock};
pub use state::Listing;
pub use submit::Proved;
pub use trust::{FollowError, KeptError, Source, TRUSTED_FILE, Trust};
pub use turns::shuffle;
