//! Verification: whether everything of hers is linked, as promised, and found by what it says (DESIGN 2.2, 2.3).

mod evidence;
mod expected;
mod fault;
mod gaps;
mod indexing;
mod receipts;
mod told;

use crate::error::PatientError;
use crate::local::{OwnRecord, own_records};
use crate::patient::Patient;
use crate::search::replacement;
use crate::slots::SlotKeys;
use crate::state::{FoundRecord, OwnReport};
use alliance_chain::{ReportKind, Tx};
use caduceus_client::{ClientError, Hospital, LinkedHistory};
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::index::{SchemeId, Tag};
use caduceus_crypto::time::TimeMillis;
use caduceus_crypto::{Hash, HospitalId, SecretKey};
use caduceus_custody::amend;
use caduceus_ledger::Height;
use rand_core::OsRng;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use zeroize::Zeroizing;

use self::indexing::{Expected, Misindexed, inspect};
use self::receipts::Verdict;

pub use self::evidence::{
    AllianceEvidence, Evidence, GapEvidence, InclusionEvidence, MissingEvidence,
};
pub use self::fault::{Fault, Finding, Reported};
pub use self::gaps::{Counted, Gap, find_gaps};
pub use self::indexing::{MissingKeyword, Stop};

/// What is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifySpec {
    /// The hospitals; all of which she has a card or a receipt when empty.
    pub hospitals: Vec<HospitalId>,
    /// Receipts that the wallet does not have yet; they are kept.
    pub receipts: Vec<Receipt>,
    /// Whether evidence about a record carries its data key, which opens that record's content to whoever is shown
    /// the evidence.
    pub disclose: bool,
}

/// What was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// By hospital.
    pub hospitals: Vec<HospitalVerified>,
    /// What is wrong; empty if nothing is.
    pub findings: Vec<Finding>,
    /// Evidence of wrong indexing and gaps, one a record.
    pub evidence: Vec<Evidence>,
    /// Records that could not be looked at, and why: nothing is known against them.
    pub unchecked: Vec<(FoundRecord, String)>,
    /// Hospitals whose own log could not be read, by name, and why.
    pub unread_logs: Vec<(String, String)>,
}

/// What was verified at one hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HospitalVerified {
    /// The hospital.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// Alliance height under which its links are proved complete.
    pub height: Height,
    /// Time of that block.
    pub time: TimeMillis,
    /// Private height up to which every anchored record is linked.
    pub linked_height: u64,
    /// Records linked, by all patients.
    pub linked: u64,
    /// Records of hers among them.
    pub mine: usize,
    /// Those of hers that were opened and compared with their index entries.
    pub compared: usize,
    /// Receipts judged.
    pub receipts: usize,
    /// Receipts whose records are not linked and need not be yet.
    pub due: usize,
}

/// A record of hers that opened.
struct Read {
    expected: Expected,
    data_key: Option<Zeroizing<[u8; 32]>>,
}

impl Patient {
    /// Verifies, hospital by hospital: that its links are complete; that each receipt is kept, else a report with the
    /// receipt as its proof goes to the alliance; that each record of hers opens and is found by each of its
    /// keywords; that no number is left out which would hide later records; and that what the hospital's own log says
    /// it stored is linked. Private chains answer members only, so without a receipt that log is all that tells of a
    /// record which was anchored and never linked.
    ///
    /// # Errors
    /// Before anything is sent: [`PatientError::Receipt`], [`PatientError::UnknownHospital`],
    /// [`PatientError::NoCards`]. Then those of `Alliance::all_linked`. What can't be looked at is in the outcome.
    ///
    /// # Leakage
    /// As for a local search; all of her records are fetched and opened, and her log is read, which the hospital
    /// logs. A report shows every member a receipt, for ever: a pseudonym, not whose it is.
    pub async fn verify(&mut self, spec: &VerifySpec) -> Result<VerifyOutcome, PatientError> {
        for receipt in &spec.receipts {
            self.add_receipt(receipt.clone())?;
        }
        let sites = self.verified_hospitals(&spec.hospitals)?;
        let scheme = self.alliance.params().await?.scheme;
        let mut outcome = VerifyOutcome::default();
        for site in &sites {
            let history = Arc::new(self.alliance.all_linked(site.id).await?);
            let own = own_records(self.keys(), &history).await;
            self.wallet.update(|state| {
                for each in &own {
                    state.remember(each.found);
                }
            })?;
            let mut summary = summary_of(site, &history, own.len());
            self.check_receipts(site, &history, &mut summary, &mut outcome)
                .await?;
            let read = self
                .read_all(site, &own, spec.disclose, &mut outcome)
                .await?;
            summary.compared = read.len();
            self.check_index(scheme, site, &history, &own, read, &mut outcome);
            self.check_log(site, &history, &mut outcome).await?;
            outcome.hospitals.push(summary);
        }
        Ok(outcome)
    }

