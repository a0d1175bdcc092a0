//! Verification: whether everything of hers is linked, as promised, and found by what it says (DESIGN 2.2, 2.3).

mod evidence;
mod expected;
mod fault;
mod gaps;
mod indexing;
mod log;
mod outcome;
mod promises;
mod reading;
mod receipts;
mod told;
mod warning;

use crate::error::PatientError;
use crate::local::{OwnRecord, linked_entries, own_records};
use crate::patient::Patient;
use crate::slots::SlotKeys;
use caduceus_client::{Hospital, LinkedHistory};
use caduceus_crypto::HospitalId;
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::index::SchemeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::indexing::{Misindexed, inspect};
use self::reading::Read;

pub use self::evidence::{
    AllianceEvidence, Evidence, GapEvidence, InclusionEvidence, MissingEvidence,
};
pub use self::fault::{Fault, Finding, Reported};
pub use self::gaps::{Counted, Gap, find_gaps};
pub use self::indexing::{MissingKeyword, Stop};
pub use self::outcome::{HospitalVerified, VerifyOutcome, VerifySpec};
pub use self::warning::{Caution, Warning};

/// What is verified at a hospital.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Everything.
    All,
    /// Its receipts.
    Receipts,
}

impl Patient {
    /// Verifies, hospital by hospital: that its links are complete; that each receipt is kept, else a report with the
    /// receipt as its proof goes to the alliance; that each record of hers opens and is found by each of its
    /// keywords; that no number is left out which would hide later records; and that what the hospital's own log says
    /// it stored is linked. Private chains answer members only, so without a receipt that log is all that tells of a
    /// record which was anchored and never linked. A hospital whose links can't be had is named in the outcome, and
    /// the others are verified all the same.
    ///
    /// # Errors
    /// Before anything is sent: [`PatientError::Receipt`], [`PatientError::UnknownHospital`],
    /// [`PatientError::NoCards`]. Then those of `Alliance::params`. What can't be looked at is in the outcome.
    ///
    /// # Leakage
    /// As for a local search; and all of her records are fetched and opened, her log is read, and receipts are asked
    /// for. The hospital logs each of these, and knows whose they are. The records are fetched in random order, each
    /// from a random node by a peer identifier of its own, so no node sees all of them in their order. What remains:
    /// the fetches come one after the other from one network address, so a node can tell that those it sees belong
    /// together, and whoever runs all nodes, or the hospital, that these are all the records of one patient there.
    ///
    /// A report shows every member a receipt, for ever: a pseudonym, not whose it is. Each has a key and a peer
    /// identifier of its own and goes to a random node; that two are made at about the same time, from one address,
    /// remains.
    pub async fn verify(&mut self, spec: &VerifySpec) -> Result<VerifyOutcome, PatientError> {
        for receipt in &spec.receipts {
            self.add_receipt(receipt.clone())?;
        }
        let sites = self.verified_hospitals(spec)?;
        let scheme = self.alliance.params().await?.scheme;
        let mut outcome = VerifyOutcome::default();
        for (site, scope) in &sites {
            match self.alliance.all_linked(site.id).await {
                Ok(history) => {
                    let history = Arc::new(history);
                    self.verify_hospital(scheme, site, *scope, &history, spec, &mut outcome)
                        .await?;
                }
                Err(error) => outcome
                    .unverified
                    .push((site.name.clone(), error.to_string())),
            }
        }
        Ok(outcome)
    }

    /// The hospitals named, or all; then those of the receipts given.
    fn verified_hospitals(
        &self,
        spec: &VerifySpec,
    ) -> Result<Vec<(Hospital, Scope)>, PatientError> {
        let state = self.state();
        let wanted: Vec<HospitalId> = if spec.hospitals.is_empty() {
            let cards = state.cards.iter().map(|card| card.hospital);
            let receipts = state.receipts.iter().map(|receipt| receipt.hospital);
            cards.chain(receipts).collect()
        } else {
            spec.hospitals.clone()
        };
        let sites = scopes(&wanted, &spec.receipts);
        if sites.is_empty() {
            return Err(PatientError::NoCards);
        }
        sites
            .into_iter()
            .map(|(hospital, scope)| Ok((self.hospital(&hospital)?.clone(), scope)))
            .collect()
    }

