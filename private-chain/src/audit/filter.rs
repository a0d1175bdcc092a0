//! Which entries are asked for: a conjunction of fields, and a span of time. What an index keeps for it: terms.

use super::bucket::{ActionClass, Bucket};
use super::entry::{Action, Actor, AuditEntry, Outcome, Resource, Subject, Text};
use super::sealed::{BatchId, SecretBytes};
use crate::tx::Role;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::domain;
use caduceus_crypto::hash::{hash, kdf};
use caduceus_crypto::time::TimeMillis;
use std::sync::Arc;

/// A field of an entry that can be asked for by value.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Field {
    /// Who acted.
    Actor,
    /// The actor's role.
    Role,
    /// What was done.
    Action,
    /// Kind of that action.
    Subtype,
    /// How it ended.
    Outcome,
    /// The patient.
    Patient,
    /// The record or other thing.
    Resource,
    /// The grant.
    Grant,
    /// The request identifier.
    Request,
    /// The identifier in an imported log.
    Reference,
    /// Workstation or network address.
    Source,
    /// Purpose of use.
    Purpose,
}

/// A value of a field, as an index names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The field.
    pub field: Field,
    /// Borsh of the value.
    pub value: Vec<u8>,
}

impl Term {
    fn new(field: Field, value: &impl BorshSerialize) -> Self {
        Self {
            field,
            value: codec::encode(value),
        }
    }

    /// The terms of an entry: one for each field that has a value. Empty texts have none.
    pub fn of(entry: &AuditEntry) -> Vec<Term> {
        let mut terms = vec![
            Term::new(Field::Actor, &entry.actor),
            Term::new(Field::Action, &entry.action),
            Term::new(Field::Outcome, &entry.outcome),
        ];
        let texts = [
            (Field::Subtype, &entry.subtype),
            (Field::Request, &entry.request),
            (Field::Reference, &entry.reference),
            (Field::Source, &entry.source),
            (Field::Purpose, &entry.purpose),
        ];
        for (field, text) in texts {
            if !text.is_empty() {
                terms.push(Term::new(field, text));
            }
        }
        terms.extend(entry.role.map(|role| Term::new(Field::Role, &role)));
        terms.extend(entry.patient.iter().map(|v| Term::new(Field::Patient, v)));
        terms.extend(entry.resource.iter().map(|v| Term::new(Field::Resource, v)));
        terms.extend(entry.grant.iter().map(|v| Term::new(Field::Grant, v)));
        terms
    }
}

/// The key under which one bucket's index terms are made.
pub struct TermKey(SecretBytes);

impl TermKey {
    /// Derives it from the bucket's key.
    pub fn derive(bucket_key: &[u8; 32], bucket: Bucket) -> Self {
        let fields: [&[u8]; 2] = [&[bucket.class as u8], &bucket.month.to_le_bytes()];
        Self(kdf::<32>(domain::AUDIT_TERM, bucket_key, &fields))
    }

    /// What the index holds in place of a term: without the bucket's key nobody can tell or guess the value.
    pub fn name(&self, term: &Term) -> [u8; 16] {
        let digest = hash(
            domain::AUDIT_TERM,
            &[&self.0[..], &[term.field as u8], &term.value],
        );
        digest.0[..16].try_into().expect("16 of 32 bytes")
    }
}

/// A conjunction: an entry fits if it fits everything that is present. An empty filter fits every entry.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Filter {
    /// Who acted.
    pub actor: Option<Actor>,
    /// The actor's role.
    pub role: Option<Role>,
    /// What was done.
    pub action: Option<Action>,
    /// Kind of that action.
    pub subtype: Option<Text>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Any of these patients; empty means any at all.
    pub patients: Vec<Subject>,
    /// The record or other thing.
    pub resource: Option<Resource>,
    /// The grant.
    pub grant: Option<Hash>,
    /// The request identifier.
    pub request: Option<Text>,
    /// The identifier in an imported log.
    pub reference: Option<Text>,
    /// Workstation or network address.
    pub source: Option<Text>,
    /// Purpose of use.
    pub purpose: Option<Text>,
    /// Retention class.
    pub class: Option<ActionClass>,
    /// Not before this time of the entry.
    pub from: Option<TimeMillis>,
    /// Before this time of the entry.
    pub until: Option<TimeMillis>,
}

impl Filter {
    /// Whether an entry of this class fits.
    pub fn fits(&self, class: ActionClass, entry: &AuditEntry) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        }
        fn has<T: PartialEq>(wanted: &Option<T>, found: &Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let of_patient = self.patients.is_empty()
            || entry
                .patient
                .as_ref()
                .is_some_and(|patient| self.patients.contains(patient));
        of_patient
            && is(&self.class, &class)
            && is(&self.actor, &entry.actor)
            && has(&self.role, &entry.role)
            && is(&self.action, &entry.action)
            && is(&self.subtype, &entry.subtype)
            && is(&self.outcome, &entry.outcome)
            && has(&self.resource, &entry.resource)
            && has(&self.grant, &entry.grant)
            && is(&self.request, &entry.request)
            && is(&self.reference, &entry.reference)
            && is(&self.source, &entry.source)
            && is(&self.purpose, &entry.purpose)
            && self.from.is_none_or(|from| from <= entry.time)
            && self.until.is_none_or(|until| entry.time < until)
    }

    /// The terms of which a fitting entry has every one. Patients, of which any one does, are apart.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        let mut add = |field, value: Option<Vec<u8>>| {
            terms.extend(value.map(|value| Term { field, value }));
        };
        add(Field::Actor, self.actor.as_ref().map(codec::encode));
        add(Field::Role, self.role.as_ref().map(codec::encode));
        add(Field::Action, self.action.as_ref().map(codec::encode));
        add(Field::Subtype, text(&self.subtype));
        add(Field::Outcome, self.outcome.as_ref().map(codec::encode));
        add(Field::Resource, self.resource.as_ref().map(codec::encode));
        add(Field::Grant, self.grant.as_ref().map(codec::encode));
        add(Field::Request, text(&self.request));
        add(Field::Reference, text(&self.reference));
        add(Field::Source, text(&self.source));
        add(Field::Purpose, text(&self.purpose));
        terms
    }

    /// The terms of the patients asked for.
    pub fn patient_terms(&self) -> Vec<Term> {
        let patients = self.patients.iter();
        patients.map(|v| Term::new(Field::Patient, v)).collect()
    }
}

