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
use tokio::sync::{Semaphore, mpsc};

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
    let permits = Arc::new(Semaphore::new(at_once));
    let handler = Arc::new(handler);
    while let Some(incoming) = queue.recv().await {
        let permit = Arc::clone(&permits)
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore");
        let limiter = Arc::clone(&limiter);
        let authorise = Arc::clone(&authorise);
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            answer::<E, F, Fut>(incoming, &limiter, &authorise, &handler).await;
            drop(permit);
        });
    }
}

async fn answer<E, F, Fut>(
    incoming: Incoming,
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
    let outcome = respond::<E, F, Fut>(peer, &mut stream, limiter, authorise, handler).await;
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
    let body = tokio::time::timeout(E::TIMEOUT, frame::read(stream, E::MAX_REQUEST))
        .await
        .map_err(|_| Reason::Slow)??;
    let request = codec::decode_exact::<E::Request>(&body, E::MAX_REQUEST)
        .map_err(|error| Reason::Malformed(error.to_string()))?;
    drop(body);
    let response = handler(peer, request).await?;
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
