//! Rows to chunks and back.
//!
//! A chunk holds rows of one space: the space (`u8`: 0 auth, 1 bulk, 2 index), then each row. A row of auth or bulk is
//! length of the key (`u32` little-endian), key, length of the value (`u32`), value; a row of the index is its 20 bytes
//! of key and 12 of value. Rows rise strictly by key, also from chunk to chunk. A row is never cut: a chunk ends before
//! the row that would make it longer than [`CHUNK_BYTES`], so that the same state gives the same chunks everywhere.
//! Chunks are not compressed: another version of a compressor would give other bytes.

use super::manifest::Section;
use caduceus_ledger::{INDEX_KEY_BYTES, INDEX_VALUE_BYTES, Space};
use caduceus_network::exchange::MAX_SNAPSHOT_CHUNK_BYTES;

/// A chunk is no longer than this, unless a single row is.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

const INDEX_ROW_BYTES: usize = INDEX_KEY_BYTES + INDEX_VALUE_BYTES;

fn number(space: Space) -> u8 {
    match space {
        Space::Auth => 0,
        Space::Bulk => 1,
        Space::Index => 2,
    }
}

/// Why a row cannot be in a snapshot.
#[derive(Debug, thiserror::Error)]
#[error("a row of {found} bytes, at most {limit} in a snapshot")]
pub struct RowTooLong {
    /// The limit in bytes.
    pub limit: usize,
    /// Bytes found.
    pub found: usize,
}

/// Cuts rows, which come in order, into chunks.
pub struct Cutter {
    space: Space,
    chunk: Vec<u8>,
    sections: [Section; 3],
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            space: Space::Auth,
            chunk: Vec::new(),
            sections: [Section::default(); 3],
        }
    }
}

impl Cutter {
    /// Takes a row; gives the chunk that it does not fit into any more, if there is one.
    ///
    /// # Errors
    /// [`RowTooLong`].
    pub fn push(
        &mut self,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, RowTooLong> {
        let length = match space {
            Space::Index => INDEX_ROW_BYTES,
            Space::Auth | Space::Bulk => 8 + key.len() + value.len(),
        };
        if 1 + length > MAX_SNAPSHOT_CHUNK_BYTES {
            return Err(RowTooLong {
                limit: MAX_SNAPSHOT_CHUNK_BYTES - 1,
                found: length,
            });
        }
        let full = space != self.space || self.chunk.len() + length > CHUNK_BYTES;
        let done = if full { self.take() } else { None };
        self.space = space;
        if self.chunk.is_empty() {
            self.chunk.push(number(space));
        }
        if space == Space::Index {
            self.chunk.extend_from_slice(key);
            self.chunk.extend_from_slice(value);
        } else {
            for part in [key, value] {
                // Below the limit above, so below 2^32.
                self.chunk
                    .extend_from_slice(&(part.len() as u32).to_le_bytes());
                self.chunk.extend_from_slice(part);
            }
        }
        self.sections[usize::from(number(space))].rows += 1;
        Ok(done)
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        if self.chunk.is_empty() {
            return None;
        }
        let section = &mut self.sections[usize::from(number(self.space))];
        section.chunks += 1;
        section.bytes += self.chunk.len() as u64;
        Some(std::mem::take(&mut self.chunk))
    }

    /// The last chunk, if rows are left, and what there was of each space: auth, bulk, index.
    pub fn finish(mut self) -> (Option<Vec<u8>>, [Section; 3]) {
        let last = self.take();
        (last, self.sections)
    }
}

/// Why bytes are no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadChunk {
    /// Cut short, of an unknown space, or without a row.
    #[error("the chunk does not decode")]
    Malformed,
    /// Keys do not rise strictly.
    #[error("the chunk's rows are not in order")]
    Unordered,
}

/// Reads a chunk.
///
/// # Errors
/// [`BadChunk`] names the rule broken.
pub fn read(bytes: &[u8]) -> Result<(Space, Vec<Row>), BadChunk> {
    let (space, mut rest) = bytes.split_first().ok_or(BadChunk::Malformed)?;
    let space = match space {
        0 => Space::Auth,
        1 => Space::Bulk,
        2 => Space::Index,
        _ => return Err(BadChunk::Malformed),
    };
    let mut rows: Vec<Row> = Vec::new();
    while !rest.is_empty() {
        let row = if space == Space::Index {
            let key = part(&mut rest, INDEX_KEY_BYTES)?;
            (key, part(&mut rest, INDEX_VALUE_BYTES)?)
        } else {
            (counted(&mut rest)?, counted(&mut rest)?)
        };
        if rows.last().is_some_and(|last| last.0 >= row.0) {
            return Err(BadChunk::Unordered);
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(BadChunk::Malformed);
    }
    Ok((space, rows))
}

fn part(rest: &mut &[u8], length: usize) -> Result<Vec<u8>, BadChunk> {
    let (taken, left) = rest.split_at_checked(length).ok_or(BadChunk::Malformed)?;
    *rest = left;
    Ok(taken.to_vec())
}

fn counted(rest: &mut &[u8]) -> Result<Vec<u8>, BadChunk> {
    let length = part(rest, 4)?;
    let length = u32::from_le_bytes(length.try_into().expect("four bytes were taken"));
    part(rest, length as usize)
}

#[cfg(test)]
mod tests;
