//! A snapshot on disk: one folder a height, `snapshots/HEIGHT`, there as a whole or not at all.
//!
//! | file | bytes |
//! |---|---|
//! | `manifest` | borsh of [`Manifest`] |
//! | `chunks` | borsh of the list of the chunks' hashes |
//! | `certificate` | borsh of the ledger's `Certificate` on the manifest's header |
//! | `attestations` | borsh of the list of [`Attestation`]s known so far; replaced as more come |
//! | `00000000.chunk` and on | the chunks (module `rows`) |
//!
//! A folder is filled as `.making-HEIGHT` or `.fetching-HEIGHT`, synced, and renamed. Chunks are checked against
//! their hashes whenever they are read.

use super::attest::{Attestation, AttestationError, Attestations};
use super::manifest::{BadManifest, MAX_MANIFEST_BYTES, Manifest, chunk_hash};
use super::rows::{BadChunk, RowTooLong};
use crate::store::StoreError;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::{Certificate, CertificateError, CertifiedHeader};
use caduceus_network::exchange::{MAX_SNAPSHOT_CHUNK_BYTES, MAX_SNAPSHOT_CHUNKS};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest";
const CHUNKS: &str = "chunks";
const CERTIFICATE: &str = "certificate";
const ATTESTATIONS: &str = "attestations";

/// Largest list of hashes, certificate or list of attestations on disk, bytes.
const MAX_FILE_BYTES: usize = MAX_SNAPSHOT_CHUNKS * 32 + 4;

/// Why a snapshot cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file does not decode.
    #[error("{path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A chunk is not the one of the manifest.
    #[error("chunk {index} is not the manifest's")]
    WrongChunk {
        /// Its position.
        index: u32,
    },
    /// A chunk that validators attest to does not decode.
    #[error("chunk {index}: {source}")]
    BadChunk {
        /// Its position.
        index: u32,
        /// What is wrong.
        source: BadChunk,
    },
    /// Rows are not as many, or not in the order and place that the manifest says.
    #[error("the rows are not those that the manifest counts")]
    WrongRows,
    /// The manifest describes no snapshot.
    #[error(transparent)]
    Manifest(#[from] BadManifest),
    /// The header's certificate does not hold.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The attestations are wrong or too few.
    #[error(transparent)]
    Attestations(#[from] AttestationError),
    /// The authenticated rows do not give the header's state root.
    #[error("the authenticated rows do not give the state root of header {height}")]
    WrongRoot {
        /// The height.
        height: u64,
    },
    /// A row is too long.
    #[error(transparent)]
    Row(#[from] RowTooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node stops.
    #[error("stopped")]
    Stopped,
}

pub(crate) fn file_error(path: &Path, source: std::io::Error) -> SnapshotError {
    SnapshotError::File {
        path: path.to_path_buf(),
        source,
    }
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), SnapshotError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| file_error(path, e))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()
        })
        .map_err(|e| file_error(path, e))
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, SnapshotError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| file_error(path, e))?;
    if bytes.len() > limit {
        return Err(SnapshotError::Damaged {
            path: path.to_path_buf(),
        });
    }
    Ok(bytes)
}

fn decode<T: BorshDeserialize + BorshSerialize>(path: &Path) -> Result<T, SnapshotError> {
    codec::decode_exact(&read(path, MAX_FILE_BYTES)?, MAX_FILE_BYTES).map_err(|_| {
        SnapshotError::Damaged {
            path: path.to_path_buf(),
        }
    })
}

fn chunk_path(folder: &Path, index: u32) -> PathBuf {
    folder.join(format!("{index:08}.chunk"))
}

/// Reads a chunk and compares its hash.
fn read_chunk(folder: &Path, index: u32, expected: &Hash) -> Result<Vec<u8>, SnapshotError> {
    let bytes = read(&chunk_path(folder, index), MAX_SNAPSHOT_CHUNK_BYTES)?;
    if chunk_hash(&bytes) != *expected {
        return Err(SnapshotError::WrongChunk { index });
    }
    Ok(bytes)
}

