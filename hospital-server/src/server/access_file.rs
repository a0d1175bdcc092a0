//! `vault-access.log`: what the vault gave and took, one line of JSON a call, written before the bytes leave.
//!
//! It knows nothing of the audit log, so that the one can be held against the other (`private-chain audit model`).
//! At the first call of a month the file of the month before becomes `vault-access-YYYY-MM.log`.
//!
//! # Leakage
//! A line has the time, the request identifier, the kind of call and the record's hash: no name, no card.

use caduceus_crypto::{Hash, TimeMillis};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The present month's file in a server's home.
pub(crate) const ACCESS_FILE: &str = "vault-access.log";

/// A calendar month, UTC.
type Month = (u16, u8);

/// The open file.
pub(crate) struct AccessFile {
    home: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    /// Month of the lines in the file; none while it is empty.
    month: Option<Month>,
}

fn month_of(time: TimeMillis) -> Month {
    let (year, month, _) = time.epoch().ymd();
    (year, month)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Month of a file's first line; none if it has none.
fn month_in(path: &Path) -> io::Result<Option<Month>> {
    let mut line = String::new();
    BufReader::new(File::open(path)?).read_line(&mut line)?;
    let value: Option<serde_json::Value> = serde_json::from_str(&line).ok();
    let time = value.and_then(|value| value.get("time")?.as_u64());
    Ok(time.map(|time| month_of(TimeMillis(time))))
}

/// Bytes of a file up to the end of its last whole line.
fn whole_lines(path: &Path, length: u64) -> io::Result<u64> {
    /// More than a line.
    const TAIL_BYTES: u64 = 4096;
    let from = length.saturating_sub(TAIL_BYTES);
    let mut tail = Vec::new();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n');
    Ok(match end {
        Some(at) => from + at as u64 + 1,
        None => from,
    })
}

impl AccessFile {
    /// Opens the file of a home. A line that a crash cut short is removed: no byte has left for it.
    pub(crate) fn open(home: &Path) -> io::Result<Self> {
        let path = home.join(ACCESS_FILE);
        let file = open(&path)?;
        let written = file.metadata()?.len();
        let whole = whole_lines(&path, written)?;
        if whole < written {
            file.set_len(whole)?;
        }
        Ok(Self {
            home: home.to_path_buf(),
            state: Mutex::new(State {
                file,
                month: month_in(&path)?,
            }),
        })
    }

    /// Writes a line: the bytes may leave then.
    pub(crate) fn note(
        &self,
        time: TimeMillis,
        request: &[u8; 16],
        kind: &str,
        record: &Hash,
    ) -> io::Result<()> {
        let line = format!(
            "{{\"time\":{},\"request\":\"{}\",\"kind\":\"{kind}\",\"record\":\"{record}\"}}\n",
            time.0,
            hex::encode(request)
        );
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let month = month_of(time);
        if let Some((year, number)) = state.month.filter(|known| *known < month) {
            let path = self.home.join(ACCESS_FILE);
            let name = format!("vault-access-{year:04}-{number:02}.log");
            fs::rename(&path, self.home.join(name))?;
            state.file = open(&path)?;
            state.month = None;
        }
        // One write: lines of the page cache survive the process.
        state.file.write_all(line.as_bytes())?;
        state.month.get_or_insert(month);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DAY: u64 = 86_400_000;
    /// 2026-11-30.
    const NOVEMBER: u64 = 20_787 * DAY;

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(path).unwrap();
        let whole = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        whole.collect()
    }

    #[test]
    fn each_call_has_a_line_and_each_month_a_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(ACCESS_FILE);
        let record = Hash([0xab; 32]);
        let note = |file: &AccessFile, time: u64, kind: &str| {
            file.note(TimeMillis(time), &[7; 16], kind, &record)
                .unwrap();
        };
        let file = AccessFile::open(home.path()).unwrap();
        note(&file, NOVEMBER, "put");
        note(&file, NOVEMBER + 5, "get");
        let first = &lines(&path)[0];
        assert_eq!(first["time"], NOVEMBER);
        assert_eq!(first["request"], hex::encode([7; 16]));
        assert_eq!(first["kind"], "put");
        assert_eq!(first["record"], record.to_string());
        // A crash in the middle of a line, and a restart.
        drop(file);
        let mut cut = OpenOptions::new().append(true).open(&path).unwrap();
        cut.write_all(b"{\"time\":1").unwrap();
        let file = AccessFile::open(home.path()).unwrap();
        note(&file, NOVEMBER + 6, "range");
        assert_eq!(lines(&path).len(), 3);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        // December.
        note(&file, NOVEMBER + DAY, "get");
        note(&file, NOVEMBER + DAY + 1, "get");
        let old = home.path().join("vault-access-2026-11.log");
        assert_eq!((lines(&old).len(), lines(&path).len()), (3, 2));
        // A signed time a little before midnight does not turn it back.
        note(&file, NOVEMBER + DAY - 1, "get");
        assert_eq!(lines(&path).len(), 3);
    }
}
