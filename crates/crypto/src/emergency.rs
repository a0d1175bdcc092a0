//! Break-glass as everybody sees it (DESIGN 3.7): a hospital's emergency key, the second wrap of a data key under it,
//! and the officers' parts in opening one. Dealing, wrapping and opening are `caduceus-custody`'s.
//!
//! The scheme is TDH2, the threshold ElGamal of Shoup and Gennaro (Journal of Cryptology 15, 2002, section 4), over
//! secp256k1. Notation: t threshold, n officers; f polynomial of degree t - 1 over the scalars, e = f(0) the secret
//! that nobody holds, s_i = f(i) the share of officer i from 1 to n; C_k = f_k G the coefficients' commitments
//! (Feldman), E = C_0 = eG, S_i = s_i G = sum over k of i^k C_k; G, G' generators, of which nobody knows the
//! logarithm to each other; r nonce of one wrap, R = rG, R' = rG'; D_i = s_i R the partial of officer i.
//!
//! | what | who makes it | value |
//! |---|---|---|
//! | key | the hospital | generation, C_0 to C_(t-1), officers in the order of their shares |
//! | wrap | the record's author | R, R', AES-256-GCM of the data key under KDF(rE; key, header), proof |
//! | partial | officer i | D_i, proof that log_G S_i = log_R D_i |
//! | opening | the requester | sum of lambda_i D_i over t officers = eR = rE |
//!
//! The proof in a wrap shows that its author knows r, for this record: log_G R = log_G' R', over header hash and
//! wrapped key. Without it, R of record A could stand in a made-up record B, and officers who agree to open B would
//! open A. An officer answers nothing before it is checked, hence [`VerifiedWrap`].
//!
//! The public shares S_i follow from the commitments, so a key whose shares do not fit each other cannot be said.
//!
//! # Leakage
//! A wrap tells everybody who has the record that its patient opted in, and the key's generation. A partial, in the
//! clear, lets t of them open that record: it travels encrypted to the requester.

mod consent;
mod excerpt;
mod key;

use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use std::sync::LazyLock;

use crate::codec::encode;
use crate::dleq::{DleqProof, Equality};
use crate::domain;
use crate::hash::{Hash, hash};
use crate::keys::PublicKey;

pub use consent::EmergencyConsent;
pub use excerpt::{EmergencyExcerpt, ExcerptError, MAX_EXCERPT_BYTES};
pub use key::{
    CheckedEmergencyKey, EmergencyKey, EmergencyKeyError, MAX_OFFICERS, MIN_THRESHOLD, Officer,
};

/// Bytes of a wrapped data key: 32 and the tag.
pub const WRAPPED_KEY_BYTES: usize = 32 + 16;
/// Bytes of an encoded wrap.
pub const EMERGENCY_WRAP_BYTES: usize = 4 + 33 + 33 + WRAPPED_KEY_BYTES + 64;

/// G, as a value among others.
pub fn generator() -> &'static PublicKey {
    static G: LazyLock<PublicKey> = LazyLock::new(|| {
        PublicKey::from_point(k256::ProjectivePoint::GENERATOR)
            .expect("the generator is not the identity")
    });
    &G
}

/// G': the first point whose x coordinate is H(counter), with even y, for counter (u32 little-endian) 0, 1, ...
pub fn second_generator() -> &'static PublicKey {
    static SECOND: LazyLock<PublicKey> = LazyLock::new(|| {
        (0u32..)
            .find_map(|counter| {
                let x = hash(domain::EMERGENCY_GENERATOR, &[&counter.to_le_bytes()]);
                let mut bytes = [2u8; 33];
                bytes[1..].copy_from_slice(x.as_bytes());
                PublicKey::from_bytes(&bytes).ok()
            })
            .expect("every second x coordinate is on the curve")
    });
    &SECOND
}

/// Why a wrap is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmergencyWrapError {
    /// Made under another key.
    #[error("the emergency wrap is for key {found}, not {expected}")]
    Generation {
        /// The key's generation.
        expected: u32,
        /// The wrap's.
        found: u32,
    },
    /// Not made for this record under this key, or altered.
    #[error("the emergency wrap's proof is not valid for this record")]
    Proof,
}

/// The second wrap of a data key, as it stands in a record: nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct EmergencyWrap {
    /// Which emergency key.
    pub generation: u32,
    /// R.
    pub ephemeral: PublicKey,
    /// R'.
    pub second: PublicKey,
    /// The data key under AES-256-GCM, nonce zero: the key is derived for this wrap alone.
    pub wrapped_key: [u8; WRAPPED_KEY_BYTES],
    /// That log_G R = log_G' R'.
    pub proof: DleqProof,
}

impl BorshDeserialize for EmergencyWrap {
    fn deserialize_reader<Rd: Read>(reader: &mut Rd) -> borsh::io::Result<Self> {
        Ok(EmergencyWrap {
            generation: u32::deserialize_reader(reader)?,
            ephemeral: PublicKey::deserialize_reader(reader)?,
            second: PublicKey::deserialize_reader(reader)?,
            wrapped_key: <[u8; WRAPPED_KEY_BYTES]>::deserialize_reader(reader)?,
            proof: DleqProof::deserialize_reader(reader)?,
        })
    }
}

