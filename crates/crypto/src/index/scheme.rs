//! The searchable encryption schemes that an index can be made with. One holds for a whole network.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An index scheme. On the wire one byte, as text its lower-case name.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum SchemeId {
    /// Epoch tags ([`crate::index`]): looked up, at a cost that follows the matches and the days.
    #[default]
    Tags = 0,
    /// Public key encryption with keyword search ([`crate::index::peks`]): scanned.
    Peks = 1,
    /// The same with authenticated authors ([`crate::index::paeks`]): scanned.
    Paeks = 2,
}

/// A text that names no index scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown index scheme {found:?}: tags, peks or paeks expected")]
pub struct UnknownScheme {
    /// The text found.
    pub found: String,
}

impl SchemeId {
    /// Every scheme, in the order of their bytes.
    pub const ALL: [SchemeId; 3] = [SchemeId::Tags, SchemeId::Peks, SchemeId::Paeks];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            SchemeId::Tags => "tags",
            SchemeId::Peks => "peks",
            SchemeId::Paeks => "paeks",
        }
    }
}

impl fmt::Display for SchemeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SchemeId {
    type Err = UnknownScheme;

    /// Reads exactly the name.
    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        SchemeId::ALL
            .into_iter()
            .find(|scheme| scheme.as_str() == text)
            .ok_or_else(|| UnknownScheme {
                found: text.to_owned(),
            })
    }
}

impl Serialize for SchemeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SchemeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse::<SchemeId>().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{decode_exact, encode};

    #[test]
    fn every_scheme_has_one_byte_and_one_name() {
        for (byte, scheme) in (0u8..).zip(SchemeId::ALL) {
            assert_eq!(encode(&scheme), [byte]);
            assert_eq!(decode_exact::<SchemeId>(&[byte], 1), Ok(scheme));
            assert_eq!(scheme.to_string().parse::<SchemeId>(), Ok(scheme));
            let json = serde_json::to_string(&scheme).unwrap();
            assert_eq!(json, format!("\"{scheme}\""));
            assert_eq!(serde_json::from_str::<SchemeId>(&json).unwrap(), scheme);
        }
        assert_eq!(SchemeId::default(), SchemeId::Tags);
    }

    #[test]
    fn other_bytes_and_names_are_refused() {
        for byte in 3..=u8::MAX {
            assert!(decode_exact::<SchemeId>(&[byte], 1).is_err(), "{byte}");
        }
        for name in ["", "Tags", "tags ", "pekS", "paek"] {
            let found = name.to_owned();
            assert_eq!(name.parse::<SchemeId>(), Err(UnknownScheme { found }));
            assert!(serde_json::from_str::<SchemeId>(&format!("\"{name}\"")).is_err());
        }
    }
}
