//! The medical card (DESIGN 2.1): a random number that the hospital's register binds to a meta-address, the
//! check value on its QR code, and the one-time code that the registrar's desk gives with it.
//!
//! Text form of a card, printed and typed by people: `CAD1-`, then base 32 (Crockford) of
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 16 | number |
//! | 16 | 4 | first bytes of the hospital's identifier |
//! | 20 | 3 | CRC-24 of the 20 bytes before (RFC 9580, 6.1) |
//!
//! in groups of four, the last of five. The CRC finds every wrong character and every swap of two neighbours,
//! for certain rather than probably. It protects against slips only; the number itself is the secret.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use rand_core::{CryptoRng, RngCore};
use subtle::ConstantTimeEq;

use crate::base32;
use crate::domain;
use crate::hash::{Hash, hash};
use crate::keys::HospitalId;
use crate::pseudonym::MetaAddress;

const PREFIX: &str = "CAD1";
const PAYLOAD_BYTES: usize = 23;

/// Why a text is not a card, or a card not the one expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// Wrong beginning, wrong length, or a character that does not occur on cards.
    #[error("not a card number: CAD1 and 37 letters and digits expected")]
    Malformed,
    /// A character is wrong or two are swapped.
    #[error("the card number has a typing error")]
    Checksum,
    /// The card of another hospital.
    #[error("the card belongs to another hospital")]
    Foreign,
    /// The card's check value names other keys than those presented.
    #[error("the keys presented are not the card holder's")]
    Substituted,
}

/// A card as its hospital knows it. The number is secret: `Debug` hides it, equality is constant-time.
#[derive(Clone, Copy, BorshSerialize, BorshDeserialize)]
pub struct Card {
    /// 128 random bits.
    pub number: [u8; 16],
    /// The hospital that assigned it.
    pub hospital: HospitalId,
}

impl Card {
    /// Assigns a fresh card.
    pub fn generate(rng: &mut (impl CryptoRng + RngCore), hospital: HospitalId) -> Self {
        let mut number = [0u8; 16];
        rng.fill_bytes(&mut number);
        Card { number, hospital }
    }

    /// What the text form carries.
    pub fn card_number(&self) -> CardNumber {
        let mut hospital_prefix = [0u8; 4];
        hospital_prefix.copy_from_slice(&self.hospital.0[..4]);
        CardNumber {
            number: self.number,
            hospital_prefix,
        }
    }

    /// Reads the text form. Case, hyphens and spaces do not matter; I and L are read as 1, O as 0.
    ///
    /// # Errors
    /// [`CardError::Malformed`] or [`CardError::Checksum`].
    pub fn parse(text: &str) -> Result<CardNumber, CardError> {
        text.parse()
    }
}

impl PartialEq for Card {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.number[..].ct_eq(&other.number[..])) && self.hospital == other.hospital
    }
}

impl Eq for Card {}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Card(.., {})", self.hospital.short())
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.card_number(), f)
    }
}

/// A card as its text tells it: the hospital only by 4 bytes. Secret, like [`Card`].
#[derive(Clone, Copy, BorshSerialize, BorshDeserialize)]
pub struct CardNumber {
    /// 128 random bits.
    pub number: [u8; 16],
    /// First bytes of the hospital's identifier.
    pub hospital_prefix: [u8; 4],
}

impl CardNumber {
    /// Refuses the card of another hospital. Four bytes tell two hospitals apart, not an attacker: what
    /// protects against one is [`CardQr::check`].
    ///
    /// # Errors
    /// [`CardError::Foreign`].
    pub fn check_hospital(&self, hospital: &HospitalId) -> Result<(), CardError> {
        if hospital.0[..4] == self.hospital_prefix {
            Ok(())
        } else {
            Err(CardError::Foreign)
        }
    }

    /// What logs and audit entries say instead of the number.
    pub fn hash(&self) -> Hash {
        hash(domain::CARD_HASH, &[&self.number, &self.hospital_prefix])
    }
}

impl From<Card> for CardNumber {
    fn from(card: Card) -> Self {
        card.card_number()
    }
}

impl From<&Card> for CardNumber {
    fn from(card: &Card) -> Self {
        card.card_number()
    }
}

impl PartialEq for CardNumber {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.number[..].ct_eq(&other.number[..]))
            && self.hospital_prefix == other.hospital_prefix
    }
}

impl Eq for CardNumber {}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardNumber(.., {})", hex::encode(self.hospital_prefix))
    }
}

