//! The next counter of each keyword (DESIGN 3.4): which of a keyword's tags of a day are committed.
//!
//! A search probes tag 0, 1, 2 and stops at the first that is missing, so the next counter is the first tag that
//! is not committed, and the tags are asked for from 0 on without a gap: in windows that double, for many
//! keywords in one request.
//!
//! # Leakage
//! The private node sees tags that it will see again when the record is anchored, and a few that come next.

use std::collections::BTreeMap;

use caduceus_crypto::index::Tag;
use caduceus_crypto::time::Epoch;
use caduceus_custody::tags::TagRequest;
use caduceus_network::exchange::MAX_TAGS as MAX_TAGS_ASKED;

/// Tags of each keyword in the first window: most keywords are new on a day.
const FIRST_WINDOW: usize = 4;

/// Records of one patient with one keyword on one day, at most. A node that claims more is not believed.
const MAX_COUNTER: u32 = 1 << 16;

/// What is known of one day's counters, from earlier answers and own uploads. Kept for a visit.
#[derive(Debug, Default)]
pub(super) struct Counters {
    day: Epoch,
    next: BTreeMap<String, u32>,
}

impl Counters {
    /// The counters of a day; those of another are forgotten.
    pub(super) fn of_day(&mut self, day: Epoch) -> &mut Self {
        if self.day != day {
            self.day = day;
            self.next.clear();
        }
        self
    }

    /// The next counter of a keyword, if it was asked for before.
    pub(super) fn next(&self, keyword: &str) -> Option<u32> {
        self.next.get(keyword).copied()
    }

    /// Takes over what a node answered.
    pub(super) fn learn(&mut self, keywords: &[String], counts: &[u32]) {
        for (keyword, count) in keywords.iter().zip(counts) {
            self.next.insert(keyword.clone(), *count);
        }
    }

    /// A record with these keywords and counters was anchored.
    pub(super) fn committed(&mut self, keywords: &[String], counts: &[u32]) {
        for (keyword, count) in keywords.iter().zip(counts) {
            self.next.insert(keyword.clone(), count.saturating_add(1));
        }
    }

    /// Somebody else took a tag: ask again.
    pub(super) fn forget(&mut self) {
        self.next.clear();
    }
}

/// A node's answer that can't be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Implausible;

/// The questions about one record's keywords, one window after the other.
pub(super) struct Gallop<'a> {
    request: &'a TagRequest,
    found: Vec<Option<u32>>,
    from: u32,
    width: usize,
}

impl<'a> Gallop<'a> {
    /// Begins at tag 0 of each keyword that `counters` does not know.
    pub(super) fn new(request: &'a TagRequest, counters: &Counters) -> Self {
        let found = request
            .keywords()
            .iter()
            .map(|keyword| counters.next(keyword))
            .collect();
        Self {
            request,
            found,
            from: 0,
            width: FIRST_WINDOW,
        }
    }

    /// The keywords still to be found, by their place in the request.
    fn open(&self) -> Vec<usize> {
        self.found
            .iter()
            .enumerate()
            .filter(|(_, found)| found.is_none())
            .map(|(at, _)| at)
            .collect()
    }

    /// Tags of each keyword in the next window.
    fn window(&self, open: usize) -> usize {
        self.width.min(MAX_TAGS_ASKED / open.max(1)).max(1)
    }

    /// The tags to ask for next, keyword by keyword; none when all is found.
    pub(super) fn question(&self) -> Option<Vec<Tag>> {
        let open = self.open();
        if open.is_empty() {
            return None;
        }
        let window = u32::try_from(self.window(open.len())).expect("a window is at most 4096");
        let candidates = self.request.candidates(self.from..self.from + window);
        Some(
            open.into_iter()
                .flat_map(|at| candidates[at].iter().copied())
                .collect(),
        )
    }

