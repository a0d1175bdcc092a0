//! The receipt of a stored record, again: for staff, and for whoever knows the record's hash.
//!
//! A record's hash is no secret, so who is not staff counts as a stranger: only so many receipts a minute have an
//! entry and leave, all strangers together and each peer by itself.

use crate::database::blocking;
use crate::server::audit_log::deed::{Deed, Kind};
use crate::server::context::{Context, Turned, new_request_id};
use caduceus_crypto::Hash;
use caduceus_network::exchange::{FetchReceipt, FetchReceiptReply, FetchReceiptRequest};
use caduceus_network::{Exchange, Peer, Refused};
use private_chain::policy::{Operation, Principal, Question, Relation, Resource};
use private_chain::{Action, ActionClass};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::ClinicalRead, Action::Read, "receipt");

/// Receipts that one peer gets in a minute if it is not staff.
const EACH_PEER: u32 = 6;

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: FetchReceiptRequest,
) -> Result<FetchReceiptReply, Refused> {
    let id = new_request_id();
    match run(&ctx, &peer, request, id).await {
        Ok(reply) => {
            ctx.journal.replied(id, FetchReceipt::PROTOCOL);
            Ok(reply)
        }
        Err(Turned::Refused(refused)) => Err(refused),
        Err(Turned::Denied { detail, .. } | Turned::Later { detail, .. }) => {
            Err(Refused::because(detail))
        }
    }
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: FetchReceiptRequest,
    id: [u8; 16],
) -> Result<FetchReceiptReply, Turned> {
    let record = request.record_hash;
    let deed = ctx.deed(KIND, peer, id).on_record(record);
    let register = ctx.register.clone();
    match blocking(move || register.record(&record)).await {
        Ok(Some(row)) => {
            let deed = deed.about_pseudonym(row.pseudonym.point);
            let deed = entitled(ctx, peer, record, deed).await?;
            ctx.commit(deed).await?;
            Ok(FetchReceiptReply {
                receipt: row.receipt,
            })
        }
        Ok(None) => Err(ctx.turn_away(deed, "no such record").await),
        Err(error) => Err(ctx.register_refusal(deed, error).await),
    }
}

/// The entry of a caller who gets the receipt.
async fn entitled(ctx: &Context, peer: &Peer, record: Hash, deed: Deed) -> Result<Deed, Turned> {
    let (principal, role) = match &peer.key {
        None => (Principal::Stranger { id: String::new() }, None),
        Some(key) => {
            let known = ctx.roster.who(key, ctx.now()).await;
            let known = known.map_err(Turned::later)?;
            (known.principal, known.role)
        }
    };
    let deed = match role {
        Some(role) => deed.as_role(role),
        None => deed,
    };
    let register = ctx.register.clone();
    let state = match blocking(move || register.state(&record)).await {
        Ok(state) => state,
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let resource = Resource::record(record, state, Relation::Other);
    ctx.permit(
        &deed,
        Question::new(principal, Operation::Receipt, resource),
    )
    .await?;
    if role.is_some() {
        return Ok(deed);
    }
    if !ctx.admit(&ctx.receipt_callers, &peer.id.to_bytes(), EACH_PEER) {
        return Err(Turned::refused("too many receipts for one peer"));
    }
    match ctx.count_stranger("not staff") {
        Some(reason) => Ok(deed.because(reason)),
        None => Err(Turned::refused("too many receipts for strangers")),
    }
}
