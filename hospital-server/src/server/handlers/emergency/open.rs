//! The requester opens: with enough officers' words, and once an entry of each record is committed, she gets their
//! boxes and the sealed records.

use super::document::{Item, Items};
use super::{OPEN, at_request, commit_all, records, stated};
use crate::roster::Known;
use crate::server::audit_log::deed::Deed;
use crate::server::context::{Context, Turned};
use crate::server::register::EmergencyRow;
use caduceus_crypto::{Hash, domain, hash};
use caduceus_network::Peer;
use caduceus_network::exchange::{
    CHUNK_BYTES, EmergencyAnswer, EmergencyApproval, EmergencyOpening,
};
use private_chain::policy::{Operation, Question};
use std::sync::Arc;
use std::time::Instant;

/// Digits of an officer's key in a reason: as many as logs show of an actor. Her own entry has all of them.
const KEY_DIGITS: usize = 12;

pub(super) async fn run(
    ctx: &Arc<Context>,
    peer: &Peer,
    opening: EmergencyOpening,
    id: [u8; 16],
) -> Result<EmergencyAnswer, Turned> {
    let (deed, staff, row) =
        at_request(ctx, peer, OPEN, &opening.request, Operation::Emergency).await?;
    is_requester(ctx, &deed, &staff, &row).await?;
    let signed = opening.hospital == ctx.map.hospital && opening.check(&staff.key).is_ok();
    if !signed || !ctx.is_recent(opening.at) {
        let detail = "the opening is not signed by its sender for here and now";
        return Err(ctx.deny(deed, "emergency_signature", detail).await);
    }
    let items = Items::read(ctx, id, &row.records).await?;
    let approvals = standing_approvals(ctx, &row).await?;
    for item in &items.items {
        let (needed, found) = (item.key.threshold(), officers_for(item, &approvals));
        if found < needed {
            let detail = format!("{found} officers approved, {needed} are needed");
            return Err(ctx.deny(deed, "emergency_too_few_officers", detail).await);
        }
    }
    let officers: Vec<String> = approvals
        .iter()
        .map(|approval| {
            approval
                .officer
                .to_string()
                .chars()
                .take(KEY_DIGITS)
                .collect()
        })
        .collect();
    let deed = deed.because(format!(
        "{}; agreed by {}",
        row.request.reason,
        officers.join(", ")
    ));
    let mut deeds = Vec::new();
    for (at, item) in items.items.iter().enumerate() {
        let said = opening.statements.get(at).map_or(&[][..], Vec::as_slice);
        let said = (opening.at, said);
        match stated(ctx, &deed, staff.key, item.names(), said) {
            Some(deed) => deeds.push(deed),
            None => {
                let detail = "the requester has not signed the entry of each record";
                return Err(ctx.deny(deed, "emergency_statement", detail).await);
            }
        }
    }
    if deeds.is_empty() {
        return Err(ctx.fail(deed, "the records cannot be read").await);
    }
    let logged_at = commit_all(ctx, deeds).await?;
    for item in &items.items {
        let name = session(&opening.request, &item.excerpt.record_hash);
        // No part was served yet: one beyond any record's end stands for it.
        ctx.sessions
            .begin(name, id, item.total, u64::MAX, Instant::now());
    }
    Ok(EmergencyAnswer::Opened {
        document: items.document(&row),
        approvals,
        logged_at,
    })
}

/// Only she who asked opens.
async fn is_requester(
    ctx: &Context,
    deed: &Deed,
    staff: &Known,
    row: &EmergencyRow,
) -> Result<(), Turned> {
    if staff.key == row.request.requester {
        return Ok(());
    }
    let detail = "somebody else asked for this";
    Err(ctx
        .deny(deed.clone(), "emergency_other_requester", detail)
        .await)
}

/// The approvals of officers who are in good standing now.
async fn standing_approvals(
    ctx: &Context,
    row: &EmergencyRow,
) -> Result<Vec<EmergencyApproval>, Turned> {
    let mut found = Vec::new();
    for approval in &row.approvals {
        let known = ctx.roster.who(&approval.officer, ctx.now()).await;
        let known = known.map_err(Turned::later)?;
        // An officer counts while she might agree.
        let mut question = Question::new(
            known.principal,
            Operation::EmergencyApprove,
            records(&row.request.id()),
        );
        question.context.emergency = true;
        let denial = ctx.policies.denial(&question).await;
        if denial.map_err(Turned::later)?.is_none() {
            found.push(approval.clone());
        }
    }
    Ok(found)
}

fn officers_for(item: &Item, approvals: &[EmergencyApproval]) -> usize {
    approvals
        .iter()
        .filter(|approval| item.key.index_of(&approval.officer).is_some())
        .count()
}

/// The name of a record that is fetched.
fn session(request: &Hash, record: &Hash) -> Hash {
    hash(
        domain::REQUEST_ID,
        &[b"emergency", request.as_bytes(), record.as_bytes()],
    )
}

/// A part of a record that was opened: covered by the entries of the opening for a few minutes, each part once.
pub(super) async fn fetch(
    ctx: &Context,
    peer: &Peer,
    request: Hash,
    record: Hash,
    offset: u64,
    id: [u8; 16],
) -> Result<EmergencyAnswer, Turned> {
    let (deed, staff, row) = at_request(ctx, peer, OPEN, &request, Operation::Emergency).await?;
    let deed = deed.on_record(record);
    is_requester(ctx, &deed, &staff, &row).await?;
    let name = session(&request, &record);
    let Some(part) = ctx.sessions.take(&name, offset, Instant::now()) else {
        let detail = "the record is not open now, or this part was fetched before: open it again";
        return Err(ctx.deny(deed, "emergency_not_open", detail).await);
    };
    ctx.vault_call(id, "range", &record)?;
    match ctx.vault.range(record, offset, CHUNK_BYTES).await {
        Ok(bytes) => Ok(EmergencyAnswer::Chunk {
            total: part.total,
            bytes,
        }),
        Err(error) => {
            tracing::error!(%error, "a record disappeared while it was fetched");
            ctx.sessions.end(&name);
            Err(ctx.fail(deed, "the vault cannot be read").await)
        }
    }
}
