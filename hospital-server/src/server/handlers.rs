//! What the server answers, one exchange a file. Each handler finds out who asks, has the action logged, and
//! only then releases its result.

mod audit_query;
mod emergency;
pub(crate) mod fetch_record;
mod health;
mod issue_tokens;
mod log_action;
mod log_deed;
mod meta_lookup;
mod receipt;
mod register;
mod register_patient;
mod store_record;

use super::context::Context;
use crate::serving::add;
use caduceus_network::exchange::{
    AuditQuery, Emergency, FetchReceipt, FetchRecord, Health, IssueTokens, LogAction, LogDeed,
    MetaLookup, Register, RegisterPatient, StoreRecord,
};
use caduceus_network::{Peer, Service};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Anybody may ask; the handler judges. Attempts by strangers are logged, so they must get that far.
fn anyone(_: &Peer) -> bool {
    true
}

/// Serves everything.
pub(crate) fn serve(service: &Service, ctx: &Arc<Context>) {
    let nodes: BTreeSet<_> = ctx.map.alliance_keys.iter().copied().collect();
    let is_alliance_node = move |peer: &Peer| peer.key.is_some_and(|key| nodes.contains(&key));
    add::<_, RegisterPatient, _, _>(service, ctx, anyone, register_patient::answer);
    add::<_, MetaLookup, _, _>(service, ctx, anyone, meta_lookup::answer);
    add::<_, Register, _, _>(service, ctx, anyone, register::answer);
    add::<_, IssueTokens, _, _>(service, ctx, anyone, issue_tokens::answer);
    add::<_, StoreRecord, _, _>(service, ctx, anyone, store_record::answer);
    add::<_, FetchRecord, _, _>(service, ctx, is_alliance_node, fetch_record::answer);
    add::<_, LogAction, _, _>(service, ctx, anyone, log_action::answer);
    add::<_, LogDeed, _, _>(service, ctx, anyone, log_deed::answer);
    add::<_, AuditQuery, _, _>(service, ctx, anyone, audit_query::answer);
    add::<_, FetchReceipt, _, _>(service, ctx, anyone, receipt::answer);
    add::<_, Health, _, _>(service, ctx, anyone, health::answer);
    add::<_, Emergency, _, _>(service, ctx, anyone, emergency::answer);
}
