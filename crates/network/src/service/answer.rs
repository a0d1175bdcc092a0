//! The callee's half of an exchange.

use super::Refused;
use super::kept::CALLEE_WAITS;
use crate::exchange::Exchange;
use crate::frame::{self, ReadError};
use crate::inbound::Incoming;
use crate::limits::Limiter;
use crate::peer::Peer;
use caduceus_crypto::codec;
use futures::AsyncWriteExt;
use libp2p::Stream;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// How long a stream may be silent before its request's length, and the start of the time for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Each so many bytes announced give the body a second more.
const BYTES_PER_SECOND: usize = 256 * 1024;

/// Requests of one exchange being read or waiting for a handler, for each one handled at once. A stream that
/// is slow to ask takes one of these, never the place of a request that is handled.
const READ_PER_HANDLED: usize = 4;

/// Who may call an exchange.
pub(super) type Authorise = Arc<dyn Fn(&Peer) -> bool + Send + Sync>;

/// Why a request got no response. For the local log only.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("over the rate of requests")]
    Rate,
    #[error("not authorised")]
    Forbidden,
    #[error("cannot read the request: {0}")]
    Read(#[from] ReadError),
    #[error("malformed request: {0}")]
    Malformed(String),
    #[error("{0}")]
    Handler(#[from] Refused),
    #[error("our response of {found} bytes is over the limit of {limit}")]
    ResponseTooLong { limit: usize, found: usize },
    #[error("cannot write the response: {0}")]
    Write(#[from] io::Error),
    #[error("the peer took too long")]
    Slow,
}

/// Takes the streams of one exchange from their queue until the service ends.
pub(super) async fn accept<E, F, Fut>(
    mut queue: mpsc::Receiver<Incoming>,
    stopped: watch::Receiver<bool>,
    at_once: usize,
    limiter: Arc<Limiter>,
    authorise: Authorise,
    handler: F,
) where
    E: Exchange,
    F: Fn(Peer, E::Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
{
    let readers = at_once
        .saturating_mul(READ_PER_HANDLED)
        .min(Semaphore::MAX_PERMITS);
    let readers = Arc::new(Semaphore::new(readers));
    let handlers = Arc::new(Semaphore::new(at_once));
    let handler = Arc::new(handler);
    while let Some(incoming) = queue.recv().await {
        let reading = turn(&readers).await;
        let turns = Turns {
            readers: Arc::clone(&readers),
            handlers: Arc::clone(&handlers),
        };
        let limiter = Arc::clone(&limiter);
        let authorise = Arc::clone(&authorise);
        let handler = Arc::clone(&handler);
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let waits = async move {
                // The sender ends with the service.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            let answers = answer::<E, F, Fut>(
                incoming, reading, turns, waits, &limiter, &authorise, &handler,
            );
            answers.await;
        });
    }
}

/// What requests share of what is done at once.
struct Turns {
    /// Places among those being read.
    readers: Arc<Semaphore>,
    /// Places among those being handled.
    handlers: Arc<Semaphore>,
}

async fn turn(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore)
        .acquire_owned()
        .await
        .expect("nobody closes the semaphore")
}

