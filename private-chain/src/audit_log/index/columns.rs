//! Rows by columns: each column a sorted dictionary and a code a row; from it, on demand, which rows have a value.

use super::cell::{self, COLUMNS, Cell};
use crate::audit::{AuditEntry, AuditRow, Place, SignedStatement};
use ahash::AHashMap;
use caduceus_crypto::time::TimeMillis;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// One field of all rows.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// The distinct values, ascending.
    pub(super) values: Vec<Cell>,
    /// Position in `values`, a row each.
    pub(super) codes: Vec<u32>,
    postings: OnceLock<Postings>,
}

/// Rows by value.
#[derive(Debug)]
struct Postings {
    /// Where the rows of a code begin, and one more.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Column {
    pub(super) fn new(values: Vec<Cell>, codes: Vec<u32>) -> Self {
        Self {
            values,
            codes,
            postings: OnceLock::new(),
        }
    }

    fn build(cells: Vec<Cell>) -> Self {
        let mut seen: AHashMap<&Cell, u32> = AHashMap::new();
        let mut distinct: Vec<&Cell> = Vec::new();
        let mut codes: Vec<u32> = Vec::with_capacity(cells.len());
        for cell in &cells {
            let next = u32::try_from(distinct.len()).expect("a run has fewer than 2^32 rows");
            let code = *seen.entry(cell).or_insert(next);
            if code == next {
                distinct.push(cell);
            }
            codes.push(code);
        }
        let mut order: Vec<usize> = (0..distinct.len()).collect();
        order.sort_unstable_by_key(|at| distinct[*at]);
        let mut rank = vec![0u32; order.len()];
        for (new, old) in (0u32..).zip(&order) {
            rank[*old] = new;
        }
        let values = order.iter().map(|at| distinct[*at].clone()).collect();
        codes
            .iter_mut()
            .for_each(|code| *code = rank[*code as usize]);
        Self::new(values, codes)
    }

    fn concat(parts: &[&Column]) -> Self {
        let mut all: Vec<(&Cell, usize, usize)> = Vec::new();
        let mut remap: Vec<Vec<u32>> = Vec::with_capacity(parts.len());
        for (part, column) in parts.iter().enumerate() {
            remap.push(vec![0; column.values.len()]);
            let values = column.values.iter().enumerate();
            all.extend(values.map(|(code, value)| (value, part, code)));
        }
        // A stable sort merges what is sorted in parts.
        all.sort_by(|a, b| a.0.cmp(b.0));
        let mut values: Vec<Cell> = Vec::new();
        for (value, part, code) in all {
            if values.last() != Some(value) {
                values.push(value.clone());
            }
            let new = values.len() - 1;
            remap[part][code] = u32::try_from(new).expect("a run has fewer than 2^32 rows");
        }
        let codes = parts.iter().zip(&remap).flat_map(|(column, remap)| {
            let codes = column.codes.iter();
            codes.map(|code| remap[*code as usize])
        });
        let codes = codes.collect();
        Self::new(values, codes)
    }

    /// The code of a value; none if no row has it.
    pub(super) fn code(&self, value: &Cell) -> Option<u32> {
        let at = self.values.binary_search(value).ok()?;
        Some(u32::try_from(at).expect("a run has fewer than 2^32 rows"))
    }

    fn postings(&self) -> &Postings {
        self.postings.get_or_init(|| {
            let mut starts = vec![0u32; self.values.len() + 1];
            for code in &self.codes {
                starts[*code as usize + 1] += 1;
            }
            for at in 1..starts.len() {
                starts[at] += starts[at - 1];
            }
            let mut next = starts.clone();
            let mut rows = vec![0u32; self.codes.len()];
            for (row, code) in (0u32..).zip(&self.codes) {
                let slot = &mut next[*code as usize];
                rows[*slot as usize] = row;
                *slot += 1;
            }
            Postings { starts, rows }
        })
    }

