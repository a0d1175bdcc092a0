//! Commands of the operators of the hospital's own nodes, on both tiers.

use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned};
use caduceus_network::exchange::{Deed, DeedKind, DeedOutcome, LogDeed, Reply};
use caduceus_network::{Peer, Refused};
use private_chain::audit::Resource;
use private_chain::policy::{self, Operation, Principal, Question, Relation};
use private_chain::{Action, ActionClass, Outcome};
use std::sync::Arc;

const READ: Kind = Kind::new(ActionClass::Administration, Action::Read, "node-read");
const AUDIT: Kind = Kind::new(ActionClass::AuditRead, Action::Search, "node-audit");
const UPDATE: Kind = Kind::new(ActionClass::Administration, Action::Update, "node-update");
const EXECUTE: Kind = Kind::new(ActionClass::Administration, Action::Execute, "node-execute");

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    deed: Deed,
) -> Result<Reply<u64>, Refused> {
    let id = deed.request;
    let outcome = run(&ctx, &peer, deed).await;
    ctx.reply::<LogDeed, _>(id, outcome)
}

async fn run(ctx: &Context, peer: &Peer, told: Deed) -> Result<u64, Turned> {
    let kind = match told.kind {
        DeedKind::Read => READ,
        DeedKind::AuditRead => AUDIT,
        DeedKind::Update => UPDATE,
        DeedKind::Execute => EXECUTE,
    };
    let mut deed = ctx.deed(kind, peer, told.request);
    let own = peer
        .key
        .is_some_and(|key| ctx.map.operated_keys.contains(&key));
    if !own {
        return Err(ctx.turn_away(deed, "no node of this hospital").await);
    }
    let principal = Principal::Node {
        id: peer.key.map(|key| key.to_string()).unwrap_or_default(),
        alliance: peer
            .key
            .is_some_and(|key| ctx.map.alliance_keys.contains(&key)),
    };
    let relation = Relation::Own;
    let log = policy::Resource::AuditLog { relation };
    let question = Question::new(principal, Operation::LogAction, log);
    ctx.permit(&deed, question).await?;
    // A command of a stopped node comes when it runs again: its own time counts, and the block tells when it came.
    // A clock that is ahead would begin slots that are not there yet.
    deed.entry.time = told.time.min(deed.entry.time);
    deed.entry.resource = Some(Resource::Named(
        format!("{} {}", told.program, told.node).into(),
    ));
    deed.entry.source = match told.operator.as_str() {
        "" => deed.entry.source.clone(),
        operator => operator.into(),
    };
    let reason = match told.reason.as_str() {
        "" => told.command,
        reason => format!("{}: {reason}", told.command),
    };
    let outcome = match told.outcome {
        DeedOutcome::Success => Outcome::Success,
        DeedOutcome::Denied => Outcome::Denied,
        DeedOutcome::Failed => Outcome::Failed,
    };
    let logged = ctx.commit(deed.ended(outcome, reason)).await?;
    Ok(logged.height)
}
