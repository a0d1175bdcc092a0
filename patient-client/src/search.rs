//! Search: one proved answer a hospital, and what of it is hers (DESIGN 2.3, 3.4).

use crate::error::PatientError;
use crate::patient::Patient;
use crate::slots::{compile_slots, windows};
use crate::state::{CardEntry, FoundRecord};
use alliance_chain::{Search, SearchResult, Tx, query as chain_query};
use caduceus_client::{ClientError, Proved};
use caduceus_crypto::HospitalId;
use caduceus_crypto::index::Query;
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_custody::query::{self, DateRange, KeywordClause, QueryExpr};
use caduceus_ledger::Height;
use rand_core::{OsRng, RngCore};
use std::time::Duration;

/// Blocks within which a search may run.
const LIFE_BLOCKS: u64 = 1_000;
/// Tokens tried before a search is given up: others may be spent or of an old key.
const TOKEN_ATTEMPTS: usize = 4;
/// How often a search is offered again to blocks that have no room for it, and the pause before.
const ROOM_ATTEMPTS: usize = 10;
const ROOM_PAUSE: Duration = Duration::from_millis(500);
/// A day counts as begun for a search this long after midnight: block time may lag behind this machine's clock,
/// and a trapdoor for a day that the chain has not reached is refused.
const MIDNIGHT_SLACK_MILLIS: u64 = 30_000;

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Alliance height of the last block that answered.
    pub height: Height,
    /// Time of that block.
    pub time: TimeMillis,
    /// Private height up to which every anchored record was searched.
    pub linked_height: u64,
    /// Records of hers that matched.
    pub hits: usize,
    /// Records that matched and are not hers: dropped. Somebody else uses her tags, or her hospital errs.
    pub foreign: usize,
    /// Search transactions that it took.
    pub searches: usize,
    /// Whether every match is here; false where a single day has more than one search returns.
    pub complete: bool,
}

/// What a search found. An empty one is as much proved as a full one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchOutcome {
    /// By hospital.
    pub hospitals: Vec<HospitalSearch>,
    /// Her matching records, by hospital and place.
    pub records: Vec<FoundRecord>,
    /// Records that could not be opened to look at their clinical day; they are among the records.
    pub undated: Vec<(FoundRecord, String)>,
}

/// A parsed search, the same for every hospital.
struct Plan {
    clauses: Vec<KeywordClause>,
    dates: Option<DateRange>,
    /// First and last day of anchoring to cover.
    days: (Epoch, Epoch),
    /// First and last day that the chain searches.
    searchable: (Epoch, Epoch),
    expires: Height,
}

impl Patient {
    /// Searches her hospitals one after the other, one or more `Search` transactions each, each under a fresh
    /// token, and verifies every answer. The hits are kept as her last search.
    ///
    /// # Errors
    /// Before anything is sent: [`PatientError::Query`], [`PatientError::Compile`], [`PatientError::Dates`],
    /// [`PatientError::AnchoredRange`], [`PatientError::NoCards`], [`PatientError::NoCard`]. Then those of
    /// [`Patient::top_up`] and of `Alliance::submit`.
    ///
    /// # Leakage
    /// To all members, for ever: the hospital, the days, which records match which keyword's cover. Not whose
    /// search it is. With clinical dates her hits are fetched and opened, which the hospital logs.
    pub async fn search(&mut self, spec: &SearchSpec) -> Result<SearchOutcome, PatientError> {
        let (clauses, dates) = parse(spec)?;
        let cards = self.searched_cards(&spec.hospitals)?;
        let plan = self.plan(spec, clauses, dates).await?;
        let mut outcome = SearchOutcome::default();
        for card in &cards {
            let (summary, mut records) = self.search_hospital(card, &plan).await?;
            outcome.hospitals.push(summary);
            outcome.records.append(&mut records);
        }
        if let Some(range) = &plan.dates {
            self.keep_dated(range, &mut outcome).await;
        }
        let found = outcome.records.clone();
        self.wallet.update(|state| {
            for record in &found {
                state.remember(*record);
            }
            state.last_search = found;
        })?;
        Ok(outcome)
    }

    fn searched_cards(&self, hospitals: &[HospitalId]) -> Result<Vec<CardEntry>, PatientError> {
        if hospitals.is_empty() {
            let cards = self.state().cards.clone();
            return if cards.is_empty() {
                Err(PatientError::NoCards)
            } else {
                Ok(cards)
            };
        }
        hospitals
            .iter()
            .map(|hospital| self.card(hospital).cloned())
            .collect()
    }

