//! `Request`: a data user says who asks, for what purpose, for what, and until when (DESIGN 2.4).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use std::fmt;
use std::str::FromStr;

/// Longest description of what is sought, in bytes of UTF-8.
pub const MAX_SOUGHT_BYTES: usize = 280;
/// Longest life of a request, in days.
pub const MAX_REQUEST_DAYS: u64 = 365;

/// Purpose of use: codes of HL7 v3 `PurposeOfUse`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Purpose {
    /// Treatment.
    Treatment,
    /// Emergency treatment.
    Emergency,
    /// Payment.
    Payment,
    /// Running the health service.
    Operations,
    /// Research.
    Research,
    /// Public health.
    PublicHealth,
    /// At the patient's own request.
    PatientRequest,
    /// Legal duty.
    Legal,
}

/// Not a code of a [`Purpose`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown purpose: TREAT, ETREAT, HPAYMT, HOPERAT, HRESCH, PUBHLTH, PATRQT or HLEGAL expected"
)]
pub struct UnknownPurpose;

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 8] = [
        Purpose::Treatment,
        Purpose::Emergency,
        Purpose::Payment,
        Purpose::Operations,
        Purpose::Research,
        Purpose::PublicHealth,
        Purpose::PatientRequest,
        Purpose::Legal,
    ];

    /// The HL7 code.
    pub fn code(self) -> &'static str {
        match self {
            Purpose::Treatment => "TREAT",
            Purpose::Emergency => "ETREAT",
            Purpose::Payment => "HPAYMT",
            Purpose::Operations => "HOPERAT",
            Purpose::Research => "HRESCH",
            Purpose::PublicHealth => "PUBHLTH",
            Purpose::PatientRequest => "PATRQT",
            Purpose::Legal => "HLEGAL",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, UnknownPurpose> {
        Purpose::ALL
            .into_iter()
            .find(|p| p.code().eq_ignore_ascii_case(text))
            .ok_or(UnknownPurpose)
    }
}

/// What a data user asks of whoever it concerns.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Request {
    /// The data user's account key.
    pub data_user: PublicKey,
    /// The purpose.
    pub purpose: Purpose,
    /// What is sought, for people; 1 to [`MAX_SOUGHT_BYTES`] bytes.
    pub sought: String,
    /// When the request ends.
    pub until: TimeMillis,
}

/// A [`Request`] with a claimed signature of the account key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRequest {
    /// What is asked.
    pub body: Request,
    /// Account key's signature over (chain, body).
    pub signature: Signature,
}

impl Request {
    /// Signs as the data user.
    pub fn sign(self, chain: &ChainId, data_user: &SecretKey) -> SignedRequest {
        let signature = data_user.sign(domain::REQUEST, &signed_payload(chain, &self));
        SignedRequest {
            body: self,
            signature,
        }
    }
}

impl SignedRequest {
    /// Whether the account key in the body signed it for this chain.
    pub fn is_signed(&self, chain: &ChainId) -> bool {
        self.body
            .data_user
            .verify(
                domain::REQUEST,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purpose_codes_read_back() {
        for purpose in Purpose::ALL {
            assert_eq!(purpose.code().parse(), Ok(purpose));
            assert_eq!(purpose.code().to_lowercase().parse(), Ok(purpose));
        }
        assert_eq!("FUN".parse::<Purpose>(), Err(UnknownPurpose));
    }
}
