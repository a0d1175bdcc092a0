//! The hospital's own register: cards and their holders, records and their receipts, in one redb file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `cards` | card number 16 | [`CardRow`] |
//! | `audit_keys` | audit key 33 | card number 16 |
//! | `pseudonyms` | card number 16, P 33 | nothing |
//! | `points` | P 33 | record hash 32 |
//! | `requests` | request identifier 16 | [`RequestRow`] |
//! | `records` | record hash 32 | [`RecordRow`] |
//! | `emergency_cards` | card hash 32 | `EmergencyConsent` |
//! | `emergency_requests` | request hash 32 | [`EmergencyRow`] |
//! | `superseded` | record hash 32 | record hash 32 of the version after it |
//!
//! Every method is one durable transaction. Card numbers never leave this file but to staff and the patient:
//! logs and audit entries carry [`card_hash`].

mod cards;
mod emergency;
mod records;

use crate::database::{self, ByteTable, DatabaseFailure};
use caduceus_crypto::card::CardNumber;
use caduceus_crypto::{Hash, HospitalId};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::path::Path;
use std::sync::Arc;

pub(crate) use cards::Shown;
pub use cards::{MAX_DESK_TRIES, TOKENS_A_DAY};
pub(crate) use emergency::EmergencyRow;
pub(crate) use records::{RecordRow, RequestRow};

const CARDS: ByteTable = TableDefinition::new("cards");
const AUDIT_KEYS: ByteTable = TableDefinition::new("audit_keys");
const PSEUDONYMS: ByteTable = TableDefinition::new("pseudonyms");
const POINTS: ByteTable = TableDefinition::new("points");
const REQUESTS: ByteTable = TableDefinition::new("requests");
const RECORDS: ByteTable = TableDefinition::new("records");
const EMERGENCY_CARDS: ByteTable = TableDefinition::new("emergency_cards");
const EMERGENCY_REQUESTS: ByteTable = TableDefinition::new("emergency_requests");
const SUPERSEDED: ByteTable = TableDefinition::new("superseded");

/// A card's number.
pub(crate) type CardNo = [u8; 16];

/// Why the register refuses. One variant, one rule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseFailure),
    /// No such card was made here.
    #[error("this hospital has made no such card")]
    CardUnknown,
    /// The card's number is another card's.
    #[error("this hospital has made a card of this number already")]
    CardTaken,
    /// The card was made for other keys.
    #[error("the card was made for another meta-address")]
    OtherHolder,
    /// The desk code is wrong.
    #[error("the desk code is wrong; {left} tries are left")]
    DeskCodeWrong {
        /// Tries left.
        left: u8,
    },
    /// The desk code was wrong too often.
    #[error("the desk code was wrong {MAX_DESK_TRIES} times: ask the desk for a new card")]
    DeskCodeLocked,
    /// The desk code was used, by another audit key.
    #[error("the desk code was used already")]
    DeskCodeUsed,
    /// The audit key belongs to another card.
    #[error("the audit key is registered for another card")]
    AuditKeyTaken,
    /// The card has no registered client.
    #[error("the card's patient has not registered yet")]
    NotRegistered,
    /// The day's search tokens are used up.
    #[error("{left} search tokens are left for today, {asked} asked for")]
    TokensUsedUp {
        /// Tokens asked for.
        asked: u32,
        /// Tokens left.
        left: u32,
    },
    /// The pseudonym belongs to another record, or the record to another card.
    #[error("the record's pseudonym is in the register for another record or card")]
    PseudonymTaken,
    /// The request identifier belongs to another finished request.
    #[error("the request identifier was used for another record")]
    RequestReused,
    /// The patient said something else since.
    #[error("the patient said something else of emergencies since")]
    ConsentOlder,
    /// Nobody asked for this.
    #[error("no such request was made here")]
    EmergencyUnknown,
}

impl RegisterError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            Self::Database(_) => "register_unavailable",
            Self::CardUnknown => "card_unknown",
            Self::CardTaken => "card_taken",
            Self::OtherHolder => "card_other_holder",
            Self::DeskCodeWrong { .. } => "desk_code_wrong",
            Self::DeskCodeLocked => "desk_code_locked",
            Self::DeskCodeUsed => "desk_code_used",
            Self::AuditKeyTaken => "audit_key_taken",
            Self::NotRegistered => "card_not_registered",
            Self::TokensUsedUp { .. } => "tokens_used_up",
            Self::PseudonymTaken => "pseudonym_taken",
            Self::RequestReused => "request_id_reused",
            Self::ConsentOlder => "emergency_consent_older",
            Self::EmergencyUnknown => "emergency_unknown",
        }
    }
}

macro_rules! from_redb {
    ($($t:ty),*) => {$(
        impl From<$t> for RegisterError {
            fn from(e: $t) -> Self { RegisterError::Database(e.into()) }
        }
    )*};
}
from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

/// What logs and audit entries say instead of a card's number.
pub(crate) fn card_hash(number: &CardNo, hospital: &HospitalId) -> Hash {
    let mut hospital_prefix = [0u8; 4];
    hospital_prefix.copy_from_slice(&hospital.0[..4]);
    CardNumber {
        number: *number,
        hospital_prefix,
    }
    .hash()
}

/// The open register; clones share it. Everything here waits for the disk.
#[derive(Clone)]
pub(crate) struct Register {
    db: Arc<Database>,
}

impl Register {
    /// Opens or creates the file.
    pub(crate) fn open(path: &Path) -> Result<Self, RegisterError> {
        let db = database::open(path)?;
        let txn = db.begin_write()?;
        {
            txn.open_table(CARDS)?;
            txn.open_table(AUDIT_KEYS)?;
            txn.open_table(PSEUDONYMS)?;
            txn.open_table(POINTS)?;
            txn.open_table(REQUESTS)?;
            txn.open_table(RECORDS)?;
            txn.open_table(EMERGENCY_CARDS)?;
            txn.open_table(EMERGENCY_REQUESTS)?;
            txn.open_table(SUPERSEDED)?;
        }
        txn.commit()?;
        Ok(Self { db: Arc::new(db) })
    }

    /// The value under a key, as bytes.
    fn value(&self, table: ByteTable, key: &[u8]) -> Result<Option<Vec<u8>>, RegisterError> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(table)?;
        let found = table.get(key)?.map(|value| value.value().to_vec());
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
