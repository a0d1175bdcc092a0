//! One entry of a hospital's audit log, as it answers `audit-query`.

use caduceus_crypto::codec;
use caduceus_crypto::{Hash, TimeMillis};
use private_chain::{Actor, AuditEntry};

/// Largest entry in an answer, bytes.
const MAX_ENTRY_BYTES: usize = 32 * 1024;

/// The entry about her own word on emergencies.
const CONSENT: &str = "emergency-consent";

/// An entry as told by the hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HospitalEntry {
    /// When the action was asked for.
    pub time: TimeMillis,
    /// Who acted: a key, or a name in a log that was imported.
    pub actor: Actor,
    /// The actor's role on the private chain; none if the actor is no staff.
    pub role: Option<String>,
    /// What was done, with its kind: `read fetch-record`.
    pub action: String,
    /// How it ended: `success`, `denied` or `failed`.
    pub outcome: String,
    /// Why it ended so.
    pub reason: String,
    /// The record concerned.
    pub record: Option<Hash>,
    /// Purpose of use.
    pub purpose: String,
    /// The grant acted under.
    pub grant: Option<Hash>,
    /// Workstation or network address.
    pub source: String,
    /// Its place in the hospital's log.
    pub sequence: u64,
    /// Height of the private block that holds its sealed form.
    pub height: u64,
    /// Hash of that block.
    pub block: Hash,
    /// The transaction that brought it there.
    pub tx: Hash,
}

impl HospitalEntry {
    /// Whether it is about access to her records without her.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.action
            .split_once(' ')
            .is_some_and(|(_, subtype)| subtype.starts_with("emergency-") && subtype != CONSENT)
    }
}

/// Reads an entry of an answer; none if it is not one.
pub(super) fn decode(bytes: &[u8]) -> Option<HospitalEntry> {
    // As `hospital-server` answers: sequence, height, block, transaction, entry.
    let (sequence, height, block, tx, entry): (u64, u64, Hash, Hash, AuditEntry) =
        codec::decode_exact(bytes, MAX_ENTRY_BYTES).ok()?;
    let action = match &*entry.subtype {
        "" => entry.action.as_str().to_owned(),
        subtype => format!("{} {subtype}", entry.action.as_str()),
    };
    let record = entry.record().copied();
    Some(HospitalEntry {
        time: entry.time,
        actor: entry.actor,
        role: entry.role.map(|role| role.as_str().to_owned()),
        action,
        outcome: entry.outcome.as_str().to_owned(),
        reason: entry.reason.to_string(),
        record,
        purpose: entry.purpose.to_string(),
        grant: entry.grant,
        source: entry.source.to_string(),
        sequence,
        height,
        block,
        tx,
    })
}
