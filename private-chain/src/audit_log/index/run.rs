//! Runs: rows of a bucket that follow each other and no longer change; the large ones in a file.
//!
//! `<run id>.run`, mode 0600:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `CADRUN01` |
//! | 16 | run identifier, random |
//! | 4 | length of the head |
//! | 4 | length of the body |
//! | | head: borsh of [`Head`], sealed |
//! | | body: the columns ([`super::codec`]), sealed |
//!
//! Sealed is AES-256-GCM (SP 800-38D) under KDF(bucket key; chain, class, month, run identifier), nonce the number of
//! the section, associated data the 32 bytes in front: each key seals two messages. Integers are little-endian.
//!
//! # Leakage
//! Who reads the folder learns how many runs a bucket has and their packed sizes. With the bucket's key, all.

use super::bloom::Bloom;
use super::codec;
use super::columns::Columns;
use crate::audit::{Bucket, TermKey};
use crate::audit_log::keys::file::publish;
use aes_gcm::aead::{AeadInPlace, Nonce, Tag};
use aes_gcm::{Aes256Gcm, KeyInit};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec as borsh_codec;
use caduceus_crypto::domain;
use caduceus_crypto::hash::kdf;
use caduceus_ledger::ChainId;
use rand_core::{OsRng, RngCore};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

const MAGIC: &[u8; 8] = b"CADRUN01";
const FRONT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Most rows of a run. Larger ones would make what a cold query reads larger than its answer.
pub(super) const MAX_ROWS: usize = 1 << 18;
/// Longest head: ten bits a term, twelve terms a row.
const MAX_HEAD_BYTES: usize = 64 + MAX_ROWS * 16;

/// Identifier of a run.
pub(super) type RunId = [u8; 16];

/// What is known of a run without reading its rows.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Head {
    /// Number of rows.
    pub(super) rows: u32,
    /// First sequence number of the first row's batch.
    pub(super) batch: u64,
    /// First and last sequence number.
    pub(super) span: (u64, u64),
    /// Earliest and latest time.
    pub(super) times: (u64, u64),
    /// Names of the terms; empty while the run is in memory only.
    pub(super) terms: Bloom,
}

impl Head {
    fn of(columns: &Columns, terms: Bloom) -> Self {
        let times = columns.times.iter();
        let ends = columns.sequences.first().zip(columns.sequences.last());
        let (first, last) = ends.expect("a run has rows");
        Self {
            rows: u32::try_from(columns.len()).expect("a run has fewer than 2^32 rows"),
            batch: columns.places.first().expect("a row has a batch").first,
            span: (*first, *last),
            times: (
                times.clone().copied().min().expect("a run has rows"),
                times.copied().max().expect("a run has rows"),
            ),
            terms,
        }
    }
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("the disk: {0}")]
    Io(#[from] io::Error),
    #[error("the file was altered")]
    Damaged,
}

/// The key of a run's file, and what it belongs to.
pub(super) struct RunKey<'a> {
    pub(super) bucket_key: &'a [u8; 32],
    pub(super) bucket: Bucket,
    pub(super) chain: &'a ChainId,
}

impl RunKey<'_> {
    fn cipher(&self, id: &RunId) -> Aes256Gcm {
        let month = self.bucket.month.to_le_bytes();
        let fields: [&[u8]; 4] = [
            self.chain.0.as_bytes(),
            &[self.bucket.class as u8],
            &month,
            id,
        ];
        let key = kdf::<32>(domain::AUDIT_RUN, self.bucket_key, &fields);
        Aes256Gcm::new_from_slice(&key[..]).expect("AES-256 takes 32 bytes")
    }
}

fn nonce(section: u8) -> Nonce<Aes256Gcm> {
    [section; 12].into()
}

fn seal(cipher: &Aes256Gcm, section: u8, front: &[u8], plain: &mut Vec<u8>) {
    cipher
        .encrypt_in_place(&nonce(section), front, plain)
        .expect("AES-GCM takes messages of this size");
}

fn unseal(
    cipher: &Aes256Gcm,
    section: u8,
    front: &[u8],
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>, RunError> {
    let length = sealed
        .len()
        .checked_sub(TAG_BYTES)
        .ok_or(RunError::Damaged)?;
    let tag = *Tag::<Aes256Gcm>::from_slice(&sealed[length..]);
    sealed.truncate(length);
    cipher
        .decrypt_in_place_detached(&nonce(section), front, &mut sealed, &tag)
        .map_err(|_| RunError::Damaged)?;
    Ok(sealed)
}

/// A run in a file.
struct OnDisk {
    id: RunId,
    path: PathBuf,
    /// Set when other runs hold its rows: the file goes when the last query is done with it.
    replaced: AtomicBool,
}

/// A run.
pub(super) struct Run {
    pub(super) head: Head,
    rows: Mutex<Option<Arc<Columns>>>,
    disk: Option<OnDisk>,
    used: AtomicU64,
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(disk) = &self.disk
            && disk.replaced.load(Ordering::Relaxed)
        {
            // What is left over is removed at the next start.
            let _ = fs::remove_file(&disk.path);
        }
    }
}

impl Run {
    /// A run in memory only.
    pub(super) fn in_memory(columns: Columns) -> Self {
        Self {
            head: Head::of(&columns, Bloom::default()),
            rows: Mutex::new(Some(Arc::new(columns))),
            disk: None,
            used: AtomicU64::new(0),
        }
    }

