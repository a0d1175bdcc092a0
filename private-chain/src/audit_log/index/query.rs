//! A query over all buckets: the runs of each in order, the buckets merged by sequence number.

use super::found::{Found, FoundPage, gather};
use super::run::{Run, RunError, RunKey};
use super::scan::{Plan, Scan};
use super::state::BucketState;
use super::{Index, IndexError, PackedPage, codec};
use crate::audit::{AuditRow, Bucket, Filter, Order, Page, SecretBytes, Term, TermKey, month_of};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Names of the terms asked for, in one bucket.
struct Names {
    all: Vec<[u8; 16]>,
    any: Vec<[u8; 16]>,
}

impl Names {
    fn new(filter: &Filter, key: &SecretBytes, bucket: Bucket) -> Self {
        let key = TermKey::derive(key, bucket);
        let names = |terms: Vec<Term>| terms.iter().map(|term| key.name(term)).collect();
        Self {
            all: names(filter.terms()),
            any: names(filter.patient_terms()),
        }
    }

    fn may_fit(&self, run: &Run) -> bool {
        let terms = &run.head.terms;
        self.all.iter().all(|name| terms.may_have(name))
            && (self.any.is_empty() || self.any.iter().any(|name| terms.may_have(name)))
    }
}

/// One bucket's part of a query, as far as it has come.
struct Source<'a> {
    index: &'a Index,
    filter: &'a Filter,
    plan: &'a Plan,
    cursor: Option<u64>,
    bucket: Bucket,
    key: SecretBytes,
    names: Option<Names>,
    /// What is left, in the query's order.
    runs: VecDeque<Arc<Run>>,
    recent: VecDeque<AuditRow>,
    scan: Option<Scan>,
    next: Option<Found>,
}

/// Whether a bucket can have an entry that fits. Entries may be older than their bucket, and a month newer.
pub(super) fn concerns(filter: &Filter, bucket: &Bucket) -> bool {
    let newest = bucket.month.saturating_add(1);
    filter.class.is_none_or(|class| class == bucket.class)
        && filter.from.is_none_or(|from| month_of(from) <= newest)
}

fn after(order: Order, cursor: Option<u64>, sequence: u64) -> bool {
    cursor.is_none_or(|cursor| match order {
        Order::OldestFirst => sequence >= cursor,
        Order::NewestFirst => sequence <= cursor,
    })
}

/// The rows of the newest entries that fit, in the query's order.
pub(super) fn recent(
    state: &BucketState,
    bucket: Bucket,
    filter: &Filter,
    order: Order,
    cursor: Option<u64>,
) -> VecDeque<AuditRow> {
    let fits = |row: &&AuditRow| {
        after(order, cursor, row.sequence) && filter.fits(bucket.class, &row.entry)
    };
    let rows = state.recent.iter();
    match order {
        Order::OldestFirst => rows.filter(fits).cloned().collect(),
        Order::NewestFirst => rows.rev().filter(fits).cloned().collect(),
    }
}

impl Source<'_> {
    /// The next run with a row that may fit, opened.
    fn open_next(&mut self) -> Result<Option<Scan>, IndexError> {
        while let Some(run) = self.runs.pop_front() {
            let edge = match self.plan.order {
                Order::OldestFirst => run.head.span.1,
                Order::NewestFirst => run.head.span.0,
            };
            let (min, max) = run.head.times;
            if !after(self.plan.order, self.cursor, edge) || !self.plan.may_fit(min, max) {
                continue;
            }
            let resident = run.resident();
            if resident.is_none() {
                let names = self
                    .names
                    .get_or_insert_with(|| Names::new(self.filter, &self.key, self.bucket));
                if !names.may_fit(&run) {
                    continue;
                }
                if !self.plan.may_read() {
                    return Ok(None);
                }
            }
            let columns = match resident {
                Some(columns) => {
                    self.index.used(&run);
                    columns
                }
                None => self.index.columns(&run, self.bucket, &self.key)?,
            };
            if let Some(scan) = Scan::begin(columns, self.plan, self.cursor) {
                return Ok(Some(scan));
            }
        }
        Ok(None)
    }

    /// The rows of the oldest-first order end with the recent ones, those of the other begin with them.
    fn advance(&mut self) -> Result<(), IndexError> {
        if self.plan.order == Order::NewestFirst
            && let Some(row) = self.recent.pop_front()
        {
            self.next = Some(Found::Recent(row));
            return Ok(());
        }
        loop {
            if let Some(row) = self.scan.as_mut().and_then(|scan| scan.next(self.plan)) {
                self.next = Some(row);
                return Ok(());
            }
            if self.plan.gave_up() {
                return Ok(());
            }
            self.scan = self.open_next()?;
            if self.scan.is_none() {
                self.next = self.recent.pop_front().map(Found::Recent);
                return Ok(());
            }
        }
    }

    fn count(mut self) -> Result<u64, IndexError> {
        let mut count = self.recent.len() as u64;
        while let Some(scan) = self.open_next()? {
            count += scan.count(self.plan);
        }
        Ok(count)
    }
}

