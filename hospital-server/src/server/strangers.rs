//! How many attempts by strangers get an audit entry of their own, and how many one caller may have of what
//! anybody may ask for.

use caduceus_crypto::TimeMillis;
use std::collections::HashMap;

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
            more => Some(format!(
                "{reason}; {more} more attempts by strangers since the last such entry"
            )),
        }
    }
}

/// Callers counted at once. Whoever would be one more waits for the next minute.
const MAX_CALLERS: usize = 4096;

/// Counts requests by caller, a minute at a time.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    minute: u64,
    counts: HashMap<Vec<u8>, u32>,
}

impl Callers {
    /// Counts a request; false if it is over the caller's limit for this minute.
    pub(crate) fn admit(&mut self, now: TimeMillis, caller: &[u8], limit: u32) -> bool {
        let minute = now.0 / 60_000;
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        let full = self.counts.len() >= MAX_CALLERS;
        match self.counts.get_mut(caller) {
            Some(count) if *count >= limit => false,
            Some(count) => {
                *count += 1;
                true
            }
            None if full => false,
            None => {
                self.counts.insert(caller.to_vec(), 1);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_a_limit_of_its_own_in_each_minute() {
        let mut callers = Callers::default();
        let admitted = (0..10)
            .filter(|n| callers.admit(TimeMillis(600_000 + n), b"loud", 3))
            .count();
        assert_eq!(admitted, 3);
        assert!(callers.admit(TimeMillis(600_011), b"quiet", 3));
        assert!(callers.admit(TimeMillis(660_000), b"loud", 3));
        for n in 0..MAX_CALLERS {
            callers.admit(TimeMillis(720_000), &n.to_le_bytes(), 3);
        }
        assert!(!callers.admit(TimeMillis(720_001), b"one more", 3));
        assert!(callers.admit(TimeMillis(720_001), &7usize.to_le_bytes(), 3));
    }

    #[test]
    fn a_flood_is_summed_up_in_the_next_minute() {
        let mut strangers = Strangers::default();
        let entered = (0..100)
            .filter(|n| strangers.count(TimeMillis(600_000 + n), "no").is_some())
            .count();
        assert_eq!(entered, 60);
        let next = strangers.count(TimeMillis(660_000), "no");
        assert!(next.is_some_and(|text| text.contains("40 more")));
        assert_eq!(
            strangers.count(TimeMillis(660_001), "no").as_deref(),
            Some("no")
        );
    }
}
