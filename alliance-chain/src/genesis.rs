//! What the alliance starts from, besides its validators: members, proxies and parameters.

mod credits;

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::index::{MAX_HITS, MAX_LEAVES, SchemeId};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::Epoch;
use caduceus_ledger::{Address, ChainId, ValidatorSet};
use std::collections::BTreeSet;

pub use credits::{CreditPolicy, MAX_OPERATORS, Operator, OperatorsError, check_operators};

/// Longest name of a member, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 128;
/// Most members at once.
pub const MAX_MEMBERS: usize = 128;
/// Most proxies at once: a threshold fits a byte.
pub const MAX_PROXIES: usize = 64;
/// Largest encoded [`AllianceGenesis`].
pub const MAX_GENESIS_BYTES: usize = 2 * 1024 * 1024;

/// A hospital of the alliance.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Member {
    /// Identifier for ever: the hash of the identity key with which the hospital was admitted.
    pub hospital: HospitalId,
    /// Name for people, 1 to [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// Identity key: votes in governance, vouches for data users, names token keys.
    pub identity: PublicKey,
    /// Server key: reports, and serves records.
    pub server: PublicKey,
    /// The hospital's private chain.
    pub private_chain: ChainId,
    /// Who certifies the next block of that chain.
    pub private_validators: ValidatorSet,
}

/// A re-encryption proxy: a part of an alliance node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProxyInfo {
    /// The node's service key: signs acceptances of fragments and disclosures.
    pub key: PublicKey,
    /// The validator it runs beside.
    pub validator: Address,
}

/// Bounds that every node applies alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Params {
    /// First day that a search may cover.
    pub first_epoch: Epoch,
    /// How every hospital indexes its records and every search is made; fixed for the life of the chain.
    pub scheme: SchemeId,
    /// Most hits of one search, 1 to [`MAX_HITS`].
    pub max_hits: u32,
    /// Most probes of one search, at least 1: tags looked up, or index entries tested where the scheme scans.
    pub max_probes: u64,
    /// Most leaves and probes of all searches of one block; the largest search must fit.
    pub block_budget: u64,
    /// Most accounts that one member vouches for in a day.
    pub accounts_per_day: u32,
    /// Most requests that one data user posts in a day.
    pub requests_per_day: u32,
    /// Most searches in a day under tokens of one member's issue: a member that hands out tokens without
    /// measure takes nothing from the others.
    pub searches_per_day: u32,
    /// Prices of the service credits; the members may change them.
    pub credits: CreditPolicy,
}

impl Params {
    /// The values of DESIGN 3.4 for epoch tags: 4,096 hits a search, 524,288 leaves and probes a block.
    pub fn standard(first_epoch: Epoch) -> Self {
        Self {
            first_epoch,
            scheme: SchemeId::Tags,
            max_hits: 4096,
            max_probes: 131_072,
            block_budget: 524_288,
            accounts_per_day: 256,
            requests_per_day: 256,
            searches_per_day: 65_536,
            credits: CreditPolicy::standard(),
        }
    }

    /// The values for a scheme. A probe of a scan is a pairing, 0.6 ms on one core, and every validator runs every
    /// search before it votes: so there a search gets 8,192 probes, about five seconds, and a block holds one such
    /// search. The baselines are for small networks.
    pub fn of_scheme(scheme: SchemeId, first_epoch: Epoch) -> Self {
        let standard = Self::standard(first_epoch);
        match scheme {
            SchemeId::Tags => standard,
            SchemeId::Peks | SchemeId::Paeks => Self {
                scheme,
                max_probes: 8_192,
                block_budget: 8_192,
                ..standard
            },
        }
    }

    /// What the largest search may take of a block's budget: its probes, and its leaves where the scheme has any.
    pub fn largest_search(&self) -> u64 {
        let leaves = match self.scheme {
            SchemeId::Tags => MAX_LEAVES,
            SchemeId::Peks | SchemeId::Paeks => 0,
        };
        self.max_probes.saturating_add(leaves)
    }
}

/// The chain's own part of the genesis; its borsh is `caduceus_ledger::Genesis::app`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AllianceGenesis {
    /// The founding hospitals, 1 to [`MAX_MEMBERS`].
    pub members: Vec<Member>,
    /// The re-encryption proxies, at most [`MAX_PROXIES`].
    pub proxies: Vec<ProxyInfo>,
    /// Who runs which validator, at most [`MAX_OPERATORS`].
    pub operators: Vec<Operator>,
    /// Bounds.
    pub params: Params,
}

