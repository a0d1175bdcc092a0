//! The hospital server hands over the pair secret of a patient who registers.

use super::Context;
use crate::database::blocking;
use caduceus_crypto::domain;
use caduceus_custody::secret_box::open_from;
use caduceus_network::exchange::{DepositPairSecretRequest, Reply, pair_secret_context};
use caduceus_network::{Peer, Refused};
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) async fn answer(
    ctx: Arc<Context>,
    _: Peer,
    request: DepositPairSecretRequest,
) -> Result<Reply<()>, Refused> {
    let aad = pair_secret_context(&request.card);
    let opened = open_from(
        &ctx.key,
        domain::PAIR_SECRET_BOX,
        &aad,
        &request.sealed_pair_secret,
    );
    let secret = opened
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let Some(secret) = secret.map(Zeroizing::new) else {
        return Ok(Reply::denied(
            "pair_secret_malformed",
            "the pair secret is not sealed to this key service for this card",
        ));
    };
    let pairs = ctx.pairs.clone();
    match blocking(move || pairs.put(&request.card, request.meta, &secret)).await {
        Ok(()) => Ok(Reply::Done(())),
        Err(error) => {
            tracing::error!(%error, "a pair secret cannot be kept");
            Ok(Reply::later(2_000, "the key service's disk cannot be used"))
        }
    }
}
