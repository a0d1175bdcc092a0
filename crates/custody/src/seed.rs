//! The patient's master seed and its BIP-39 phrase (DESIGN 3.1).
//!
//! The phrase encodes the 32 bytes of entropy themselves. BIP-39's own stretching of a phrase into a
//! wallet seed is not used: every key is derived from the entropy by labelled HKDF, and there is no
//! BIP-39 passphrase.

use std::fmt;

use bip39::{Language, Mnemonic};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Words in a phrase: 256 bits of entropy and 8 of checksum, 11 bits a word.
pub const PHRASE_WORDS: usize = 24;

/// Longest English BIP-39 word, plus the blank after it.
const WORD_ROOM_BYTES: usize = 9;

/// A phrase that is not a patient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhraseError {
    /// A phrase has exactly [`PHRASE_WORDS`] words.
    #[error("a recovery phrase has {PHRASE_WORDS} words, this one has {found}")]
    WordCount {
        /// How many words were given.
        found: usize,
    },
    /// A word is not in the English BIP-39 list. The word itself is not repeated: it may be a typing
    /// slip of a right one.
    #[error("word {position} is not in the BIP-39 word list")]
    UnknownWord {
        /// Which word, counted from 1.
        position: usize,
    },
    /// All words are known, but they are not a phrase: one is wrong, or two are swapped.
    #[error("the phrase's checksum does not match its words")]
    Checksum,
}

/// The 32 bytes from which all keys of one patient follow. Zeroized on drop; there is no `Display` and
/// no serialization: bytes leave through [`PatientSeed::to_phrase`] or [`PatientSeed::expose`] only.
#[derive(Clone)]
pub struct PatientSeed(Box<Zeroizing<[u8; 32]>>);

impl PatientSeed {
    /// Draws a fresh seed.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + RngCore)) -> Self {
        let mut seed = Box::new(Zeroizing::new([0u8; 32]));
        rng.fill_bytes(&mut seed[..]);
        Self(seed)
    }

    /// Takes 32 bytes that were a seed before, e.g. the content of a keystore. The caller zeroizes its
    /// own copy.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(Zeroizing::new(*bytes)))
    }

    /// The secret bytes, for a keystore's plaintext and for key derivation.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 24 English words, lower case, one blank between two. Shown to the patient once.
    #[must_use]
    pub fn to_phrase(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.expose())
            .expect("256 bits is a length BIP-39 allows");
        // Room for the longest phrase: a string that grew would leave a copy behind.
        let mut phrase = Zeroizing::new(String::with_capacity(PHRASE_WORDS * WORD_ROOM_BYTES));
        for word in mnemonic.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        phrase
    }

    /// Reads a phrase back. Case and the amount of white space do not matter.
    ///
    /// # Errors
    /// [`PhraseError`]: a wrong number of words, an unknown word, a wrong checksum.
    pub fn from_phrase(phrase: &str) -> Result<Self, PhraseError> {
        let found = phrase.split_whitespace().count();
        if found != PHRASE_WORDS {
            return Err(PhraseError::WordCount { found });
        }
        let folded = Zeroizing::new(phrase.to_ascii_lowercase());
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &folded).map_err(
            |error| match error {
                bip39::Error::UnknownWord(index) => PhraseError::UnknownWord {
                    position: index + 1,
                },
                _ => PhraseError::Checksum,
            },
        )?;
        let (mut entropy, length) = mnemonic.to_entropy_array();
        let mut seed = Box::new(Zeroizing::new([0u8; 32]));
        let whole = length == seed.len();
        if whole {
            seed.copy_from_slice(&entropy[..length]);
        }
        entropy.zeroize();
        if whole {
            Ok(Self(seed))
        } else {
            Err(PhraseError::WordCount { found })
        }
    }
}

impl fmt::Debug for PatientSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientSeed(redacted)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// Trezor's reference vector for 256 zero bits (github.com/trezor/python-mnemonic, vectors.json).
    const ZERO_PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon \
                               abandon abandon abandon abandon abandon abandon abandon abandon \
                               abandon abandon abandon abandon abandon abandon abandon art";

    #[test]
    fn official_vector_of_zero_entropy() {
        let seed = PatientSeed::from_bytes(&[0u8; 32]);
        assert_eq!(seed.to_phrase().as_str(), ZERO_PHRASE);
        assert_eq!(
            PatientSeed::from_phrase(ZERO_PHRASE).unwrap().expose(),
            &[0u8; 32]
        );
    }

    #[test]
    fn official_vector_of_ones() {
        let phrase = format!("{}vote", "zoo ".repeat(23));
        assert_eq!(
            PatientSeed::from_bytes(&[0xff; 32]).to_phrase().as_str(),
            phrase
        );
    }

    #[test]
    fn phrases_round_trip_whatever_their_case_and_blanks() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..50 {
            let seed = PatientSeed::generate(&mut rng);
            let phrase = seed.to_phrase();
            assert_eq!(phrase.split_whitespace().count(), PHRASE_WORDS);
            let typed = format!("  {}\n", phrase.to_uppercase().replace(' ', "  "));
            assert_eq!(
                PatientSeed::from_phrase(&typed).unwrap().expose(),
                seed.expose()
            );
        }
    }

    #[test]
    fn mistakes_are_told_apart() {
        let short = ZERO_PHRASE.rsplit_once(' ').unwrap().0;
        assert_eq!(
            PatientSeed::from_phrase(short).unwrap_err(),
            PhraseError::WordCount { found: 23 }
        );
        assert_eq!(
            PatientSeed::from_phrase("").unwrap_err(),
            PhraseError::WordCount { found: 0 }
        );
        let unknown = ZERO_PHRASE.replacen("abandon abandon", "abandon caduceus", 1);
        assert_eq!(
            PatientSeed::from_phrase(&unknown).unwrap_err(),
            PhraseError::UnknownWord { position: 2 }
        );
        let wrong = ZERO_PHRASE.replace("art", "zoo");
        assert_eq!(
            PatientSeed::from_phrase(&wrong).unwrap_err(),
            PhraseError::Checksum
        );
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", PatientSeed::from_bytes(&[7; 32]));
        assert_eq!(shown, "PatientSeed(redacted)");
    }
}
