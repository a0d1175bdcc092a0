//! What a hospital's own log says it stored of hers, against what it linked. Private chains answer members only, so
//! without a receipt this is all that a patient can learn of a record that was anchored and never linked. Pure.
//!
//! An entry of success is written before the upload that it is about has ended (DESIGN 5.3), so that by itself it
//! shows nothing: whether there was a record only a receipt tells.

use crate::access_log::HospitalEntry;
use caduceus_crypto::{Hash, TimeMillis};
use std::collections::{BTreeMap, BTreeSet};

/// How long after it was stored a record may be on its way to the alliance: more than hospitals promise.
const ON_ITS_WAY_MILLIS: u64 = 30 * 60 * 1000;

/// Records that the log says were stored, and when, that are neither linked nor promised by a receipt that she has
/// (those are judged by their receipts), longer ago than linking takes. `entries` are oldest first.
pub(super) fn stored_not_linked(
    entries: &[HospitalEntry],
    linked: &BTreeSet<Hash>,
    promised: &BTreeSet<Hash>,
    now: TimeMillis,
) -> Vec<(Hash, TimeMillis)> {
    // An upload that the chain refused has a later entry that says so.
    let mut stored: BTreeMap<Hash, Option<TimeMillis>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_upload(entry)) {
        if let Some(record) = entry.record {
            let done = entry.outcome == "success";
            stored.insert(record, done.then_some(entry.time));
        }
    }
    stored
        .into_iter()
        .filter_map(|(record, time)| Some((record, time?)))
        .filter(|(record, time)| {
            !linked.contains(record)
                && !promised.contains(record)
                && time.0.saturating_add(ON_ITS_WAY_MILLIS) < now.0
        })
        .collect()
}

fn is_upload(entry: &HospitalEntry) -> bool {
    matches!(entry.action.as_str(), "create upload" | "update amend")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::SecretKey;
    use rand_core::OsRng;

    const LATER: TimeMillis = TimeMillis(100 + ON_ITS_WAY_MILLIS + 1);

    fn entry(action: &str, outcome: &str, record: u8) -> HospitalEntry {
        HospitalEntry {
            time: TimeMillis(100),
            actor: SecretKey::generate(&mut OsRng).public().into(),
            role: None,
            action: action.to_owned(),
            outcome: outcome.to_owned(),
            reason: String::new(),
            record: Some(Hash([record; 32])),
            purpose: String::new(),
            grant: None,
            source: String::new(),
            sequence: 0,
            height: 0,
            block: Hash::ZERO,
            tx: Hash::ZERO,
        }
    }

    fn names(found: &[(Hash, TimeMillis)]) -> Vec<u8> {
        found.iter().map(|(hash, _)| hash.as_bytes()[0]).collect()
    }

    #[test]
    fn what_was_stored_and_not_linked_is_named() {
        let nothing = BTreeSet::new();
        let entries = [
            entry("create upload", "success", 1),
            entry("create upload", "success", 2),
            entry("create upload", "success", 3),
            // Refused after all.
            entry("create upload", "success", 4),
            entry("create upload", "denied", 4),
            // Refused first, then stored.
            entry("create upload", "failed", 5),
            entry("create upload", "success", 5),
            entry("update amend", "success", 7),
            // Something else of hers.
            entry("create patient", "success", 8),
            // Read, not stored.
            entry("read fetch-record", "success", 6),
        ];
        let linked = BTreeSet::from([Hash([2; 32])]);
        let promised = BTreeSet::from([Hash([3; 32])]);
        let found = stored_not_linked(&entries, &linked, &promised, LATER);
        assert_eq!(names(&found), [1, 5, 7]);
        assert_eq!(found[0].1, TimeMillis(100));
        // It may still be on its way.
        let soon = TimeMillis(LATER.0 - 1);
        assert!(stored_not_linked(&entries, &linked, &promised, soon).is_empty());
        assert!(stored_not_linked(&[], &nothing, &nothing, LATER).is_empty());
    }
}
