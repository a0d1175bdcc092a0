//! Times as people write them: a date, or RFC 3339.

use caduceus_crypto::time::{Epoch, TimeMillis};

/// Not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: 2026-11-28, 2026-11-28T09:30:00Z or 2026-11-28T10:30:00+01:00 expected")]
pub struct BadTime(pub String);

/// Reads a date, whose first instant in UTC is meant, or a time of RFC 3339. A fraction of a second beyond the
/// milliseconds is cut off.
///
/// # Errors
/// [`BadTime`], also for what is before 1970.
pub fn parse_time(text: &str) -> Result<TimeMillis, BadTime> {
    parse(text).ok_or_else(|| BadTime(text.to_owned()))
}

/// Reads an offset from UTC: `Z`, `+01:00` or `-05:30`, in minutes.
///
/// # Errors
/// [`BadTime`].
pub fn parse_offset(text: &str) -> Result<i32, BadTime> {
    offset(text).ok_or_else(|| BadTime(text.to_owned()))
}

fn parse(text: &str) -> Option<TimeMillis> {
    let (date, rest) = text.split_at_checked(10)?;
    let day: Epoch = date.parse().ok()?;
    let start = day.start().0;
    if rest.is_empty() {
        return Some(TimeMillis(start));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let b = clock.as_bytes();
    if b[2] != b':' || b[5] != b':' {
        return None;
    }
    let [hours, minutes, seconds] = [(0, 23), (3, 59), (6, 59)]
        .map(|(at, most)| two_digits(clock.get(at..at + 2)?).filter(|found| *found <= most));
    let mut millis =
        ((u64::from(hours?) * 60 + u64::from(minutes?)) * 60 + u64::from(seconds?)) * 1000;
    let mut rest = rest;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let first: String = fraction[..digits]
            .chars()
            .chain("000".chars())
            .take(3)
            .collect();
        millis += first.parse::<u64>().ok()?;
        rest = &fraction[digits..];
    }
    let minutes = i64::from(offset(rest)?);
    let at = i64::try_from(start + millis).ok()? - minutes * 60_000;
    u64::try_from(at).ok().map(TimeMillis)
}

fn offset(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (i32::from(hours) * 60 + i32::from(minutes)))
}

fn two_digits(text: &str) -> Option<u8> {
    let is_shape = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    is_shape.then(|| text.parse().ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_with_offsets() {
        let day = 1_715_000_000_000 / 86_400_000 * 86_400_000;
        for (text, after) in [
            ("2024-05-06", 0),
            ("2024-05-06T00:00:00Z", 0),
            ("2024-05-06 12:53:20Z", 46_400_000),
            ("2024-05-06T12:53:20.5Z", 46_400_500),
            ("2024-05-06t12:53:20.123999z", 46_400_123),
            ("2024-05-06T14:53:20+02:00", 46_400_000),
            ("2024-05-05T22:30:00-05:30", 14_400_000),
        ] {
            assert_eq!(parse_time(text).unwrap(), TimeMillis(day + after), "{text}");
        }
        // What is printed is read.
        let now = crate::testing::NOW;
        assert_eq!(parse_time(&now.to_string()).unwrap(), now);
    }

    #[test]
    fn nothing_else_is_a_time() {
        for text in [
            "",
            "2024-05",
            "2024-02-30",
            "2024-05-06T",
            "2024-05-06T12:53:20",
            "2024-05-06T24:00:00Z",
            "2024-05-06T12:60:00Z",
            "2024-05-06T12-53-20Z",
            "2024-05-06T+1:53:20Z",
            "2024-05-06T12:53:20.Z",
            "2024-05-06T12:53:20+2:00",
            "2024-05-06T12:53:20Z ",
            "1970-01-01T00:00:00+01:00",
            "1969-12-31",
            "2024-05-0\u{e9}",
            "2024-05-06T12:5\u{e9}:0Z",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_offset("+05:45").unwrap(), 345);
        assert!(parse_offset("5").is_err());
    }
}
