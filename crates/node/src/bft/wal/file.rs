//! The bytes of the consensus log: `wal/votes.log`.
//!
//! All numbers little-endian. Header of 52 bytes: magic `CADVOTES` 8, version u32 (1), height u64, check 32 (hash of
//! the 20 bytes before it). Then entries: sequence u64 from 0, length u32, that many bytes, check 32. An entry's check
//! is the hash of the check before it and of the entry, so entries hold in their order and under their header only: a
//! rest of an older log behind a new header is none of it, nor are zeros.

use caduceus_crypto::{Hash, domain, hash};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

const MAGIC: &[u8; 8] = b"CADVOTES";
const VERSION: u32 = 1;
const CHECK: usize = 32;
/// Bytes of the header.
pub const HEADER: usize = 8 + 4 + 8 + CHECK;
/// Bytes of an entry besides its content.
pub const ENTRY_OVERHEAD: usize = 8 + 4 + CHECK;
/// Longest entry: a certificate of thousands of votes fits.
pub const MAX_ENTRY_BYTES: usize = 1024 * 1024;
/// Longest log that is read: many thousand rounds of one height.
pub const MAX_LOG_BYTES: usize = 64 * 1024 * 1024;
/// Sequence numbers ahead at which an entry is looked for behind damage.
const MAX_SKIPPED: u64 = 1 << 20;

/// What is wrong with a log's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Whole,
    /// It ends in bytes that are no entry: an interrupted write.
    Torn,
    /// Valid entries follow after bytes that are none: something in the middle changed.
    Damaged,
}

/// A log's bytes, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The height in the header; none if there is no valid header.
    pub height: Option<u64>,
    /// Where the contents of the valid entries are that follow the header without a gap.
    pub entries: Vec<Range<usize>>,
    /// Length of header and those entries.
    pub length: usize,
    /// Check of the last of them.
    pub check: Hash,
    /// Whether there is more.
    pub condition: Condition,
}

fn header(height: u64) -> ([u8; HEADER], Hash) {
    let mut out = [0u8; HEADER];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..20].copy_from_slice(&height.to_le_bytes());
    let check = hash(domain::VOTE_LOG, &[&out[..20]]);
    out[20..].copy_from_slice(check.as_bytes());
    (out, check)
}

fn entry(before: &Hash, sequence: u64, content: &[u8]) -> (Vec<u8>, Hash) {
    let mut out = Vec::with_capacity(content.len() + ENTRY_OVERHEAD);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.extend_from_slice(content);
    let check = hash(domain::VOTE_LOG_ENTRY, &[before.as_bytes(), &out]);
    out.extend_from_slice(check.as_bytes());
    (out, check)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

fn hash_at(bytes: &[u8], at: usize) -> Option<Hash> {
    let check = bytes.get(at..at.checked_add(CHECK)?)?;
    Some(Hash(check.try_into().ok()?))
}

/// The entry at a place: its content and its check, if the check holds.
fn entry_at(
    bytes: &[u8],
    at: usize,
    before: &Hash,
    sequences: &Range<u64>,
) -> Option<(Range<usize>, Hash)> {
    if !sequences.contains(&u64_at(bytes, at)?) {
        return None;
    }
    let length = bytes.get(at + 8..at + 12)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    // No entry is empty: zeros are none.
    if length == 0 || length > MAX_ENTRY_BYTES {
        return None;
    }
    let content = at + 12..at + 12 + length;
    let check = hash_at(bytes, content.end)?;
    let expected = hash(
        domain::VOTE_LOG_ENTRY,
        &[before.as_bytes(), &bytes[at..content.end]],
    );
    (check == expected).then_some((content, check))
}

/// Whether any valid entry lies behind a place: an entry's check is over the 32 bytes before it.
fn any_entry_behind(bytes: &[u8], from: usize, sequence: u64) -> bool {
    let sequences = sequence..sequence.saturating_add(MAX_SKIPPED);
    (from.max(CHECK)..bytes.len().saturating_sub(ENTRY_OVERHEAD - 1)).any(|at| {
        hash_at(bytes, at - CHECK)
            .is_some_and(|before| entry_at(bytes, at, &before, &sequences).is_some())
    })
}

/// Understands a log's bytes. Never panics, whatever they are.
pub fn scan(bytes: &[u8]) -> Scan {
    let mut found = Scan {
        height: None,
        entries: Vec::new(),
        length: 0,
        check: Hash::ZERO,
        condition: Condition::Whole,
    };
    if bytes.is_empty() {
        return found;
    }
    if let Some(height) = u64_at(bytes, 12)
        && let (expected, check) = header(height)
        && bytes.starts_with(&expected)
    {
        found.height = Some(height);
        found.length = HEADER;
        found.check = check;
        while let Some((content, check)) = {
            let sequence = found.entries.len() as u64;
            entry_at(bytes, found.length, &found.check, &(sequence..sequence + 1))
        } {
            found.length = content.end + CHECK;
            found.entries.push(content);
            found.check = check;
        }
    }
    if found.length < bytes.len() {
        let sequence = found.entries.len() as u64;
        found.condition = if any_entry_behind(bytes, found.length + 1, sequence) {
            Condition::Damaged
        } else {
            Condition::Torn
        };
    }
    found
}

/// Where a log's bytes go: a file, or what a test makes of one.
pub trait Medium: Send {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was appended durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off what is behind a length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(|_| ())
    }
}

/// Reads a log; more than is sensible reads as damage.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(MAX_LOG_BYTES as u64 + 1)
                .read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

/// Opens or creates a log for writing.
pub fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// A log that is written.
pub struct Log {
    medium: Box<dyn Medium>,
    height: Option<u64>,
    length: u64,
    sequence: u64,
    check: Hash,
    dirty: bool,
}

impl Log {
    /// Goes on behind what a scan found valid, and cuts off the rest.
    pub fn resume(mut medium: Box<dyn Medium>, found: &Scan) -> io::Result<Self> {
        medium.cut(found.length as u64)?;
        Ok(Self {
            medium,
            height: found.height,
            length: found.length as u64,
            sequence: found.entries.len() as u64,
            check: found.check,
            dirty: found.condition != Condition::Whole,
        })
    }

    /// The height of the header.
    pub fn height(&self) -> Option<u64> {
        self.height
    }

    /// Starts over at a height. The header becomes durable with the first entry.
    pub fn reset(&mut self, height: u64) -> io::Result<()> {
        let (bytes, check) = header(height);
        self.medium.cut(0)?;
        self.medium.append(&bytes)?;
        self.height = Some(height);
        self.length = HEADER as u64;
        self.sequence = 0;
        self.check = check;
        self.dirty = false;
        Ok(())
    }

    /// Appends an entry.
    pub fn append(&mut self, content: &[u8]) -> io::Result<()> {
        if content.len() > MAX_ENTRY_BYTES
            || self.length + (content.len() + ENTRY_OVERHEAD) as u64 > MAX_LOG_BYTES as u64
        {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the consensus log of one height is full",
            ));
        }
        let (bytes, check) = entry(&self.check, self.sequence, content);
        self.medium.append(&bytes)?;
        self.length += bytes.len() as u64;
        self.sequence += 1;
        self.check = check;
        self.dirty = true;
        Ok(())
    }

    /// Makes all entries durable.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.medium.sync()?;
            self.dirty = false;
        }
        Ok(())
    }
}
