//! What `verify` finds wrong, and how it is told.

use super::gaps::Gap;
use super::indexing::MissingKeyword;
use crate::error::PatientError;
use crate::state::FoundRecord;
use alliance_chain::RecordRef;
use caduceus_client::ClientError;
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_crypto::{Hash, HospitalId};
use std::fmt;

/// Keywords named in a line of detail; the evidence file has all.
const NAMED: usize = 5;
/// Nodes that are believed when they say that a hospital offers altered bytes.
const OPINIONS: usize = 2;

/// Something wrong with one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The hospital that answers for it.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// The record's hash.
    pub record_hash: Hash,
    /// What is wrong.
    pub fault: Fault,
    /// What became of the report to the alliance.
    pub reported: Reported,
}

/// What is wrong with a record. Displayed: the detail, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Promised by a receipt, and not linked by the deadline.
    MissedDeadline {
        /// The deadline.
        deadline: TimeMillis,
    },
    /// Linked otherwise than its receipt promised.
    NotAsPromised {
        /// The place under the promised pseudonym.
        at: RecordRef,
        /// The record linked there.
        record_hash: Hash,
        /// Hash of the index entries linked there.
        entries_hash: Hash,
        /// Whether the pseudonym has another R or view tag there than promised, so that she does not recognise the
        /// record as hers.
        other_pseudonym: bool,
    },
    /// Linked, and not to be found by all of its keywords.
    WronglyIndexed {
        /// The record.
        found: FoundRecord,
        /// The day of its tags.
        day: Epoch,
        /// The keywords.
        missing: Vec<MissingKeyword>,
    },
    /// Hidden from searches for a keyword by numbers left out before it.
    CounterGap(Gap),
    /// Linked, and not delivered as it was anchored, or it does not open, or is not what it calls itself.
    Unusable {
        /// The record.
        found: FoundRecord,
        /// Why.
        reason: String,
    },
}

/// What became of the report of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Nothing proves it to others without opening the record: it is hers to show.
    Unprovable,
    /// On the alliance chain, now or before.
    As(Hash),
    /// Reported already, by another client of hers.
    Already,
    /// The report was not committed.
    Failed(String),
}

impl Fault {
    /// Short name, for programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Fault::MissedDeadline { .. } => "missed-deadline",
            Fault::NotAsPromised { .. } => "not-as-promised",
            Fault::WronglyIndexed { .. } => "wrongly-indexed",
            Fault::CounterGap(_) => "counter-gap",
            Fault::Unusable { .. } => "unusable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::MissedDeadline { deadline } => {
                write!(f, "promised to be linked by {deadline}, and not linked")
            }
            Fault::NotAsPromised {
                at,
                record_hash,
                entries_hash,
                other_pseudonym,
            } => {
                write!(
                    f,
                    "linked at {at} as record {record_hash} with index entries {entries_hash}"
                )?;
                if *other_pseudonym {
                    f.write_str(" under a pseudonym that you can't recognise")?;
                }
                f.write_str(", which is not what the receipt promises")
            }
            Fault::WronglyIndexed { missing, .. } => {
                write!(f, "not found by {}", named(missing))
            }
            Fault::CounterGap(gap) => {
                write!(
                    f,
                    "hidden from searches for {} on {}: number {} is left out",
                    gap.keyword, gap.day, gap.first_missing
                )?;
                match &gap.before {
                    Some(before) => write!(f, " after record {}", before.record_hash),
                    None => Ok(()),
                }
            }
            Fault::Unusable { reason, .. } => f.write_str(reason),
        }
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reported::Unprovable => Ok(()),
            Reported::As(id) => write!(f, "{id}"),
            Reported::Already => f.write_str("already"),
            Reported::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

fn named(missing: &[MissingKeyword]) -> String {
    let first: Vec<&str> = missing
        .iter()
        .take(NAMED)
        .map(|each| each.keyword.as_str())
        .collect();
    let text = first.join(", ");
    match missing.len().checked_sub(NAMED) {
        None | Some(0) => text,
        Some(more) => format!("{text} and {more} more"),
    }
}

/// Whether an error in fetching or opening a record is the hospital's or the author's fault; else the record could
/// merely not be looked at now.
///
/// Bytes with the anchored hash that do not open are. That the hospital offers other bytes is only what nodes say, so
/// it takes two of them. That it offers none may be an outage, or a node's.
pub(super) fn is_their_fault(error: &PatientError) -> bool {
    match error {
        PatientError::Open(_) | PatientError::OtherRecord => true,
        PatientError::Client(ClientError::Tampered { nodes, .. }) => *nodes >= OPINIONS,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_custody::keyword::Keyword;
    use caduceus_custody::open::OpenError;

    #[test]
    fn a_long_list_of_keywords_is_cut() {
        let missing = |count: usize| -> Vec<MissingKeyword> {
            (0..count)
                .map(|number| MissingKeyword {
                    keyword: Keyword::term(&format!("word{number}")).unwrap(),
                    stop: None,
                })
                .collect()
        };
        assert_eq!(named(&missing(1)), "term:word0");
        assert!(named(&missing(NAMED)).ends_with("term:word4"));
        assert!(named(&missing(NAMED + 2)).ends_with("term:word4 and 2 more"));
    }

    fn tampered(nodes: usize) -> PatientError {
        let error = ClientError::Tampered {
            hospital: HospitalId([1; 32]),
            record_hash: Hash::ZERO,
            nodes,
        };
        error.into()
    }

    #[test]
    fn what_shows_is_somebodys_fault() {
        assert!(is_their_fault(&PatientError::Open(OpenError::KeyWrap)));
        assert!(is_their_fault(&PatientError::OtherRecord));
        assert!(is_their_fault(&tampered(2)));
    }

    #[test]
    fn what_is_out_of_reach_is_nobodys_fault() {
        let withheld = ClientError::Withheld {
            hospital: HospitalId([1; 32]),
            record_hash: Hash::ZERO,
            detail: String::new(),
        };
        let unreachable = ClientError::Unreachable {
            who: String::new(),
            reason: String::new(),
        };
        let unverified = ClientError::Unverified {
            node: String::new(),
            reason: String::new(),
        };
        for error in [withheld, unreachable, unverified] {
            assert!(!is_their_fault(&error.into()));
        }
        // One node's word.
        assert!(!is_their_fault(&tampered(1)));
        assert!(!is_their_fault(&PatientError::NoCards));
    }

    #[test]
    fn a_pseudonym_that_she_cannot_recognise_is_told() {
        let fault = |other_pseudonym| Fault::NotAsPromised {
            at: RecordRef {
                height: 3,
                position: 0,
            },
            record_hash: Hash::ZERO,
            entries_hash: Hash::ZERO,
            other_pseudonym,
        };
        assert!(fault(true).to_string().contains("can't recognise, which"));
        assert!(!fault(false).to_string().contains("pseudonym"));
    }
}
