//! What a policy says beside who may do what: how many actions, and how long entries are kept.
//!
//! Bytes of [`Limits`]: count (u32) and so many (subtype as borsh text, u32), ascending; then optional u32; then
//! optional u64. Bytes of [`Retention`]: count (u32) and so many (class u8, u16), ascending.

use crate::audit::{ActionClass, MAX_SUBTYPE_BYTES};
use borsh::io::{Error, ErrorKind, Read};
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;

/// Most actions with a bound of their own.
pub const MAX_LIMITED_ACTIONS: usize = 64;
/// Slot length of [`Limits`] that name none: an hour.
pub const DEFAULT_SLOT_MILLIS: u64 = 60 * 60 * 1000;
/// Shortest slot: a second.
pub const MIN_SLOT_MILLIS: u64 = 1_000;
/// Longest slot: 31 days.
pub const MAX_SLOT_MILLIS: u64 = 31 * 24 * 60 * 60 * 1000;
/// Longest retention, months: a century.
pub const MAX_RETENTION_MONTHS: u16 = 1_200;

/// Bounds on the entries of the audit log (DESIGN 5.3): D by action and slot, R by slot. What is not named is not
/// bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Limits {
    /// D: most entries of an action in a slot, by subtype (`upload`) or name (`read`).
    #[borsh(deserialize_with = "bounded_actions")]
    pub per_action: BTreeMap<String, u32>,
    /// R: most entries in a slot.
    pub per_slot: Option<u32>,
    /// Length of a slot, milliseconds; [`DEFAULT_SLOT_MILLIS`] if none is named. Slot n begins at n times this.
    pub slot_millis: Option<u64>,
}

/// How long entries are kept, in months after the one they are of. A class that is not named is kept for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Retention {
    /// Months by class.
    #[borsh(deserialize_with = "bounded_classes")]
    pub months: BTreeMap<ActionClass, u16>,
}

/// Why limits or retention are not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// Too many actions have a bound.
    #[error("bounds for {found} actions, at most {limit}")]
    Actions {
        /// The limit.
        limit: usize,
        /// Actions found.
        found: usize,
    },
    /// No action has such a name.
    #[error("an action's name of {found} bytes, 1 to {limit} allowed")]
    Name {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// Nothing could ever be done.
    #[error("a bound of 0 for {of}: forbid it by a policy instead")]
    Nothing {
        /// What is bounded.
        of: String,
    },
    /// The slot is too short or too long.
    #[error("a slot of {found} ms, {least} to {most} allowed")]
    Slot {
        /// Shortest.
        least: u64,
        /// Longest.
        most: u64,
        /// Found.
        found: u64,
    },
    /// The retention is too short or too long.
    #[error("{class} kept for {found} months, 1 to {most} allowed")]
    Months {
        /// Name of the class.
        class: &'static str,
        /// Longest.
        most: u16,
        /// Found.
        found: u16,
    },
}

impl Limits {
    /// Length of a slot, milliseconds.
    pub fn slot_millis(&self) -> u64 {
        self.slot_millis.unwrap_or(DEFAULT_SLOT_MILLIS)
    }

