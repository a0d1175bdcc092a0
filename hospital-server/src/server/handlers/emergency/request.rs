//! A physician asks to open records, and says why.

use super::document::Items;
use super::{LIFETIME_MILLIS, REQUEST, records, step, still_opted_in};
use crate::database::blocking;
use crate::server::audit_log::deed::Deed;
use crate::server::context::{Context, Turned};
use crate::server::register::{CardNo, EmergencyRow};
use caduceus_crypto::record::VERSION_EMERGENCY;
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_network::Peer;
use caduceus_network::exchange::{
    EmergencyAnswer, EmergencyRequest, EmergencyTarget, MAX_EMERGENCY_RECORDS,
};
use private_chain::policy::Operation;

/// Where a sealed record has its version: after the header's length.
const VERSION_AT: usize = 4;

/// What a request is about.
struct Aim {
    /// Hash of the card.
    card: Hash,
    /// Its records, newest first.
    records: Vec<Hash>,
}

pub(super) async fn run(
    ctx: &Context,
    peer: &Peer,
    card: Option<CardNo>,
    request: EmergencyRequest,
    id: [u8; 16],
) -> Result<EmergencyAnswer, Turned> {
    let name = request.id();
    let deed = step(ctx, REQUEST, peer, &name).because(request.reason.clone());
    // Before the caller is judged, so that a denial stands in the patient's log.
    let (deed, aim) = aim(ctx, deed, card, &request.target).await?;
    let staff = ctx
        .staff(peer, &deed, Operation::Emergency, records(&name))
        .await?;
    let deed = staff.enter(deed);
    let signed = request.requester == staff.key
        && request.hospital == ctx.map.hospital
        && request.check().is_ok();
    if !signed || !ctx.is_recent(request.at) {
        let detail = "the request is not signed by its sender for here and now";
        return Err(ctx.deny(deed, "emergency_signature", detail).await);
    }
    if request.reason.trim().is_empty() {
        let detail = "a reason is needed";
        return Err(ctx.deny(deed, "emergency_no_reason", detail).await);
    }
    let Some(aim) = aim else {
        let detail = "no such record or card, or not the card's number";
        return Err(ctx.deny(deed, "emergency_target_unknown", detail).await);
    };
    still_opted_in(ctx, &deed, &aim.card).await?;
    let (chosen, beyond) = with_wraps(ctx, id, &aim.records).await?;
    let items = Items::read(ctx, id, &chosen).await?;
    if items.items.is_empty() {
        let detail = "none of the records can be opened by officers: they were sealed before the patient opted in";
        return Err(ctx.deny(deed, "emergency_no_wrap", detail).await);
    }
    ctx.commit(deed.clone()).await?;
    let records: Vec<Hash> = items
        .items
        .iter()
        .map(|item| item.excerpt.record_hash)
        .collect();
    let left_out = beyond + (chosen.len() - records.len());
    let row = EmergencyRow {
        until: TimeMillis(ctx.now().0 + LIFETIME_MILLIS),
        card: aim.card,
        records,
        left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
        approvals: Vec::new(),
        request,
    };
    let document = items.document(&row);
    let register = ctx.register.clone();
    match blocking(move || register.add_emergency(&name, &row)).await {
        Ok(()) => Ok(EmergencyAnswer::Document(document)),
        Err(error) => Err(ctx.register_refusal(deed, error).await),
    }
}

/// What is asked for, and the deed with the patient in it; none if there is no such thing.
async fn aim(
    ctx: &Context,
    deed: Deed,
    card: Option<CardNo>,
    target: &EmergencyTarget,
) -> Result<(Deed, Option<Aim>), Turned> {
    let register = ctx.register.clone();
    match *target {
        EmergencyTarget::Record(record) => {
            let deed = deed.on_record(record);
            let row = blocking(move || register.record(&record))
                .await
                .map_err(Turned::later)?;
            Ok(match row {
                None => (deed, None),
                Some(row) => {
                    let aim = Aim {
                        card: row.card,
                        records: vec![record],
                    };
                    (deed.about_pseudonym(row.pseudonym.point), Some(aim))
                }
            })
        }
        EmergencyTarget::Card(hash) => {
            let deed = deed.about_card(hash);
            let Some(number) = card.filter(|number| ctx.card_hash(number) == hash) else {
                return Ok((deed, None));
            };
            let records = blocking(move || register.records_of(&number))
                .await
                .map_err(Turned::later)?;
            let records = records.into_iter().map(|(record, _)| record).collect();
            let aim = Aim {
                card: hash,
                records,
            };
            Ok((deed, Some(aim)))
        }
    }
}

/// The newest records that have a wrap, as their first bytes say, and how many more there are.
async fn with_wraps(
    ctx: &Context,
    id: [u8; 16],
    records: &[Hash],
) -> Result<(Vec<Hash>, usize), Turned> {
    let (mut chosen, mut beyond) = (Vec::new(), 0);
    for record in records {
        ctx.vault_call(id, "range", record)?;
        let head = ctx.vault.range(*record, 0, VERSION_AT + 1).await;
        if !head.is_ok_and(|head| head.get(VERSION_AT) == Some(&VERSION_EMERGENCY)) {
            continue;
        }
        if chosen.len() < MAX_EMERGENCY_RECORDS {
            chosen.push(*record);
        } else {
            beyond += 1;
        }
    }
    Ok((chosen, beyond))
}
