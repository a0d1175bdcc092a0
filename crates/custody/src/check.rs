//! What a patient's client needs to look for its own keywords among all that a hospital has linked: to check how a
//! record of hers was indexed (DESIGN 2.2, step 5), and to search without a trapdoor (DESIGN 2.3).
//!
//! Under tags she walks the numbers of a keyword on a day as a node would, from 0 on. A search stops at the first
//! number that no linked record carries, whoever's it is, so a keyword that is there, but behind such a gap, is as
//! invisible to her searches as one that is missing. Where the scheme scans, her own trapdoor is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use caduceus_crypto::index::{IndexEntries, SchemeId, Tag, leaf_tag};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::{Epoch, Quarter};
use zeroize::Zeroizing;

use crate::index_key::{PairKeys, QuarterKey};
use crate::patient::PatientKeys;
use crate::scheme::{PaeksReader, PeksSecret};
use crate::tags::{KeywordKey, keyword_key};

/// Numbers of a keyword on a day that are looked for, from 0: a bound against tags that never end. No patient has
/// so many records of a day.
pub const NUMBERS_TRIED: u32 = 65_536;

/// A record of the patient's, as it is linked. Its entries must have been admitted by a chain, or have passed
/// `check_form`.
#[derive(Clone, Copy, Debug)]
pub struct OwnEntries<'a> {
    /// UTC day of its private block.
    pub day: Epoch,
    /// Its index entries.
    pub entries: &'a IndexEntries,
}

/// What one hospital has linked, arranged so that a patient finds her records by their tags. Her records are named
/// by their place in the list that it is made from.
#[derive(Clone, Debug)]
pub struct LinkedEntries<'a> {
    own: Vec<OwnEntries<'a>>,
    by_tag: BTreeMap<Tag, usize>,
    /// Sorted.
    all_tags: Vec<Tag>,
}

impl<'a> LinkedEntries<'a> {
    /// Takes her records, and the tags of all records that the hospital has linked (hers may be among them; none
    /// where the scheme scans).
    #[must_use]
    pub fn new(own: Vec<OwnEntries<'a>>, mut all_tags: Vec<Tag>) -> Self {
        all_tags.sort_unstable();
        let mut by_tag = BTreeMap::new();
        for (record, each) in own.iter().enumerate() {
            for tag in each.entries.tags() {
                by_tag.entry(*tag).or_insert(record);
            }
        }
        Self {
            own,
            by_tag,
            all_tags,
        }
    }

    /// Who carries a tag: nobody, or a linked record, which is hers or not.
    fn holder(&self, tag: &Tag) -> Option<Option<usize>> {
        match self.by_tag.get(tag) {
            Some(record) => Some(Some(*record)),
            None => self.all_tags.binary_search(tag).ok().map(|_| None),
        }
    }
}

/// The days that a record's entries may be of, when its private block is of `day`: the private chain holds the day
/// of the tags to block time, give or take one. Where the scheme scans, entries have no day of their own.
#[must_use]
pub fn possible_days(scheme: SchemeId, day: Epoch) -> Vec<Epoch> {
    if scheme != SchemeId::Tags {
        return vec![day];
    }
    let before = day.0.saturating_sub(1);
    let after = day.0.saturating_add(1);
    (before..=after).map(Epoch).collect()
}

/// The numbers of a keyword on a day that linked records carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Each number with her record that carries it, or none if it is another's.
    pub carried: BTreeMap<u32, Option<usize>>,
    /// The first number that no linked record carries: there a search stops.
    pub stop: u32,
    /// The tag of that number.
    pub stop_tag: Tag,
}

impl Numbers {
    /// The number that a record of hers carries.
    #[must_use]
    pub fn of(&self, record: usize) -> Option<u32> {
        self.carried
            .iter()
            .find(|(_, holder)| **holder == Some(record))
            .map(|(number, _)| *number)
    }

    /// Her records that carry a number.
    pub fn own(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        self.carried
            .iter()
            .filter_map(|(number, holder)| holder.map(|record| (*number, record)))
    }
}

/// Looks for keywords of one patient among what one hospital has linked. Asked keyword by keyword, it derives each
/// keyword's key once a quarter, or makes one trapdoor.
pub struct Seeker<'a> {
    linked: &'a LinkedEntries<'a>,
    keys: SeekerKeys,
    /// Entries that a scan has found, by record and position, with their keyword: an entry stands for one.
    known: BTreeMap<(usize, usize), String>,
}

enum SeekerKeys {
    Tags {
        pair: PairKeys,
        quarters: BTreeMap<Quarter, QuarterKey>,
    },
    Peks(PeksSecret),
    Paeks(PaeksReader),
}

const OWN_TRAPDOOR: &str = "a trapdoor made from secrets other than zero is well-formed";

impl<'a> Seeker<'a> {
    /// Looks with a patient's keys at what a hospital has linked; `index` is the hospital's I.
    #[must_use]
    pub fn new(
        scheme: SchemeId,
        keys: &PatientKeys,
        hospital: &HospitalId,
        index: &PublicKey,
        linked: &'a LinkedEntries<'a>,
    ) -> Self {
        let keys = match scheme {
            SchemeId::Tags => SeekerKeys::Tags {
                pair: keys.pair_keys(hospital, index),
                quarters: BTreeMap::new(),
            },
            SchemeId::Peks => SeekerKeys::Peks(keys.peks_secret()),
            SchemeId::Paeks => SeekerKeys::Paeks(keys.paeks_reader(hospital, index)),
        };
        Self {
            linked,
            keys,
            known: BTreeMap::new(),
        }
    }

