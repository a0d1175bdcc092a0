//! What is inside of a sealed record: a small frame, the compressed payload, zeros (DESIGN 3.3).
//!
//! Layout: length of the frame (u32, little-endian) | frame (borsh) | payload (one zstd frame) | zeros up
//! to Padme's size, at least 16 KiB. The frame holds the payload's two lengths, so that the padding's
//! beginning is known and checked.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{DecodeError, decode_exact, encode};
use caduceus_crypto::evidence::VisitOpening;
use caduceus_crypto::record::padme;
use thiserror::Error;
use zeroize::Zeroizing;

/// Further named values that travel inside of a record, e.g. the doctor's own index terms.
pub type Fields = BTreeMap<String, Vec<u8>>;

/// Largest frame in bytes: the media type, the visit's opening and all fields.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Longest media type in bytes.
pub const MAX_MEDIA_TYPE_BYTES: usize = 127;

/// Largest plaintext that is sealed, and how far a record is decompressed unless the caller says
/// otherwise: 256 MiB.
pub const MAX_PLAINTEXT_BYTES: u64 = 256 * 1024 * 1024;

const LENGTH_BYTES: usize = 4;

/// zstd's own default: FHIR JSON shrinks to a tenth, and what doesn't shrink costs little.
const ZSTD_LEVEL: i32 = 3;

/// Why a plaintext can't be framed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The plaintext is larger than patients' programs decompress.
    #[error("the plaintext has {found} bytes, at most {limit} are allowed")]
    PlaintextTooLarge {
        /// Bytes allowed.
        limit: u64,
        /// Bytes given.
        found: u64,
    },
    /// A media type is 1 to 127 printable ASCII characters with a slash among them.
    #[error("the media type is malformed")]
    MediaType,
    /// Media type, visit opening and fields together are too large.
    #[error("the record's frame has {found} bytes, at most {limit} are allowed")]
    FrameTooLarge {
        /// Bytes allowed.
        limit: usize,
        /// Bytes needed.
        found: usize,
    },
    /// The compressor gave up, for want of memory.
    #[error("the plaintext could not be compressed")]
    Compression,
}

/// Why a body that authenticates still isn't a record: its author made it wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnframeError {
    /// The frame's length points outside of the body, or is above [`MAX_FRAME_BYTES`].
    #[error("the record's frame has an impossible length")]
    FrameLength,
    /// The frame doesn't decode.
    #[error("the record's frame is malformed")]
    Frame(#[source] DecodeError),
    /// The media type is malformed.
    #[error("the record's media type is malformed")]
    MediaType,
    /// The payload's length points outside of the body.
    #[error("the record's payload has an impossible length")]
    PayloadLength,
    /// What follows the payload isn't the padding that its length demands.
    #[error("the record's padding is not what its content demands")]
    Padding,
    /// The plaintext is larger than the caller takes.
    #[error("the record holds {found} bytes, at most {limit} are taken")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
        /// Bytes claimed.
        found: u64,
    },
    /// The payload isn't zstd, or decompresses to another length than claimed.
    #[error("the record's payload does not decompress to its claimed length")]
    Payload,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Frame {
    media_type: String,
    true_len: u64,
    packed_len: u64,
    visit: Option<VisitOpening>,
    fields: Fields,
}

/// What comes out of a body.
pub(crate) struct Unframed {
    pub(crate) media_type: String,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) visit: Option<VisitOpening>,
    pub(crate) fields: Fields,
}

/// Frames, compresses and pads a plaintext.
pub(crate) fn frame(
    media_type: &str,
    plaintext: &[u8],
    visit: Option<VisitOpening>,
    fields: Fields,
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let true_len = length_u64(plaintext);
    if true_len > MAX_PLAINTEXT_BYTES {
        return Err(FrameError::PlaintextTooLarge {
            limit: MAX_PLAINTEXT_BYTES,
            found: true_len,
        });
    }
    if !is_media_type(media_type) {
        return Err(FrameError::MediaType);
    }
    let packed = zstd::bulk::compress(plaintext, ZSTD_LEVEL)
        .map(Zeroizing::new)
        .map_err(|_| FrameError::Compression)?;
    let head = Zeroizing::new(encode(&Frame {
        media_type: media_type.to_owned(),
        true_len,
        packed_len: length_u64(&packed),
        visit,
        fields,
    }));
    if head.len() > MAX_FRAME_BYTES {
        return Err(FrameError::FrameTooLarge {
            limit: MAX_FRAME_BYTES,
            found: head.len(),
        });
    }
    let head_len = u32::try_from(head.len()).expect("a frame is at most 64 KiB");
    let content_len = LENGTH_BYTES + head.len() + packed.len();
    let mut padded: Zeroizing<Vec<u8>> =
        Zeroizing::new(Vec::with_capacity(padded_len(content_len)));
    padded.extend_from_slice(&head_len.to_le_bytes());
    padded.extend_from_slice(&head);
    padded.extend_from_slice(&packed);
    padded.resize(padded_len(content_len), 0);
    Ok(padded)
}

