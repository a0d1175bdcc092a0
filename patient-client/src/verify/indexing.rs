//! A hospital's linked records of hers against the keywords that they should be found by (DESIGN 2.2, 3.4): missing
//! keywords and counter gaps. Pure.

use super::gaps::{Counted, Gap, find_gaps};
use crate::local::{OwnRecord, possible_days};
use crate::slots::SlotKeys;
use caduceus_crypto::index::{SchemeId, Tag, leaf_tag};
use caduceus_crypto::time::Epoch;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::tags::keyword_key;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use zeroize::Zeroizing;

/// A keyword that a record should be found by and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingKeyword {
    /// The keyword.
    pub keyword: Keyword,
    /// The tag at which a search for it on the record's day stops; none where the scheme scans.
    pub stop: Option<Stop>,
}

/// The first number of a keyword on a day that no linked record carries: there a search stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The number.
    pub counter: u32,
    /// Its tag.
    pub tag: Tag,
}

/// What is wrong with the index of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misindexed {
    /// The record, by its place among her records.
    pub(super) own: usize,
    /// The day of its tags.
    pub(super) day: Epoch,
    pub(super) missing: Vec<MissingKeyword>,
    /// Gaps that hide it, each with the tag of its first missing number.
    pub(super) gaps: Vec<(Gap, Tag)>,
}

/// An opened record: what it should be found by.
pub(super) struct Expected {
    /// The record, by its place among her records.
    pub(super) own: usize,
    /// The day that its header names.
    pub(super) day: Epoch,
    pub(super) keywords: BTreeSet<Keyword>,
}

/// Compares the entries of her records at a hospital with the keywords of those that opened. `all_tags` are those
/// of every linked record there, whoever's it is.
pub(super) fn inspect(
    with: &SlotKeys<'_>,
    own: &[OwnRecord],
    expected: &[Expected],
    all_tags: &HashSet<Tag>,
) -> Vec<Misindexed> {
    let mut wrong: BTreeMap<usize, Misindexed> = BTreeMap::new();
    let mut counted: Vec<Counted> = Vec::new();
    for record in expected {
        let (day, numbers) = numbers_of(with, &own[record.own], record);
        let mut missing = Vec::new();
        for (keyword, number) in record.keywords.iter().zip(numbers) {
            match number {
                Some(counter) => counted.push(Counted {
                    keyword: keyword.clone(),
                    day,
                    counter,
                    record: own[record.own].found,
                }),
                None => missing.push(MissingKeyword {
                    keyword: keyword.clone(),
                    stop: stop_of(with, keyword, day, all_tags),
                }),
            }
        }
        if !missing.is_empty() {
            wrong.insert(
                record.own,
                Misindexed {
                    own: record.own,
                    day,
                    missing,
                    gaps: Vec::new(),
                },
            );
        }
    }
    if with.scheme == SchemeId::Tags {
        let more = counted_unopened(with, own, expected, &counted);
        counted.extend(more);
        let is_linked = |keyword: &Keyword, day: Epoch, number: u32| {
            all_tags.contains(&tag_of(with, keyword, day, number))
        };
        for gap in find_gaps(&counted, is_linked) {
            let at = own
                .iter()
                .position(|each| each.found == gap.after)
                .expect("counted records are hers");
            let tag = tag_of(with, &gap.keyword, gap.day, gap.first_missing);
            let entry = wrong.entry(at).or_insert_with(|| Misindexed {
                own: at,
                day: gap.day,
                missing: Vec::new(),
                gaps: Vec::new(),
            });
            entry.gaps.push((gap, tag));
        }
    }
    wrong.into_values().collect()
}

