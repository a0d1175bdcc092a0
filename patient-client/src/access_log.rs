//! Who looked at her records: the alliance's accesses, proved complete, and each hospital's own entries, as told
//! by the hospital (DESIGN 2.5).

mod entry;

use crate::error::PatientError;
use crate::patient::Patient;
use alliance_chain::{AccessRecord, GrantRecord, state};
use caduceus_client::{Alliance, ClientError, Hospital, ask_server, ephemeral_service};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::{Hash, HospitalId, PublicKey, TimeMillis};
use caduceus_ledger::Height;
use caduceus_network::Service;
use caduceus_network::exchange::{
    AuditFilter, AuditPage, AuditQuery, AuditQueryRequest, AuditRight,
};

pub use entry::HospitalEntry;

/// Entries asked for at once.
const PAGE: u16 = 256;
/// Pages read of one hospital: a bound against one that never ends. Servers give a patient twice as many a minute.
const MAX_PAGES: usize = 64;
/// The actions that store a record, as servers enter them.
const UPLOADS: [&str; 2] = ["create/upload", "update/amend"];

/// A disclosure through the alliance: an `Access` to a record of hers, on the chain before it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The `Access` transaction.
    pub access: Hash,
    /// The grant that it was made under.
    pub grant: Hash,
    /// The record's hospital.
    pub hospital: HospitalId,
    /// The record.
    pub record_hash: Hash,
    /// Who.
    pub data_user: PublicKey,
    /// What the data user's account says, proved.
    pub label: String,
    /// Block time.
    pub time: TimeMillis,
    /// Alliance height.
    pub height: Height,
}

/// What one hospital tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HospitalLog {
    /// The hospital.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// Its entries about her card, oldest first.
    pub entries: Vec<HospitalEntry>,
    /// Why there are none, or not all; none when it answered.
    pub problem: Option<String>,
}

/// Her access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Accesses to records that she knows of, oldest first. Proved complete up to the height below.
    pub disclosures: Vec<Disclosure>,
    /// Alliance height at which completeness was last proved.
    pub height: Height,
    /// Records whose accesses were looked for.
    pub records: usize,
    /// What her hospitals tell of themselves. Nobody but they can say that it is all.
    pub hospitals: Vec<HospitalLog>,
}

impl Patient {
    /// Her access log: every access to a record that she knows of, with proof that none is missing, and each
    /// hospital's own entries about her card. A hospital that does not answer is named, and fails nothing.
    ///
    /// # Errors
    /// Those of `Alliance::get`.
    ///
    /// # Leakage
    /// Her pseudonyms are asked for one by one from fresh peer identifiers. Each hospital learns that she reads
    /// her log, and makes an entry of it.
    pub async fn access_log(&self) -> Result<AccessLog, PatientError> {
        let pseudonyms = self.state().pseudonyms();
        let records = pseudonyms.len();
        let mut disclosures = Vec::new();
        for (_, _, pseudonym) in pseudonyms {
            let session = self.alliance.with_fresh_identity().await?;
            let found = self.disclosures_of(&session, &pseudonym).await;
            session.close().await;
            disclosures.append(&mut found?);
        }
        disclosures.sort_by_key(|each: &Disclosure| (each.time, each.access));
        // Not below any height at which a list was proved.
        let height = self.alliance.head().await?.header.height;
        let mut hospitals = Vec::new();
        for card in &self.state().cards {
            hospitals.push(self.hospital_log(&card.hospital).await?);
        }
        Ok(AccessLog {
            disclosures,
            height,
            records,
            hospitals,
        })
    }

