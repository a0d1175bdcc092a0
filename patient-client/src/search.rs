//! Search: what is hers and matches, hospital by hospital (DESIGN 2.3, 3.4). By trapdoor, with one proved answer a
//! hospital, or with her own eyes over what the hospital linked; then the newest version in the place of each hit.

mod amended;
mod online;
mod scan;

use crate::error::PatientError;
use crate::patient::Patient;
use crate::slots::SlotKeys;
use crate::state::{CardEntry, FoundRecord, Replacement};
use crate::versions::newest_versions;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_crypto::{Hash, HospitalId};
use caduceus_custody::amend;
use caduceus_custody::query::{self, DateRange, KeywordClause, QueryExpr};
use caduceus_ledger::Height;

/// Blocks within which a search may run.
const LIFE_BLOCKS: u64 = 1_000;
/// A day counts as begun for a search this long after midnight: block time may lag behind this machine's clock,
/// and a trapdoor for a day that the chain has not reached is refused.
const MIDNIGHT_SLACK_MILLIS: u64 = 30_000;

/// What is searched for, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchSpec {
    /// The query as people type it; may be blank when there are clinical dates.
    pub text: String,
    /// First clinical day, month or year.
    pub from: Option<String>,
    /// Last clinical day, month or year.
    pub to: Option<String>,
    /// First day of anchoring.
    pub anchored_since: Option<Epoch>,
    /// Last day of anchoring.
    pub anchored_until: Option<Epoch>,
    /// The hospitals; all of which she has a card when empty.
    pub hospitals: Vec<HospitalId>,
    /// Whether to download all linked records and look through them here, instead of sending a trapdoor: slower,
    /// and nobody learns what is looked for.
    pub local: bool,
    /// Whether to look for newer versions of the hits; true by default. Newer versions count whenever they were
    /// anchored, and whether or not they match.
    pub versions: bool,
}

impl Default for SearchSpec {
    fn default() -> Self {
        Self {
            text: String::new(),
            from: None,
            to: None,
            anchored_since: None,
            anchored_until: None,
            hospitals: Vec::new(),
            local: false,
            versions: true,
        }
    }
}

impl SearchSpec {
    /// A search everywhere and at any time.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

/// What one hospital's search showed, by proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HospitalSearch {
    /// The hospital.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// Alliance height of the last block that answered, or under which the linked records are proved.
    pub height: Height,
    /// Time of that block.
    pub time: TimeMillis,
    /// Private height up to which every anchored record was searched.
    pub linked_height: u64,
    /// Records of hers that are shown.
    pub hits: usize,
    /// Records that matched and are not hers: dropped. Somebody else uses her tags, or her hospital errs.
    pub foreign: usize,
    /// Search transactions that it took, those for newer versions included.
    pub searches: usize,
    /// Whether every match is here; false where a single day has more than one search returns.
    pub complete: bool,
    /// What was looked through, if the search was local.
    pub local: Option<LocalScan>,
}

/// What a local search looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalScan {
    /// Records that the hospital has linked, proved to be all.
    pub linked: u64,
    /// Records of hers among them.
    pub mine: usize,
}

/// What a search found. An empty one is as much proved as a full one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchOutcome {
    /// By hospital.
    pub hospitals: Vec<HospitalSearch>,
    /// Her matching records by hospital and place, the newest known version in the place of each.
    pub records: Vec<FoundRecord>,
    /// Records whose clinical day is not known, and why: they could not be opened, or, in a local search, which
    /// opens nothing, their index does not say. They are among the hits.
    pub undated: Vec<(FoundRecord, String)>,
    /// Those of the records that replace earlier ones, with these, newest first.
    pub earlier: Vec<(FoundRecord, Vec<FoundRecord>)>,
    /// Those of the records that replace one which no search has shown yet, with its hash.
    pub unseen: Vec<(FoundRecord, Hash)>,
    /// Records of which it is not known whether newer versions exist, or what they replace; and why.
    pub unversioned: Vec<(FoundRecord, String)>,
    /// Those of the records that claim to replace the same record, or what claims to: of each group at most one is
    /// its right correction, and nothing here says which.
    pub conflicting: Vec<Vec<FoundRecord>>,
}

/// A parsed search, the same for every hospital.
pub(crate) struct Plan {
    pub(crate) scheme: SchemeId,
    pub(crate) clauses: Vec<KeywordClause>,
    pub(crate) dates: Option<DateRange>,
    /// First and last day of anchoring to cover.
    pub(crate) days: (Epoch, Epoch),
    /// First and last day that the chain searches.
    pub(crate) searchable: (Epoch, Epoch),
    pub(crate) expires: Height,
}

