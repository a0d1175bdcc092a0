//! What patient, proxy and data user must compute alike about a grant.

use caduceus_crypto::{Hash, domain, encode, hash};

/// The hash that a grant carries instead of its purpose; the salt travels with the fragments, so that the
/// chain's readers can't guess the purpose from a short list.
pub fn purpose_commitment(salt: &[u8; 32], purpose: &str) -> Hash {
    hash(domain::PURPOSE_COMMITMENT, &[salt, purpose.as_bytes()])
}

/// What a proxy signs (`domain::FRAGMENT_RECEIPT`) when it keeps a fragment: grant, index and commitment.
pub fn fragment_receipt(grant: &Hash, index: u16, commitment: &Hash) -> Vec<u8> {
    encode(&(grant, index, commitment))
}
