//! Sealing and opening of audit entries.
//!
//! Key = KDF(bucket key; entry id), with a random 32-byte id, so each key is used for one message and the
//! nonce is all zeros. AES-256-GCM (SP 800-38D) with associated data borsh(id, class, month). Plaintext =
//! u16le length | borsh([`AuditEntry`]) | zeros up to a multiple of [`PAD_BYTES`].
//!
//! # Leakage
//! Whoever reads the chain learns an entry's class, month, signer and padded length; with the bucket key, all.
//! Signatures cover the ciphertext only: a hash of a guessable plaintext would confirm guesses.

use super::entry::{AuditEntry, EntryError};
use crate::tx::signed_payload;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::domain;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

/// Padding unit of the plaintext, in bytes.
pub const PAD_BYTES: usize = 240;
/// Largest ciphertext with its tag: 17 padding units and 16 bytes.
pub const MAX_CIPHERTEXT_BYTES: usize = 4096;

const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 2;

/// What kind of action an entry is about: the retention policy differs by class.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum ActionClass {
    /// Records and patients written or changed.
    ClinicalWrite,
    /// Records served, searched or disclosed.
    ClinicalRead,
    /// Staff, policy, keys and the server itself.
    Administration,
    /// The audit log was read.
    AuditRead,
    /// Emergency access.
    Emergency,
}

impl ActionClass {
    /// Every class.
    pub const ALL: [ActionClass; 5] = [
        ActionClass::ClinicalWrite,
        ActionClass::ClinicalRead,
        ActionClass::Administration,
        ActionClass::AuditRead,
        ActionClass::Emergency,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionClass::ClinicalWrite => "clinical-write",
            ActionClass::ClinicalRead => "clinical-read",
            ActionClass::Administration => "administration",
            ActionClass::AuditRead => "audit-read",
            ActionClass::Emergency => "emergency",
        }
    }
}

/// Entries that share a bucket key and are forgotten together.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Bucket {
    /// Kind of action.
    pub class: ActionClass,
    /// Calendar month, UTC: year * 12 + (month - 1).
    pub month: u16,
}

/// The calendar month of an instant, UTC: year * 12 + (month - 1). Saturates at year 5461.
pub fn month_of(time: TimeMillis) -> u16 {
    let (year, month, _) = time.epoch().ymd();
    let month = u64::from(year) * 12 + u64::from(month) - 1;
    u16::try_from(month).unwrap_or(u16::MAX)
}

/// A sealed entry that nobody has signed yet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DraftEntry {
    /// Random identifier; selects the key within the bucket.
    pub id: [u8; 32],
    /// Kind of action.
    pub class: ActionClass,
    /// Month of the entry's time; see [`Bucket::month`].
    pub month: u16,
    /// The sealed entry, at most [`MAX_CIPHERTEXT_BYTES`].
    pub ciphertext: Vec<u8>,
}

/// One audit entry as the chain holds it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SealedEntry {
    /// Random identifier; selects the key within the bucket.
    pub id: [u8; 32],
    /// Kind of action.
    pub class: ActionClass,
    /// Month of the entry's time; see [`Bucket::month`].
    pub month: u16,
    /// The sealed entry, at most [`MAX_CIPHERTEXT_BYTES`].
    pub ciphertext: Vec<u8>,
    /// The actor's key, or the server's.
    pub signer: PublicKey,
    /// Signature over (chain, id, class, month, ciphertext).
    pub signature: Signature,
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
}

/// Why a sealed entry did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not sealed under this bucket key, or altered.
    #[error("the audit entry does not open under this bucket key")]
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
    /// Opened, but its time is in another month than its bucket's.
    #[error("the audit entry is of month {found}, its bucket of month {expected}")]
    Month {
        /// The bucket's month.
        expected: u16,
        /// Month of the entry's time.
        found: u16,
    },
}

fn cipher(bucket_key: &[u8; 32], id: &[u8; 32]) -> Aes256Gcm {
    let key: Zeroizing<[u8; 32]> = kdf::<32>(domain::AUDIT_ENTRY_KEY, bucket_key, &[id]);
    Aes256Gcm::new_from_slice(&key[..]).expect("the key has the 32 bytes AES-256 takes")
}

fn associated_data(id: &[u8; 32], class: ActionClass, month: u16) -> Vec<u8> {
    codec::encode(&(*id, class, month))
}

impl DraftEntry {
    /// Seals an entry for its bucket. The class is the caller's; the month is that of the entry's time.
    ///
    /// # Errors
    /// [`SealError`] when the entry is too long.
    pub fn seal(
        rng: &mut (impl CryptoRng + RngCore),
        bucket_key: &[u8; 32],
        class: ActionClass,
        entry: &AuditEntry,
    ) -> Result<DraftEntry, SealError> {
        entry.check()?;
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

        let mut id = [0u8; 32];
        rng.fill_bytes(&mut id);
        let month = month_of(entry.time);
        let aad = associated_data(&id, class, month);
        let nonce = aes_gcm::Nonce::from([0u8; 12]);
        let ciphertext = cipher(bucket_key, &id)
            .encrypt(
                &nonce,
                Payload {
                    msg: &plain[..],
                    aad: &aad[..],
                },
            )
            .expect("AES-GCM takes messages of this size");
        Ok(DraftEntry {
            id,
            class,
            month,
            ciphertext,
        })
    }

