//! Canonical keywords: the strings under which a record can be found (DESIGN 3.4).
//!
//! | form | example | made from |
//! |---|---|---|
//! | `system\|code` | `http://snomed.info/sct\|38341003` | a Coding with a system, verbatim |
//! | `code:CODE` | `code:38341003` | every Coding, whatever its system; ASCII lower case |
//! | `term:WORD` | `term:hypertension` | a word of a display, of a concept's text, or of the doctor's own terms; [`fold`]ed |
//! | `type:TYPE` | `type:Condition` | a clinical resource in the record |
//! | `day:`, `month:`, `year:`, `decade:` | `month:2024-05` | the day on which the encounter started |
//! | `amends:HASH` | `amends:` and 64 hexadecimal digits | the record that this one replaces ([`crate::amend`]) |
//!
//! Which parts of a record count is decided in [`crate::fhir`]; this module decides how they are spelt. Both
//! the author of a record and whoever searches must spell alike, so every keyword is made here.
//!
//! # Leakage
//! A keyword is health data in plain text. It leaves an end user's machine only as a tag or a cover.

use std::fmt;

use caduceus_crypto::hash::Hash;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use crate::fhir::{ClinicalDate, searchable_type};

/// Longest word kept, in characters; the rest of a longer one is cut, at both ends of a search alike.
pub const MAX_WORD_CHARS: usize = 64;

/// A canonical keyword. Two keywords are the same when their strings are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword(String);

impl Keyword {
    /// The canonical string, whose UTF-8 bytes go into the keyword key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `term:` for one word, folded. `None` unless the text folds to exactly one word.
    #[must_use]
    pub fn term(word: &str) -> Option<Self> {
        let mut words = fold(word);
        match (words.pop(), words.is_empty()) {
            (Some(only), true) => Some(Self::of_folded(&only)),
            _ => None,
        }
    }

    /// `term:` for each word of a text, folded, in the order of the text.
    #[must_use]
    pub fn terms(text: &str) -> Vec<Self> {
        fold(text)
            .iter()
            .map(|word| Self::of_folded(word))
            .collect()
    }

    /// `code:` for a bare code of any system. Case doesn't count, as people type `e11.9` for `E11.9`.
    /// `None` for a blank one.
    #[must_use]
    pub fn code(code: &str) -> Option<Self> {
        let code = code.trim();
        if code.is_empty() {
            return None;
        }
        Some(Self(format!("code:{}", code.to_ascii_lowercase())))
    }

    /// `system|code`, verbatim but for surrounding blanks. `None` when either is blank.
    #[must_use]
    pub fn coding(system: &str, code: &str) -> Option<Self> {
        let (system, code) = (system.trim(), code.trim());
        if system.is_empty() || code.is_empty() {
            return None;
        }
        Some(Self(format!("{system}|{code}")))
    }

    /// `type:` for a clinical resource type of FHIR R4, whatever its case. `None` for any other name, also for
    /// an administrative type: those are in every record and tell nothing apart.
    #[must_use]
    pub fn resource_type(name: &str) -> Option<Self> {
        searchable_type(name).map(|kind| Self(format!("type:{kind}")))
    }

    /// `day:2024-05-17`.
    #[must_use]
    pub fn day(date: ClinicalDate) -> Self {
        Self(format!("day:{date}"))
    }

    /// `month:2024-05`.
    #[must_use]
    pub fn month(date: ClinicalDate) -> Self {
        Self(format!("month:{:04}-{:02}", date.year(), date.month()))
    }

    /// `year:2024`.
    #[must_use]
    pub fn year(date: ClinicalDate) -> Self {
        Self(format!("year:{:04}", date.year()))
    }

    /// `decade:2020`, the first year of the decade.
    #[must_use]
    pub fn decade(date: ClinicalDate) -> Self {
        Self(format!(
            "decade:{:04}",
            date.year() - date.year().rem_euclid(10)
        ))
    }

    /// The four keywords of a clinical day.
    #[must_use]
    pub fn dates(date: ClinicalDate) -> [Self; 4] {
        [
            Self::day(date),
            Self::month(date),
            Self::year(date),
            Self::decade(date),
        ]
    }

    /// `amends:` for the record with this hash, in lower-case hexadecimal digits. People don't type it: a
    /// client asks for it to find what replaced a record.
    #[must_use]
    pub fn amends(record: &Hash) -> Self {
        Self(format!("amends:{record}"))
    }

