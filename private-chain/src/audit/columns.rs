//! The auditor's columns of an entry (DESIGN 5.3): all of them for programs, the telling ones for people.

use super::entry::{Actor, Resource, Subject};
use super::filter::AuditRow;
use super::known::Known;
use serde::Serialize;

/// All that an entry says and where it stands. Times are UTC, ISO 8601.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// Sequence number.
    pub sequence: u64,
    /// When the action was asked for.
    pub time: String,
    /// Time of the block.
    pub block_time: String,
    /// Who: a key, or a name in an imported log.
    pub actor: String,
    /// Her name by the enrolment, or what the key is.
    pub actor_label: Option<String>,
    /// Her role: of the entry, or of the enrolment.
    pub role: Option<String>,
    /// Identifier of the hospital where she belongs.
    pub organisation: String,
    /// Its name.
    pub organisation_name: Option<String>,
    /// What kind of identifier the patient's is: card, pseudonym or named.
    pub patient_kind: Option<&'static str>,
    /// The patient.
    pub patient: Option<String>,
    /// The record's hash.
    pub record: Option<String>,
    /// Which version of the document the record is, from 1.
    pub record_version: Option<u32>,
    /// What else was acted on.
    pub resource: Option<String>,
    /// What was done.
    pub action: &'static str,
    /// Kind of that action.
    pub subtype: String,
    /// How it ended.
    pub outcome: &'static str,
    /// Why it ended so.
    pub reason: String,
    /// Purpose of use.
    pub purpose: String,
    /// The grant.
    pub grant: Option<String>,
    /// Workstation or network address.
    pub source: String,
    /// The request.
    pub request: String,
    /// Identifier in the log that it was imported from.
    pub reference: String,
    /// What the actor's own statement is worth: none, signed or wrong.
    pub statement: &'static str,
    /// Retention class.
    pub class: &'static str,
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: String,
    /// The transaction.
    pub tx: String,
    /// The batch in it.
    pub batch: String,
    /// Index in the batch.
    pub index: u32,
}

impl Columns {
    /// Those of a row.
    pub fn of(row: &AuditRow, known: &Known) -> Self {
        let (entry, place) = (&row.entry, &row.place);
        let label = match &entry.actor {
            Actor::Key(_) => known.label(&entry.actor).map(str::to_owned),
            Actor::Named(_) => None,
        };
        let (record, resource) = match &entry.resource {
            Some(Resource::Record(hash)) => (Some(*hash), None),
            Some(Resource::Named(name)) => (None, Some(name.to_string())),
            None => (None, None),
        };
        Self {
            sequence: row.sequence,
            time: entry.time.to_string(),
            block_time: place.block_time.to_string(),
            actor: entry.actor.to_string(),
            actor_label: label,
            role: known.role(entry.role, &entry.actor).map(|r| r.to_string()),
            organisation: entry.organisation.to_string(),
            organisation_name: known.organisation(&entry.organisation).map(str::to_owned),
            patient_kind: entry.patient.as_ref().map(subject_kind),
            patient: entry.patient.as_ref().map(Subject::to_string),
            record_version: record.and_then(|hash| known.versions.get(&hash).copied()),
            record: record.map(|hash| hash.to_string()),
            resource,
            action: entry.action.as_str(),
            subtype: entry.subtype.to_string(),
            outcome: entry.outcome.as_str(),
            reason: entry.reason.to_string(),
            purpose: entry.purpose.to_string(),
            grant: entry.grant.map(|grant| grant.to_string()),
            source: entry.source.to_string(),
            request: entry.request.to_string(),
            reference: entry.reference.to_string(),
            statement: entry.statement_check(&known.chain).as_str(),
            class: row.class.as_str(),
            height: place.height,
            block_hash: place.block_hash.to_string(),
            tx: place.tx.to_string(),
            batch: hex::encode(place.batch),
            index: row.index(),
        }
    }
}

/// What a line of a table has room for. Long identifiers are cut to their first [`SHORT`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShortColumns {
    /// Sequence number.
    pub sequence: u64,
    /// When, to the second, UTC.
    pub time: String,
    /// Who, by name where it is known.
    pub who: String,
    /// Her role.
    pub role: Option<String>,
    /// Action and subtype.
    pub action: String,
    /// How it ended, and why.
    pub outcome: String,
    /// The patient.
    pub patient: Option<String>,
    /// The record with its version, or what else was acted on.
    pub resource: Option<String>,
    /// Purpose of use.
    pub purpose: String,
    /// Where from.
    pub source: String,
    /// The actor's own statement.
    pub statement: &'static str,
    /// Height of the block.
    pub block: u64,
}

/// Characters of an identifier in a table.
pub const SHORT: usize = 10;