    async fn plan(
        &self,
        spec: &SearchSpec,
        clauses: Vec<KeywordClause>,
        dates: Option<DateRange>,
    ) -> Result<Plan, PatientError> {
        let first = self.alliance.params().await?.first_epoch;
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
            clauses,
            dates,
            days: (since, until),
            searchable: (first, today),
            expires: Height(head.height.0.saturating_add(LIFE_BLOCKS)),
        })
    }

    async fn search_hospital(
        &mut self,
        card: &CardEntry,
        plan: &Plan,
    ) -> Result<(HospitalSearch, Vec<FoundRecord>), PatientError> {
        let hospital = card.hospital;
        let mut summary = HospitalSearch {
            hospital,
            name: self.name_of(&hospital),
            height: Height::GENESIS,
            time: TimeMillis(0),
            linked_height: u64::MAX,
            hits: 0,
            foreign: 0,
            searches: 0,
            complete: true,
        };
        let mut records: Vec<FoundRecord> = Vec::new();
        // Last first, so that the earliest days are popped first.
        let mut parts = windows(&plan.clauses, plan.days.0, plan.days.1);
        parts.reverse();
        while let Some((from, to)) = parts.pop() {
            let keys = self.keys();
            let query = compile_slots(
                &plan.clauses,
                |quarter| keys.quarter_key(&hospital, &card.index_key, &quarter),
                from,
                to,
            );
            // Refused here, it costs no token.
            query.clone().verify(plan.searchable.0, plan.searchable.1)?;
            let proved = self.spend_search(&hospital, query, plan.expires).await?;
            let result = read_result(&proved, &hospital)?;
            summary.searches += 1;
            summary.height = summary.height.max(proved.height);
            summary.time = summary.time.max(proved.time);
            // Of several answers the one that saw least says what is surely searched.
            summary.linked_height = summary.linked_height.min(result.linked_height);
            if result.stopped_at.is_some() && from < to {
                let middle = Epoch(from.0 + (to.0 - from.0) / 2);
                parts.push((Epoch(middle.0 + 1), to));
                parts.push((from, middle));
                continue;
            }
            summary.complete &= result.stopped_at.is_none();
            for hit in result.hits {
                let found = FoundRecord {
                    hospital,
                    record: hit.record,
                    record_hash: hit.record_hash,
                    pseudonym: hit.pseudonym,
                };
                if !self.keys().recognise(&hospital, &hit.pseudonym) {
                    summary.foreign += 1;
                } else if !records.iter().any(|known| known.record == found.record) {
                    records.push(found);
                }
            }
        }
        records.sort_by_key(|found| found.record);
        summary.hits = records.len();
        Ok((summary, records))
    }

    /// One search transaction under a fresh token, up to its proof.
    async fn spend_search(
        &mut self,
        hospital: &HospitalId,
        query: Query,
        expires: Height,
    ) -> Result<Proved, PatientError> {
        let mut last = None;
        for _ in 0..TOKEN_ATTEMPTS {
            let spendable = self.take_token(hospital).await?;
            let mut nonce = [0u8; 32];
            OsRng.fill_bytes(&mut nonce);
            let search = Search {
                hospital: *hospital,
                query: query.clone(),
                nonce,
                expires,
                chain: self.alliance.chain(),
                issuer: *hospital,
                token: spendable.token.clone(),
            };
            let tx = Tx::Search(search.sign(&spendable.key));
            match self.submit_when_there_is_room(&tx).await {
                Ok(proved) => return Ok(proved),
                Err(ClientError::Rejected { rule, detail }) if is_about_the_token(&rule) => {
                    if rule != "search_token_spent" {
                        self.drop_tokens(hospital)?;
                    }
                    last = Some(ClientError::Rejected { rule, detail });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.expect("at least one token was tried").into())
    }

    async fn submit_when_there_is_room(&self, tx: &Tx) -> Result<Proved, ClientError> {
        let mut attempt = 1;
        loop {
            match self.alliance.submit(tx).await {
                Err(ClientError::Rejected { rule, .. })
                    if rule == "search_block_budget" && attempt < ROOM_ATTEMPTS =>
                {
                    attempt += 1;
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Drops the records outside of a clinical range, by opening them. One that does not open stays, and is told.
    async fn keep_dated(&self, range: &DateRange, outcome: &mut SearchOutcome) {
        let mut kept = Vec::new();
        for found in std::mem::take(&mut outcome.records) {
            match self.open(&found).await {
                Ok(opened) if range.admits(&opened.plaintext) => kept.push(found),
                Ok(_) => {}
                Err(error) => {
                    outcome.undated.push((found, error.to_string()));
                    kept.push(found);
                }
            }
        }
        outcome.records = kept;
        for summary in &mut outcome.hospitals {
            summary.hits = outcome
                .records
                .iter()
                .filter(|found| found.hospital == summary.hospital)
                .count();
        }
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

fn read_result(proved: &Proved, hospital: &HospitalId) -> Result<SearchResult, PatientError> {
    let wrong = |reason: String| {
        PatientError::Client(ClientError::Unverified {
            node: "all nodes alike".to_owned(),
            reason,
        })
    };
    let result =
        chain_query::search_result(&proved.result).map_err(|error| wrong(error.to_string()))?;
    if result.hospital != *hospital {
        return Err(wrong("the result is another hospital's".to_owned()));
    }
    Ok(result)
}

fn is_about_the_token(rule: &str) -> bool {
    matches!(rule, "search_token_spent" | "search_token_forged")
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
