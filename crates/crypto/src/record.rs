//! The sealed record as everybody sees it (DESIGN 3.3). Sealing and opening are `caduceus-custody`'s.
//!
//! | field | bytes |
//! |---|---|
//! | header length | u32 little-endian |
//! | header | borsh of [`RecordHeader`]: [`HEADER_BYTES`] |
//! | wrap length | u32 little-endian |
//! | wrap | borsh of [`KeyWrap`] |
//! | emergency wrap length | u32 little-endian; with [`VERSION_EMERGENCY`] only |
//! | emergency wrap | borsh of [`EmergencyWrap`]: [`EMERGENCY_WRAP_BYTES`]; with [`VERSION_EMERGENCY`] only |
//! | segments | [`SEGMENT_BYTES`] + [`TAG_BYTES`] each, the last one shorter: padded length + a tag a segment |
//!
//! The record hash is the RFC 6962 root over the header bytes, the wrap bytes, the emergency wrap's bytes where there
//! is one, and each segment with its tag, so that a stream is verified as it arrives. The header's version, which the
//! segments authenticate, says whether there is an emergency wrap: none can be taken away or added.
//!
//! # Leakage
//! Hospital, pseudonym, day of anchoring and padded size are in the clear. Padme lets the size tell
//! O(log log n) bits, and nothing below 16 KiB. The version tells that a patient opted in to break-glass.

use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{DecodeError, decode_exact, encode, read_bounded};
use crate::domain;
use crate::emergency::{EMERGENCY_WRAP_BYTES, EmergencyWrap};
use crate::hash::{Hash, hash};
use crate::keys::{HospitalId, PublicKey};
use crate::merkle::RootBuilder;
use crate::pseudonym::Pseudonym;
use crate::time::Epoch;

/// Plaintext bytes of a segment.
pub const SEGMENT_BYTES: usize = 65_536;
/// Bytes that AES-256-GCM adds to a segment.
pub const TAG_BYTES: usize = 16;
/// Least padded length.
pub const MIN_PADDED: usize = 16_384;
/// Most bytes of a sealed record: 300 MiB.
pub const MAX_RECORD_BYTES: usize = 300 * 1024 * 1024;
/// Bytes of an encoded header.
pub const HEADER_BYTES: usize = 1 + 1 + 32 + (33 + 33 + 1) + 33 + 4 + 8;
/// Most bytes of an encoded key wrap.
pub const MAX_WRAP_BYTES: usize = 4 + MAX_CAPSULE_BYTES + 4 + MAX_WRAPPED_KEY_BYTES + 32;
/// Most bytes of a capsule (Umbral's take 105).
pub const MAX_CAPSULE_BYTES: usize = 128;
/// Most bytes of a wrapped key (Umbral's take 72: nonce, 32 bytes, tag).
pub const MAX_WRAPPED_KEY_BYTES: usize = 128;
/// The version of the layout without an emergency wrap.
pub const VERSION: u8 = 1;
/// The version of the layout with an emergency wrap.
pub const VERSION_EMERGENCY: u8 = 2;
/// The one suite: Umbral on secp256k1, AES-256-GCM in the STREAM construction, zstd, Padme.
pub const SUITE: u8 = 1;

/// What everybody may know of a record. Associated data of every segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RecordHeader {
    /// [`VERSION`], or [`VERSION_EMERGENCY`].
    pub version: u8,
    /// [`SUITE`].
    pub suite: u8,
    /// Where it was made.
    pub hospital: HospitalId,
    /// Whose it is.
    pub pseudonym: Pseudonym,
    /// D: the key under which the data key is wrapped, of this record alone.
    pub delegating: PublicKey,
    /// UTC day of sealing, which is that of its index tags.
    pub epoch: Epoch,
    /// Bytes of plaintext after compression and padding, in the form of [`padme`].
    pub padded_len: u64,
}

impl RecordHeader {
    /// The encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The header hash that the evidence names.
    pub fn hash(&self) -> Hash {
        header_hash(&self.to_bytes())
    }
}

fn header_hash(bytes: &[u8]) -> Hash {
    hash(domain::RECORD_HEADER, &[bytes])
}

