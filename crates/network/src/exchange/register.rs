//! Register a patient's client with a card and its one-time desk code.
//!
//! Open to all, rate-limited: the desk code is the right. The hospital server passes the request on to its
//! key service, which alone can open the sealed pair secret.
//!
//! # Leakage
//! The server learns the audit key and that this card's patient has a client; never the pair secret.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, Reply};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{
    BadSignature, HospitalId, MetaAddress, PublicKey, SecretKey, Signature, TimeMillis, domain,
    encode,
};
use std::time::Duration;

/// Largest sealed pair secret, bytes.
const MAX_SEALED_BYTES: usize = 256;

/// Largest token issuer key (RSA 4096, DER), bytes.
const MAX_ISSUER_BYTES: usize = 1024;

/// The exchange.
pub struct Register;

/// Bytes: the fields in order. No `Debug`: card number and desk code are the patient's secrets.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RegisterRequest {
    /// The hospital, so that the request is worth nothing elsewhere.
    pub hospital: HospitalId,
    /// The card's number.
    pub card: [u8; 16],
    /// The desk code printed with it, used once.
    pub desk_code: [u8; 5],
    /// The meta-address that the card was made for.
    pub meta: MetaAddress,
    /// The 32-byte pair secret, sealed to the key service.
    #[borsh(deserialize_with = "bytes::<_, MAX_SEALED_BYTES>")]
    pub sealed_pair_secret: Vec<u8>,
    /// The patient's key for her audit log at this hospital.
    pub audit_key: PublicKey,
    /// When it was signed.
    pub at: TimeMillis,
    /// By the audit key, over all fields above.
    pub signature: Signature,
}

impl RegisterRequest {
    fn message(&self) -> Vec<u8> {
        encode(&(
            self.hospital,
            self.card,
            self.desk_code,
            self.meta,
            &self.sealed_pair_secret,
            self.audit_key,
            self.at,
        ))
    }

    /// Signs with the secret of the audit key, which also becomes the request's audit key.
    #[must_use]
    pub fn signed_for_registration(mut self, audit_secret: &SecretKey) -> Self {
        self.audit_key = audit_secret.public();
        self.signature = audit_secret.sign(domain::REGISTER, &self.message());
        self
    }

    /// Checks that the sender holds the audit key.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self) -> Result<(), BadSignature> {
        self.audit_key
            .verify(domain::REGISTER, &self.message(), &self.signature)
    }
}

/// What the client keeps of the hospital.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Registered {
    /// I: the hospital's public index key.
    pub index_key: PublicKey,
    /// The key that the hospital blindly signs search tokens with: DER of an RSA public key.
    #[borsh(deserialize_with = "bytes::<_, MAX_ISSUER_BYTES>")]
    pub issuer: Vec<u8>,
}

impl Exchange for Register {
    const PROTOCOL: &'static str = "/caduceus/register/1";
    type Request = RegisterRequest;
    type Response = Reply<Registered>;
    const MAX_REQUEST: usize = OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_ISSUER_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}
