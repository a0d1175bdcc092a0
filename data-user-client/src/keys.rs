//! A data user's two keys, both from one seed.

use std::fmt;

use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey};

/// The keys of a data user: one signs requests and tickets, the other opens what proxies re-encrypt. They must
/// be two keys: t proxies and the receiving secret reveal a record's delegating key, which concerns no signature.
#[derive(Clone)]
pub struct DataUserKeys {
    signing: SecretKey,
    receiving: SecretKey,
}

impl DataUserKeys {
    /// Derives both keys from a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            signing: SecretKey::derive(domain::DATA_USER_SIGNING_KEY, seed, &[]),
            receiving: SecretKey::derive(domain::RECEIVING_KEY, seed, &[]),
        }
    }

    /// Takes two keys that exist already.
    #[must_use]
    pub fn new(signing: SecretKey, receiving: SecretKey) -> Self {
        Self { signing, receiving }
    }

    /// The account key: requests and tickets are signed with it.
    #[must_use]
    pub fn signing(&self) -> &SecretKey {
        &self.signing
    }

    /// The Umbral receiving key.
    #[must_use]
    pub fn receiving(&self) -> &SecretKey {
        &self.receiving
    }

    /// Public signing key: who a data user is.
    #[must_use]
    pub fn id(&self) -> PublicKey {
        self.signing.public()
    }

    /// Public receiving key.
    #[must_use]
    pub fn receiving_public(&self) -> PublicKey {
        self.receiving.public()
    }
}

impl fmt::Debug for DataUserKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataUserKeys({}, redacted)", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_two_keys_and_always_the_same() {
        let (one, again) = (
            DataUserKeys::from_seed(&[1; 32]),
            DataUserKeys::from_seed(&[1; 32]),
        );
        assert_eq!(
            (one.id(), one.receiving_public()),
            (again.id(), again.receiving_public())
        );
        assert_ne!(one.id(), one.receiving_public());
        assert_ne!(one.id(), DataUserKeys::from_seed(&[2; 32]).id());
    }
}
