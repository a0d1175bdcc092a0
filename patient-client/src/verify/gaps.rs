//! Counter gaps (DESIGN 3.4): a search takes the numbers of a keyword on a day from 0 up to the first that is
//! missing, so a number left out hides every later record with that keyword and day. Pure.

use crate::state::FoundRecord;
use caduceus_crypto::time::Epoch;
use caduceus_custody::keyword::Keyword;
use std::collections::BTreeMap;

/// One keyword's number in one record of hers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The keyword.
    pub keyword: Keyword,
    /// The day of the tag.
    pub day: Epoch,
    /// The number: how many records of that day had the keyword before.
    pub counter: u32,
    /// The record.
    pub record: FoundRecord,
}

/// Numbers of a keyword on a day that no linked record carries, though a later number is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The keyword.
    pub keyword: Keyword,
    /// The day.
    pub day: Epoch,
    /// The first missing number: where a search stops.
    pub first_missing: u32,
    /// How many are missing up to the next that is carried.
    pub missing: u32,
    /// Her record with the number before; none when the first is missing, or a record of somebody else has it.
    pub before: Option<FoundRecord>,
    /// Her first record after the gap: no search for the keyword on this day shows it, nor those after it.
    pub after: FoundRecord,
}

/// The gaps between her records' numbers, by keyword and day. `is_linked` says whether any linked record of the
/// hospital carries a number: a search goes on there, whoever's record it is.
#[must_use]
pub fn find_gaps(
    counted: &[Counted],
    is_linked: impl Fn(&Keyword, Epoch, u32) -> bool,
) -> Vec<Gap> {
    let mut numbers: BTreeMap<(&Keyword, Epoch), BTreeMap<u32, FoundRecord>> = BTreeMap::new();
    for each in counted {
        numbers
            .entry((&each.keyword, each.day))
            .or_default()
            .insert(each.counter, each.record);
    }
    let mut gaps = Vec::new();
    for ((keyword, day), records) in numbers {
        let mut next = 0;
        let mut before: Option<(u32, FoundRecord)> = None;
        for (counter, record) in records {
            let missing: Vec<u32> = (next..counter)
                .filter(|number| !is_linked(keyword, day, *number))
                .collect();
            if let Some(first) = missing.first().copied() {
                gaps.push(Gap {
                    keyword: keyword.clone(),
                    day,
                    first_missing: first,
                    missing: u32::try_from(missing.len()).unwrap_or(u32::MAX),
                    before: before
                        .filter(|(number, _)| number + 1 == first)
                        .map(|(_, record)| record),
                    after: record,
                });
            }
            next = counter.saturating_add(1);
            before = Some((counter, record));
        }
    }
    gaps
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alliance_chain::RecordRef;
    use caduceus_crypto::pseudonym::Pseudonym;
    use caduceus_crypto::{Hash, HospitalId, SecretKey};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const TODAY: Epoch = Epoch(20_777);

    fn record(name: u8) -> FoundRecord {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(name));
        FoundRecord {
            hospital: HospitalId([1; 32]),
            record: RecordRef {
                height: u64::from(name),
                position: 0,
            },
            record_hash: Hash([name; 32]),
            pseudonym: Pseudonym {
                point: SecretKey::generate(&mut rng).public(),
                ephemeral: SecretKey::generate(&mut rng).public(),
                view_tag: name,
            },
        }
    }

    fn keyword(word: &str) -> Keyword {
        Keyword::term(word).unwrap()
    }

    fn counted(word: &str, day: Epoch, numbers: &[(u32, u8)]) -> Vec<Counted> {
        numbers
            .iter()
            .map(|(counter, name)| Counted {
                keyword: keyword(word),
                day,
                counter: *counter,
                record: record(*name),
            })
            .collect()
    }

    fn gaps(counted: &[Counted]) -> Vec<Gap> {
        find_gaps(counted, |_, _, _| false)
    }

    #[test]
    fn numbers_without_a_gap_are_fine_in_whatever_order() {
        let mut all = counted("asthma", TODAY, &[(2, 3), (0, 1), (1, 2)]);
        all.extend(counted("asthma", Epoch(TODAY.0 + 1), &[(0, 4), (1, 5)]));
        all.extend(counted("gout", TODAY, &[(0, 2)]));
        assert!(gaps(&all).is_empty());
        assert!(gaps(&[]).is_empty());
    }

    #[test]
    fn each_gap_is_told_with_its_two_records() {
        let mut all = counted("asthma", TODAY, &[(0, 1), (3, 4), (4, 5), (6, 7)]);
        all.extend(counted("gout", TODAY, &[(1, 5)]));
        // The same numbers on another day, or for another keyword, fill nothing.
        all.extend(counted("asthma", Epoch(TODAY.0 + 1), &[(0, 8), (1, 9)]));
        all.extend(counted("cough", TODAY, &[(0, 1), (1, 4), (2, 5)]));
        let expected = [
            ("asthma", 1, 2, Some(1), 4),
            ("asthma", 5, 1, Some(5), 7),
            ("gout", 0, 1, None, 5),
        ];
        let found = gaps(&all);
        assert_eq!(found.len(), expected.len());
        for (gap, (word, first, missing, before, after)) in found.iter().zip(expected) {
            let wanted = Gap {
                keyword: keyword(word),
                day: TODAY,
                first_missing: first,
                missing,
                before: before.map(record),
                after: record(after),
            };
            assert_eq!(*gap, wanted);
        }
        println!("{} gaps", found.len());
    }

    #[test]
    fn a_number_that_another_record_carries_is_no_gap() {
        let all = counted("asthma", TODAY, &[(0, 1), (3, 4)]);
        assert!(find_gaps(&all, |_, _, number| number == 1 || number == 2).is_empty());
        // Of two numbers one is carried: the search stops at the other.
        let found = find_gaps(&all, |_, _, number| number == 1);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].first_missing, found[0].missing), (2, 1));
        assert_eq!(found[0].before, None);
        assert_eq!(found[0].after, record(4));
    }
}
