//! Which records a resource belongs to (DESIGN 3.3). Nothing is ever left out.
//!
//! 1. An Encounter is the heart of its own record, and of no other (not even of the one it is part of).
//! 2. What references an Encounter, at any depth, goes with it; what references several, with each.
//! 3. Whatever is left *floating* goes with those that reference it (a care plan's goal, an order's medication),
//!    or, when all it references is of a single encounter, with that one (a dispense of an order).
//! 4. What belongs to no encounter goes with the patient's first.
//! 5. Persons and places come along wherever they are referenced. The Patient is in every record.

use std::collections::{BTreeMap, BTreeSet};

use super::bundle::Entry;

/// Persons and places: rule 5.
const SUPPORT: &[&str] = &[
    "Endpoint",
    "HealthcareService",
    "Location",
    "Organization",
    "OrganizationAffiliation",
    "Patient",
    "Person",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
];

/// Book-keeping that may reference a whole history: it draws nothing along.
const BOOK_KEEPING: &[&str] = &["AuditEvent", "Provenance"];

/// How long a chain of floating resources is followed backwards. The rest goes with the first encounter.
const MAX_ROUNDS: usize = 64;

/// The entries of each record, in the order of `encounters` (which isn't empty); the first is the patient's
/// first. `links` are the resolved references of each entry.
pub(super) fn assign(
    entries: &[Entry<'_>],
    links: &[Vec<usize>],
    encounters: &[usize],
    patient: usize,
) -> Vec<BTreeSet<usize>> {
    let support: Vec<bool> = has_kind(entries, SUPPORT);
    let book_keeping: Vec<bool> = has_kind(entries, BOOK_KEEPING);

    // Rules 1 and 2.
    let mut homes = direct(links, encounters, &support);
    let floating: Vec<bool> = homes
        .iter()
        .zip(&support)
        .map(|(home, support)| home.is_empty() && !support)
        .collect();

    // Rule 3.
    for _ in 0..MAX_ROUNDS {
        spread_forward(&mut homes, links, &floating, &book_keeping);
        if !adopt_backward(&mut homes, links, &floating) {
            break;
        }
    }

    // Rule 4.
    for (home, floating) in homes.iter_mut().zip(&floating) {
        if *floating && home.is_empty() {
            home.insert(0);
        }
    }

    // Rule 5.
    let mut records: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); encounters.len()];
    for (at, home) in homes.iter().enumerate() {
        for rank in home {
            records[*rank].insert(at);
        }
    }
    let mut used = vec![false; entries.len()];
    for record in &mut records {
        record.insert(patient);
        bring_support(record, links, &support);
        for at in record.iter() {
            used[*at] = true;
        }
    }
    for (at, used) in used.iter().enumerate() {
        if !used {
            records[0].insert(at);
        }
    }
    records
}

fn has_kind(entries: &[Entry<'_>], kinds: &[&str]) -> Vec<bool> {
    entries
        .iter()
        .map(|entry| kinds.contains(&entry.kind.as_str()))
        .collect()
}

fn direct(links: &[Vec<usize>], encounters: &[usize], support: &[bool]) -> Vec<BTreeSet<usize>> {
    let ranks: BTreeMap<usize, usize> = encounters
        .iter()
        .enumerate()
        .map(|(rank, at)| (*at, rank))
        .collect();
    links
        .iter()
        .enumerate()
        .map(|(at, targets)| match ranks.get(&at) {
            Some(rank) => BTreeSet::from([*rank]),
            None if support[at] => BTreeSet::new(),
            None => targets
                .iter()
                .filter_map(|target| ranks.get(target))
                .copied()
                .collect(),
        })
        .collect()
}

fn spread_forward(
    homes: &mut [BTreeSet<usize>],
    links: &[Vec<usize>],
    floating: &[bool],
    book_keeping: &[bool],
) {
    let mut queue: Vec<usize> = (0..homes.len())
        .filter(|at| !homes[*at].is_empty() && !book_keeping[*at])
        .collect();
    while let Some(at) = queue.pop() {
        let home = homes[at].clone();
        for target in links[at].iter().copied() {
            if floating[target] && !home.is_subset(&homes[target]) {
                homes[target].extend(home.iter().copied());
                if !book_keeping[target] {
                    queue.push(target);
                }
            }
        }
    }
}

fn adopt_backward(homes: &mut [BTreeSet<usize>], links: &[Vec<usize>], floating: &[bool]) -> bool {
    let mut adopted = false;
    for at in 0..homes.len() {
        if !floating[at] || !homes[at].is_empty() {
            continue;
        }
        let around: BTreeSet<usize> = links[at]
            .iter()
            .flat_map(|target| homes[*target].iter().copied())
            .collect();
        if around.len() == 1 {
            homes[at] = around;
            adopted = true;
        }
    }
    adopted
}

fn bring_support(record: &mut BTreeSet<usize>, links: &[Vec<usize>], support: &[bool]) {
    let mut queue: Vec<usize> = record.iter().copied().collect();
    while let Some(at) = queue.pop() {
        for target in links[at].iter().copied() {
            if support[target] && record.insert(target) {
                queue.push(target);
            }
        }
    }
}
