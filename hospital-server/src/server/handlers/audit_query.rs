//! The audit log, read: by a patient about herself, by auditors about anything. Reading it is an entry, so a key
//! that no card and no record here has is a stranger's, and a patient's key is good for so many pages a minute.
//!
//! The entries come from a node of the chain, which follows, opens and searches the log; from another if it fails.
//!
//! An entry of the answer is the borsh of (sequence `u64`, height `u64`, block hash 32, transaction 32,
//! `private_chain::AuditEntry`): as told by the hospital. The block and the transaction name where its sealed
//! form stands.

use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, request_id_of};
use crate::server::register::CardNo;
use caduceus_crypto::{PublicKey, encode};
use caduceus_network::exchange::{
    AuditFilter, AuditPage, AuditQuery, AuditQueryRequest, AuditRight, Reply,
};
use caduceus_network::{Peer, Refused};
use private_chain::audit::{AuditRow, Filter, Order};
use private_chain::audit_log::{Rows, rows_via};
use private_chain::policy::{Operation, Principal, Question, Relation, Resource};
use private_chain::{Action, ActionClass, Actor, AuditEntry, Outcome, Subject};
use std::collections::HashSet;
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::AuditRead, Action::Search, "audit-query");

/// Entries in one answer.
const MAX_ENTRIES: usize = 256;

/// Pages that one patient's key gets in a minute: twice what her client reads at once.
const PAGES_A_MINUTE: u32 = 128;

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
            let deed = deed.about_card(ctx.card_hash(&card));
            ctx.permit(&deed, her_own(key)).await?;
            let scope = subjects(ctx, card).await?;
            (deed, Some(scope))
        }
        AuditRight::Pseudonym { pseudonym, .. } => {
            let deed = deed.by(*pseudonym);
            if !knows_pseudonym(ctx, *pseudonym).await? {
                return Err(ctx.turn_away(deed, "no record of this pseudonym").await);
            }
            admit(ctx, pseudonym)?;
            let deed = deed.about_pseudonym(*pseudonym);
            ctx.permit(&deed, her_own(pseudonym)).await?;
            (deed, Some(HashSet::from([Subject::Pseudonym(*pseudonym)])))
        }
        AuditRight::Staff => {
            let deed = ctx.stated(deed, request.statement.as_ref());
            let her_own = peer.key.is_some() && peer.key == request.filter.actor;
            let relation = if her_own {
                Relation::Own
            } else {
                Relation::Other
            };
            let log = Resource::AuditLog { relation };
            let staff = ctx.staff(peer, &deed, Operation::AuditQuery, log).await?;
            (staff.enter(deed), None)
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
        entries: page.entries,
        next: page.next.map(|sequence| sequence.to_le_bytes().to_vec()),
        head: encode(&head),
        logged_at: logged.height,
    })
}