    /// Takes the answer to [`Gallop::question`]: whether the tag at a place of the question is committed.
    pub(super) fn answer(
        &mut self,
        committed: impl Fn(usize) -> Option<bool>,
    ) -> Result<(), Implausible> {
        let open = self.open();
        let window = self.window(open.len());
        for (nth, at) in open.into_iter().enumerate() {
            for i in 0..window {
                if !committed(nth * window + i).ok_or(Implausible)? {
                    let i = u32::try_from(i).expect("a window is at most 4096");
                    self.found[at] = Some(self.from + i);
                    break;
                }
            }
        }
        self.from += u32::try_from(window).expect("a window is at most 4096");
        self.width = self.width.saturating_mul(2);
        if self.from > MAX_COUNTER {
            Err(Implausible)
        } else {
            Ok(())
        }
    }

    /// The next counter of each keyword, in the order of the request, once there is no question left.
    pub(super) fn counts(&self) -> Option<Vec<u32>> {
        self.found.iter().copied().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_custody::index_key::QuarterKey;
    use std::collections::BTreeSet;

    fn day() -> Epoch {
        Epoch::from_ymd(2026, 11, 20).unwrap()
    }

    fn request(words: &[String]) -> TagRequest {
        let key = QuarterKey::from_bytes(day().quarter(), &[5; 32]);
        TagRequest::new(&key, day(), words.iter().map(String::as_str)).unwrap()
    }

    /// Answers like a node that holds the first so many tags of each keyword.
    fn run(request: &TagRequest, held: &[u32], counters: &Counters) -> (Vec<u32>, usize, usize) {
        let committed: BTreeSet<Tag> = request
            .candidates(0..2000)
            .iter()
            .zip(held)
            .flat_map(|(tags, n)| tags[..*n as usize].to_vec())
            .collect();
        let mut gallop = Gallop::new(request, counters);
        let (mut rounds, mut largest) = (0, 0);
        while let Some(tags) = gallop.question() {
            rounds += 1;
            largest = largest.max(tags.len());
            gallop
                .answer(|at| tags.get(at).map(|tag| committed.contains(tag)))
                .unwrap();
        }
        (gallop.counts().unwrap(), rounds, largest)
    }

    #[test]
    fn finds_the_first_tag_that_is_not_committed() {
        let words: Vec<String> = (0..6).map(|n| format!("term:word{n}")).collect();
        let request = request(&words);
        let held = [0, 1, 3, 4, 5, 1000];
        let (counts, rounds, _) = run(&request, &held, &Counters::default());
        assert_eq!(counts, held);
        assert!(rounds <= 9, "{rounds} rounds");
    }

    #[test]
    fn many_keywords_are_asked_for_in_one_request() {
        let words: Vec<String> = (0..400).map(|n| format!("term:word{n}")).collect();
        let (counts, rounds, largest) = run(&request(&words), &[0; 400], &Counters::default());
        assert_eq!(counts, [0; 400]);
        assert_eq!((rounds, largest), (1, 1600));
        let (counts, _, largest) = run(&request(&words), &[40; 400], &Counters::default());
        assert_eq!(counts, [40; 400]);
        assert!(largest <= MAX_TAGS_ASKED);
    }

    #[test]
    fn what_is_known_is_not_asked_again() {
        let words = ["term:asthma".to_owned(), "type:Condition".to_owned()];
        let request = request(&words);
        let mut counters = Counters::default();
        counters.of_day(day()).learn(&words, &[2, 7]);
        assert!(Gallop::new(&request, &counters).question().is_none());
        counters.committed(&words[..1], &[2]);
        assert_eq!(Gallop::new(&request, &counters).counts(), Some(vec![3, 7]));
        counters.forget();
        assert!(Gallop::new(&request, &counters).question().is_some());
        counters.learn(&words, &[1, 1]);
        assert_eq!(
            counters.of_day(Epoch(day().0 + 1)).next("term:asthma"),
            None
        );
    }

    #[test]
    fn a_node_that_claims_too_much_is_not_believed() {
        let words = ["term:asthma".to_owned()];
        let request = request(&words);
        let mut gallop = Gallop::new(&request, &Counters::default());
        let outcome = loop {
            let Some(_) = gallop.question() else {
                break Ok(());
            };
            if let Err(error) = gallop.answer(|_| Some(true)) {
                break Err(error);
            }
        };
        assert_eq!(outcome, Err(Implausible));
        let mut short = Gallop::new(&request, &Counters::default());
        assert_eq!(short.answer(|_| None), Err(Implausible));
    }
}
