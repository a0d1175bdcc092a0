//! A patient's client registers with her card and its one-time desk code.
//!
//! Order: the code is judged; the entry is committed; the pair secret goes to the key service; the code is used
//! up. A crash in between leaves the code good, and doing all of it again is harmless.

use crate::database::blocking;
use crate::server::audit_log::deed::{Deed, Kind};
use crate::server::context::{Context, Turned, new_request_id};
use crate::server::register::{RegisterError, Shown};
use caduceus_network::exchange::{
    DepositPairSecret, DepositPairSecretRequest, Register, RegisterRequest, Registered, Reply,
};
use caduceus_network::{Peer, Refused};
use private_chain::policy::{Operation, Principal, Question, Relation, Resource};
use private_chain::{Action, ActionClass};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::Administration, Action::Update, "register");

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: RegisterRequest,
) -> Result<Reply<Registered>, Refused> {
    let id = new_request_id();
    let outcome = run(&ctx, &peer, request, id).await;
    ctx.reply::<Register, _>(id, outcome)
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: RegisterRequest,
    id: [u8; 16],
) -> Result<Registered, Turned> {
    let deed = ctx
        .deed(KIND, peer, id)
        .about_card(ctx.card_hash(&request.card));
    if request.hospital != ctx.map.hospital
        || request.check().is_err()
        || !ctx.is_recent(request.at)
    {
        return Err(ctx
            .turn_away(deed, "a registration that is not signed for here and now")
            .await);
    }
    let deed = deed.by(request.audit_key);
    let (card, code, meta, audit_key) = (
        request.card,
        request.desk_code,
        request.meta,
        request.audit_key,
    );
    let register = ctx.register.clone();
    let shown = blocking(move || register.show_code(&card, &code, &meta, &audit_key)).await;
    let shown = match shown {
        Ok(shown) => shown,
        // Who does not know a card's number has shown no right to an answer.
        Err(RegisterError::CardUnknown) => return Err(ctx.turn_away(deed, "no such card").await),
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let deed = match shown {
        Shown::Fresh => deed,
        Shown::Again => deed.because("again"),
    };
    let principal = Principal::Patient {
        id: audit_key.to_string(),
    };
    let her_card = Resource::card(ctx.card_hash(&card), Relation::Own);
    let question = Question::new(principal, Operation::Register, her_card);
    ctx.permit(&deed, question).await?;
    ctx.commit(deed.clone()).await?;
    deposit(ctx, &deed, &request).await?;
    let register = ctx.register.clone();
    if let Err(error) = blocking(move || register.register(&card, &code, &meta, &audit_key)).await {
        return Err(ctx.register_refusal(deed, error).await);
    }
    Ok(Registered {
        index_key: ctx.map.index_key,
        issuer: ctx.issuer.public().as_der().to_vec(),
    })
}

/// Hands the sealed pair secret to the key service.
async fn deposit(ctx: &Context, deed: &Deed, request: &RegisterRequest) -> Result<(), Turned> {
    let message = DepositPairSecretRequest {
        card: request.card,
        meta: request.meta,
        sealed_pair_secret: request.sealed_pair_secret.clone(),
    };
    match ctx
        .service
        .call::<DepositPairSecret>(&ctx.map.keys, message)
        .await
    {
        Ok(Reply::Done(())) => Ok(()),
        Ok(Reply::Denied { rule, detail }) => Err(ctx.deny(deed.clone(), &rule, detail).await),
        Ok(Reply::Later { detail, .. }) => Err(ctx.fail(deed.clone(), detail).await),
        Err(error) => Err(ctx
            .fail(deed.clone(), format!("the key service: {error}"))
            .await),
    }
}