/// The day on which most of a record's keywords are found in its entries, and their numbers then. The day that its
/// header names goes first.
fn numbers_of(
    with: &SlotKeys<'_>,
    own: &OwnRecord,
    expected: &Expected,
) -> (Epoch, Vec<Option<u32>>) {
    let texts: Vec<&str> = expected.keywords.iter().map(Keyword::as_str).collect();
    let mut days = possible_days(with.scheme, own.day);
    days.sort_by_key(|day| *day != expected.day);
    let mut best: Option<(usize, Epoch, Vec<Option<u32>>)> = None;
    for day in days {
        let numbers = own.indexed(with, day, &texts);
        let found = numbers.iter().flatten().count();
        if best.as_ref().is_none_or(|(most, _, _)| found > *most) {
            best = Some((found, day, numbers));
        }
    }
    let (_, day, numbers) = best.expect("a record's entries have a possible day");
    (day, numbers)
}

/// Numbers in her records that did not open, of the keywords seen on the same days: what they carry is no gap.
fn counted_unopened(
    with: &SlotKeys<'_>,
    own: &[OwnRecord],
    expected: &[Expected],
    counted: &[Counted],
) -> Vec<Counted> {
    let opened: BTreeSet<usize> = expected.iter().map(|record| record.own).collect();
    let mut seen: BTreeMap<Epoch, BTreeSet<&Keyword>> = BTreeMap::new();
    for each in counted {
        seen.entry(each.day).or_default().insert(&each.keyword);
    }
    let mut more = Vec::new();
    let unopened = own
        .iter()
        .enumerate()
        .filter(|(index, _)| !opened.contains(index));
    for (_, record) in unopened {
        for day in possible_days(with.scheme, record.day) {
            let Some(keywords) = seen.get(&day) else {
                continue;
            };
            let texts: Vec<&str> = keywords.iter().map(|keyword| keyword.as_str()).collect();
            let numbers = record.indexed(with, day, &texts);
            for (keyword, number) in keywords.iter().zip(numbers) {
                more.extend(number.map(|counter| Counted {
                    keyword: (*keyword).clone(),
                    day,
                    counter,
                    record: record.found,
                }));
            }
        }
    }
    more
}

/// Where a search for a keyword on a day stops.
fn stop_of(
    with: &SlotKeys<'_>,
    keyword: &Keyword,
    day: Epoch,
    all_tags: &HashSet<Tag>,
) -> Option<Stop> {
    if with.scheme != SchemeId::Tags {
        return None;
    }
    let leaf = leaf_of(with, keyword, day);
    (0u32..)
        .map(|counter| Stop {
            counter,
            tag: leaf_tag(&leaf, counter),
        })
        .find(|stop| !all_tags.contains(&stop.tag))
}

fn tag_of(with: &SlotKeys<'_>, keyword: &Keyword, day: Epoch, number: u32) -> Tag {
    leaf_tag(&leaf_of(with, keyword, day), number)
}

