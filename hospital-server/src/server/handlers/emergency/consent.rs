//! A patient opts in or out. Her view key signs, to which her card is bound.

use super::CONSENT;
use super::terms::newest_key;
use crate::database::blocking;
use crate::server::context::{Context, Turned};
use crate::server::register::{CardNo, RegisterError};
use caduceus_crypto::emergency::EmergencyConsent;
use caduceus_network::Peer;
use caduceus_network::exchange::EmergencyAnswer;
use private_chain::policy::{Operation, Principal, Question, Relation, Resource};

pub(super) async fn run(
    ctx: &Context,
    peer: &Peer,
    card: CardNo,
    consent: EmergencyConsent,
    id: [u8; 16],
) -> Result<EmergencyAnswer, Turned> {
    let hash = ctx.card_hash(&card);
    let deed = ctx.deed(CONSENT, peer, id).about_card(hash);
    let register = ctx.register.clone();
    let row = match blocking(move || register.card(&card)).await {
        Ok(row) => row,
        // Who does not know a card's number has shown no right to an answer.
        Err(RegisterError::CardUnknown) => return Err(ctx.turn_away(deed, "no such card").await),
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    };
    let signed = (consent.hospital, consent.card) == (ctx.map.hospital, hash)
        && consent.verify(&row.meta).is_ok();
    if !signed || !ctx.is_recent(consent.at) {
        let reason = "a word on emergencies that the patient did not sign for here and now";
        return Err(ctx.turn_away(deed, reason).await);
    }
    let Some(audit_key) = row.audit_key else {
        return Err(ctx
            .register_refusal(deed, RegisterError::NotRegistered)
            .await);
    };
    let deed = deed.by(audit_key).because(if consent.wanted {
        "opts in"
    } else {
        "opts out"
    });
    let principal = Principal::Patient {
        id: audit_key.to_string(),
    };
    let her_card = Resource::card(hash, Relation::Own);
    let question = Question::new(principal, Operation::EmergencyConsent, her_card);
    ctx.permit(&deed, question).await?;
    if consent.wanted && newest_key(ctx).await.map_err(Turned::later)?.is_none() {
        let detail = "this hospital has no emergency key";
        return Err(ctx.deny(deed, "emergency_no_key", detail).await);
    }
    ctx.commit(deed.clone()).await?;
    let register = ctx.register.clone();
    match blocking(move || register.keep_consent(&consent)).await {
        Ok(()) => Ok(EmergencyAnswer::Noted),
        Err(error) => Err(ctx.register_refusal(deed, error).await),
    }
}