    /// `term:` for a word that comes out of [`fold`].
    pub(crate) fn of_folded(word: &str) -> Self {
        Self(format!("term:{word}"))
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Keyword {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The words of a text as they are indexed, in order, with repetitions: NFKC, lower case, diacritics removed,
/// split at whatever is neither a letter nor a digit.
///
/// A word of a single ASCII character is dropped ("vitamin D" is found under `vitamin`). A single character of
/// another script stays: there it can be a whole word. Lower-casing goes character by character, so that it
/// doesn't depend on the place in the word (the Greek final sigma is unified).
#[must_use]
pub fn fold(text: &str) -> Vec<String> {
    let composed: String = text.nfkc().collect();
    let lowered: String = composed.chars().flat_map(char::to_lowercase).collect();
    let stripped: String = lowered
        .as_str()
        .nfd()
        .filter(|mark| !is_diacritic(*mark))
        .map(|letter| {
            if letter == '\u{3c2}' {
                '\u{3c3}'
            } else {
                letter
            }
        })
        .collect();
    let plain: String = stripped.as_str().nfc().collect();

    plain
        .split(|letter: char| !is_word_char(letter))
        // One byte is one ASCII character.
        .filter(|word| word.len() >= 2)
        .map(|word| word.chars().take(MAX_WORD_CHARS).collect())
        .collect()
}

/// A combining mark that only decorates. Nukta (class 7), kana voicing (8) and virama (9) make another letter
/// of the one they follow, so they stay.
fn is_diacritic(letter: char) -> bool {
    !matches!(canonical_combining_class(letter), 0 | 7 | 8 | 9)
}

/// Marks that survive [`is_diacritic`] belong to the word they are in.
fn is_word_char(letter: char) -> bool {
    letter.is_alphanumeric() || canonical_combining_class(letter) != 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        fold(text)
    }

    #[test]
    fn words_lose_case_and_diacritics() {
        assert_eq!(words("M\u{e9}ni\u{e8}re's Disease"), ["meniere", "disease"]);
        assert_eq!(
            words("Me\u{301}nie\u{300}re"),
            ["meniere"],
            "composed and decomposed spell alike"
        );
        assert_eq!(words("SJ\u{d6}GREN"), ["sjogren"]);
        assert_eq!(words("\u{130}STANBUL"), ["istanbul"]);
    }

    #[test]
    fn compatibility_forms_are_unified() {
        assert_eq!(words("kg/m\u{b2}"), ["kg", "m2"]);
        assert_eq!(words("\u{fb01}brosis"), ["fibrosis"]);
        assert_eq!(words("\u{ff21}\u{ff22}\u{ff23}"), ["abc"]);
    }

    #[test]
    fn punctuation_and_invisible_spaces_split() {
        assert_eq!(
            words("Protein [Mass/\u{200b}volume] in Serum or Plasma"),
            ["protein", "mass", "volume", "in", "serum", "or", "plasma"]
        );
        assert_eq!(
            words("Acetaminophen 21.7 MG/ML"),
            ["acetaminophen", "21", "mg", "ml"]
        );
        assert_eq!(words("  -- & c "), Vec::<String>::new());
    }

    #[test]
    fn other_scripts_keep_their_letters() {
        assert_eq!(
            words("\u{39f}\u{394}\u{39f}\u{3a3}"),
            words("\u{3bf}\u{3b4}\u{3bf}\u{3c2}")
        );
        assert_eq!(words("\u{54b3}"), ["\u{54b3}"], "one ideograph is a word");
        assert_eq!(
            words("\u{304c}\u{3093}"),
            ["\u{304c}\u{3093}"],
            "a voiced kana is another letter"
        );
        assert_eq!(
            words("\u{433}\u{440}\u{438}\u{43f}\u{43f}"),
            ["\u{433}\u{440}\u{438}\u{43f}\u{43f}"]
        );
        assert_eq!(
            words("\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}").len(),
            1,
            "a virama doesn't split"
        );
    }

    #[test]
    fn folding_twice_changes_nothing() {
        let texts = [
            "Body mass index 30+ - obesity (finding)",
            "\u{c5}ngstr\u{f6}m \u{2126} \u{3a3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c2} \u{1e9e} \u{130}",
            "Familial Alzheimer's disease of early onset (disorder)",
            "\u{ac00}\u{b098}\u{b2e4} \u{304c}\u{304d} \u{5d0}\u{5b8}\u{5d1}",
        ];
        for text in texts {
            for word in fold(text) {
                assert_eq!(fold(&word), [word.as_str()], "{text}");
            }
        }
    }

    #[test]
    fn long_words_are_cut() {
        let word = fold(&"x".repeat(10_000));
        assert_eq!(word, ["x".repeat(MAX_WORD_CHARS)]);
    }

    #[test]
    fn keywords_are_spelt_canonically() {
        assert_eq!(Keyword::term("Asthma").unwrap().as_str(), "term:asthma");
        assert_eq!(Keyword::term("two words"), None);
        assert_eq!(Keyword::term("-"), None);
        assert_eq!(Keyword::terms("Acute bronchitis (disorder)").len(), 3);
        assert_eq!(Keyword::code(" E11.9 ").unwrap().as_str(), "code:e11.9");
        assert_eq!(Keyword::code("  "), None);
        assert_eq!(
            Keyword::coding("http://loinc.org", "8302-2")
                .unwrap()
                .as_str(),
            "http://loinc.org|8302-2"
        );
        assert_eq!(Keyword::coding("", "8302-2"), None);
        assert_eq!(
            Keyword::resource_type("condition").unwrap().as_str(),
            "type:Condition"
        );
        assert_eq!(Keyword::resource_type("Patient"), None);
        let amends = Keyword::amends(&Hash([0xab; 32]));
        assert_eq!(amends.as_str(), format!("amends:{}", "ab".repeat(32)));
        let date = ClinicalDate::parse("2024-05-17T08:00:00Z").unwrap();
        let spelt: Vec<String> = Keyword::dates(date)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            spelt,
            [
                "day:2024-05-17",
                "month:2024-05",
                "year:2024",
                "decade:2020"
            ]
        );
    }
}