    async fn verify_hospital(
        &mut self,
        scheme: SchemeId,
        site: &Hospital,
        scope: Scope,
        history: &Arc<LinkedHistory>,
        spec: &VerifySpec,
        outcome: &mut VerifyOutcome,
    ) -> Result<(), PatientError> {
        let own = own_records(self.keys(), history).await;
        self.wallet.update(|state| {
            for each in &own {
                state.remember(each.found);
            }
        })?;
        let mut summary = HospitalVerified::of(site, history, own.len());
        self.check_receipts(site, history, &mut summary, outcome)
            .await?;
        if scope == Scope::All {
            let read = self.read_all(site, &own, spec.disclose, outcome).await?;
            summary.compared = read.len();
            self.check_index(scheme, site, history, own, read, outcome)
                .await;
            self.check_log(site, history, &mut summary, outcome).await?;
        }
        outcome.hospitals.push(summary);
        Ok(())
    }

    /// Compares the index entries of her records with their keywords.
    async fn check_index(
        &self,
        scheme: SchemeId,
        site: &Hospital,
        history: &Arc<LinkedHistory>,
        own: Vec<OwnRecord>,
        read: Vec<Read>,
        outcome: &mut VerifyOutcome,
    ) {
        let mut expected = Vec::new();
        let mut data_keys = BTreeMap::new();
        for each in read {
            if let Some(key) = each.data_key {
                data_keys.insert(each.expected.own, key);
            }
            expected.push(each.expected);
        }
        let (keys, hospital, index) = (self.keys().clone(), site.id, site.index_key);
        let compared = Arc::clone(history);
        // Some hashing for each record and keyword.
        let comparing = tokio::task::spawn_blocking(move || {
            let with = SlotKeys {
                scheme,
                keys: &keys,
                hospital: &hospital,
                index: &index,
            };
            let wrong = inspect(&with, &own, &expected, &linked_entries(&own, &compared));
            (own, wrong)
        });
        let (own, wrong) = comparing
            .await
            .expect("comparing neither panics nor is cancelled");
        for each in wrong {
            let record = &own[each.own];
            let data_key = data_keys.get(&each.own).map(|key| &**key);
            let evidence = Evidence::of(scheme, site, history, record, &each, data_key);
            outcome.evidence.extend(evidence);
            push_misindexed(site, record, each, outcome);
        }
    }
}

/// What is verified at which hospital: everything at those wanted, the receipts at others of which some are given.
fn scopes(wanted: &[HospitalId], given: &[Receipt]) -> Vec<(HospitalId, Scope)> {
    let wanted: BTreeSet<HospitalId> = wanted.iter().copied().collect();
    let given: BTreeSet<HospitalId> = given.iter().map(|receipt| receipt.hospital).collect();
    let all = wanted.iter().map(|hospital| (*hospital, Scope::All));
    let others = given.difference(&wanted);
    let receipts = others.map(|hospital| (*hospital, Scope::Receipts));
    all.chain(receipts).collect()
}

/// The findings about one record's index: its missing keywords together, each gap by itself.
fn push_misindexed(
    site: &Hospital,
    record: &OwnRecord,
    wrong: Misindexed,
    outcome: &mut VerifyOutcome,
) {
    let found = record.found;
    let mut faults = Vec::new();
    if !wrong.missing.is_empty() {
        faults.push(Fault::WronglyIndexed {
            found,
            day: wrong.day,
            missing: wrong.missing,
        });
    }
    let gaps = wrong.gaps.into_iter();
    faults.extend(gaps.map(|(gap, _)| Fault::CounterGap(gap)));
    for fault in faults {
        outcome.find(site, found.record_hash, fault, Reported::Unprovable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::leaf;
    use caduceus_crypto::{SecretKey, TimeMillis};
    use rand_core::OsRng;

    fn receipt(hospital: HospitalId) -> Receipt {
        let leaf = leaf(1);
        Receipt::sign(
            &SecretKey::generate(&mut OsRng),
            hospital,
            leaf.record_hash,
            leaf.entries.hash(),
            leaf.pseudonym,
            TimeMillis(1),
        )
    }

    #[test]
    fn a_receipt_of_a_hospital_that_is_not_named_is_judged_too() {
        let (a, b) = (HospitalId([1; 32]), HospitalId([2; 32]));
        assert_eq!(scopes(&[a], &[]), [(a, Scope::All)]);
        assert_eq!(
            scopes(&[a], &[receipt(b), receipt(b)]),
            [(a, Scope::All), (b, Scope::Receipts)]
        );
        assert_eq!(
            scopes(&[b, a, b], &[receipt(b)]),
            [(a, Scope::All), (b, Scope::All)]
        );
        assert!(scopes(&[], &[]).is_empty());
    }
}
