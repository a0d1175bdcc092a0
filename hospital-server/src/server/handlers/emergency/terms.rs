//! The hospital's emergency keys, as the private chain proves them, and what an upload must do about them.

use crate::chain::{ChainClient, ChainError};
use crate::database::blocking;
use crate::server::context::{Context, Turned};
use crate::server::register::RegisterError;
use caduceus_crypto::emergency::CheckedEmergencyKey;
use caduceus_crypto::record::SealedView;
use caduceus_crypto::{Hash, encode};
use caduceus_network::exchange::EmergencyTerms;
use private_chain::{Key, SignedEmergencyKey, state};

/// What the chain proves under a key of its state; none if it proves that nothing is there.
async fn proved<T>(chain: &ChainClient, key: &Key<T>) -> Result<Option<T>, ChainError>
where
    T: borsh::BorshSerialize + borsh::BorshDeserialize,
{
    match chain.state(key.bytes()).await? {
        None => Ok(None),
        Some(bytes) => key
            .decode(&bytes)
            .map(Some)
            .map_err(|error| ChainError::Unavailable {
                detail: error.to_string(),
            }),
    }
}

/// The key of a generation.
pub(super) async fn key_of(
    ctx: &Context,
    generation: u32,
) -> Result<Option<SignedEmergencyKey>, ChainError> {
    proved(&ctx.chain, &state::emergency_key(generation)).await
}

/// The newest key; none if the hospital has named none.
pub(super) async fn newest_key(ctx: &Context) -> Result<Option<SignedEmergencyKey>, ChainError> {
    match proved(&ctx.chain, &state::emergency_generation()).await? {
        None => Ok(None),
        Some(generation) => key_of(ctx, generation).await,
    }
}

/// A key of the chain, whose rules have checked it.
pub(super) fn checked(key: &SignedEmergencyKey) -> Result<CheckedEmergencyKey, Turned> {
    key.body.check().map_err(Turned::later)
}

/// With what a workstation wraps the records of a card a second time; none unless the patient opted in.
pub(crate) async fn of_card(ctx: &Context, card: Hash) -> Result<Option<EmergencyTerms>, Turned> {
    let register = ctx.register.clone();
    let consent = blocking(move || register.consent(&card))
        .await
        .map_err(Turned::later)?;
    let Some(consent) = consent.filter(|consent| consent.wanted) else {
        return Ok(None);
    };
    let key = newest_key(ctx).await.map_err(Turned::later)?;
    Ok(key.map(|key| EmergencyTerms {
        consent,
        key: encode(&key),
    }))
}

/// Why an upload's second wrap, or the lack of one, is refused.
pub(crate) enum WrapFault {
    /// A rule, and what it says.
    Broken(&'static str, String),
    /// It cannot be judged now.
    Later(Turned),
    /// The register cannot be asked.
    Register(RegisterError),
}

/// Whether a record for a card has the second wrap that it should have: a good one if the patient opted in, none if
/// she did not.
pub(crate) async fn check_wrap(ctx: &Context, card: Hash, bytes: &[u8]) -> Result<(), WrapFault> {
    let Ok(view) = SealedView::parse(bytes) else {
        return Err(WrapFault::Broken(
            "record_form",
            "not a sealed record".to_owned(),
        ));
    };
    let register = ctx.register.clone();
    let consent = blocking(move || register.consent(&card))
        .await
        .map_err(WrapFault::Register)?;
    let wanted = consent.is_some_and(|consent| consent.wanted);
    let header_hash = view.header_hash();
    match (wanted, view.emergency) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(WrapFault::Broken(
            "emergency_wrap_unwanted",
            "the record has an emergency wrap, and the patient has not opted in: look her card up again"
                .to_owned(),
        )),
        (true, None) => Err(WrapFault::Broken(
            "emergency_wrap_missing",
            "the patient opted in to emergency access, and the record has no emergency wrap: look her card up again"
                .to_owned(),
        )),
        (true, Some(wrap)) => {
            let key = key_of(ctx, wrap.generation)
                .await
                .map_err(|error| WrapFault::Later(Turned::later(error)))?;
            let broken = |detail: String| WrapFault::Broken("emergency_wrap_invalid", detail);
            let key = key.ok_or_else(|| broken("no such emergency key".to_owned()))?;
            let key = checked(&key).map_err(WrapFault::Later)?;
            wrap.verify(&key, header_hash)
                .map(|_| ())
                .map_err(|error| broken(error.to_string()))
        }
    }
}
