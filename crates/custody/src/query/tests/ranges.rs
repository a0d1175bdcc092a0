//! Date ranges.

use super::*;

fn day(text: &str) -> ClinicalDate {
    ClinicalDate::parse(text).unwrap()
}

fn shown(from: &str, to: &str) -> Vec<String> {
    let range = DateRange::parse(from, to).unwrap();
    date_keywords(&range)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn ranges_are_named_by_the_coarsest_units() {
    assert_eq!(shown("2019-01-01", "2019-12-31"), ["year:2019"]);
    assert_eq!(shown("2010", "2019"), ["decade:2010"]);
    assert_eq!(shown("2024-05-17", "2024-05-17"), ["day:2024-05-17"]);
    assert_eq!(shown("2020-02", "2020-02"), ["month:2020-02"]);
    assert_eq!(
        shown("2018-12-31", "2020-01-02"),
        [
            "day:2018-12-31",
            "year:2019",
            "day:2020-01-01",
            "day:2020-01-02"
        ]
    );
    assert_eq!(
        shown("2019-11-30", "2030-01"),
        [
            "day:2019-11-30",
            "month:2019-12",
            "decade:2020",
            "month:2030-01"
        ]
    );
    // 58 days at the ends are too many: they are rounded to months.
    let rounded = shown("2019-01-03", "2019-03-29");
    assert_eq!(rounded, ["month:2019-01", "month:2019-02", "month:2019-03"]);
    assert_eq!(shown("1800", "2199").len(), MAX_DATE_KEYWORDS);
}

#[test]
fn mistakes_in_a_range() {
    assert_eq!(
        DateRange::parse("2020-06-30", "2019-01-01"),
        Err(DateRangeError::Reversed {
            from: day("2020-06-30"),
            to: day("2019-01-01")
        })
    );
    for bad in ["", "yesterday", "2020-13", "2020-01-01T10:00:00Z"] {
        assert_eq!(
            DateRange::parse(bad, "2021"),
            Err(DateRangeError::BadDate { found: bad.into() })
        );
    }
    assert_eq!(
        DateRange::parse("1799-12-31", "2000"),
        Err(DateRangeError::OutOfRange {
            date: day("1799-12-31")
        })
    );
    assert_eq!(DateRange::parse_open(None, None), Ok(None));
    let since = DateRange::parse_open(Some("2020-02"), None)
        .unwrap()
        .unwrap();
    assert_eq!(
        (since.from(), since.to()),
        (day("2020-02-01"), day("2199-12-31"))
    );
    let until = DateRange::parse_open(None, Some("2020-02"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (until.from(), until.to()),
        (day("1800-01-01"), day("2020-02-29"))
    );
}

#[test]
fn a_range_admits_records_exactly() {
    let range = DateRange::parse("2019-01-01", "2020-06-30").unwrap();
    let record = |start: &str| {
        format!(r#"{{"resourceType":"Encounter","period":{{"start":"{start}"}}}}"#).into_bytes()
    };
    assert!(range.admits(&record("2019-01-01T00:00:00+14:00")));
    assert!(range.admits(&record("2020-06-30")));
    assert!(!range.admits(&record("2020-07-01")));
    assert!(!range.admits(&record("2018")));
    assert!(!range.admits(br#"{"resourceType":"Encounter"}"#));
}

#[test]
fn every_day_of_a_range_is_covered() {
    let mut state = 7_u64;
    let mut draw = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..120 {
        let year = 1900 + i32::try_from(draw(200)).unwrap();
        let from = ClinicalDate::new(
            year,
            1 + u8::try_from(draw(12)).unwrap(),
            1 + u8::try_from(draw(28)).unwrap(),
        )
        .unwrap();
        let mut to = from;
        let longest = [3, 40, 400, 2_000, 6_000][usize::try_from(draw(5)).unwrap()];
        for _ in 0..draw(longest) {
            to = to.next().unwrap();
        }
        let range = DateRange::new(from, to).unwrap();
        for most in [2, 10, MAX_DATE_KEYWORDS] {
            let Some(keywords) = date_keywords_at_most(&range, most) else {
                continue;
            };
            assert!(keywords.len() <= most);
            let keywords: BTreeSet<Keyword> = keywords.into_iter().collect();
            let mut next = from;
            while next <= to {
                let named = Keyword::dates(next)
                    .iter()
                    .any(|keyword| keywords.contains(keyword));
                assert!(named, "{next} of {from} to {to}");
                next = next.next().unwrap();
            }
        }
    }
}
