//! What a patient has besides her seed: cards, tokens, receipts, grants, records found. One encrypted file.
//!
//! Bytes: magic `CADPATST` (8), version 4 (1), salt (32), then AES-256-GCM of the borsh of [`PatientState`]
//! with its tag; the first 41 bytes are associated data. The key is KDF(seed; salt) with a fresh salt for each
//! writing, so it encrypts one message and the nonce is constant. Versions 1 to 3 are read too.

mod earlier;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use alliance_chain::{Purpose, RecordRef, ReportKind};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::card::{CardNumber, CardQr, card_binding};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::pseudonym::{MetaAddress, Pseudonym};
use caduceus_crypto::token::Token;
use caduceus_crypto::{Hash, HospitalId, PublicKey, SecretKey, TimeMillis, domain, kdf};
use caduceus_custody::seed::PatientSeed;
use caduceus_custody::token::SpendableToken;
use caduceus_ledger::Trusted;
use caduceus_network::exchange::FragmentKept;
use rand_core::{CryptoRng, RngCore};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

const MAGIC: [u8; 8] = *b"CADPATST";
const VERSION: u8 = 4;
const SALT_BYTES: usize = 32;
const HEAD_BYTES: usize = MAGIC.len() + 1 + SALT_BYTES;
/// The key is fresh with each writing, so one nonce is safe.
const NONCE: [u8; 12] = [0; 12];

/// Largest state file, bytes.
pub(crate) const MAX_STATE_BYTES: usize = 64 * 1024 * 1024;

/// Why a state file does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// It does not begin like one, or is too short.
    #[error("this is not a patient's state file")]
    NotAState,
    /// A later program made it.
    #[error("the file has a version this program does not know")]
    UnsupportedVersion,
    /// It belongs to another seed, or was altered.
    #[error("the file was altered, or belongs to another keystore")]
    Altered,
    /// It opens, but is not the encoding of a state.
    #[error("its content does not decode: {0}")]
    Decode(#[source] DecodeError),
}

/// A card that her client has registered.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CardEntry {
    /// The hospital.
    pub hospital: HospitalId,
    /// Its name in the network file.
    pub name: String,
    /// The card.
    pub card: CardNumber,
    /// H(V, S, hospital), as on the card's QR code.
    pub binding: Hash,
    /// I: the hospital's public index key.
    pub index_key: PublicKey,
    /// DER of the key that signs search tokens; empty if not known yet.
    pub issuer: Vec<u8>,
    /// When it was registered or added here.
    pub since: TimeMillis,
}

impl CardEntry {
    /// What the card's QR code says: what she shows at a visit.
    #[must_use]
    pub fn qr(&self) -> CardQr {
        CardQr {
            card: self.card,
            binding: self.binding,
        }
    }

    /// The binding that a card of this hospital has for these keys.
    #[must_use]
    pub fn binding_of(meta: &MetaAddress, hospital: &HospitalId) -> Hash {
        card_binding(meta, hospital)
    }
}

/// An unspent search token.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StoredToken {
    /// The member that issued it.
    pub issuer: HospitalId,
    /// Secret of the token's key.
    pub secret: [u8; 32],
    /// The token.
    pub token: Token,
}

impl StoredToken {
    /// For the file.
    #[must_use]
    pub fn new(issuer: HospitalId, spendable: &SpendableToken) -> Self {
        Self {
            issuer,
            secret: *spendable.key.to_bytes(),
            token: spendable.token.clone(),
        }
    }

    /// For spending; none if the secret is not one.
    #[must_use]
    pub fn spendable(&self) -> Option<SpendableToken> {
        let key = SecretKey::from_bytes(&self.secret).ok()?;
        Some(SpendableToken {
            key,
            token: self.token.clone(),
        })
    }
}

impl Drop for StoredToken {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredToken({}, redacted)", self.issuer.short())
    }
}

/// A record of hers, as a proved search result names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FoundRecord {
    /// The hospital that keeps it.
    pub hospital: HospitalId,
    /// Its place on the hospital's private chain.
    pub record: RecordRef,
    /// Its hash.
    pub record_hash: Hash,
    /// Its one-time pseudonym.
    pub pseudonym: Pseudonym,
}

/// A record of hers that replaces another one of hers, as the newer one says inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Replacement {
    /// The hospital that keeps both.
    pub hospital: HospitalId,
    /// Hash of the record that replaces.
    pub newer: Hash,
    /// Hash of the record that is replaced.
    pub older: Hash,
}

/// A report that she made, by proof, under a key that was used for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OwnReport {
    /// The `Report` transaction.
    pub id: Hash,
    /// The hospital reported.
    pub hospital: HospitalId,
    /// The record of the receipt that proves it.
    pub record_hash: Hash,
    /// P of that receipt. The chain takes one report of a kind for each.
    pub pseudonym: PublicKey,
    /// What is reported.
    pub kind: ReportKind,
}

/// A grant that she made.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OwnGrant {
    /// The `Grant` transaction.
    pub id: Hash,
    /// The record granted.
    pub record: FoundRecord,
    /// To whom.
    pub data_user: PublicKey,
    /// What for.
    pub purpose: Purpose,
    /// When it was made.
    pub granted: TimeMillis,
    /// When it ends.
    pub expires: TimeMillis,
    /// Fragments needed to open.
    pub threshold: u8,
    /// The proxies' signatures that they keep their fragments.
    pub kept: Vec<FragmentKept>,
}

