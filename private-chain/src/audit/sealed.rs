//! Sealing and opening of audit entries, in batches.
//!
//! A batch has a random 32-byte identifier. The entries of one bucket in it are sealed under batch key = KDF(bucket
//! key; batch identifier, class, month), each under entry key = H(batch key, index): a key is used for one message,
//! and the nonce is all zeros. AES-256-GCM (SP 800-38D) with associated data borsh(batch identifier, index, class,
//! month). Plaintext = u16le length | borsh([`AuditEntry`]) | zeros up to a multiple of [`PAD_BYTES`].
//!
//! The entry key can be given away: it opens that entry and no other, which is how a proof shows its entry.
//!
//! # Leakage
//! Whoever reads the chain learns an entry's class, month, batch, signer of the batch and padded length; with the
//! bucket key, all. Signatures and Merkle leaves cover ciphertext only: a hash of a guessable plaintext would confirm
//! guesses.

use super::bucket::{ActionClass, Bucket, month_of};
use super::entry::{AuditEntry, EntryError};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::domain;
use caduceus_crypto::hash::{hash, kdf};
use zeroize::Zeroizing;

/// Padding unit of the plaintext, in bytes.
pub const PAD_BYTES: usize = 240;
/// Largest ciphertext with its tag: 17 padding units and 16 bytes.
pub const MAX_CIPHERTEXT_BYTES: usize = 4096;

const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 2;

/// A random batch identifier.
pub type BatchId = [u8; 32];

/// A key of 32 bytes that is wiped when dropped.
pub type SecretBytes = Zeroizing<[u8; 32]>;

/// One audit entry as the chain holds it. Bytes: class 1, month 2, length 4, ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SealedEntry {
    /// Kind of action.
    pub class: ActionClass,
    /// Month in which it was logged; see [`Bucket::month`]. The entry's own time may be long before.
    pub month: u16,
    /// The sealed entry, at most [`MAX_CIPHERTEXT_BYTES`].
    pub ciphertext: Vec<u8>,
}

/// Why an entry was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A field is too long.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The padded entry is larger than a sealed entry may be.
    #[error("audit entry of {found} bytes, at most {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The entry's time is after the month that follows its bucket's.
    #[error("the audit entry is of month {found}, its bucket of month {bucket}")]
    Ahead {
        /// The bucket's month.
        bucket: u16,
        /// Month of the entry's time.
        found: u16,
    },
}

/// Why a sealed entry did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not sealed under this key, or altered.
    #[error("the audit entry does not open under this key")]
    Sealed,
    /// Opened, but length and padding are not those of a sealed entry.
    #[error("the audit entry is not padded as it should be")]
    Padding,
    /// Opened, but not the encoding of an entry.
    #[error("the audit entry does not decode: {0}")]
    Decode(#[source] DecodeError),
    /// Opened, but a field is too long.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Opened, but its time is after the month that follows its bucket's: nobody logs what is to come.
    #[error("the audit entry is of month {found}, its bucket of month {bucket}")]
    Ahead {
        /// The bucket's month.
        bucket: u16,
        /// Month of the entry's time.
        found: u16,
    },
}

/// The key of a bucket's entries in one batch.
#[derive(Clone)]
pub struct BatchKey {
    batch: BatchId,
    bucket: Bucket,
    key: SecretBytes,
}

impl BatchKey {
    /// Derives it from the bucket's key.
    pub fn derive(bucket_key: &[u8; 32], bucket: Bucket, batch: &BatchId) -> Self {
        let fields: [&[u8]; 3] = [batch, &[bucket.class as u8], &bucket.month.to_le_bytes()];
        Self {
            batch: *batch,
            bucket,
            key: kdf::<32>(domain::AUDIT_BATCH_KEY, bucket_key, &fields),
        }
    }

    /// The bucket whose entries it opens.
    pub fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// The key of one entry: opens that entry and no other.
    pub fn entry_key(&self, index: u32) -> SecretBytes {
        let key = hash(
            domain::AUDIT_ENTRY_KEY,
            &[&self.key[..], &index.to_le_bytes()],
        );
        Zeroizing::new(key.0)
    }