/// The data key, wrapped for the owner and for those she delegates to, and the commitment to it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct KeyWrap {
    /// Umbral capsule; [`crate::reencrypt::check_capsule`] says whether it is one.
    pub capsule: Vec<u8>,
    /// Data key encrypted under the capsule's secret.
    pub wrapped_key: Vec<u8>,
    /// KDF of the data key and the header. AES-GCM commits to no key, so this is checked first.
    pub key_commitment: [u8; 32],
}

impl KeyWrap {
    /// The encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

impl BorshDeserialize for KeyWrap {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        Ok(KeyWrap {
            capsule: read_bounded(reader, MAX_CAPSULE_BYTES)?,
            wrapped_key: read_bounded(reader, MAX_WRAPPED_KEY_BYTES)?,
            key_commitment: <[u8; 32]>::deserialize_reader(reader)?,
        })
    }
}

/// Why bytes are not a sealed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Over [`MAX_RECORD_BYTES`].
    #[error("a record of {found} bytes, at most {limit} allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// Bytes found or announced.
        found: u64,
    },
    /// Ends inside the lengths, the header or the wrap.
    #[error("the record is truncated")]
    Truncated,
    /// The header does not decode.
    #[error("the record's header: {0}")]
    Header(#[source] DecodeError),
    /// A later program made it.
    #[error("record version {found} is not supported")]
    Version {
        /// The version found.
        found: u8,
    },
    /// An unknown suite.
    #[error("record suite {found} is not supported")]
    Suite {
        /// The suite found.
        found: u8,
    },
    /// A length that [`padme`] does not yield.
    #[error("a padded length of {found} bytes is not one that padding yields")]
    Padding {
        /// The length found.
        found: u64,
    },
    /// The key wrap does not decode.
    #[error("the record's key wrap: {0}")]
    Wrap(#[source] DecodeError),
    /// The emergency wrap does not decode.
    #[error("the record's emergency wrap: {0}")]
    EmergencyWrap(#[source] DecodeError),
    /// The segments are not as long as the header says.
    #[error("the record's segments have {found} bytes, its header says {expected}")]
    BodyLength {
        /// Bytes that the header implies.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
}

/// A sealed record in memory, with its parts located. Nothing is decrypted or authenticated.
#[derive(Clone, Debug)]
pub struct SealedView<'a> {
    /// The header.
    pub header: RecordHeader,
    /// The key wrap.
    pub wrap: KeyWrap,
    /// The second wrap of the data key, where the patient opted in.
    pub emergency: Option<EmergencyWrap>,
    header_bytes: &'a [u8],
    wrap_bytes: &'a [u8],
    emergency_bytes: &'a [u8],
    body: &'a [u8],
}

/// Another name of [`SealedView`].
pub type SealedRecord<'a> = SealedView<'a>;

/// Locates the parts of a sealed record. See [`SealedView::parse`].
///
/// # Errors
/// [`RecordError`].
pub fn parse(bytes: &[u8]) -> Result<SealedView<'_>, RecordError> {
    SealedView::parse(bytes)
}

impl<'a> SealedView<'a> {
    /// Locates the parts, and checks every length, the canonical encoding of header and wraps, version, suite
    /// and padding.
    ///
    /// # Errors
    /// [`RecordError`] names the first rule broken.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (limit, found) = (MAX_RECORD_BYTES as u64, bytes.len() as u64);
        if found > limit {
            return Err(RecordError::TooLarge { limit, found });
        }
        let (header_bytes, rest) = take_prefixed(bytes, HEADER_BYTES, RecordError::Header)?;
        let header: RecordHeader =
            decode_exact(header_bytes, HEADER_BYTES).map_err(RecordError::Header)?;
        if !matches!(header.version, VERSION | VERSION_EMERGENCY) {
            return Err(RecordError::Version {
                found: header.version,
            });
        }
        if header.suite != SUITE {
            return Err(RecordError::Suite {
                found: header.suite,
            });
        }
        if padme(header.padded_len) != header.padded_len {
            return Err(RecordError::Padding {
                found: header.padded_len,
            });
        }
        let (wrap_bytes, rest) = take_prefixed(rest, MAX_WRAP_BYTES, RecordError::Wrap)?;
        let wrap: KeyWrap = decode_exact(wrap_bytes, MAX_WRAP_BYTES).map_err(RecordError::Wrap)?;
        let (emergency, emergency_bytes, body) = if header.version == VERSION_EMERGENCY {
            let limit = EMERGENCY_WRAP_BYTES;
            let (bytes, body) = take_prefixed(rest, limit, RecordError::EmergencyWrap)?;
            let wrap = decode_exact(bytes, limit).map_err(RecordError::EmergencyWrap)?;
            (Some(wrap), bytes, body)
        } else {
            (None, &[][..], rest)
        };
        let (expected, found) = (body_len(header.padded_len), body.len() as u64);
        if expected != found {
            return Err(RecordError::BodyLength { expected, found });
        }
        Ok(SealedView {
            header,
            wrap,
            emergency,
            header_bytes,
            wrap_bytes,
            emergency_bytes,
            body,
        })
    }

    /// The segments, ciphertext and tag, in order; at least one.
    pub fn segments(&self) -> std::slice::Chunks<'a, u8> {
        self.body.chunks(SEGMENT_BYTES + TAG_BYTES)
    }

    /// The encoded header: the associated data of every segment.
    pub fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }

    /// The header hash that the evidence names.
    pub fn header_hash(&self) -> Hash {
        header_hash(self.header_bytes)
    }

    /// What the record hash is the root over, in order.
    pub fn leaves(&self) -> Vec<&'a [u8]> {
        let mut leaves = vec![self.header_bytes, self.wrap_bytes];
        if self.emergency.is_some() {
            leaves.push(self.emergency_bytes);
        }
        leaves.extend(self.segments());
        leaves
    }

    /// The record hash that the evidence names. Reads every byte.
    pub fn record_hash(&self) -> Hash {
        let mut tree = RootBuilder::new();
        for leaf in self.leaves() {
            tree.push(leaf);
        }
        tree.root()
    }
}