impl Patient {
    /// Searches her hospitals one after the other and verifies every answer: by one or more `Search` transactions
    /// each, each under a fresh token, or locally. The hits are kept as her last search.
    ///
    /// # Errors
    /// Before anything is sent: [`PatientError::Query`], [`PatientError::Compile`], [`PatientError::Dates`],
    /// [`PatientError::AnchoredRange`], [`PatientError::NoCards`], [`PatientError::NoCard`]. Then those of
    /// [`Patient::top_up`], of `Alliance::submit` and of `Alliance::all_linked`.
    ///
    /// # Leakage
    /// To all members, for ever: the hospital, the days, which records match which keyword's trapdoor
    /// ([`Patient::explain`] tells it for one search). Not whose search it is. The search for newer versions comes
    /// right after and tells which later records replace hits of the first, if there are any. With clinical dates
    /// her hits are fetched and opened, and so are records that replace hits, which the hospital and a node see.
    ///
    /// A local search tells nobody more than that somebody reads the hospital's links: it fetches no record, whatever
    /// it is asked.
    pub async fn search(&mut self, spec: &SearchSpec) -> Result<SearchOutcome, PatientError> {
        let plan = self.plan(spec).await?;
        let cards = self.searched_cards(&spec.hospitals)?;
        let mut outcome = SearchOutcome::default();
        let mut scanned: Vec<FoundRecord> = Vec::new();
        let mut relations: Vec<Replacement> = Vec::new();
        for card in &cards {
            if spec.local {
                let mut scan = self.scan(card, &plan, spec.versions).await?;
                outcome.hospitals.push(scan.summary);
                outcome.records.append(&mut scan.seen.hits);
                outcome.undated.append(&mut scan.seen.undated);
                relations.append(&mut scan.seen.replacements);
                scanned.append(&mut scan.own);
            } else {
                let (summary, mut records) = self.search_hospital(card, &plan).await?;
                outcome.hospitals.push(summary);
                outcome.records.append(&mut records);
            }
        }
        if let Some(range) = plan.dates.as_ref().filter(|_| !spec.local) {
            self.keep_dated(range, &mut outcome).await?;
        }
        self.wallet.update(|state| {
            for record in outcome.records.iter().chain(&scanned) {
                state.remember(*record);
            }
        })?;
        if spec.versions {
            if !spec.local {
                for card in &cards {
                    self.follow_amendments(card, &plan, &mut outcome).await;
                }
            }
            self.show_newest(&relations, &mut outcome);
        }
        recount(&mut outcome);
        let shown = outcome.records.clone();
        self.wallet.update(|state| state.last_search = shown)?;
        Ok(outcome)
    }

    pub(crate) fn searched_cards(
        &self,
        hospitals: &[HospitalId],
    ) -> Result<Vec<CardEntry>, PatientError> {
        if hospitals.is_empty() {
            let cards = self.state().cards.clone();
            return if cards.is_empty() {
                Err(PatientError::NoCards)
            } else {
                Ok(cards)
            };
        }
        let mut cards: Vec<CardEntry> = Vec::new();
        for hospital in hospitals {
            let card = self.card(hospital)?;
            if !cards.contains(card) {
                cards.push(card.clone());
            }
        }
        Ok(cards)
    }

    /// Parses a search and asks for the alliance's bounds and its head: all that is sent before a search.
    pub(crate) async fn plan(&self, spec: &SearchSpec) -> Result<Plan, PatientError> {
        let (clauses, dates) = parse(spec)?;
        self.searched_cards(&spec.hospitals)?;
        let params = self.alliance.params().await?;
        let first = params.first_epoch;
        let head = self.alliance.head().await?.header;
        let settled =
            TimeMillis(self.alliance.now().0.saturating_sub(MIDNIGHT_SLACK_MILLIS)).epoch();
        let today = settled.max(head.time.epoch());
        let since = spec.anchored_since.unwrap_or(first).max(first);
        let until = spec.anchored_until.unwrap_or(today).min(today);
        if since > until {
            return Err(PatientError::AnchoredRange { since, until });
        }
        Ok(Plan {
            scheme: params.scheme,
            clauses,
            dates,
            days: (since, until),
            searchable: (first, today),
            expires: Height(head.height.0.saturating_add(LIFE_BLOCKS)),
        })
    }

    /// What trapdoors for a card's hospital are made with.
    pub(crate) fn slot_keys<'a>(&'a self, scheme: SchemeId, card: &'a CardEntry) -> SlotKeys<'a> {
        SlotKeys {
            scheme,
            keys: self.keys(),
            hospital: &card.hospital,
            index: &card.index_key,
        }
    }

