//! Her records: fetched, checked and opened; known ones and receipts.

use crate::error::PatientError;
use crate::patient::Patient;
use crate::search::replacement;
use crate::state::FoundRecord;
use alliance_chain::RecordRef;
use caduceus_client::RightKey;
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::{Hash, HospitalId, TimeMillis};
use caduceus_custody::amend;
use caduceus_custody::open::{OpenError, Opened};
use caduceus_custody::patient::OneTimeKeys;

/// A record that she knows of: found by a search, promised by a receipt, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// The hospital that keeps it.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// The record's hash.
    pub record_hash: Hash,
    /// Its place on the private chain, once a search has shown it.
    pub place: Option<RecordRef>,
    /// By when the hospital promised to link it, if there is a receipt; the earliest time if there are several.
    pub link_deadline: Option<TimeMillis>,
    /// Promised by a receipt whose deadline has passed, and never seen in a search since.
    pub overdue: bool,
}

impl Patient {
    /// The one-time keys of a record of hers.
    pub(crate) fn one_time(&self, found: &FoundRecord) -> Result<OneTimeKeys, PatientError> {
        self.keys()
            .one_time(&found.hospital, &found.pseudonym)
            .map_err(|_| PatientError::Open(OpenError::NotMine))
    }

    /// Fetches a record through the alliance, verifies that it is the one that was anchored, and opens it.
    ///
    /// # Errors
    /// Those of `Alliance::fetch_record`; [`PatientError::Open`]; [`PatientError::OtherRecord`].
    pub async fn open(&self, found: &FoundRecord) -> Result<Opened, PatientError> {
        self.open_fetched(found, &self.fetch(found).await?)
    }

    /// Opens the bytes of a record that was fetched.
    pub(crate) fn open_fetched(
        &self,
        found: &FoundRecord,
        bytes: &[u8],
    ) -> Result<Opened, PatientError> {
        let opened = self.keys().open(bytes)?;
        if opened.header.hospital != found.hospital || opened.header.pseudonym != found.pseudonym {
            return Err(PatientError::OtherRecord);
        }
        Ok(opened)
    }

    /// Keeps what an opened record says it replaces, so that the next search shows it as the newer version without
    /// opening it again. The replaced record, if there is one.
    ///
    /// # Errors
    /// [`PatientError::File`].
    pub fn note_opened(
        &mut self,
        found: &FoundRecord,
        opened: &Opened,
    ) -> Result<Option<Hash>, PatientError> {
        let older = amend::replaced(opened);
        if let Some(learned) = replacement(found, older) {
            self.learn(&[learned])?;
        }
        Ok(older)
    }

    /// Fetches a record's sealed bytes, with the anchored hash verified.
    ///
    /// # Errors
    /// Those of `Alliance::fetch_record`.
    pub async fn fetch(&self, found: &FoundRecord) -> Result<Vec<u8>, PatientError> {
        let keys = self.one_time(found)?;
        let right = RightKey::Owner(&keys.secret);
        Ok(self
            .alliance
            .fetch_record(found.hospital, found.record, found.record_hash, &right)
            .await?)
    }

    /// [`Patient::fetch`] from a random node, for one of many records that are fetched together.
    pub(crate) async fn fetch_at_random(
        &self,
        found: &FoundRecord,
    ) -> Result<Vec<u8>, PatientError> {
        let keys = self.one_time(found)?;
        let right = RightKey::Owner(&keys.secret);
        Ok(self
            .alliance
            .fetch_record_at_random(found.hospital, found.record, found.record_hash, &right)
            .await?)
    }

    /// Keeps a receipt that the workstation handed over (DESIGN 2.2, step 5), once. Of several receipts for one
    /// record each is a promise by itself: a later one takes nothing back.
    ///
    /// # Errors
    /// [`PatientError::Receipt`] when the hospital did not sign it, or it is not about a record of hers;
    /// [`PatientError::UnknownHospital`].
    pub fn add_receipt(&mut self, receipt: Receipt) -> Result<(), PatientError> {
        let hospital = self.hospital(&receipt.hospital)?;
        let signed = std::iter::once(&hospital.identity)
            .chain(&hospital.former_identities)
            .any(|key| receipt.verify(key).is_ok());
        if !signed {
            return Err(PatientError::Receipt {
                what: "it is not signed by its hospital",
            });
        }
        if !self.keys().recognise(&receipt.hospital, &receipt.pseudonym) {
            return Err(PatientError::Receipt {
                what: "its record is not yours",
            });
        }
        self.wallet.update(|state| state.remember_receipt(receipt))
    }

    /// Every record that she knows of, by hospital and place; those without a place last. No network is asked:
    /// what others anchored since shows in the next search.
    #[must_use]
    pub fn records(&self) -> Vec<RecordView> {
        let state = self.state();
        let now = self.alliance.now();
        let deadline_of = |hospital: &HospitalId, hash: &Hash| {
            state
                .receipts
                .iter()
                .filter(|receipt| receipt.hospital == *hospital && receipt.record_hash == *hash)
                .map(|receipt| receipt.link_deadline)
                .min()
        };
        let mut views: Vec<RecordView> = state
            .known
            .iter()
            .map(|found| RecordView {
                hospital: found.hospital,
                name: self.name_of(&found.hospital),
                record_hash: found.record_hash,
                place: Some(found.record),
                link_deadline: deadline_of(&found.hospital, &found.record_hash),
                overdue: false,
            })
            .collect();
        for receipt in &state.receipts {
            let seen = |view: &RecordView| {
                view.hospital == receipt.hospital && view.record_hash == receipt.record_hash
            };
            if !views.iter().any(seen) {
                let deadline = deadline_of(&receipt.hospital, &receipt.record_hash);
                views.push(RecordView {
                    hospital: receipt.hospital,
                    name: self.name_of(&receipt.hospital),
                    record_hash: receipt.record_hash,
                    place: None,
                    link_deadline: deadline,
                    overdue: deadline.is_some_and(|deadline| deadline < now),
                });
            }
        }
        views.sort_by_key(|view| (view.place.is_none(), view.hospital, view.place));
        views
    }
}
