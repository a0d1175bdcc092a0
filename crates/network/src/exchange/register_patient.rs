//! Register a patient at the desk: her meta-address becomes a card with a one-time desk code.
//!
//! Authorised by staff key (registrar or administrator), and an audit entry. The workstation draws the card's number,
//! so that what the registrar signs names the card; the server refuses a number that it has. The workstation prints the
//! answer; the patient's client then registers with card and desk code ([`super::Register`]).
//!
//! # Leakage
//! The server learns the meta-address, which is the same at every hospital.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, PersonSigned, Reply};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{HospitalId, MetaAddress, TimeMillis};
use std::time::Duration;

/// The exchange.
pub struct RegisterPatient;

/// Bytes: card 16, meta-address, statement (0, or 1 and [`PersonSigned`]). No `Debug`: the card number is the
/// patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RegisterPatientRequest {
    /// Random number of the card to be made.
    pub card: [u8; 16],
    /// The patient's two public keys, as her client shows them.
    pub meta: MetaAddress,
    /// What the caller signed of this request.
    pub statement: Option<PersonSigned>,
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
    const PROTOCOL: &'static str = "/caduceus/register-patient/2";
    type Request = RegisterPatientRequest;
    type Response = Reply<NewCard>;
    const MAX_REQUEST: usize = 512;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}
