//! How many attempts by strangers get an audit entry of their own.

use caduceus_crypto::TimeMillis;

/// Entries about strangers in a minute.
const EACH_MINUTE: u32 = 60;

/// Counts attempts by strangers.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    minute: u64,
    entered: u32,
    /// Attempts since the last entry that have none.
    uncounted: u64,
}

impl Strangers {
    /// Counts an attempt. Gives the reason to enter, with what was summed up before; none if it is summed up.
    pub(crate) fn count(&mut self, now: TimeMillis, reason: &str) -> Option<String> {
        let minute = now.0 / 60_000;
        if minute != self.minute {
            (self.minute, self.entered) = (minute, 0);
        }
        if self.entered >= EACH_MINUTE {
            self.uncounted += 1;
            return None;
        }
        self.entered += 1;
        match std::mem::take(&mut self.uncounted) {
            0 => Some(reason.to_owned()),
            more => Some(format!("{reason}; {more} more attempts by strangers since the last such entry")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_summed_up_in_the_next_minute() {
        let mut strangers = Strangers::default();
        let entered = (0..100)
            .filter(|n| strangers.count(TimeMillis(600_000 + n), "no").is_some())
            .count();
        assert_eq!(entered, 60);
        let next = strangers.count(TimeMillis(660_000), "no");
        assert!(next.is_some_and(|text| text.contains("40 more")));
        assert_eq!(strangers.count(TimeMillis(660_001), "no").as_deref(), Some("no"));
    }
}
