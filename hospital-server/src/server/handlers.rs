//! What the server answers, one exchange a file. Each handler finds out who asks, has the action logged, and
//! only then releases its result.

mod audit_query;
pub(crate) mod fetch_record;
mod health;
mod issue_tokens;
mod log_action;
mod meta_lookup;
mod receipt;
mod register;
mod register_patient;
mod store_record;

use super::context::Context;
use caduceus_network::exchange::{
    AuditQuery, FetchReceipt, FetchRecord, Health, IssueTokens, LogAction, MetaLookup, Register, RegisterPatient,
    StoreRecord,
};
use caduceus_network::{Exchange, Peer, Refused, Service};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Answers an exchange while the server lives. The handler holds the context weakly: what the service keeps
/// must not keep the databases open after the server has stopped.
fn add<E, F, Fut>(
    service: &Service,
    ctx: &Arc<Context>,
    authorise: impl Fn(&Peer) -> bool + Send + Sync + 'static,
    handler: F,
) where
    E: Exchange,
    F: Fn(Arc<Context>, Peer, E::Request) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
{
    let weak = Arc::downgrade(ctx);
    service.serve::<E, _, _>(authorise, move |peer: Peer, request: E::Request| {
        let ctx = weak.upgrade();
        async move {
            match ctx {
                Some(ctx) => handler(ctx, peer, request).await,
                None => Err(Refused::because("the server is stopping")),
            }
        }
    });
}

/// Anybody may ask; the handler judges. Attempts by strangers are logged, so they must get that far.
fn anyone(_: &Peer) -> bool {
    true
}

/// Serves everything.
pub(crate) fn serve(service: &Service, ctx: &Arc<Context>) {
    let nodes: BTreeSet<_> = ctx.map.alliance_keys.iter().copied().collect();
    let is_alliance_node = move |peer: &Peer| peer.key.is_some_and(|key| nodes.contains(&key));
    add::<RegisterPatient, _, _>(service, ctx, anyone, register_patient::answer);
    add::<MetaLookup, _, _>(service, ctx, anyone, meta_lookup::answer);
    add::<Register, _, _>(service, ctx, anyone, register::answer);
    add::<IssueTokens, _, _>(service, ctx, anyone, issue_tokens::answer);
    add::<StoreRecord, _, _>(service, ctx, anyone, store_record::answer);
    add::<FetchRecord, _, _>(service, ctx, is_alliance_node, fetch_record::answer);
    add::<LogAction, _, _>(service, ctx, anyone, log_action::answer);
    add::<AuditQuery, _, _>(service, ctx, anyone, audit_query::answer);
    add::<FetchReceipt, _, _>(service, ctx, anyone, receipt::answer);
    add::<Health, _, _>(service, ctx, anyone, health::answer);
}
