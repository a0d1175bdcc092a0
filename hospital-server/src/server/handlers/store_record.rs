//! A workstation uploads a sealed record and has it anchored.
//!
//! Order at the end of an upload: the evidence is checked against the bytes; the intent is durable, and so is the audit
//! entry, which is on its way to the chain from here on; the vault has the record, durably, and signs for it; the anchor
//! is submitted; both are proved to be in committed blocks; the receipt is signed and durable, and with it under which card the pseudonym goes.
//! Every step can be repeated, and a repetition under the same request identifier makes the same bytes, which the
//! chain commits once: a crash anywhere loses nothing. A record that the chain refuses stays in the vault as
//! bytes that nothing names, and its pseudonym opens nobody's log.
//!
//! The receipt's time runs from when the anchor is known to be committed, not from the intent: a repetition may come
//! a day later, and a promise that is late when it is given would convict the hospital.

mod amends;
mod evidence;

use super::emergency::terms::{self, WrapFault};
use crate::chain::{ChainError, Placed};
use crate::database::blocking;
use crate::roster::Known;
use crate::server::audit_log::Ahead;
use crate::server::audit_log::deed::{Deed, Kind};
use crate::server::context::{Context, Turned, new_request_id, not_logged};
use crate::server::register::{RecordRow, Register, RegisterError, RequestRow};
use crate::server::uploads::UploadError;
use crate::server::vault::VaultError;
use caduceus_crypto::evidence::sign_vault_receipt;
use caduceus_crypto::{
    Anchor, AnchorBody, Hash, PublicKey, Receipt, SecretKey, TimeMillis, encode,
};
use caduceus_network::exchange::{Finish, StoreRecord, StoreRecordReply, StoreRecordRequest};
use caduceus_network::{Exchange, Peer, Refused};
use private_chain::policy::{Operation, Resource};
use private_chain::{Action, ActionClass, Tx, query};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::ClinicalWrite, Action::Create, "upload");

/// The end of an upload that replaces a record.
const AMEND: Kind = Kind::new(ActionClass::ClinicalWrite, Action::Update, "amend");

/// By when an anchored record is linked, from when its anchor is known to be committed.
const LINK_WITHIN_MILLIS: u64 = 10 * 60 * 1000;

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: StoreRecordRequest,
) -> Result<StoreRecordReply, Refused> {
    let (id, outcome) = match request {
        StoreRecordRequest::Chunk {
            upload,
            offset,
            bytes,
        } => {
            let id = new_request_id();
            (id, chunk(&ctx, &peer, id, upload, offset, bytes).await)
        }
        StoreRecordRequest::Finish(finish) => {
            let id = finish.request_id;
            let _turn = ctx.gate.turn(id).await;
            (id, finish_upload(&ctx, &peer, finish).await)
        }
    };
    let reply = match outcome {
        Ok(reply) => reply,
        Err(Turned::Denied { rule, detail }) => StoreRecordReply::denied(rule, detail),
        Err(Turned::Later {
            after_millis,
            detail,
        }) => return Ok(StoreRecordReply::retry(after_millis, detail)),
        Err(Turned::Refused(refused)) => return Err(refused),
    };
    // Taking a part in is no action: nothing is kept, nothing is told.
    if !matches!(reply, StoreRecordReply::ChunkOk { .. }) {
        ctx.journal.replied(id, StoreRecord::PROTOCOL);
    }
    Ok(reply)
}

async fn chunk(
    ctx: &Context,
    peer: &Peer,
    id: [u8; 16],
    upload: [u8; 16],
    offset: u64,
    bytes: Vec<u8>,
) -> Result<StoreRecordReply, Turned> {
    let deed = ctx.deed(KIND, peer, id);
    let staff = ctx
        .staff(peer, &deed, Operation::Upload, Resource::new_record())
        .await?;
    let uploads = ctx.uploads.clone();
    match blocking(move || uploads.chunk(staff.key, upload, offset, &bytes)).await {
        Ok(received) => Ok(StoreRecordReply::ChunkOk { received }),
        Err(error) => Err(upload_refusal(ctx, staff.enter(deed), error).await),
    }
}

