//! A patient with a session to the network.

use crate::error::PatientError;
use crate::state::{CardEntry, FoundRecord, PatientState};
use crate::wallet::Wallet;
use caduceus_cli::NetworkFile;
use caduceus_client::{Alliance, ConnectOptions, Hospital, Kept};
use caduceus_crypto::evidence::{VisitOpening, VisitToken};
use caduceus_crypto::time::Epoch;
use caduceus_crypto::{Hash, HospitalId};
use caduceus_custody::patient::PatientKeys;
use caduceus_ledger::Genesis;
use rand_core::{OsRng, RngCore};

/// A patient's wallet and her session with the alliance and its hospitals.
pub struct Patient {
    pub(crate) wallet: Wallet,
    pub(crate) alliance: Alliance,
    pub(crate) hospitals: Vec<Hospital>,
}

impl Patient {
    /// Opens a session. Unless the options say otherwise, it goes on from the head that her state keeps, and evidence
    /// of a fork goes into her home.
    ///
    /// # Errors
    /// As [`Alliance::connect`], and for a network file with a bad entry.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(
        wallet: Wallet,
        network: &NetworkFile,
        genesis: Genesis,
        mut options: ConnectOptions,
    ) -> Result<Self, PatientError> {
        if matches!(options.kept, Kept::Nothing)
            && let Some(trusted) = &wallet.state().trusted
        {
            options.kept = Kept::Head(Box::new(trusted.clone()));
        }
        if options.evidence.is_none() {
            options.evidence = Some(wallet.home().to_path_buf());
        }
        let hospitals = Hospital::all(network)?;
        let alliance = Alliance::connect(network, genesis, options).await?;
        let scheme = alliance.genesis().params.scheme;
        Ok(Self {
            wallet: wallet.with_scheme(scheme),
            alliance,
            hospitals,
        })
    }

    /// Her keys.
    #[must_use]
    pub fn keys(&self) -> &PatientKeys {
        self.wallet.keys()
    }

    /// Her wallet.
    #[must_use]
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// What she has.
    #[must_use]
    pub fn state(&self) -> &PatientState {
        self.wallet.state()
    }

    /// Her session with the alliance.
    #[must_use]
    pub fn alliance(&self) -> &Alliance {
        &self.alliance
    }

    /// The hospitals of the network.
    #[must_use]
    pub fn hospitals(&self) -> &[Hospital] {
        &self.hospitals
    }

    /// Ends the session, keeps what it trusts, and gives the wallet back.
    pub async fn close(mut self) -> Wallet {
        self.alliance.close().await;
        let trusted = self.alliance.trusted();
        let kept = self.state().trusted.as_ref();
        let news = kept
            .is_none_or(|kept| kept.chain() != trusted.chain() || kept.height() < trusted.height());
        if news && trusted.hash().is_some() {
            let kept = self.wallet.update(|state| state.trusted = Some(trusted));
            if let Err(error) = kept {
                tracing::warn!(%error, "the trusted head is not kept");
            }
        }
        self.wallet
    }

    /// A hospital by identifier.
    ///
    /// # Errors
    /// [`PatientError::UnknownHospital`].
    pub fn hospital(&self, id: &HospitalId) -> Result<&Hospital, PatientError> {
        self.hospitals
            .iter()
            .find(|hospital| hospital.id == *id)
            .ok_or_else(|| PatientError::UnknownHospital {
                name: id.to_string(),
            })
    }

    /// A hospital's name; the beginning of its identifier if the network file does not name it.
    #[must_use]
    pub fn name_of(&self, id: &HospitalId) -> String {
        self.hospital(id)
            .map_or_else(|_| id.short(), |hospital| hospital.name.clone())
    }

    /// Her card of a hospital.
    ///
    /// # Errors
    /// [`PatientError::NoCard`].
    pub fn card(&self, id: &HospitalId) -> Result<&CardEntry, PatientError> {
        self.state().card(id).ok_or_else(|| PatientError::NoCard {
            hospital: self.name_of(id),
        })
    }

    /// A visit token for a hospital and a day, with the salt of its commitment: what she hands to the workstation
    /// so that the records of the visit are attested (DESIGN 3.5).
    ///
    /// # Errors
    /// [`PatientError::NoCard`]: a hospital knows no key of hers before she registers.
    pub fn visit_token(
        &self,
        hospital: &HospitalId,
        day: Epoch,
    ) -> Result<VisitOpening, PatientError> {
        self.card(hospital)?;
        let (mut salt, mut nonce) = ([0u8; 32], [0u8; 32]);
        OsRng.fill_bytes(&mut salt);
        OsRng.fill_bytes(&mut nonce);
        let token = VisitToken::sign(&self.keys().audit_key(hospital), *hospital, day, nonce);
        Ok(VisitOpening { salt, token })
    }

    /// The record with this hash, among those that searches found.
    ///
    /// # Errors
    /// [`PatientError::UnknownRecord`].
    pub fn record_by_hash(&self, record_hash: &Hash) -> Result<FoundRecord, PatientError> {
        let state = self.state();
        let all = state
            .last_search
            .iter()
            .chain(&state.known)
            .chain(state.grants.iter().map(|grant| &grant.record));
        all.copied()
            .find(|found| found.record_hash == *record_hash)
            .ok_or_else(|| PatientError::UnknownRecord {
                what: record_hash.to_string(),
            })
    }

    /// The record at a place of the last search, counted from 1.
    ///
    /// # Errors
    /// [`PatientError::UnknownRecord`].
    pub fn record_by_number(&self, number: usize) -> Result<FoundRecord, PatientError> {
        let unknown = || PatientError::UnknownRecord {
            what: format!("number {number} of the last search"),
        };
        let index = number.checked_sub(1).ok_or_else(unknown)?;
        self.state()
            .last_search
            .get(index)
            .copied()
            .ok_or_else(unknown)
    }
}
