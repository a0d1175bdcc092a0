//! The index as a whole: read in key order, and filled from rows that come in key order.

use super::{IndexKey, IndexRow, IndexValue, Run, Table, TagIndex, TagIndexView, lock};
use crate::store::StoreError;
use redb::ReadableTable;
use std::sync::Arc;

impl TagIndexView {
    /// Hands over every row in key order, a key once, until told to stop by an error. Memory: one row for each run.
    pub(crate) fn each_in_order<E: From<StoreError>>(
        &self,
        mut take: impl FnMut(&IndexKey, &IndexValue) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut table = self.table.rows.iter().map_err(StoreError::from)?;
        let mut next_of_table = || -> Result<Option<IndexRow>, StoreError> {
            let row = table.next().transpose()?;
            Ok(row.map(|(key, value)| (*key.value(), *value.value())))
        };
        let mut stored = next_of_table()?;
        let mut places = vec![0usize; self.runs.len()];
        loop {
            let lowest = head(&self.runs, &places)
                .into_iter()
                .chain(stored.map(|row| row.0))
                .min();
            let Some(key) = lowest else {
                return Ok(());
            };
            let mut value = None;
            if let Some((found, stored_value)) = stored
                && found == key
            {
                value = Some(stored_value);
                stored = next_of_table()?;
            }
            for (run, place) in self.runs.iter().zip(&mut places) {
                if let Some((_, newer)) = run.get(*place).filter(|row| row.0 == key) {
                    value = Some(*newer);
                    *place += 1;
                }
            }
            let value = value.expect("the lowest key is that of a row");
            take(&key, &value)?;
        }
    }
}

/// The lowest key that the runs have at their places.
fn head(runs: &[Run], places: &[usize]) -> Option<IndexKey> {
    runs.iter()
        .zip(places)
        .filter_map(|(run, place)| run.get(*place).map(|row| row.0))
        .min()
}

impl TagIndex {
    /// Writes rows of a snapshot of a height to the table; they count once [`TagIndex::finish_import`] was called.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn import(&self, rows: &[IndexRow], height: u64) -> Result<(), StoreError> {
        let _one_at_a_time = lock(&self.shared.flushing);
        self.shared.write_table(rows, height).map(drop)
    }

    /// The rows that were imported are all rows of a height.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn finish_import(&self, height: u64) -> Result<(), StoreError> {
        let _one_at_a_time = lock(&self.shared.flushing);
        self.shared.write_table(&[], height)?;
        let table = Table::open(self.shared.db.begin_read()?)?;
        let filter = table.filter()?;
        let mut shelf = self.shared.write();
        shelf.table = Arc::new(table);
        shelf.filter = Arc::new(filter);
        shelf.runs.clear();
        shelf.frozen = 0;
        shelf.height = height;
        Ok(())
    }
}