/// The snapshots of a folder `snapshots`, oldest first.
#[must_use]
pub fn list(root: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let height = entry.file_name().to_str()?.parse().ok()?;
            Some((height, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// A snapshot on disk, its manifest and certificate checked.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    manifest: Manifest,
    hash: Hash,
    chunks: Vec<Hash>,
    certificate: Certificate,
}

impl Folder {
    /// Reads and checks all but the chunks. The attestations hold but may be too few.
    ///
    /// # Errors
    /// [`SnapshotError`] names what is wrong.
    pub fn open(path: &Path) -> Result<(Self, Attestations), SnapshotError> {
        let manifest = Manifest::decode(&read(&path.join(MANIFEST), MAX_MANIFEST_BYTES)?)?;
        let chunks: Vec<Hash> = decode(&path.join(CHUNKS))?;
        let certificate: Certificate = decode(&path.join(CERTIFICATE))?;
        let attestations: Vec<Attestation> = decode(&path.join(ATTESTATIONS))?;
        let folder = Self::checked(path, manifest, chunks, certificate)?;
        let attestations = Attestations::check(&attestations, &folder.manifest)?;
        Ok((folder, attestations))
    }

    fn checked(
        path: &Path,
        manifest: Manifest,
        chunks: Vec<Hash>,
        certificate: Certificate,
    ) -> Result<Self, SnapshotError> {
        manifest.check_chunks(&chunks)?;
        let certified = CertifiedHeader {
            header: manifest.header.clone(),
            certificate,
        };
        certified.verify(&manifest.header.chain, &manifest.voters)?;
        Ok(Self {
            path: path.to_path_buf(),
            hash: manifest.hash(),
            manifest,
            chunks,
            certificate: certified.certificate,
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest's hash: what validators sign.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The hashes of the chunks.
    pub fn chunk_hashes(&self) -> &[Hash] {
        &self.chunks
    }

    /// The certificate on the manifest's header.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A chunk, compared with its hash.
    ///
    /// # Errors
    /// When there is no such chunk, it cannot be read, or it is not the manifest's.
    pub fn chunk(&self, index: u32) -> Result<Vec<u8>, SnapshotError> {
        let expected = self
            .chunks
            .get(index as usize)
            .ok_or(SnapshotError::WrongChunk { index })?;
        read_chunk(&self.path, index, expected)
    }

    /// Replaces the attestations on disk.
    pub(crate) fn save(&self, attestations: &Attestations) -> Result<(), SnapshotError> {
        let path = self.path.join(ATTESTATIONS);
        let temporary = path.with_extension("new");
        write(&temporary, &codec::encode(&attestations.list()))?;
        std::fs::rename(&temporary, &path).map_err(|e| file_error(&path, e))?;
        sync_folder(&self.path)
    }
}

/// A snapshot that is being filled.
pub(crate) struct Draft {
    path: PathBuf,
    root: PathBuf,
}

impl Draft {
    /// One that is cut from the own state; what an earlier attempt left goes.
    pub(crate) fn making(root: &Path, height: u64) -> Result<Self, SnapshotError> {
        let path = root.join(format!(".making-{height:020}"));
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file_error(&path, e)),
            _ => Self::at(root, path),
        }
    }

    /// One that is fetched from others; the good chunks of an earlier attempt are taken as they are.
    pub(crate) fn fetching(root: &Path, height: u64) -> Result<Self, SnapshotError> {
        Self::at(root, root.join(format!(".fetching-{height:020}")))
    }

    fn at(root: &Path, path: PathBuf) -> Result<Self, SnapshotError> {
        std::fs::create_dir_all(&path).map_err(|e| file_error(&path, e))?;
        Ok(Self {
            path,
            root: root.to_path_buf(),
        })
    }

    pub(crate) fn put(&self, index: u32, bytes: &[u8]) -> Result<(), SnapshotError> {
        write(&chunk_path(&self.path, index), bytes)
    }

    /// Whether the chunk with this hash is here already.
    pub(crate) fn has(&self, index: u32, expected: &Hash) -> bool {
        read_chunk(&self.path, index, expected).is_ok()
    }

    /// All chunks are here: writes the rest and gives the folder its name.
    pub(crate) fn finish(
        self,
        manifest: Manifest,
        chunks: Vec<Hash>,
        certificate: Certificate,
        attestations: &Attestations,
    ) -> Result<Folder, SnapshotError> {
        write(&self.path.join(MANIFEST), &codec::encode(&manifest))?;
        write(&self.path.join(CHUNKS), &codec::encode(&chunks))?;
        write(&self.path.join(CERTIFICATE), &codec::encode(&certificate))?;
        write(
            &self.path.join(ATTESTATIONS),
            &codec::encode(&attestations.list()),
        )?;
        sync_folder(&self.path)?;
        let path = self.root.join(format!("{:020}", manifest.height().0));
        let folder = Folder::checked(&path, manifest, chunks, certificate)?;
        if path.exists() {
            // Only one that was found damaged is made again.
            std::fs::remove_dir_all(&path).map_err(|e| file_error(&path, e))?;
        }
        std::fs::rename(&self.path, &path).map_err(|e| file_error(&path, e))?;
        sync_folder(&self.root)?;
        Ok(folder)
    }
}

/// Lays a snapshot that turned out damaged aside, where fetching it again finds its good chunks.
pub(crate) fn set_aside(root: &Path, height: u64) -> Result<(), SnapshotError> {
    let path = root.join(format!("{height:020}"));
    let aside = root.join(format!(".fetching-{height:020}"));
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(|e| file_error(&aside, e))?;
    }
    std::fs::rename(&path, &aside).map_err(|e| file_error(&path, e))
}

/// Removes whatever is neither a snapshot to keep nor being fetched for one.
pub(crate) fn sweep(root: &Path, keep: &[u64]) -> Result<(), SnapshotError> {
    let oldest = keep.iter().min().copied().unwrap_or(0);
    let entries = std::fs::read_dir(root).map_err(|e| file_error(root, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| file_error(root, e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let useless = match (name.parse::<u64>(), name.split_once('-')) {
            (Ok(height), _) => !keep.contains(&height),
            (_, Some((".fetching", height))) => height.parse::<u64>().is_ok_and(|h| h < oldest),
            (_, Some((".making", height))) => height.parse::<u64>().is_ok_and(|h| h <= oldest),
            _ => false,
        };
        if useless {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(|e| file_error(&path, e))?;
        }
    }
    Ok(())
}
