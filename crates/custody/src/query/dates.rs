//! Ranges of clinical days as an OR over date keywords (DESIGN 3.4).

use crate::fhir::{ClinicalDate, Unit, clinical_date};
use crate::keyword::Keyword;

/// Most keywords a date range takes. 24 slots are left for the rest of the query.
pub const MAX_DATE_KEYWORDS: usize = 40;

/// The years a range may touch: 40 decades, so that any range fits.
const YEARS: std::ops::RangeInclusive<i32> = 1800..=2199;

/// A range of clinical days, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateRange {
    from: ClinicalDate,
    to: ClinicalDate,
}

/// Why two texts aren't a range of days.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DateRangeError {
    /// Not a date.
    #[error("{found:?} is not a date (such as 2024-05-17, 2024-05 or 2024)")]
    BadDate {
        /// The text found.
        found: String,
    },
    /// The range ends before it starts.
    #[error("the range ends on {to}, before it starts on {from}")]
    Reversed {
        /// The first day.
        from: ClinicalDate,
        /// The last day.
        to: ClinicalDate,
    },
    /// A year outside 1800 to 2199.
    #[error("{date} is outside the years 1800 to 2199")]
    OutOfRange {
        /// The day at fault.
        date: ClinicalDate,
    },
}

impl DateRange {
    /// A range from its two days.
    ///
    /// # Errors
    /// [`DateRangeError::Reversed`], [`DateRangeError::OutOfRange`].
    pub fn new(from: ClinicalDate, to: ClinicalDate) -> Result<Self, DateRangeError> {
        for date in [from, to] {
            if !YEARS.contains(&date.year()) {
                return Err(DateRangeError::OutOfRange { date });
            }
        }
        if from > to {
            return Err(DateRangeError::Reversed { from, to });
        }
        Ok(Self { from, to })
    }

    /// Reads two dates: days, months or years. `from` means the first day of its month or year, `to` the last.
    ///
    /// # Errors
    /// A [`DateRangeError`].
    pub fn parse(from: &str, to: &str) -> Result<Self, DateRangeError> {
        Self::new(
            read(from)?.first_of(unit(from)),
            read(to)?.last_of(unit(to)),
        )
    }

    /// [`DateRange::parse`] with open ends, as `--from` and `--to` may be left out. `None` when both are.
    ///
    /// # Errors
    /// As [`DateRange::parse`].
    pub fn parse_open(
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Option<Self>, DateRangeError> {
        let (first, last) = (YEARS.start().to_string(), YEARS.end().to_string());
        if from.is_none() && to.is_none() {
            return Ok(None);
        }
        Self::parse(from.unwrap_or(&first), to.unwrap_or(&last)).map(Some)
    }

    /// The first day.
    #[must_use]
    pub fn from(&self) -> ClinicalDate {
        self.from
    }

    /// The last day.
    #[must_use]
    pub fn to(&self) -> ClinicalDate {
        self.to
    }

    /// Whether the range has the day.
    #[must_use]
    pub fn contains(&self, date: ClinicalDate) -> bool {
        (self.from..=self.to).contains(&date)
    }

    /// Whether an opened record lies in the range: the exact filter after an approximate search. A record
    /// without a clinical day lies in none.
    #[must_use]
    pub fn admits(&self, record_json: &[u8]) -> bool {
        clinical_date(record_json).is_some_and(|date| self.contains(date))
    }
}

fn read(text: &str) -> Result<ClinicalDate, DateRangeError> {
    let bad = || DateRangeError::BadDate {
        found: text.to_owned(),
    };
    // A time of day would be ignored without a word.
    if text.contains('T') {
        return Err(bad());
    }
    ClinicalDate::parse(text).ok_or_else(bad)
}

/// What a date that [`read`] accepts is exact to.
fn unit(text: &str) -> Unit {
    match text.len() {
        4 => Unit::Year,
        7 => Unit::Month,
        _ => Unit::Day,
    }
}

/// At most [`MAX_DATE_KEYWORDS`] keywords, any of which every record in the range has. They may cover more than
/// the range: filter with [`DateRange::admits`] after opening.
///
/// # Leakage
/// Nodes see how many keywords stand in one clause and, as with any keyword, which records match each: a
/// search by dates tells which records are of the same unit of time.
#[must_use]
pub fn date_keywords(range: &DateRange) -> Vec<Keyword> {
    date_keywords_at_most(range, MAX_DATE_KEYWORDS)
        .expect("the years a range may touch lie in MAX_DATE_KEYWORDS decades")
}

/// The keywords of a range, with a bound of one's own (a search may have few leaves left for dates). `None`
/// when even whole decades are too many: split the range.
///
/// Each stretch of the range is named by the coarsest unit that fits it, as in 2018-12-31, 2019, 2020-01. If
/// that takes too many keywords, the two ends are rounded outward, to months, to years, and then to decades.
#[must_use]
pub fn date_keywords_at_most(range: &DateRange, most: usize) -> Option<Vec<Keyword>> {
    [Unit::Day, Unit::Month, Unit::Year, Unit::Decade]
        .into_iter()
        .map(|finest| cover(range.from.first_of(finest), range.to.last_of(finest)))
        .find(|keywords| keywords.len() <= most)
}

/// The days from `from` to `to`, exactly.
fn cover(from: ClinicalDate, to: ClinicalDate) -> Vec<Keyword> {
    let mut keywords = Vec::new();
    let mut next = Some(from);
    while let Some(day) = next.filter(|day| *day <= to) {
        let coarsest = [Unit::Decade, Unit::Year, Unit::Month]
            .into_iter()
            .find(|unit| day.first_of(*unit) == day && day.last_of(*unit) <= to)
            .unwrap_or(Unit::Day);
        keywords.push(match coarsest {
            Unit::Decade => Keyword::decade(day),
            Unit::Year => Keyword::year(day),
            Unit::Month => Keyword::month(day),
            Unit::Day => Keyword::day(day),
        });
        next = day.last_of(coarsest).next();
    }
    keywords
}
