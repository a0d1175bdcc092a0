//! A record's body: the data key's two children, and AES-256-GCM in the STREAM construction
//! (DESIGN 3.3; Hoang, Reyhanitabar, Rogaway, Vizar, eprint 2015/189, as `aead` instantiates it).

use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{Aes256Gcm, Key};
use caduceus_crypto::domain;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::record::{SEGMENT_BYTES, TAG_BYTES};
use zeroize::Zeroizing;

/// STREAM's nonce is this prefix, a 32-bit big-endian counter and the flag of the last segment.
///
/// # Security
/// A constant is safe because the key is used once: the data key is drawn for one sealing and a retry
/// draws a new one, the body key is derived from it and from this header. No two bodies share a key,
/// hence no two segments share a (key, nonce).
const NONCE_PREFIX: [u8; 7] = [0; 7];

/// The children of a data key under one header.
pub(crate) struct BodyKeys {
    body: Zeroizing<[u8; 32]>,
    /// Stands in the record in the clear. GCM doesn't commit to its key: without this, an author could
    /// craft one body that opens to two texts under two data keys.
    pub(crate) commitment: [u8; 32],
}

impl BodyKeys {
    /// HKDF(data key; header), once for the body key and once for the key commitment.
    pub(crate) fn derive(data_key: &[u8; 32], header: &[u8]) -> Self {
        let body = kdf::<32>(domain::RECORD_BODY_KEY, data_key, &[header]);
        let commitment = kdf::<32>(domain::RECORD_KEY_COMMITMENT, data_key, &[header]);
        Self {
            body,
            commitment: *commitment,
        }
    }

    fn key(&self) -> &Key<Aes256Gcm> {
        Key::<Aes256Gcm>::from_slice(&self.body[..])
    }

    /// Appends the segments of `padded` to `out`, each with its tag and with `header` as associated
    /// data. `padded` is not empty: the padding sees to that.
    pub(crate) fn encrypt(&self, header: &[u8], padded: &[u8], out: &mut Vec<u8>) {
        let nonce = GenericArray::from_slice(&NONCE_PREFIX);
        let mut stream = EncryptorBE32::<Aes256Gcm>::new(self.key(), nonce);
        let mut buffer: Zeroizing<Vec<u8>> =
            Zeroizing::new(Vec::with_capacity(SEGMENT_BYTES + TAG_BYTES));
        let mut chunks = padded.chunks(SEGMENT_BYTES).peekable();
        while let Some(chunk) = chunks.next() {
            buffer.clear();
            buffer.extend_from_slice(chunk);
            if chunks.peek().is_none() {
                stream
                    .encrypt_last_in_place(header, &mut *buffer)
                    .expect("a segment is far below AES-GCM's 64 GiB");
                out.extend_from_slice(&buffer);
                return;
            }
            stream
                .encrypt_next_in_place(header, &mut *buffer)
                .expect("a record has fewer than 2^32 segments");
            out.extend_from_slice(&buffer);
        }
    }

    /// The padded plaintext, or the index of the segment that doesn't authenticate. Cut, repeated and
    /// reordered segments fail at their place.
    pub(crate) fn decrypt<'a>(
        &self,
        header: &[u8],
        segments: impl Iterator<Item = &'a [u8]>,
        padded_len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, usize> {
        let nonce = GenericArray::from_slice(&NONCE_PREFIX);
        let mut stream = DecryptorBE32::<Aes256Gcm>::new(self.key(), nonce);
        let mut out: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(padded_len));
        let mut buffer: Zeroizing<Vec<u8>> =
            Zeroizing::new(Vec::with_capacity(SEGMENT_BYTES + TAG_BYTES));
        let mut segments = segments.enumerate().peekable();
        while let Some((index, segment)) = segments.next() {
            buffer.clear();
            buffer.extend_from_slice(segment);
            if segments.peek().is_none() {
                stream
                    .decrypt_last_in_place(header, &mut *buffer)
                    .map_err(|_| index)?;
                out.extend_from_slice(&buffer);
                return Ok(out);
            }
            stream
                .decrypt_next_in_place(header, &mut *buffer)
                .map_err(|_| index)?;
            out.extend_from_slice(&buffer);
        }
        Err(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sealed(padded: &[u8]) -> (BodyKeys, Vec<Vec<u8>>) {
        let keys = BodyKeys::derive(&[9; 32], b"header");
        let mut out = Vec::new();
        keys.encrypt(b"header", padded, &mut out);
        let segments = out
            .chunks(SEGMENT_BYTES + TAG_BYTES)
            .map(<[u8]>::to_vec)
            .collect();
        (keys, segments)
    }

    fn open(keys: &BodyKeys, header: &[u8], segments: &[Vec<u8>]) -> Result<Vec<u8>, usize> {
        keys.decrypt(header, segments.iter().map(Vec::as_slice), 0)
            .map(|plain| plain.to_vec())
    }

    #[test]
    fn segments_round_trip_at_every_boundary() {
        for length in [
            1,
            SEGMENT_BYTES - 1,
            SEGMENT_BYTES,
            SEGMENT_BYTES + 1,
            2 * SEGMENT_BYTES,
        ] {
            let padded: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let (keys, segments) = sealed(&padded);
            assert_eq!(segments.len(), length.div_ceil(SEGMENT_BYTES));
            assert_eq!(open(&keys, b"header", &segments).unwrap(), padded);
        }
    }

    #[test]
    fn cut_swapped_repeated_and_foreign_segments_are_refused() {
        let padded = vec![1u8; 3 * SEGMENT_BYTES];
        let (keys, segments) = sealed(&padded);
        assert_eq!(open(&keys, b"header", &segments[..2]), Err(1));
        assert_eq!(open(&keys, b"header", &[]), Err(0));
        let mut swapped = segments.clone();
        swapped.swap(0, 1);
        assert_eq!(open(&keys, b"header", &swapped), Err(0));
        let mut repeated = segments.clone();
        repeated.insert(1, segments[0].clone());
        assert_eq!(open(&keys, b"header", &repeated), Err(1));
        assert_eq!(open(&keys, b"another", &segments), Err(0));
        let other = BodyKeys::derive(&[9; 32], b"another");
        assert_ne!(other.commitment, keys.commitment);
        assert_eq!(open(&other, b"header", &segments), Err(0));
    }

    /// STREAM over one segment is plain AES-256-GCM with the nonce prefix | counter 0 | last flag 1.
    #[test]
    fn one_segment_is_gcm_under_the_documented_nonce() {
        use aes_gcm::aead::{Aead, Payload};
        use aes_gcm::{KeyInit, Nonce};
        let (keys, segments) = sealed(b"plaintext");
        let mut nonce = [0u8; 12];
        nonce[11] = 1;
        let direct = Aes256Gcm::new(keys.key())
            .encrypt(
                Nonce::from_slice(&nonce),
                Payload {
                    msg: b"plaintext",
                    aad: b"header",
                },
            )
            .unwrap();
        assert_eq!(segments, vec![direct]);
    }
}