    /// The rows that have a value, ascending.
    pub(super) fn rows_of(&self, code: u32) -> &[u32] {
        let postings = self.postings();
        let at = code as usize;
        &postings.rows[postings.starts[at] as usize..postings.starts[at + 1] as usize]
    }

    fn bytes(&self) -> usize {
        let heap: usize = self.values.iter().map(Cell::heap_bytes).sum();
        heap + self.values.len() * (size_of::<Cell>() + 4) + self.codes.len() * 8
    }
}

/// Rows of ascending sequence numbers, by columns.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) sequences: Vec<u64>,
    pub(super) times: Vec<u64>,
    /// Whether times never go back, so that a span of time is a span of rows.
    pub(super) times_ascend: bool,
    /// The batches, ascending.
    pub(super) places: Vec<Arc<Place>>,
    place_of: Vec<u32>,
    pub(super) columns: [Column; COLUMNS],
    /// By row, ascending.
    pub(super) statements: Vec<(u32, SignedStatement)>,
    entries: OnceLock<Box<[OnceLock<Arc<AuditEntry>>]>>,
    materialised: AtomicUsize,
    bytes: usize,
}

/// Parts of [`Columns`] that do not fit each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit;

impl Columns {
    /// Puts parts together, and checks all that a search relies on.
    pub(super) fn assemble(
        sequences: Vec<u64>,
        times: Vec<u64>,
        places: Vec<Arc<Place>>,
        columns: [Column; COLUMNS],
        statements: Vec<(u32, SignedStatement)>,
    ) -> Result<Self, Misfit> {
        let rows = sequences.len();
        let whole = times.len() == rows
            && u32::try_from(rows).is_ok()
            && sequences.is_sorted_by(|a, b| a < b)
            && places.is_sorted_by(|a, b| a.first < b.first)
            && statements.is_sorted_by(|a, b| a.0 < b.0)
            && statements
                .last()
                .is_none_or(|(row, _)| (*row as usize) < rows)
            && columns.iter().enumerate().all(|(at, column)| {
                column.codes.len() == rows
                    && column.values.is_sorted_by(|a, b| a < b)
                    && column.values.iter().all(|value| value.belongs(at))
                    && column
                        .codes
                        .iter()
                        .all(|code| (*code as usize) < column.values.len())
            });
        if !whole {
            return Err(Misfit);
        }
        let mut place_of = Vec::with_capacity(rows);
        let mut at = 0usize;
        for sequence in &sequences {
            while places
                .get(at + 1)
                .is_some_and(|next| next.first <= *sequence)
            {
                at += 1;
            }
            let place = places.get(at).ok_or(Misfit)?;
            // An index within a batch is 32 bits.
            if place.first > *sequence || sequence - place.first > u64::from(u32::MAX) {
                return Err(Misfit);
            }
            place_of.push(u32::try_from(at).map_err(|_| Misfit)?);
        }
        let bytes = columns.iter().map(Column::bytes).sum::<usize>()
            + rows * 20
            + places.len() * size_of::<Place>()
            + statements.len() * size_of::<(u32, SignedStatement)>();
        Ok(Self {
            times_ascend: times.is_sorted(),
            sequences,
            times,
            places,
            place_of,
            columns,
            statements,
            entries: OnceLock::new(),
            materialised: AtomicUsize::new(0),
            bytes,
        })
    }

    /// From rows of ascending sequence numbers. Rows that say the same share it from here on.
    pub(super) fn build(rows: &[AuditRow]) -> Self {
        let mut cells: [Vec<Cell>; COLUMNS] =
            std::array::from_fn(|_| Vec::with_capacity(rows.len()));
        let mut places: Vec<Arc<Place>> = Vec::new();
        let mut statements = Vec::new();
        for (at, row) in (0u32..).zip(rows) {
            for (column, cell) in cells.iter_mut().zip(Cell::row(row)) {
                column.push(cell);
            }
            if places
                .last()
                .is_none_or(|last| last.first != row.place.first)
            {
                places.push(row.place.clone());
            }
            statements.extend(row.entry.statement.clone().map(|statement| (at, statement)));
        }
        Self::assemble(
            rows.iter().map(|row| row.sequence).collect(),
            rows.iter().map(|row| row.entry.time.0).collect(),
            places,
            cells.map(Column::build),
            statements,
        )
        .expect("rows come in the order of the chain, each with its batch")
    }

