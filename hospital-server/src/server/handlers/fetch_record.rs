//! An alliance node fetches a record for its owner or a ticket holder.
//!
//! The entry is committed before the first chunk leaves; the chunks that follow within a minute under the same
//! claim are part of the same action. The whole record is hashed before the first chunk.

mod right;

use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, new_request_id};
use crate::server::vault::VaultError;
use caduceus_crypto::{Hash, domain, encode, hash};
use caduceus_network::exchange::{CHUNK_BYTES, FetchRecord, FetchRecordReply, FetchRecordRequest, RecordRight};
use caduceus_network::{Exchange, Peer, Refused};
use private_chain::{Action, ActionClass, Outcome};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const KIND: Kind = Kind::new(ActionClass::ClinicalRead, Action::Read, "fetch-record");

/// How long after a chunk the next one still belongs to the same action.
const SESSION: Duration = Duration::from_secs(60);

/// Sessions remembered at once.
const MAX_SESSIONS: usize = 4096;

/// Records being fetched, by who asked for what.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    open: Arc<Mutex<HashMap<Hash, Session>>>,
}

#[derive(Clone, Copy)]
struct Session {
    request_id: [u8; 16],
    total: u64,
    until: Instant,
}

impl Sessions {
    /// The session of a claim, prolonged.
    fn resume(&self, name: &Hash) -> Option<Session> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let session = open.get_mut(name).filter(|session| session.until > now)?;
        session.until = now + SESSION;
        Some(*session)
    }

    fn begin(&self, name: Hash, request_id: [u8; 16], total: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if open.len() >= MAX_SESSIONS {
            open.retain(|_, session| session.until > now);
        }
        if open.len() >= MAX_SESSIONS {
            // Whoever is forgotten has another entry made.
            open.clear();
        }
        let until = now + SESSION;
        open.insert(
            name,
            Session {
                request_id,
                total,
                until,
            },
        );
    }

    fn end(&self, name: &Hash) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: FetchRecordRequest,
) -> Result<FetchRecordReply, Refused> {
    // The same claim through two nodes is two actions.
    let name = hash(domain::REQUEST_ID, &[&encode(&(&request.claim, &request.right)), &peer.id.to_bytes()]);
    let mut turn = [0u8; 16];
    turn.copy_from_slice(&name.0[..16]);
    // Chunks that are asked for at once must not each be taken for the first.
    let guard = ctx.gate.turn(turn).await;
    if let Some(session) = ctx.sessions.resume(&name) {
        drop(guard);
        return Ok(next_chunk(&ctx, &request, &name, session).await);
    }
    let id = new_request_id();
    let reply = match first_chunk(&ctx, &peer, &request, &name, id).await {
        Ok(reply) => reply,
        Err(Turned::Later { after_millis, .. }) => return Ok(FetchRecordReply::Later { after_millis }),
        Err(Turned::Denied { detail, .. }) => return Err(Refused::because(detail)),
        Err(Turned::Refused(refused)) => return Err(refused),
    };
    ctx.journal.replied(id, FetchRecord::PROTOCOL);
    Ok(reply)
}

async fn next_chunk(
    ctx: &Context,
    request: &FetchRecordRequest,
    name: &Hash,
    session: Session,
) -> FetchRecordReply {
    let record = request.claim.record_hash;
    ctx.journal.vault_call(session.request_id, "range");
    match ctx.vault.range(record, request.offset, CHUNK_BYTES).await {
        Ok(bytes) => FetchRecordReply::Chunk {
            total: session.total,
            bytes,
        },
        Err(error) => {
            tracing::error!(%error, "a record disappeared while it was fetched");
            ctx.sessions.end(name);
            FetchRecordReply::withheld(ctx.map.hospital, record, "the vault cannot be read")
        }
    }
}

async fn first_chunk(
    ctx: &Context,
    peer: &Peer,
    request: &FetchRecordRequest,
    name: &Hash,
    id: [u8; 16],
) -> Result<FetchRecordReply, Turned> {
    let (claim, hospital) = (&request.claim, ctx.map.hospital);
    let record = claim.record_hash;
    let mut deed = ctx.deed(KIND, peer, id).on_record(record);
    if let RecordRight::Ticket { access, .. } = &request.right {
        // Until the ticket is read, the access stands for its grant.
        deed = deed.under_grant(*access);
    }
    if claim.hospital != hospital || !ctx.is_recent(claim.at) {
        return Err(ctx.deny(deed, "claim_elsewhere", "a claim for another hospital or time").await);
    }
    let register = ctx.register.clone();
    let row = match blocking(move || register.record(&record)).await {
        Ok(Some(row)) => row,
        Ok(None) => {
            let denied = ctx.deny(deed, "record_unknown", "no such record").await;
            return withheld_unless_later(denied, hospital, record);
        }
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let mut deed = deed.about_pseudonym(row.pseudonym.point);
    if (claim.private_height, claim.position) != (row.height, row.position) {
        return Err(ctx.deny(deed, "claim_place", "the record is anchored elsewhere").await);
    }
    match right::check(ctx, request, &row).await {
        Ok(None) => {}
        Ok(Some(grant)) => deed = deed.under_grant(grant),
        Err(right::Wrong::Unknown(error)) => return Err(Turned::later(error)),
        Err(right::Wrong::Broken(detail)) => return Err(ctx.deny(deed, "claim_right", detail).await),
    }
    ctx.commit(deed.clone()).await?;
    ctx.journal.vault_call(id, "get");
    match ctx.vault.get(record).await {
        Ok(bytes) => {
            let total = bytes.len() as u64;
            ctx.sessions.begin(*name, id, total);
            let from = usize::try_from(request.offset).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(CHUNK_BYTES).min(bytes.len());
            Ok(FetchRecordReply::Chunk {
                total,
                bytes: bytes[from..to].to_vec(),
            })
        }
        Err(error) => {
            tracing::error!(%error, "a stored record cannot be served");
            ctx.commit(deed.ended(Outcome::Failed, error.to_string())).await?;
            Ok(match error {
                VaultError::Tampered { found, .. } => FetchRecordReply::Tampered {
                    hospital,
                    record_hash: record,
                    found,
                },
                VaultError::Missing { .. } => {
                    FetchRecordReply::withheld(hospital, record, "the record is not in the vault")
                }
                VaultError::Disk { .. } => {
                    FetchRecordReply::withheld(hospital, record, "the vault cannot be read")
                }
            })
        }
    }
}

/// A logged refusal as the node hears it.
fn withheld_unless_later(
    turned: Turned,
    hospital: caduceus_crypto::HospitalId,
    record: Hash,
) -> Result<FetchRecordReply, Turned> {
    match turned {
        Turned::Denied { detail, .. } => Ok(FetchRecordReply::withheld(hospital, record, detail)),
        other => Err(other),
    }
}
