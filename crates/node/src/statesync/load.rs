//! Fills a store from a snapshot on disk, and checks all that the rows themselves can be checked against.

use super::folder::{Folder, SnapshotError};
use super::rows::{self, Row};
use crate::store::{Importer, StateBase, Store};
use crate::tag_index::IndexRow;
use caduceus_crypto::codec;
use caduceus_ledger::{Genesis, Space};

/// Chunks of authenticated rows that become one version of the tree, at least.
const BATCH_CHUNKS: u64 = 8;

/// Fills an empty store. `progress` hears of each chunk done and their number. The store has its tip only once the
/// state root holds.
pub(crate) fn load(
    folder: &Folder,
    store: &Store,
    genesis: &Genesis,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<(), SnapshotError> {
    let manifest = folder.manifest();
    let height = manifest.height().0;
    let auth_chunks = u64::from(manifest.auth.chunks);
    // A version of the tree for each batch, and no version below 0.
    let batch_chunks = BATCH_CHUNKS.max(auth_chunks.div_ceil(height + 1));
    let batches = auth_chunks.div_ceil(batch_chunks);
    let mut importer = Importer::begin(store, height, batches);
    let mut batch: Vec<Row> = Vec::new();
    let mut index = 0;
    for (space, section) in manifest.sections() {
        let mut last: Option<Vec<u8>> = None;
        let mut found = 0;
        for chunk in 1..=section.chunks {
            let (of, rows) = rows::read(&folder.chunk(index)?)
                .map_err(|source| SnapshotError::BadChunk { index, source })?;
            let first = rows.first().map(|row| &row.0);
            if of != space || (last.is_some() && last.as_ref() >= first) {
                return Err(SnapshotError::WrongRows);
            }
            found += rows.len() as u64;
            last = rows.last().map(|row| row.0.clone());
            match space {
                Space::Auth => {
                    batch.extend(rows);
                    if u64::from(chunk) % batch_chunks == 0 || chunk == section.chunks {
                        importer.auth(&std::mem::take(&mut batch))?;
                    }
                }
                Space::Bulk => importer.bulk(&rows)?,
                Space::Index => importer.index(&index_rows(&rows)?)?,
            }
            index += 1;
            progress(index, manifest.chunks());
        }
        if found != section.rows {
            return Err(SnapshotError::WrongRows);
        }
    }
    if importer.root() != Some(manifest.header.state_root) {
        return Err(SnapshotError::WrongRoot { height });
    }
    importer.finish(&StateBase {
        genesis: &codec::encode(genesis),
        header: &manifest.header,
        certificate: folder.certificate(),
        voters: &manifest.voters,
        next_validators: &manifest.next_validators,
    })?;
    Ok(())
}

fn index_rows(rows: &[Row]) -> Result<Vec<IndexRow>, SnapshotError> {
    rows.iter()
        .map(|(key, value)| {
            let key = key.as_slice().try_into();
            let value = value.as_slice().try_into();
            match (key, value) {
                (Ok(key), Ok(value)) => Ok((key, value)),
                _ => Err(SnapshotError::WrongRows),
            }
        })
        .collect()
}
