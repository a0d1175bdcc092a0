//! Proxy re-encryption as the proxies see it (DESIGN 3.6), over Umbral (`umbral-pre`).
//!
//! Umbral's values travel in its own serialization, MessagePack, in which each has one length and one layout.
//! Before Umbral sees any byte, the layout is checked here, because its decoder
//! - ignores trailing bytes and takes points in any SEC 1 form, so one value would have many encodings,
//! - takes the identity, on which its hashing panics,
//! - takes a second generator of the sender's choice, which makes a proxy's honest answer fail its proof,
//! - takes fragments that are not bound to the delegating or the receiving key.
//!
//! For the same reason a key fragment's second signature, which Umbral leaves to the data user, is checked too:
//! a proxy is blamed for its answers, so it takes nothing that would make an honest answer fail.
//!
//! # Security
//! Threshold many fragments with the grantee's secret give the delegating secret d, which opens its one record;
//! nothing else follows from it. A capsule fragment handed out never expires.

mod layout;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use rand_core::{CryptoRng, RngCore};
use umbral_pre::{
    Capsule, CapsuleFrag, CapsuleFragVerificationError, DefaultDeserialize, DefaultSerialize,
    KeyFrag, KeyFragVerificationError, Parameters, VerifiedCapsuleFrag, VerifiedKeyFrag,
};

use crate::codec::read_bounded;
use crate::domain;
use crate::hash::{Hash, hash};
use crate::keys::PublicKey;
use crate::reencrypt::layout::Layout;

/// Bytes of a serialized capsule.
pub const CAPSULE_BYTES: usize = Layout::CAPSULE.len();
/// Bytes of a serialized key fragment.
pub const KEY_FRAGMENT_BYTES: usize = Layout::KEY_FRAGMENT.len();
/// Bytes of a serialized capsule fragment.
pub const CAPSULE_FRAGMENT_BYTES: usize = Layout::CAPSULE_FRAGMENT.len();

/// Why bytes are not a capsule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapsuleError {
    /// Not the one encoding of three parts of a capsule.
    #[error("the capsule is malformed")]
    Malformed,
    /// E and V cancel out or coincide: the capsule holds no secret, and opening it would panic.
    #[error("the capsule's points are degenerate")]
    Degenerate,
    /// The capsule's own proof fails.
    #[error("the capsule's proof is not valid")]
    Proof,
}

/// Why a key fragment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// Not the one encoding of the parts of a key fragment, or not bound to both keys.
    #[error("the key fragment is malformed")]
    Malformed,
    /// Made with another second generator.
    #[error("the key fragment was made with foreign parameters")]
    ForeignParameters,
    /// The fragment does not match its commitment.
    #[error("the key fragment does not match its commitment")]
    Commitment,
    /// The signer did not sign it, or not for these keys.
    #[error("the key fragment's signature is not valid for these keys")]
    Signature,
}

/// Why a capsule fragment is refused: the proxy that sent it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapsuleFragmentError {
    /// Not the one encoding of the parts of a capsule fragment.
    #[error("the capsule fragment is malformed")]
    Malformed,
    /// The capsule itself.
    #[error("capsule: {0}")]
    Capsule(#[source] CapsuleError),
    /// Not made from a fragment that the signer signed for these keys.
    #[error("the capsule fragment comes from no key fragment for these keys")]
    Signature,
    /// The proof of re-encryption fails.
    #[error("the capsule fragment's proof is not valid")]
    Proof,
}

/// Reads a capsule and checks all that can be checked without a key.
///
/// # Errors
/// [`CapsuleError`].
pub fn parse_capsule(bytes: &[u8]) -> Result<Capsule, CapsuleError> {
    if !Layout::CAPSULE.matches(bytes) {
        return Err(CapsuleError::Malformed);
    }
    // The x coordinates of E and V. Equal ones mean V = E or V = -E.
    if bytes[4..36] == bytes[39..71] {
        return Err(CapsuleError::Degenerate);
    }
    // Umbral reports points off the curve and a failed proof alike; the former are malformed.
    if PublicKey::from_bytes(&bytes[3..36]).is_err()
        || PublicKey::from_bytes(&bytes[38..71]).is_err()
    {
        return Err(CapsuleError::Malformed);
    }
    let capsule = Capsule::from_bytes(bytes).map_err(|_| CapsuleError::Proof)?;
    if serialize(&capsule) != bytes {
        return Err(CapsuleError::Malformed);
    }
    Ok(capsule)
}

