//! Sealing: from a plaintext and a patient's meta-address to a record that only she can open
//! (DESIGN 3.3). The doctor's workstation does this; no server sees the plaintext.

use std::fmt;

use caduceus_crypto::emergency::{CheckedEmergencyKey, EmergencyWrap};
use caduceus_crypto::evidence::VisitOpening;
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::pseudonym::{MetaAddress, Pseudonym};
use caduceus_crypto::record::{
    KeyWrap, MAX_RECORD_BYTES, RecordError, RecordHeader, SUITE, VERSION, VERSION_EMERGENCY,
    body_len, parse, preamble, preamble_with_emergency,
};
use caduceus_crypto::reencrypt::{serialize, umbral_key};
use caduceus_crypto::time::Epoch;
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use umbral_pre::encrypt_with_rng;
use zeroize::Zeroizing;

use crate::author::make_pseudonym;
use crate::body::BodyKeys;
use crate::frame::{Fields, FrameError, frame};

/// Why a plaintext was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The plaintext, its media type or its fields can't be framed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The sealed record would be larger than records may be.
    #[error("the sealed record would have {found} bytes, at most {limit} are allowed")]
    RecordTooLarge {
        /// Bytes allowed.
        limit: u64,
        /// Bytes needed.
        found: u64,
    },
    /// What was sealed does not parse as a record. A bug, caught before the bytes leave the workstation.
    #[error("the sealed record does not parse")]
    SelfCheck(#[source] RecordError),
}

/// One plaintext for one patient.
#[derive(Clone)]
pub struct SealRequest<'a> {
    /// The hospital that keeps the record.
    pub hospital: HospitalId,
    /// The patient's meta-address, checked against her card.
    pub meta: MetaAddress,
    /// UTC day of anchoring.
    pub epoch: Epoch,
    /// Media type of the plaintext, e.g. `application/fhir+json`.
    pub media_type: &'a str,
    /// The plaintext, at most 256 MiB. Whether FHIR is well-formed is the caller's matter.
    pub plaintext: &'a [u8],
    /// What opens the anchor's visit commitment; none for an unattested visit.
    pub visit: Option<VisitOpening>,
}

/// A sealed record and what its anchor says of it. Everything here is public.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The record, as the vault stores it.
    pub bytes: Vec<u8>,
    /// Its header.
    pub header: RecordHeader,
    /// RFC 6962 root over header, wrap and segments.
    pub record_hash: Hash,
    /// Hash of the header.
    pub header_hash: Hash,
    /// The Umbral capsule of the data key.
    pub capsule: Vec<u8>,
    /// P, R and the view tag.
    pub pseudonym: Pseudonym,
}

/// Seals a plaintext under a fresh pseudonym and a fresh data key. A retry is a new call: nothing of an
/// earlier one is used again.
///
/// # Errors
/// [`SealError`].
///
/// # Leakage
/// The header: hospital, pseudonym, day, delegating key, and the size after compression rounded up by
/// Padme (to about 12 % at most, 16 KiB at least).
pub fn seal(
    rng: &mut (impl CryptoRng + RngCore),
    request: SealRequest<'_>,
) -> Result<Sealed, SealError> {
    seal_with_fields(rng, request, Fields::new())
}

/// [`seal`], with further named values inside of the record, e.g. the doctor's own index terms, from
/// which the patient recomputes the tags.
///
/// # Errors
/// [`SealError`].
pub fn seal_with_fields(
    rng: &mut (impl CryptoRng + RngCore),
    request: SealRequest<'_>,
    fields: Fields,
) -> Result<Sealed, SealError> {
    seal_with_emergency(rng, request, fields, None)
}

/// [`seal_with_fields`], with a second wrap of the data key under the hospital's emergency key, for a patient who
/// opted in on her card. The hospital's officers can then open the record without her.
///
/// # Errors
/// [`SealError`].
///
/// # Leakage
/// That she opted in, to all who see the record.
pub fn seal_with_emergency(
    rng: &mut (impl CryptoRng + RngCore),
    request: SealRequest<'_>,
    fields: Fields,
    emergency: Option<&CheckedEmergencyKey>,
) -> Result<Sealed, SealError> {
    let padded = frame(request.media_type, request.plaintext, request.visit, fields)?;
    let made = make_pseudonym(rng, &request.hospital, &request.meta);
    let header = RecordHeader {
        version: match emergency {
            Some(_) => VERSION_EMERGENCY,
            None => VERSION,
        },
        suite: SUITE,
        hospital: request.hospital,
        pseudonym: made.pseudonym,
        delegating: made.delegating_public,
        epoch: request.epoch,
        padded_len: as_u64(padded.len()),
    };
    let mut data_key = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(&mut data_key[..]);
    let emergency =
        emergency.map(|key| crate::emergency::wrap(rng, key, &header.hash(), &data_key));
    let bytes = assemble(rng, &header, &data_key, emergency.as_ref(), &padded)?;
    let view = parse(&bytes).map_err(SealError::SelfCheck)?;
    let (record_hash, header_hash) = (view.record_hash(), view.header_hash());
    let capsule = view.wrap.capsule;
    Ok(Sealed {
        bytes,
        header,
        record_hash,
        header_hash,
        capsule,
        pseudonym: made.pseudonym,
    })
}

/// The bytes of a record. `data_key` is fresh and used for this record alone.
pub(crate) fn assemble(
    rng: &mut (impl CryptoRng + RngCore),
    header: &RecordHeader,
    data_key: &[u8; 32],
    emergency: Option<&EmergencyWrap>,
    padded: &[u8],
) -> Result<Vec<u8>, SealError> {
    let header_bytes = header.to_bytes();
    let keys = BodyKeys::derive(data_key, &header_bytes);
    let (capsule, wrapped_key) = encrypt_with_rng(rng, &umbral_key(&header.delegating), data_key)
        .expect("32 bytes are not too many");
    let wrap = KeyWrap {
        capsule: serialize(&capsule),
        wrapped_key: wrapped_key.into_vec(),
        key_commitment: keys.commitment,
    };
    let mut bytes = match emergency {
        Some(emergency) => preamble_with_emergency(header, &wrap, emergency),
        None => preamble(header, &wrap),
    };
    let limit = as_u64(MAX_RECORD_BYTES);
    let found = as_u64(bytes.len()).saturating_add(body_len(header.padded_len));
    if found > limit {
        return Err(SealError::RecordTooLarge { limit, found });
    }
    bytes.reserve_exact(usize::try_from(found).expect("a record is at most 300 MiB") - bytes.len());
    keys.encrypt(&header_bytes, padded, &mut bytes);
    Ok(bytes)
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).expect("a length in memory fits 64 bits")
}

impl fmt::Debug for SealRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealRequest")
            .field("hospital", &self.hospital)
            .field("epoch", &self.epoch)
            .field("media_type", &self.media_type)
            .field("plaintext_bytes", &self.plaintext.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("header", &self.header)
            .field("record_hash", &self.record_hash)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
