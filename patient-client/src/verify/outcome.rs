//! What is verified, and what came of it.

use super::evidence::Evidence;
use super::fault::{Fault, Finding, Reported};
use super::warning::{Caution, Warning};
use crate::state::FoundRecord;
use caduceus_client::{Hospital, LinkedHistory};
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::{Hash, HospitalId, TimeMillis};
use caduceus_ledger::Height;

/// What is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifySpec {
    /// The hospitals; all of which she has a card or a receipt when empty.
    pub hospitals: Vec<HospitalId>,
    /// Receipts that the wallet does not have yet; they are kept. Those of a hospital that is not named are judged
    /// too, and nothing else there.
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
    /// What may be wrong, and is not shown to be.
    pub warnings: Vec<Warning>,
    /// Evidence of wrong indexing and gaps, one a record.
    pub evidence: Vec<Evidence>,
    /// Records that could not be looked at, and why: nothing is known against them.
    pub unchecked: Vec<(FoundRecord, String)>,
    /// Hospitals whose own log could not be read, by name, and why.
    pub unread_logs: Vec<(String, String)>,
    /// Hospitals of which nothing was verified, as their linked records could not be had, by name, and why.
    pub unverified: Vec<(String, String)>,
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

impl HospitalVerified {
    /// Of a hospital of which nothing was compared yet.
    pub(super) fn of(site: &Hospital, history: &LinkedHistory, mine: usize) -> Self {
        Self {
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
}

impl VerifyOutcome {
    pub(super) fn find(
        &mut self,
        site: &Hospital,
        record_hash: Hash,
        fault: Fault,
        reported: Reported,
    ) {
        self.findings.push(Finding {
            hospital: site.id,
            name: site.name.clone(),
            record_hash,
            fault,
            reported,
        });
    }

    /// A record that can't be used, which is its hospital's or its author's fault.
    pub(super) fn find_unusable(&mut self, site: &Hospital, found: FoundRecord, reason: String) {
        let fault = Fault::Unusable { found, reason };
        self.find(site, found.record_hash, fault, Reported::Unprovable);
    }

    pub(super) fn warn(&mut self, site: &Hospital, record_hash: Hash, caution: Caution) {
        self.warnings.push(Warning {
            hospital: site.id,
            name: site.name.clone(),
            record_hash,
            caution,
        });
    }
}
