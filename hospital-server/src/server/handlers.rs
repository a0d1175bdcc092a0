//! What the server answers, one exchange a file. Each handler finds out who asks, has the action logged, and
//! only then releases its result.

mod audit_query;
mod bucket_keys;
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
    AuditQuery, BucketKeys, Emergency, FetchReceipt, FetchRecord, Health, IssueTokens, LogAction,
    LogDeed, MetaLookup, Register, RegisterPatient, StoreRecord,
};
use caduceus_network::{Exchange, Peer, Service};
use private_chain::policy::Operation;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Anybody may ask; the handler judges. Attempts by strangers are logged, so they must get that far.
fn anyone(_: &Peer) -> bool {
    true
}

/// The route table: what each exchange asks the policy in force for. The health of the server is no patient's datum.
pub const ROUTES: &[(&str, &[Operation])] = &[
    (RegisterPatient::PROTOCOL, &[Operation::RegisterPatient]),
    (MetaLookup::PROTOCOL, &[Operation::MetaLookup]),
    (Register::PROTOCOL, &[Operation::Register]),
    (IssueTokens::PROTOCOL, &[Operation::IssueTokens]),
    (
        StoreRecord::PROTOCOL,
        &[Operation::Upload, Operation::Amend],
    ),
    (
        FetchRecord::PROTOCOL,
        &[Operation::RelayRecord, Operation::FetchRecord],
    ),
    (LogAction::PROTOCOL, &[Operation::LogAction]),
    (LogDeed::PROTOCOL, &[Operation::LogAction]),
    (AuditQuery::PROTOCOL, &[Operation::AuditQuery]),
    (FetchReceipt::PROTOCOL, &[Operation::Receipt]),
    (Health::PROTOCOL, &[]),
    // Keys go to the hospital's own nodes, by their key alone: what they read of it they have entries for.
    (BucketKeys::PROTOCOL, &[]),
    (
        Emergency::PROTOCOL,
        &[
            Operation::Emergency,
            Operation::EmergencyApprove,
            Operation::EmergencyConsent,
        ],
    ),
];

/// Serves everything.
pub(crate) fn serve(service: &Service, ctx: &Arc<Context>) {
    let chain_nodes: BTreeSet<_> = ctx
        .map
        .private_nodes
        .iter()
        .filter_map(|node| Peer::new(node.id, node.address.clone()).key)
        .collect();
    let is_chain_node = move |peer: &Peer| peer.key.is_some_and(|key| chain_nodes.contains(&key));
    add::<_, BucketKeys, _, _>(service, ctx, is_chain_node, bucket_keys::answer);
    add::<_, RegisterPatient, _, _>(service, ctx, anyone, register_patient::answer);
    add::<_, MetaLookup, _, _>(service, ctx, anyone, meta_lookup::answer);
    add::<_, Register, _, _>(service, ctx, anyone, register::answer);
    add::<_, IssueTokens, _, _>(service, ctx, anyone, issue_tokens::answer);
    add::<_, StoreRecord, _, _>(service, ctx, anyone, store_record::answer);
    add::<_, FetchRecord, _, _>(service, ctx, anyone, fetch_record::answer);
    add::<_, LogAction, _, _>(service, ctx, anyone, log_action::answer);
    add::<_, LogDeed, _, _>(service, ctx, anyone, log_deed::answer);
    add::<_, AuditQuery, _, _>(service, ctx, anyone, audit_query::answer);
    add::<_, FetchReceipt, _, _>(service, ctx, anyone, receipt::answer);
    add::<_, Health, _, _>(service, ctx, anyone, health::answer);
    add::<_, Emergency, _, _>(service, ctx, anyone, emergency::answer);
}
