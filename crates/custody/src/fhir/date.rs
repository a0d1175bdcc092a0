//! Clinical days: when something happened, as the source wrote it. Not the day of anchoring.

use std::fmt;

use ::time::{Date, Month};
use caduceus_crypto::time::Epoch;

use super::concepts::Concepts;

/// The Julian day number of 1970-01-01.
const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// A day of the (proleptic) Gregorian calendar. Unlike [`Epoch`] it reaches before 1970, as histories do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClinicalDate(Date);

/// A calendar unit that keywords name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Day,
    Month,
    Year,
    Decade,
}

impl ClinicalDate {
    /// A day of the years 1 to 9999; `month` and `day` count from 1. `None` when the calendar lacks it.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        if !(1..=9999).contains(&year) {
            return None;
        }
        Self::in_calendar(year, month, day)
    }

    /// Reads a FHIR `date`, `dateTime` or `instant`: the day as written, whatever the zone. `2014-05` stands for
    /// its first day, and so does `2014`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, has_time) = match text.split_once('T') {
            Some((_, "")) => return None,
            Some((date, _)) => (date, true),
            None => (text, false),
        };
        let parts: Vec<&str> = date.split('-').collect();
        match parts.as_slice() {
            [year, month, day] => Self::new(
                i32::from(digits(year, 4)?),
                u8::try_from(digits(month, 2)?).ok()?,
                u8::try_from(digits(day, 2)?).ok()?,
            ),
            [year, month] if !has_time => Self::new(
                i32::from(digits(year, 4)?),
                u8::try_from(digits(month, 2)?).ok()?,
                1,
            ),
            [year] if !has_time => Self::new(i32::from(digits(year, 4)?), 1, 1),
            _ => None,
        }
    }

    /// The year, 1 to 9999.
    #[must_use]
    pub fn year(self) -> i32 {
        self.0.year()
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        u8::from(self.0.month())
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.0.day()
    }

    /// The same day counted from 1970-01-01; `None` before.
    #[must_use]
    pub fn epoch(self) -> Option<Epoch> {
        u32::try_from(self.0.to_julian_day() - UNIX_EPOCH_JULIAN_DAY)
            .ok()
            .map(Epoch)
    }

    /// The first day of the unit this day lies in.
    pub(crate) fn first_of(self, unit: Unit) -> Self {
        let year = self.year();
        let first = match unit {
            Unit::Day => return self,
            Unit::Month => Self::in_calendar(year, self.month(), 1),
            Unit::Year => Self::in_calendar(year, 1, 1),
            Unit::Decade => Self::in_calendar(year - year.rem_euclid(10), 1, 1),
        };
        first.expect("every month and every year of the calendar has a first day")
    }

    /// The last day of the unit this day lies in.
    pub(crate) fn last_of(self, unit: Unit) -> Self {
        let year = self.year();
        let last = match unit {
            Unit::Day => return self,
            Unit::Month => Self::in_calendar(year, self.month(), self.0.month().length(year)),
            Unit::Year => Self::in_calendar(year, 12, 31),
            Unit::Decade => Self::in_calendar(year - year.rem_euclid(10) + 9, 12, 31),
        };
        last.expect("every month and every year of the calendar has a last day")
    }

    /// The day after; `None` at the end of the calendar.
    pub(crate) fn next(self) -> Option<Self> {
        self.0.next_day().map(Self)
    }

    fn in_calendar(year: i32, month: u8, day: u8) -> Option<Self> {
        let month = Month::try_from(month).ok()?;
        Date::from_calendar_date(year, month, day).ok().map(Self)
    }
}

impl fmt::Display for ClinicalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.year(),
            self.month(),
            self.day()
        )
    }
}

/// A number of exactly `length` ASCII digits.
fn digits(text: &str, length: usize) -> Option<u16> {
    if text.len() != length || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The clinical day of a record (rule 5 of [`crate::fhir`]), by which a date search is filtered exactly after
/// opening. `None` when the record has none or isn't JSON.
#[must_use]
pub fn clinical_date(record_json: &[u8]) -> Option<ClinicalDate> {
    let record: serde_json::Value = serde_json::from_slice(record_json).ok()?;
    Concepts::of(&record).clinical_date()
}

/// [`clinical_date`] counted in days since 1970-01-01; `None` also for a day before.
#[must_use]
pub fn clinical_day(record_json: &[u8]) -> Option<Epoch> {
    clinical_date(record_json).and_then(ClinicalDate::epoch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fhir_dates_are_read_as_written() {
        let day = |text: &str| ClinicalDate::parse(text).map(|date| date.to_string());
        assert_eq!(
            day("2010-04-19T23:15:38-04:00").as_deref(),
            Some("2010-04-19")
        );
        assert_eq!(
            day("2010-04-19T05:15:38.240Z").as_deref(),
            Some("2010-04-19")
        );
        assert_eq!(day("2012-02-29").as_deref(), Some("2012-02-29"));
        assert_eq!(day("2014-05").as_deref(), Some("2014-05-01"));
        assert_eq!(day("2014").as_deref(), Some("2014-01-01"));
        for bad in [
            "",
            "20140517",
            "2014-5-17",
            "2014-13",
            "2013-02-29",
            "2014-05T10:00",
            "2014-05-17T",
            "0000",
            "x",
        ] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_count_from_1970() {
        let days = |text: &str| ClinicalDate::parse(text).unwrap().epoch();
        assert_eq!(days("1970-01-01"), Some(Epoch(0)));
        assert_eq!(days("2000-03-01"), Some(Epoch(11_017)));
        assert_eq!(days("1969-12-31"), None);
    }

    #[test]
    fn units_have_ends() {
        let date = ClinicalDate::parse("2016-02-10").unwrap();
        let ends = |unit| format!("{} {}", date.first_of(unit), date.last_of(unit));
        assert_eq!(ends(Unit::Day), "2016-02-10 2016-02-10");
        assert_eq!(ends(Unit::Month), "2016-02-01 2016-02-29");
        assert_eq!(ends(Unit::Year), "2016-01-01 2016-12-31");
        assert_eq!(ends(Unit::Decade), "2010-01-01 2019-12-31");
        assert_eq!(
            date.last_of(Unit::Month).next().unwrap().to_string(),
            "2016-03-01"
        );
    }

    #[test]
    fn the_clinical_day_is_the_first_encounters() {
        let record = br#"{"resourceType":"Bundle","type":"collection","entry":[
            {"resource":{"resourceType":"Composition","date":"2001-01-01"}},
            {"resource":{"resourceType":"Encounter","period":{"start":"2019-03-04T10:00:00+01:00"}}},
            {"resource":{"resourceType":"Encounter","period":{"start":"2019-03"}}}]}"#;
        assert_eq!(clinical_date(record).unwrap().to_string(), "2019-03-01");
        assert_eq!(
            clinical_day(record).unwrap(),
            ClinicalDate::parse("2019-03-01").unwrap().epoch().unwrap()
        );
        let document = br#"{"resourceType":"Composition","date":"2001-02-03T04:05:06Z"}"#;
        assert_eq!(clinical_date(document).unwrap().to_string(), "2001-02-03");
        assert_eq!(clinical_date(br#"{"resourceType":"Patient"}"#), None);
        assert_eq!(clinical_date(b"{"), None);
    }
}
