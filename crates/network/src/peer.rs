//! Who is on the other side: peer identifiers, their keys and their addresses.

use caduceus_crypto::{PublicKey, SecretKey};
use libp2p::multiaddr::Protocol;
use libp2p::multihash::Multihash;
use libp2p::{Multiaddr, PeerId, identity, multiaddr};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// The caller of an exchange, as the Noise handshake proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// libp2p's name of the peer.
    pub id: PeerId,
    /// The secp256k1 key the peer proved to hold; none if it uses another kind of key.
    pub key: Option<PublicKey>,
    /// The network address the connection comes from or goes to; anybody can choose it, so it is for logs
    /// and audit entries, never for a decision.
    pub address: Multiaddr,
    /// What waits for the answer to this request.
    pub sent: Sent,
}

/// What is to happen once the answer to a request was handed to the network, or there is none to hand over. Clones
/// share it; any two are equal. It does not happen if the process or the request's task ends before.
#[derive(Clone, Default)]
pub struct Sent(Arc<Mutex<Vec<Notice>>>);

type Notice = Box<dyn FnOnce() + Send>;

impl Sent {
    /// Has something done then.
    pub fn then(&self, notice: impl FnOnce() + Send + 'static) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(notice));
    }

    /// It was handed over: said by whoever answers the request.
    pub fn happened(&self) {
        let notices = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for notice in notices {
            notice();
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent")
    }
}

impl PartialEq for Sent {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Sent {}

impl Peer {
    /// Names a peer. The key is read from the identifier itself: identifiers of secp256k1 keys are the key
    /// under the identity multihash (libp2p peer-ids specification).
    pub fn new(id: PeerId, address: Multiaddr) -> Self {
        Self {
            id,
            key: key_of(&id),
            address,
            sent: Sent::default(),
        }
    }

    /// The same peer with another request.
    pub(crate) fn anew(&self) -> Self {
        Self {
            sent: Sent::default(),
            ..self.clone()
        }
    }

    /// Whether this peer holds the secret of the key.
    pub fn holds(&self, key: &PublicKey) -> bool {
        self.key.as_ref() == Some(key)
    }
}

/// The peer identifier that belongs to a public key.
pub fn peer_id(key: &PublicKey) -> PeerId {
    let key = identity::secp256k1::PublicKey::try_from_bytes(key.as_bytes())
        .expect("a checked key is a point of secp256k1");
    identity::PublicKey::from(key).to_peer_id()
}

/// The key inside a peer identifier, if it is a secp256k1 key.
fn key_of(id: &PeerId) -> Option<PublicKey> {
    /// Multicodec table: identity.
    const IDENTITY: u64 = 0x00;
    let multihash: &Multihash<64> = id.as_ref();
    if multihash.code() != IDENTITY {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    let key = key.try_into_secp256k1().ok()?;
    PublicKey::from_bytes(&key.to_bytes()).ok()
}

/// The libp2p form of a service's key.
pub(crate) fn keypair(key: &SecretKey) -> identity::Keypair {
    let mut bytes = key.to_bytes();
    // Zeroes the copy it is given.
    let secret = identity::secp256k1::SecretKey::try_from_bytes(&mut bytes[..])
        .expect("a secret key is a non-zero scalar of secp256k1");
    identity::Keypair::from(identity::secp256k1::Keypair::from(secret))
}

/// Where a service is reached and which key it must prove: a multiaddress that ends in `/p2p/ID`.
///
/// Text form: `/ip4/127.0.0.1/tcp/4001/p2p/16Uiu2HAm...`; serde uses the same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr {
    /// The peer that must answer.
    pub id: PeerId,
    /// Where to dial, without the `/p2p/ID` part.
    pub address: Multiaddr,
}

/// Why a text is not a [`PeerAddr`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerAddrError {
    /// Not a multiaddress at all.
    #[error("{text:?} is not a multiaddress: {source}")]
    NotAMultiaddress {
        /// The text given.
        text: String,
        /// What is wrong with it.
        source: multiaddr::Error,
    },
    /// The last part is not `/p2p/ID`.
    #[error("{text:?} does not end in /p2p/ID")]
    NoPeer {
        /// The text given.
        text: String,
    },
    /// There is a peer identifier but nowhere to dial.
    #[error("{text:?} has no address before /p2p/")]
    NoAddress {
        /// The text given.
        text: String,
    },
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/p2p/{}", self.address, self.id)
    }
}

impl FromStr for PeerAddr {
    type Err = PeerAddrError;

    fn from_str(text: &str) -> Result<Self, PeerAddrError> {
        let mut address =
            Multiaddr::from_str(text).map_err(|source| PeerAddrError::NotAMultiaddress {
                text: text.to_owned(),
                source,
            })?;
        let id = match address.pop() {
            Some(Protocol::P2p(id)) => id,
            _ => {
                return Err(PeerAddrError::NoPeer {
                    text: text.to_owned(),
                });
            }
        };
        if address.is_empty() {
            return Err(PeerAddrError::NoAddress {
                text: text.to_owned(),
            });
        }
        Ok(Self { id, address })
    }
}

impl Serialize for PeerAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rand_core::OsRng;

    #[test]
    fn the_key_survives_the_peer_identifier() {
        for _ in 0..20 {
            let secret = SecretKey::generate(&mut OsRng);
            let id = keypair(&secret).public().to_peer_id();
            assert_eq!(id, peer_id(&secret.public()));
            let peer = Peer::new(id, Multiaddr::empty());
            assert_eq!(peer.key, Some(secret.public()));
            assert!(peer.holds(&secret.public()));
        }
    }

    #[test]
    fn an_identifier_without_a_secp256k1_key_has_none() {
        // PeerId::random is a hash, not an inlined key.
        for _ in 0..20 {
            assert_eq!(Peer::new(PeerId::random(), Multiaddr::empty()).key, None);
        }
    }

    #[test]
    fn an_address_survives_its_text() {
        let id = peer_id(&SecretKey::generate(&mut OsRng).public());
        for prefix in [
            "/ip4/127.0.0.1/tcp/4001",
            "/ip4/10.0.0.1/udp/4001/quic-v1",
            "/ip6/::1/tcp/1",
        ] {
            let text = format!("{prefix}/p2p/{id}");
            let address: PeerAddr = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.id, id);
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<PeerAddr>(&json).unwrap(), address);
        }
    }

    #[test]
    fn each_mistake_in_an_address_has_its_error() {
        let id = peer_id(&SecretKey::generate(&mut OsRng).public());
        let parse = |text: &str| text.parse::<PeerAddr>().unwrap_err();
        assert!(matches!(
            parse("127.0.0.1:4001"),
            PeerAddrError::NotAMultiaddress { .. }
        ));
        assert!(matches!(
            parse("/ip4/127.0.0.1/tcp/4001"),
            PeerAddrError::NoPeer { .. }
        ));
        assert!(matches!(
            parse(&format!("/p2p/{id}")),
            PeerAddrError::NoAddress { .. }
        ));
    }
}
