//! The hexadecimal text form that hashes, keys and signatures share.

/// Why a text is not the hexadecimal form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HexError {
    /// Wrong number of characters.
    #[error("expected {expected} hexadecimal digits, found {found} characters")]
    Length {
        /// Digits that the type needs.
        expected: usize,
        /// Bytes of text found.
        found: usize,
    },
    /// A character that is not a hexadecimal digit.
    #[error("not a hexadecimal digit")]
    Digit,
    /// The bytes are not a value of the type, for example not a point of the curve.
    #[error("the bytes are not a valid value")]
    Value,
}

/// Reads exactly `N` bytes, either case.
pub(crate) fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    if text.len() != 2 * N {
        return Err(HexError::Length {
            expected: 2 * N,
            found: text.len(),
        });
    }
    let mut out = [0u8; N];
    hex::decode_to_slice(text, &mut out).map_err(|_| HexError::Digit)?;
    Ok(out)
}

/// Gives a type with `as_bytes()` its text form: `Display`, `Debug`, `FromStr`, and serde as a string.
macro_rules! impl_hex_text {
    ($type:ident, $len:expr, $make:expr) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&hex::encode(self.as_bytes()))
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($type), hex::encode(self.as_bytes()))
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::hex_text::HexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let make: fn([u8; $len]) -> Option<$type> = $make;
                let bytes: [u8; $len] = $crate::hex_text::decode(text)?;
                make(bytes).ok_or($crate::hex_text::HexError::Value)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.as_bytes()))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse::<$type>().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use impl_hex_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_cases_and_nothing_else() {
        assert_eq!(decode::<2>("aB01"), Ok([0xab, 0x01]));
        assert_eq!(
            decode::<2>("ab0"),
            Err(HexError::Length {
                expected: 4,
                found: 3
            })
        );
        assert_eq!(decode::<2>("ab0g"), Err(HexError::Digit));
        assert_eq!(decode::<2>("\u{e9}\u{e9}"), Err(HexError::Digit));
    }
}
