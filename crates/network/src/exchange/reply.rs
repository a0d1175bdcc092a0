//! The answer of a service that judges its callers.

use super::{MAX_DETAIL_BYTES, MAX_RULE_BYTES};
use crate::bounded::text;
use borsh::{BorshDeserialize, BorshSerialize};

/// What came of a request by a caller who showed a right to ask.
///
/// Bytes: `0` and the value; `1`, rule, detail; `2`, `u32` milliseconds, detail.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Reply<T> {
    /// Done. What had to be logged is in a committed block.
    Done(T),
    /// Refused by a rule; asking again brings the same.
    Denied {
        /// The rule's name, for programs.
        #[borsh(deserialize_with = "text::<_, MAX_RULE_BYTES>")]
        rule: String,
        /// What it says, for people.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
    /// Not now: a bound of the audit policy is reached, or the chain is not there. Nothing was done.
    Later {
        /// When to ask again, milliseconds from now.
        after_millis: u32,
        /// Why, for people.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
}

impl<T> Reply<T> {
    /// A denial; texts over their bounds are cut.
    pub fn denied(rule: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Denied {
            rule: cut(rule.into(), MAX_RULE_BYTES),
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }

    /// A postponement; a text over its bound is cut.
    pub fn later(after_millis: u32, detail: impl Into<String>) -> Self {
        Self::Later {
            after_millis,
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }
}

/// Shortens a text to a bound in bytes, at a character's border.
pub(super) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
