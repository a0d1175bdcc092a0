//! Queries as people type them, turned into the clauses that a search can carry (DESIGN 3.4).
//!
//! ```text
//! asthma cough                     both words (AND may be written out)
//! asthma OR copd                   either
//! asthma NOT smoker, asthma -smoker   the first without the second
//! "acute bronchitis"               all words of the phrase, in whatever order
//! (asthma OR copd) AND type:Condition
//! code:38341003                    a code of any system
//! code:snomed|38341003             of one system: snomed, loinc, rxnorm, cvx, atc, icd10, icd10cm, or its URL
//! type:Immunization  year:2024  month:2024-05  day:2024-05-17  decade:2020
//! ```
//! NOT binds tightest, then AND (also unwritten), then OR. Operators count in any case; in quotes they are
//! words. A word of a single letter isn't indexed and is passed over.
//!
//! # What a search can say
//! A search is a conjunction of clauses; a clause is all positive (any of its keywords) or all negative (none
//! of them), and at least one is positive. So `a AND NOT b AND NOT c` is two clauses, and `NOT (b OR c)` is a
//! negative one. A query is brought to conjunctive normal form, and what its certain parts imply is used:
//! `a AND (b OR NOT a)` is `a AND b`. What stays a mixture, such as `a OR NOT b` or `NOT (a AND b)`, no search
//! can express, and it is refused with the words that are at fault.

mod cnf;
mod dates;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::cnf::{KeywordClause, MAX_CLAUSES, MAX_SLOTS, QueryCompileError, compile, matches};
pub use self::dates::{
    DateRange, DateRangeError, MAX_DATE_KEYWORDS, date_keywords, date_keywords_at_most,
};
pub use self::parser::{MAX_DEPTH, MAX_QUERY_BYTES, parse};
use crate::keyword::Keyword;

/// What a query means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryExpr {
    /// The record has the keyword.
    Has(Keyword),
    /// All hold.
    And(Vec<QueryExpr>),
    /// At least one holds.
    Or(Vec<QueryExpr>),
    /// It doesn't hold.
    Not(Box<QueryExpr>),
}

impl QueryExpr {
    /// Whether a record with these keywords is meant.
    #[must_use]
    pub fn matches(&self, keywords: &BTreeSet<Keyword>) -> bool {
        match self {
            Self::Has(keyword) => keywords.contains(keyword),
            Self::And(parts) => parts.iter().all(|part| part.matches(keywords)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(keywords)),
            Self::Not(part) => !part.matches(keywords),
        }
    }

    /// The clauses of a search without a date range: [`compile`].
    ///
    /// # Errors
    /// As [`compile`].
    pub fn compile(&self) -> Result<Vec<KeywordClause>, QueryCompileError> {
        compile(Some(self), None)
    }

    /// Every keyword that occurs.
    #[must_use]
    pub fn keywords(&self) -> BTreeSet<Keyword> {
        match self {
            Self::Has(keyword) => BTreeSet::from([keyword.clone()]),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().flat_map(|part| part.keywords()).collect()
            }
            Self::Not(part) => part.keywords(),
        }
    }

    /// All of the parts; `None` when there are none.
    pub(crate) fn all_of(mut parts: Vec<Self>) -> Option<Self> {
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Self::And(parts)),
        }
    }
}

/// Why a text isn't a query. Positions count characters from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuerySyntaxError {
    /// Nothing but blanks.
    #[error("the query is empty")]
    Empty,
    /// The text is too long.
    #[error("{found} bytes are more than the {limit} a query may have")]
    TooLong {
        /// Most bytes accepted.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// Parentheses or NOTs are nested too deep.
    #[error("nested more than {limit} deep at character {position}")]
    TooDeep {
        /// Where.
        position: usize,
        /// Deepest nesting accepted.
        limit: usize,
    },
    /// A quotation mark without its partner.
    #[error("the quotation mark at character {position} is never closed")]
    UnclosedQuote {
        /// Where the quotation starts.
        position: usize,
    },
    /// An opening parenthesis without its partner.
    #[error("the parenthesis at character {position} is never closed")]
    UnclosedParenthesis {
        /// Where it opens.
        position: usize,
    },
    /// A closing parenthesis without its partner.
    #[error("the parenthesis at character {position} closes nothing")]
    UnopenedParenthesis {
        /// Where it is.
        position: usize,
    },
    /// An operator, or a pair of parentheses, lacks what it should apply to.
    #[error("something to search for is missing at character {position}")]
    MissingOperand {
        /// Where it should be.
        position: usize,
    },
    /// No indexed word is in the text: one needs two letters or digits.
    #[error(
        "nothing at character {position} can be searched for: a word needs two letters or digits"
    )]
    NoWord {
        /// Where the text starts.
        position: usize,
    },
    /// `something:` that isn't a field.
    #[error(
        "{field:?} at character {position} is not a field (code, type, year, month, day, decade, term)"
    )]
    UnknownField {
        /// Where it is.
        position: usize,
        /// What was written before the colon.
        field: String,
    },
    /// `type:` with a name that isn't a clinical resource type of FHIR R4.
    #[error("{found:?} at character {position} is not a clinical FHIR resource type")]
    UnknownType {
        /// Where it is.
        position: usize,
        /// The name found.
        found: String,
    },
    /// `code:system|...` with a system that is neither a known short name nor a URI.
    #[error(
        "{found:?} at character {position} is not a code system (snomed, loinc, rxnorm, cvx, atc, icd10, icd10cm or a URL)"
    )]
    UnknownSystem {
        /// Where it is.
        position: usize,
        /// The system found.
        found: String,
    },
    /// A date that isn't one, or not of the form its field wants.
    #[error("{found:?} at character {position} is not a {field} (such as {example})")]
    BadDate {
        /// Where it is.
        position: usize,
        /// The field: year, month, day or decade.
        field: &'static str,
        /// A good one.
        example: &'static str,
        /// The text found.
        found: String,
    },
}
