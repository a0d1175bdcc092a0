//! Get the index key of the patient in front of the workstation, for one quarter, from the key service.
//!
//! Authorised by staff key. The key service serves nobody else, and `hospital-server serve` holds no index
//! key. The workstation keeps the answer in memory for the visit.
//!
//! # Leakage
//! The key service learns which workstation has which card in front of it.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, PersonSigned, Reply};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{PublicKey, Quarter, encode};
use std::time::Duration;

/// Largest sealed quarter key, bytes.
const MAX_SEALED_BYTES: usize = 256;

/// The exchange.
pub struct IndexKey;

/// Bytes: card 16, quarter `u16`, statement (0, or 1 and [`PersonSigned`]). No `Debug`: the card number is the patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IndexKeyRequest {
    /// The card that was presented.
    pub card: [u8; 16],
    /// The quarter; the service gives the current one only.
    pub quarter: Quarter,
    /// What the caller signed of this request.
    pub statement: Option<PersonSigned>,
}

impl IndexKeyRequest {
    /// Associated data of the box that the key comes in: borsh of card and quarter.
    pub fn context(&self) -> Vec<u8> {
        encode(&(self.card, self.quarter))
    }
}

/// Bytes: sealed key (length, bytes), view key 33.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SealedIndexKey {
    /// The 32-byte key of the quarter, sealed to the caller's own key.
    #[borsh(deserialize_with = "bytes::<_, MAX_SEALED_BYTES>")]
    pub sealed: Vec<u8>,
    /// V: the view key it was derived for, to be compared with the card's meta-address.
    pub view: PublicKey,
}

impl Exchange for IndexKey {
    const PROTOCOL: &'static str = "/caduceus/index-key/2";
    type Request = IndexKeyRequest;
    type Response = Reply<SealedIndexKey>;
    const MAX_REQUEST: usize = 256;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}