    async fn disclosures_of(
        &self,
        session: &Alliance,
        pseudonym: &Pseudonym,
    ) -> Result<Vec<Disclosure>, PatientError> {
        let mut found = Vec::new();
        for grant in session.items(&state::grants_of(&pseudonym.point)).await? {
            for access in session.items(&state::accesses_of(&grant)).await? {
                let record: AccessRecord =
                    proved(session.get(&state::access(&access)).await?, "an access")?;
                let granted: GrantRecord =
                    proved(session.get(&state::grant(&grant)).await?, "a grant")?;
                found.push(Disclosure {
                    access,
                    grant,
                    hospital: granted.grant.hospital,
                    record_hash: granted.grant.record_hash,
                    data_user: record.data_user,
                    label: self.label_of(&record.data_user).await?,
                    time: record.time,
                    height: record.height,
                });
            }
        }
        Ok(found)
    }

    async fn hospital_log(&self, id: &HospitalId) -> Result<HospitalLog, PatientError> {
        self.read_logs(id, &[AuditFilter::default()]).await
    }

    /// The entries about uploads of her records, oldest first. They are read newest first and nothing else with
    /// them, so that in a log that is too long for one reading the oldest are missing.
    pub(crate) async fn uploads_in_log(
        &self,
        id: &HospitalId,
    ) -> Result<HospitalLog, PatientError> {
        let filters = UPLOADS.map(|action| AuditFilter {
            action: Some(action.to_owned()),
            newest_first: true,
            ..AuditFilter::default()
        });
        let mut log = self.read_logs(id, &filters).await?;
        log.entries.sort_by_key(|entry| entry.sequence);
        Ok(log)
    }

    /// Reads a hospital's log once by each filter.
    async fn read_logs(
        &self,
        id: &HospitalId,
        filters: &[AuditFilter],
    ) -> Result<HospitalLog, PatientError> {
        let mut log = HospitalLog {
            hospital: *id,
            name: self.name_of(id),
            entries: Vec::new(),
            problem: None,
        };
        let site = match self.hospital(id) {
            Ok(site) => site,
            Err(error) => {
                log.problem = Some(error.to_string());
                return Ok(log);
            }
        };
        let service = ephemeral_service().await?;
        let pages = MAX_PAGES / filters.len().max(1);
        for filter in filters {
            let read = self.read_log(&service, site, filter, pages, &mut log.entries);
            if let Err(error) = read.await {
                log.problem = Some(error.to_string());
            }
        }
        service.shutdown().await;
        Ok(log)
    }

    async fn read_log(
        &self,
        service: &Service,
        site: &Hospital,
        filter: &AuditFilter,
        pages: usize,
        entries: &mut Vec<HospitalEntry>,
    ) -> Result<(), ClientError> {
        let key = self.keys().audit_key(&site.id);
        let who = format!("the server of {}", site.name);
        let before = entries.len();
        let mut cursor: Option<Vec<u8>> = None;
        for _ in 0..pages {
            let request = AuditQueryRequest {
                hospital: site.id,
                filter: filter.clone(),
                cursor: cursor.take(),
                limit: PAGE,
                at: self.alliance.now(),
                right: AuditRight::Staff,
                statement: None,
            }
            .signed_by_audit_key(&key);
            let page: AuditPage =
                ask_server::<AuditQuery, AuditPage>(service, &who, &site.server, request).await?;
            for bytes in &page.entries {
                let entry = entry::decode(bytes).ok_or_else(|| ClientError::Unverified {
                    node: who.clone(),
                    reason: "an audit entry does not decode".to_owned(),
                })?;
                entries.push(entry);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
        Err(ClientError::Later {
            who,
            after_millis: 0,
            detail: format!(
                "its log is longer than is read at once: only the {} {} entries of this kind are here",
                if filter.newest_first {
                    "newest"
                } else {
                    "oldest"
                },
                entries.len() - before
            ),
        })
    }
}

/// What a list names must be there: its absence is the chain's own contradiction.
fn proved<T>(value: Option<T>, what: &str) -> Result<T, ClientError> {
    value.ok_or_else(|| ClientError::Unverified {
        node: "all nodes alike".to_owned(),
        reason: format!("{what} that a list names is proved absent"),
    })
}
