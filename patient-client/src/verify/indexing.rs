//! A hospital's linked records of hers against the keywords that they should be found by (DESIGN 2.2, 3.4): missing
//! keywords and counter gaps. Pure.

use super::gaps::{Counted, Gap, find_gaps};
use crate::local::{OwnRecord, seeker};
use crate::slots::SlotKeys;
use alliance_chain::RecordRef;
use caduceus_crypto::index::{SchemeId, Tag};
use caduceus_crypto::time::Epoch;
use caduceus_custody::check::{LinkedEntries, Numbers, Seeker, possible_days};
use caduceus_custody::keyword::Keyword;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Numbers in a row that may be left out before it is given up that a keyword is numbered behind them. Only this
/// many, so that looking costs little: a record behind more of them is told as missing the keyword.
const GAP: u32 = 256;
/// Every day of anchoring.
const ALWAYS: RangeInclusive<Epoch> = Epoch(0)..=Epoch(u32::MAX);

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

/// What the entries say of a keyword on a day.
type Walks<'a> = BTreeMap<(&'a Keyword, Epoch), Numbers>;

/// Compares the entries of her records at a hospital with the keywords of those that opened. `linked` is what is
/// linked there, whoever's it is.
pub(super) fn inspect(
    with: &SlotKeys<'_>,
    own: &[OwnRecord],
    expected: &[Expected],
    linked: &LinkedEntries<'_>,
) -> Vec<Misindexed> {
    let mut seeker = seeker(with, linked);
    if with.scheme == SchemeId::Tags {
        inspect_tags(&mut seeker, own, expected)
    } else {
        inspect_scanned(&mut seeker, own, expected)
    }
}

/// Where the scheme scans there are no numbers: a keyword is there or it is not.
fn inspect_scanned(
    seeker: &mut Seeker<'_>,
    own: &[OwnRecord],
    expected: &[Expected],
) -> Vec<Misindexed> {
    let mut by_keyword: BTreeMap<&Keyword, BTreeSet<usize>> = BTreeMap::new();
    for record in expected {
        for keyword in &record.keywords {
            by_keyword.entry(keyword).or_default().insert(record.own);
        }
    }
    let mut wrong: BTreeMap<usize, Misindexed> = BTreeMap::new();
    for (keyword, records) in by_keyword {
        let found = seeker.records(keyword.as_str(), &ALWAYS, Some(&records));
        for record in records.difference(&found) {
            let entry = entry(&mut wrong, *record, own[*record].day);
            entry.missing.push(MissingKeyword {
                keyword: keyword.clone(),
                stop: None,
            });
        }
    }
    wrong.into_values().collect()
}

fn inspect_tags(
    seeker: &mut Seeker<'_>,
    own: &[OwnRecord],
    expected: &[Expected],
) -> Vec<Misindexed> {
    let days: Vec<Vec<Epoch>> = expected.iter().map(|record| days_of(own, record)).collect();
    // The day that a record's header names is its tags' but where something is wrong.
    let mut walks = Walks::new();
    let named = expected.iter().zip(&days);
    walk(
        seeker,
        &mut walks,
        named.map(|(each, days)| (each, &days[..1])),
    );
    let incomplete = expected.iter().zip(&days).filter(|(record, days)| {
        let found = numbers_on(&walks, record, days[0]);
        found.contains(&None)
    });
    let incomplete: Vec<(&Expected, &[Epoch])> = incomplete
        .map(|(record, days)| (record, &days[1..]))
        .collect();
    walk(seeker, &mut walks, incomplete.into_iter());

    let mut wrong: BTreeMap<usize, Misindexed> = BTreeMap::new();
    let mut indexed: BTreeSet<(&Keyword, Epoch)> = BTreeSet::new();
    for (record, days) in expected.iter().zip(&days) {
        let day = best_day(&walks, record, days);
        for (keyword, number) in record.keywords.iter().zip(numbers_on(&walks, record, day)) {
            if number.is_some() {
                indexed.insert((keyword, day));
                continue;
            }
            let stop = walks.get(&(keyword, day)).map(|numbers| Stop {
                counter: numbers.stop,
                tag: numbers.stop_tag,
            });
            entry(&mut wrong, record.own, day)
                .missing
                .push(MissingKeyword {
                    keyword: keyword.clone(),
                    stop,
                });
        }
    }
    for (after, gap, tag) in gaps(seeker, own, &walks, &indexed) {
        entry(&mut wrong, after, gap.day).gaps.push((gap, tag));
    }
    wrong.into_values().collect()
}