async fn upload_refusal(ctx: &Context, deed: Deed, error: UploadError) -> Turned {
    let rule = match &error {
        UploadError::Full { .. } => return Turned::later(error),
        UploadError::Disk { .. } => {
            tracing::error!(%error, "an upload cannot be kept");
            return Turned::later("the server's disk cannot be used");
        }
        UploadError::TooLarge { .. } => "upload_too_large",
        UploadError::Holes { .. } => "upload_holes",
        UploadError::Unknown => "upload_unknown",
        UploadError::Incomplete { .. } => "upload_incomplete",
    };
    ctx.deny(deed, rule, error.to_string()).await
}

async fn finish_upload(
    ctx: &Context,
    peer: &Peer,
    finish: Finish,
) -> Result<StoreRecordReply, Turned> {
    let deed = match finish.amends {
        None => ctx.deed(KIND, peer, finish.request_id),
        Some(replaced) => ctx
            .deed(AMEND, peer, finish.request_id)
            .because(format!("replaces {replaced}")),
    };
    let mut deed = deed.about_card(ctx.card_hash(&finish.card));
    if let Ok(body) = evidence::body_of(&finish) {
        deed = deed.on_record(body.record_hash);
    }
    let deed = ctx.stated(deed, finish.statement.as_ref());
    let (operation, resource) = match finish.amends {
        None => (Operation::Upload, Resource::new_record()),
        Some(replaced) => {
            let resource = amends::resource(ctx, peer, &finish.card, replaced).await?;
            (Operation::Amend, resource)
        }
    };
    let staff = ctx.staff(peer, &deed, operation, resource).await?;
    let deed = staff.enter(deed);
    let body = match evidence::statement(&finish, &staff, ctx.map.hospital) {
        Ok(body) => body,
        Err((rule, detail)) => return Err(ctx.deny(deed, rule, detail).await),
    };
    let mut begun = false;
    match before(ctx, &finish, &staff, body.record_hash).await? {
        Before::Done(reply) => return Ok(reply),
        // Its anchor may be committed, a day ago or more: the chain knows.
        Before::Begun => begun = true,
        Before::Nothing => {
            if let Err((rule, detail)) = evidence::is_of_today(&body, ctx.now()) {
                return Err(ctx.deny(deed, rule, detail).await);
            }
        }
    }
    let (register, card) = (ctx.register.clone(), finish.card);
    if let Err(error) = blocking(move || register.card(&card)).await {
        return Err(ctx.register_refusal(deed, error).await);
    }
    amends::check(ctx, &deed, &finish).await?;
    let (ahead, bytes) = bytes_of(ctx, &deed, &finish, &staff, body.record_hash).await?;
    if let Err((rule, detail)) = evidence::matches(&body, &bytes) {
        return Err(ctx.deny(deed, rule, detail).await);
    }
    // What was begun was judged then: the patient may have said something else since.
    if !begun {
        emergency_wrap(ctx, &deed, &finish, &bytes).await?;
    }
    intend(ctx, &deed, &finish, &staff, &body).await?;
    let ahead = match ahead {
        Some(ahead) => ahead,
        None => ctx.ahead(deed.clone()).await?,
    };
    let anchor = vaulted(ctx, &deed, &finish, &staff, body, bytes).await?;
    let placed = anchored_and_logged(ctx, &deed, &anchor, &finish, ahead).await?;
    concluded(ctx, &finish, &staff, &anchor, &placed).await
}

