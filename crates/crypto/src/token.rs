//! Single-use search tokens by blind signature (DESIGN 2.1): RFC 9474, RSABSSA-SHA384-PSS-Deterministic.
//!
//! The message is a token's fresh public key, drawn at random by the client. The deterministic variant is the
//! right one for such a message: RFC 9474 wants randomized preparation where a message may have little entropy,
//! and Privacy Pass (RFC 9578, token type 2) makes the same choice. The blinding factor and the salt of PSS stay
//! random, so blinded messages tell nothing.
//!
//! Here are the issuer's and the verifier's parts. Blinding and finalizing are the client's, in
//! `caduceus-custody`, over [`IssuerPublicKey::scheme_key`].
//!
//! # Leakage
//! The issuer learns how many tokens a patient took, never which. Who sees a token learns its issuer.

mod rng;

use std::fmt;

use blind_rsa_signatures::{
    KeyPairSha384PSSDeterministic, PublicKeySha384PSSDeterministic,
    SecretKeySha384PSSDeterministic, Signature as RsaSignature,
};
use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::codec::{invalid, read_bounded};
use crate::domain;
use crate::hash::{Hash, hash, kdf};
use crate::keys::PublicKey;
use crate::token::rng::DerivedRng;

pub use self::rng::RngAdapter;

/// Least bits of an issuer's modulus.
pub const MIN_MODULUS_BITS: usize = 2_048;
/// Most bits of an issuer's modulus.
pub const MAX_MODULUS_BITS: usize = 4_096;
/// Most bytes of an issuer's encoded public key.
pub const MAX_ISSUER_KEY_BYTES: usize = 640;
/// Most bytes of a token's signature.
pub const MAX_SIGNATURE_BYTES: usize = MAX_MODULUS_BITS / 8;

/// The issuer's public key in the library's own type, for blinding and finalizing.
pub type SchemePublicKey = PublicKeySha384PSSDeterministic;

/// Why a token, a key or a blinded message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not the one encoding of an RSA key of 2,048 to 4,096 bits with exponent 3 or 65,537.
    #[error("not an RSA key of {min} to {max} bits in canonical DER", min = MIN_MODULUS_BITS, max = MAX_MODULUS_BITS)]
    BadKey,
    /// A number of bits that no issuer's key has.
    #[error("an issuer's key has {min} to {max} bits, not {found}", min = MIN_MODULUS_BITS, max = MAX_MODULUS_BITS)]
    KeySize {
        /// The bits asked for.
        found: usize,
    },
    /// Key generation found no key. Only a broken random number generator does this.
    #[error("key generation failed")]
    Generation,
    /// Not as long as the modulus, or not below it.
    #[error("the blinded message does not belong to this key")]
    BadBlindedMessage,
    /// The private operation's self-check failed; nothing was signed.
    #[error("signing failed")]
    Signing,
    /// The issuer did not sign this token.
    #[error("the token's signature is not valid")]
    BadSignature,
}

/// An issuer's public key: DER, SubjectPublicKeyInfo with rsaEncryption. Every value of the type is a key in its
/// one encoding: all constructors check, the borsh decoder included.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct IssuerPublicKey(Vec<u8>);

impl IssuerPublicKey {
    /// Reads DER.
    ///
    /// # Errors
    /// [`TokenError::BadKey`].
    pub fn from_der(der: &[u8]) -> Result<Self, TokenError> {
        if der.len() > MAX_ISSUER_KEY_BYTES {
            return Err(TokenError::BadKey);
        }
        let key = SchemePublicKey::from_der(der).map_err(|_| TokenError::BadKey)?;
        // The library also reads PKCS#1.
        if key.to_der().map_err(|_| TokenError::BadKey)? != der {
            return Err(TokenError::BadKey);
        }
        Ok(IssuerPublicKey(der.to_vec()))
    }

    /// The DER bytes.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }

    /// Identifies the issuer in logs and tables.
    pub fn id(&self) -> Hash {
        hash(domain::ISSUER_ID, &[&self.0])
    }

    /// The key in the library's own type.
    pub fn scheme_key(&self) -> SchemePublicKey {
        SchemePublicKey::from_der(&self.0).expect("every constructor read it")
    }

    fn verify_message(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        // The library checks the exact length against the modulus; this bounds the copy.
        if signature.len() > MAX_SIGNATURE_BYTES {
            return Err(TokenError::BadSignature);
        }
        self.scheme_key()
            .verify(&RsaSignature(signature.to_vec()), None, message)
            .map_err(|_| TokenError::BadSignature)
    }
}

impl fmt::Debug for IssuerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerPublicKey({})", self.id().short())
    }
}