    /// D of an action: that of its subtype, or else that of its name.
    pub fn of_action(&self, subtype: &str, action: &str) -> Option<u32> {
        let bound = |name: &str| self.per_action.get(name).copied();
        bound(subtype).or_else(|| bound(action))
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ParamsError`].
    pub fn check(&self) -> Result<(), ParamsError> {
        let found = self.per_action.len();
        if found > MAX_LIMITED_ACTIONS {
            return Err(ParamsError::Actions {
                limit: MAX_LIMITED_ACTIONS,
                found,
            });
        }
        for (name, bound) in &self.per_action {
            let found = name.len();
            if !(1..=MAX_SUBTYPE_BYTES).contains(&found) {
                return Err(ParamsError::Name {
                    limit: MAX_SUBTYPE_BYTES,
                    found,
                });
            }
            if *bound == 0 {
                return Err(ParamsError::Nothing { of: name.clone() });
            }
        }
        if self.per_slot == Some(0) {
            return Err(ParamsError::Nothing {
                of: "the slot".to_owned(),
            });
        }
        let slot = self.slot_millis();
        if !(MIN_SLOT_MILLIS..=MAX_SLOT_MILLIS).contains(&slot) {
            return Err(ParamsError::Slot {
                least: MIN_SLOT_MILLIS,
                most: MAX_SLOT_MILLIS,
                found: slot,
            });
        }
        Ok(())
    }
}

impl Retention {
    /// Months that entries of a class are kept; none for good.
    pub fn months_of(&self, class: ActionClass) -> Option<u16> {
        self.months.get(&class).copied()
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ParamsError`].
    pub fn check(&self) -> Result<(), ParamsError> {
        for (class, months) in &self.months {
            if !(1..=MAX_RETENTION_MONTHS).contains(months) {
                return Err(ParamsError::Months {
                    class: class.as_str(),
                    most: MAX_RETENTION_MONTHS,
                    found: *months,
                });
            }
        }
        Ok(())
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// A map's rows: at most `limit`, ascending, so that it has one encoding.
fn rows<R: Read, K: Ord, V>(
    reader: &mut R,
    limit: usize,
    mut row: impl FnMut(&mut R) -> borsh::io::Result<(K, V)>,
) -> borsh::io::Result<BTreeMap<K, V>> {
    let count = u32::deserialize_reader(reader)? as usize;
    if count > limit {
        return Err(invalid("more rows than allowed"));
    }
    let mut rows = BTreeMap::new();
    for _ in 0..count {
        let (key, value) = row(reader)?;
        if rows.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(invalid("rows out of order"));
        }
        rows.insert(key, value);
    }
    Ok(rows)
}

fn bounded_actions<R: Read>(reader: &mut R) -> borsh::io::Result<BTreeMap<String, u32>> {
    rows(reader, MAX_LIMITED_ACTIONS, |reader| {
        let length = u32::deserialize_reader(reader)? as usize;
        if length > MAX_SUBTYPE_BYTES {
            return Err(invalid("an action's name over its bound"));
        }
        let mut name = vec![0; length];
        reader.read_exact(&mut name)?;
        let name = String::from_utf8(name).map_err(|_| invalid("an action's name is no text"))?;
        Ok((name, u32::deserialize_reader(reader)?))
    })
}

fn bounded_classes<R: Read>(reader: &mut R) -> borsh::io::Result<BTreeMap<ActionClass, u16>> {
    rows(reader, ActionClass::ALL.len(), |reader| {
        Ok((
            ActionClass::deserialize_reader(reader)?,
            u16::deserialize_reader(reader)?,
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::codec;

    fn limits() -> Limits {
        Limits {
            per_action: [("read".to_owned(), 500), ("upload".to_owned(), 20)].into(),
            per_slot: Some(1_000),
            slot_millis: Some(60_000),
        }
    }

    #[test]
    fn decodes_what_it_encodes_and_nothing_else() {
        let retention = Retention {
            months: [
                (ActionClass::ClinicalRead, 36),
                (ActionClass::Emergency, 120),
            ]
            .into(),
        };
        let bytes = codec::encode(&(limits(), retention.clone()));
        assert_eq!(
            codec::decode_exact::<(Limits, Retention)>(&bytes, 1024).unwrap(),
            (limits(), retention)
        );
        let swapped: Vec<u8> = codec::encode(&vec![("upload", 20u32), ("read", 500)]);
        let rest = codec::encode(&(None::<u32>, None::<u64>));
        assert!(codec::decode_exact::<Limits>(&[swapped, rest.clone()].concat(), 1024).is_err());
        let many: Vec<(String, u32)> = (0..=MAX_LIMITED_ACTIONS)
            .map(|n| (format!("a{n:03}"), 1))
            .collect();
        let over = [codec::encode(&many), rest.clone()].concat();
        assert!(codec::decode_exact::<Limits>(&over, 4096).is_err());
        let long = vec![("x".repeat(MAX_SUBTYPE_BYTES + 1), 1u32)];
        assert!(
            codec::decode_exact::<Limits>(&[codec::encode(&long), rest].concat(), 1024).is_err()
        );
        let twice = codec::encode(&vec![(ActionClass::Emergency, 1u16); 2]);
        assert!(codec::decode_exact::<Retention>(&twice, 64).is_err());
    }

    #[test]
    fn a_bound_is_found_by_subtype_before_name() {
        let limits = limits();
        assert_eq!(limits.of_action("upload", "create"), Some(20));
        assert_eq!(limits.of_action("meta-lookup", "read"), Some(500));
        assert_eq!(limits.of_action("issue-tokens", "execute"), None);
        assert_eq!(limits.slot_millis(), 60_000);
        assert_eq!(Limits::default().slot_millis(), DEFAULT_SLOT_MILLIS);
    }

    #[test]
    fn each_bound_is_checked() {
        assert_eq!(limits().check(), Ok(()));
        assert_eq!(Limits::default().check(), Ok(()));
        let with = |change: fn(&mut Limits)| {
            let mut changed = limits();
            change(&mut changed);
            changed.check().unwrap_err()
        };
        let none = with(|l| l.per_slot = Some(0));
        assert!(matches!(none, ParamsError::Nothing { .. }));
        let none = with(|l| l.per_action = [("read".into(), 0)].into());
        assert!(matches!(none, ParamsError::Nothing { .. }));
        let nameless = with(|l| l.per_action = [(String::new(), 1)].into());
        assert!(matches!(nameless, ParamsError::Name { .. }));
        for millis in [MIN_SLOT_MILLIS - 1, MAX_SLOT_MILLIS + 1] {
            let changed = Limits {
                slot_millis: Some(millis),
                ..limits()
            };
            assert!(matches!(changed.check(), Err(ParamsError::Slot { .. })));
        }
        let many = with(|l| l.per_action = (0..65).map(|n| (format!("a{n}"), 1)).collect());
        assert!(matches!(many, ParamsError::Actions { .. }));
        for months in [0, MAX_RETENTION_MONTHS + 1] {
            let retention = Retention {
                months: [(ActionClass::AuditRead, months)].into(),
            };
            assert!(matches!(retention.check(), Err(ParamsError::Months { .. })));
        }
    }
}
