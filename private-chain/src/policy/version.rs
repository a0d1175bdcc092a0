//! Which policy set is in force at a height.

use super::params::{Limits, Retention};
use super::text::{MAX_TEXT_BYTES, PolicyProblems, PolicySet, in_force_by_default, parsed};
use borsh::io::{Error, ErrorKind, Read};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_ledger::Height;
use std::sync::Arc;

/// What a `Policy` transaction puts in force.
///
/// Bytes: generation u64, since u64, text as borsh text, then [`Limits`] and [`Retention`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PolicyVersion {
    /// Number of the proposal.
    pub generation: u64,
    /// First height that it judges.
    pub since: Height,
    /// The policies, at most [`MAX_TEXT_BYTES`]; they parse and validate.
    #[borsh(deserialize_with = "bounded_text")]
    pub text: String,
    /// How many actions.
    pub limits: Limits,
    /// How long entries are kept.
    pub retention: Retention,
}

/// What the chain knows of its policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PolicyRecord {
    /// Proposals so far, hence the number of the next.
    pub generation: u64,
    /// In force until the next is; none for the default.
    pub current: Option<PolicyVersion>,
    /// In force from its own height on.
    pub next: Option<PolicyVersion>,
}

impl PolicyRecord {
    /// The version in force at a height; none for the default.
    pub fn at(&self, height: Height) -> Option<&PolicyVersion> {
        match &self.next {
            Some(next) if next.since <= height => Some(next),
            _ => self.current.as_ref(),
        }
    }

    /// The policy set in force at a height.
    ///
    /// # Errors
    /// [`PolicyProblems`] when the text on record is none for this program.
    pub fn set_at(&self, height: Height) -> Result<Arc<PolicySet>, PolicyProblems> {
        match self.at(height) {
            Some(version) => parsed(&version.text),
            None => Ok(in_force_by_default()),
        }
    }

    /// The bounds in force at a height.
    pub fn limits_at(&self, height: Height) -> Limits {
        self.at(height)
            .map_or_else(Limits::default, |version| version.limits.clone())
    }

    /// The retention in force at a height.
    pub fn retention_at(&self, height: Height) -> Retention {
        self.at(height)
            .map_or_else(Retention::default, |version| version.retention.clone())
    }

    /// Takes in the next version at a height. What was to come before it and has not begun is given up.
    pub(crate) fn propose(&mut self, version: PolicyVersion, height: Height) {
        self.current = self.at(height).cloned();
        self.generation = version.generation + 1;
        self.next = Some(version);
    }
}

fn bounded_text<R: Read>(reader: &mut R) -> borsh::io::Result<String> {
    let invalid = |what: &'static str| Error::new(ErrorKind::InvalidData, what);
    let length = u32::deserialize_reader(reader)? as usize;
    if length > MAX_TEXT_BYTES {
        return Err(invalid("a policy text over its bound"));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text)?;
    String::from_utf8(text).map_err(|_| invalid("a policy text is no text"))
}
