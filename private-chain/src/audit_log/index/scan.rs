//! Which rows of one run fit: the rows of the rarest value asked for, looked at in order, as many as are wanted.

use super::cell::Cell;
use super::columns::Columns;
use super::found::Found;
use crate::audit::{Filter, Order};
use std::cell;
use std::sync::Arc;

/// What is asked for, by column.
pub(super) struct Plan {
    wanted: Vec<(usize, Cell)>,
    patients: Option<(usize, Vec<Cell>)>,
    from: Option<u64>,
    until: Option<u64>,
    pub(super) order: Order,
    effort: Option<Effort>,
}

/// What a query may cost that is to be quick.
struct Effort {
    /// Rows that may still be looked at.
    left: cell::Cell<usize>,
    /// More would be needed.
    exceeded: cell::Cell<bool>,
}

impl Plan {
    pub(super) fn new(filter: &Filter, order: Order) -> Self {
        let patients = Cell::wanted_patients(filter);
        Self {
            wanted: Cell::wanted(filter),
            patients: (!patients.1.is_empty()).then_some(patients),
            from: filter.from.map(|time| time.0),
            until: filter.until.map(|time| time.0),
            order,
            effort: None,
        }
    }

    /// Gives up after so many rows, and before it reads a file.
    pub(super) fn within(self, rows: usize) -> Self {
        Self {
            effort: Some(Effort {
                left: rows.into(),
                exceeded: false.into(),
            }),
            ..self
        }
    }

    /// Whether it gave up: what was found is not all.
    pub(super) fn gave_up(&self) -> bool {
        let effort = self.effort.as_ref();
        effort.is_some_and(|effort| effort.exceeded.get())
    }

    /// Whether files may be read. If not, and one would have to be, it gives up.
    pub(super) fn may_read(&self) -> bool {
        match &self.effort {
            Some(effort) => {
                effort.exceeded.set(true);
                false
            }
            None => true,
        }
    }

    /// Counts a row that is looked at. False if it is one too many.
    fn may_look(&self) -> bool {
        let Some(effort) = &self.effort else {
            return true;
        };
        match effort.left.get().checked_sub(1) {
            Some(left) => effort.left.set(left),
            None => effort.exceeded.set(true),
        }
        !effort.exceeded.get()
    }

    /// Whether anything between two times, both included, can fit.
    pub(super) fn may_fit(&self, min_time: u64, max_time: u64) -> bool {
        self.from.is_none_or(|from| from <= max_time)
            && self.until.is_none_or(|until| min_time < until)
    }

    fn fits_time(&self, time: u64) -> bool {
        self.may_fit(time, time)
    }
}

/// The rows looked at.
enum Candidates {
    All,
    /// Those with this code in this column.
    Of(usize, u32),
    Rows(Vec<u32>),
}

/// A search in one run, as far as it has come.
pub(super) struct Scan {
    columns: Arc<Columns>,
    candidates: Candidates,
    /// What is left to look at: positions among the candidates.
    left: std::ops::Range<usize>,
    checks: Vec<(usize, u32)>,
    any_of: Option<(usize, Vec<u32>)>,
    check_times: bool,
}