/// The record has the second wrap that its patient asked for, or none.
async fn emergency_wrap(
    ctx: &Context,
    deed: &Deed,
    finish: &Finish,
    bytes: &[u8],
) -> Result<(), Turned> {
    match terms::check_wrap(ctx, ctx.card_hash(&finish.card), bytes).await {
        Ok(()) => Ok(()),
        Err(WrapFault::Broken(rule, detail)) => Err(ctx.deny(deed.clone(), rule, detail).await),
        Err(WrapFault::Later(turned)) => Err(turned),
        Err(WrapFault::Register(error)) => Err(ctx.register_refusal(deed.clone(), error).await),
    }
}

/// What became of the same request before.
#[derive(Debug, PartialEq, Eq)]
enum Before {
    /// It is new, or was about another record.
    Nothing,
    /// It was begun, and may be anchored.
    Begun,
    /// It was finished, with this answer.
    Done(StoreRecordReply),
}

/// What became of a request before, under the same identifier, by the same caller, about the same record.
async fn before(
    ctx: &Context,
    finish: &Finish,
    staff: &Known,
    record: Hash,
) -> Result<Before, Turned> {
    let (register, id, caller) = (ctx.register.clone(), finish.request_id, staff.key);
    blocking(move || known(&register, &id, caller, record))
        .await
        .map_err(Turned::later)
}

fn known(
    register: &Register,
    id: &[u8; 16],
    caller: PublicKey,
    record: Hash,
) -> Result<Before, RegisterError> {
    let row = register
        .request(id)?
        .filter(|row| row.caller == caller && row.record_hash == record);
    Ok(match row {
        None => Before::Nothing,
        Some(row) if row.done => match register.record(&record)? {
            Some(row) => Before::Done(stored(record, &row)),
            None => Before::Begun,
        },
        Some(_) => Before::Begun,
    })
}

fn stored(record_hash: Hash, row: &RecordRow) -> StoreRecordReply {
    StoreRecordReply::Stored {
        height: row.height,
        position: row.position,
        block_hash: row.block_hash,
        record_hash,
        receipt: row.receipt.clone(),
    }
}

/// The uploaded bytes, or those in the vault if a crash took the upload after they got there.
async fn bytes_of(
    ctx: &Context,
    deed: &Deed,
    finish: &Finish,
    staff: &Known,
    record: Hash,
) -> Result<(Option<Ahead>, Arc<Vec<u8>>), Turned> {
    let (uploads, owner, name, total) =
        (ctx.uploads.clone(), staff.key, finish.upload, finish.total);
    match blocking(move || uploads.whole(owner, name, total)).await {
        Ok(bytes) => Ok((None, Arc::new(bytes))),
        Err(UploadError::Unknown) => {
            // The vault is not touched without an entry.
            let ahead = ctx.ahead(deed.clone()).await?;
            ctx.vault_call(finish.request_id, "get", &record)?;
            match ctx.vault.get(record).await {
                Ok(bytes) => Ok((Some(ahead), Arc::new(bytes))),
                Err(VaultError::Disk { .. }) => {
                    Err(ctx.fail(deed.clone(), "the vault cannot be read").await)
                }
                Err(_) => Err(upload_refusal(ctx, deed.clone(), UploadError::Unknown).await),
            }
        }
        Err(error) => Err(upload_refusal(ctx, deed.clone(), error).await),
    }
}

/// Makes the intent durable.
async fn intend(
    ctx: &Context,
    deed: &Deed,
    finish: &Finish,
    staff: &Known,
    body: &AnchorBody,
) -> Result<(), Turned> {
    let row = RequestRow {
        caller: staff.key,
        record_hash: body.record_hash,
        done: false,
    };
    let (register, id) = (ctx.register.clone(), finish.request_id);
    match blocking(move || register.intend(&id, row)).await {
        Ok(()) => Ok(()),
        Err(error) => Err(ctx.register_refusal(deed.clone(), error).await),
    }
}

