//! What a visit's records are indexed with, sealed to the member of staff who asks: with index scheme `tags` the
//! quarter's key. Its audit entry is committed first.
//!
//! The box: domain `INDEX_KEY_REQUEST`, associated data the borsh of the request, plaintext the 32 bytes.

use super::Context;
use crate::database::blocking;
use crate::policies::RULE;
use caduceus_crypto::card::CardNumber;
use caduceus_crypto::{MetaAddress, PublicKey, TimeMillis, domain, encode};
use caduceus_custody::secret_box::seal_to;
use caduceus_network::exchange::{
    ActionLogged, IndexKey, IndexKeyRequest, LogAction, LogActionRequest, PersonSigned, Reply,
    SealedIndexKey,
};
use caduceus_network::{CallError, Exchange, Peer, Refused};
use private_chain::audit::{MAX_SOURCE_BYTES, SignedStatement, StatementCheck};
use private_chain::policy::{Operation, Question, Relation, Resource};
use private_chain::{Action, AuditEntry, Outcome, Role, Subject};
use rand_core::{OsRng, RngCore};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Around midnight a workstation's quarter may be the one before or after.
const CLOCK_DRIFT_MILLIS: u64 = 5 * 60 * 1000;

/// When to ask again.
const AFTER_MILLIS: u32 = 2_000;

/// A broken rule: its name, and what it says.
type Broken = (&'static str, String);

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: IndexKeyRequest,
) -> Result<Reply<SealedIndexKey>, Refused> {
    let Some(staff) = peer.key else {
        return Err(Refused::because("no key of this system"));
    };
    let request_id = match &request.statement {
        Some(signed) => signed.request_id,
        None => {
            let mut drawn = [0u8; 16];
            OsRng.fill_bytes(&mut drawn);
            drawn
        }
    };
    let later = |detail: &str| Ok(Reply::later(AFTER_MILLIS, detail));
    let known = match ctx.roster.who(&staff, ctx.now()).await {
        Ok(known) => known,
        Err(error) => return later(&error.to_string()),
    };
    let pairs = ctx.pairs.clone();
    let card = request.card;
    let pair = match blocking(move || pairs.get(&card)).await {
        Ok(pair) => pair,
        Err(error) => {
            tracing::error!(%error, "a pair secret cannot be read");
            return later("the key service's disk cannot be used");
        }
    };
    let presented = Resource::card(card_number(&ctx, &request).hash(), Relation::Treating);
    let question = Question::new(known.principal.clone(), Operation::IndexKey, presented);
    let denial = match ctx.policies.denial(&question).await {
        Ok(denial) => denial,
        Err(error) => return later(&error.to_string()),
    };
    let mut entry = entry(&ctx, &peer, staff, &request, request_id);
    // What the policy denies is denied for that reason, signed or not.
    let verdict = match denial {
        Some(why) => Err((RULE, why)),
        None => state(&ctx, &mut entry, request.statement.as_ref())
            .and_then(|()| judge(&ctx, &request, pair)),
    };
    (entry.outcome, entry.reason) = match &verdict {
        Ok(_) => (Outcome::Success, request.quarter.to_string().into()),
        Err((rule, detail)) => (Outcome::Denied, format!("{rule}: {detail}").into()),
    };
    let entry = encode(&entry);
    let gives = verdict.is_ok();
    if gives {
        if !ctx.live.begin(request_id) {
            return later("a request with this identifier is under way");
        }
        let (pairs, bytes) = (ctx.pairs.clone(), entry.clone());
        if let Err(error) = blocking(move || pairs.open_action(&request_id, &bytes)).await {
            ctx.live.end(&request_id);
            tracing::error!(%error, "an action cannot be opened");
            return later("the key service's disk cannot be used");
        }
    }
    let message = LogActionRequest { entry };
    let logged = ctx
        .service
        .call::<LogAction>(&ctx.map.server, message)
        .await;
    if gives {
        answered(&ctx, &peer, request_id, &logged).await;
    }
    match logged {
        Ok(Reply::Done(_)) => {}
        Ok(Reply::Denied { rule, detail }) => {
            tracing::error!(%rule, %detail, "the hospital server refuses an entry");
            return later("the action cannot be logged");
        }
        Ok(Reply::Later {
            after_millis,
            detail,
        }) => return Ok(Reply::later(after_millis, detail)),
        Err(error) => return later(&format!("the audit log: {error}")),
    }
    if known.is_stranger() {
        return Err(Refused::because("not enrolled"));
    }
    ctx.journal.replied(request_id, IndexKey::PROTOCOL);
    let (meta, secret) = match verdict {
        Ok(pair) => pair,
        Err((rule, detail)) => return Ok(Reply::denied(rule, detail)),
    };
    let key = ctx
        .index
        .visit_key(ctx.map.index_scheme, &meta.view, &secret, &request.quarter);
    let sealed = seal_to(
        &mut OsRng,
        &staff,
        domain::INDEX_KEY_REQUEST,
        &request.context(),
        &key[..],
    );
    Ok(Reply::Done(SealedIndexKey {
        sealed,
        view: meta.view,
    }))
}

