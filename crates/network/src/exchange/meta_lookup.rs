//! Look up the patient of a card that was presented, before sealing a record for her.
//!
//! Authorised by staff key, and an audit entry. The workstation compares the answer with the binding in the
//! card's QR code: a server cannot put its own keys in the patient's place.

use super::{
    COMMIT_TIMEOUT, Exchange, MAX_EMERGENCY_KEY_BYTES, OVERHEAD_BYTES, PersonSigned, Reply,
};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::emergency::EmergencyConsent;
use caduceus_crypto::{HospitalId, MetaAddress, PublicKey, TimeMillis};
use std::time::Duration;

/// The exchange.
pub struct MetaLookup;

/// Bytes: card 16, statement (0, or 1 and [`PersonSigned`]). No `Debug`: the card number is the patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MetaLookupRequest {
    /// The card that was presented.
    pub card: [u8; 16],
    /// What the caller signed of this request.
    pub statement: Option<PersonSigned>,
}

/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CardHolder {
    /// The hospital that made the card.
    pub hospital: HospitalId,
    /// The patient's two public keys.
    pub meta: MetaAddress,
    /// I: the hospital's public index key.
    pub index_key: PublicKey,
    /// The patient's audit key; none while her client has not registered.
    pub audit_key: Option<PublicKey>,
    /// When the card was made.
    pub since: TimeMillis,
    /// With what her records are wrapped a second time; none unless she opted in.
    pub emergency: Option<EmergencyTerms>,
}

/// What a workstation needs to wrap a record's data key for an emergency. It believes neither part from the server.
///
/// Bytes: consent, key (length, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyTerms {
    /// The patient's word, signed with the view key that the card is bound to.
    pub consent: EmergencyConsent,
    /// Borsh of the private chain's `SignedEmergencyKey`, signed with the hospital's identity key.
    #[borsh(deserialize_with = "bytes::<_, MAX_EMERGENCY_KEY_BYTES>")]
    pub key: Vec<u8>,
}

impl Exchange for MetaLookup {
    const PROTOCOL: &'static str = "/caduceus/meta-lookup/2";
    type Request = MetaLookupRequest;
    type Response = Reply<CardHolder>;
    const MAX_REQUEST: usize = 256;
    const MAX_RESPONSE: usize = MAX_EMERGENCY_KEY_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}