/// Puts the bytes into the vault and signs for them.
async fn vaulted(
    ctx: &Context,
    deed: &Deed,
    finish: &Finish,
    staff: &Known,
    body: AnchorBody,
    bytes: Arc<Vec<u8>>,
) -> Result<Anchor, Turned> {
    let stored_bytes = bytes.len() as u64;
    ctx.vault_call(finish.request_id, "put", &body.record_hash)?;
    if let Err(error) = ctx.vault.put(body.record_hash, bytes).await {
        tracing::error!(%error, "the vault cannot keep a record");
        return Err(ctx
            .fail(deed.clone(), "the vault cannot keep the record")
            .await);
    }
    Ok(Anchor {
        author: staff.key,
        author_signature: finish.author_signature,
        stored_bytes,
        vault: ctx.server.public(),
        vault_signature: sign_vault_receipt(&ctx.server, &body.record_hash, stored_bytes),
        body,
    })
}

/// Submits the anchor and waits until it and the audit entry are committed.
async fn anchored_and_logged(
    ctx: &Context,
    deed: &Deed,
    anchor: &Anchor,
    finish: &Finish,
    ahead: Ahead,
) -> Result<Placed, Turned> {
    // Hundreds of curve points, with an index scheme that has them.
    let whole = anchor.clone();
    if let Err(error) = blocking(move || whole.check()).await {
        return Err(ctx
            .deny(deed.clone(), "anchor_evidence", error.to_string())
            .await);
    }
    let tx = transaction(anchor, finish).encode();
    let (placed, logged) = tokio::join!(ctx.chain.submit(&tx), ahead.committed());
    match placed {
        Ok(placed) => {
            logged.map_err(not_logged)?;
            Ok(placed)
        }
        // The entry that said it would be done is followed by one that says it was not.
        Err(ChainError::Rejected { rule, detail }) => {
            Err(ctx.deny(deed.clone(), &rule, detail).await)
        }
        Err(error) => Err(ctx.fail(deed.clone(), error.to_string()).await),
    }
}

/// What goes to the chain. The same request makes the same bytes.
fn transaction(anchor: &Anchor, finish: &Finish) -> Tx {
    match finish.amends {
        Some(replaced) => Tx::amend(anchor.clone(), finish.request_id, replaced),
        None => Tx::anchor(anchor.clone(), finish.request_id),
    }
}

/// The hospital's promise about a record that is anchored now.
fn promise(identity: &SecretKey, body: &AnchorBody, now: TimeMillis) -> Receipt {
    Receipt::sign(
        identity,
        body.hospital,
        body.record_hash,
        body.entries.hash(),
        body.pseudonym,
        TimeMillis(now.0 + LINK_WITHIN_MILLIS),
    )
}

/// Signs the receipt and makes the end durable.
async fn concluded(
    ctx: &Context,
    finish: &Finish,
    staff: &Known,
    anchor: &Anchor,
    placed: &Placed,
) -> Result<StoreRecordReply, Turned> {
    let body = &anchor.body;
    let record = body.record_hash;
    let receipt = promise(&ctx.identity, body, ctx.now());
    let row = RecordRow {
        card: ctx.card_hash(&finish.card),
        pseudonym: body.pseudonym,
        height: placed.height,
        position: query::anchor_result(&placed.result).map_err(Turned::later)?,
        block_hash: placed.block_hash,
        stored_bytes: anchor.stored_bytes,
        receipt: encode(&receipt),
    };
    let (register, id, card) = (ctx.register.clone(), finish.request_id, finish.card);
    let (uploads, owner, name) = (ctx.uploads.clone(), staff.key, finish.upload);
    let amends = finish.amends;
    let kept = blocking(move || {
        if let Some(replaced) = amends {
            register.supersede(&replaced, &record)?;
        }
        let kept = register.finish(&id, &card, &record, &row)?;
        uploads.discard(owner, name);
        Ok::<RecordRow, RegisterError>(kept)
    })
    .await
    .map_err(Turned::later)?;
    Ok(stored(record, &kept))
}

#[cfg(test)]
mod tests;
