//! The audit log, read: by a patient about herself, by auditors about anything. Reading it is an entry, so a key
//! that no card and no record here has is a stranger's, and a patient's key is good for so many pages a minute.
//!
//! An entry of the answer is the borsh of (sequence `u64`, height `u64`, block hash 32, transaction 32,
//! `private_chain::AuditEntry`): as told by the hospital. The block and the transaction name where its sealed
//! form stands.

use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::audit_log::index::{Page, StoredEntry};
use crate::server::buckets::Buckets;
use crate::server::context::{Context, Turned, request_id_of};
use crate::server::register::CardNo;
use caduceus_crypto::{Hash, PublicKey, domain, encode, hash};
use caduceus_network::exchange::{
    AuditFilter, AuditPage, AuditQuery, AuditQueryRequest, AuditRight, Reply,
};
use caduceus_network::{Peer, Refused};
use private_chain::audit::BatchKey;
use private_chain::{Action, ActionClass, Actor, AuditEntry, Role, Subject};
use std::collections::HashSet;
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::AuditRead, Action::Search, "audit-query");

/// Entries in one answer.
const MAX_ENTRIES: usize = 256;

/// Entries looked at for one answer; the caller goes on from the cursor.
const MAX_SCAN: usize = 20_000;

/// Pages that one patient's key gets in a minute: twice what her client reads at once.
const PAGES_A_MINUTE: u32 = 128;

fn audits(role: Role) -> bool {
    matches!(role, Role::Auditor | Role::Administrator)
}

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: AuditQueryRequest,
) -> Result<Reply<AuditPage>, Refused> {
    let id = request_id_of(request.statement.as_ref());
    let outcome = run(&ctx, &peer, request, id).await;
    ctx.reply::<AuditQuery, _>(id, outcome)
}

/// Whose entries the caller may see; none means all.
type Scope = Option<HashSet<Subject>>;

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: AuditQueryRequest,
    id: [u8; 16],
) -> Result<AuditPage, Turned> {
    let deed = ctx.deed(KIND, peer, id);
    let here_and_now = request.hospital == ctx.map.hospital && ctx.is_recent(request.at);
    if !here_and_now || request.check().is_err() {
        return Err(ctx
            .turn_away(deed, "an audit query that is not signed for here and now")
            .await);
    }
    let cursor = match &request.cursor {
        None => None,
        Some(bytes) => match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Some(u64::from_le_bytes(bytes)),
            Err(_) => return Err(ctx.turn_away(deed, "a cursor of another server").await),
        },
    };
    let (deed, scope) = match &request.right {
        AuditRight::AuditKey { key, .. } => {
            let deed = deed.by(*key);
            let Some(card) = card_of(ctx, *key).await? else {
                return Err(ctx.turn_away(deed, "no card of this audit key").await);
            };
            admit(ctx, key)?;
            let scope = subjects(ctx, card).await?;
            (deed.about_card(ctx.card_hash(&card)), Some(scope))
        }
        AuditRight::Pseudonym { pseudonym, .. } => {
            let deed = deed.by(*pseudonym);
            if !knows_pseudonym(ctx, *pseudonym).await? {
                return Err(ctx.turn_away(deed, "no record of this pseudonym").await);
            }
            admit(ctx, pseudonym)?;
            let deed = deed.about_pseudonym(*pseudonym);
            (deed, Some(HashSet::from([Subject::Pseudonym(*pseudonym)])))
        }
        AuditRight::Staff => {
            let deed = ctx.stated(deed, request.statement.as_ref());
            let staff = ctx.staff(peer, &deed, audits).await?;
            (deed.as_role(staff.role), None)
        }
    };
    let logged = ctx.commit(deed.clone()).await?;
    let head = match ctx.chain.head().await {
        Ok(head) => head,
        Err(error) => return Err(ctx.fail(deed, error).await),
    };
    let page = match search(ctx, request.filter, scope, cursor, request.limit).await {
        Ok(page) => page,
        Err(Turned::Later { detail, .. }) => return Err(ctx.fail(deed, detail).await),
        Err(turned) => return Err(turned),
    };
    Ok(AuditPage {
        entries: page.found,
        next: page.next.map(|sequence| sequence.to_le_bytes().to_vec()),
        head: encode(&head),
        logged_at: logged.height,
    })
}

/// Counts a patient's page; over her limit nothing is entered and nothing searched.
fn admit(ctx: &Context, key: &PublicKey) -> Result<(), Turned> {
    if ctx.admit(&ctx.audit_callers, key.as_bytes(), PAGES_A_MINUTE) {
        Ok(())
    } else {
        Err(Turned::later("too many pages of the audit log in a minute"))
    }
}