/// Why a hospital can't be a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The identifier is not the hash of the identity key.
    #[error("hospital {found} is not the one of its identity key, {expected}")]
    Hospital {
        /// What the identity key gives.
        expected: HospitalId,
        /// What was found.
        found: HospitalId,
    },
    /// The name is empty or too long.
    #[error("a member name of {found} bytes, 1 to {limit} allowed")]
    Name {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// One key for both duties.
    #[error("identity and server must be two keys")]
    OneKey,
}

impl Member {
    /// Checks what needs no state.
    ///
    /// # Errors
    /// [`MemberError`] names the rule broken.
    pub fn check(&self) -> Result<(), MemberError> {
        let expected = HospitalId::from_identity(&self.identity);
        if self.hospital != expected {
            return Err(MemberError::Hospital {
                expected,
                found: self.hospital,
            });
        }
        let found = self.name.len();
        if found == 0 || found > MAX_NAME_BYTES {
            return Err(MemberError::Name {
                limit: MAX_NAME_BYTES,
                found,
            });
        }
        if self.identity == self.server {
            return Err(MemberError::OneKey);
        }
        Ok(())
    }
}

/// Why bytes are not an alliance's genesis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Not the borsh of an [`AllianceGenesis`].
    #[error("the alliance genesis does not decode: {0}")]
    Decode(#[source] DecodeError),
    /// No member, or too many.
    #[error("{found} members, 1 to {limit} allowed")]
    MemberCount {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// A member that breaks a rule.
    #[error("member {index}: {source}")]
    Member {
        /// Position in the list.
        index: usize,
        /// The rule.
        source: MemberError,
    },
    /// Two members share a hospital or a private chain.
    #[error("member {index} repeats a hospital or a private chain")]
    MemberRepeated {
        /// Position of the second one.
        index: usize,
    },
    /// Too many proxies, or one twice.
    #[error("the proxies: {0}")]
    Proxies(#[source] ProxiesError),
    /// Too many operators, one validator twice, or one run by no member.
    #[error("the operators: {0}")]
    Operators(#[source] OperatorsError),
    /// Bounds under which some admissible search could never run, or its result would be too large.
    #[error(
        "max_hits must be 1 to {}, max_probes positive, block_budget at least max_probes, and {} more for tags",
        MAX_HITS,
        MAX_LEAVES
    )]
    Params,
}

/// Why a list of proxies is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxiesError {
    /// Too many.
    #[error("{found} proxies, at most {limit}")]
    Count {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// One key twice.
    #[error("proxy {key} appears twice")]
    Repeated {
        /// The key.
        key: PublicKey,
    },
}

/// Checks a list of proxies.
///
/// # Errors
/// [`ProxiesError`] names the rule broken.
pub fn check_proxies(proxies: &[ProxyInfo]) -> Result<(), ProxiesError> {
    let found = proxies.len();
    if found > MAX_PROXIES {
        return Err(ProxiesError::Count {
            limit: MAX_PROXIES,
            found,
        });
    }
    let mut seen = BTreeSet::new();
    for proxy in proxies {
        if !seen.insert(proxy.key) {
            return Err(ProxiesError::Repeated { key: proxy.key });
        }
    }
    Ok(())
}

impl AllianceGenesis {
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

    /// Checks members, proxies and parameters.
    ///
    /// # Errors
    /// [`GenesisError`] names the rule broken.
    pub fn check(&self) -> Result<(), GenesisError> {
        let found = self.members.len();
        if found == 0 || found > MAX_MEMBERS {
            return Err(GenesisError::MemberCount {
                limit: MAX_MEMBERS,
                found,
            });
        }
        let mut hospitals = BTreeSet::new();
        let mut chains = BTreeSet::new();
        for (index, member) in self.members.iter().enumerate() {
            member
                .check()
                .map_err(|source| GenesisError::Member { index, source })?;
            if !hospitals.insert(member.hospital) || !chains.insert(member.private_chain) {
                return Err(GenesisError::MemberRepeated { index });
            }
        }
        check_proxies(&self.proxies).map_err(GenesisError::Proxies)?;
        check_operators(&self.operators, |hospital| hospitals.contains(hospital))
            .map_err(GenesisError::Operators)?;
        let params = &self.params;
        let hits_fit = params.max_hits > 0 && params.max_hits as usize <= MAX_HITS;
        let search_fits = params.block_budget >= params.largest_search();
        if !hits_fit || params.max_probes == 0 || !search_fits {
            return Err(GenesisError::Params);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing;

    fn good() -> AllianceGenesis {
        testing::alliance_genesis()
    }

    fn refused(genesis: &AllianceGenesis) -> GenesisError {
        AllianceGenesis::decode(&genesis.encode()).unwrap_err()
    }

    #[test]
    fn decodes_what_it_encodes() {
        assert_eq!(AllianceGenesis::decode(&good().encode()).unwrap(), good());
        let mut long = good().encode();
        long.push(0);
        assert!(matches!(
            AllianceGenesis::decode(&long),
            Err(GenesisError::Decode(_))
        ));
    }

    #[test]
    fn refuses_each_broken_rule_about_members() {
        let mut genesis = good();
        genesis.members.clear();
        assert!(matches!(
            refused(&genesis),
            GenesisError::MemberCount { .. }
        ));

        let mut genesis = good();
        genesis.members[1].hospital = genesis.members[0].hospital;
        let GenesisError::Member {
            index: 1,
            source: MemberError::Hospital { .. },
        } = refused(&genesis)
        else {
            panic!("a foreign identifier was accepted");
        };

        let mut genesis = good();
        genesis.members[0].name.clear();
        let GenesisError::Member {
            index: 0,
            source: MemberError::Name { .. },
        } = refused(&genesis)
        else {
            panic!("an empty name was accepted");
        };

        let mut genesis = good();
        genesis.members[0].server = genesis.members[0].identity;
        let GenesisError::Member {
            index: 0,
            source: MemberError::OneKey,
        } = refused(&genesis)
        else {
            panic!("one key for both duties was accepted");
        };

        let mut genesis = good();
        genesis.members[1].private_chain = genesis.members[0].private_chain;
        assert!(matches!(
            refused(&genesis),
            GenesisError::MemberRepeated { index: 1 }
        ));
    }

    #[test]
    fn refuses_each_broken_rule_about_proxies_and_parameters() {
        let mut genesis = good();
        genesis.proxies[1] = genesis.proxies[0];
        assert!(matches!(
            refused(&genesis),
            GenesisError::Proxies(ProxiesError::Repeated { .. })
        ));

        let mut genesis = good();
        genesis.proxies = vec![genesis.proxies[0]; MAX_PROXIES + 1];
        assert!(matches!(
            refused(&genesis),
            GenesisError::Proxies(ProxiesError::Count { .. })
        ));

        let mut genesis = good();
        genesis.operators[1].validator = genesis.operators[0].validator;
        assert!(matches!(
            refused(&genesis),
            GenesisError::Operators(OperatorsError::Repeated { .. })
        ));

        let mut genesis = good();
        genesis.operators[1].hospital = testing::hospital(9);
        assert!(matches!(
            refused(&genesis),
            GenesisError::Operators(OperatorsError::NotAMember { .. })
        ));

        let mut genesis = good();
        genesis.operators = vec![genesis.operators[0]; MAX_OPERATORS + 1];
        assert!(matches!(
            refused(&genesis),
            GenesisError::Operators(OperatorsError::Count { .. })
        ));

        let mut genesis = good();
        genesis.params.max_hits += 1;
        assert!(matches!(refused(&genesis), GenesisError::Params));
    }

    #[test]
    fn the_largest_search_must_fit_a_block() {
        let leaves = [
            (SchemeId::Tags, MAX_LEAVES),
            (SchemeId::Peks, 0),
            (SchemeId::Paeks, 0),
        ];
        for (scheme, leaves) in leaves {
            let mut genesis = good();
            genesis.params = Params::of_scheme(scheme, genesis.params.first_epoch);
            let least = genesis.params.max_probes + leaves;
            assert_eq!(genesis.params.largest_search(), least);
            genesis.params.block_budget = least;
            AllianceGenesis::decode(&genesis.encode()).unwrap();
            genesis.params.block_budget = least - 1;
            assert!(
                matches!(refused(&genesis), GenesisError::Params),
                "{scheme}"
            );
        }
    }

    #[test]
    fn every_scheme_has_parameters_of_its_own() {
        for scheme in SchemeId::ALL {
            let mut genesis = good();
            genesis.params = Params::of_scheme(scheme, genesis.params.first_epoch);
            let decoded = AllianceGenesis::decode(&genesis.encode()).unwrap();
            assert_eq!(decoded.params.scheme, scheme);
        }
        assert_eq!(
            Params::of_scheme(SchemeId::Tags, Epoch(1)),
            Params::standard(Epoch(1))
        );
        let scans = [SchemeId::Peks, SchemeId::Paeks];
        for params in scans.map(|scheme| Params::of_scheme(scheme, Epoch(1))) {
            assert_eq!((params.max_probes, params.block_budget), (8_192, 8_192));
        }
    }
}
