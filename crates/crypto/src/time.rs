//! Time as the system counts it: milliseconds, days (epochs) and quarters, all UTC.
//!
//! There is no clock here; every instant is an argument. Calendar arithmetic is the proleptic Gregorian
//! calendar's, after the algorithms of Howard Hinnant ("chrono-compatible low-level date algorithms").

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Milliseconds of a day.
pub const MILLIS_PER_DAY: u64 = 86_400_000;

/// An instant: Unix time in milliseconds, UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct TimeMillis(pub u64);

impl TimeMillis {
    /// The UTC day of the instant. Saturates after the last [`Epoch`] (in year 11,761,191).
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 / MILLIS_PER_DAY).unwrap_or(u32::MAX))
    }
}

/// ISO 8601, for people: `2024-05-17T08:30:00.000Z`.
impl fmt::Display for TimeMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_day = self.0 % MILLIS_PER_DAY;
        let seconds = in_day / 1000;
        let text = format!(
            "{}T{:02}:{:02}:{:02}.{:03}Z",
            self.epoch(),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            in_day % 1000
        );
        f.pad(&text)
    }
}

/// A UTC day: days since 1970-01-01. The unit in which index tags change (DESIGN 3.4).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The day with this date; none before 1970 or when the calendar has no such day.
    pub fn from_ymd(year: u16, month: u8, day: u8) -> Option<Epoch> {
        if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month)
        {
            return None;
        }
        Some(Epoch(days_from_civil(
            u32::from(year),
            u32::from(month),
            u32::from(day),
        )))
    }

    /// Year, month (1 to 12) and day (1 to 31). The year saturates at 65,535.
    pub fn ymd(self) -> (u16, u8, u8) {
        let (year, month, day) = civil_from_days(self.0);
        (u16::try_from(year).unwrap_or(u16::MAX), month, day)
    }

    /// The quarter that holds the day. Saturates at the last quarter of year 16,383.
    pub fn quarter(self) -> Quarter {
        let (year, month, _) = civil_from_days(self.0);
        let index = u64::from(year) * 4 + u64::from((month - 1) / 3);
        Quarter(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Position in its quarter, 0 to 91: the leaf of the day in a keyword's tree. Days after year 16,383 have
    /// no quarter of their own and yield 255.
    pub fn day_of_quarter(self) -> u8 {
        u8::try_from(self.0 - self.quarter().first().0).unwrap_or(u8::MAX)
    }

    /// First instant of the day.
    pub fn start(self) -> TimeMillis {
        TimeMillis(u64::from(self.0) * MILLIS_PER_DAY)
    }
}

/// ISO 8601 date: `2024-05-17`.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0);
        f.pad(&format!("{year:04}-{month:02}-{day:02}"))
    }
}

/// A text that is not a date of the form `2024-05-17`, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date: YYYY-MM-DD from 1970-01-01 expected")]
pub struct DateError;

impl FromStr for Epoch {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let bytes = text.as_bytes();
        let shape = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| match i {
                4 | 7 => *b == b'-',
                _ => b.is_ascii_digit(),
            });
        if !shape {
            return Err(DateError);
        }
        // The shape is ASCII, so the slices fall on character boundaries.
        let year: u16 = text[..4].parse().map_err(|_| DateError)?;
        let month: u8 = text[5..7].parse().map_err(|_| DateError)?;
        let day: u8 = text[8..].parse().map_err(|_| DateError)?;
        Epoch::from_ymd(year, month, day).ok_or(DateError)
    }
}

/// A calendar quarter: year * 4 + (month - 1) / 3. The unit in which index keys change (DESIGN 3.4).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Quarter(pub u16);

impl Quarter {
    /// Its first day. Quarters before 1970 have none and yield 1970-01-01.
    pub fn first(self) -> Epoch {
        let year = u32::from(self.0 / 4);
        if year < 1970 {
            return Epoch(0);
        }
        Epoch(days_from_civil(year, u32::from(self.0 % 4) * 3 + 1, 1))
    }

    /// Its last day. Quarters before 1970 have none and yield 1970-01-01.
    pub fn last(self) -> Epoch {
        let year = self.0 / 4;
        if year < 1970 {
            return Epoch(0);
        }
        let month = (self.0 % 4) * 3 + 3;
        let month = u8::try_from(month).expect("a month is at most 12");
        let day = u32::from(days_in_month(year, month));
        Epoch(days_from_civil(u32::from(year), u32::from(month), day))
    }

    /// The quarter after it. Saturates at the last quarter of year 16,383.
    pub fn next(self) -> Quarter {
        Quarter(self.0.saturating_add(1))
    }
}

/// `2024Q2`.
impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}Q{}", self.0 / 4, self.0 % 4 + 1))
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date from 1970 on.
fn days_from_civil(year: u32, month: u32, day: u32) -> u32 {
    // The year begins in March, so that the leap day is its last day.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse: year, month, day.
fn civil_from_days(days: u32) -> (u32, u8, u8) {
    let days = u64::from(days) + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (
        u32::try_from(year).expect("2^32 days are 11.8 million years"),
        u8::try_from(month).expect("a month is at most 12"),
        u8::try_from(day).expect("a day is at most 31"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