/// Undoes [`frame`], and takes nothing that it wouldn't have made but for other zstd encoders' output.
pub(crate) fn unframe(padded: &[u8], limit: u64) -> Result<Unframed, UnframeError> {
    let (head_len, rest) = padded
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(UnframeError::FrameLength)?;
    let head_len =
        usize::try_from(u32::from_le_bytes(*head_len)).map_err(|_| UnframeError::FrameLength)?;
    if head_len > MAX_FRAME_BYTES || head_len > rest.len() {
        return Err(UnframeError::FrameLength);
    }
    let (head, rest) = rest.split_at(head_len);
    let head: Frame = decode_exact(head, MAX_FRAME_BYTES).map_err(UnframeError::Frame)?;
    if !is_media_type(&head.media_type) {
        return Err(UnframeError::MediaType);
    }
    let packed_len = usize::try_from(head.packed_len)
        .ok()
        .filter(|length| *length <= rest.len())
        .ok_or(UnframeError::PayloadLength)?;
    let (packed, zeros) = rest.split_at(packed_len);
    let content_len = LENGTH_BYTES + head_len + packed_len;
    if padded.len() != padded_len(content_len) || zeros.iter().any(|byte| *byte != 0) {
        return Err(UnframeError::Padding);
    }
    if head.true_len > limit {
        return Err(UnframeError::TooLarge {
            limit,
            found: head.true_len,
        });
    }
    // The claim bounds the output: a payload that holds more fails instead of growing.
    let capacity = usize::try_from(head.true_len).map_err(|_| UnframeError::Payload)?;
    let plaintext = zstd::bulk::decompress(packed, capacity).map_err(|_| UnframeError::Payload)?;
    if plaintext.len() != capacity {
        return Err(UnframeError::Payload);
    }
    Ok(Unframed {
        media_type: head.media_type,
        plaintext,
        visit: head.visit,
        fields: head.fields,
    })
}

fn padded_len(content_len: usize) -> usize {
    let padded = padme(u64::try_from(content_len).expect("a length in memory fits 64 bits"));
    usize::try_from(padded).expect("content is in memory, and padding adds at most 12 %")
}

fn length_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits 64 bits")
}