impl Scan {
    /// Begins; none if no row can fit.
    pub(super) fn begin(columns: Arc<Columns>, plan: &Plan, cursor: Option<u64>) -> Option<Self> {
        let mut checks = Vec::with_capacity(plan.wanted.len());
        for (at, cell) in &plan.wanted {
            let column = &columns.columns[*at];
            let code = column.code(cell)?;
            if column.values.len() > 1 {
                checks.push((*at, code));
            }
        }
        let mut any_of = None;
        if let Some((at, patients)) = &plan.patients {
            let column = &columns.columns[*at];
            let mut codes: Vec<u32> = patients.iter().filter_map(|p| column.code(p)).collect();
            codes.sort_unstable();
            codes.dedup();
            match codes[..] {
                [] => return None,
                [code] => checks.push((*at, code)),
                _ => any_of = Some((*at, codes)),
            }
        }
        let rows = span(&columns, plan, cursor);
        let rarest = checks
            .iter()
            .enumerate()
            .map(|(i, (at, code))| (columns.columns[*at].rows_of(*code).len(), i));
        let rarest = rarest.min();
        let of_any = any_of.as_ref().map(|(at, codes)| {
            let column = &columns.columns[*at];
            codes
                .iter()
                .map(|code| column.rows_of(*code).len())
                .sum::<usize>()
        });
        let candidates = match (rarest, of_any) {
            (rarest, Some(total)) if rarest.is_none_or(|(count, _)| total < count) => {
                let (at, codes) = any_of.take().expect("its rows were just counted");
                let column = &columns.columns[at];
                let lists = codes.iter().flat_map(|code| column.rows_of(*code));
                let mut found: Vec<u32> = lists.copied().collect();
                found.sort_unstable();
                Candidates::Rows(found)
            }
            (Some((_, i)), _) => {
                let (at, code) = checks.swap_remove(i);
                Candidates::Of(at, code)
            }
            (None, _) => Candidates::All,
        };
        let check_times = !columns.times_ascend && (plan.from.is_some() || plan.until.is_some());
        let mut scan = Self {
            columns,
            candidates,
            left: rows.clone(),
            checks,
            any_of,
            check_times,
        };
        if let Some(list) = scan.list() {
            let position = |row: usize| list.partition_point(|found| (*found as usize) < row);
            scan.left = position(rows.start)..position(rows.end);
        }
        (!scan.left.is_empty()).then_some(scan)
    }

    fn list(&self) -> Option<&[u32]> {
        match &self.candidates {
            Candidates::All => None,
            Candidates::Of(at, code) => Some(self.columns.columns[*at].rows_of(*code)),
            Candidates::Rows(rows) => Some(rows),
        }
    }

    fn fits(&self, plan: &Plan, row: usize) -> bool {
        let code = |at: usize| self.columns.columns[at].codes[row];
        self.checks.iter().all(|(at, wanted)| code(*at) == *wanted)
            && self
                .any_of
                .as_ref()
                .is_none_or(|(at, codes)| codes.binary_search(&code(*at)).is_ok())
            && (!self.check_times || plan.fits_time(self.columns.times[row]))
    }

    fn next_fitting(&mut self, plan: &Plan) -> Option<usize> {
        loop {
            if !plan.may_look() {
                return None;
            }
            let at = match plan.order {
                Order::OldestFirst => self.left.next()?,
                Order::NewestFirst => self.left.next_back()?,
            };
            let row = match self.list() {
                Some(list) => list[at] as usize,
                None => at,
            };
            if self.fits(plan, row) {
                return Some(row);
            }
        }
    }

    /// The next row that fits, in the plan's order.
    pub(super) fn next(&mut self, plan: &Plan) -> Option<Found> {
        self.next_fitting(plan).map(|row| Found::InRun {
            columns: self.columns.clone(),
            row,
        })
    }

    /// How many fit that were not given yet.
    pub(super) fn count(mut self, plan: &Plan) -> u64 {
        if self.checks.is_empty() && self.any_of.is_none() && !self.check_times {
            return self.left.len() as u64;
        }
        let mut count = 0;
        while self.next_fitting(plan).is_some() {
            count += 1;
        }
        count
    }
}

/// The rows from the cursor on and, where times ascend, in the span of time.
fn span(columns: &Columns, plan: &Plan, cursor: Option<u64>) -> std::ops::Range<usize> {
    let (mut start, mut end) = (0, columns.len());
    if let Some(cursor) = cursor {
        match plan.order {
            Order::OldestFirst => start = columns.sequences.partition_point(|s| *s < cursor),
            Order::NewestFirst => end = columns.sequences.partition_point(|s| *s <= cursor),
        }
    }
    if columns.times_ascend {
        if let Some(from) = plan.from {
            start = start.max(columns.times.partition_point(|time| *time < from));
        }
        if let Some(until) = plan.until {
            end = end.min(columns.times.partition_point(|time| *time < until));
        }
    }
    start..end.max(start)
}