/// Checks that bytes are a capsule. It shows form, not that a record opens with it: the check involves no
/// delegating key.
///
/// # Errors
/// [`CapsuleError`].
pub fn check_capsule(bytes: &[u8]) -> Result<(), CapsuleError> {
    parse_capsule(bytes).map(|_| ())
}

/// Reads a capsule fragment, unverified.
///
/// # Errors
/// [`CapsuleFragmentError::Malformed`].
pub fn parse_capsule_fragment(bytes: &[u8]) -> Result<CapsuleFrag, CapsuleFragmentError> {
    if !Layout::CAPSULE_FRAGMENT.matches(bytes) {
        return Err(CapsuleFragmentError::Malformed);
    }
    let fragment = CapsuleFrag::from_bytes(bytes).map_err(|_| CapsuleFragmentError::Malformed)?;
    if serialize(&fragment) != bytes {
        return Err(CapsuleFragmentError::Malformed);
    }
    Ok(fragment)
}

/// Checks a proxy's answer, as a data user does before use and anybody can who judges a report.
///
/// # Errors
/// [`CapsuleFragmentError`].
pub fn verify_capsule_fragment(
    capsule: &[u8],
    fragment: &[u8],
    verifying: &PublicKey,
    delegating: &PublicKey,
    receiving: &PublicKey,
) -> Result<VerifiedCapsuleFrag, CapsuleFragmentError> {
    let capsule = parse_capsule(capsule).map_err(CapsuleFragmentError::Capsule)?;
    parse_capsule_fragment(fragment)?
        .verify(
            &capsule,
            &umbral_key(verifying),
            &umbral_key(delegating),
            &umbral_key(receiving),
        )
        .map_err(|(reason, _)| match reason {
            CapsuleFragVerificationError::IncorrectKeyFragSignature => {
                CapsuleFragmentError::Signature
            }
            CapsuleFragVerificationError::IncorrectReencryption => CapsuleFragmentError::Proof,
        })
}

/// A key in Umbral's own type.
pub fn umbral_key(key: &PublicKey) -> umbral_pre::PublicKey {
    umbral_pre::PublicKey::try_from_compressed_bytes(key.as_bytes())
        .expect("a public key is a point other than the identity, which is all that Umbral asks")
}

/// One of Umbral's values in the encoding that travels.
pub fn serialize<T: DefaultSerialize>(value: &T) -> Vec<u8> {
    value
        .to_bytes()
        .expect("Umbral's types always serialize")
        .into_vec()
}

/// A re-encryption key fragment as it travels: nothing is verified. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, BorshSerialize)]
pub struct KeyFragment(pub Vec<u8>);

impl KeyFragment {
    /// Checks that the signer made it for this delegating and this receiving key.
    ///
    /// # Errors
    /// [`FragmentError`].
    pub fn verify(
        &self,
        verifying: &PublicKey,
        delegating: &PublicKey,
        receiving: &PublicKey,
    ) -> Result<VerifiedFragment, FragmentError> {
        if !Layout::KEY_FRAGMENT.matches(&self.0) {
            return Err(FragmentError::Malformed);
        }
        if self.0[4..37] != second_generator()[..] {
            return Err(FragmentError::ForeignParameters);
        }
        let keys = [
            umbral_key(verifying),
            umbral_key(delegating),
            umbral_key(receiving),
        ];
        let fragment = verify_proxy_signature(&self.0, &keys)?;
        // Umbral leaves the second signature, the one for the receiver, to the data user, who would blame the
        // proxy for a bad one. With both keys signed in, both signatures cover the same message, so the second
        // can be checked in the place of the first.
        let mut swapped = self.0.clone();
        swapped.copy_within(RECEIVER_SIGNATURE, PROXY_SIGNATURE.start);
        verify_proxy_signature(&swapped, &keys)?;
        Ok(VerifiedFragment { fragment })
    }
}

