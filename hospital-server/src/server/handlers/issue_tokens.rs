//! Search tokens, signed blindly: the right is the audit key's signature, the bound is so many a card and day.

use crate::database::blocking;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, new_request_id};
use crate::server::register::RegisterError;
use caduceus_network::exchange::{IssueTokens, IssueTokensRequest, Reply, TokenSignatures};
use caduceus_network::{Peer, Refused};
use private_chain::policy::{Operation, Principal, Question, Relation, Resource};
use private_chain::{Action, ActionClass};
use std::sync::Arc;

const KIND: Kind = Kind::new(ActionClass::Administration, Action::Execute, "issue-tokens");

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: IssueTokensRequest,
) -> Result<Reply<TokenSignatures>, Refused> {
    let id = new_request_id();
    let outcome = run(&ctx, &peer, request, id).await;
    ctx.reply::<IssueTokens, _>(id, outcome)
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: IssueTokensRequest,
    id: [u8; 16],
) -> Result<TokenSignatures, Turned> {
    let card = request.card;
    let deed = ctx.deed(KIND, peer, id).about_card(ctx.card_hash(&card));
    let register = ctx.register.clone();
    let audit_key = match blocking(move || register.card(&card)).await {
        Ok(row) => row.audit_key,
        Err(RegisterError::CardUnknown) => None,
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let Some(audit_key) = audit_key else {
        return Err(ctx
            .turn_away(deed, "no such card, or its client has not registered")
            .await);
    };
    let signed = request.hospital == ctx.map.hospital && request.check(&audit_key).is_ok();
    if !signed || !ctx.is_recent(request.at) {
        return Err(ctx
            .turn_away(deed, "tokens asked for without the audit key")
            .await);
    }
    let deed = deed.by(audit_key);
    let principal = Principal::Patient {
        id: audit_key.to_string(),
    };
    let her_card = Resource::card(ctx.card_hash(&card), Relation::Own);
    let question = Question::new(principal, Operation::IssueTokens, her_card);
    ctx.permit(&deed, question).await?;
    if request.blinded.is_empty() {
        return Err(ctx.deny(deed, "tokens_none", "no token is asked for").await);
    }
    let count = u32::try_from(request.blinded.len()).map_err(Turned::refused)?;
    let deed = deed.because(format!("{count} tokens"));
    let (register, today) = (ctx.register.clone(), ctx.now().epoch());
    if let Err(error) = blocking(move || register.take_tokens(&card, count, today)).await {
        return Err(ctx.register_refusal(deed, error).await);
    }
    let given_back = || {
        let register = ctx.register.clone();
        blocking(move || register.return_tokens(&card, count, today))
    };
    if let Err(turned) = ctx.commit(deed.clone()).await {
        log_loss(given_back().await);
        return Err(turned);
    }
    let issuer = Arc::clone(&ctx.issuer);
    let signed = blocking(move || {
        request
            .blinded
            .iter()
            .map(|blinded| issuer.sign_blinded(blinded))
            .collect::<Result<Vec<_>, _>>()
    })
    .await;
    match signed {
        Ok(signatures) => Ok(TokenSignatures { signatures }),
        Err(error) => {
            log_loss(given_back().await);
            Err(ctx.deny(deed, "tokens_blinded", error.to_string()).await)
        }
    }
}

fn log_loss(outcome: Result<(), RegisterError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "tokens that were not issued stay counted");
    }
}