/// May a patient read what is about herself?
fn her_own(key: &PublicKey) -> Question {
    let principal = Principal::Patient {
        id: key.to_string(),
    };
    let relation = Relation::Own;
    Question::new(
        principal,
        Operation::AuditQuery,
        Resource::AuditLog { relation },
    )
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

/// What a node finds, and where to go on.
struct Found {
    entries: Vec<Vec<u8>>,
    next: Option<u64>,
}

async fn search(
    ctx: &Context,
    filter: AuditFilter,
    scope: Scope,
    cursor: Option<u64>,
    limit: u16,
) -> Result<Found, Turned> {
    let order = if filter.newest_first {
        Order::NewestFirst
    } else {
        Order::OldestFirst
    };
    let Some(filter) = wanted(filter, scope) else {
        // Nothing can fit.
        return Ok(Found {
            entries: Vec::new(),
            next: None,
        });
    };
    let limit = usize::from(limit).clamp(1, MAX_ENTRIES);
    let mut last = "the network file names no node".to_owned();
    for node in ctx.chain.nodes() {
        match rows_via(&ctx.service, node, &filter, order, cursor, limit).await {
            Ok(Rows { page, unread }) => {
                if !unread.is_empty() {
                    tracing::info!(buckets = unread.len(), "a node cannot open all entries");
                }
                let entries = page.rows.iter().map(encoded).collect();
                let next = page.next;
                return Ok(Found { entries, next });
            }
            Err(error) => {
                tracing::debug!(%node, %error, "asking the next node");
                last = error.to_string();
            }
        }
    }
    Err(Turned::later(last))
}

fn encoded(row: &AuditRow) -> Vec<u8> {
    let place = &row.place;
    let entry: &AuditEntry = &row.entry;
    encode(&(
        row.sequence,
        place.height,
        place.block_hash,
        place.tx,
        entry,
    ))
}

/// The filter as nodes understand it; none if it can fit nothing. A patient's scope stands in place of the filter's
/// patient.
fn wanted(filter: AuditFilter, scope: Scope) -> Option<Filter> {
    let patients = match scope {
        Some(subjects) if subjects.is_empty() => return None,
        Some(subjects) => subjects.into_iter().collect(),
        None => filter.patient.map(Subject::Card).into_iter().collect(),
    };
    let (action, subtype) = match &filter.action {
        None => (None, None),
        Some(text) => match text.split_once('/') {
            Some((name, subtype)) => (Some(action_named(name)?), Some(subtype)),
            None => match action_named(text) {
                Some(action) => (Some(action), None),
                None => (None, Some(text.as_str())),
            },
        },
    };
    let outcome = match filter.outcome.as_deref() {
        None => None,
        Some("allowed") => Some(Outcome::Success),
        Some(name) => Some(
            Outcome::ALL
                .into_iter()
                .find(|outcome| outcome.as_str() == name)?,
        ),
    };
    Some(Filter {
        actor: filter.actor.map(Actor::Key),
        action,
        subtype: subtype
            .filter(|subtype| !subtype.is_empty())
            .map(Into::into),
        outcome,
        patients,
        resource: filter.record.map(private_chain::Resource::Record),
        grant: filter.grant,
        request: filter.request_id.map(|id| hex::encode(id).into()),
        from: filter.from,
        until: filter.until,
        ..Filter::default()
    })
}

fn action_named(name: &str) -> Option<Action> {
    Action::ALL
        .into_iter()
        .find(|action| action.as_str() == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use caduceus_crypto::{Hash, SecretKey};
    use rand_core::OsRng;

    #[test]
    fn a_filter_is_what_a_node_understands_and_a_patient_sees_only_herself() {
        let asked = |action: &str, outcome: &str| AuditFilter {
            action: Some(action.to_owned()),
            outcome: Some(outcome.to_owned()),
            patient: Some(Hash([1; 32])),
            record: Some(Hash([2; 32])),
            request_id: Some([3; 16]),
            ..AuditFilter::default()
        };
        let found = wanted(asked("read/fetch-record", "allowed"), None).unwrap();
        assert_eq!(found.action, Some(Action::Read));
        assert_eq!(found.subtype.as_deref(), Some("fetch-record"));
        assert_eq!(found.outcome, Some(Outcome::Success));
        assert_eq!(found.patients, [Subject::Card(Hash([1; 32]))]);
        let record = private_chain::Resource::Record(Hash([2; 32]));
        assert_eq!(found.resource, Some(record));
        assert_eq!(found.request.as_deref(), Some("03".repeat(16).as_str()));
        let found = wanted(asked("upload", "unknown"), None).unwrap();
        assert_eq!(
            (found.action, found.subtype.as_deref()),
            (None, Some("upload"))
        );
        assert_eq!(
            wanted(asked("read", "unknown"), None).unwrap().subtype,
            None
        );
        assert!(wanted(asked("eat/lunch", "denied"), None).is_none());
        assert!(wanted(asked("read", "eaten"), None).is_none());
        let her = Subject::Pseudonym(SecretKey::generate(&mut OsRng).public());
        let scope = Some(HashSet::from([her.clone()]));
        assert_eq!(
            wanted(asked("read", "denied"), scope).unwrap().patients,
            [her]
        );
        assert!(wanted(asked("read", "denied"), Some(HashSet::new())).is_none());
    }
}
