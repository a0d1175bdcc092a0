//! A workstation uploads a sealed record and has it anchored.
//!
//! Order at the end of an upload: the evidence is checked against the bytes; the intent is durable; the vault
//! has the record, durably, and signs for it; anchor and audit entry are submitted together; both are proved to
//! be in committed blocks; the receipt is signed and durable, and with it under which card the pseudonym goes.
//! Every step can be repeated, and a repetition under the same request identifier makes the same bytes, which the
//! chain commits once: a crash anywhere loses nothing. A record that the chain refuses stays in the vault as
//! bytes that nothing names, and its pseudonym opens nobody's log.

mod amends;
mod evidence;

use crate::chain::{ChainError, Placed};
use crate::database::blocking;
use crate::server::audit_log::Logged;
use crate::server::audit_log::deed::{Deed, Kind};
use crate::server::context::{Context, Staff, Turned, new_request_id};
use crate::server::register::{RecordRow, RequestRow};
use crate::server::uploads::UploadError;
use crate::server::vault::VaultError;
use caduceus_crypto::evidence::sign_vault_receipt;
use caduceus_crypto::{Anchor, AnchorBody, Hash, Receipt, TimeMillis, encode};
use caduceus_network::exchange::{Finish, StoreRecord, StoreRecordReply, StoreRecordRequest};
use caduceus_network::{Exchange, Peer, Refused};
use private_chain::{Action, ActionClass, Role, Tx, query};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::ClinicalWrite, Action::Create, "upload");

/// The end of an upload that replaces a record.
const AMEND: Kind = Kind::new(ActionClass::ClinicalWrite, Action::Update, "amend");

/// By when a stored record is linked, from the end of its upload.
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
    let staff = ctx.staff(peer, &deed, Role::may_anchor).await?;
    let uploads = ctx.uploads.clone();
    match blocking(move || uploads.chunk(staff.key, upload, offset, &bytes)).await {
        Ok(received) => Ok(StoreRecordReply::ChunkOk { received }),
        Err(error) => Err(upload_refusal(ctx, deed.as_role(staff.role), error).await),
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
    let deed = deed.about_card(ctx.card_hash(&finish.card));
    let staff = ctx.staff(peer, &deed, Role::may_anchor).await?;
    let deed = deed.as_role(staff.role);
    let body = match evidence::statement(&finish, &staff, ctx.map.hospital) {
        Ok(body) => body,
        Err((rule, detail)) => return Err(ctx.deny(deed, rule, detail).await),
    };
    let deed = deed.on_record(body.record_hash);
    if let Some(reply) = answered_before(ctx, &finish, &staff, body.record_hash).await? {
        return Ok(reply);
    }
    let (register, card) = (ctx.register.clone(), finish.card);
    if let Err(error) = blocking(move || register.card(&card)).await {
        return Err(ctx.register_refusal(deed, error).await);
    }
    amends::check(ctx, &deed, &finish).await?;
    let bytes = bytes_of(ctx, &deed, &finish, &staff, body.record_hash).await?;
    if let Err((rule, detail)) = evidence::matches(&body, &bytes) {
        return Err(ctx.deny(deed, rule, detail).await);
    }
    let deadline = intend(ctx, &deed, &finish, &staff, &body).await?;
    let anchor = vaulted(ctx, &finish, &staff, body, bytes).await?;
    let (placed, _logged) = anchored_and_logged(ctx, &deed, &anchor, &finish).await?;
    concluded(ctx, &finish, &staff, &anchor, &placed, deadline).await
}

/// The answer of a request that was finished before, under the same identifier, by the same caller.
async fn answered_before(
    ctx: &Context,
    finish: &Finish,
    staff: &Staff,
    record: Hash,
) -> Result<Option<StoreRecordReply>, Turned> {
    let (register, id, caller) = (ctx.register.clone(), finish.request_id, staff.key);
    let found = blocking(move || {
        let known = register.request(&id)?;
        if known.is_some_and(|row| row.done && row.caller == caller && row.record_hash == record) {
            register.record(&record)
        } else {
            Ok(None)
        }
    })
    .await
    .map_err(Turned::later)?;
    Ok(found.map(|row| stored(record, &row)))
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
    staff: &Staff,
    record: Hash,
) -> Result<Arc<Vec<u8>>, Turned> {
    let (uploads, owner, name, total) =
        (ctx.uploads.clone(), staff.key, finish.upload, finish.total);
    match blocking(move || uploads.whole(owner, name, total)).await {
        Ok(bytes) => Ok(Arc::new(bytes)),
        Err(UploadError::Unknown) => {
            ctx.journal.vault_call(finish.request_id, "get");
            match ctx.vault.get(record).await {
                Ok(bytes) => Ok(Arc::new(bytes)),
                Err(VaultError::Disk { .. }) => Err(Turned::later("the vault cannot be read")),
                Err(_) => Err(upload_refusal(ctx, deed.clone(), UploadError::Unknown).await),
            }
        }
        Err(error) => Err(upload_refusal(ctx, deed.clone(), error).await),
    }
}

