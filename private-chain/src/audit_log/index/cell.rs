//! What an entry says in one column: fourteen of its fields, and its class.

use crate::audit::{
    Action, ActionClass, Actor, AuditEntry, AuditRow, Field, Filter, Outcome, Resource,
    SignedStatement, Subject, Text,
};
use crate::tx::Role;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::time::TimeMillis;

/// Columns that filters ask for, in the order of [`FIELDS`], and then organisation, reason and class.
pub(super) const COLUMNS: usize = 15;
const ORGANISATION: usize = 12;
const REASON: usize = 13;
/// The column of the retention class: one value in a bucket, several in an answer.
pub(super) const CLASS: usize = 14;

/// The fields that have terms, by column.
pub(super) const FIELDS: [Field; 12] = [
    Field::Actor,
    Field::Role,
    Field::Action,
    Field::Subtype,
    Field::Outcome,
    Field::Patient,
    Field::Resource,
    Field::Grant,
    Field::Request,
    Field::Reference,
    Field::Source,
    Field::Purpose,
];

/// The column of a field's values.
fn column(field: Field) -> usize {
    field as usize
}

/// A value in a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub(super) enum Cell {
    None,
    Actor(Actor),
    Role(Role),
    Action(Action),
    Outcome(Outcome),
    Subject(Subject),
    Resource(Resource),
    Hash(Hash),
    Text(Text),
    Organisation(HospitalId),
    Class(ActionClass),
}

impl Cell {
    fn of<T>(value: Option<T>, make: impl FnOnce(T) -> Cell) -> Cell {
        value.map_or(Cell::None, make)
    }

    /// A row as cells.
    pub(super) fn row(row: &AuditRow) -> [Cell; COLUMNS] {
        let entry = &*row.entry;
        [
            Cell::Actor(entry.actor.clone()),
            Cell::of(entry.role, Cell::Role),
            Cell::Action(entry.action),
            Cell::Text(entry.subtype.clone()),
            Cell::Outcome(entry.outcome),
            Cell::of(entry.patient.clone(), Cell::Subject),
            Cell::of(entry.resource.clone(), Cell::Resource),
            Cell::of(entry.grant, Cell::Hash),
            Cell::Text(entry.request.clone()),
            Cell::Text(entry.reference.clone()),
            Cell::Text(entry.source.clone()),
            Cell::Text(entry.purpose.clone()),
            Cell::Organisation(entry.organisation),
            Cell::Text(entry.reason.clone()),
            Cell::Class(row.class),
        ]
    }

