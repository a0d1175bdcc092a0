use super::*;
use proptest::prelude::*;

#[test]
fn known_days() {
    assert_eq!(Epoch::from_ymd(1970, 1, 1), Some(Epoch(0)));
    assert_eq!(Epoch::from_ymd(1972, 2, 29), Some(Epoch(789)));
    assert_eq!(Epoch::from_ymd(2000, 2, 29), Some(Epoch(11_016)));
    assert_eq!(Epoch::from_ymd(2000, 3, 1), Some(Epoch(11_017)));
    assert_eq!(Epoch::from_ymd(2024, 5, 17), Some(Epoch(19_860)));
    assert_eq!(Epoch::from_ymd(2100, 3, 1), Some(Epoch(47_541)));
    assert_eq!(TimeMillis(1_715_934_600_123).epoch(), Epoch(19_860));
    assert_eq!(
        TimeMillis(1_715_934_600_123).to_string(),
        "2024-05-17T08:30:00.123Z"
    );
}

#[test]
fn impossible_dates_are_refused() {
    for (y, m, d) in [
        (1969, 12, 31),
        (2023, 2, 29),
        (2100, 2, 29),
        (2024, 2, 30),
        (2024, 0, 1),
        (2024, 13, 1),
        (2024, 4, 31),
        (2024, 1, 0),
        (2024, 1, 32),
    ] {
        assert_eq!(Epoch::from_ymd(y, m, d), None, "{y}-{m}-{d}");
    }
    for text in [
        "",
        "2024-5-17",
        "2024-05-17 ",
        "+024-05-17",
        "2024/05/17",
        "2024-05-1\u{e9}",
        "1969-12-31",
    ] {
        assert_eq!(text.parse::<Epoch>(), Err(DateError), "{text}");
    }
}

#[test]
fn every_day_from_1970_to_2200_round_trips_and_follows_the_one_before() {
    let last = Epoch::from_ymd(2200, 12, 31).unwrap();
    assert_eq!(last, Epoch(84_370));
    let mut before = (1969u16, 12u8, 31u8);
    for day in 0..=last.0 {
        let epoch = Epoch(day);
        let (y, m, d) = epoch.ymd();
        assert_eq!(Epoch::from_ymd(y, m, d), Some(epoch));
        assert_eq!(epoch.to_string().parse::<Epoch>(), Ok(epoch));
        let follows = match before {
            (by, bm, bd) if d > 1 => (y, m, d) == (by, bm, bd + 1),
            (by, 12, 31) => (y, m, d) == (by + 1, 1, 1),
            (by, bm, bd) => (y, m, d) == (by, bm + 1, 1) && bd == days_in_month(by, bm),
        };
        assert!(follows, "{before:?} then {:?}", (y, m, d));
        before = (y, m, d);
    }
}

#[test]
fn quarters_tile_the_days() {
    let mut quarter = Quarter(1970 * 4);
    let mut day = 0u32;
    while quarter < Quarter(2201 * 4) {
        assert_eq!(quarter.first(), Epoch(day));
        let last = quarter.last();
        assert!((89..=91).contains(&(last.0 - day)), "{quarter}");
        for inside in day..=last.0 {
            assert_eq!(Epoch(inside).quarter(), quarter);
            assert_eq!(u32::from(Epoch(inside).day_of_quarter()), inside - day);
        }
        day = last.0 + 1;
        quarter = quarter.next();
    }
    assert_eq!(
        Epoch::from_ymd(2024, 5, 17).unwrap().quarter(),
        Quarter(2024 * 4 + 1)
    );
    assert_eq!(Quarter(2024 * 4 + 1).to_string(), "2024Q2");
}

#[test]
fn extremes_do_not_panic() {
    assert_eq!(TimeMillis(u64::MAX).epoch(), Epoch(u32::MAX));
    assert_eq!(Epoch(u32::MAX).quarter(), Quarter(u16::MAX));
    assert_eq!(Epoch(u32::MAX).day_of_quarter(), u8::MAX);
    assert_eq!(Epoch(u32::MAX).ymd().0, u16::MAX);
    assert_eq!(Quarter(0).first(), Epoch(0));
    assert_eq!(Quarter(0).last(), Epoch(0));
    assert_eq!(Quarter(u16::MAX).next(), Quarter(u16::MAX));
    assert!(Quarter(u16::MAX).last() > Quarter(u16::MAX).first());
    assert!(!Epoch(u32::MAX).to_string().is_empty());
    assert!(!TimeMillis(u64::MAX).to_string().is_empty());
}

#[test]
fn serde_is_the_bare_number() {
    assert_eq!(serde_json::to_string(&TimeMillis(7)).unwrap(), "7");
    assert_eq!(serde_json::to_string(&Epoch(7)).unwrap(), "7");
    assert_eq!(
        serde_json::from_str::<Quarter>("8097").unwrap(),
        Quarter(8097)
    );
}

proptest! {
    #[test]
    fn ymd_round_trip(year in 1970u16..=2200, month in 1u8..=12, day in 1u8..=31) {
        match Epoch::from_ymd(year, month, day) {
            Some(epoch) => prop_assert_eq!(epoch.ymd(), (year, month, day)),
            None => prop_assert!(day > days_in_month(year, month)),
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(text in ".{0,12}") {
        if let Ok(epoch) = text.parse::<Epoch>() {
            prop_assert_eq!(epoch.to_string(), text);
        }
    }

    #[test]
    fn any_instant_lies_in_its_day(millis in 0u64..u64::from(u32::MAX) * MILLIS_PER_DAY) {
        let start = TimeMillis(millis).epoch().start().0;
        prop_assert!(start <= millis && millis - start < MILLIS_PER_DAY);
    }
}
