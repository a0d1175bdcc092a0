//! Retention buckets: entries that are forgotten together.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::time::TimeMillis;
use std::fmt;
use std::str::FromStr;

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

/// Not the name of a class or a bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no retention bucket: a class and a month expected, like clinical-read-2026-11")]
pub struct UnknownBucket(pub String);

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

impl fmt::Display for ActionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ActionClass {
    type Err = UnknownBucket;

    fn from_str(text: &str) -> Result<Self, UnknownBucket> {
        ActionClass::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| UnknownBucket(text.to_owned()))
    }
}

/// Entries that share a bucket key and are forgotten together. Text form: `clinical-read-2026-11`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Bucket {
    /// Kind of action.
    pub class: ActionClass,
    /// Calendar month, UTC: year * 12 + (month - 1).
    pub month: u16,
}

impl Bucket {
    /// Calendar year of the month.
    pub fn year(&self) -> u16 {
        self.month / 12
    }

    /// Month of the year, 1 to 12.
    pub fn month_of_year(&self) -> u16 {
        self.month % 12 + 1
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.year(), self.month_of_year());
        write!(f, "{}-{year:04}-{month:02}", self.class)
    }
}

impl FromStr for Bucket {
    type Err = UnknownBucket;

    fn from_str(text: &str) -> Result<Self, UnknownBucket> {
        let unknown = || UnknownBucket(text.to_owned());
        let (rest, month) = text.rsplit_once('-').ok_or_else(unknown)?;
        let (class, year) = rest.rsplit_once('-').ok_or_else(unknown)?;
        let class: ActionClass = class.parse().map_err(|_| unknown())?;
        let year: u16 = year.parse().map_err(|_| unknown())?;
        let month: u16 = month.parse().map_err(|_| unknown())?;
        if !(1..=12).contains(&month) || year > 5460 {
            return Err(unknown());
        }
        let bucket = Bucket {
            class,
            month: year * 12 + month - 1,
        };
        // One text form each.
        if bucket.to_string() == text {
            Ok(bucket)
        } else {
            Err(unknown())
        }
    }
}

/// The calendar month of an instant, UTC: year * 12 + (month - 1). Saturates at year 5461.
pub fn month_of(time: TimeMillis) -> u16 {
    let (year, month, _) = time.epoch().ymd();
    let month = u64::from(year) * 12 + u64::from(month) - 1;
    u16::try_from(month).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_one_name() {
        for class in ActionClass::ALL {
            let bucket = Bucket {
                class,
                month: 2026 * 12 + 10,
            };
            let name = format!("{class}-2026-11");
            assert_eq!(bucket.to_string(), name);
            assert_eq!(name.parse::<Bucket>().unwrap(), bucket);
        }
        for wrong in [
            "",
            "clinical-read",
            "clinical-read-2026-13",
            "clinical-read-2026-00",
            "clinical-read-2026-1",
            "nothing-2026-11",
            "clinical-read-99999-11",
        ] {
            assert!(wrong.parse::<Bucket>().is_err(), "{wrong}");
        }
    }
}
