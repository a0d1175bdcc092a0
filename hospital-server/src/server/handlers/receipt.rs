//! The receipt of a stored record, again: for whoever knows the record's hash.

use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, new_request_id};
use caduceus_network::exchange::{FetchReceipt, FetchReceiptReply, FetchReceiptRequest};
use caduceus_network::{Exchange, Peer, Refused};
use private_chain::{Action, ActionClass};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::ClinicalRead, Action::Read, "receipt");

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
        Err(Turned::Denied { detail, .. } | Turned::Later { detail, .. }) => Err(Refused::because(detail)),
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
            ctx.commit(deed.about_pseudonym(row.pseudonym.point)).await?;
            Ok(FetchReceiptReply { receipt: row.receipt })
        }
        Ok(None) => Err(ctx.turn_away(deed, "no such record").await),
        Err(error) => Err(ctx.register_refusal(deed, error).await),
    }
}
