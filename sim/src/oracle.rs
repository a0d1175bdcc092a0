//! A plaintext search that knows nothing of the index: it computes what a search ought to find.
//!
//! It reads the JSON of each record on its own, by the rules that `caduceus_custody::fhir` documents, and
//! shares no code with it, not even the folding of words: two implementations that agree on a corpus are
//! unlikely to be wrong together. Names of resource types are taken to be FHIR's.

mod facts;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::facts::{Facts, words_of};

/// A record in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleRecord {
    /// What [`matching`] answers with.
    pub id: usize,
    /// Which hospital holds it.
    pub hospital: usize,
    /// Whose it is.
    pub patient: usize,
    /// The record itself: a FHIR Bundle or a single resource.
    pub json: Vec<u8>,
    /// The doctor's own terms, as given at upload.
    pub own_terms: Vec<String>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// The word, or all words of the text, among the displays, the concepts' texts and the doctor's own terms.
    Word(String),
    /// A code of any system, in any case; or `system|code`, verbatim.
    Code(String),
    /// A clinical resource of this type, in any case.
    Type(String),
    /// All of them.
    And(Vec<Want>),
    /// At least one of them.
    Or(Vec<Want>),
    /// Not that.
    Not(Box<Want>),
    /// The encounter started on a day from the first to the second, both included, as YYYY-MM-DD.
    Between(String, String),
}

/// Records, read once, to be searched often.
pub struct Oracle {
    facts: Vec<(usize, Facts)>,
}

impl Oracle {
    /// Reads the records.
    #[must_use]
    pub fn new(records: &[OracleRecord]) -> Self {
        Self {
            facts: records
                .iter()
                .map(|record| (record.id, Facts::of(record)))
                .collect(),
        }
    }

    /// What the records can be searched for.
    #[must_use]
    pub fn vocabulary(&self) -> Vocabulary {
        let mut all = Vocabulary::default();
        for (_, facts) in &self.facts {
            all.words.extend(facts.words.iter().cloned());
            all.codes.extend(facts.codes.iter().cloned());
            all.types.extend(facts.types.iter().cloned());
        }
        all
    }

    /// The ids of the records that are wanted.
    #[must_use]
    pub fn matching(&self, want: &Want) -> BTreeSet<usize> {
        self.facts
            .iter()
            .filter(|(_, facts)| holds(facts, want))
            .map(|(id, _)| *id)
            .collect()
    }
}

/// Everything that records can be searched for, dates aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Words, folded.
    pub words: BTreeSet<String>,
    /// Codes, in lower case.
    pub codes: BTreeSet<String>,
    /// Resource types.
    pub types: BTreeSet<String>,
}

/// The ids of the records that are wanted. For many searches of the same records use [`Oracle`].
#[must_use]
pub fn matching(records: &[OracleRecord], want: &Want) -> BTreeSet<usize> {
    Oracle::new(records).matching(want)
}

fn holds(facts: &Facts, want: &Want) -> bool {
    match want {
        Want::Word(text) => {
            let words = words_of(text);
            !words.is_empty() && words.is_subset(&facts.words)
        }
        Want::Code(code) => match code.rsplit_once('|') {
            Some((system, code)) => facts
                .qualified
                .contains(&(system.to_owned(), code.to_owned())),
            None => facts.codes.contains(&code.to_ascii_lowercase()),
        },
        Want::Type(name) => facts
            .types
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(name)),
        Want::And(parts) => parts.iter().all(|part| holds(facts, part)),
        Want::Or(parts) => parts.iter().any(|part| holds(facts, part)),
        Want::Not(part) => !holds(facts, part),
        Want::Between(from, to) => facts
            .started()
            .is_some_and(|day| from.as_str() <= day.as_str() && day.as_str() <= to.as_str()),
    }
}
