//! A registrar makes a card for a meta-address.

use crate::database::blocking;
use crate::network_map::fits_scheme;
use crate::server::audit_log::deed::Kind;
use crate::server::context::{Context, Turned, new_request_id};
use caduceus_crypto::{Card, DeskCode};
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
    let id = new_request_id();
    let outcome = run(&ctx, &peer, request, id).await;
    ctx.reply::<RegisterPatient, _>(id, outcome)
}

async fn run(
    ctx: &Context,
    peer: &Peer,
    request: RegisterPatientRequest,
    id: [u8; 16],
) -> Result<NewCard, Turned> {
    let deed = ctx.deed(KIND, peer, id);
    let new_card = Resource::card("", Relation::Other);
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
    let card = Card::generate(&mut OsRng, ctx.map.hospital);
    let code = DeskCode::generate(&mut OsRng);
    let since = ctx.now();
    let deed = staff.enter(deed).about_card(ctx.card_hash(&card.number));
    ctx.commit(deed.clone()).await?;
    let (register, number, code) = (ctx.register.clone(), card.number, *code.as_bytes());
    let added = blocking(move || register.add_card(&number, &code, request.meta, since)).await;
    if let Err(error) = added {
        tracing::error!(%error, "a card cannot be entered");
        return Err(ctx.fail(deed, "the register cannot be written").await);
    }
    Ok(NewCard {
        card: number,
        desk_code: code,
        hospital: ctx.map.hospital,
        since,
    })
}
