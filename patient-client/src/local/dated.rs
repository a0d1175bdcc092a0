//! Clinical days without opening: a record is indexed by its day, month, year and decade (DESIGN 3.4), so her own
//! eyes find its day in its index. To fetch just the records that match a local search would tell the hospital and
//! a node what the search was to hide.

use caduceus_crypto::time::Epoch;
use caduceus_custody::check::Seeker;
use caduceus_custody::fhir::ClinicalDate;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::query::DateRange;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Where a record lies by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dated {
    /// Within the range.
    Inside,
    /// Outside of it.
    Outside,
    /// Its index does not say, and why.
    Unknown(&'static str),
}

/// Which of her records lie in a range of clinical days, as their entries of these days of anchoring say.
pub(crate) fn by_clinical_day(
    seeker: &mut Seeker<'_>,
    records: &BTreeSet<usize>,
    days: &RangeInclusive<Epoch>,
    range: &DateRange,
) -> BTreeMap<usize, Dated> {
    let mut found: BTreeMap<usize, BTreeSet<ClinicalDate>> =
        records.iter().map(|at| (*at, BTreeSet::new())).collect();
    let mut ask = |keyword: Keyword, among: &BTreeSet<usize>| {
        if among.is_empty() {
            return BTreeSet::new();
        }
        seeker.records(keyword.as_str(), days, Some(among))
    };
    // From the coarse to the fine: what is not of a decade is of none of its days.
    let first = |year: i32, month: u8| ClinicalDate::new(year, month, 1);
    let decades = range.from().year() / 10..=range.to().year() / 10;
    for decade in decades.map(|decade| decade * 10) {
        let Some(date) = first(decade, 1) else {
            continue;
        };
        let of_decade = ask(Keyword::decade(date), records);
        for date in (decade..decade + 10).filter_map(|year| first(year, 1)) {
            let of_year = ask(Keyword::year(date), &of_decade);
            for date in (1..=12).filter_map(|month| first(date.year(), month)) {
                let of_month = ask(Keyword::month(date), &of_year);
                let day = |day| ClinicalDate::new(date.year(), date.month(), day);
                for date in (1..=31).filter_map(day) {
                    for record in ask(Keyword::day(date), &of_month) {
                        found.entry(record).or_default().insert(date);
                    }
                }
            }
        }
    }
    found
        .into_iter()
        .map(|(record, dates)| (record, judge(&dates, range)))
        .collect()
}

fn judge(dates: &BTreeSet<ClinicalDate>, range: &DateRange) -> Dated {
    let inside = dates.iter().filter(|date| range.contains(**date)).count();
    if dates.is_empty() {
        Dated::Unknown("its index does not say of which clinical day it is")
    } else if inside == dates.len() {
        Dated::Inside
    } else if inside == 0 {
        Dated::Outside
    } else {
        Dated::Unknown("its index says that it is of several clinical days")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::local::{OwnRecord, hits, linked_entries, seeker};
    use crate::testing::Clinic;
    use caduceus_custody::query::compile;
    use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};

    fn date(text: &str) -> ClinicalDate {
        ClinicalDate::parse(text).unwrap()
    }

    fn anchored() -> Epoch {
        Epoch::from_ymd(2026, 11, 20).unwrap()
    }

    fn record<S: IndexScheme>(clinic: &mut Clinic<S>, keywords: &[Keyword]) -> OwnRecord {
        let texts: Vec<&str> = keywords.iter().map(Keyword::as_str).collect();
        clinic.record(anchored(), &texts)
    }

    /// The hits of a search by dates alone, and what their index says.
    fn ask<S: IndexScheme>(clinic: &Clinic<S>, own: &[OwnRecord], range: &DateRange) -> Vec<Dated> {
        let history = clinic.history(own);
        let linked = linked_entries(own, &history);
        let mut seeker = seeker(&clinic.with(), &linked);
        let days = Epoch(0)..=anchored();
        let clauses = compile(None, Some(range)).unwrap();
        let hits = hits(&mut seeker, &clauses, &days);
        let found = by_clinical_day(&mut seeker, &hits, &days, range);
        (0..own.len())
            .map(|at| found.get(&at).copied().unwrap_or(Dated::Outside))
            .collect()
    }

    fn as_opening_says<S: IndexScheme>(dates: &[&str], range: &DateRange) -> usize {
        let mut clinic = Clinic::<S>::new(57);
        let own: Vec<OwnRecord> = dates
            .iter()
            .map(|text| record(&mut clinic, &Keyword::dates(date(text))))
            .collect();
        for (text, found) in dates.iter().zip(ask(&clinic, &own, range)) {
            let expected = if range.contains(date(text)) {
                Dated::Inside
            } else {
                Dated::Outside
            };
            assert_eq!(found, expected, "{text} under {}", S::ID);
        }
        dates.len()
    }

    /// The range takes more than 40 keywords, so a search's clause covers whole months.
    #[test]
    fn the_index_says_of_a_day_what_opening_would() {
        let range = DateRange::parse("2024-01-09", "2024-11-17").unwrap();
        let dates = [
            "2023-12-31",
            "2024-01-01",
            "2024-01-08",
            "2024-01-09",
            "2024-05-30",
            "2024-11-17",
            "2024-11-18",
            "2024-11-30",
            "2024-12-01",
        ];
        let asked = as_opening_says::<TagsScheme>(&dates, &range);
        println!("{asked} clinical days");
        // A scan takes a pairing an entry.
        as_opening_says::<PeksScheme>(&dates[2..4], &range);
        as_opening_says::<PaeksScheme>(&dates[5..7], &range);
    }

    #[test]
    fn what_the_index_does_not_say_is_not_made_up() {
        let range = DateRange::parse("2024-01-09", "2024-11-17").unwrap();
        let mut clinic = Clinic::<TagsScheme>::new(58);
        let [day, month, year, decade] = Keyword::dates(date("2024-05-30"));
        let [other_day, ..] = Keyword::dates(date("2024-05-31"));
        let [far_day, far_month, ..] = Keyword::dates(date("2024-12-24"));
        let own = [
            record(&mut clinic, &[month.clone(), year.clone(), decade.clone()]),
            record(
                &mut clinic,
                &[day.clone(), month.clone(), year.clone(), decade.clone()],
            ),
            record(
                &mut clinic,
                &[
                    day.clone(),
                    other_day,
                    month.clone(),
                    year.clone(),
                    decade.clone(),
                ],
            ),
            record(
                &mut clinic,
                &[day, far_day, month.clone(), far_month, year, decade],
            ),
        ];
        let found = ask(&clinic, &own, &range);
        assert!(matches!(found[0], Dated::Unknown(_)));
        assert_eq!(found[1..3], [Dated::Inside, Dated::Inside]);
        assert!(matches!(found[3], Dated::Unknown(_)));
    }
}
