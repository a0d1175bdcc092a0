//! The private chain's end while it brings nothing new: the newest header on record must still stand there.

use super::{AFTER_FAILURE, SILENCE};
use std::time::Instant;

/// What is known of the newest header on record, by the nodes that were asked.
#[derive(Debug, Default)]
pub(super) struct End {
    /// When it was last seen to stand.
    stood: Option<Instant>,
    /// Since when no node shows it.
    absent: Option<Instant>,
}

impl End {
    /// Whether to ask for it again: not at every look, as long as it stands.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.stood
            .is_none_or(|at| now.saturating_duration_since(at) >= AFTER_FAILURE)
    }

    /// It stands.
    pub(super) fn stands(&mut self, now: Instant) {
        (self.stood, self.absent) = (Some(now), None);
    }

    /// A node does not show it. Gives whether that is so for too long: a node may be behind, and each gets its turn.
    pub(super) fn is_lost(&mut self, now: Instant) -> bool {
        self.stood = None;
        let since = *self.absent.get_or_insert(now);
        now.saturating_duration_since(since) > SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_header_that_is_absent_for_long_is_lost_until_it_stands_again() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        let mut end = End::default();
        assert!(end.is_due(begun));
        end.stands(begun);
        assert!(!end.is_due(after(999)));
        assert!(end.is_due(after(1_000)));
        assert!(!end.is_lost(after(2_000)));
        assert!(end.is_due(after(2_001)));
        assert!(!end.is_lost(after(62_000)));
        assert!(end.is_lost(after(62_001)));
        assert!(end.is_lost(after(63_000)));
        end.stands(after(64_000));
        assert!(!end.is_lost(after(65_000)));
    }
}