/// Sees to it that an open action is closed: when its answer was handed to the network, or at once if the server has
/// no entry of it. Without an answer of the server it stays open.
async fn answered(
    ctx: &Arc<Context>,
    peer: &Peer,
    request: [u8; 16],
    logged: &Result<Reply<ActionLogged>, CallError>,
) {
    let close = {
        let ctx = Arc::clone(ctx);
        move || {
            if let Err(error) = ctx.pairs.close_action(&request) {
                tracing::error!(%error, "an action that is done stays open");
            }
            ctx.live.end(&request);
        }
    };
    match logged {
        Ok(Reply::Done(_)) => peer
            .sent
            .then(move || drop(tokio::task::spawn_blocking(close))),
        Ok(_) => blocking(close).await,
        Err(_) => ctx.live.end(&request),
    }
}

fn judge(
    ctx: &Context,
    request: &IndexKeyRequest,
    pair: Option<(MetaAddress, Zeroizing<[u8; 32]>)>,
) -> Result<(MetaAddress, Zeroizing<[u8; 32]>), Broken> {
    let broken = |rule: &'static str, detail: &str| Err((rule, detail.to_owned()));
    let now = ctx.now().0;
    let current = [
        now.saturating_sub(CLOCK_DRIFT_MILLIS),
        now,
        now.saturating_add(CLOCK_DRIFT_MILLIS),
    ];
    if !current
        .iter()
        .any(|at| TimeMillis(*at).epoch().quarter() == request.quarter)
    {
        return broken(
            "quarter_not_current",
            "only the current quarter's key is given out",
        );
    }
    pair.ok_or_else(|| {
        (
            "card_not_registered",
            "the card's patient has not registered yet".to_owned(),
        )
    })
}

fn card_number(ctx: &Context, request: &IndexKeyRequest) -> CardNumber {
    let mut hospital_prefix = [0u8; 4];
    hospital_prefix.copy_from_slice(&ctx.map.hospital.0[..4]);
    CardNumber {
        number: request.card,
        hospital_prefix,
    }
}

/// Puts what the caller signed into the entry, if it is that.
fn state(
    ctx: &Context,
    entry: &mut AuditEntry,
    signed: Option<&PersonSigned>,
) -> Result<(), Broken> {
    let Some(signed) = signed else {
        return Err(("statement_missing", "the request is not signed".to_owned()));
    };
    let with = AuditEntry {
        time: signed.at,
        purpose: signed.purpose.as_str().into(),
        statement: Some(SignedStatement {
            salt: signed.salt,
            signature: signed.signature,
        }),
        ..entry.clone()
    };
    let is_recent = signed.at.0.abs_diff(ctx.now().0) <= CLOCK_DRIFT_MILLIS;
    if !is_recent || with.statement_check(&ctx.map.private_chain) != StatementCheck::Signed {
        let detail = "what is signed is not this request, here and now";
        return Err(("statement_wrong", detail.to_owned()));
    }
    *entry = with;
    Ok(())
}

/// The entry of a request, before it is judged.
fn entry(
    ctx: &Context,
    peer: &Peer,
    actor: PublicKey,
    request: &IndexKeyRequest,
    request_id: [u8; 16],
) -> AuditEntry {
    let card = card_number(ctx, request);
    // A multiaddress is ASCII, so it can be cut anywhere.
    let mut source = peer.address.to_string();
    source.truncate(MAX_SOURCE_BYTES);
    AuditEntry {
        time: ctx.now(),
        actor: actor.into(),
        // The server fills in what the chain says.
        role: None::<Role>,
        organisation: ctx.map.hospital,
        action: Action::Read,
        subtype: "index-key".into(),
        outcome: Outcome::Denied,
        reason: "".into(),
        patient: Some(Subject::Card(card.hash())),
        resource: None,
        purpose: "".into(),
        grant: None,
        source: source.into(),
        request: hex::encode(request_id).into(),
        reference: "".into(),
        statement: None,
    }
}