    fn verified_hospitals(&self, named: &[HospitalId]) -> Result<Vec<Hospital>, PatientError> {
        let state = self.state();
        let wanted: BTreeSet<HospitalId> = if named.is_empty() {
            let cards = state.cards.iter().map(|card| card.hospital);
            let receipts = state.receipts.iter().map(|receipt| receipt.hospital);
            cards.chain(receipts).collect()
        } else {
            named.iter().copied().collect()
        };
        if wanted.is_empty() {
            return Err(PatientError::NoCards);
        }
        wanted
            .iter()
            .map(|hospital| self.hospital(hospital).cloned())
            .collect()
    }

    /// Judges her receipts of a hospital, and reports those that were not kept.
    async fn check_receipts(
        &mut self,
        site: &Hospital,
        history: &LinkedHistory,
        summary: &mut HospitalVerified,
        outcome: &mut VerifyOutcome,
    ) -> Result<(), PatientError> {
        let promised: Vec<Receipt> = self
            .state()
            .receipts
            .iter()
            .filter(|receipt| receipt.hospital == site.id)
            .cloned()
            .collect();
        for receipt in promised {
            summary.receipts += 1;
            let linked = receipts::linked_under(history, &receipt);
            let verdict = receipts::judge(&receipt, linked, history.head.header.time);
            let fault = match verdict {
                Verdict::Kept => continue,
                Verdict::Due => {
                    summary.due += 1;
                    continue;
                }
                Verdict::Missed => Fault::MissedDeadline {
                    deadline: receipt.link_deadline,
                },
                Verdict::Differs {
                    at,
                    record_hash,
                    entries_hash,
                } => Fault::NotAsPromised {
                    at,
                    record_hash,
                    entries_hash,
                },
            };
            let reported = self.report(&receipt, &verdict, history).await?;
            outcome
                .findings
                .push(finding(site, receipt.record_hash, fault, reported));
        }
        Ok(())
    }

    /// Reports a broken promise, once: under a key and from a peer identifier of its own, so that nobody can link
    /// two reports of hers.
    async fn report(
        &mut self,
        receipt: &Receipt,
        verdict: &Verdict,
        history: &LinkedHistory,
    ) -> Result<Reported, PatientError> {
        let key = SecretKey::generate(&mut OsRng);
        let Some(report) = receipts::report(receipt, verdict, history, key.public()) else {
            return Ok(Reported::Unprovable);
        };
        let (hospital, kind) = (report.hospital, report.kind);
        let before = self
            .state()
            .report_of(&hospital, &receipt.record_hash, kind);
        if let Some(id) = before {
            return Ok(Reported::As(id));
        }
        let session = self.alliance.with_fresh_identity().await?;
        let tx = Tx::Report(report.sign(&session.chain(), &key));
        let submitted = session.submit(&tx).await;
        session.close().await;
        match submitted {
            Ok(proved) => {
                self.keep_report(proved.id, receipt, kind)?;
                Ok(Reported::As(proved.id))
            }
            Err(ClientError::Rejected { rule, .. }) if rule == "report_repeated" => {
                Ok(Reported::Already)
            }
            Err(error) => Ok(Reported::Failed(error.to_string())),
        }
    }

    fn keep_report(
        &mut self,
        id: Hash,
        receipt: &Receipt,
        kind: ReportKind,
    ) -> Result<(), PatientError> {
        let report = OwnReport {
            id,
            hospital: receipt.hospital,
            record_hash: receipt.record_hash,
            kind,
        };
        self.wallet.update(|state| state.reports.push(report))
    }