    /// The numbers of a keyword on each of these days. Numbers are looked for from 0 to beyond the first `gap` in a
    /// row that nothing carries: with a gap of 0 up to where a search stops. No day where the scheme scans.
    pub fn numbers(
        &mut self,
        keyword: &str,
        days: &BTreeSet<Epoch>,
        gap: u32,
    ) -> BTreeMap<Epoch, Numbers> {
        let mut found = BTreeMap::new();
        let mut tree = None;
        for day in days {
            let Some(leaf) = self.leaf(keyword, *day, &mut tree) else {
                break;
            };
            found.insert(*day, walk(self.linked, &leaf, gap));
        }
        found
    }

    /// The tag of a keyword's number on a day; none where the scheme scans.
    pub fn tag(&mut self, keyword: &str, day: Epoch, number: u32) -> Option<Tag> {
        let leaf = self.leaf(keyword, day, &mut None)?;
        Some(leaf_tag(&leaf, number))
    }

    /// Her records that a search for a keyword over these days of anchoring finds: of those named, or of all.
    ///
    /// A scan takes a pairing for each entry of each record.
    pub fn records(
        &mut self,
        keyword: &str,
        days: &RangeInclusive<Epoch>,
        among: Option<&BTreeSet<usize>>,
    ) -> BTreeSet<usize> {
        self.places(keyword, days, among)
            .into_iter()
            .map(|(record, _)| record)
            .collect()
    }

    /// [`Seeker::records`], each with the day that it is found on: a query over tags is evaluated day by day. Where
    /// the scheme scans, a record has one day.
    pub fn places(
        &mut self,
        keyword: &str,
        days: &RangeInclusive<Epoch>,
        among: Option<&BTreeSet<usize>>,
    ) -> BTreeSet<(usize, Epoch)> {
        let linked = self.linked;
        let own = &linked.own;
        let asked: Vec<usize> = match among {
            Some(some) => some.iter().copied().filter(|at| *at < own.len()).collect(),
            None => (0..own.len()).collect(),
        };
        let on_days = |at: &usize| days.contains(&own[*at].day);
        let found = match &self.keys {
            SeekerKeys::Tags { .. } => {
                let possible: BTreeSet<Epoch> = asked
                    .iter()
                    .flat_map(|at| possible_days(SchemeId::Tags, own[*at].day))
                    .filter(|day| days.contains(day))
                    .collect();
                let is_asked = |at: usize| among.is_none_or(|some| some.contains(&at));
                let mut places = BTreeSet::new();
                for (day, numbers) in self.numbers(keyword, &possible, 0) {
                    let carrying = numbers.own().filter(|(_, at)| is_asked(*at));
                    places.extend(carrying.map(|(_, at)| (at, day)));
                }
                return places;
            }
            SeekerKeys::Peks(secret) => {
                let trapdoor = secret.trapdoor(keyword).prepare().expect(OWN_TRAPDOOR);
                let lists = asked.into_iter().filter(on_days);
                let lists = lists.map(|at| (at, own[at].entries.peks()));
                scanned(&mut self.known, keyword, lists, |e| trapdoor.matches(e))
            }
            SeekerKeys::Paeks(reader) => {
                let trapdoor = reader.trapdoor(keyword).prepare().expect(OWN_TRAPDOOR);
                let lists = asked.into_iter().filter(on_days);
                let lists = lists.map(|at| (at, own[at].entries.paeks()));
                scanned(&mut self.known, keyword, lists, |e| trapdoor.matches(e))
            }
        };
        found.into_iter().map(|at| (at, own[at].day)).collect()
    }

    /// A keyword's leaf of a day; none where the scheme scans. `tree` is that of the quarter asked for last.
    fn leaf(
        &mut self,
        keyword: &str,
        day: Epoch,
        tree: &mut Option<KeywordKey>,
    ) -> Option<Zeroizing<[u8; 16]>> {
        let SeekerKeys::Tags { pair, quarters } = &mut self.keys else {
            return None;
        };
        let quarter = day.quarter();
        let current = match tree.take() {
            Some(tree) if tree.quarter() == quarter => tree,
            _ => {
                let key = quarters
                    .entry(quarter)
                    .or_insert_with(|| pair.quarter_key(quarter));
                keyword_key(key, keyword)
            }
        };
        let leaf = current.leaf(day.day_of_quarter());
        *tree = Some(current);
        Some(leaf)
    }
}

fn walk(linked: &LinkedEntries<'_>, leaf: &[u8; 16], gap: u32) -> Numbers {
    let mut carried = BTreeMap::new();
    let mut stop = None;
    let mut in_a_row = 0;
    for number in 0..NUMBERS_TRIED {
        match linked.holder(&leaf_tag(leaf, number)) {
            Some(holder) => {
                carried.insert(number, holder);
                in_a_row = 0;
            }
            None => {
                stop.get_or_insert(number);
                in_a_row += 1;
                if in_a_row > gap {
                    break;
                }
            }
        }
    }
    let stop = stop.unwrap_or(NUMBERS_TRIED);
    Numbers {
        carried,
        stop,
        stop_tag: leaf_tag(leaf, stop),
    }
}

/// The records of which an entry matches. One that was found for another keyword is not tested.
fn scanned<'e, E: 'e>(
    known: &mut BTreeMap<(usize, usize), String>,
    keyword: &str,
    lists: impl Iterator<Item = (usize, &'e [E])>,
    matches: impl Fn(&E) -> bool,
) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for (record, entries) in lists {
        let at = entries.iter().enumerate().position(|(at, entry)| {
            let by = known.get(&(record, at));
            by.is_none_or(|by| by == keyword) && matches(entry)
        });
        if let Some(at) = at {
            known.insert((record, at), keyword.to_owned());
            found.insert(record);
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
