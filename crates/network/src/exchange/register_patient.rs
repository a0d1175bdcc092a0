//! Register a patient at the desk: her meta-address becomes a card with a one-time desk code.
//!
//! Authorised by staff key (registrar or administrator), and an audit entry. The workstation prints the
//! answer; the patient's client then registers with card and desk code ([`super::Register`]).
//!
//! # Leakage
//! The server learns the meta-address, which is the same at every hospital.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, Reply};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{HospitalId, MetaAddress, TimeMillis};
use std::time::Duration;

/// The exchange.
pub struct RegisterPatient;

/// Bytes: meta-address 66.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RegisterPatientRequest {
    /// The patient's two public keys, as her client shows them.
    pub meta: MetaAddress,
}

/// Bytes: the fields in order. No `Debug`: card number and desk code are the patient's secrets.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NewCard {
    /// The card's number.
    pub card: [u8; 16],
    /// The code that the patient's client registers with, once.
    pub desk_code: [u8; 5],
    /// The hospital that made the card.
    pub hospital: HospitalId,
    /// When it was made.
    pub since: TimeMillis,
}

impl Exchange for RegisterPatient {
    const PROTOCOL: &'static str = "/caduceus/register-patient/1";
    type Request = RegisterPatientRequest;
    type Response = Reply<NewCard>;
    const MAX_REQUEST: usize = 128;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}