impl fmt::Display for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut payload = [0u8; PAYLOAD_BYTES];
        payload[..16].copy_from_slice(&self.number);
        payload[16..20].copy_from_slice(&self.hospital_prefix);
        let check = crc24(&payload[..20]);
        payload[20..].copy_from_slice(&check.to_be_bytes()[1..]);
        let symbols = base32::encode(&payload);
        let mut text = String::from(PREFIX);
        for (at, symbol) in symbols.chars().enumerate() {
            // 37 symbols: the 37th joins the ninth group.
            if at % 4 == 0 && at < 36 {
                text.push('-');
            }
            text.push(symbol);
        }
        f.pad(&text)
    }
}

impl FromStr for CardNumber {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        let (prefix, symbols) = plain
            .split_at_checked(PREFIX.len())
            .ok_or(CardError::Malformed)?;
        let prefix = prefix.to_ascii_uppercase().replace(['I', 'L'], "1");
        if prefix != PREFIX {
            return Err(CardError::Malformed);
        }
        let payload = base32::decode::<PAYLOAD_BYTES>(symbols).ok_or(CardError::Malformed)?;
        if payload[20..] != crc24(&payload[..20]).to_be_bytes()[1..] {
            return Err(CardError::Checksum);
        }
        let mut card = CardNumber {
            number: [0; 16],
            hospital_prefix: [0; 4],
        };
        card.number.copy_from_slice(&payload[..16]);
        card.hospital_prefix.copy_from_slice(&payload[16..20]);
        Ok(card)
    }
}

/// H(V, S, hospital), the key of the index scheme standing before the hospital where there is one: what the card's
/// QR code says about its holder's keys, so that a compromised server cannot substitute its own (DESIGN 2.1).
pub fn card_binding(meta: &MetaAddress, hospital: &HospitalId) -> Hash {
    let mut fields: Vec<&[u8]> = meta.key_fields().collect();
    fields.push(hospital.as_bytes());
    hash(domain::CARD_BINDING, &fields)
}

/// What a card's QR code says: the card's text, `|`, the binding in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CardQr {
    /// The card.
    pub card: CardNumber,
    /// [`card_binding`] of its holder.
    pub binding: Hash,
}

impl CardQr {
    /// The code of a card and its holder.
    pub fn new(card: &Card, meta: &MetaAddress) -> Self {
        CardQr {
            card: card.card_number(),
            binding: card_binding(meta, &card.hospital),
        }
    }

    /// What the workstation checks before it seals anything: this hospital's card, and the holder's keys.
    ///
    /// # Errors
    /// [`CardError::Foreign`] or [`CardError::Substituted`].
    pub fn check(&self, meta: &MetaAddress, hospital: &HospitalId) -> Result<(), CardError> {
        self.card.check_hospital(hospital)?;
        if self.binding == card_binding(meta, hospital) {
            Ok(())
        } else {
            Err(CardError::Substituted)
        }
    }
}

impl fmt::Display for CardQr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}|{}", self.card, self.binding))
    }
}

impl FromStr for CardQr {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let (card, binding) = text.trim().split_once('|').ok_or(CardError::Malformed)?;
        let binding = binding.parse::<Hash>().map_err(|_| CardError::Malformed)?;
        Ok(CardQr {
            card: card.parse()?,
            binding,
        })
    }
}

/// The one-time code of the registrar's desk: 40 random bits, typed once with the card. Text form: 8 symbols
/// of base 32. Secret: `Debug` hides it, equality is constant-time.
#[derive(Clone, Copy, BorshSerialize, BorshDeserialize)]
pub struct DeskCode([u8; 5]);

/// A text that is not a desk code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a desk code: 8 letters and digits expected")]
pub struct BadDeskCode;

impl DeskCode {
    /// Draws a code.
    pub fn generate(rng: &mut (impl CryptoRng + RngCore)) -> Self {
        let mut bytes = [0u8; 5];
        rng.fill_bytes(&mut bytes);
        DeskCode(bytes)
    }

    /// Reads the text form. Case, hyphens and spaces do not matter; I and L are read as 1, O as 0.
    ///
    /// # Errors
    /// [`BadDeskCode`].
    pub fn parse(text: &str) -> Result<Self, BadDeskCode> {
        let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        base32::decode::<5>(&plain).map(DeskCode).ok_or(BadDeskCode)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 5] {
        &self.0
    }
}

impl PartialEq for DeskCode {
    fn eq(&self, other: &Self) -> bool {
        self.0[..].ct_eq(&other.0[..]).into()
    }
}

impl Eq for DeskCode {}

impl fmt::Debug for DeskCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeskCode(..)")
    }
}

impl fmt::Display for DeskCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base32::encode(&self.0))
    }
}

impl FromStr for DeskCode {
    type Err = BadDeskCode;

    fn from_str(text: &str) -> Result<Self, BadDeskCode> {
        DeskCode::parse(text)
    }
}

/// CRC-24 of OpenPGP (RFC 9580, 6.1): finds every burst of up to 24 bits, hence any change that touches up to
/// four neighbouring symbols.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