    /// What a filter wants of which column; patients, of which any does, are apart.
    pub(super) fn wanted(filter: &Filter) -> Vec<(usize, Cell)> {
        let text = |field, text: &Option<Text>| {
            let text = text.as_ref()?;
            Some((column(field), Cell::Text(text.clone())))
        };
        let actor = filter.actor.clone().map(Cell::Actor);
        let resource = filter.resource.clone().map(Cell::Resource);
        [
            actor.map(|cell| (column(Field::Actor), cell)),
            filter.role.map(|v| (column(Field::Role), Cell::Role(v))),
            filter
                .action
                .map(|v| (column(Field::Action), Cell::Action(v))),
            filter
                .outcome
                .map(|v| (column(Field::Outcome), Cell::Outcome(v))),
            resource.map(|cell| (column(Field::Resource), cell)),
            filter.grant.map(|v| (column(Field::Grant), Cell::Hash(v))),
            text(Field::Subtype, &filter.subtype),
            text(Field::Request, &filter.request),
            text(Field::Reference, &filter.reference),
            text(Field::Source, &filter.source),
            text(Field::Purpose, &filter.purpose),
            filter.class.map(|v| (CLASS, Cell::Class(v))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The column of patients, and those wanted.
    pub(super) fn wanted_patients(filter: &Filter) -> (usize, Vec<Cell>) {
        let patients = filter.patients.iter().cloned().map(Cell::Subject);
        (column(Field::Patient), patients.collect())
    }

    /// Whether a value can stand in a column.
    pub(super) fn belongs(&self, column: usize) -> bool {
        match self {
            Cell::None => matches!(column, 1 | 5 | 6 | 7),
            Cell::Actor(_) => column == 0,
            Cell::Role(_) => column == 1,
            Cell::Action(_) => column == 2,
            Cell::Outcome(_) => column == 4,
            Cell::Subject(_) => column == 5,
            Cell::Resource(_) => column == 6,
            Cell::Hash(_) => column == 7,
            Cell::Text(_) => matches!(column, 3 | 8..=11 | REASON),
            Cell::Organisation(_) => column == ORGANISATION,
            Cell::Class(_) => column == CLASS,
        }
    }

    /// The value as a term has it; none where there is no term.
    pub(super) fn term_value(&self) -> Option<Vec<u8>> {
        Some(match self {
            Cell::None => return None,
            Cell::Text(text) if text.is_empty() => return None,
            Cell::Actor(v) => codec::encode(v),
            Cell::Role(v) => codec::encode(v),
            Cell::Action(v) => codec::encode(v),
            Cell::Outcome(v) => codec::encode(v),
            Cell::Subject(v) => codec::encode(v),
            Cell::Resource(v) => codec::encode(v),
            Cell::Hash(v) => codec::encode(v),
            Cell::Text(v) => codec::encode(v),
            Cell::Organisation(v) => codec::encode(v),
            Cell::Class(v) => codec::encode(v),
        })
    }

    /// Bytes that it takes outside itself, about.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Cell::Text(text)
            | Cell::Actor(Actor::Named(text))
            | Cell::Subject(Subject::Named(text))
            | Cell::Resource(Resource::Named(text)) => text.len() + 32,
            _ => 0,
        }
    }
}

/// An entry from the cells of a row, which [`Cell::belongs`] has put in their places.
pub(super) fn entry<'a>(
    time: TimeMillis,
    cell: impl Fn(usize) -> &'a Cell,
    statement: Option<SignedStatement>,
) -> AuditEntry {
    const PLACED: &str = "each column holds its own kind of value";
    let text = |at: usize| match cell(at) {
        Cell::Text(text) => text.clone(),
        _ => unreachable!("{PLACED}"),
    };
    AuditEntry {
        time,
        actor: match cell(0) {
            Cell::Actor(actor) => actor.clone(),
            _ => unreachable!("{PLACED}"),
        },
        role: match cell(1) {
            Cell::Role(role) => Some(*role),
            _ => None,
        },
        organisation: match cell(ORGANISATION) {
            Cell::Organisation(id) => *id,
            _ => unreachable!("{PLACED}"),
        },
        action: match cell(2) {
            Cell::Action(action) => *action,
            _ => unreachable!("{PLACED}"),
        },
        subtype: text(3),
        outcome: match cell(4) {
            Cell::Outcome(outcome) => *outcome,
            _ => unreachable!("{PLACED}"),
        },
        reason: text(REASON),
        patient: match cell(5) {
            Cell::Subject(subject) => Some(subject.clone()),
            _ => None,
        },
        resource: match cell(6) {
            Cell::Resource(resource) => Some(resource.clone()),
            _ => None,
        },
        purpose: text(11),
        grant: match cell(7) {
            Cell::Hash(hash) => Some(*hash),
            _ => None,
        },
        source: text(10),
        request: text(8),
        reference: text(9),
        statement,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::{Place, Term};
    use crate::testing::{self, NOW};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn cells_are_where_they_belong_and_make_the_entry_again() {
        let entry_in = testing::entry(NOW);
        let row = AuditRow {
            sequence: 0,
            class: ActionClass::Emergency,
            place: Arc::new(Place {
                height: 1,
                block_hash: Hash([0; 32]),
                block_time: NOW,
                tx: Hash([1; 32]),
                batch: [2; 32],
                first: 0,
            }),
            entry: Arc::new(entry_in.clone()),
        };
        let cells = Cell::row(&row);
        for (at, cell) in cells.iter().enumerate() {
            assert!(cell.belongs(at), "{at}: {cell:?}");
        }
        assert_eq!(entry(NOW, |at| &cells[at], None), entry_in);
        let terms: BTreeSet<Term> = Term::of(&entry_in).into_iter().collect();
        let ours = FIELDS.iter().zip(&cells).filter_map(|(field, cell)| {
            Some(Term {
                field: *field,
                value: cell.term_value()?,
            })
        });
        assert_eq!(ours.collect::<BTreeSet<_>>(), terms);
        for (at, field) in FIELDS.iter().enumerate() {
            assert_eq!(column(*field), at);
        }
    }
}
