//! Carry exchanges between authorised peers over a libp2p service swarm.
//!
//! One process runs one [`Service`]. It answers the exchanges it was told to [`Service::serve`] and asks
//! others with [`Service::call`]. An exchange is one request and one response on one libp2p stream of its
//! own; [`exchange`] lists them, one file each, with their bytes and limits. Who is calling is what the
//! Noise handshake proved: a [`Peer`] carries the caller's secp256k1 key. See DESIGN section 7.
//!
//! # Bytes of an exchange
//!
//! | who | bytes |
//! |---|---|
//! | caller | length of the request, `u32` little-endian; the request in borsh |
//! | callee | length of the response, `u32` little-endian; the response in borsh; end of stream |
//!
//! A length is compared with the exchange's limit before anything is allocated, and the body is read into a
//! buffer that grows as bytes arrive. A callee that refuses, for whatever reason, resets the stream without
//! a byte: to a stranger forbidden, absent and malformed look alike. The reason goes to the local log.
//!
//! # Leakage
//!
//! An observer of the wire sees addresses, times and sizes; the peer sees the caller's peer identifier and
//! the names of all exchanges this version knows (never which of them are served here). A caller who must
//! not be linked uses a fresh key, hence a fresh service, for each record.

mod bounded;
pub mod exchange;
mod frame;
mod inbound;
mod limits;
mod links;
mod peer;
mod service;

pub use exchange::Exchange;
pub use libp2p::{Multiaddr, PeerId};
pub use limits::Limits;
pub use peer::{Peer, PeerAddr, PeerAddrError, Sent, peer_id};
pub use service::{CallError, Refused, Service, ServiceConfig, StartError};