    /// Seals the entry that stands at this index of the batch. Each index is sealed once.
    ///
    /// # Errors
    /// [`SealError`] when the entry is too long, or of the time to come.
    pub(super) fn seal(&self, index: u32, entry: &AuditEntry) -> Result<SealedEntry, SealError> {
        entry.check()?;
        let Bucket { class, month } = self.bucket;
        if let Some(found) = ahead(month, entry) {
            return Err(SealError::Ahead {
                bucket: month,
                found,
            });
        }
        let encoded = Zeroizing::new(codec::encode(entry));
        let padded_len = (LENGTH_BYTES + encoded.len()).div_ceil(PAD_BYTES) * PAD_BYTES;
        let too_large = SealError::TooLarge {
            limit: MAX_CIPHERTEXT_BYTES,
            found: padded_len + TAG_BYTES,
        };
        let Ok(length) = u16::try_from(encoded.len()) else {
            return Err(too_large);
        };
        if padded_len + TAG_BYTES > MAX_CIPHERTEXT_BYTES {
            return Err(too_large);
        }
        let mut plain = Zeroizing::new(Vec::<u8>::with_capacity(padded_len));
        plain.extend_from_slice(&length.to_le_bytes());
        plain.extend_from_slice(&encoded);
        plain.resize(padded_len, 0);
        let aad = associated_data(&self.batch, index, self.bucket);
        let ciphertext = cipher(&self.entry_key(index))
            .encrypt(
                &NONCE.into(),
                Payload {
                    msg: &plain[..],
                    aad: &aad[..],
                },
            )
            .expect("AES-GCM takes messages of this size");
        Ok(SealedEntry {
            class,
            month,
            ciphertext,
        })
    }

    /// Opens the entry at this index of the batch.
    ///
    /// # Errors
    /// [`OpenError`] says which layer does not hold.
    pub fn open(&self, index: u32, sealed: &SealedEntry) -> Result<AuditEntry, OpenError> {
        sealed.open(&self.batch, index, &self.entry_key(index))
    }
}

/// Each key seals one message.
const NONCE: [u8; 12] = [0; 12];

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(key).expect("the key has the 32 bytes AES-256 takes")
}

fn associated_data(batch: &BatchId, index: u32, bucket: Bucket) -> Vec<u8> {
    codec::encode(&(*batch, index, bucket.class, bucket.month))
}

impl SealedEntry {
    /// The bucket whose key opens it.
    pub fn bucket(&self) -> Bucket {
        Bucket {
            class: self.class,
            month: self.month,
        }
    }

    /// Opens the entry with its own key.
    ///
    /// # Errors
    /// [`OpenError`] says which layer does not hold.
    pub fn open(
        &self,
        batch: &BatchId,
        index: u32,
        entry_key: &[u8; 32],
    ) -> Result<AuditEntry, OpenError> {
        let aad = associated_data(batch, index, self.bucket());
        let plain = cipher(entry_key)
            .decrypt(
                &NONCE.into(),
                Payload {
                    msg: &self.ciphertext[..],
                    aad: &aad[..],
                },
            )
            .map_err(|_| OpenError::Sealed)?;
        let plain = Zeroizing::new(plain);
        let (length, rest) = plain
            .split_first_chunk::<LENGTH_BYTES>()
            .ok_or(OpenError::Padding)?;
        let length = usize::from(u16::from_le_bytes(*length));
        if plain.len() != (LENGTH_BYTES + length).div_ceil(PAD_BYTES) * PAD_BYTES {
            return Err(OpenError::Padding);
        }
        let (encoded, padding) = rest.split_at_checked(length).ok_or(OpenError::Padding)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(OpenError::Padding);
        }
        let entry: AuditEntry =
            codec::decode_exact(encoded, MAX_CIPHERTEXT_BYTES).map_err(OpenError::Decode)?;
        entry.check()?;
        match ahead(self.month, &entry) {
            Some(found) => Err(OpenError::Ahead {
                bucket: self.month,
                found,
            }),
            None => Ok(entry),
        }
    }
}