fn before(order: Order, a: u64, b: u64) -> bool {
    match order {
        Order::OldestFirst => a < b,
        Order::NewestFirst => a > b,
    }
}

/// Takes rows from the sources, the foremost first.
fn merge(sources: &mut [Source<'_>], order: Order, limit: usize) -> Result<FoundPage, IndexError> {
    let mut page = FoundPage::default();
    for source in sources.iter_mut() {
        source.advance()?;
    }
    loop {
        let mut foremost: Option<(usize, u64)> = None;
        let mut second: Option<u64> = None;
        for (at, source) in sources.iter().enumerate() {
            let Some(sequence) = source.next.as_ref().map(Found::sequence) else {
                continue;
            };
            match foremost {
                Some((_, best)) if before(order, best, sequence) => {
                    if second.is_none_or(|second| before(order, sequence, second)) {
                        second = Some(sequence);
                    }
                }
                _ => {
                    second = foremost.map(|(_, best)| best);
                    foremost = Some((at, sequence));
                }
            }
        }
        let Some((at, _)) = foremost else {
            return Ok(page);
        };
        let source = &mut sources[at];
        while let Some(row) = source.next.take() {
            if second.is_some_and(|second| before(order, second, row.sequence())) {
                source.next = Some(row);
                break;
            }
            if page.rows.len() == limit {
                page.next = Some(row.sequence());
                return Ok(page);
            }
            page.rows.push(row);
            source.advance()?;
        }
    }
}

fn pack(mut found: FoundPage, order: Order) -> PackedPage {
    if order == Order::NewestFirst {
        found.rows.reverse();
    }
    PackedPage {
        rows: codec::encode(&gather(&found.rows)),
        count: found.rows.len(),
        next: found.next,
    }
}

impl Index {
    /// A query uses a run whose rows are in memory.
    fn used(&self, run: &Run) {
        run.use_at(self.stamp.fetch_add(1, Ordering::Relaxed));
    }

    /// The rows of a run, read if need be; what was used longest ago leaves memory for it.
    pub(super) fn columns(
        &self,
        run: &Run,
        bucket: Bucket,
        key: &SecretBytes,
    ) -> Result<Arc<super::columns::Columns>, IndexError> {
        let stamp = self.stamp.fetch_add(1, Ordering::Relaxed);
        let key = RunKey {
            bucket_key: key,
            bucket,
            chain: &self.chain,
        };
        match run.columns(&key, stamp) {
            Ok((columns, read)) => {
                if read {
                    self.make_room();
                }
                Ok(columns)
            }
            Err(RunError::Io(source))
                if source.kind() != std::io::ErrorKind::NotFound
                    && source.kind() != std::io::ErrorKind::UnexpectedEof =>
            {
                Err(IndexError::Io {
                    path: self.dir.clone(),
                    source,
                })
            }
            Err(error) => {
                tracing::warn!(%bucket, %error, "a run of the audit index is damaged: it is made anew");
                Err(IndexError::Damaged { bucket })
            }
        }
    }

    /// What a query has to look at, bucket by bucket, as of one instant.
    fn sources<'a>(
        &'a self,
        filter: &'a Filter,
        plan: &'a Plan,
        cursor: Option<u64>,
    ) -> Result<Vec<Source<'a>>, IndexError> {
        let state = self.read();
        let mut sources = Vec::new();
        for (bucket, found) in &state.buckets {
            if !concerns(filter, bucket) {
                continue;
            }
            let Some(key) = self.key(bucket)? else {
                continue;
            };
            if found.gap.is_some() {
                return Err(IndexError::Rebuilding { bucket: *bucket });
            }
            let mut runs: VecDeque<Arc<Run>> = found.runs.iter().cloned().collect();
            if plan.order == Order::NewestFirst {
                runs.make_contiguous().reverse();
            }
            sources.push(Source {
                index: self,
                filter,
                plan,
                cursor,
                bucket: *bucket,
                key,
                names: None,
                runs,
                recent: recent(found, *bucket, filter, plan.order, cursor),
                scan: None,
                next: None,
            });
        }
        Ok(sources)
    }

    /// Up to `limit` entries that fit, at least one if there is one, from the cursor on; [`Page::next`] is the next
    /// one that fits. Entries that this node cannot open are missing: [`Index::unread`] tells.
    ///
    /// # Errors
    /// [`IndexError::Rebuilding`] while rows of a bucket concerned are taken in again, and what the disk says.
    pub fn query(
        &self,
        filter: &Filter,
        order: Order,
        from: Option<u64>,
        limit: usize,
    ) -> Result<Page, IndexError> {
        let found = self.find(&Plan::new(filter, order), filter, from, limit)?;
        Ok(Page {
            rows: found.rows.into_iter().map(Found::into_row).collect(),
            next: found.next,
        })
    }

    /// As [`Index::query`], packed for an answer, oldest first whatever the order. No entry is put together for it.
    ///
    /// # Errors
    /// As [`Index::query`].
    pub fn query_packed(
        &self,
        filter: &Filter,
        order: Order,
        from: Option<u64>,
        limit: usize,
    ) -> Result<PackedPage, IndexError> {
        let found = self.find(&Plan::new(filter, order), filter, from, limit)?;
        Ok(pack(found, order))
    }

    /// The answer of [`Index::query_packed`] if no file has to be read and at most so many rows have to be looked at
    /// for it: some microseconds for each 100.
    ///
    /// # Errors
    /// As [`Index::query`].
    pub fn glance(
        &self,
        filter: &Filter,
        order: Order,
        from: Option<u64>,
        limit: usize,
        rows: usize,
    ) -> Result<Option<PackedPage>, IndexError> {
        let plan = Plan::new(filter, order).within(rows);
        let found = self.find(&plan, filter, from, limit)?;
        Ok((!plan.gave_up()).then(|| pack(found, order)))
    }

    fn find(
        &self,
        plan: &Plan,
        filter: &Filter,
        from: Option<u64>,
        limit: usize,
    ) -> Result<FoundPage, IndexError> {
        let found = self
            .sources(filter, plan, from)
            .and_then(|mut sources| merge(&mut sources, plan.order, limit.max(1)));
        self.mend(found)
    }

    /// How many entries fit.
    ///
    /// # Errors
    /// As [`Index::query`].
    pub fn count(&self, filter: &Filter) -> Result<u64, IndexError> {
        let plan = Plan::new(filter, Order::OldestFirst);
        let counted = self.sources(filter, &plan, None).and_then(|sources| {
            let counts = sources.into_iter().map(Source::count);
            counts.sum::<Result<u64, IndexError>>()
        });
        self.mend(counted)
    }

    /// The entry with a sequence number; none if there is none, or it cannot be opened.
    ///
    /// # Errors
    /// As [`Index::query`].
    pub fn get(&self, sequence: u64) -> Result<Option<AuditRow>, IndexError> {
        let plan = Plan::new(&Filter::default(), Order::OldestFirst);
        let found = self.sources_of(sequence).and_then(|runs| {
            for (run, bucket, key) in runs.1 {
                let columns = self.columns(&run, bucket, &key)?;
                let row = Scan::begin(columns, &plan, Some(sequence))
                    .and_then(|mut scan| scan.next(&plan))
                    .filter(|row| row.sequence() == sequence);
                if row.is_some() {
                    return Ok(row.map(Found::into_row));
                }
            }
            Ok(runs.0)
        });
        self.mend(found)
    }

    /// A recent row of this number, or the runs that span it.
    #[allow(clippy::type_complexity)]
    fn sources_of(
        &self,
        sequence: u64,
    ) -> Result<(Option<AuditRow>, Vec<(Arc<Run>, Bucket, SecretBytes)>), IndexError> {
        let state = self.read();
        let mut runs = Vec::new();
        for (bucket, found) in &state.buckets {
            let Some(key) = self.key(bucket)? else {
                continue;
            };
            if found
                .gap
                .is_some_and(|(from, to)| (from..to).contains(&sequence))
            {
                return Err(IndexError::Rebuilding { bucket: *bucket });
            }
            if let Ok(at) = found
                .recent
                .binary_search_by_key(&sequence, |row| row.sequence)
            {
                return Ok((Some(found.recent[at].clone()), Vec::new()));
            }
            let at = found.runs.partition_point(|run| run.head.span.1 < sequence);
            let run = found.runs.get(at).filter(|run| run.head.span.0 <= sequence);
            runs.extend(run.map(|run| (run.clone(), *bucket, key)));
        }
        Ok((None, runs))
    }
}