/// Makes the intent durable and gives the link deadline, which no repetition changes.
async fn intend(
    ctx: &Context,
    deed: &Deed,
    finish: &Finish,
    staff: &Staff,
    body: &AnchorBody,
) -> Result<TimeMillis, Turned> {
    let row = RequestRow {
        caller: staff.key,
        record_hash: body.record_hash,
        link_deadline: TimeMillis(ctx.now().0 + LINK_WITHIN_MILLIS),
        done: false,
    };
    let (register, id) = (ctx.register.clone(), finish.request_id);
    match blocking(move || register.intend(&id, row)).await {
        Ok(deadline) => Ok(deadline),
        Err(error) => Err(ctx.register_refusal(deed.clone(), error).await),
    }
}

/// Puts the bytes into the vault and signs for them.
async fn vaulted(
    ctx: &Context,
    finish: &Finish,
    staff: &Staff,
    body: AnchorBody,
    bytes: Arc<Vec<u8>>,
) -> Result<Anchor, Turned> {
    let stored_bytes = bytes.len() as u64;
    ctx.journal.vault_call(finish.request_id, "put");
    if let Err(error) = ctx.vault.put(body.record_hash, bytes).await {
        tracing::error!(%error, "the vault cannot keep a record");
        return Err(Turned::later("the vault cannot keep the record"));
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

/// Submits anchor and audit entry together and waits until both are committed.
async fn anchored_and_logged(
    ctx: &Context,
    deed: &Deed,
    anchor: &Anchor,
    finish: &Finish,
) -> Result<(Placed, Logged), Turned> {
    // Hundreds of curve points, with an index scheme that has them.
    let whole = anchor.clone();
    if let Err(error) = blocking(move || whole.check()).await {
        return Err(ctx
            .deny(deed.clone(), "anchor_evidence", error.to_string())
            .await);
    }
    let tx = transaction(anchor, finish).encode();
    let (placed, logged) = tokio::join!(ctx.chain.submit(&tx), ctx.commit(deed.clone()));
    match placed {
        Ok(placed) => Ok((placed, logged?)),
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

/// Signs the receipt and makes the end durable.
async fn concluded(
    ctx: &Context,
    finish: &Finish,
    staff: &Staff,
    anchor: &Anchor,
    placed: &Placed,
    deadline: TimeMillis,
) -> Result<StoreRecordReply, Turned> {
    let body = &anchor.body;
    let record = body.record_hash;
    let receipt = Receipt::sign(
        &ctx.identity,
        ctx.map.hospital,
        record,
        body.entries.hash(),
        body.pseudonym,
        deadline,
    );
    let row = RecordRow {
        card: ctx.card_hash(&finish.card),
        pseudonym: body.pseudonym,
        height: placed.height,
        position: query::anchor_result(&placed.result).map_err(Turned::later)?,
        block_hash: placed.block_hash,
        stored_bytes: anchor.stored_bytes,
        receipt: encode(&receipt),
    };
    let reply = stored(record, &row);
    let (register, id, card) = (ctx.register.clone(), finish.request_id, finish.card);
    let (uploads, owner, name) = (ctx.uploads.clone(), staff.key, finish.upload);
    blocking(move || {
        register.finish(&id, &card, &record, &row)?;
        uploads.discard(owner, name);
        Ok::<(), crate::server::register::RegisterError>(())
    })
    .await
    .map_err(Turned::later)?;
    Ok(reply)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::index::IndexEntries;
    use caduceus_crypto::{HospitalId, Pseudonym, PublicKey, SecretKey, Signature};
    use rand_core::OsRng;

    fn key() -> PublicKey {
        SecretKey::generate(&mut OsRng).public()
    }

    fn anchor() -> Anchor {
        let author = SecretKey::generate(&mut OsRng);
        let body = AnchorBody {
            hospital: HospitalId([1; 32]),
            pseudonym: Pseudonym {
                point: key(),
                ephemeral: key(),
                view_tag: 3,
            },
            record_hash: Hash([2; 32]),
            header_hash: Hash([3; 32]),
            entries: IndexEntries::Tags(Vec::new()),
            capsule: Vec::new(),
            delegating: key(),
            visit: Hash::ZERO,
            epoch: caduceus_crypto::Epoch(19_849),
            authored_at: TimeMillis(1_715_000_000_000),
        };
        Anchor {
            author: author.public(),
            author_signature: body.sign(&author),
            stored_bytes: 20_000,
            vault: key(),
            vault_signature: sign_vault_receipt(&author, &body.record_hash, 20_000),
            body,
        }
    }

    #[test]
    fn a_repeated_request_makes_the_same_transaction() {
        let anchor = anchor();
        let finish = |amends: Option<Hash>| Finish {
            upload: [5; 16],
            total: 20_000,
            request_id: [6; 16],
            card: [7; 16],
            anchor_body: encode(&anchor.body),
            author_signature: Signature([9; 64]),
            amends,
            entry: Vec::new(),
        };
        let replaced = Hash([8; 32]);
        let plain = transaction(&anchor, &finish(None));
        assert_eq!(plain, Tx::anchor(anchor.clone(), [6; 16]));
        let amend = transaction(&anchor, &finish(Some(replaced)));
        assert_eq!(amend, Tx::amend(anchor.clone(), [6; 16], replaced));
        for amends in [None, Some(replaced)] {
            let encoded = || transaction(&anchor, &finish(amends)).encode();
            assert_eq!(encoded(), encoded());
        }
        assert_ne!(plain.id(), amend.id());
    }
}
