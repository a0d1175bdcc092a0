//! Local searches: all that a hospital has linked, looked through here (DESIGN 2.3). After the download nothing is
//! sent, so nobody sees what matches.

use super::{HospitalSearch, LocalScan, Plan};
use crate::error::PatientError;
use crate::local::{
    Dated, OwnRecord, by_clinical_day, hits, indexed_replacements, linked_entries, own_records,
    seeker,
};
use crate::patient::Patient;
use crate::slots::SlotKeys;
use crate::state::{CardEntry, FoundRecord, Replacement};
use caduceus_client::LinkedHistory;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::time::Epoch;
use caduceus_crypto::{HospitalId, PublicKey};
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::query::{DateRange, KeywordClause};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What a local search of one hospital brought.
pub(super) struct Scan {
    pub(super) summary: HospitalSearch,
    /// All of her records there.
    pub(super) own: Vec<FoundRecord>,
    pub(super) seen: Seen,
}

/// What her own eyes saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Her hits, by place.
    pub(super) hits: Vec<FoundRecord>,
    /// Hits of which it can't be said without opening them whether they lie in the range, and why.
    pub(super) undated: Vec<(FoundRecord, String)>,
    /// What replaces what among the hits' versions, as far as it was not known.
    pub(super) replacements: Vec<Replacement>,
}

/// What is looked for, by itself: it goes to another thread.
struct Look {
    scheme: SchemeId,
    keys: PatientKeys,
    hospital: HospitalId,
    index: PublicKey,
    clauses: Vec<KeywordClause>,
    days: RangeInclusive<Epoch>,
    dates: Option<DateRange>,
    /// What she knows of versions; none if they are not looked for.
    known: Option<Vec<Replacement>>,
}

impl Look {
    /// Looks through her records among those of a history. Pure, and slow: some hashing a record, keyword and day, or
    /// where the scheme scans a pairing for each keyword and index entry.
    fn through(&self, own: &[OwnRecord], history: &LinkedHistory) -> Seen {
        let with = SlotKeys {
            scheme: self.scheme,
            keys: &self.keys,
            hospital: &self.hospital,
            index: &self.index,
        };
        let linked = linked_entries(own, history);
        let mut seeker = seeker(&with, &linked);
        let mut found: BTreeSet<usize> = hits(&mut seeker, &self.clauses, &self.days);
        let mut seen = Seen::default();
        if let Some(range) = &self.dates {
            for (record, dated) in by_clinical_day(&mut seeker, &found, &self.days, range) {
                match dated {
                    Dated::Inside => {}
                    Dated::Outside => {
                        found.remove(&record);
                    }
                    Dated::Unknown(why) => {
                        seen.undated.push((own[record].found, why.to_owned()));
                    }
                }
            }
        }
        seen.hits = found.into_iter().map(|record| own[record].found).collect();
        if let Some(known) = &self.known {
            seen.replacements = indexed_replacements(&mut seeker, own, &seen.hits, known);
        }
        seen
    }
}

impl Patient {
    /// Looks through all that a hospital has linked, also for newer versions if those are wanted.
    pub(super) async fn scan(
        &self,
        card: &CardEntry,
        plan: &Plan,
        versions: bool,
    ) -> Result<Scan, PatientError> {
        let history = Arc::new(self.alliance.all_linked(card.hospital).await?);
        let own = own_records(self.keys(), &history).await;
        let look = Look {
            scheme: plan.scheme,
            keys: self.keys().clone(),
            hospital: card.hospital,
            index: card.index_key,
            clauses: plan.clauses.clone(),
            days: plan.days.0..=plan.days.1,
            dates: plan.dates,
            known: versions.then(|| self.state().replacements.clone()),
        };
        let looked_through = Arc::clone(&history);
        let looking = tokio::task::spawn_blocking(move || {
            let seen = look.through(&own, &looked_through);
            let own: Vec<FoundRecord> = own.into_iter().map(|each| each.found).collect();
            (own, seen)
        });
        let (own, seen) = looking
            .await
            .expect("looking neither panics nor is cancelled");
        let summary = HospitalSearch {
            hospital: card.hospital,
            name: self.name_of(&card.hospital),
            height: history.head.header.height,
            time: history.head.header.time,
            linked_height: history.height().0,
            hits: seen.hits.len(),
            foreign: 0,
            searches: 0,
            complete: true,
            local: Some(LocalScan {
                linked: history.records(),
                mine: own.len(),
            }),
        };
        Ok(Scan { summary, own, seen })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Clinic;
    use caduceus_custody::fhir::ClinicalDate;
    use caduceus_custody::keyword::Keyword;
    use caduceus_custody::query::{compile, parse};
    use caduceus_custody::scheme::TagsScheme;

    /// Hits by word, range and version, without a record being opened: none is there to be opened.
    #[test]
    fn a_local_search_needs_the_index_alone() {
        let mut clinic = Clinic::<TagsScheme>::new(81);
        let anchored = Epoch::from_ymd(2026, 11, 20).unwrap();
        let mut own: Vec<OwnRecord> = Vec::new();
        for (day, more) in [
            (Some("2024-02-08"), None),
            (Some("2024-02-09"), None),
            (Some("2024-02-10"), Some(1)),
            (None, None),
        ] {
            let mut keywords = vec![Keyword::term("asthma").unwrap()];
            if let Some(text) = day {
                keywords.extend(Keyword::dates(ClinicalDate::parse(text).unwrap()));
            } else {
                let date = ClinicalDate::parse("2024-02-20").unwrap();
                keywords.push(Keyword::month(date));
            }
            keywords.extend(more.map(|at: usize| Keyword::amends(&own[at].found.record_hash)));
            let texts: Vec<&str> = keywords.iter().map(Keyword::as_str).collect();
            own.push(clinic.record(anchored, &texts));
        }
        let history = clinic.history(&own);
        let with = clinic.with();
        // Its clause covers whole months.
        let range = DateRange::parse("2024-02-09", "2024-09-20").unwrap();
        let query = parse("asthma").unwrap();
        let look = |dates: Option<DateRange>, known: Option<Vec<Replacement>>| {
            Look {
                scheme: with.scheme,
                keys: with.keys.clone(),
                hospital: *with.hospital,
                index: *with.index,
                clauses: compile(Some(&query), dates.as_ref()).unwrap(),
                days: Epoch(0)..=anchored,
                dates,
                known,
            }
            .through(&own, &history)
        };
        let found: Vec<FoundRecord> = own.iter().map(|each| each.found).collect();
        let all = look(None, None);
        assert_eq!(all.hits, found);
        assert!(all.undated.is_empty() && all.replacements.is_empty());
        let dated = look(Some(range), Some(Vec::new()));
        assert_eq!(dated.hits, [found[1], found[2], found[3]]);
        let [(undated, why)] = dated.undated.as_slice() else {
            panic!("{} are undated", dated.undated.len());
        };
        assert_eq!(*undated, found[3]);
        assert!(why.contains("clinical day"));
        let [newer] = dated.replacements.as_slice() else {
            panic!("{} replacements", dated.replacements.len());
        };
        let expected = (found[2].record_hash, found[1].record_hash);
        assert_eq!((newer.newer, newer.older), expected);
    }
}
