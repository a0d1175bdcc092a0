//! What a hospital's chain starts from, besides its validators: who enrols staff and who signs for the server.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::keys::{HospitalId, PublicKey};

/// Longest hospital name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 128;
/// Largest encoded [`PrivateGenesis`].
pub const MAX_GENESIS_BYTES: usize = 1024;

/// The chain's own part of the genesis; its borsh is `caduceus_ledger::Genesis::app`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PrivateGenesis {
    /// The hospital: the hash of `identity`.
    pub hospital: HospitalId,
    /// Name for people, 1 to [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// Identity key: the only one that enrols and suspends staff.
    pub identity: PublicKey,
    /// Server key: signs audit entries and vault receipts.
    pub server: PublicKey,
    /// Index scheme of every record: that of the whole network.
    pub scheme: SchemeId,
}

/// Why bytes are not a private chain's genesis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Not the borsh of a [`PrivateGenesis`].
    #[error("the private genesis does not decode: {0}")]
    Decode(#[source] DecodeError),
    /// The hospital identifier is not the hash of the identity key.
    #[error("hospital {found} is not the one of its identity key, {expected}")]
    Hospital {
        /// What the identity key gives.
        expected: HospitalId,
        /// What the genesis says.
        found: HospitalId,
    },
    /// The name is empty or too long.
    #[error("a hospital name of {found} bytes, 1 to {limit} allowed")]
    Name {
        /// Largest length.
        limit: usize,
        /// Length found.
        found: usize,
    },
    /// One key for both duties: a stolen server could then enrol staff.
    #[error("identity and server must be two keys")]
    OneKey,
}

impl PrivateGenesis {
    /// A genesis whose hospital identifier follows from the identity key, with index scheme `tags`.
    ///
    /// # Errors
    /// [`GenesisError`] names the rule broken.
    pub fn new(name: String, identity: PublicKey, server: PublicKey) -> Result<Self, GenesisError> {
        let genesis = Self {
            hospital: HospitalId::from_identity(&identity),
            name,
            identity,
            server,
            scheme: SchemeId::Tags,
        };
        genesis.check()?;
        Ok(genesis)
    }

    /// The same chain with another index scheme.
    #[must_use]
    pub fn with_scheme(self, scheme: SchemeId) -> Self {
        Self { scheme, ..self }
    }

    /// Reads and checks `caduceus_ledger::Genesis::app`.
    ///
    /// # Errors
    /// [`GenesisError`] names the rule broken.
    pub fn decode(app: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Self =
            codec::decode_exact(app, MAX_GENESIS_BYTES).map_err(GenesisError::Decode)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The bytes for `caduceus_ledger::Genesis::app`.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn check(&self) -> Result<(), GenesisError> {
        let expected = HospitalId::from_identity(&self.identity);
        if self.hospital != expected {
            return Err(GenesisError::Hospital {
                expected,
                found: self.hospital,
            });
        }
        let found = self.name.len();
        if found == 0 || found > MAX_NAME_BYTES {
            return Err(GenesisError::Name {
                limit: MAX_NAME_BYTES,
                found,
            });
        }
        if self.identity == self.server {
            return Err(GenesisError::OneKey);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::secret;

    #[test]
    fn decodes_what_it_encodes() {
        let genesis =
            PrivateGenesis::new("St Mary".into(), secret(1).public(), secret(2).public()).unwrap();
        assert_eq!(genesis.scheme, SchemeId::Tags);
        for scheme in SchemeId::ALL {
            let genesis = genesis.clone().with_scheme(scheme);
            assert_eq!(genesis.scheme, scheme);
            assert_eq!(PrivateGenesis::decode(&genesis.encode()).unwrap(), genesis);
        }
    }

    #[test]
    fn refuses_each_broken_rule() {
        let good =
            PrivateGenesis::new("St Mary".into(), secret(1).public(), secret(2).public()).unwrap();
        let hospital = HospitalId::from_identity(&secret(3).public());
        let foreign = PrivateGenesis {
            hospital,
            ..good.clone()
        };
        assert!(matches!(
            PrivateGenesis::decode(&foreign.encode()),
            Err(GenesisError::Hospital { .. })
        ));
        let nameless = PrivateGenesis {
            name: String::new(),
            ..good.clone()
        };
        assert!(matches!(
            PrivateGenesis::decode(&nameless.encode()),
            Err(GenesisError::Name { .. })
        ));
        let one_key = PrivateGenesis {
            server: good.identity,
            ..good.clone()
        };
        assert!(matches!(
            PrivateGenesis::decode(&one_key.encode()),
            Err(GenesisError::OneKey)
        ));
        let mut schemeless = good.encode();
        schemeless.pop();
        let mut unknown = schemeless.clone();
        unknown.push(0xff);
        for bytes in [schemeless, unknown] {
            assert!(matches!(
                PrivateGenesis::decode(&bytes),
                Err(GenesisError::Decode(_))
            ));
        }
        let mut long = good.encode();
        long.push(0);
        assert!(matches!(
            PrivateGenesis::decode(&long),
            Err(GenesisError::Decode(_))
        ));
    }
}