    /// Puts the newest versions in the place of the hits. `relations` are those that she has not opened.
    fn show_newest(&self, relations: &[Replacement], outcome: &mut SearchOutcome) {
        let state = self.state();
        // What a record says inside goes before what the index says of it.
        let all: Vec<Replacement> = state
            .replacements
            .iter()
            .chain(relations)
            .copied()
            .collect();
        let mut records = Vec::new();
        for summary in &outcome.hospitals {
            let hits = hits_at(&summary.hospital, &outcome.records);
            let mut newest = newest_versions(&hits, &state.known, &all);
            newest.records.sort_by_key(|found| found.record);
            records.append(&mut newest.records);
            outcome.earlier.append(&mut newest.earlier);
            outcome.unseen.append(&mut newest.unseen);
            outcome.conflicting.append(&mut newest.conflicting);
        }
        outcome.records = records;
    }

    /// Drops the records outside of a clinical range, by opening them. One that does not open stays, and is told.
    async fn keep_dated(
        &mut self,
        range: &DateRange,
        outcome: &mut SearchOutcome,
    ) -> Result<(), PatientError> {
        let mut kept = Vec::new();
        let mut learned = Vec::new();
        for found in std::mem::take(&mut outcome.records) {
            match self.open(&found).await {
                Ok(opened) => {
                    learned.extend(replacement(&found, amend::replaced(&opened)));
                    if range.admits(&opened.plaintext) {
                        kept.push(found);
                    }
                }
                Err(error) => {
                    outcome.undated.push((found, error.to_string()));
                    kept.push(found);
                }
            }
        }
        outcome.records = kept;
        self.learn(&learned)
    }

    /// Keeps what opened records say they replace.
    pub(crate) fn learn(&mut self, learned: &[Replacement]) -> Result<(), PatientError> {
        if learned.is_empty() {
            return Ok(());
        }
        self.wallet.update(|state| {
            for each in learned {
                state.remember_replacement(*each);
            }
        })
    }
}

/// What an opened record says it replaces.
pub(crate) fn replacement(found: &FoundRecord, older: Option<Hash>) -> Option<Replacement> {
    older.map(|older| Replacement {
        hospital: found.hospital,
        newer: found.record_hash,
        older,
    })
}

fn hits_at(hospital: &HospitalId, records: &[FoundRecord]) -> Vec<FoundRecord> {
    records
        .iter()
        .filter(|found| found.hospital == *hospital)
        .copied()
        .collect()
}

fn recount(outcome: &mut SearchOutcome) {
    for summary in &mut outcome.hospitals {
        summary.hits = hits_at(&summary.hospital, &outcome.records).len();
    }
}

/// The clauses of a search's text and clinical dates.
fn parse(spec: &SearchSpec) -> Result<(Vec<KeywordClause>, Option<DateRange>), PatientError> {
    let dates = DateRange::parse_open(spec.from.as_deref(), spec.to.as_deref())?;
    if let (Some(since), Some(until)) = (spec.anchored_since, spec.anchored_until)
        && since > until
    {
        return Err(PatientError::AnchoredRange { since, until });
    }
    let expression: Option<QueryExpr> = if spec.text.trim().is_empty() && dates.is_some() {
        None
    } else {
        Some(query::parse(&spec.text)?)
    };
    Ok((query::compile(expression.as_ref(), dates.as_ref())?, dates))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_search_needs_words_or_dates() {
        assert!(matches!(
            parse(&SearchSpec::text("  ")),
            Err(PatientError::Query(_))
        ));
        let spec = SearchSpec {
            from: Some("2024".to_owned()),
            ..SearchSpec::default()
        };
        let (clauses, dates) = parse(&spec).unwrap();
        assert_eq!(clauses.len(), 1);
        assert!(dates.is_some());
        assert!(parse(&SearchSpec::text("asthma")).unwrap().1.is_none());
    }

    #[test]
    fn newest_versions_are_looked_for_unless_told_otherwise() {
        assert!(SearchSpec::default().versions && SearchSpec::text("asthma").versions);
        assert!(!SearchSpec::default().local);
    }

    #[test]
    fn reversed_dates_are_refused_before_anything_is_sent() {
        let spec = SearchSpec {
            from: Some("2024-05-17".to_owned()),
            to: Some("2023".to_owned()),
            ..SearchSpec::text("asthma")
        };
        assert!(matches!(parse(&spec), Err(PatientError::Dates(_))));
        let day = |day| Epoch::from_ymd(2026, 11, day);
        let spec = SearchSpec {
            anchored_since: day(20),
            anchored_until: day(19),
            ..SearchSpec::text("asthma")
        };
        assert!(matches!(
            parse(&spec),
            Err(PatientError::AnchoredRange { .. })
        ));
    }
}
