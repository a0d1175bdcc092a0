//! Columns as bytes, for run files and for answers.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of what follows, when unpacked; the highest bit is set if it is not packed |
//! | | one zstd frame of the rest, or, below 4 KiB, the rest |
//! | 4 | number of rows |
//! | 8 + n | sequence numbers: the first, then differences (varint) |
//! | n | times: differences to the one before (zigzag varint), the first to zero |
//! | | batches: borsh of `Vec<Place>` |
//! | | for each column: borsh of its values, then a code a row in as many bytes as it takes (0, 1, 2 or 4) |
//! | | statements: borsh of `Vec<(row, SignedStatement)>` |
//!
//! Integers are little-endian.

use super::cell::{COLUMNS, Cell};
use super::columns::{Column, Columns};
use crate::audit::{MAX_CIPHERTEXT_BYTES, Place, SignedStatement};
use borsh::BorshDeserialize;
use caduceus_crypto::codec::encode as borsh_bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// zstd's quickest: the texts are in dictionaries already.
const LEVEL: i32 = 1;
/// Below so many bytes it takes longer to pack them than to move them.
const PACKED_FROM: usize = 4096;
/// Bit of the length: what follows is not packed.
const PLAIN: u32 = 1 << 31;
/// Bytes that a row takes unpacked, at most: an entry is bounded by its sealed form, and each column adds a code.
const ROW_BYTES: usize = MAX_CIPHERTEXT_BYTES + 256;

/// Bytes that are no columns.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no rows of an audit index")]
pub struct Malformed;

fn width(values: usize) -> usize {
    match values {
        0..=1 => 0,
        2..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes columns.
pub(super) fn encode(columns: &Columns) -> Vec<u8> {
    let mut raw: Vec<u8> = Vec::with_capacity(64 + columns.len() * 64);
    let rows = u32::try_from(columns.len()).expect("a run has fewer than 2^32 rows");
    raw.extend_from_slice(&rows.to_le_bytes());
    if let Some(first) = columns.sequences.first() {
        raw.extend_from_slice(&first.to_le_bytes());
    }
    for pair in columns.sequences.windows(2) {
        put_varint(&mut raw, pair[1] - pair[0]);
    }
    let mut before = 0u64;
    for time in &columns.times {
        let step = time.wrapping_sub(before) as i64;
        put_varint(&mut raw, ((step << 1) ^ (step >> 63)) as u64);
        before = *time;
    }
    raw.extend(borsh_bytes(&columns.places));
    for column in &columns.columns {
        raw.extend(borsh_bytes(&column.values));
        let width = width(column.values.len());
        for code in &column.codes {
            raw.extend_from_slice(&code.to_le_bytes()[..width]);
        }
    }
    raw.extend(borsh_bytes(&columns.statements));
    let length = u32::try_from(raw.len()).expect("a run is bounded by its rows");
    if raw.len() < PACKED_FROM {
        return [&(length | PLAIN).to_le_bytes()[..], &raw].concat();
    }
    let mut out = length.to_le_bytes().to_vec();
    out.extend(zstd::bulk::compress(&raw, LEVEL).expect("zstd compresses what is in memory"));
    out
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn borsh<T: BorshDeserialize>(&mut self) -> Result<T, Malformed> {
        T::deserialize(&mut self.0).map_err(|_| Malformed)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn column(&mut self, rows: usize) -> Result<Column, Malformed> {
        let (count, _) = self.0.split_first_chunk::<4>().ok_or(Malformed)?;
        // Each value is some row's: so many rows bound what the values take in memory.
        if u32::from_le_bytes(*count) as usize > rows {
            return Err(Malformed);
        }
        let values: Vec<Cell> = self.borsh()?;
        let codes = match width(values.len()) {
            0 => vec![0; rows],
            width => {
                let bytes = self.take(rows.checked_mul(width).ok_or(Malformed)?)?;
                let code = |part: &[u8]| {
                    let mut code = [0u8; 4];
                    code[..width].copy_from_slice(part);
                    u32::from_le_bytes(code)
                };
                bytes.chunks_exact(width).map(code).collect()
            }
        };
        Ok(Column::new(values, codes))
    }
}

/// Reads columns of at most `max_rows` rows; lengths are checked before anything is allocated for them.
pub(super) fn decode(bytes: &[u8], max_rows: usize) -> Result<Columns, Malformed> {
    let (length, packed) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
    let length = u32::from_le_bytes(*length);
    let plain = length & PLAIN != 0;
    let length = (length & !PLAIN) as usize;
    if length > 1024 + max_rows.saturating_mul(ROW_BYTES) {
        return Err(Malformed);
    }
    let raw = match plain {
        true => Cow::Borrowed(packed),
        false => Cow::Owned(zstd::bulk::decompress(packed, length).map_err(|_| Malformed)?),
    };
    if raw.len() != length {
        return Err(Malformed);
    }
    let mut reader = Reader(&raw);
    let rows = reader.borsh::<u32>()? as usize;
    // Each row takes at least one byte, of its time.
    if rows > max_rows || rows > raw.len() {
        return Err(Malformed);
    }
    let mut sequences = Vec::with_capacity(rows);
    if rows > 0 {
        sequences.push(reader.borsh::<u64>()?);
    }
    while let (Some(last), true) = (sequences.last(), sequences.len() < rows) {
        sequences.push(last.checked_add(reader.varint()?).ok_or(Malformed)?);
    }
    let mut times = Vec::with_capacity(rows);
    let mut before = 0u64;
    for _ in 0..rows {
        let step = reader.varint()?;
        before = before.wrapping_add((step >> 1) ^ (step & 1).wrapping_neg());
        times.push(before);
    }
    let places: Vec<Arc<Place>> = reader.borsh()?;
    let mut columns: [Column; COLUMNS] = Default::default();
    for column in &mut columns {
        *column = reader.column(rows)?;
    }
    let statements: Vec<(u32, SignedStatement)> = reader.borsh()?;
    if !reader.0.is_empty() {
        return Err(Malformed);
    }
    Columns::assemble(sequences, times, places, columns, statements).map_err(|_| Malformed)
}