    /// Writes a run, durably, into its bucket's folder.
    pub(super) fn write(dir: &Path, key: &RunKey<'_>, columns: Arc<Columns>) -> io::Result<Self> {
        let mut id: RunId = [0; 16];
        OsRng.fill_bytes(&mut id);
        let terms = Bloom::of(&columns, &TermKey::derive(key.bucket_key, key.bucket));
        let head = Head::of(&columns, terms);
        let mut sealed_head = borsh_codec::encode(&head);
        let mut sealed_body = codec::encode(&columns);
        let mut front = [0u8; FRONT_BYTES];
        front[..8].copy_from_slice(MAGIC);
        front[8..24].copy_from_slice(&id);
        for (at, part) in [(24, &sealed_head), (28, &sealed_body)] {
            let length =
                u32::try_from(part.len() + TAG_BYTES).expect("a run is bounded by its rows");
            front[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
        let cipher = key.cipher(&id);
        seal(&cipher, 0, &front, &mut sealed_head);
        seal(&cipher, 1, &front, &mut sealed_body);
        let mut file = front.to_vec();
        file.append(&mut sealed_head);
        file.append(&mut sealed_body);
        let path = path(dir, &id);
        publish(&path, &file)?;
        Ok(Self {
            head,
            rows: Mutex::new(Some(columns)),
            disk: Some(OnDisk {
                id,
                path,
                replaced: AtomicBool::new(false),
            }),
            used: AtomicU64::new(0),
        })
    }

    /// Opens a run that was written; its rows are read when they are first asked for.
    pub(super) fn open(dir: &Path, key: &RunKey<'_>, id: RunId) -> Result<Self, RunError> {
        let path = path(dir, &id);
        let mut file = File::open(&path)?;
        let (front, head_len, _) = front(&mut file, &id)?;
        let mut sealed = vec![0u8; head_len];
        file.read_exact(&mut sealed)?;
        let plain = unseal(&key.cipher(&id), 0, &front, sealed)?;
        let head =
            borsh_codec::decode_exact(&plain, MAX_HEAD_BYTES).map_err(|_| RunError::Damaged)?;
        Ok(Self {
            head,
            rows: Mutex::new(None),
            disk: Some(OnDisk {
                id,
                path,
                replaced: AtomicBool::new(false),
            }),
            used: AtomicU64::new(0),
        })
    }

    /// Its identifier, if it is in a file.
    pub(super) fn id(&self) -> Option<RunId> {
        self.disk.as_ref().map(|disk| disk.id)
    }

    /// Its file goes when nobody reads it any more.
    pub(super) fn replace(&self) {
        if let Some(disk) = &self.disk {
            disk.replaced.store(true, Ordering::Relaxed);
        }
    }

    /// The rows, if they are in memory; not while they are being read.
    pub(super) fn resident(&self) -> Option<Arc<Columns>> {
        match self.rows.try_lock() {
            Ok(rows) => rows.clone(),
            Err(TryLockError::Poisoned(rows)) => rows.into_inner().clone(),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Notes a use. `stamp` orders the uses of runs.
    pub(super) fn use_at(&self, stamp: u64) {
        self.used.store(stamp, Ordering::Relaxed);
    }

    /// The rows, and whether they had to be read. `stamp` orders the uses of runs.
    pub(super) fn columns(
        &self,
        key: &RunKey<'_>,
        stamp: u64,
    ) -> Result<(Arc<Columns>, bool), RunError> {
        self.used.store(stamp, Ordering::Relaxed);
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = &*rows {
            return Ok((rows.clone(), false));
        }
        let disk = self
            .disk
            .as_ref()
            .expect("a run in memory only keeps its rows");
        let read = Arc::new(self.read(disk, key)?);
        *rows = Some(read.clone());
        Ok((read, true))
    }

    fn read(&self, disk: &OnDisk, key: &RunKey<'_>) -> Result<Columns, RunError> {
        let mut file = File::open(&disk.path)?;
        let (front, head_len, body_len) = front(&mut file, &disk.id)?;
        file.seek(SeekFrom::Start((FRONT_BYTES + head_len) as u64))?;
        let mut sealed = vec![0u8; body_len];
        file.read_exact(&mut sealed)?;
        let plain = unseal(&key.cipher(&disk.id), 1, &front, sealed)?;
        let columns = codec::decode(&plain, MAX_ROWS).map_err(|_| RunError::Damaged)?;
        if columns.len() != self.head.rows as usize {
            return Err(RunError::Damaged);
        }
        Ok(columns)
    }

    /// When it was last used, and the bytes that it would give back; none if it cannot leave memory or is not there.
    pub(super) fn evictable(&self) -> Option<(u64, usize)> {
        self.disk.as_ref()?;
        let bytes = self.resident()?.bytes();
        Some((self.used.load(Ordering::Relaxed), bytes))
    }

    /// Leaves memory; queries that hold the rows keep them until they are done.
    pub(super) fn evict(&self) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn path(dir: &Path, id: &RunId) -> PathBuf {
    dir.join(format!("{}.run", hex::encode(id)))
}

/// Reads the front of a file and the lengths of its sections, which are all of the file.
fn front(file: &mut File, id: &RunId) -> Result<([u8; FRONT_BYTES], usize, usize), RunError> {
    let found = file.metadata()?.len();
    let mut front = [0u8; FRONT_BYTES];
    file.read_exact(&mut front)?;
    let length = |at: usize| {
        let bytes = front[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let (head, body) = (length(24), length(28));
    if !front.starts_with(MAGIC)
        || front[8..24] != id[..]
        || head > MAX_HEAD_BYTES + TAG_BYTES
        || found != (FRONT_BYTES + head + body) as u64
    {
        return Err(RunError::Damaged);
    }
    Ok((front, head, body))
}
