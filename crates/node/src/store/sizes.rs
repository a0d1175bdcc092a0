//! What a store's tables take.

use super::{
    AUTH, BLOCKS, BULK, Bytes, CERTIFICATES, HEADERS, INDEX_RUNS, NODES, RESULTS, SEALS, Store,
    StoreError, VALUES,
};
use redb::{Key, ReadableTableMetadata, TableDefinition};

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub table: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes of keys and values.
    pub stored_bytes: u64,
    /// Bytes of its pages: rows, branches and free space in pages.
    pub page_bytes: u64,
}

impl Store {
    /// Sizes of all tables, the index's own included. Reads every page of the database: not for a busy node.
    ///
    /// # Errors
    /// When a database fails.
    pub fn sizes(&self) -> Result<Vec<TableSize>, StoreError> {
        let txn = self.db.begin_read()?;
        let mut sizes = Vec::new();
        for (table, name) in [
            (BLOCKS, "blocks"),
            (HEADERS, "headers"),
            (CERTIFICATES, "certificates"),
            (RESULTS, "results"),
            (INDEX_RUNS, "index_runs"),
        ] {
            sizes.push(size(&txn, table, name)?);
        }
        for (table, name) in [
            (AUTH, "state_auth"),
            (BULK, "state_bulk"),
            (NODES, "tree_nodes"),
            (VALUES, "tree_values"),
        ] {
            sizes.push(size(&txn, table, name)?);
        }
        if self.snapshot()?.is_mined()? {
            sizes.push(size(&txn, SEALS, "seals")?);
        }
        let index = self.index.stats()?;
        sizes.push(TableSize {
            table: "index rows",
            rows: index.rows,
            stored_bytes: index.rows * 32,
            page_bytes: index.table_bytes,
        });
        Ok(sizes)
    }
}

fn size<K: Key + 'static>(
    txn: &redb::ReadTransaction,
    table: TableDefinition<'static, K, Bytes>,
    name: &'static str,
) -> Result<TableSize, StoreError> {
    let table = txn.open_table(table)?;
    let stats = table.stats()?;
    Ok(TableSize {
        table: name,
        rows: table.len()?,
        stored_bytes: stats.stored_bytes(),
        page_bytes: stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes(),
    })
}