/// Answers the request on a stream and, if the exchange keeps its streams, those that follow on it.
async fn answer<E, F, Fut>(
    incoming: Incoming,
    mut reading: OwnedSemaphorePermit,
    turns: Turns,
    stopped: impl Future<Output = ()>,
    limiter: &Limiter,
    authorise: &Authorise,
    handler: &F,
) where
    E: Exchange,
    F: Fn(Peer, E::Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
{
    let Incoming {
        peer: id,
        address,
        mut stream,
        slot,
    } = incoming;
    let caller = Peer::new(id, address);
    let mut stopped = std::pin::pin!(stopped);
    let mut length = None;
    loop {
        let peer = caller.anew();
        let admitted = admit(&peer, limiter, authorise).await;
        let outcome = match admitted {
            Ok(()) => {
                let read = read_request::<E>(&mut stream, length.take()).await;
                respond::<E, F, Fut>(peer, &mut stream, read, reading, &turns, handler).await
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            tracing::debug!(peer = %id, exchange = E::PROTOCOL, %reason, "refused");
            break;
        }
        if !E::KEPT {
            break;
        }
        // While nothing is asked the stream takes no turn, only its peer's share.
        let next = frame::read_length(&mut stream, E::MAX_REQUEST);
        let next = tokio::select! {
            next = tokio::time::timeout(CALLEE_WAITS, next) => next,
            () = &mut stopped => break,
        };
        match next {
            Ok(Ok(found)) => length = Some(found),
            // Whether it can be closed or is gone is the same.
            Err(_) | Ok(Err(ReadError::Closed)) => {
                let _ = stream.close().await;
                break;
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %id, exchange = E::PROTOCOL, %error, "a kept stream ended");
                break;
            }
        }
        reading = turn(&turns.readers).await;
    }
    // A stream dropped before it was closed is reset: the caller learns nothing but that.
    drop(stream);
    drop(slot);
}

async fn admit(peer: &Peer, limiter: &Limiter, authorise: &Authorise) -> Result<(), Reason> {
    if !limiter.admit(&peer.id).await {
        return Err(Reason::Rate);
    }
    if !authorise(peer) {
        return Err(Reason::Forbidden);
    }
    Ok(())
}

async fn respond<E, F, Fut>(
    peer: Peer,
    stream: &mut Stream,
    read: Result<Vec<u8>, Reason>,
    reading: OwnedSemaphorePermit,
    turns: &Turns,
    handler: &F,
) -> Result<(), Reason>
where
    E: Exchange,
    F: Fn(Peer, E::Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
{
    let request = codec::decode_exact::<E::Request>(&read?, E::MAX_REQUEST)
        .map_err(|error| Reason::Malformed(error.to_string()))?;
    let _handling = turn(&turns.handlers).await;
    drop(reading);
    let sent = peer.sent.clone();
    let outcome = match handler(peer, request).await {
        Ok(response) => hand_over::<E>(response, stream).await,
        Err(refused) => Err(refused.into()),
    };
    sent.happened();
    outcome
}

async fn hand_over<E: Exchange>(response: E::Response, stream: &mut Stream) -> Result<(), Reason> {
    let bytes = codec::encode(&response);
    drop(response);
    if bytes.len() > E::MAX_RESPONSE {
        tracing::warn!(
            exchange = E::PROTOCOL,
            found = bytes.len(),
            "our own response is over the exchange's limit"
        );
        return Err(Reason::ResponseTooLong {
            limit: E::MAX_RESPONSE,
            found: bytes.len(),
        });
    }
    let send = async {
        frame::write(stream, &bytes).await?;
        match E::KEPT {
            true => Ok(()),
            false => stream.close().await,
        }
    };
    tokio::time::timeout(E::TIMEOUT, send)
        .await
        .map_err(|_| Reason::Slow)??;
    Ok(())
}

/// Reads a request: its length soon, unless it was read already, and its body at a least rate.
async fn read_request<E: Exchange>(
    stream: &mut Stream,
    length: Option<usize>,
) -> Result<Vec<u8>, Reason> {
    let length = match length {
        Some(length) => length,
        None => {
            let length = frame::read_length(stream, E::MAX_REQUEST);
            tokio::time::timeout(READ_TIMEOUT.min(E::TIMEOUT), length)
                .await
                .map_err(|_| Reason::Slow)??
        }
    };
    let seconds = u64::try_from(length / BYTES_PER_SECOND).expect("a message is under 4 GiB");
    let patience = (READ_TIMEOUT + Duration::from_secs(seconds)).min(E::TIMEOUT);
    let body = tokio::time::timeout(patience, frame::read_body(stream, length))
        .await
        .map_err(|_| Reason::Slow)??;
    Ok(body)
}
