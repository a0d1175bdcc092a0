//! Entries of the key service and of workstations: committed before they use the result of what they log.

use crate::server::audit_log::deed::{Deed, Kind, Stated, class_of};
use crate::server::context::{Context, MAX_AGE_MILLIS, Turned, new_request_id};
use caduceus_crypto::decode_exact;
use caduceus_network::exchange::{ActionLogged, LogAction, LogActionRequest, Reply};
use caduceus_network::{Peer, Refused};
use private_chain::audit::StatementCheck;
use private_chain::policy::{Duty, Operation, Principal, Question, Relation, Resource};
use private_chain::{Action, ActionClass, Actor, AuditEntry};
use std::sync::Arc;

/// What the attempt itself is called if it is denied.
const KIND: Kind = Kind::new(ActionClass::Administration, Action::Execute, "log-action");

/// Largest entry, bytes.
const MAX_ENTRY_BYTES: usize = 4096;

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: LogActionRequest,
) -> Result<Reply<ActionLogged>, Refused> {
    let entry = decode_exact::<AuditEntry>(&request.entry, MAX_ENTRY_BYTES);
    let id = entry
        .as_ref()
        .ok()
        .and_then(request_id)
        .unwrap_or_else(new_request_id);
    let outcome = match entry {
        Ok(entry) => run(&ctx, &peer, entry, id).await,
        Err(error) => Err(malformed(&ctx, &peer, id, error.to_string()).await),
    };
    ctx.reply::<LogAction, _>(id, outcome)
}

/// Whatever a person does she signs, inside the entry.
fn stated(ctx: &Context, entry: &AuditEntry) -> Stated {
    match entry.statement_check(&ctx.map.private_chain) {
        StatementCheck::None => Stated::Missing,
        StatementCheck::Signed => Stated::Signed,
        StatementCheck::Wrong => Stated::Wrong,
    }
}

async fn malformed(ctx: &Context, peer: &Peer, id: [u8; 16], detail: String) -> Turned {
    let deed = ctx.deed(KIND, peer, id);
    if peer.holds(&ctx.map.keys_key) {
        return ctx.deny(deed, "entry_malformed", detail).await;
    }
    match ctx.staff(peer, &deed, Operation::LogAction, of(true)).await {
        Ok(_) => ctx.deny(deed, "entry_malformed", detail).await,
        Err(turned) => turned,
    }
}

/// The log, as to one's own action or somebody else's.
fn of(own: bool) -> Resource {
    let relation = if own { Relation::Own } else { Relation::Other };
    Resource::AuditLog { relation }
}

/// The identifier that the caller drew; none if it is not of this system's form.
fn request_id(entry: &AuditEntry) -> Option<[u8; 16]> {
    let bytes = hex::decode(&*entry.request).ok()?;
    bytes.try_into().ok()
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    mut entry: AuditEntry,
    id: [u8; 16],
) -> Result<ActionLogged, Turned> {
    let attempt = ctx.deed(KIND, peer, id);
    let Actor::Key(actor) = entry.actor else {
        return Err(ctx.turn_away(attempt, "an entry of nobody's key").await);
    };
    entry.request = hex::encode(id).into();
    if peer.holds(&ctx.map.keys_key) {
        let principal = Principal::Server {
            id: ctx.map.keys_key.to_string(),
            duty: Duty::Keys,
        };
        let question = Question::new(principal, Operation::LogAction, of(false));
        ctx.permit(&attempt, question).await?;
        // It speaks for whoever asked it; what that person is, the chain says.
        let known = ctx.roster.who(&actor, ctx.now()).await;
        entry.role = known.map_err(Turned::later)?.role;
    } else if peer.holds(&ctx.map.identity) {
        // The hospital itself: what it changes on the chains is in its log before.
        let own = actor == ctx.map.identity;
        let principal = Principal::identity(ctx.map.identity);
        let question = Question::new(principal, Operation::LogAction, of(own));
        ctx.permit(&attempt, question).await?;
        if !own {
            let detail = "an entry about somebody else's action";
            return Err(ctx.deny(attempt, "entry_actor", detail).await);
        }
        entry.role = None;
    } else {
        let own = peer.key == Some(actor);
        let staff = ctx
            .staff(peer, &attempt, Operation::LogAction, of(own))
            .await?;
        // Whatever the policy says: an entry about somebody else's action would be hearsay.
        if actor != staff.key {
            return Err(ctx
                .deny(
                    attempt,
                    "entry_actor",
                    "an entry about somebody else's action",
                )
                .await);
        }
        entry.role = staff.role;
    }
    if stated(ctx, &entry) == Stated::Wrong {
        let (rule, detail) = (
            "statement_wrong",
            "the entry's statement is not its actor's",
        );
        return Err(ctx.deny(attempt, rule, detail).await);
    }
    if let Err(error) = entry.check() {
        return Err(ctx.deny(attempt, "entry_too_long", error.to_string()).await);
    }
    if entry.time.0.abs_diff(ctx.now().0) > MAX_AGE_MILLIS {
        return Err(ctx
            .deny(attempt, "entry_time", "the entry's time is not the present")
            .await);
    }
    entry.organisation = ctx.map.hospital;
    let deed = Deed {
        class: class_of(&entry),
        stated: stated(ctx, &entry),
        entry,
        answered: peer.sent.clone(),
    };
    let logged = ctx.commit(deed).await?;
    Ok(ActionLogged {
        height: logged.height,
        block_hash: logged.block_hash,
    })
}
