//! An alliance node fetches a record for its owner or a ticket holder.
//!
//! The entry is committed before the first chunk leaves; the chunks that follow within ten minutes under the same
//! claim are part of the same action, each of them once. Whatever is asked for again, or later, is another action
//! with its own check and entry. While a record is fetched, the right is checked again every few seconds, so that
//! a revocation ends it. The whole record is hashed before the first chunk.

mod right;

use crate::chain::ChainError;
use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, new_request_id};
use crate::server::register::RegisterError;
use crate::server::vault::VaultError;
use caduceus_crypto::{Hash, domain, encode, hash};
use caduceus_network::exchange::{
    CHUNK_BYTES, FetchRecord, FetchRecordReply, FetchRecordRequest, RecordRight,
};
use caduceus_network::{Exchange, Peer, Refused};
use private_chain::policy::{
    Circumstances, Operation, Principal, Question, RecordState, Relation, Resource,
};
use private_chain::{Action, ActionClass, Outcome};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const KIND: Kind = Kind::new(ActionClass::ClinicalRead, Action::Read, "fetch-record");

/// How long after the entry its chunks may be fetched. No chunk prolongs it.
const SESSION: Duration = Duration::from_secs(10 * 60);

/// How long a check of the right counts for the chunks that follow.
const RIGHT_COUNTS: Duration = Duration::from_secs(5);

/// When to ask again if the right cannot be checked now.
const AFTER_MILLIS: u32 = 2_000;

/// Sessions remembered at once.
const MAX_SESSIONS: usize = 4096;

/// Records being fetched, by who asked for what.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    open: Arc<Mutex<HashMap<Hash, Session>>>,
}

struct Session {
    request_id: [u8; 16],
    total: u64,
    until: Instant,
    /// When the right was last checked.
    checked: Instant,
    /// Where the chunks begin that were served.
    served: HashSet<u64>,
}

/// A chunk of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) request_id: [u8; 16],
    pub(crate) total: u64,
    /// Whether the right must be checked again first.
    pub(crate) check: bool,
}

impl Sessions {
    /// Takes a chunk of the session of a claim; none if there is no session, or the chunk was served before, or
    /// is no chunk of the record: then it is another action.
    pub(crate) fn take(&self, name: &Hash, offset: u64, now: Instant) -> Option<Part> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get_mut(name).filter(|session| session.until > now)?;
        let fits = offset < session.total && offset.is_multiple_of(CHUNK_BYTES as u64);
        if !fits || !session.served.insert(offset) {
            return None;
        }
        let check = now.saturating_duration_since(session.checked) > RIGHT_COUNTS;
        if check {
            session.checked = now;
        }
        Some(Part {
            request_id: session.request_id,
            total: session.total,
            check,
        })
    }

    /// Begins the session of an action whose entry is committed and whose chunk at `offset` is about to leave.
    pub(crate) fn begin(
        &self,
        name: Hash,
        request_id: [u8; 16],
        total: u64,
        offset: u64,
        now: Instant,
    ) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_SESSIONS {
            open.retain(|_, session| session.until > now);
        }
        if open.len() >= MAX_SESSIONS {
            // Whoever is forgotten has another entry made.
            open.clear();
        }
        open.insert(
            name,
            Session {
                request_id,
                total,
                until: now + SESSION,
                checked: now,
                served: HashSet::from([offset]),
            },
        );
    }

    pub(crate) fn end(&self, name: &Hash) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: FetchRecordRequest,
) -> Result<FetchRecordReply, Refused> {
    // The same claim through two nodes is two actions.
    let name = hash(
        domain::REQUEST_ID,
        &[
            &encode(&(&request.claim, &request.right)),
            &peer.id.to_bytes(),
        ],
    );
    let mut turn = [0u8; 16];
    turn.copy_from_slice(&name.0[..16]);
    // Chunks that are asked for at once must not each be taken for the first.
    let guard = ctx.gate.turn(turn).await;
    if let Some(part) = ctx.sessions.take(&name, request.offset, Instant::now()) {
        let holds = if part.check {
            still_right(&ctx, &peer, &request).await
        } else {
            Ok(true)
        };
        match holds {
            Ok(true) => {
                drop(guard);
                return Ok(next_chunk(&ctx, &request, &name, part).await);
            }
            // What follows says why, and enters it.
            Ok(false) => ctx.sessions.end(&name),
            Err(detail) => {
                tracing::warn!(%detail, "a right cannot be checked again now");
                ctx.sessions.end(&name);
                return Ok(FetchRecordReply::Later {
                    after_millis: AFTER_MILLIS,
                });
            }
        }
    }
    let id = new_request_id();
    let reply = match first_chunk(&ctx, &peer, &request, &name, id).await {
        Ok(reply) => reply,
        Err(Turned::Later { after_millis, .. }) => {
            return Ok(FetchRecordReply::Later { after_millis });
        }
        Err(Turned::Denied { detail, .. }) => return Err(Refused::because(detail)),
        Err(Turned::Refused(refused)) => return Err(refused),
    };
    ctx.journal.replied(id, FetchRecord::PROTOCOL);
    Ok(reply)
}