/// A byte string after its u32 length, and what follows it. The length is checked before the bytes.
fn take_prefixed(
    bytes: &[u8],
    limit: usize,
    too_long: fn(DecodeError) -> RecordError,
) -> Result<(&[u8], &[u8]), RecordError> {
    let (len, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or(RecordError::Truncated)?;
    let len = u32::from_le_bytes(*len) as usize;
    if len > limit {
        return Err(too_long(DecodeError::TooLong { limit, found: len }));
    }
    rest.split_at_checked(len).ok_or(RecordError::Truncated)
}

/// What stands before the segments of a record without an emergency wrap: both lengths, header and wrap.
pub fn preamble(header: &RecordHeader, wrap: &KeyWrap) -> Vec<u8> {
    prefixed(&[&header.to_bytes(), &wrap.to_bytes()])
}

/// What stands before the segments of a record with an emergency wrap; its header says [`VERSION_EMERGENCY`].
pub fn preamble_with_emergency(
    header: &RecordHeader,
    wrap: &KeyWrap,
    emergency: &EmergencyWrap,
) -> Vec<u8> {
    prefixed(&[&header.to_bytes(), &wrap.to_bytes(), &emergency.to_bytes()])
}

/// Byte strings, each after its u32 length.
fn prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let total = parts.iter().map(|part| 4 + part.len()).sum();
    let mut out = Vec::with_capacity(total);
    for part in parts {
        let len = u32::try_from(part.len()).expect("a header and a wrap are short");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Segments of a padded length.
pub fn segment_count(padded_len: u64) -> u64 {
    padded_len.div_ceil(SEGMENT_BYTES as u64)
}

/// Bytes of all segments with their tags. Saturates.
pub fn body_len(padded_len: u64) -> u64 {
    padded_len.saturating_add(segment_count(padded_len).saturating_mul(TAG_BYTES as u64))
}

/// The length to which a plaintext is padded: Padme (Nikitin et al., "Reducing Metadata Leakage from Encrypted
/// Files and Communication with PURBs", 2019, section 4), at least [`MIN_PADDED`]. Adds at most 12 %.
///
/// A length whose padding would not fit in 64 bits comes back as the largest multiple that does.
pub fn padme(len: u64) -> u64 {
    let len = len.max(MIN_PADDED as u64);
    // E = floor(log2 L), S = floor(log2 E) + 1: the last E - S bits become zero.
    let exponent = len.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - significant)) - 1;
    len.saturating_add(mask) & !mask
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
