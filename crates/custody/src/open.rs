//! Opening a sealed record (DESIGN 3.3): by its owner, or by whoever holds its data key.

use std::fmt;

use caduceus_crypto::evidence::VisitOpening;
use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::record::{RecordError, RecordHeader, SealedView, parse};
use caduceus_crypto::reencrypt::CapsuleError;
use subtle::ConstantTimeEq;
use thiserror::Error;
use umbral_pre::decrypt_original;
use zeroize::{Zeroize, Zeroizing};

use crate::body::BodyKeys;
use crate::frame::{Fields, MAX_PLAINTEXT_BYTES, UnframeError, Unframed, unframe};
use crate::patient::PatientKeys;
use crate::umbral;

/// Why a record did not open, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The bytes are not a record.
    #[error("this is not a sealed record")]
    Record(#[source] RecordError),
    /// Its pseudonym is not this patient's.
    #[error("the record belongs to somebody else")]
    NotMine,
    /// The header's delegating key is not the one that follows from the pseudonym: the author didn't
    /// follow the protocol, and the record can't be shared.
    #[error("the record's delegating key does not belong to its pseudonym")]
    DelegatingKey,
    /// The capsule is malformed, or its own proof fails.
    #[error("the record's capsule is invalid")]
    Capsule(#[source] CapsuleError),
    /// The wrapped key doesn't decrypt under the capsule, or isn't a key.
    #[error("the record's data key can't be unwrapped")]
    KeyWrap,
    /// The data key is not the one that the record commits to.
    #[error("the data key does not match the record's key commitment")]
    KeyCommitment,
    /// A segment doesn't authenticate: altered, cut, or out of its place.
    #[error("segment {index} of the record does not authenticate")]
    Segment {
        /// Which segment, from 0.
        index: usize,
    },
    /// The body authenticates, but its author made it wrong; or it is larger than the caller takes.
    #[error(transparent)]
    Content(#[from] UnframeError),
}

/// An opened record.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// Media type of the plaintext. Printable, but its author's claim.
    pub media_type: String,
    /// The plaintext. Not zeroized on drop: it is what the caller came for.
    pub plaintext: Vec<u8>,
    /// The record's header.
    pub header: RecordHeader,
    /// What opens the anchor's visit commitment.
    pub visit: Option<VisitOpening>,
    /// Further named values.
    pub fields: Fields,
}

impl PatientKeys {
    /// Opens one of the patient's own records. Decompresses to at most [`MAX_PLAINTEXT_BYTES`].
    ///
    /// The caller compares the record's hash with its anchor; opening alone doesn't show that the
    /// record is the one that was anchored.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, bytes: &[u8]) -> Result<Opened, OpenError> {
        self.open_limited(bytes, MAX_PLAINTEXT_BYTES)
    }

    /// [`PatientKeys::open`] with another bound on the plaintext, in bytes.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_limited(&self, bytes: &[u8], limit: u64) -> Result<Opened, OpenError> {
        let view = parse(bytes).map_err(OpenError::Record)?;
        let data_key = self.unwrap(&view)?;
        open_view(&view, &data_key, limit)
    }

    /// The data key of one of the patient's own records, for a dispute in which somebody else has to read it:
    /// [`open_with_data_key`] opens that record and no other with it.
    ///
    /// # Errors
    /// [`OpenError`].
    ///
    /// # Security
    /// Whoever gets it reads the record for ever.
    pub fn data_key(&self, bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        self.unwrap(&parse(bytes).map_err(OpenError::Record)?)
    }

    fn unwrap(&self, view: &SealedView<'_>) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        let header = &view.header;
        let keys = self
            .one_time(&header.hospital, &header.pseudonym)
            .map_err(|_| OpenError::NotMine)?;
        if keys.delegating.public() != header.delegating {
            return Err(OpenError::DelegatingKey);
        }
        unwrap_original(view, &keys.delegating)
    }
}

/// Opens a record with its data key, which the caller has otherwise than by the patient's keys.
/// `limit` bounds the plaintext in bytes.
///
/// # Errors
/// [`OpenError`].
pub fn open_with_data_key(
    bytes: &[u8],
    data_key: &[u8; 32],
    limit: u64,
) -> Result<Opened, OpenError> {
    open_view(&parse(bytes).map_err(OpenError::Record)?, data_key, limit)
}

/// The data key, by the delegating secret.
fn unwrap_original(
    view: &SealedView<'_>,
    delegating: &SecretKey,
) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let capsule = umbral::capsule_to_open(&view.wrap.capsule).map_err(OpenError::Capsule)?;
    let secret = umbral::secret_key(delegating);
    let plain = decrypt_original(&secret, &capsule, &view.wrap.wrapped_key)
        .map_err(|_| OpenError::KeyWrap)?;
    data_key(plain).ok_or(OpenError::KeyWrap)
}

/// An unwrapped data key; none if it isn't 32 bytes. Wipes the library's copy.
pub(crate) fn data_key(mut plain: Box<[u8]>) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0u8; 32]);
    let fits = plain.len() == key.len();
    if fits {
        key.copy_from_slice(&plain);
    }
    plain.zeroize();
    fits.then_some(key)
}

/// Key commitment first, then the segments, then what is inside.
pub(crate) fn open_view(
    view: &SealedView<'_>,
    data_key: &[u8; 32],
    limit: u64,
) -> Result<Opened, OpenError> {
    let keys = BodyKeys::derive(data_key, view.header_bytes());
    if !bool::from(keys.commitment.ct_eq(&view.wrap.key_commitment)) {
        return Err(OpenError::KeyCommitment);
    }
    let padded_len = usize::try_from(view.header.padded_len)
        .expect("a parsed record's segments are as long as its header says");
    let padded = keys
        .decrypt(view.header_bytes(), view.segments(), padded_len)
        .map_err(|index| OpenError::Segment { index })?;
    let Unframed {
        media_type,
        plaintext,
        visit,
        fields,
    } = unframe(&padded, limit)?;
    Ok(Opened {
        media_type,
        plaintext,
        header: view.header,
        visit,
        fields,
    })
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("media_type", &self.media_type)
            .field("plaintext_bytes", &self.plaintext.len())
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
