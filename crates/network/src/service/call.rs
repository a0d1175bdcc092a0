//! The caller's half of an exchange.

use super::Service;
use super::swarm::{CONNECT_TIMEOUT, Command};
use crate::exchange::Exchange;
use crate::frame::{self, ReadError};
use crate::inbound::PROBE;
use crate::links::Mark;
use crate::peer::PeerAddr;
use caduceus_crypto::codec;
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::OpenStreamError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A kept stream that ends later than this after a request was not closed before the request came.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// How long a retry waits until the swarm has noticed that the connection is gone.
const LOSS_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a call brought no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No connection, or it died twice.
    #[error("{peer} is unreachable: {reason}")]
    Unreachable {
        /// Who was called, and where.
        peer: PeerAddr,
        /// What the network said.
        reason: String,
    },
    /// Connected, but no complete response within the exchange's time.
    #[error("no response in time")]
    Timeout,
    /// The other side ended the stream without a byte: not served there, not allowed, malformed, too many
    /// requests, or nothing to be had. It does not say which.
    #[error("refused")]
    Refused,
    /// The request, or the response announced, is over the exchange's limit.
    #[error("a message of {found} bytes is over the limit of {limit}")]
    TooLarge {
        /// Largest message of this exchange in this direction, bytes.
        limit: usize,
        /// Size found or announced, bytes.
        found: usize,
    },
    /// The response is not what this exchange answers with.
    #[error("the response is malformed")]
    Malformed,
}

/// How an attempt ended without a response.
enum Failure {
    /// Trying again would not help.
    Final(CallError),
    /// The connection was dead or died.
    Dead { reason: String, mark: Mark },
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Final(error)
    }
}

/// Bounds the calls to one peer at once.
pub(super) struct CallSlots {
    limit: usize,
    peers: Mutex<HashMap<PeerId, Arc<Semaphore>>>,
}

impl CallSlots {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            peers: Mutex::new(HashMap::new()),
        }
    }

    async fn acquire(&self, peer: PeerId) -> OwnedSemaphorePermit {
        let semaphore = {
            let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = peers
                .entry(peer)
                .or_insert_with(|| Arc::new(Semaphore::new(self.limit)));
            Arc::clone(entry)
        };
        semaphore
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore")
    }

    /// Forgets peers that are not being called.
    pub(super) fn sweep(&self) {
        self.peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
    }
}

/// Writes a request and reads the response.
async fn transfer(stream: &mut Stream, body: &[u8], limit: usize) -> Result<Vec<u8>, ReadError> {
    frame::write(stream, body).await?;
    frame::read(stream, limit).await
}