/// Whether the right still holds in the middle of a record.
async fn still_right(
    ctx: &Context,
    peer: &Peer,
    request: &FetchRecordRequest,
) -> Result<bool, String> {
    let (register, record) = (ctx.register.clone(), request.claim.record_hash);
    let found = blocking(move || {
        Ok::<_, RegisterError>((register.record(&record)?, register.state(&record)?))
    });
    let (row, state) = found.await.map_err(|error| error.to_string())?;
    let Some(row) = row else {
        return Ok(false);
    };
    match right::check(ctx, request, &row).await {
        Ok(right) => {
            let carrier = carrier(ctx, peer).await.map_err(|e| e.to_string())?;
            for question in [
                relays(carrier, record, state),
                fetches(right.claimant, record, state),
            ] {
                let denial = ctx.policies.denial(&question).await;
                if denial.map_err(|error| error.to_string())?.is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Err(right::Wrong::Broken(_)) => Ok(false),
        Err(right::Wrong::Unknown(error)) => Err(error.to_string()),
    }
}

/// Who brings a claim: a node of the alliance, or whatever else the peer is.
async fn carrier(ctx: &Context, peer: &Peer) -> Result<Principal, ChainError> {
    match peer.key {
        None => Ok(Principal::Stranger { id: String::new() }),
        Some(key) if ctx.map.alliance_keys.contains(&key) => Ok(Principal::Node {
            id: key.to_string(),
            alliance: true,
        }),
        Some(key) => Ok(ctx.roster.who(&key, ctx.now()).await?.principal),
    }
}

fn relays(carrier: Principal, record: Hash, state: RecordState) -> Question {
    let resource = Resource::record(record, state, Relation::Other);
    Question::new(carrier, Operation::RelayRecord, resource)
}

/// The right has been checked before: a policy can forbid what the owner or her grant permits, never the reverse.
fn fetches(claimant: Principal, record: Hash, state: RecordState) -> Question {
    let grant = matches!(claimant, Principal::DataUser { .. });
    let relation = if grant {
        Relation::Other
    } else {
        Relation::Own
    };
    let resource = Resource::record(record, state, relation);
    Question::new(claimant, Operation::FetchRecord, resource).under(Circumstances {
        grant,
        ..Circumstances::default()
    })
}

async fn next_chunk(
    ctx: &Context,
    request: &FetchRecordRequest,
    name: &Hash,
    part: Part,
) -> FetchRecordReply {
    let record = request.claim.record_hash;
    if ctx.vault_call(part.request_id, "range", &record).is_err() {
        ctx.sessions.end(name);
        return FetchRecordReply::withheld(ctx.map.hospital, record, "the vault cannot be read");
    }
    match ctx.vault.range(record, request.offset, CHUNK_BYTES).await {
        Ok(bytes) => FetchRecordReply::Chunk {
            total: part.total,
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
    let register = ctx.register.clone();
    let state = match blocking(move || register.state(&record)).await {
        Ok(state) => state,
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let carrier = carrier(ctx, peer).await.map_err(Turned::later)?;
    ctx.permit(&deed, relays(carrier, record, state)).await?;
    if claim.hospital != hospital || !ctx.is_recent(claim.at) {
        return Err(ctx
            .deny(
                deed,
                "claim_elsewhere",
                "a claim for another hospital or time",
            )
            .await);
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
        return Err(ctx
            .deny(deed, "claim_place", "the record is anchored elsewhere")
            .await);
    }
    match right::check(ctx, request, &row).await {
        Ok(right) => {
            // From here on it is known who asks; the peer is a node that hands on.
            deed = deed.by(right.key);
            if let Some(role) = right.role {
                deed = deed.as_role(role);
            }
            if let Some(grant) = right.grant {
                deed = deed.under_grant(grant);
            }
            if let Some(node) = peer.key {
                deed = deed.because(format!("handed on by node {node}"));
            }
            let question = fetches(right.claimant, record, state);
            ctx.permit(&deed, question).await?;
        }
        Err(right::Wrong::Unknown(error)) => return Err(Turned::later(error)),
        Err(right::Wrong::Broken(detail)) => {
            return Err(ctx.deny(deed, "claim_right", detail).await);
        }
    }
    ctx.commit(deed.clone()).await?;
    ctx.vault_call(id, "get", &record)?;
    match ctx.vault.get(record).await {
        Ok(bytes) => {
            let total = bytes.len() as u64;
            ctx.sessions
                .begin(*name, id, total, request.offset, Instant::now());
            let from = usize::try_from(request.offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let to = from.saturating_add(CHUNK_BYTES).min(bytes.len());
            Ok(FetchRecordReply::Chunk {
                total,
                bytes: bytes[from..to].to_vec(),
            })
        }
        Err(error) => {
            tracing::error!(%error, "a stored record cannot be served");
            ctx.commit(deed.ended(Outcome::Failed, error.to_string()))
                .await?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CHUNK: u64 = CHUNK_BYTES as u64;
    const NAME: Hash = Hash([1; 32]);

    #[test]
    fn a_session_serves_each_chunk_once() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        assert_eq!(sessions.take(&NAME, 0, start), None);
        sessions.begin(NAME, [7; 16], 3 * CHUNK, 0, start);
        let part = Part {
            request_id: [7; 16],
            total: 3 * CHUNK,
            check: false,
        };
        assert_eq!(sessions.take(&NAME, 0, start), None);
        assert_eq!(sessions.take(&NAME, CHUNK, start), Some(part));
        assert_eq!(sessions.take(&NAME, CHUNK, start), None);
        assert_eq!(sessions.take(&NAME, 2 * CHUNK, start), Some(part));
        // Not a chunk of this record, and another claim.
        assert_eq!(sessions.take(&NAME, 1, start), None);
        assert_eq!(sessions.take(&NAME, 3 * CHUNK, start), None);
        assert_eq!(sessions.take(&Hash([2; 32]), CHUNK, start), None);
        // Another entry, another session.
        sessions.begin(NAME, [8; 16], 3 * CHUNK, CHUNK, start);
        assert_eq!(sessions.take(&NAME, CHUNK, start), None);
        assert_eq!(
            sessions.take(&NAME, 2 * CHUNK, start).unwrap().request_id,
            [8; 16]
        );
        sessions.end(&NAME);
        assert_eq!(sessions.take(&NAME, 0, start), None);
    }

    #[test]
    fn no_chunk_prolongs_a_session_and_the_right_is_checked_again() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        sessions.begin(NAME, [7; 16], 9 * CHUNK, 0, start);
        let check = |chunk: u64, after: Duration| {
            let part = sessions.take(&NAME, chunk * CHUNK, start + after);
            part.map(|part| part.check)
        };
        assert_eq!(check(1, RIGHT_COUNTS), Some(false));
        assert_eq!(check(2, RIGHT_COUNTS * 2), Some(true));
        assert_eq!(check(3, RIGHT_COUNTS * 2), Some(false));
        assert_eq!(check(4, SESSION - Duration::from_secs(1)), Some(true));
        assert_eq!(check(5, SESSION), None);
    }
}