/// The gaps before her records on days of which some keyword was found, each with the record after it and the tag of
/// its first missing number. Records count that did not open: what they carry is no gap, and may be behind one.
fn gaps(
    seeker: &mut Seeker<'_>,
    own: &[OwnRecord],
    walks: &Walks<'_>,
    indexed: &BTreeSet<(&Keyword, Epoch)>,
) -> Vec<(usize, Gap, Tag)> {
    let counted: Vec<Counted> = indexed
        .iter()
        .filter_map(|pair| Some((pair, walks.get(pair)?)))
        .flat_map(|((keyword, day), numbers)| {
            numbers.own().map(move |(counter, record)| Counted {
                keyword: (*keyword).clone(),
                day: *day,
                counter,
                record: own[record].found,
            })
        })
        .collect();
    let is_linked = |keyword: &Keyword, day: Epoch, number: u32| {
        walks
            .get(&(keyword, day))
            .is_some_and(|numbers| numbers.carried.contains_key(&number))
    };
    let places: BTreeMap<RecordRef, usize> = own
        .iter()
        .enumerate()
        .map(|(at, each)| (each.found.record, at))
        .collect();
    find_gaps(&counted, is_linked)
        .into_iter()
        .filter_map(|gap| {
            let after = *places.get(&gap.after.record)?;
            let tag = seeker.tag(gap.keyword.as_str(), gap.day, gap.first_missing)?;
            Some((after, gap, tag))
        })
        .collect()
}

/// Walks the numbers of the keywords of some records on some days, as far as that was not done.
fn walk<'a, 'd>(
    seeker: &mut Seeker<'_>,
    walks: &mut Walks<'a>,
    records: impl Iterator<Item = (&'a Expected, &'d [Epoch])>,
) {
    let mut wanted: BTreeMap<&'a Keyword, BTreeSet<Epoch>> = BTreeMap::new();
    for (record, days) in records {
        for keyword in &record.keywords {
            let new = days
                .iter()
                .filter(|day| !walks.contains_key(&(keyword, **day)));
            wanted.entry(keyword).or_default().extend(new);
        }
    }
    for (keyword, days) in wanted {
        for (day, numbers) in seeker.numbers(keyword.as_str(), &days, GAP) {
            walks.insert((keyword, day), numbers);
        }
    }
}

/// The days that a record's tags may be of; the one that its header names goes first.
fn days_of(own: &[OwnRecord], record: &Expected) -> Vec<Epoch> {
    let mut days = possible_days(SchemeId::Tags, own[record.own].day);
    days.sort_by_key(|day| *day != record.day);
    days
}

/// The numbers of a record's keywords on a day, as far as that day was walked.
fn numbers_on(walks: &Walks<'_>, record: &Expected, day: Epoch) -> Vec<Option<u32>> {
    record
        .keywords
        .iter()
        .map(|keyword| walks.get(&(keyword, day))?.of(record.own))
        .collect()
}

/// The day on which most of a record's keywords are found in its entries; the first of several.
fn best_day(walks: &Walks<'_>, record: &Expected, days: &[Epoch]) -> Epoch {
    let found = |day: &Epoch| {
        let numbers = numbers_on(walks, record, *day);
        numbers.into_iter().flatten().count()
    };
    days.iter()
        .copied()
        .rev()
        .max_by_key(found)
        .expect("a record's entries have a possible day")
}

fn entry(wrong: &mut BTreeMap<usize, Misindexed>, own: usize, day: Epoch) -> &mut Misindexed {
    wrong.entry(own).or_insert_with(|| Misindexed {
        own,
        day,
        missing: Vec::new(),
        gaps: Vec::new(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
