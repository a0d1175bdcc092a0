//! The client's side of single-use search tokens (DESIGN 2.1): RFC 9474, RSABSSA-SHA384-PSS-Deterministic,
//! as `caduceus_crypto::token` fixes it. Draw a key and blind it; the hospital signs blindly; unblind.
//!
//! # Leakage
//! The hospital sees who asks and how often. It can't tell which token, hence which search, comes of it.

use std::fmt;

use blind_rsa_signatures::{BlindSignature, BlindingResult};
use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::token::{
    IssuerPublicKey, MAX_SIGNATURE_BYTES, RngAdapter, SchemePublicKey, Token, TokenError,
};
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroize;

/// A token on its way: blinded, not yet signed. Its blinding factor is wiped on drop.
pub struct PendingToken {
    key: SecretKey,
    issuer: SchemePublicKey,
    blinding: BlindingResult,
}

/// A token that can be spent once, with the key that spends it.
#[derive(Clone)]
pub struct SpendableToken {
    /// Signs the one search.
    pub key: SecretKey,
    /// Its public key and the issuer's signature on that.
    pub token: Token,
}

/// Draws a token's key and blinds it for `issuer`.
///
/// # Errors
/// [`TokenError::BadKey`] if the issuer's key is not one that can blind.
pub fn blind(
    rng: &mut (impl CryptoRng + RngCore),
    issuer: &IssuerPublicKey,
) -> Result<PendingToken, TokenError> {
    let key = SecretKey::generate(rng);
    let issuer = issuer.scheme_key();
    let blinding = issuer
        .blind(&mut RngAdapter(rng), key.public().as_bytes())
        .map_err(|_| TokenError::BadKey)?;
    Ok(PendingToken {
        key,
        issuer,
        blinding,
    })
}

impl PendingToken {
    /// What goes to the issuer: random to it, as long as its modulus.
    #[must_use]
    pub fn blinded(&self) -> &[u8] {
        &self.blinding.blind_message.0
    }

    /// Unblinds the issuer's answer and verifies the token that comes of it.
    ///
    /// # Errors
    /// [`TokenError::BadSignature`]: the issuer signed something else, or with another key.
    pub fn finalize(self, blind_signature: &[u8]) -> Result<SpendableToken, TokenError> {
        if blind_signature.len() > MAX_SIGNATURE_BYTES {
            return Err(TokenError::BadSignature);
        }
        let public = self.key.public();
        let signature = self
            .issuer
            .finalize(
                &BlindSignature(blind_signature.to_vec()),
                &self.blinding,
                public.as_bytes(),
            )
            .map_err(|_| TokenError::BadSignature)?;
        let token = Token {
            key: public,
            signature: signature.0,
        };
        Ok(SpendableToken {
            key: self.key.clone(),
            token,
        })
    }
}

impl Drop for PendingToken {
    fn drop(&mut self) {
        self.blinding.secret.0.zeroize();
    }
}

impl fmt::Debug for PendingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingToken(redacted)")
    }
}

impl fmt::Debug for SpendableToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpendableToken({}, redacted)", self.token.key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::token::{MIN_MODULUS_BITS, TokenIssuer};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// One test, since a key takes about a second to draw.
    #[test]
    fn blind_sign_finalize_verify() {
        let mut rng = ChaCha20Rng::seed_from_u64(16);
        let issuer = TokenIssuer::generate(&mut rng, MIN_MODULUS_BITS).unwrap();
        let pending = blind(&mut rng, issuer.public()).unwrap();
        let blinded = pending.blinded().to_vec();
        let signature = issuer.sign_blinded(&blinded).unwrap();
        let spendable = pending.finalize(&signature).unwrap();
        assert_eq!(spendable.token.key, spendable.key.public());
        spendable.token.verify(issuer.public()).unwrap();
        // Nothing that the issuer saw stands in the token.
        assert_ne!(spendable.token.signature, signature);
        assert_ne!(spendable.token.signature, blinded);

        // An answer to another request, or a damaged one, is refused.
        let other = blind(&mut rng, issuer.public()).unwrap();
        assert_ne!(other.blinded(), &blinded[..]);
        assert_eq!(
            other.finalize(&signature).unwrap_err(),
            TokenError::BadSignature
        );
        for answer in [&signature[1..], &[][..], &[0u8; 4096][..]] {
            let pending = blind(&mut rng, issuer.public()).unwrap();
            assert_eq!(
                pending.finalize(answer).unwrap_err(),
                TokenError::BadSignature
            );
        }

        // A token is worth nothing under another key.
        let mut forged = spendable.token.clone();
        forged.key = SecretKey::generate(&mut rng).public();
        assert!(forged.verify(issuer.public()).is_err());
    }
}