/// Printable: it is shown on terminals, and the author is not trusted.
fn is_media_type(text: &str) -> bool {
    (1..=MAX_MEDIA_TYPE_BYTES).contains(&text.len())
        && text.contains('/')
        && text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::record::MIN_PADDED;
    use proptest::prelude::*;

    const JSON: &str = "application/fhir+json";

    fn fields() -> Fields {
        Fields::from([("terms".to_owned(), b"term:migraine".to_vec())])
    }

    proptest! {
        #[test]
        fn frames_round_trip(plaintext in proptest::collection::vec(any::<u8>(), 0..40_000)) {
            let padded = frame(JSON, &plaintext, None, fields()).unwrap();
            prop_assert!(padded.len() >= MIN_PADDED);
            let opened = unframe(&padded, MAX_PLAINTEXT_BYTES).unwrap();
            prop_assert_eq!(opened.plaintext, plaintext);
            prop_assert_eq!(opened.media_type, JSON);
            prop_assert_eq!(opened.fields, fields());
            prop_assert!(opened.visit.is_none());
        }
    }

    #[test]
    fn the_padded_length_hides_small_differences() {
        let lengths: Vec<usize> = [0usize, 1, 100, 5_000]
            .iter()
            .map(|n| {
                frame(JSON, &vec![b'x'; *n], None, Fields::new())
                    .unwrap()
                    .len()
            })
            .collect();
        assert_eq!(lengths, vec![MIN_PADDED; 4]);
    }

    #[test]
    fn malformed_requests_are_refused() {
        let long = "a/".repeat(64);
        for media in [
            "",
            "json",
            "text/\u{1b}[2J",
            "text/pl\u{e4}in",
            long.as_str(),
        ] {
            let error = frame(media, b"", None, Fields::new()).unwrap_err();
            assert_eq!(error, FrameError::MediaType, "{media:?}");
        }
        let large = Fields::from([("x".to_owned(), vec![0; MAX_FRAME_BYTES])]);
        assert!(matches!(
            frame(JSON, b"", None, large).unwrap_err(),
            FrameError::FrameTooLarge {
                limit: MAX_FRAME_BYTES,
                ..
            }
        ));
    }

    /// Builds a body by hand, as a hostile author would.
    fn body(head: &Frame, packed: &[u8], padded: usize) -> Vec<u8> {
        let head = encode(head);
        let mut out = u32::try_from(head.len()).unwrap().to_le_bytes().to_vec();
        out.extend_from_slice(&head);
        out.extend_from_slice(packed);
        out.resize(padded, 0);
        out
    }

    fn head(true_len: u64, packed_len: u64) -> Frame {
        Frame {
            media_type: JSON.to_owned(),
            true_len,
            packed_len,
            visit: None,
            fields: Fields::new(),
        }
    }

    fn error_of(bytes: &[u8]) -> UnframeError {
        unframe(bytes, MAX_PLAINTEXT_BYTES).err().unwrap()
    }

    #[test]
    fn a_hostile_author_gets_typed_errors() {
        let packed = zstd::bulk::compress(&[7u8; 1000], 3).unwrap();
        let n = length_u64(&packed);
        assert!(unframe(&body(&head(1000, n), &packed, MIN_PADDED), 1000).is_ok());
        assert_eq!(
            unframe(&body(&head(1000, n), &packed, MIN_PADDED), 999)
                .err()
                .unwrap(),
            UnframeError::TooLarge {
                limit: 999,
                found: 1000
            }
        );
        for claimed in [0, 999, 1001] {
            let bytes = body(&head(claimed, n), &packed, MIN_PADDED);
            assert_eq!(error_of(&bytes), UnframeError::Payload, "{claimed}");
        }
        let beyond = body(&head(1000, 1 << 40), &packed, MIN_PADDED);
        assert_eq!(error_of(&beyond), UnframeError::PayloadLength);
        let longer = body(&head(1000, n), &packed, MIN_PADDED * 2);
        assert_eq!(error_of(&longer), UnframeError::Padding);
        let mut dirty = body(&head(1000, n), &packed, MIN_PADDED);
        dirty[MIN_PADDED - 1] = 1;
        assert_eq!(error_of(&dirty), UnframeError::Padding);
        let garbage = body(&head(1000, 4), b"\0\0\0\0", MIN_PADDED);
        assert_eq!(error_of(&garbage), UnframeError::Payload);
        let mut length = body(&head(1000, n), &packed, MIN_PADDED);
        length[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(error_of(&length), UnframeError::FrameLength);
        length[..4].copy_from_slice(&1u32.to_le_bytes());
        assert!(matches!(error_of(&length), UnframeError::Frame(_)));
        assert_eq!(error_of(&[]), UnframeError::FrameLength);
        let escape = Frame {
            media_type: "text/\u{1b}".to_owned(),
            ..head(1000, n)
        };
        assert_eq!(
            error_of(&body(&escape, &packed, MIN_PADDED)),
            UnframeError::MediaType
        );
    }

    /// A few thousand bytes that hold 64 MiB: refused before they grow.
    #[test]
    fn a_decompression_bomb_is_refused() {
        let packed = zstd::bulk::compress(&vec![0u8; 64 << 20], 3).unwrap();
        assert!(packed.len() < 16_000);
        let n = length_u64(&packed);
        let honest = body(&head(64 << 20, n), &packed, MIN_PADDED);
        assert_eq!(
            unframe(&honest, 1 << 20).err().unwrap(),
            UnframeError::TooLarge {
                limit: 1 << 20,
                found: 64 << 20
            }
        );
        let lying = body(&head(1000, n), &packed, MIN_PADDED);
        assert_eq!(error_of(&lying), UnframeError::Payload);
    }
}
