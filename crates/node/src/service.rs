//! What a chain node answers over the service swarm: submit, relay, headers, light blocks, query, last vote, health.
//!
//! Answers that must be believed carry their proof; who asks checks it against the genesis it trusts.

mod light;

use crate::chain::SubmitError;
use crate::node::Node;
use crate::relay::RelayPeers;
use crate::store::StoreError;
use caduceus_crypto::{PublicKey, codec};
use caduceus_ledger::{Height, Space, StateMachine, StateView};
use caduceus_network::exchange::{
    Headers, HeadersReply, MAX_HEADERS, MAX_LISTED, Query, QueryReply, QueryRequest, Relay,
    RelayRequest, Submit, SubmitReply,
};
use caduceus_network::{Peer, Refused, Service};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::block_in_place;

mod health;
mod witness;

pub use witness::PeerWitness;

/// How long `submit` waits for a block. Shorter than the exchange's own limit, so that the caller hears why.
const SUBMIT_WAIT: Duration = Duration::from_secs(12);

/// Decides whether a peer may use an exchange.
pub type Authorise = Arc<dyn Fn(&Peer) -> bool + Send + Sync>;

/// Who may ask a chain node for what.
#[derive(Clone)]
pub struct ChainPolicy {
    /// Name of the program, for `health`.
    pub program: &'static str,
    /// Who may submit transactions.
    pub submit: Authorise,
    /// Who may query state.
    pub query: Authorise,
    /// The other validators: they alone hand transactions on.
    pub relay: RelayPeers,
}

/// Anybody: the exchange's requests carry their own right.
pub fn anybody() -> Authorise {
    Arc::new(|_| true)
}

/// The holders of these keys.
pub fn holders_of(keys: impl IntoIterator<Item = PublicKey>) -> Authorise {
    let keys: BTreeSet<PublicKey> = keys.into_iter().collect();
    Arc::new(move |peer| peer.key.as_ref().is_some_and(|key| keys.contains(key)))
}

/// Serves a chain node's exchanges. The policy's relay follows the voters of the chain from here on.
pub fn serve_chain<M: StateMachine>(service: &Service, node: &Arc<Node<M>>, policy: ChainPolicy) {
    serve_submit(service, node, policy.submit);
    let handed = node.clone();
    let relay = policy.relay;
    relay.follow(node);
    service.serve::<Relay, _, _>(
        move |peer| relay.may_hand_on(peer),
        move |_, request: RelayRequest| {
            let node = handed.clone();
            async move {
                for tx in request.txs {
                    if let Err(error) = node.take_relayed(tx) {
                        // The validator that sent it may simply be ahead or behind.
                        tracing::debug!(%error, "a transaction handed on was not taken");
                    }
                }
                Ok(())
            }
        },
    );
    let reader = node.clone();
    service.serve::<Headers, _, _>(
        |_| true,
        move |_, request| {
            let node = reader.clone();
            async move { block_in_place(|| headers(&node, request.from, request.limit.into())) }
        },
    );
    light::serve(service, node);
    serve_query(service, node, policy.query);
    health::serve(service, node, policy.program);
    witness::serve(service, node);
}

fn serve_submit<M: StateMachine>(service: &Service, node: &Arc<Node<M>>, authorise: Authorise) {
    let node = node.clone();
    service.serve::<Submit, _, _>(
        move |peer| authorise(peer),
        move |_, request| {
            let node = node.clone();
            async move {
                if !request.wait {
                    return Ok(match node.submit(request.tx).await {
                        Ok(_) => SubmitReply::Accepted,
                        Err(error) => refusal(error),
                    });
                }
                Ok(match node.submit_and_wait(request.tx, SUBMIT_WAIT).await {
                    Ok(done) => SubmitReply::Committed {
                        height: done.height.0,
                        index: done.index,
                        block_hash: done.block,
                        result: done.result,
                    },
                    Err(error) => refusal(error),
                })
            }
        },
    );
}

fn refusal(error: SubmitError) -> SubmitReply {
    match error {
        SubmitError::Rejected(rejection) => SubmitReply::rejected(rejection.rule, rejection.detail),
        SubmitError::TooLarge { .. } => SubmitReply::rejected("too_large", error.to_string()),
        SubmitError::Store(error @ StoreError::Pruned { .. }) => {
            SubmitReply::unavailable(format!("committed long ago: {error}; ask another node"))
        }
        SubmitError::Store(error) => {
            tracing::error!(%error, "the store failed");
            SubmitReply::unavailable("the node's store failed")
        }
        other => SubmitReply::unavailable(other.to_string()),
    }
}

fn broken(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "the store failed");
    Refused::because("the store failed")
}

/// Consecutive headers from a height on. None above the tip; a height below that is not kept is refused, so that
/// nobody takes it for the end of the chain.
fn headers<M: StateMachine>(
    node: &Node<M>,
    from: Option<u64>,
    limit: usize,
) -> Result<HeadersReply, Refused> {
    let snapshot = node.chain().snapshot().map_err(broken)?;
    let tip = snapshot
        .tip()
        .map_err(broken)?
        .map_or(0, |tip| tip.header.height.0);
    let from = from.unwrap_or(tip).max(1);
    let mut items = Vec::new();
    for height in from..=tip {
        if items.len() >= limit.clamp(1, MAX_HEADERS) {
            break;
        }
        match snapshot.certified(Height(height)).map_err(broken)? {
            Some(certified) => items.push(codec::encode(&certified)),
            None => break,
        }
    }
    if items.is_empty() && from <= tip {
        return Err(Refused::because(format!("header {from} is not kept here")));
    }
    Ok(HeadersReply::fitting(items))
}

fn serve_query<M: StateMachine>(service: &Service, node: &Arc<Node<M>>, authorise: Authorise) {
    let node = node.clone();
    service.serve::<Query, _, _>(
        move |peer| authorise(peer),
        move |_, request| {
            let node = node.clone();
            async move {
                let found = block_in_place(|| answer(&node, request))?;
                Ok(found.map_or(QueryReply::NotFound, QueryReply::Found))
            }
        },
    );
}

fn answer<M: StateMachine>(
    node: &Node<M>,
    request: QueryRequest,
) -> Result<Option<Vec<u8>>, Refused> {
    let chain = node.chain();
    Ok(match request {
        QueryRequest::Tx { id } => chain
            .prove_tx(&id)
            .map_err(broken)?
            .map(|p| codec::encode(&p)),
        QueryRequest::State { key } => chain
            .prove_state(&key)
            .map_err(broken)?
            .map(|p| codec::encode(&p)),
        QueryRequest::List { prefix, limit } => {
            let snapshot = chain.snapshot().map_err(broken)?;
            let limit = usize::from(limit).min(MAX_LISTED);
            Some(codec::encode(
                &snapshot.scan(Space::Auth, &prefix, limit).map_err(broken)?,
            ))
        }
        QueryRequest::Head => chain.head().map_err(broken)?.map(|h| codec::encode(&h)),
    })
}
