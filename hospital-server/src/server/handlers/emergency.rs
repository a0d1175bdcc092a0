//! Records opened without their patient, where she opted in (DESIGN 3.7). Nobody does it alone: a physician asks and
//! gives a reason, officers agree, and the physician opens. Each step's entry, of class `Emergency`, is committed
//! before its result leaves; an entry about a person's step carries her own signature, and the hash of the signed
//! request as its grant. What is refused is an entry too, and the patient reads all of them.
//!
//! The officers' partials are sealed to the requester. The server holds ciphertext and boxes, and opens nothing.

mod approve;
mod consent;
mod document;
mod open;
mod request;
pub(super) mod terms;

use crate::database::blocking;
use crate::emergency::{PURPOSE, Step, request_id};
use crate::roster::Known;
use crate::server::audit_log::deed::{Deed, Kind};
use crate::server::context::{Context, Turned, new_request_id};
use crate::server::register::EmergencyRow;
use caduceus_crypto::{Hash, PublicKey, TimeMillis, decode_exact};
use caduceus_network::exchange::{Emergency, EmergencyAnswer, EmergencyCall, Reply};
use caduceus_network::{Peer, Refused};
use private_chain::audit::{SignedStatement, StatementCheck};
use private_chain::policy::{Operation, RecordState, Relation, Resource};
use private_chain::{Action, ActionClass};
use std::sync::Arc;
use tokio::task::JoinSet;

const REQUEST: Kind = kind(Action::Execute, "emergency-request");
const REVIEW: Kind = kind(Action::Read, "emergency-review");
const APPROVE: Kind = kind(Step::Approve.action(), Step::Approve.subtype());
const OPEN: Kind = kind(Step::Open.action(), Step::Open.subtype());
const CONSENT: Kind = kind(Action::Update, "emergency-consent");

/// How long a request can be approved and opened.
const LIFETIME_MILLIS: u64 = 60 * 60 * 1000;

/// Largest signed statement, bytes.
const MAX_STATEMENT_BYTES: usize = 96;

const fn kind(action: Action, subtype: &'static str) -> Kind {
    Kind::new(ActionClass::Emergency, action, subtype)
}

/// What policies judge: records of a patient, as asked for. Whether there are any is told by rules of their own.
fn records(request: &Hash) -> Resource {
    Resource::record(request, RecordState::Current, Relation::Other)
}

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    call: EmergencyCall,
) -> Result<Reply<EmergencyAnswer>, Refused> {
    let id = match &call {
        EmergencyCall::Consent { .. } => new_request_id(),
        EmergencyCall::Request { request, .. } => request_id(&request.id()),
        EmergencyCall::Review { request } | EmergencyCall::Fetch { request, .. } => {
            request_id(request)
        }
        EmergencyCall::Approve(approval) => request_id(&approval.request),
        EmergencyCall::Open(opening) => request_id(&opening.request),
    };
    let _turn = ctx.gate.turn(id).await;
    let outcome = match call {
        EmergencyCall::Consent { card, consent } => {
            consent::run(&ctx, &peer, card, consent, id).await
        }
        EmergencyCall::Request { card, request } => {
            request::run(&ctx, &peer, card, request, id).await
        }
        EmergencyCall::Review { request } => approve::review(&ctx, &peer, request, id).await,
        EmergencyCall::Approve(approval) => approve::run(&ctx, &peer, approval, id).await,
        EmergencyCall::Open(opening) => open::run(&ctx, &peer, opening, id).await,
        EmergencyCall::Fetch {
            request,
            record,
            offset,
        } => open::fetch(&ctx, &peer, request, record, offset, id).await,
    };
    ctx.reply::<Emergency, _>(id, outcome)
}

/// A step of an emergency, before anybody has judged it.
fn step(ctx: &Context, kind: Kind, peer: &Peer, request: &Hash) -> Deed {
    ctx.deed(kind, peer, request_id(request))
        .under_grant(*request)
        .for_purpose(PURPOSE)
}

/// A request that was made and holds still, and the member of staff who comes with it.
///
/// A stranger is turned away before anything is looked up; what staff are denied stands in the patient's log, if there
/// is such a request.
async fn at_request(
    ctx: &Context,
    peer: &Peer,
    kind: Kind,
    request: &Hash,
    operation: Operation,
) -> Result<(Deed, Known, EmergencyRow), Turned> {
    let deed = step(ctx, kind, peer, request);
    let (register, id) = (ctx.register.clone(), *request);
    let row = match blocking(move || register.emergency(&id)).await {
        Ok(row) => row,
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let deed = match &row {
        Some(row) => deed
            .about_card(row.card)
            .because(row.request.reason.clone()),
        None => deed,
    };
    let staff = ctx.staff(peer, &deed, operation, records(request)).await?;
    let deed = staff.enter(deed);
    let Some(row) = row else {
        let detail = "no such request was made here";
        return Err(ctx.deny(deed, "emergency_unknown", detail).await);
    };
    if row.until < ctx.now() {
        let detail = format!("the request ended at {}", row.until);
        return Err(ctx.deny(deed, "emergency_expired", detail).await);
    }
    still_opted_in(ctx, &deed, &row.card).await?;
    Ok((deed, staff, row))
}

/// Denies unless the card's patient opted in, and has not opted out since.
async fn still_opted_in(ctx: &Context, deed: &Deed, card: &Hash) -> Result<(), Turned> {
    let (register, hash) = (ctx.register.clone(), *card);
    match blocking(move || register.consent(&hash)).await {
        Ok(Some(consent)) if consent.wanted => Ok(()),
        Ok(_) => {
            let detail = "the patient has not opted in to emergency access";
            Err(ctx
                .deny(deed.clone(), "emergency_not_opted_in", detail)
                .await)
        }
        Err(error) => Err(ctx.register_refusal(deed.clone(), error).await),
    }
}

/// The entry of a person's step about one record, as she signed it.
fn stated(
    ctx: &Context,
    deed: &Deed,
    actor: PublicKey,
    (point, record): (PublicKey, Hash),
    (at, statement): (TimeMillis, &[u8]),
) -> Option<Deed> {
    let statement: SignedStatement = decode_exact(statement, MAX_STATEMENT_BYTES).ok()?;
    let deed = deed
        .clone()
        .by(actor)
        .about_pseudonym(point)
        .on_record(record)
        .signed(at, statement);
    let check = deed.entry.statement_check(&ctx.map.private_chain);
    (check == StatementCheck::Signed).then_some(deed)
}

/// Has several deeds logged at once; gives the height of the newest block with one of them.
async fn commit_all(ctx: &Arc<Context>, deeds: Vec<Deed>) -> Result<u64, Turned> {
    let mut waiting = JoinSet::new();
    for deed in deeds {
        let ctx = Arc::clone(ctx);
        waiting.spawn(async move { ctx.commit(deed).await });
    }
    let mut newest = 0;
    let mut failed = None;
    while let Some(outcome) = waiting.join_next().await {
        match outcome.map_err(Turned::later).and_then(|logged| logged) {
            Ok(logged) => newest = newest.max(logged.height),
            Err(turned) => failed = Some(turned),
        }
    }
    match failed {
        Some(turned) => Err(turned),
        None => Ok(newest),
    }
}