/// The month of the entry's time, if it is after the one that follows the bucket's. One is for clocks: close to a
/// month's edge the entry's may be ahead of the one that named the bucket.
fn ahead(bucket_month: u16, entry: &AuditEntry) -> Option<u16> {
    let found = month_of(entry.time);
    (found > bucket_month.saturating_add(1)).then_some(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::entry::{
        MAX_NAME_BYTES, MAX_PURPOSE_BYTES, MAX_REASON_BYTES, MAX_REQUEST_BYTES, MAX_SOURCE_BYTES,
        MAX_SUBTYPE_BYTES,
    };
    use super::*;
    use crate::testing::{self, NOW};

    const BUCKET_KEY: [u8; 32] = [7; 32];
    const BATCH: BatchId = [3; 32];

    fn key() -> BatchKey {
        let bucket = Bucket {
            class: ActionClass::ClinicalRead,
            month: month_of(NOW),
        };
        BatchKey::derive(&BUCKET_KEY, bucket, &BATCH)
    }

    fn sealed(entry: &AuditEntry) -> SealedEntry {
        key().seal(5, entry).unwrap()
    }

    #[test]
    fn opens_what_was_sealed() {
        let entry = testing::entry(NOW);
        let sealed = sealed(&entry);
        assert_eq!(key().open(5, &sealed).unwrap(), entry);
        assert_eq!(sealed.bucket(), key().bucket());
        // The key of the entry alone opens it, at its place only.
        let entry_key = key().entry_key(5);
        assert_eq!(sealed.open(&BATCH, 5, &entry_key).unwrap(), entry);
        assert!(sealed.open(&BATCH, 6, &entry_key).is_err());
        assert!(sealed.open(&[4; 32], 5, &entry_key).is_err());
        assert!(key().open(6, &sealed).is_err());
    }

    #[test]
    fn each_batch_bucket_and_index_has_a_key_of_its_own() {
        let mut keys = std::collections::BTreeSet::new();
        let mut drawn = 0;
        for class in ActionClass::ALL {
            for month in [1, 2] {
                for batch in [[1; 32], [2; 32]] {
                    let key = BatchKey::derive(&BUCKET_KEY, Bucket { class, month }, &batch);
                    for index in 0..3 {
                        keys.insert(*key.entry_key(index));
                        drawn += 1;
                    }
                }
            }
        }
        assert_eq!(keys.len(), drawn);
    }

    #[test]
    fn length_tells_only_the_padding_unit() {
        let mut short = testing::entry(NOW);
        short.reason = "".into();
        let mut longer = short.clone();
        longer.reason = "x".into();
        assert_eq!(
            sealed(&short).ciphertext.len(),
            sealed(&longer).ciphertext.len()
        );
        assert_eq!((sealed(&short).ciphertext.len() - TAG_BYTES) % PAD_BYTES, 0);
    }

    #[test]
    fn the_longest_entry_fits() {
        let mut entry = testing::entry(NOW);
        let text = |n: usize| "x".repeat(n).into();
        entry.actor = super::super::Actor::Named(text(MAX_NAME_BYTES));
        entry.subtype = text(MAX_SUBTYPE_BYTES);
        entry.reason = text(MAX_REASON_BYTES);
        entry.purpose = text(MAX_PURPOSE_BYTES);
        entry.source = text(MAX_SOURCE_BYTES);
        entry.request = text(MAX_REQUEST_BYTES);
        entry.reference = text(MAX_NAME_BYTES);
        entry.patient = Some(super::super::Subject::Named(text(MAX_NAME_BYTES)));
        entry.resource = Some(super::super::Resource::Named(text(MAX_NAME_BYTES)));
        entry.grant = Some(caduceus_crypto::Hash([1; 32]));
        assert!(sealed(&entry).ciphertext.len() <= MAX_CIPHERTEXT_BYTES);
        entry.reason = text(MAX_REASON_BYTES + 1);
        let refused = key().seal(0, &entry);
        assert!(matches!(
            refused,
            Err(SealError::Entry(EntryError {
                field: "reason",
                ..
            }))
        ));
    }

    #[test]
    fn an_entry_may_be_older_than_its_bucket_and_hardly_newer() {
        use caduceus_crypto::time::TimeMillis;
        for days in [0, 45, 3650] {
            let mut entry = testing::entry(TimeMillis(NOW.0 - days * 86_400_000));
            entry.reference = "imported".into();
            assert_eq!(key().open(5, &sealed(&entry)).unwrap(), entry);
        }
        // 2024-06-30 is in the month after, 2024-07-01 is not.
        let end = caduceus_crypto::time::Epoch::from_ymd(2024, 7, 1).unwrap();
        let entry = testing::entry(TimeMillis(end.start().0 - 1));
        assert_eq!(key().open(5, &sealed(&entry)).unwrap(), entry);
        let bucket = month_of(NOW);
        let refused = key().seal(5, &testing::entry(end.start()));
        assert!(matches!(
            refused,
            Err(SealError::Ahead { bucket: b, found }) if (b, found) == (bucket, bucket + 2)
        ));
    }

    #[test]
    fn any_alteration_fails_to_open() {
        let good = sealed(&testing::entry(NOW));
        for position in 0..good.ciphertext.len() {
            let mut bad = good.clone();
            bad.ciphertext[position] ^= 1;
            assert!(
                matches!(key().open(5, &bad), Err(OpenError::Sealed)),
                "byte {position}"
            );
        }
        let mut other_class = good.clone();
        other_class.class = ActionClass::Emergency;
        assert!(matches!(
            key().open(5, &other_class),
            Err(OpenError::Sealed)
        ));
        let mut other_month = good.clone();
        other_month.month += 1;
        assert!(matches!(
            key().open(5, &other_month),
            Err(OpenError::Sealed)
        ));
    }
}
