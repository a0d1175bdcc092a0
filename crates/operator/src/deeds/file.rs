//! The folder of deeds that wait: `deeds/<time>-<random>.deed`, one each.
//!
//! Bytes of a file: nonce 12, then the borsh of [`Deed`] under AES-256-GCM with a key derived from the node's.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use caduceus_cli::{CliError, create_private_dir, read_limited, write_private_new};
use caduceus_crypto::{SecretKey, codec, domain, hash::kdf};
use caduceus_network::exchange::Deed;
use caduceus_node::NodeHome;
use rand_core::{OsRng, RngCore};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FOLDER: &str = "deeds";
const ENDING: &str = "deed";
const LOCK: &str = "lock";
const NONCE_BYTES: usize = 12;
/// Largest file, bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The folder.
pub struct DeedFiles {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

impl DeedFiles {
    /// Opens or makes that of a node.
    ///
    /// # Errors
    /// Failure or denied, naming the folder.
    pub fn of(home: &NodeHome) -> Result<Self, CliError> {
        Self::open(&home.path, &home.key)
    }

    /// Opens or makes that of a node with this folder and key.
    ///
    /// # Errors
    /// Failure or denied, naming the folder.
    pub fn open(home: &Path, key: &SecretKey) -> Result<Self, CliError> {
        let folder = home.join(FOLDER);
        create_private_dir(&folder)?;
        Ok(Self {
            folder,
            key: kdf::<32>(domain::NODE_DEED, &key.to_bytes()[..], &[]),
        })
    }

    /// Writes a deed, durably, and gives its name.
    ///
    /// # Errors
    /// Failure, when the disk does not take it.
    pub fn write(&self, deed: &Deed) -> Result<String, CliError> {
        let mut nonce = [0u8; NONCE_BYTES];
        OsRng.fill_bytes(&mut nonce);
        let name = format!("{:016}-{}.{ENDING}", deed.time.0, hex::encode(&nonce[..8]));
        let plain = Zeroizing::new(codec::encode(deed));
        let sealed = self
            .cipher()
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: &plain[..],
                    aad: name.as_bytes(),
                },
            )
            .expect("AES-GCM takes messages of this size");
        write_private_new(&self.folder.join(&name), &[&nonce[..], &sealed].concat())?;
        Ok(name)
    }

    /// Whether a deed is still there.
    pub fn waits(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// The deeds that wait, oldest first, by name. One that does not open is given as none: it was altered.
    ///
    /// # Errors
    /// Failure, when the folder cannot be read.
    pub fn waiting(&self) -> Result<Vec<(String, Option<Deed>)>, CliError> {
        let cannot = |error: std::io::Error| {
            CliError::failure(
                format!("{}: {error}", self.folder.display()),
                "mend the folder's permissions or disk",
            )
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            let name = name.to_string_lossy().into_owned();
            if name.ends_with(&format!(".{ENDING}")) {
                names.push(name);
            }
        }
        names.sort();
        names
            .into_iter()
            .map(|name| {
                let bytes = read_limited(&self.folder.join(&name), MAX_BYTES)?;
                let deed = self.opened(&name, &bytes);
                Ok((name, deed))
            })
            .collect()
    }

    fn opened(&self, name: &str, bytes: &[u8]) -> Option<Deed> {
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: sealed,
            aad: name.as_bytes(),
        };
        let plain = self.cipher().decrypt(&(*nonce).into(), payload).ok()?;
        codec::decode_exact(&Zeroizing::new(plain), MAX_BYTES).ok()
    }

    /// Removes a deed that has its entry.
    ///
    /// # Errors
    /// Failure, when the disk does not do it.
    pub fn remove(&self, name: &str) -> Result<(), CliError> {
        fs::remove_file(self.folder.join(name)).map_err(|error| {
            CliError::failure(
                format!("{name} cannot be removed: {error}"),
                "mend the folder's permissions or disk",
            )
        })
    }

    /// Takes the right to drain the folder, for as long as the file given is open.
    ///
    /// # Errors
    /// Failure, when another process has it or the folder cannot be written.
    pub fn take(&self) -> Result<File, CliError> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(error) => Err(CliError::failure(
                format!("the folder's deeds are taken up already: {error}"),
                "stop the other node of this folder",
            )),
        }
    }

    /// Whether a running node takes the deeds up.
    pub fn is_drained(&self) -> bool {
        self.lock_file()
            .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn lock_file(&self) -> Result<File, CliError> {
        let path = self.folder.join(LOCK);
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| {
                CliError::failure(
                    format!("{}: {error}", path.display()),
                    "mend the folder's permissions or disk",
                )
            })
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new_from_slice(&self.key[..]).expect("the key has the 32 bytes AES-256 takes")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::TimeMillis;
    use caduceus_network::exchange::{DeedKind, DeedOutcome};

    fn deed(n: u64) -> Deed {
        Deed {
            time: TimeMillis(1_700_000_000_000 + n),
            program: "private-chain".into(),
            node: "node-0".into(),
            kind: DeedKind::Read,
            command: "inspect block 5".into(),
            operator: "olga".into(),
            outcome: DeedOutcome::Success,
            reason: String::new(),
            request: [7; 16],
        }
    }

    #[test]
    fn deeds_wait_in_order_sealed_and_whole() {
        let home = tempfile::tempdir().unwrap();
        let key = SecretKey::generate(&mut OsRng);
        let files = DeedFiles::open(home.path(), &key).unwrap();
        let second = files.write(&deed(2)).unwrap();
        let first = files.write(&deed(1)).unwrap();
        let waiting = files.waiting().unwrap();
        let expected = [
            (first.clone(), Some(deed(1))),
            (second.clone(), Some(deed(2))),
        ];
        assert_eq!(waiting, expected);

        let path = home.path().join(FOLDER).join(&first);
        let mut bytes = fs::read(&path).unwrap();
        let canary = b"inspect";
        assert!(!bytes.windows(canary.len()).any(|part| part == canary));
        // An altered deed, one under another name, and one of another node do not open.
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(files.waiting().unwrap()[0], (first.clone(), None));
        fs::rename(home.path().join(FOLDER).join(&second), &path).unwrap();
        assert_eq!(files.waiting().unwrap(), [(first.clone(), None)]);
        files.remove(&first).unwrap();
        assert!(!files.waits(&first));
        let other = DeedFiles::open(home.path(), &SecretKey::generate(&mut OsRng)).unwrap();
        let name = other.write(&deed(3)).unwrap();
        assert_eq!(files.waiting().unwrap(), [(name, None)]);
    }

    #[test]
    fn one_node_drains_a_folder() {
        let home = tempfile::tempdir().unwrap();
        let key = SecretKey::generate(&mut OsRng);
        let files = DeedFiles::open(home.path(), &key).unwrap();
        assert!(!files.is_drained());
        let lock = files.take().unwrap();
        assert!(files.is_drained());
        assert!(files.take().is_err());
        drop(lock);
        assert!(!files.is_drained());
    }
}