/// Where a key fragment holds its signature for the proxy.
const PROXY_SIGNATURE: Range<usize> = 176..242;
/// Where a key fragment holds its signature for the receiver.
const RECEIVER_SIGNATURE: Range<usize> = 242..308;

/// Umbral's own check, after canonical decoding, for these verifying, delegating and receiving keys.
fn verify_proxy_signature(
    bytes: &[u8],
    [verifying, delegating, receiving]: &[umbral_pre::PublicKey; 3],
) -> Result<VerifiedKeyFrag, FragmentError> {
    let fragment = KeyFrag::from_bytes(bytes).map_err(|_| FragmentError::Malformed)?;
    if serialize(&fragment) != bytes {
        return Err(FragmentError::Malformed);
    }
    fragment
        .verify(verifying, Some(delegating), Some(receiving))
        .map_err(|(reason, _)| match reason {
            KeyFragVerificationError::IncorrectCommitment => FragmentError::Commitment,
            _ => FragmentError::Signature,
        })
}

impl fmt::Debug for KeyFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFragment(..)")
    }
}

impl BorshDeserialize for KeyFragment {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        read_bounded(reader, KEY_FRAGMENT_BYTES).map(KeyFragment)
    }
}

/// The compressed second generator u of Umbral's parameters.
fn second_generator() -> &'static [u8; 33] {
    static U: OnceLock<[u8; 33]> = OnceLock::new();
    U.get_or_init(|| {
        let (x, y) = Parameters::new()
            .u
            .coordinates()
            .expect("the second generator is not the identity");
        let mut bytes = [0u8; 33];
        bytes[0] = 2 + (y[31] & 1);
        bytes[1..].copy_from_slice(&x);
        bytes
    })
}

/// A key fragment that was checked: good for re-encryption between its two keys. `Debug` hides it.
#[derive(Clone, PartialEq)]
pub struct VerifiedFragment {
    fragment: VerifiedKeyFrag,
}

impl VerifiedFragment {
    /// The bytes of the [`KeyFragment`], for the proxy's own store.
    pub fn to_bytes(&self) -> Vec<u8> {
        serialize(&self.fragment)
    }
}

impl fmt::Debug for VerifiedFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedFragment(..)")
    }
}

/// Re-encrypts a capsule: the bytes of a capsule fragment with its proof.
///
/// # Errors
/// [`CapsuleError`]. That the capsule belongs to the fragment's delegating key is the caller's to know; if it
/// does not, the answer is useless to everybody.
pub fn reencrypt(
    capsule: &[u8],
    fragment: &VerifiedFragment,
    rng: &mut (impl CryptoRng + RngCore),
) -> Result<Vec<u8>, CapsuleError> {
    let capsule = parse_capsule(capsule)?;
    Ok(serialize(&umbral_pre::reencrypt_with_rng(
        rng,
        &capsule,
        fragment.fragment.clone(),
    )))
}

/// The salted commitment to a key fragment that a grant carries: a proxy keeps only what matches it.
pub fn fragment_commitment(salt: &[u8; 32], bytes: &[u8]) -> Hash {
    hash(domain::FRAGMENT_COMMITMENT, &[salt, bytes])
}

/// H(capsule, capsule fragment, access id): what a proxy signs, under [`domain::PROXY_DISCLOSURE`], with each
/// answer. A disclosure without a ledger entry, or a bad fragment, is then blamed on a key.
pub fn disclosure_payload(capsule: &[u8], fragment: &[u8], access_id: &Hash) -> Hash {
    hash(
        domain::DISCLOSURE_PAYLOAD,
        &[capsule, fragment, access_id.as_bytes()],
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
