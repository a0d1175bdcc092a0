//! An officer looks at a request, and agrees: the second person.

use super::document::Items;
use super::{APPROVE, REVIEW, at_request, commit_all, stated};
use crate::database::blocking;
use crate::roster::Known;
use crate::server::audit_log::deed::Deed;
use crate::server::context::{Context, Turned};
use caduceus_crypto::Hash;
use caduceus_network::Peer;
use caduceus_network::exchange::{EmergencyAnswer, EmergencyApproval};
use private_chain::policy::Operation;
use std::sync::Arc;

pub(super) async fn review(
    ctx: &Context,
    peer: &Peer,
    request: Hash,
    id: [u8; 16],
) -> Result<EmergencyAnswer, Turned> {
    let (deed, staff, row) =
        at_request(ctx, peer, REVIEW, &request, Operation::EmergencyApprove).await?;
    let items = Items::read(ctx, id, &row.records).await?;
    if staff.key != row.request.requester {
        is_officer(ctx, &deed, &staff, &items).await?;
    }
    ctx.commit(deed).await?;
    Ok(EmergencyAnswer::Document(items.document(&row)))
}

async fn is_officer(
    ctx: &Context,
    deed: &Deed,
    staff: &Known,
    items: &Items,
) -> Result<(), Turned> {
    if items.has_officer(&staff.key) {
        return Ok(());
    }
    let detail = "not an officer of the emergency key";
    Err(ctx
        .deny(deed.clone(), "emergency_not_officer", detail)
        .await)
}

pub(super) async fn run(
    ctx: &Arc<Context>,
    peer: &Peer,
    approval: EmergencyApproval,
    id: [u8; 16],
) -> Result<EmergencyAnswer, Turned> {
    let (deed, staff, row) = at_request(
        ctx,
        peer,
        APPROVE,
        &approval.request,
        Operation::EmergencyApprove,
    )
    .await?;
    let items = Items::read(ctx, id, &row.records).await?;
    is_officer(ctx, &deed, &staff, &items).await?;
    if staff.key == row.request.requester {
        let detail = "who asks does not agree: another person must";
        return Err(ctx.deny(deed, "emergency_one_person", detail).await);
    }
    let signed = approval.officer == staff.key
        && approval.hospital == ctx.map.hospital
        && approval.check().is_ok();
    if !signed || !ctx.is_recent(approval.at) {
        let detail = "the approval is not signed by its sender for here and now";
        return Err(ctx.deny(deed, "emergency_signature", detail).await);
    }
    let requester = row.request.requester.to_string();
    let deed = deed.because(format!("{}; asked by {requester}", row.request.reason));
    let mut statements = approval.statements.iter();
    let mut deeds = Vec::new();
    for item in &items.items {
        if item.key.index_of(&staff.key).is_none() {
            continue;
        }
        let said = statements.next().map_or(&[][..], Vec::as_slice);
        let said = (approval.at, said);
        match stated(ctx, &deed, staff.key, item.names(), said) {
            Some(deed) => deeds.push(deed),
            None => {
                let detail = "the officer has not signed the entry of each record";
                return Err(ctx.deny(deed, "emergency_statement", detail).await);
            }
        }
    }
    commit_all(ctx, deeds).await?;
    let register = ctx.register.clone();
    match blocking(move || register.approve(&approval)).await {
        Ok(approvals) => Ok(EmergencyAnswer::Approved { approvals }),
        Err(error) => Err(ctx.register_refusal(deed, error).await),
    }
}
