//! Whose card is this: asked with the card's number, hence with the card presented, and logged.

use super::emergency::terms;
use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, request_id_of};
use caduceus_network::exchange::{CardHolder, MetaLookup, MetaLookupRequest, Reply};
use caduceus_network::{Peer, Refused};
use private_chain::policy::{Operation, Relation, Resource};
use private_chain::{Action, ActionClass};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::ClinicalRead, Action::Read, "meta-lookup");

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: MetaLookupRequest,
) -> Result<Reply<CardHolder>, Refused> {
    let id = request_id_of(request.statement.as_ref());
    let outcome = run(&ctx, &peer, request, id).await;
    ctx.reply::<MetaLookup, _>(id, outcome)
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: MetaLookupRequest,
    id: [u8; 16],
) -> Result<CardHolder, Turned> {
    let card = ctx.card_hash(&request.card);
    let deed = ctx.deed(KIND, peer, id).about_card(card);
    let deed = ctx.stated(deed, request.statement.as_ref());
    let presented = Resource::card(card, Relation::Treating);
    let staff = ctx
        .staff(peer, &deed, Operation::MetaLookup, presented)
        .await?;
    let deed = staff.enter(deed);
    let register = ctx.register.clone();
    let row = match blocking(move || register.card(&request.card)).await {
        Ok(row) => row,
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let emergency = terms::of_card(ctx, ctx.card_hash(&request.card)).await?;
    ctx.commit(deed).await?;
    Ok(CardHolder {
        hospital: ctx.map.hospital,
        meta: row.meta,
        index_key: ctx.map.index_key,
        audit_key: row.audit_key,
        since: row.since,
        emergency,
    })
}
