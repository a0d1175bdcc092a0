//! A registrar makes a card for a meta-address.

use crate::database::blocking;
use crate::network_map::fits_scheme;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, request_id_of};
use crate::server::register::RegisterError;
use caduceus_crypto::DeskCode;
use caduceus_network::exchange::{NewCard, RegisterPatient, RegisterPatientRequest, Reply};
use caduceus_network::{Peer, Refused};
use private_chain::policy::{Operation, Relation, Resource};
use private_chain::{Action, ActionClass};
use rand_core::OsRng;
use std::sync::Arc;

const KIND: Kind = Kind::new(
    ActionClass::ClinicalWrite,
    Action::Create,
    "register-patient",
);

pub(super) async fn answer(
    ctx: Arc<Context>,
    peer: Peer,
    request: RegisterPatientRequest,
) -> Result<Reply<NewCard>, Refused> {
    let id = request_id_of(request.statement.as_ref());
    let outcome = run(&ctx, &peer, request, id).await;
    ctx.reply::<RegisterPatient, _>(id, outcome)
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: RegisterPatientRequest,
    id: [u8; 16],
) -> Result<NewCard, Turned> {
    let card = ctx.card_hash(&request.card);
    let deed = ctx.deed(KIND, peer, id).about_card(card);
    let deed = ctx.stated(deed, request.statement.as_ref());
    let new_card = Resource::card(card, Relation::Other);
    let staff = ctx
        .staff(peer, &deed, Operation::RegisterPatient, new_card)
        .await?;
    let scheme = ctx.map.index_scheme;
    if !fits_scheme(scheme, &request.meta) {
        let needs = match request.meta.index {
            Some(_) => "has no use for",
            None => "needs",
        };
        let detail = format!("index scheme {scheme} {needs} an index key in the meta-address");
        return Err(ctx.deny(staff.enter(deed), "meta_index_key", detail).await);
    }
    let number = request.card;
    let register = ctx.register.clone();
    if blocking(move || register.card(&number)).await.is_ok() {
        let taken = RegisterError::CardTaken;
        return Err(ctx.register_refusal(staff.enter(deed), taken).await);
    }
    let code = DeskCode::generate(&mut OsRng);
    let since = ctx.now();
    let deed = staff.enter(deed);
    ctx.commit(deed.clone()).await?;
    let (register, code) = (ctx.register.clone(), *code.as_bytes());
    let added = blocking(move || register.add_card(&number, &code, request.meta, since)).await;
    match added {
        Ok(()) => {}
        Err(RegisterError::Database(error)) => {
            tracing::error!(%error, "a card cannot be entered");
            return Err(ctx.fail(deed, "the register cannot be written").await);
        }
        Err(error) => return Err(ctx.register_refusal(deed, error).await),
    }
    Ok(NewCard {
        card: number,
        desk_code: code,
        hospital: ctx.map.hospital,
        since,
    })
}
