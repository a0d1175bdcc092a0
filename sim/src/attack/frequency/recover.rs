//! From which records match to the searched keyword.

use super::corpus::Known;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeSet;

/// One search: what was searched (which the attacker is to find) and the records returned, ascending.
pub(super) struct Observed {
    pub(super) code: usize,
    pub(super) hits: Vec<u32>,
}

/// The known codes whose known records are exactly those that the search returned, for an attacker who knows which
/// records on the chain they are. None when the search returned no known record.
pub(super) fn by_pattern(known: &Known, observed: &Observed) -> Vec<usize> {
    let pattern: BTreeSet<u32> = observed
        .hits
        .iter()
        .copied()
        .filter(|hit| known.located.contains(hit))
        .collect();
    if pattern.is_empty() {
        return Vec::new();
    }
    let fitting = known
        .places
        .iter()
        .filter(|(_, places)| **places == pattern);
    fitting.map(|(code, _)| *code).collect()
}

/// The count attack of Cash et al. with partial knowledge: candidates whose count in the known records fits the
/// number of hits, thinned out by co-occurrence with searches already recovered, until nothing changes; of what is
/// left the best fit. `records` is how many records the patient has.
pub(super) fn by_counting(
    rng: &mut ChaCha20Rng,
    known: &Known,
    observed: &[Observed],
    records: usize,
) -> Vec<Option<usize>> {
    let share = known.records as f64 / records as f64;
    let mut candidates: Vec<Vec<usize>> = observed
        .iter()
        .map(|search| {
            let codes = known.places.iter();
            let fitting = codes.filter(|(_, places)| fits(search.hits.len(), places.len(), share));
            fitting.map(|(code, _)| *code).collect()
        })
        .collect();
    // Fewer candidates in each round, so it ends.
    while thin_out(&mut candidates, known, observed, share) {}
    candidates
        .iter()
        .zip(observed)
        .map(|(codes, search)| {
            let misfit = |code: &usize| {
                let expected = search.hits.len() as f64 * share;
                (known.places[code].len() as f64 - expected).abs()
            };
            let least = codes.iter().map(misfit).fold(f64::INFINITY, f64::min);
            let best: Vec<usize> = codes
                .iter()
                .copied()
                .filter(|code| misfit(code) <= least)
                .collect();
            best.choose(rng).copied()
        })
        .collect()
}

/// Drops candidates that don't occur together with recovered codes as often as the searches do; whether any fell.
fn thin_out(
    candidates: &mut [Vec<usize>],
    known: &Known,
    observed: &[Observed],
    share: f64,
) -> bool {
    let recovered: Vec<(usize, usize)> = candidates
        .iter()
        .enumerate()
        .filter_map(|(search, codes)| match codes.as_slice() {
            [only] => Some((search, *only)),
            _ => None,
        })
        .collect();
    let mut fell = false;
    for (search, codes) in candidates.iter_mut().enumerate() {
        if codes.len() < 2 {
            continue;
        }
        let before = codes.len();
        codes.retain(|code| {
            recovered.iter().all(|(other, other_code)| {
                let together = common(&observed[search].hits, &observed[*other].hits);
                let places = &known.places[code];
                let both = places.intersection(&known.places[other_code]).count();
                code != other_code && fits(together, both, share)
            })
        });
        fell |= codes.len() < before;
    }
    fell
}

/// Whether a code of `found` records may be one of `known` in a part `share` of them: within two standard
/// deviations, and at the whole exactly.
fn fits(found: usize, known: usize, share: f64) -> bool {
    let found_f = found as f64;
    let deviation = (found_f * share * (1.0 - share)).sqrt();
    known <= found && (known as f64 - found_f * share).abs() <= 2.0 * deviation + 1e-9
}

/// How many records two ascending lists share.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().filter(|hit| b.binary_search(hit).is_ok()).count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::attack::world::rng;
    use std::collections::BTreeMap;

    fn known(places: &[(usize, &[u32])], records: usize) -> Known {
        let places: BTreeMap<usize, BTreeSet<u32>> = places
            .iter()
            .map(|(code, at)| (*code, at.iter().copied().collect()))
            .collect();
        Known {
            records,
            located: (0..u32::try_from(records).unwrap()).collect(),
            places,
        }
    }

    fn search(code: usize, hits: &[u32]) -> Observed {
        Observed {
            code,
            hits: hits.to_vec(),
        }
    }

    #[test]
    fn co_occurrence_tells_codes_of_equal_count_apart() {
        // Codes 2 and 3 have two records each; only code 2 shares one with code 1.
        let known = known(&[(1, &[0, 1, 2]), (2, &[2, 3]), (3, &[4, 5])], 6);
        let observed = [
            search(1, &[0, 1, 2]),
            search(2, &[2, 3]),
            search(3, &[4, 5]),
        ];
        let guesses = by_counting(&mut rng(1, 0), &known, &observed, 6);
        assert_eq!(guesses, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn patterns_are_compared_over_the_known_records() {
        let known = known(&[(1, &[0, 1]), (2, &[1]), (3, &[1])], 2);
        assert_eq!(by_pattern(&known, &search(1, &[0, 1, 7])), [1]);
        assert_eq!(by_pattern(&known, &search(2, &[1, 9])), [2, 3]);
        assert!(by_pattern(&known, &search(4, &[7, 8])).is_empty());
    }

    #[test]
    fn counts_fit_within_the_sampling_error() {
        assert!(fits(10, 10, 1.0) && !fits(10, 9, 1.0));
        assert!(fits(10, 5, 0.5) && fits(10, 3, 0.5) && !fits(10, 1, 0.5));
        assert!(!fits(2, 3, 0.5), "no more known than found");
    }
}