    /// Fetches and opens her records of a hospital, and recomputes their keywords.
    async fn read_all(
        &mut self,
        site: &Hospital,
        own: &[OwnRecord],
        disclose: bool,
        outcome: &mut VerifyOutcome,
    ) -> Result<Vec<Read>, PatientError> {
        let mut read = Vec::new();
        let mut learned = Vec::new();
        for (index, record) in own.iter().enumerate() {
            let found = record.found;
            let bytes = match self.fetch(&found).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    put_aside(site, found, &error, outcome);
                    continue;
                }
            };
            let opened = match self.open_fetched(&found, &bytes) {
                Ok(opened) => opened,
                Err(error) => {
                    put_aside(site, found, &error, outcome);
                    continue;
                }
            };
            learned.extend(replacement(&found, amend::replaced(&opened)));
            let keywords = match expected::keywords_of(&opened) {
                Ok(keywords) => keywords,
                Err(error) => {
                    let reason = format!("its keywords can't be recomputed: {error}");
                    outcome.unchecked.push((found, reason));
                    continue;
                }
            };
            let data_key = if disclose {
                Some(self.keys().data_key(&bytes)?)
            } else {
                None
            };
            read.push(Read {
                expected: Expected {
                    own: index,
                    day: opened.header.epoch,
                    keywords,
                },
                data_key,
            });
        }
        self.learn(&learned)?;
        Ok(read)
    }

    /// Compares the index entries of her records with their keywords.
    fn check_index(
        &self,
        scheme: SchemeId,
        site: &Hospital,
        history: &LinkedHistory,
        own: &[OwnRecord],
        read: Vec<Read>,
        outcome: &mut VerifyOutcome,
    ) {
        let with = SlotKeys {
            scheme,
            keys: self.keys(),
            hospital: &site.id,
            index: &site.index_key,
        };
        let all_tags: HashSet<Tag> = history
            .leaves()
            .flat_map(|linked| linked.leaf.entries.tags())
            .copied()
            .collect();
        let mut expected = Vec::new();
        let mut data_keys = BTreeMap::new();
        for each in read {
            if let Some(key) = each.data_key {
                data_keys.insert(each.expected.own, key);
            }
            expected.push(each.expected);
        }
        for wrong in inspect(&with, own, &expected, &all_tags) {
            let record = &own[wrong.own];
            let data_key = data_keys.get(&wrong.own).map(|key| &**key);
            let evidence = Evidence::of(scheme, site, history, record, &wrong, data_key);
            outcome.evidence.extend(evidence);
            push_misindexed(site, record, wrong, outcome);
        }
    }

    /// Compares what the hospital's own log says it stored of hers with what it linked.
    async fn check_log(
        &self,
        site: &Hospital,
        history: &LinkedHistory,
        outcome: &mut VerifyOutcome,
    ) -> Result<(), PatientError> {
        if self.state().card(&site.id).is_none() {
            return Ok(());
        }
        let log = self.hospital_log(&site.id).await?;
        if let Some(problem) = log.problem {
            outcome.unread_logs.push((site.name.clone(), problem));
        }
        let linked: BTreeSet<Hash> = history
            .leaves()
            .map(|linked| linked.leaf.record_hash)
            .collect();
        let promised: BTreeSet<Hash> = self
            .state()
            .receipts
            .iter()
            .filter(|receipt| receipt.hospital == site.id)
            .map(|receipt| receipt.record_hash)
            .collect();
        let now = history.head.header.time;
        for (record, stored) in told::stored_not_linked(&log.entries, &linked, &promised, now) {
            let fault = Fault::StoredNotLinked { stored };
            outcome
                .findings
                .push(finding(site, record, fault, Reported::Unprovable));
        }
        Ok(())
    }
}

fn summary_of(site: &Hospital, history: &LinkedHistory, mine: usize) -> HospitalVerified {
    HospitalVerified {
        hospital: site.id,
        name: site.name.clone(),
        height: history.head.header.height,
        time: history.head.header.time,
        linked_height: history.height().0,
        linked: history.records(),
        mine,
        compared: 0,
        receipts: 0,
        due: 0,
    }
}

fn finding(site: &Hospital, record_hash: Hash, fault: Fault, reported: Reported) -> Finding {
    Finding {
        hospital: site.id,
        name: site.name.clone(),
        record_hash,
        fault,
        reported,
    }
}

/// A record that could not be read: a finding if that is somebody's fault.
fn put_aside(
    site: &Hospital,
    found: FoundRecord,
    error: &PatientError,
    outcome: &mut VerifyOutcome,
) {
    let reason = error.to_string();
    if fault::is_their_fault(error) {
        let fault = Fault::Unusable { found, reason };
        outcome.findings.push(finding(
            site,
            found.record_hash,
            fault,
            Reported::Unprovable,
        ));
    } else {
        outcome.unchecked.push((found, reason));
    }
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
    let told = faults
        .into_iter()
        .map(|fault| finding(site, found.record_hash, fault, Reported::Unprovable));
    outcome.findings.extend(told);
}
