//! How both services answer an exchange.

use caduceus_network::{Exchange, Peer, Refused, Service};
use std::sync::Arc;

/// Answers an exchange while the process that serves it lives. The handler holds the context weakly: what the
/// network service keeps must not keep the databases open after a stop.
pub(crate) fn add<C, E, F, Fut>(
    service: &Service,
    ctx: &Arc<C>,
    authorise: impl Fn(&Peer) -> bool + Send + Sync + 'static,
    handler: F,
) where
    C: Send + Sync + 'static,
    E: Exchange,
    F: Fn(Arc<C>, Peer, E::Request) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
{
    let weak = Arc::downgrade(ctx);
    service.serve::<E, _, _>(authorise, move |peer: Peer, request: E::Request| {
        let ctx = weak.upgrade();
        async move {
            match ctx {
                Some(ctx) => handler(ctx, peer, request).await,
                None => Err(Refused::because("the service is stopping")),
            }
        }
    });
}