    /// Makes all entries, so that no query has to.
    pub(super) fn warm(self) -> Self {
        for row in 0..self.len() {
            self.entry(row);
        }
        self
    }

    /// All rows of runs that follow each other.
    pub(super) fn concat(parts: &[Arc<Columns>]) -> Self {
        let mut places: Vec<Arc<Place>> = Vec::new();
        let mut statements = Vec::new();
        let mut before = 0u32;
        for part in parts {
            for place in &part.places {
                // A batch may end in one run and go on in the next.
                if places.last().is_none_or(|last| last.first != place.first) {
                    places.push(place.clone());
                }
            }
            let shifted = part.statements.iter();
            statements.extend(shifted.map(|(row, signed)| (before + row, signed.clone())));
            before += u32::try_from(part.len()).expect("a run has fewer than 2^32 rows");
        }
        let merged = Self::assemble(
            parts
                .iter()
                .flat_map(|p| p.sequences.iter().copied())
                .collect(),
            parts.iter().flat_map(|p| p.times.iter().copied()).collect(),
            places,
            std::array::from_fn(|at| {
                let columns: Vec<&Column> = parts.iter().map(|p| &p.columns[at]).collect();
                Column::concat(&columns)
            }),
            statements,
        )
        .expect("runs follow each other");
        if parts.iter().any(|part| part.entries.get().is_some()) {
            let known = parts.iter().flat_map(|part| {
                (0..part.len()).map(|row| part.entries.get().and_then(|e| e[row].get()))
            });
            let mut count = 0;
            let entries = known.map(|entry| match entry {
                Some(entry) => {
                    count += 1;
                    OnceLock::from(entry.clone())
                }
                None => OnceLock::new(),
            });
            let entries = entries.collect();
            merged.entries.get_or_init(|| entries);
            merged.materialised.store(count, Ordering::Relaxed);
        }
        merged
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let entries = self.materialised.load(Ordering::Relaxed) * (size_of::<AuditEntry>() + 24);
        let slots = self.entries.get().map_or(0, |slots| slots.len() * 16);
        self.bytes + entries + slots
    }

    /// The entry of a row; all who ask share it.
    fn entry(&self, row: usize) -> &Arc<AuditEntry> {
        let entries = self
            .entries
            .get_or_init(|| (0..self.len()).map(|_| OnceLock::new()).collect());
        entries[row].get_or_init(|| {
            self.materialised.fetch_add(1, Ordering::Relaxed);
            Arc::new(cell::entry(
                TimeMillis(self.times[row]),
                |at| {
                    let column = &self.columns[at];
                    &column.values[column.codes[row] as usize]
                },
                self.statement(row).cloned(),
            ))
        })
    }

    /// What a person signed of a row.
    pub(super) fn statement(&self, row: usize) -> Option<&SignedStatement> {
        let key = u32::try_from(row).expect("a run has fewer than 2^32 rows");
        let found = self.statements.binary_search_by_key(&key, |(row, _)| *row);
        found.ok().map(|at| &self.statements[at].1)
    }

    /// The batch of a row.
    pub(super) fn place(&self, row: usize) -> &Arc<Place> {
        &self.places[self.place_of[row] as usize]
    }

    /// A row.
    pub(super) fn row(&self, row: usize) -> AuditRow {
        let column = &self.columns[cell::CLASS];
        let Cell::Class(class) = column.values[column.codes[row] as usize] else {
            unreachable!("each column holds its own kind of value");
        };
        AuditRow {
            sequence: self.sequences[row],
            class,
            place: self.place(row).clone(),
            entry: self.entry(row).clone(),
        }
    }
}
