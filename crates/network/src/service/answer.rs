//! The callee's half of an exchange.

use super::Refused;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

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
        let reading = Arc::clone(&readers)
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore");
        let handlers = Arc::clone(&handlers);
        let limiter = Arc::clone(&limiter);
        let authorise = Arc::clone(&authorise);
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            let turns = Turns { reading, handlers };
            answer::<E, F, Fut>(incoming, turns, &limiter, &authorise, &handler).await;
        });
    }
}

/// A request's share of what is done at once.
struct Turns {
    /// Its place among those being read.
    reading: OwnedSemaphorePermit,
    /// Where its place among those being handled comes from, once it is read.
    handlers: Arc<Semaphore>,
}

async fn answer<E, F, Fut>(
    incoming: Incoming,
    turns: Turns,
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
    let peer = Peer::new(id, address);
    let outcome = respond::<E, F, Fut>(peer, &mut stream, turns, limiter, authorise, handler).await;
    if let Err(reason) = outcome {
        tracing::debug!(peer = %id, exchange = E::PROTOCOL, %reason, "refused");
    }
    // A stream dropped before it was closed is reset: the caller learns nothing but that.
    drop(stream);
    drop(slot);
}

async fn respond<E, F, Fut>(
    peer: Peer,
    stream: &mut Stream,
    turns: Turns,
    limiter: &Limiter,
    authorise: &Authorise,
    handler: &F,
) -> Result<(), Reason>
where
    E: Exchange,
    F: Fn(Peer, E::Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
{
    if !limiter.admit(&peer.id).await {
        return Err(Reason::Rate);
    }
    if !authorise(&peer) {
        return Err(Reason::Forbidden);
    }
    let body = read_request::<E>(stream).await?;
    let request = codec::decode_exact::<E::Request>(&body, E::MAX_REQUEST)
        .map_err(|error| Reason::Malformed(error.to_string()))?;
    drop(body);
    let Turns { reading, handlers } = turns;
    let _handling = handlers
        .acquire_owned()
        .await
        .expect("nobody closes the semaphore");
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
        stream.close().await
    };
    tokio::time::timeout(E::TIMEOUT, send)
        .await
        .map_err(|_| Reason::Slow)??;
    Ok(())
}

/// Reads a request: its length soon, its body at a least rate.
async fn read_request<E: Exchange>(stream: &mut Stream) -> Result<Vec<u8>, Reason> {
    let length = frame::read_length(stream, E::MAX_REQUEST);
    let length = tokio::time::timeout(READ_TIMEOUT.min(E::TIMEOUT), length)
        .await
        .map_err(|_| Reason::Slow)??;
    let seconds = u64::try_from(length / BYTES_PER_SECOND).expect("a message is under 4 GiB");
    let patience = (READ_TIMEOUT + Duration::from_secs(seconds)).min(E::TIMEOUT);
    let body = tokio::time::timeout(patience, frame::read_body(stream, length))
        .await
        .map_err(|_| Reason::Slow)??;
    Ok(body)
}