impl BorshDeserialize for IssuerPublicKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let der = read_bounded(reader, MAX_ISSUER_KEY_BYTES)?;
        IssuerPublicKey::from_der(&der).map_err(|_| invalid("not an issuer's key"))
    }
}

/// A search token: a fresh key and its issuer's signature on it. Who holds the key's secret may spend it once.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct Token {
    /// The fresh key, whose 33 bytes are the message.
    pub key: PublicKey,
    /// RSASSA-PSS, as long as the issuer's modulus.
    pub signature: Vec<u8>,
}

impl Token {
    /// Checks the issuer's signature. That the token is unspent is the chain's to check, by [`Token::id`].
    ///
    /// # Errors
    /// [`TokenError::BadSignature`].
    pub fn verify(&self, issuer: &IssuerPublicKey) -> Result<(), TokenError> {
        issuer.verify_message(self.key.as_bytes(), &self.signature)
    }

    /// Under what a spent token is remembered: a hash of the key alone, so that no second signature on the same
    /// key makes a second token.
    pub fn id(&self) -> Hash {
        hash(domain::TOKEN_ID, &[self.key.as_bytes()])
    }
}

impl BorshDeserialize for Token {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        Ok(Token {
            key: PublicKey::deserialize_reader(reader)?,
            signature: read_bounded(reader, MAX_SIGNATURE_BYTES)?,
        })
    }
}

/// An issuer: signs what it cannot read. Wiped when dropped, never printed.
pub struct TokenIssuer {
    key: SecretKeySha384PSSDeterministic,
    public: IssuerPublicKey,
    blinding_seed: Zeroizing<[u8; 32]>,
}

impl TokenIssuer {
    /// Draws a key of 2,048 to 4,096 bits; 2,048 are usual. Takes about a second.
    ///
    /// # Errors
    /// [`TokenError::KeySize`] or [`TokenError::Generation`].
    pub fn generate(rng: &mut (impl CryptoRng + RngCore), bits: usize) -> Result<Self, TokenError> {
        if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
            return Err(TokenError::KeySize { found: bits });
        }
        let pair = KeyPairSha384PSSDeterministic::generate(&mut RngAdapter(rng), bits)
            .map_err(|_| TokenError::Generation)?;
        Self::from_key(pair.sk)
    }

    /// Reads PKCS#8 or PKCS#1 DER and checks the key.
    ///
    /// # Errors
    /// [`TokenError::BadKey`].
    pub fn from_der(der: &[u8]) -> Result<Self, TokenError> {
        SecretKeySha384PSSDeterministic::from_der(der)
            .map_err(|_| TokenError::BadKey)
            .and_then(Self::from_key)
    }

    fn from_key(key: SecretKeySha384PSSDeterministic) -> Result<Self, TokenError> {
        let public = key
            .public_key()
            .and_then(|public| public.to_der())
            .map_err(|_| TokenError::BadKey)?;
        let public = IssuerPublicKey::from_der(&public)?;
        let der = Zeroizing::new(key.to_der().map_err(|_| TokenError::BadKey)?);
        let blinding_seed = kdf(domain::TOKEN_BLINDING, &der, &[]);
        Ok(TokenIssuer {
            key,
            public,
            blinding_seed,
        })
    }

    /// The secret key as PKCS#8 DER, for an encrypted store.
    ///
    /// # Errors
    /// [`TokenError::BadKey`], which no key that this type holds causes.
    pub fn to_der(&self) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        self.key
            .to_der()
            .map(Zeroizing::new)
            .map_err(|_| TokenError::BadKey)
    }

    /// The public key.
    pub fn public(&self) -> &IssuerPublicKey {
        &self.public
    }

    /// Signs a blinded message. Deterministic: the same message gives the same bytes.
    ///
    /// RSA's private operation is itself blinded against timing, with a factor derived from the key and the
    /// message: as unpredictable to others as a random one, and no random number generator is needed.
    ///
    /// # Errors
    /// [`TokenError::BadBlindedMessage`] or [`TokenError::Signing`].
    pub fn sign_blinded(&self, blinded: &[u8]) -> Result<Vec<u8>, TokenError> {
        let mut rng = DerivedRng::new(&self.blinding_seed, blinded);
        self.key
            .blind_sign_with_rng(&mut rng, blinded)
            .map(|signature| signature.0)
            .map_err(|e| match e {
                blind_rsa_signatures::Error::UnsupportedParameters => TokenError::BadBlindedMessage,
                _ => TokenError::Signing,
            })
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenIssuer({}, ..)", self.public.id().short())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