async fn knows_pseudonym(ctx: &Context, point: PublicKey) -> Result<bool, Turned> {
    let register = ctx.register.clone();
    blocking(move || register.knows_pseudonym(&point))
        .await
        .map_err(Turned::later)
}

async fn card_of(ctx: &Context, key: PublicKey) -> Result<Option<CardNo>, Turned> {
    let register = ctx.register.clone();
    blocking(move || register.card_of(&key))
        .await
        .map_err(Turned::later)
}

/// Every name under which a card's patient stands in the log.
async fn subjects(ctx: &Context, card: CardNo) -> Result<HashSet<Subject>, Turned> {
    let register = ctx.register.clone();
    let points = blocking(move || register.pseudonyms(&card))
        .await
        .map_err(Turned::later)?;
    let mut subjects: HashSet<Subject> = points.into_iter().map(Subject::Pseudonym).collect();
    subjects.insert(Subject::Card(ctx.card_hash(&card)));
    Ok(subjects)
}

async fn search(
    ctx: &Context,
    filter: AuditFilter,
    scope: Scope,
    cursor: Option<u64>,
    limit: u16,
) -> Result<Page<Vec<u8>>, Turned> {
    let (index, buckets) = (ctx.index.clone(), Arc::clone(&ctx.buckets));
    let limit = usize::from(limit).clamp(1, MAX_ENTRIES);
    blocking(move || {
        index.page(
            cursor,
            filter.newest_first,
            limit,
            MAX_SCAN,
            |sequence, stored| {
                let entry = open(&buckets, &stored)?;
                let in_scope = match &scope {
                    None => true,
                    Some(subjects) => entry
                        .patient
                        .as_ref()
                        .is_some_and(|subject| subjects.contains(subject)),
                };
                // A patient's scope stands in place of the filter's patient.
                let fits = in_scope && matches(&filter, &entry, scope.is_none());
                fits.then(|| {
                    encode(&(sequence, stored.height, stored.block_hash, stored.tx, entry))
                })
            },
        )
    })
    .await
    .map_err(Turned::later)
}

/// The entry in clear; none if its bucket's key was destroyed.
fn open(buckets: &Buckets, stored: &StoredEntry) -> Option<AuditEntry> {
    let key = match buckets.living(&stored.sealed.bucket()) {
        Ok(key) => key?,
        Err(error) => {
            tracing::error!(%error, "a bucket key cannot be read");
            return None;
        }
    };
    let key = BatchKey::derive(&key, stored.sealed.bucket(), &stored.batch);
    match key.open(stored.index, &stored.sealed) {
        Ok(entry) => Some(entry),
        Err(error) => {
            tracing::error!(%error, "an audit entry does not open");
            None
        }
    }
}

/// The name of a patient in a filter: the hash of her card, or of a pseudonym.
fn subject_hash(subject: &Subject) -> Hash {
    match subject {
        Subject::Card(card) => *card,
        Subject::Pseudonym(point) => hash(domain::AUDIT_TERM, &[point.as_bytes()]),
        Subject::Named(name) => hash(domain::AUDIT_TERM, &[name.as_bytes()]),
    }
}

fn matches(filter: &AuditFilter, entry: &AuditEntry, by_patient: bool) -> bool {
    fn is<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
    }
    let action = filter.action.as_deref().is_none_or(|wanted| {
        let (name, subtype) = wanted.split_once('/').unwrap_or((wanted, ""));
        let by_name =
            name == entry.action.as_str() && (subtype.is_empty() || subtype == &*entry.subtype);
        by_name || wanted == &*entry.subtype
    });
    let outcome = filter.outcome.as_deref().is_none_or(|wanted| {
        let wanted = if wanted == "allowed" {
            "success"
        } else {
            wanted
        };
        wanted == entry.outcome.as_str()
    });
    let patient = !by_patient || {
        let found = entry.patient.as_ref().map(subject_hash);
        is(&filter.patient, found.as_ref())
    };
    is(&filter.actor.map(Actor::Key), Some(&entry.actor))
        && action
        && outcome
        && patient
        && is(&filter.record, entry.record())
        && is(&filter.grant, entry.grant.as_ref())
        && filter
            .request_id
            .is_none_or(|id| *entry.request == hex::encode(id))
        && filter.from.is_none_or(|from| entry.time >= from)
        && filter.until.is_none_or(|until| entry.time < until)
}
