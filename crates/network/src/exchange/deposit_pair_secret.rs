//! Hand a registered patient's pair secret on to the key service, which alone can open it.
//!
//! Authorised by the hospital's server key. Depositing again replaces what is there: the server asks only for a
//! patient who proved the desk code.
//!
//! # Leakage
//! The server sees the sealed box; the key service learns which card has which meta-address.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES, Reply};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::MetaAddress;
use std::time::Duration;

/// Largest sealed pair secret, bytes.
const MAX_SEALED_BYTES: usize = 256;

/// The exchange.
pub struct DepositPairSecret;

/// Bytes: the fields in order. No `Debug`: the card number is the patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DepositPairSecretRequest {
    /// The card's number.
    pub card: [u8; 16],
    /// The patient's two public keys.
    pub meta: MetaAddress,
    /// The 32-byte pair secret in a secret box to the key service's key, domain `PAIR_SECRET_BOX`, associated
    /// data [`pair_secret_context`]: as the patient's client sent it.
    #[borsh(deserialize_with = "bytes::<_, MAX_SEALED_BYTES>")]
    pub sealed_pair_secret: Vec<u8>,
}

/// Associated data of the box in which a pair secret travels: the card's number. A box for one card is worth
/// nothing for another.
pub fn pair_secret_context(card: &[u8; 16]) -> Vec<u8> {
    card.to_vec()
}

impl Exchange for DepositPairSecret {
    const PROTOCOL: &'static str = "/caduceus/deposit-pair-secret/1";
    type Request = DepositPairSecretRequest;
    type Response = Reply<()>;
    const MAX_REQUEST: usize = 512;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}
