//! The rows that a query finds, where they are, and an answer's columns made of theirs.

use super::cell::{COLUMNS, Cell};
use super::columns::{Column, Columns};
use crate::audit::{AuditRow, Place};
use std::sync::Arc;

/// A row that fits.
pub(super) enum Found {
    /// In a run.
    InRun {
        /// The run's rows.
        columns: Arc<Columns>,
        /// Which of them.
        row: usize,
    },
    /// Among the newest.
    Recent(AuditRow),
}

impl Found {
    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::InRun { columns, row } => columns.sequences[*row],
            Self::Recent(row) => row.sequence,
        }
    }

    pub(super) fn into_row(self) -> AuditRow {
        match self {
            Self::InRun { columns, row } => columns.row(row),
            Self::Recent(row) => row,
        }
    }
}

/// Up to so many rows that a query found, in its order, and where to go on.
#[derive(Default)]
pub(super) struct FoundPage {
    pub(super) rows: Vec<Found>,
    pub(super) next: Option<u64>,
}

/// A row by the part that it is in.
#[derive(Clone, Copy)]
struct At {
    part: usize,
    row: usize,
}

/// Rows of ascending sequence numbers as columns of their own. Values are taken from the dictionaries that they are in;
/// no entry is put together.
pub(super) fn gather(found: &[Found]) -> Columns {
    let recent: Vec<AuditRow> = found
        .iter()
        .filter_map(|found| match found {
            Found::InRun { .. } => None,
            Found::Recent(row) => Some(row.clone()),
        })
        .collect();
    let recent = Columns::build(&recent);
    let mut parts: Vec<&Columns> = vec![&recent];
    let mut newest = 0;
    let mut rows: Vec<At> = Vec::with_capacity(found.len());
    for found in found {
        let at = match found {
            Found::InRun { columns, row } => {
                let columns: &Columns = columns;
                // Most often the one of the row before.
                let known = match rows.last() {
                    Some(last) if std::ptr::eq(parts[last.part], columns) => Some(last.part),
                    _ => parts.iter().position(|part| std::ptr::eq(*part, columns)),
                };
                let part = known.unwrap_or_else(|| {
                    parts.push(columns);
                    parts.len() - 1
                });
                At { part, row: *row }
            }
            Found::Recent(_) => {
                newest += 1;
                At {
                    part: 0,
                    row: newest - 1,
                }
            }
        };
        rows.push(at);
    }
    let mut by_part: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
    rows.iter().for_each(|at| by_part[at.part].push(at.row));
    let mut places: Vec<Arc<Place>> = Vec::new();
    let mut statements = Vec::new();
    for (number, at) in (0u32..).zip(&rows) {
        let part = parts[at.part];
        let place = part.place(at.row);
        if places.last().is_none_or(|last| last.first != place.first) {
            places.push(place.clone());
        }
        let signed = part.statement(at.row);
        statements.extend(signed.map(|signed| (number, signed.clone())));
    }
    Columns::assemble(
        rows.iter()
            .map(|at| parts[at.part].sequences[at.row])
            .collect(),
        rows.iter().map(|at| parts[at.part].times[at.row]).collect(),
        places,
        std::array::from_fn::<_, COLUMNS, _>(|column| {
            let of_parts: Vec<&Column> = parts.iter().map(|part| &part.columns[column]).collect();
            gathered(&of_parts, &by_part, &rows)
        }),
        statements,
    )
    .expect("rows of an index ascend, each with its batch")
}

/// The values of one part's column that rows of an answer have.
struct Used<'a> {
    column: &'a Column,
    /// Their codes, ascending.
    codes: Vec<u32>,
    /// What these are in the answer.
    new: Vec<u32>,
    /// The same by code, where the rows are many enough for it.
    table: Vec<u32>,
}

impl<'a> Used<'a> {
    fn of(column: &'a Column, rows: &[usize]) -> Self {
        let codes = rows.iter().map(|row| column.codes[*row]);
        let (mut table, mut used) = (Vec::new(), Vec::new());
        if column.values.len() / 4 <= rows.len() {
            table = vec![0; column.values.len()];
            codes.for_each(|code| table[code as usize] = 1);
            let marked = (0u32..).zip(&table).filter(|(_, mark)| **mark == 1);
            used.extend(marked.map(|(code, _)| code));
        } else {
            used.extend(codes);
            used.sort_unstable();
            used.dedup();
        }
        Self {
            column,
            new: vec![0; used.len()],
            codes: used,
            table,
        }
    }

    fn renumber(&mut self, which: usize, new: u32) {
        self.new[which] = new;
        if let Some(slot) = self.table.get_mut(self.codes[which] as usize) {
            *slot = new;
        }
    }

    fn new_code(&self, row: usize) -> u32 {
        let code = self.column.codes[row];
        match self.table.get(code as usize) {
            Some(new) => *new,
            None => {
                let which = self.codes.binary_search(&code);
                self.new[which.expect("the codes of all rows were gathered")]
            }
        }
    }
}

fn gathered(parts: &[&Column], by_part: &[Vec<usize>], rows: &[At]) -> Column {
    let parts = parts.iter().zip(by_part);
    let mut used: Vec<Used<'_>> = parts.map(|(column, rows)| Used::of(column, rows)).collect();
    let mut all: Vec<(&Cell, usize, usize)> = Vec::new();
    for (part, used) in used.iter().enumerate() {
        let values = used.codes.iter().enumerate();
        all.extend(values.map(|(which, code)| (&used.column.values[*code as usize], part, which)));
    }
    // A stable sort merges what is sorted in parts.
    all.sort_by(|a, b| a.0.cmp(b.0));
    let mut values: Vec<Cell> = Vec::new();
    for (value, part, which) in all {
        if values.last() != Some(value) {
            values.push(value.clone());
        }
        let new = u32::try_from(values.len() - 1).expect("an answer has fewer than 2^32 rows");
        used[part].renumber(which, new);
    }
    let codes = rows
        .iter()
        .map(|at| used[at.part].new_code(at.row))
        .collect();
    Column::new(values, codes)
}