/// An empty text has no term: who asks for it has every entry looked at.
fn text(wanted: &Option<Text>) -> Option<Vec<u8>> {
    let wanted = wanted.as_ref().filter(|text| !text.is_empty())?;
    Some(codec::encode(wanted))
}

/// In which order entries are wanted. The order of the chain, which for what is logged as it happens is that of time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub enum Order {
    /// Oldest first.
    #[default]
    OldestFirst,
    /// Newest first.
    NewestFirst,
}

/// Some of the entries that fit, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for.
    pub rows: Vec<AuditRow>,
    /// Sequence number from which on, in that order, no entry was looked at yet; none at the end.
    pub next: Option<u64>,
}

/// Where a batch of entries stands on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Place {
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: Hash,
    /// Time of the block.
    pub block_time: TimeMillis,
    /// The transaction.
    pub tx: Hash,
    /// The batch in it.
    pub batch: BatchId,
    /// Sequence number of its first entry.
    pub first: u64,
}

/// An entry in clear and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Sequence number.
    pub sequence: u64,
    /// Retention class.
    pub class: ActionClass,
    /// The batch.
    pub place: Arc<Place>,
    /// The entry.
    pub entry: Arc<AuditEntry>,
}

impl AuditRow {
    /// Its index in the batch.
    pub fn index(&self) -> u32 {
        u32::try_from(self.sequence - self.place.first).expect("a batch has at most 1,024 entries")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, NOW, later};
    use std::collections::BTreeSet;

    /// A filter for each field, that the entry of the tests fits.
    fn fitting(entry: &AuditEntry) -> Vec<Filter> {
        let any = Filter::default;
        vec![
            Filter {
                actor: Some(entry.actor.clone()),
                ..any()
            },
            Filter {
                role: entry.role,
                ..any()
            },
            Filter {
                action: Some(entry.action),
                ..any()
            },
            Filter {
                subtype: Some(entry.subtype.clone()),
                ..any()
            },
            Filter {
                outcome: Some(entry.outcome),
                ..any()
            },
            Filter {
                patients: entry.patient.iter().cloned().collect(),
                ..any()
            },
            Filter {
                resource: entry.resource.clone(),
                ..any()
            },
            Filter {
                request: Some(entry.request.clone()),
                ..any()
            },
            Filter {
                source: Some(entry.source.clone()),
                ..any()
            },
            Filter {
                purpose: Some(entry.purpose.clone()),
                ..any()
            },
            Filter {
                class: Some(ActionClass::ClinicalRead),
                ..any()
            },
            Filter {
                from: Some(NOW),
                until: Some(later(1)),
                ..any()
            },
        ]
    }

    #[test]
    fn each_field_is_asked_for_and_told_apart() {
        let entry = testing::entry(NOW);
        let other = AuditEntry {
            time: later(1),
            actor: Actor::Named("8".into()),
            role: None,
            action: Action::Delete,
            subtype: "other".into(),
            outcome: Outcome::Denied,
            patient: Some(Subject::Named("p".into())),
            resource: Some(Resource::Named("r".into())),
            purpose: "".into(),
            source: "elsewhere".into(),
            request: "x".into(),
            ..entry.clone()
        };
        for filter in fitting(&entry) {
            assert!(filter.fits(ActionClass::ClinicalRead, &entry), "{filter:?}");
            assert!(!filter.fits(ActionClass::Emergency, &other), "{filter:?}");
        }
        assert!(Filter::default().fits(ActionClass::Emergency, &other));
    }

    #[test]
    fn what_a_filter_asks_for_is_among_the_terms_of_what_fits() {
        let entry = testing::entry(NOW);
        let terms: BTreeSet<Term> = Term::of(&entry).into_iter().collect();
        let mut asked = 0;
        for filter in fitting(&entry) {
            for term in filter.terms().iter().chain(&filter.patient_terms()) {
                assert!(terms.contains(term), "{term:?}");
                asked += 1;
            }
        }
        assert_eq!(asked, 10);
    }

    #[test]
    fn a_term_is_named_by_its_bucket() {
        let term = &Term::of(&testing::entry(NOW))[0];
        let bucket = |class| Bucket {
            class,
            month: 24_292,
        };
        let name = |key: &[u8; 32], class| TermKey::derive(key, bucket(class)).name(term);
        let here = name(&[1; 32], ActionClass::ClinicalRead);
        assert_eq!(here, name(&[1; 32], ActionClass::ClinicalRead));
        assert_ne!(here, name(&[2; 32], ActionClass::ClinicalRead));
        assert_ne!(here, name(&[1; 32], ActionClass::Emergency));
    }
}