    /// Signs as the actor, or as the server where no person's key is at hand.
    pub fn sign(self, chain: &ChainId, signer: &SecretKey) -> SealedEntry {
        let signature = signer.sign(domain::AUDIT_ENTRY, &signed_payload(chain, &self));
        let DraftEntry {
            id,
            class,
            month,
            ciphertext,
        } = self;
        SealedEntry {
            id,
            class,
            month,
            ciphertext,
            signer: signer.public(),
            signature,
        }
    }
}

impl SealedEntry {
    /// The bucket whose key opens it.
    pub fn bucket(&self) -> Bucket {
        Bucket {
            class: self.class,
            month: self.month,
        }
    }

    /// Whether the signature is that of `signer` for this chain.
    pub fn is_signed(&self, chain: &ChainId) -> bool {
        let draft = DraftEntry {
            id: self.id,
            class: self.class,
            month: self.month,
            ciphertext: self.ciphertext.clone(),
        };
        self.signer
            .verify(
                domain::AUDIT_ENTRY,
                &signed_payload(chain, &draft),
                &self.signature,
            )
            .is_ok()
    }

    /// Opens the entry with the key of its bucket.
    ///
    /// # Errors
    /// [`OpenError`] says which layer does not hold.
    pub fn open(&self, bucket_key: &[u8; 32]) -> Result<AuditEntry, OpenError> {
        let aad = associated_data(&self.id, self.class, self.month);
        let nonce = aes_gcm::Nonce::from([0u8; 12]);
        let plain = cipher(bucket_key, &self.id)
            .decrypt(
                &nonce,
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
        let found = month_of(entry.time);
        if found != self.month {
            return Err(OpenError::Month {
                expected: self.month,
                found,
            });
        }
        Ok(entry)
    }

    /// Whether the signer may speak for this opened entry: the actor itself, or the hospital's server.
    pub fn speaks_for(&self, entry: &AuditEntry, server: &PublicKey) -> bool {
        self.signer == entry.actor || self.signer == *server
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::entry::{
        MAX_PURPOSE_BYTES, MAX_REASON_BYTES, MAX_SOURCE_BYTES, MAX_SUBTYPE_BYTES,
    };
    use super::*;
    use crate::testing::{self, NOW};

    const BUCKET_KEY: [u8; 32] = [7; 32];

    fn sealed(entry: &AuditEntry) -> SealedEntry {
        DraftEntry::seal(
            &mut testing::rng(1),
            &BUCKET_KEY,
            ActionClass::ClinicalRead,
            entry,
        )
        .unwrap()
        .sign(&testing::chain(), &testing::server())
    }

    #[test]
    fn opens_what_was_sealed() {
        let entry = testing::entry(NOW);
        let sealed = sealed(&entry);
        assert!(sealed.is_signed(&testing::chain()));
        assert!(!sealed.is_signed(&ChainId::default()));
        assert_eq!(sealed.open(&BUCKET_KEY).unwrap(), entry);
        assert_eq!(sealed.month, month_of(NOW));
        assert!(sealed.speaks_for(&entry, &testing::server().public()));
    }

    #[test]
    fn length_tells_only_the_padding_unit() {
        let mut short = testing::entry(NOW);
        short.reason.clear();
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
        entry.subtype = "s".repeat(MAX_SUBTYPE_BYTES);
        entry.reason = "r".repeat(MAX_REASON_BYTES);
        entry.purpose = "p".repeat(MAX_PURPOSE_BYTES);
        entry.source = "o".repeat(MAX_SOURCE_BYTES);
        assert!(sealed(&entry).ciphertext.len() <= MAX_CIPHERTEXT_BYTES);
        entry.reason.push('r');
        let refused = DraftEntry::seal(
            &mut testing::rng(1),
            &BUCKET_KEY,
            ActionClass::ClinicalRead,
            &entry,
        );
        assert!(matches!(
            refused,
            Err(SealError::Entry(EntryError {
                field: "reason",
                ..
            }))
        ));
    }

    #[test]
    fn any_alteration_fails_to_open() {
        let good = sealed(&testing::entry(NOW));
        for position in 0..good.ciphertext.len() {
            let mut bad = good.clone();
            bad.ciphertext[position] ^= 1;
            assert!(
                matches!(bad.open(&BUCKET_KEY), Err(OpenError::Sealed)),
                "byte {position}"
            );
        }
        let mut other_class = good.clone();
        other_class.class = ActionClass::Emergency;
        assert!(matches!(
            other_class.open(&BUCKET_KEY),
            Err(OpenError::Sealed)
        ));
        let mut other_month = good.clone();
        other_month.month += 1;
        assert!(matches!(
            other_month.open(&BUCKET_KEY),
            Err(OpenError::Sealed)
        ));
        assert!(matches!(good.open(&[8; 32]), Err(OpenError::Sealed)));
    }
}