/// All that the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PatientState {
    /// Her cards, one a hospital.
    pub cards: Vec<CardEntry>,
    /// Her unspent search tokens.
    pub tokens: Vec<StoredToken>,
    /// Receipts of her records.
    pub receipts: Vec<Receipt>,
    /// Her grants.
    pub grants: Vec<OwnGrant>,
    /// Records that searches found, each once.
    pub known: Vec<FoundRecord>,
    /// Hits of the last search, in the order shown.
    pub last_search: Vec<FoundRecord>,
    /// Which records replace which, as far as she has opened the newer ones.
    pub replacements: Vec<Replacement>,
    /// Her reports.
    pub reports: Vec<OwnReport>,
    /// The newest head of the alliance chain that was accepted: nodes below it are refused.
    pub trusted: Option<Trusted>,
}

impl PatientState {
    /// The card of a hospital.
    #[must_use]
    pub fn card(&self, hospital: &HospitalId) -> Option<&CardEntry> {
        self.cards.iter().find(|card| card.hospital == *hospital)
    }

    /// Adds a card, in place of an earlier one of the same hospital.
    pub fn put_card(&mut self, entry: CardEntry) {
        self.cards.retain(|card| card.hospital != entry.hospital);
        self.cards.push(entry);
    }

    /// Remembers a record, once.
    pub fn remember(&mut self, found: FoundRecord) {
        let same = |known: &FoundRecord| {
            known.hospital == found.hospital && known.record_hash == found.record_hash
        };
        if !self.known.iter().any(same) {
            self.known.push(found);
        }
    }

    /// Remembers a receipt, once.
    pub fn remember_receipt(&mut self, receipt: Receipt) {
        if !self.receipts.contains(&receipt) {
            self.receipts.push(receipt);
        }
    }

    /// Remembers what a record replaces, once: a record says it inside, so it never changes.
    pub fn remember_replacement(&mut self, replacement: Replacement) {
        if self
            .replaced_by(&replacement.hospital, &replacement.newer)
            .is_none()
        {
            self.replacements.push(replacement);
        }
    }

    /// The record that a record replaces, if that is known.
    #[must_use]
    pub fn replaced_by(&self, hospital: &HospitalId, newer: &Hash) -> Option<Hash> {
        self.replacements
            .iter()
            .find(|known| known.hospital == *hospital && known.newer == *newer)
            .map(|known| known.older)
    }

    /// Her report of this kind by a receipt, if she made one.
    #[must_use]
    pub fn report_of(&self, receipt: &Receipt, kind: ReportKind) -> Option<Hash> {
        self.reports
            .iter()
            .find(|known| {
                known.hospital == receipt.hospital
                    && known.pseudonym == receipt.pseudonym.point
                    && known.kind == kind
            })
            .map(|known| known.id)
    }

    /// Every pseudonym that is known to be hers, with its hospital and record hash, each once.
    #[must_use]
    pub fn pseudonyms(&self) -> Vec<(HospitalId, Hash, Pseudonym)> {
        let mut all: Vec<(HospitalId, Hash, Pseudonym)> = Vec::new();
        let found = self
            .known
            .iter()
            .chain(&self.last_search)
            .chain(self.grants.iter().map(|grant| &grant.record));
        let found = found.map(|found| (found.hospital, found.record_hash, found.pseudonym));
        let received = self
            .receipts
            .iter()
            .map(|receipt| (receipt.hospital, receipt.record_hash, receipt.pseudonym));
        for each in found.chain(received) {
            if !all
                .iter()
                .any(|known| known.0 == each.0 && known.2.point == each.2.point)
            {
                all.push(each);
            }
        }
        all
    }
}

fn cipher(seed: &PatientSeed, salt: &[u8]) -> Aes256Gcm {
    let key: Zeroizing<[u8; 32]> =
        kdf::<32>(domain::STORE_KEY, seed.expose(), &[b"patient-state", salt]);
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&key[..]))
}

/// Encrypts a state under a seed.
#[must_use]
pub fn seal_state(
    rng: &mut (impl CryptoRng + RngCore),
    seed: &PatientSeed,
    state: &PatientState,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    let mut salt = [0u8; SALT_BYTES];
    rng.fill_bytes(&mut salt);
    out.extend_from_slice(&salt);
    let plain = Zeroizing::new(codec::encode(state));
    let sealed = cipher(seed, &salt)
        .encrypt(
            Nonce::from_slice(&NONCE),
            Payload {
                msg: &plain[..],
                aad: &out[..],
            },
        )
        .expect("a state is far below AES-GCM's 64 GiB");
    out.extend_from_slice(&sealed);
    out
}

/// Decrypts a state.
///
/// # Errors
/// One [`StateFileError`] for each thing that can be wrong.
pub fn open_state(seed: &PatientSeed, bytes: &[u8]) -> Result<PatientState, StateFileError> {
    let (head, sealed) = bytes
        .split_at_checked(HEAD_BYTES)
        .ok_or(StateFileError::NotAState)?;
    if head[..MAGIC.len()] != MAGIC {
        return Err(StateFileError::NotAState);
    }
    let version = head[MAGIC.len()];
    if !(earlier::FIRST..=VERSION).contains(&version) {
        return Err(StateFileError::UnsupportedVersion);
    }
    let plain = cipher(seed, &head[MAGIC.len() + 1..])
        .decrypt(
            Nonce::from_slice(&NONCE),
            Payload {
                msg: sealed,
                aad: head,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| StateFileError::Altered)?;
    match version {
        VERSION => codec::decode_exact(&plain, MAX_STATE_BYTES),
        _ => earlier::read(version, &plain),
    }
    .map_err(StateFileError::Decode)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
