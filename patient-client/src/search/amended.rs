//! Newer versions of hits: what replaces a record carries the keyword `amends:` with the record's hash, so one more
//! search finds it, and the newer record says inside which one it replaces (DESIGN 5.1). It is asked for every
//! version that is known, not for the newest alone: of two records that claim to replace the same one neither may hide
//! the other.

use super::{Plan, SearchOutcome, hits_at, replacement};
use crate::error::PatientError;
use crate::patient::Patient;
use crate::state::{CardEntry, FoundRecord};
use crate::versions::all_versions;
use caduceus_client::shuffle;
use caduceus_crypto::Hash;
use caduceus_crypto::index::MAX_SLOTS;
use caduceus_custody::amend;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::query::KeywordClause;
use rand_core::{CryptoRng, OsRng, RngCore};
use std::collections::BTreeSet;

/// Most versions of one record that are followed in one search; the next search goes on from there.
const MAX_ROUNDS: usize = 64;

impl Patient {
    /// Looks for what replaces the hits at a hospital, and for what replaces that. What can't be done is told as
    /// [`SearchOutcome::unversioned`]: the hits are there all the same.
    pub(super) async fn follow_amendments(
        &mut self,
        card: &CardEntry,
        plan: &Plan,
        outcome: &mut SearchOutcome,
    ) {
        let hits = hits_at(&card.hospital, &outcome.records);
        if let Err(error) = self.follow(card, plan, &hits, outcome).await {
            let reason = error.to_string();
            let untold = hits.into_iter().map(|hit| (hit, reason.clone()));
            outcome.unversioned.extend(untold);
        }
    }

    async fn follow(
        &mut self,
        card: &CardEntry,
        plan: &Plan,
        hits: &[FoundRecord],
        outcome: &mut SearchOutcome,
    ) -> Result<(), PatientError> {
        let mut asked = BTreeSet::new();
        for _ in 0..MAX_ROUNDS {
            let state = self.state();
            let unasked: Vec<Hash> = all_versions(hits, &state.known, &state.replacements)
                .into_iter()
                .filter(|hash| asked.insert(*hash))
                .collect();
            if unasked.is_empty() {
                break;
            }
            // What replaces a hit was anchored after it, at any time since. What replaces another version of it may
            // have been anchored before the days that were searched.
            let are_hits = unasked
                .iter()
                .all(|hash| hits.iter().any(|hit| hit.record_hash == *hash));
            let first = if are_hits {
                plan.days.0
            } else {
                plan.searchable.0
            };
            let days = (first, plan.searchable.1);
            for some in unasked.chunks(MAX_SLOTS) {
                let clauses = [any_that_amends(&mut OsRng, some)];
                let summary = outcome
                    .hospitals
                    .iter_mut()
                    .find(|each| each.hospital == card.hospital)
                    .expect("every hospital searched has its summary");
                let found = self.run(card, plan, &clauses, days, summary).await?;
                for candidate in found {
                    if let Some(reason) = self.take_amendment(&candidate).await? {
                        outcome.unversioned.push((candidate, reason));
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps a record that replaces another, and learns which by opening it, unless that is known. Why it can't be
    /// learnt, if so.
    async fn take_amendment(
        &mut self,
        candidate: &FoundRecord,
    ) -> Result<Option<String>, PatientError> {
        let known = self
            .state()
            .replaced_by(&candidate.hospital, &candidate.record_hash)
            .is_some();
        let opened = if known {
            None
        } else {
            Some(self.open(candidate).await)
        };
        self.wallet.update(|state| state.remember(*candidate))?;
        match opened {
            None => Ok(None),
            Some(Err(error)) => Ok(Some(error.to_string())),
            Some(Ok(opened)) => match replacement(candidate, amend::replaced(&opened)) {
                Some(learned) => self.learn(&[learned]).map(|()| None),
                None => Ok(Some(
                    "it is indexed as a newer version, and does not say of what".to_owned(),
                )),
            },
        }
    }
}

/// Records that replace any of these, in random order: the order of the slots would tell which trapdoor is for
/// which hit.
fn any_that_amends(rng: &mut (impl CryptoRng + RngCore), records: &[Hash]) -> KeywordClause {
    let mut keywords: Vec<Keyword> = records.iter().map(Keyword::amends).collect();
    shuffle(rng, &mut keywords);
    KeywordClause {
        negative: false,
        keywords,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn a_clause_asks_for_every_record_once_and_hides_their_order() {
        let mut rng = ChaCha20Rng::seed_from_u64(41);
        let records: Vec<Hash> = (0..64u8).map(|number| Hash([number; 32])).collect();
        let in_order: Vec<Keyword> = records.iter().map(Keyword::amends).collect();
        let clause = any_that_amends(&mut rng, &records);
        assert!(!clause.negative);
        assert_ne!(clause.keywords, in_order);
        assert_ne!(
            clause.keywords,
            any_that_amends(&mut rng, &records).keywords
        );
        let all: BTreeSet<&Keyword> = clause.keywords.iter().collect();
        assert_eq!(all, in_order.iter().collect());
        assert_eq!(any_that_amends(&mut rng, &records[..1]).keywords.len(), 1);
    }
}
