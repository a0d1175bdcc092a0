//! One encoding a value (borsh), and a decoder that accepts nothing else.

use borsh::io::{Error, ErrorKind, Read};
use borsh::{BorshDeserialize, BorshSerialize};

/// Why bytes are not the encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than the caller's bound; nothing was read.
    #[error("{found} bytes, at most {limit} allowed")]
    TooLong {
        /// The bound in bytes.
        limit: usize,
        /// Bytes given.
        found: usize,
    },
    /// Not an encoding of the type, or bytes are left over.
    #[error("the bytes are malformed")]
    Malformed,
    /// Decodes, but the encoder would have written other bytes.
    #[error("the bytes are not the canonical encoding")]
    NotCanonical,
}

/// Decodes a value: length first, then all of the input, then re-encodes and compares.
///
/// `limit` bounds the input, hence (times a small constant) the memory that decoding takes.
///
/// # Errors
/// [`DecodeError`] says which of the three checks failed.
pub fn decode_exact<T: BorshDeserialize + BorshSerialize>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong {
            limit,
            found: bytes.len(),
        });
    }
    let mut rest = bytes;
    let value = T::deserialize(&mut rest).map_err(|_| DecodeError::Malformed)?;
    if !rest.is_empty() {
        return Err(DecodeError::Malformed);
    }
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Encodes a value.
///
/// # Panics
/// When a collection has more than 2^32 elements, which no type here can hold in practice.
pub fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to memory fails only for a collection over 2^32 elements")
}

/// Reads a length-prefixed byte string, refusing the length before it allocates.
pub(crate) fn read_bounded<R: Read>(reader: &mut R, limit: usize) -> borsh::io::Result<Vec<u8>> {
    let len = u32::deserialize_reader(reader)? as usize;
    if len > limit {
        return Err(invalid("byte string over its bound"));
    }
    let mut bytes = vec![0u8; len];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The error of a validating decoder.
pub(crate) fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Sample = (u8, Vec<u16>, Option<Vec<u8>>, bool);

    #[test]
    fn length_is_checked_first() {
        let bytes = [0xffu8; 9];
        assert_eq!(
            decode_exact::<Vec<u64>>(&bytes, 8),
            Err(DecodeError::TooLong { limit: 8, found: 9 })
        );
        assert_eq!(
            decode_exact::<Vec<u64>>(&bytes, 9),
            Err(DecodeError::Malformed)
        );
    }

    /// A decoder that forgives: it ignores the high bit.
    #[derive(Debug, PartialEq)]
    struct Forgiving(u8);

    impl BorshSerialize for Forgiving {
        fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
            self.0.serialize(writer)
        }
    }

    impl BorshDeserialize for Forgiving {
        fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
            Ok(Forgiving(u8::deserialize_reader(reader)? & 0x7f))
        }
    }

    #[test]
    fn a_forgiving_decoder_is_caught_by_re_encoding() {
        assert_eq!(decode_exact::<Forgiving>(&[0x01], 1), Ok(Forgiving(1)));
        assert_eq!(
            decode_exact::<Forgiving>(&[0x81], 1),
            Err(DecodeError::NotCanonical)
        );
    }

    #[test]
    fn bounded_strings_refuse_the_length_before_reading() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 1];
        assert!(read_bounded(&mut &bytes[..], 16).is_err());
        let bytes = [2, 0, 0, 0, 7, 8, 9];
        assert_eq!(read_bounded(&mut &bytes[..], 2).unwrap(), vec![7, 8]);
        let bytes = [2, 0, 0, 0, 7];
        assert!(read_bounded(&mut &bytes[..], 2).is_err());
    }

    proptest! {
        #[test]
        fn round_trip_and_any_trailing_byte_refused(
            a in any::<u8>(),
            b in prop::collection::vec(any::<u16>(), 0..20),
            c in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            d in any::<bool>(),
            extra in any::<u8>(),
        ) {
            let value: Sample = (a, b, c, d);
            let mut bytes = encode(&value);
            prop_assert_eq!(decode_exact::<Sample>(&bytes, bytes.len()).unwrap(), value);
            bytes.push(extra);
            prop_assert_eq!(decode_exact::<Sample>(&bytes, bytes.len()), Err(DecodeError::Malformed));
            bytes.truncate(bytes.len() - 2);
            prop_assert!(decode_exact::<Sample>(&bytes, bytes.len()).is_err());
        }

        #[test]
        fn what_decodes_re_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = decode_exact::<Sample>(&bytes, 64) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }
}
