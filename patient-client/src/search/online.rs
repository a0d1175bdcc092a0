//! Searches by trapdoor: `Search` transactions, each under a token of its own, and their proved answers.

use super::{HospitalSearch, Plan};
use crate::error::PatientError;
use crate::patient::Patient;
use crate::slots::{compile_slots, windows};
use crate::state::{CardEntry, FoundRecord};
use alliance_chain::{Search, SearchResult, Tx, query as chain_query};
use caduceus_client::{ClientError, Proved};
use caduceus_crypto::HospitalId;
use caduceus_crypto::index::Query;
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_custody::query::KeywordClause;
use caduceus_ledger::Height;
use rand_core::{OsRng, RngCore};
use std::time::Duration;

/// Tokens tried before a search is given up: others may be spent or of an old key.
const TOKEN_ATTEMPTS: usize = 4;
/// How often a search is offered again to blocks that have no room for it, and the pause before.
const ROOM_ATTEMPTS: usize = 10;
const ROOM_PAUSE: Duration = Duration::from_millis(500);

impl Patient {
    pub(super) async fn search_hospital(
        &mut self,
        card: &CardEntry,
        plan: &Plan,
    ) -> Result<(HospitalSearch, Vec<FoundRecord>), PatientError> {
        let mut summary = HospitalSearch {
            hospital: card.hospital,
            name: self.name_of(&card.hospital),
            height: Height::GENESIS,
            time: TimeMillis(0),
            linked_height: u64::MAX,
            hits: 0,
            foreign: 0,
            searches: 0,
            complete: true,
            local: None,
        };
        let records = self
            .run(card, plan, &plan.clauses, plan.days, &mut summary)
            .await?;
        summary.hits = records.len();
        Ok((summary, records))
    }

    /// Runs clauses over days at one hospital, in as many searches as it takes, and adds to the summary what the
    /// answers show. Her matching records, by place.
    pub(super) async fn run(
        &mut self,
        card: &CardEntry,
        plan: &Plan,
        clauses: &[KeywordClause],
        days: (Epoch, Epoch),
        summary: &mut HospitalSearch,
    ) -> Result<Vec<FoundRecord>, PatientError> {
        let hospital = card.hospital;
        let mut records: Vec<FoundRecord> = Vec::new();
        // Last first, so that the earliest days are popped first.
        let mut parts = windows(plan.scheme, clauses, days.0, days.1);
        parts.reverse();
        while let Some((from, to)) = parts.pop() {
            let with = self.slot_keys(plan.scheme, card);
            let query = compile_slots(&with, clauses, from, to);
            // Refused here, it costs no token.
            query
                .clone()
                .verify(plan.scheme, plan.searchable.0, plan.searchable.1)?;
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
        Ok(records)
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