impl ShortColumns {
    /// Those of a row.
    pub fn of(row: &AuditRow, known: &Known) -> Self {
        let entry = &row.entry;
        let who = match known.label(&entry.actor) {
            Some(label) => label.to_owned(),
            None => short(&entry.actor.to_string()),
        };
        let outcome = if entry.reason.is_empty() {
            entry.outcome.as_str().to_owned()
        } else {
            format!("{}: {}", entry.outcome.as_str(), entry.reason)
        };
        Self {
            sequence: row.sequence,
            time: seconds(&entry.time.to_string()),
            who,
            role: known.role(entry.role, &entry.actor).map(|r| r.to_string()),
            action: entry.action_name(),
            outcome,
            patient: entry.patient.as_ref().map(|patient| match patient {
                Subject::Named(name) => name.to_string(),
                other => short(&other.to_string()),
            }),
            resource: entry.resource.as_ref().map(|resource| match resource {
                Resource::Named(name) => name.to_string(),
                Resource::Record(hash) => match known.versions.get(hash) {
                    Some(version) => format!("{} v{version}", short(&hash.to_string())),
                    None => short(&hash.to_string()),
                },
            }),
            purpose: entry.purpose.to_string(),
            source: entry.source.to_string(),
            statement: entry.statement_check(&known.chain).as_str(),
            block: row.place.height,
        }
    }
}

/// What kind of identifier a patient's is.
pub(super) fn subject_kind(patient: &Subject) -> &'static str {
    match patient {
        Subject::Pseudonym(_) => "pseudonym",
        Subject::Card(_) => "card",
        Subject::Named(_) => "named",
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

/// `2024-05-06T12:53:20.000Z` without the milliseconds and the letters.
fn seconds(time: &str) -> String {
    let cut = time.split('.').next().unwrap_or(time);
    cut.replace('T', " ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::{AuditEntry, Statement};
    use crate::state::StaffRecord;
    use crate::testing::{self, NOW, later};
    use crate::tx::Role;
    use caduceus_crypto::Hash;

    fn known() -> Known {
        Known {
            chain: testing::chain(),
            staff: [(
                testing::author().public(),
                StaffRecord {
                    role: Role::Nurse,
                    label: "R. Ortiz".into(),
                    not_before: NOW,
                    not_after: later(1),
                    enrolled_at: NOW,
                    suspended_at: None,
                },
            )]
            .into(),
            keys: [(testing::server().public(), "server".to_owned())].into(),
            organisations: [(testing::hospital(), "St Mary".to_owned())].into(),
            versions: [(Hash([6; 32]), 2)].into(),
        }
    }

    #[test]
    fn every_column_of_an_entry() {
        let mut entry = testing::entry(NOW);
        entry.grant = Some(Hash([8; 32]));
        entry.reference = "31242".into();
        let statement = Statement::of(&entry).unwrap();
        entry.statement =
            Some(statement.sign(&mut testing::rng(1), &testing::chain(), &testing::author()));
        let row = testing::row(7, entry);
        let json = serde_json::to_string_pretty(&Columns::of(&row, &known())).unwrap();
        insta::assert_snapshot!(json);
    }

    #[test]
    fn a_line_for_people_names_who_and_what() {
        let short = ShortColumns::of(&testing::row(7, testing::entry(NOW)), &known());
        assert_eq!(short.who, "R. Ortiz");
        // The entry's own role comes before that of the enrolment.
        assert_eq!(short.role.as_deref(), Some("physician"));
        assert_eq!(short.time, "2024-05-06 12:53:20");
        assert_eq!(short.outcome, "success: visit");
        assert_eq!(short.resource.as_deref(), Some("0606060606 v2"));
        assert_eq!(short.statement, "none");
    }

    #[test]
    fn what_is_not_known_is_left_out_and_imported_names_stay() {
        let entry = AuditEntry {
            actor: Actor::Named("8".into()),
            role: None,
            patient: Some(Subject::Named("p-17".into())),
            resource: Some(Resource::Named("MOD_GMOD".into())),
            ..testing::entry(NOW)
        };
        let row = testing::row(7, entry);
        let columns = Columns::of(&row, &Known::default());
        assert_eq!((&*columns.actor, columns.actor_label), ("8", None));
        assert_eq!((columns.role, columns.organisation_name), (None, None));
        assert_eq!(columns.patient_kind, Some("named"));
        assert_eq!((columns.record, columns.record_version), (None, None));
        assert_eq!(columns.resource.as_deref(), Some("MOD_GMOD"));
        let short = ShortColumns::of(&row, &Known::default());
        assert_eq!((&*short.who, short.patient.as_deref()), ("8", Some("p-17")));
        let by_server = AuditEntry {
            actor: testing::server().public().into(),
            ..testing::entry(NOW)
        };
        let row = testing::row(8, by_server);
        assert_eq!(ShortColumns::of(&row, &known()).who, "server");
    }
}
