//! The bytes of a key file, and writing and removing it for good.

use super::{KeyError, failed};
use crate::audit::{Bucket, SecretBytes};
use aes_gcm::aead::{AeadInPlace, Nonce, Tag};
use aes_gcm::{Aes256Gcm, KeyInit};
use caduceus_crypto::domain;
use caduceus_crypto::hash::{hash, kdf};
use rand_core::{OsRng, RngCore};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"CADBKEY1";
const CHECK: std::ops::Range<usize> = 8..24;
const NONCE: std::ops::Range<usize> = 24..36;
const KEY: std::ops::Range<usize> = 36..68;
const TAG: std::ops::Range<usize> = 68..84;
const CHECKSUM: std::ops::Range<usize> = 84..100;

/// Length of a key file.
pub const FILE_BYTES: usize = CHECKSUM.end;

/// The key that wraps, and by what files show that it did.
pub(super) struct Wrapping {
    cipher: Aes256Gcm,
    check: [u8; 16],
}

fn first_half(digest: &[u8; 32]) -> [u8; 16] {
    digest[..16].try_into().expect("16 of 32 bytes")
}

fn checksum(bytes: &[u8]) -> [u8; 16] {
    first_half(hash(domain::BUCKET_KEY, &[b"file", &bytes[..CHECKSUM.start]]).as_bytes())
}

impl Wrapping {
    pub(super) fn derive(secret: &[u8; 32]) -> Self {
        let key = kdf::<32>(domain::BUCKET_KEY, secret, &[b"wrap"]);
        let check = kdf::<32>(domain::BUCKET_KEY, secret, &[b"check"]);
        Self {
            cipher: Aes256Gcm::new_from_slice(&key[..]).expect("AES-256 takes 32 bytes"),
            check: first_half(&check),
        }
    }

    pub(super) fn wrap(&self, bucket: &Bucket, key: &SecretBytes) -> [u8; FILE_BYTES] {
        let mut file = [0u8; FILE_BYTES];
        file[..MAGIC.len()].copy_from_slice(MAGIC);
        file[CHECK].copy_from_slice(&self.check);
        OsRng.fill_bytes(&mut file[NONCE]);
        let nonce = *Nonce::<Aes256Gcm>::from_slice(&file[NONCE]);
        file[KEY].copy_from_slice(&key[..]);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce, bucket.to_string().as_bytes(), &mut file[KEY])
            .expect("AES-GCM takes 32 bytes");
        file[TAG].copy_from_slice(&tag);
        let sum = checksum(&file);
        file[CHECKSUM].copy_from_slice(&sum);
        file
    }

    /// Reads a file; none if there is none.
    pub(super) fn read(
        &self,
        path: &Path,
        bucket: &Bucket,
    ) -> Result<Option<SecretBytes>, KeyError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(path)(error)),
        };
        let found = file.metadata().map_err(failed(path))?.len();
        if found != FILE_BYTES as u64 {
            return Err(KeyError::Length {
                path: path.to_owned(),
                found,
            });
        }
        let mut bytes = [0u8; FILE_BYTES];
        file.read_exact(&mut bytes).map_err(failed(path))?;
        self.unwrap(path, bucket, &bytes).map(Some)
    }

    fn unwrap(
        &self,
        path: &Path,
        bucket: &Bucket,
        bytes: &[u8; FILE_BYTES],
    ) -> Result<SecretBytes, KeyError> {
        let path = || path.to_owned();
        if !bytes.starts_with(MAGIC) {
            return Err(KeyError::Form { path: path() });
        }
        if bytes[CHECKSUM] != checksum(bytes) {
            return Err(KeyError::Altered { path: path() });
        }
        if bytes[CHECK] != self.check {
            return Err(KeyError::OtherNode { path: path() });
        }
        let mut key = Zeroizing::new([0u8; 32]);
        key.copy_from_slice(&bytes[KEY]);
        self.cipher
            .decrypt_in_place_detached(
                Nonce::<Aes256Gcm>::from_slice(&bytes[NONCE]),
                bucket.to_string().as_bytes(),
                &mut key[..],
                Tag::<Aes256Gcm>::from_slice(&bytes[TAG]),
            )
            .map_err(|_| KeyError::Altered { path: path() })?;
        Ok(key)
    }
}

/// Writes a file under its name, whole or not at all, mode 0600, and durable.
pub(in crate::audit_log) fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let aside = Path::new(&name);
    match fs::remove_file(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(aside, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Overwrites a file with zeros, durably, and removes it; the caller makes the removal durable ([`sync_folder`]). Gives
/// whether there was one.
pub(in crate::audit_log) fn overwrite_and_remove(path: &Path) -> io::Result<bool> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let zeros = [0u8; 8192];
    let mut left = file.metadata()?.len();
    file.rewind()?;
    while left > 0 {
        let part = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&zeros[..part])?;
        left -= part as u64;
    }
    file.sync_all()?;
    fs::remove_file(path)?;
    Ok(true)
}

/// Makes names in a folder durable.
pub(in crate::audit_log) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