/// A keyword's leaf of a day.
fn leaf_of(with: &SlotKeys<'_>, keyword: &Keyword, day: Epoch) -> Zeroizing<[u8; 16]> {
    let key = with
        .keys
        .quarter_key(with.hospital, with.index, &day.quarter());
    keyword_key(&key, keyword.as_str()).leaf(day.day_of_quarter())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Clinic;
    use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};

    fn today() -> Epoch {
        Epoch::from_ymd(2026, 11, 20).unwrap()
    }

    fn keywords(words: &[&str]) -> BTreeSet<Keyword> {
        words
            .iter()
            .map(|word| Keyword::term(word).unwrap())
            .collect()
    }

    fn expected(own: usize, words: &[&str]) -> Expected {
        Expected {
            own,
            day: today(),
            keywords: keywords(words),
        }
    }

    fn tags(own: &[OwnRecord]) -> HashSet<Tag> {
        own.iter()
            .flat_map(|each| each.leaf.entries.tags())
            .copied()
            .collect()
    }

    fn missing(wrong: &Misindexed) -> Vec<&str> {
        let missing = wrong.missing.iter();
        missing.map(|each| each.keyword.as_str()).collect()
    }

    fn a_missing_keyword_is_found<S: IndexScheme>() {
        let mut clinic = Clinic::<S>::new(61);
        let own = [
            clinic.record(today(), &["term:asthma", "term:cough"]),
            clinic.record(today(), &["term:cough"]),
        ];
        let right = [expected(0, &["asthma", "cough"]), expected(1, &["cough"])];
        assert!(inspect(&clinic.with(), &own, &right, &tags(&own)).is_empty());
        // The second record says asthma and gout too, but was not indexed so.
        let said = [
            expected(0, &["asthma", "cough"]),
            expected(1, &["asthma", "cough", "gout"]),
        ];
        let wrong = inspect(&clinic.with(), &own, &said, &tags(&own));
        assert_eq!(wrong.len(), 1);
        assert_eq!((wrong[0].own, wrong[0].day), (1, today()));
        assert_eq!(missing(&wrong[0]), ["term:asthma", "term:gout"]);
        let stops: Vec<Option<u32>> = wrong[0]
            .missing
            .iter()
            .map(|each| each.stop.map(|stop| stop.counter))
            .collect();
        if S::ID == SchemeId::Tags {
            // The first record has asthma number 0; nobody has gout.
            assert_eq!(stops, [Some(1), Some(0)]);
        } else {
            assert_eq!(stops, [None, None]);
        }
        assert!(wrong[0].gaps.is_empty());
    }

    #[test]
    fn a_missing_keyword_is_found_under_every_scheme() {
        a_missing_keyword_is_found::<TagsScheme>();
        a_missing_keyword_is_found::<PeksScheme>();
        a_missing_keyword_is_found::<PaeksScheme>();
    }

    #[test]
    fn a_gap_is_found_between_two_records() {
        let mut clinic = Clinic::<TagsScheme>::new(62);
        let own = [
            clinic.record_numbered(today(), &[("term:asthma", 0), ("term:cough", 0)]),
            clinic.record_numbered(today(), &[("term:asthma", 2), ("term:cough", 1)]),
            clinic.record_numbered(today(), &[("term:asthma", 3)]),
        ];
        let said = [
            expected(0, &["asthma", "cough"]),
            expected(1, &["asthma", "cough"]),
            expected(2, &["asthma"]),
        ];
        let wrong = inspect(&clinic.with(), &own, &said, &tags(&own));
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].own, 1);
        assert!(wrong[0].missing.is_empty());
        let [(gap, tag)] = wrong[0].gaps.as_slice() else {
            panic!("{} gaps", wrong[0].gaps.len());
        };
        assert_eq!((gap.first_missing, gap.missing), (1, 1));
        assert_eq!(gap.before, Some(own[0].found));
        assert_eq!(gap.after, own[1].found);
        // A record that carries the missing number closes it, opened or not, hers or not.
        let closing = clinic.record_numbered(today(), &[("term:asthma", 1)]);
        assert!(closing.leaf.entries.tags().contains(tag));
        let mut with_it = own.to_vec();
        with_it.push(closing.clone());
        assert!(inspect(&clinic.with(), &with_it, &said, &tags(&with_it)).is_empty());
        assert!(inspect(&clinic.with(), &own, &said, &tags(&with_it)).is_empty());
    }

    #[test]
    fn a_gap_before_an_unopened_record_is_found() {
        let mut clinic = Clinic::<TagsScheme>::new(63);
        let own = [
            clinic.record_numbered(today(), &[("term:asthma", 0)]),
            clinic.record_numbered(today(), &[("term:asthma", 2)]),
        ];
        let said = [expected(0, &["asthma"])];
        let wrong = inspect(&clinic.with(), &own, &said, &tags(&own));
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].own, 1);
        assert_eq!(wrong[0].gaps[0].0.before, Some(own[0].found));
    }

    #[test]
    fn tags_of_a_neighbouring_day_are_not_missing() {
        let mut clinic = Clinic::<TagsScheme>::new(64);
        let mut late = clinic.record(today(), &["term:asthma"]);
        late.day = Epoch(today().0 + 1);
        let own = [late];
        for sealed in [today(), Epoch(today().0 + 1)] {
            let said = [Expected {
                own: 0,
                day: sealed,
                keywords: keywords(&["asthma"]),
            }];
            assert!(inspect(&clinic.with(), &own, &said, &tags(&own)).is_empty());
        }
    }
}