impl Service {
    /// Asks a peer, connecting first if need be. A connection that turns out to be dead is replaced and the
    /// request sent once more, so the other side may see it twice.
    ///
    /// # Errors
    /// [`CallError`]; its documentation says what each means.
    pub async fn call<E: Exchange>(
        &self,
        to: &PeerAddr,
        request: E::Request,
    ) -> Result<E::Response, CallError> {
        let body = codec::encode(&request);
        drop(request);
        if body.len() > E::MAX_REQUEST {
            return Err(CallError::TooLarge {
                limit: E::MAX_REQUEST,
                found: body.len(),
            });
        }
        let mut again = true;
        loop {
            match self.attempt::<E>(to, &body).await {
                Ok(response) => return Ok(response),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Dead { reason, mark }) => {
                    tracing::debug!(peer = %to, exchange = E::PROTOCOL, %reason, again, "lost");
                    if !again {
                        return Err(CallError::Unreachable {
                            peer: to.clone(),
                            reason,
                        });
                    }
                    again = false;
                    let gone = self.inner.links.lost_since(&to.id, mark);
                    // If the swarm never notices, the second attempt finds out for itself.
                    let _ = tokio::time::timeout(LOSS_TIMEOUT, gone).await;
                }
            }
        }
    }

    async fn attempt<E: Exchange>(
        &self,
        to: &PeerAddr,
        body: &[u8],
    ) -> Result<E::Response, Failure> {
        self.connect(to).await?;
        let exchange = self.exchange::<E>(to.id, body);
        let answer = match tokio::time::timeout(E::TIMEOUT, exchange).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(CallError::Timeout.into()),
        };
        codec::decode_exact::<E::Response>(&answer, E::MAX_RESPONSE)
            .map_err(|_| CallError::Malformed.into())
    }

    async fn connect(&self, to: &PeerAddr) -> Result<(), CallError> {
        if self.inner.links.mark(&to.id).is_connected() {
            return Ok(());
        }
        let unreachable = |reason: &str| CallError::Unreachable {
            peer: to.clone(),
            reason: reason.to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        let command = Command::Connect {
            to: to.clone(),
            reply,
        };
        if self.inner.commands.send(command).await.is_err() {
            return Err(unreachable("this service is shut down"));
        }
        // A dial ends by itself; several addresses may be tried one after the other.
        match tokio::time::timeout(CONNECT_TIMEOUT * 2, answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(reason))) => Err(unreachable(&reason)),
            Ok(Err(_)) => Err(unreachable("this service is shut down")),
            Err(_) => Err(unreachable("no connection in time")),
        }
    }

    /// One stream: request out, response in.
    async fn exchange<E: Exchange>(&self, peer: PeerId, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let _permit = self.inner.calls.acquire(peer).await;
        let mark = self.inner.links.mark(&peer);
        if E::KEPT
            && let Some(mut stream) = self.inner.kept.take(peer, E::PROTOCOL, mark)
        {
            let begun = Instant::now();
            match transfer(&mut stream, body, E::MAX_RESPONSE).await {
                Ok(answer) => {
                    self.inner.kept.keep(peer, E::PROTOCOL, stream, mark);
                    return Ok(answer);
                }
                Err(ReadError::TooLong { limit, found }) => {
                    return Err(CallError::TooLarge { limit, found }.into());
                }
                // Closed meanwhile, refused or dead: a stream of its own tells which.
                Err(_) if begun.elapsed() < CLOSED_WITHIN => {}
                // Nobody works for so long on a stream that was closed.
                Err(error) => return Err(self.ended(stream, error, peer, mark).await),
            }
        }
        let mut stream = match self.open(peer, E::PROTOCOL).await {
            Ok(stream) => stream,
            Err(error) => {
                // A name is also declined by a connection that dies while it is being agreed on.
                let declined = matches!(error, OpenStreamError::UnsupportedProtocol(_));
                let reason = error.to_string();
                drop(error);
                if declined && self.is_alive(peer, mark).await {
                    return Err(CallError::Refused.into());
                }
                return Err(Failure::Dead { reason, mark });
            }
        };
        match transfer(&mut stream, body, E::MAX_RESPONSE).await {
            Ok(answer) => {
                if E::KEPT {
                    self.inner.kept.keep(peer, E::PROTOCOL, stream, mark);
                }
                Ok(answer)
            }
            Err(ReadError::TooLong { limit, found }) => {
                Err(CallError::TooLarge { limit, found }.into())
            }
            Err(error) => Err(self.ended(stream, error, peer, mark).await),
        }
    }

    /// What it means that a stream ended before its response.
    async fn ended(&self, stream: Stream, error: ReadError, peer: PeerId, mark: Mark) -> Failure {
        drop(stream);
        if !self.is_alive(peer, mark).await {
            let reason = error.to_string();
            return Failure::Dead { reason, mark };
        }
        match error {
            ReadError::Truncated => CallError::Malformed.into(),
            _ => CallError::Refused.into(),
        }
    }

    async fn open(&self, peer: PeerId, protocol: &'static str) -> Result<Stream, OpenStreamError> {
        let mut control = self.inner.control.clone();
        control
            .open_stream(peer, StreamProtocol::new(protocol))
            .await
    }

    /// Whether the connection that a stream ended on is still there. A stream ends the same way when the
    /// peer resets it and when the connection dies, so ask for another one, of a name every peer agrees to.
    async fn is_alive(&self, peer: PeerId, mark: Mark) -> bool {
        if !mark.is_connected() || self.inner.links.mark(&peer) != mark {
            return false;
        }
        self.open(peer, PROBE).await.is_ok() && self.inner.links.mark(&peer) == mark
    }
}