impl EmergencyWrap {
    /// The encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// What the author proves.
    pub fn equality(&self) -> Equality<'_> {
        Equality {
            first: (generator(), &self.ephemeral),
            second: (second_generator(), &self.second),
        }
    }

    /// Checks that the wrap was made under a key, for the record with this header, by somebody who knew r. It shows
    /// form, not that the record opens with it: that takes t officers.
    ///
    /// # Errors
    /// [`EmergencyWrapError`].
    pub fn verify(
        self,
        key: &CheckedEmergencyKey,
        header_hash: Hash,
    ) -> Result<VerifiedWrap, EmergencyWrapError> {
        let expected = key.generation();
        if self.generation != expected {
            return Err(EmergencyWrapError::Generation {
                expected,
                found: self.generation,
            });
        }
        let key_id = key.id();
        let context = wrap_context(&key_id, &header_hash, &self.wrapped_key);
        self.proof
            .verify(domain::EMERGENCY_WRAP_PROOF, &context, &self.equality())
            .map_err(|_| EmergencyWrapError::Proof)?;
        Ok(VerifiedWrap {
            id: hash(
                domain::EMERGENCY_WRAP_ID,
                &[key_id.as_bytes(), header_hash.as_bytes(), &self.to_bytes()],
            ),
            key_id,
            header_hash,
            wrap: self,
        })
    }
}

/// What the proof of a wrap covers beside the points.
pub fn wrap_context<'a>(
    key_id: &'a Hash,
    header_hash: &'a Hash,
    wrapped_key: &'a [u8; WRAPPED_KEY_BYTES],
) -> [&'a [u8]; 3] {
    [key_id.as_bytes(), header_hash.as_bytes(), wrapped_key]
}

/// A wrap that was checked: an officer may answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedWrap {
    wrap: EmergencyWrap,
    key_id: Hash,
    header_hash: Hash,
    id: Hash,
}

impl VerifiedWrap {
    /// The wrap.
    pub fn wrap(&self) -> &EmergencyWrap {
        &self.wrap
    }

    /// Identifier of the key.
    pub fn key_id(&self) -> &Hash {
        &self.key_id
    }

    /// Hash of the record's header.
    pub fn header_hash(&self) -> &Hash {
        &self.header_hash
    }

    /// Hash of key, header and wrap: what an officer's proof is bound to.
    pub fn id(&self) -> &Hash {
        &self.id
    }

    /// What an officer proves of a partial D_i.
    pub fn partial_equality<'a>(
        &'a self,
        share: &'a PublicKey,
        point: &'a PublicKey,
    ) -> Equality<'a> {
        Equality {
            first: (generator(), share),
            second: (&self.wrap.ephemeral, point),
        }
    }
}

/// Why a partial is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartialError {
    /// The key has no share of this index.
    #[error("the emergency key has no officer {index}")]
    NoOfficer {
        /// The index claimed.
        index: u8,
    },
    /// The partial does not come from the officer's share, or is for another wrap: the officer is to blame.
    #[error("the partial of officer {index} ({officer}) is not valid for this record")]
    Proof {
        /// Her index.
        index: u8,
        /// Her staff key.
        officer: PublicKey,
    },
}

/// One officer's part in opening one wrap, as it travels: nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyPartial {
    /// i, from 1.
    pub index: u8,
    /// D_i.
    pub point: PublicKey,
    /// That log_G S_i = log_R D_i.
    pub proof: DleqProof,
}

impl EmergencyPartial {
    /// Checks that the officer of this index made it from her share for this wrap.
    ///
    /// # Errors
    /// [`PartialError`] names the officer.
    pub fn verify(
        &self,
        key: &CheckedEmergencyKey,
        wrap: &VerifiedWrap,
    ) -> Result<VerifiedPartial, PartialError> {
        let index = self.index;
        let officer = key
            .officer(index)
            .ok_or(PartialError::NoOfficer { index })?;
        let equality = wrap.partial_equality(&officer.share, &self.point);
        let (domain, context) = (domain::EMERGENCY_PARTIAL_PROOF, wrap.id().as_bytes());
        if key.id() != *wrap.key_id() || self.proof.verify(domain, &[context], &equality).is_err() {
            let officer = officer.staff;
            return Err(PartialError::Proof { index, officer });
        }
        Ok(VerifiedPartial {
            index,
            point: self.point,
            wrap: *wrap.id(),
        })
    }
}

/// A partial that was checked: t of them, of different officers, open the wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPartial {
    index: u8,
    point: PublicKey,
    wrap: Hash,
}

impl VerifiedPartial {
    /// The officer's index, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// D_i.
    pub fn point(&self) -> &PublicKey {
        &self.point
    }

    /// Identifier of the wrap that it is for.
    pub fn wrap(&self) -> &Hash {
        &self.wrap
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
