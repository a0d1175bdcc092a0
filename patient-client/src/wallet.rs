//! A patient's home on disk: keystore, state file, lock. No network.

use crate::error::PatientError;
use crate::state::{MAX_STATE_BYTES, PatientState, open_state, seal_state};
use caduceus_cli::{CliError, create_private_dir, read_limited, write_private, write_private_new};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::pseudonym::MetaAddress;
use caduceus_custody::keystore::{Keystore, KeystoreError, KeystoreParams};
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::seed::PatientSeed;
use rand_core::OsRng;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

const KEYSTORE_FILE: &str = "keystore";
const STATE_FILE: &str = "state";
const LOCK_FILE: &str = "lock";
/// Largest keystore file, bytes.
const MAX_KEYSTORE_BYTES: usize = 64 * 1024;

/// A patient's keys and what she has, and where they are kept. The home is locked for other processes while
/// it lives.
#[derive(Debug)]
pub struct Wallet {
    home: PathBuf,
    seed: PatientSeed,
    keys: PatientKeys,
    state: PatientState,
    _lock: File,
}

impl Wallet {
    /// Whether a home has a keystore.
    #[must_use]
    pub fn exists(home: &Path) -> bool {
        home.join(KEYSTORE_FILE).exists()
    }

    /// Makes a home for a seed: a fresh one, or one restored from its phrase. A keystore that is there is never
    /// overwritten.
    ///
    /// # Errors
    /// [`PatientError::File`] when there is a keystore already or the disk fails; [`PatientError::InUse`].
    pub fn create(
        home: &Path,
        seed: &PatientSeed,
        passphrase: &str,
        params: KeystoreParams,
    ) -> Result<Self, PatientError> {
        create_private_dir(home)?;
        let lock = lock(home)?;
        let keystore = Keystore::seal(&mut OsRng, params, passphrase, seed.expose());
        write_private_new(&home.join(KEYSTORE_FILE), &keystore)?;
        let wallet = Self {
            home: home.to_path_buf(),
            seed: seed.clone(),
            keys: PatientKeys::from_seed(seed),
            state: PatientState::default(),
            _lock: lock,
        };
        wallet.save()?;
        Ok(wallet)
    }

    /// Opens a home.
    ///
    /// # Errors
    /// [`PatientError::NoKeystore`]; [`PatientError::Keystore`] for a wrong passphrase or a damaged keystore;
    /// [`PatientError::State`] for a damaged state file; [`PatientError::InUse`], [`PatientError::File`].
    pub fn open(home: &Path, passphrase: &str) -> Result<Self, PatientError> {
        if !Self::exists(home) {
            return Err(PatientError::NoKeystore {
                home: home.to_path_buf(),
            });
        }
        let lock = lock(home)?;
        let bytes = read_limited(&home.join(KEYSTORE_FILE), MAX_KEYSTORE_BYTES)?;
        let secret = Keystore::open(&bytes, passphrase)?;
        let secret: &[u8; 32] = secret
            .as_slice()
            .try_into()
            .map_err(|_| KeystoreError::NotAKeystore)?;
        let seed = PatientSeed::from_bytes(secret);
        let path = home.join(STATE_FILE);
        // A home without a state file is one whose file was moved away: the seed is enough to go on.
        let state = if path.exists() {
            open_state(&seed, &read_limited(&path, MAX_STATE_BYTES)?)?
        } else {
            PatientState::default()
        };
        let keys = PatientKeys::from_seed(&seed);
        Ok(Self {
            home: home.to_path_buf(),
            seed,
            keys,
            state,
            _lock: lock,
        })
    }

    /// Where it is kept.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Her keys.
    #[must_use]
    pub fn keys(&self) -> &PatientKeys {
        &self.keys
    }

    /// The same wallet in a network that indexes records by this scheme: her meta-address then carries what authors
    /// need for it. A wallet is opened for tags.
    #[must_use]
    pub fn with_scheme(mut self, scheme: SchemeId) -> Self {
        self.keys = self.keys.clone().with_scheme(scheme);
        self
    }

    /// Her meta-address: what she shows at a hospital's desk.
    #[must_use]
    pub fn meta(&self) -> MetaAddress {
        self.keys.meta()
    }

    /// What she has.
    #[must_use]
    pub fn state(&self) -> &PatientState {
        &self.state
    }

    /// Changes what she has, durably: when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`PatientError::File`]; the change then holds in memory only.
    pub fn update<T>(
        &mut self,
        change: impl FnOnce(&mut PatientState) -> T,
    ) -> Result<T, PatientError> {
        let value = change(&mut self.state);
        self.save()?;
        Ok(value)
    }

    fn save(&self) -> Result<(), PatientError> {
        let bytes = seal_state(&mut OsRng, &self.seed, &self.state);
        Ok(write_private(&self.home.join(STATE_FILE), &bytes)?)
    }
}

/// Takes the home for this process; the lock goes with the file handle, also when the process dies.
fn lock(home: &Path) -> Result<File, PatientError> {
    let path = home.join(LOCK_FILE);
    let failed = |error: std::io::Error| {
        let what = format!("cannot lock {}: {error}", path.display());
        PatientError::File(CliError::failure(
            what,
            "check that the home is yours and writable",
        ))
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PatientError::InUse {
            home: home.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cheap() -> KeystoreParams {
        KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap()
    }

    #[test]
    fn the_meta_address_follows_the_networks_scheme() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("anna");
        let seed = PatientSeed::generate(&mut OsRng);
        let mut wallet = Wallet::create(&home, &seed, "secret words", cheap()).unwrap();
        let plain = wallet.meta();
        assert_eq!(plain.index, None);
        for scheme in SchemeId::ALL {
            wallet = wallet.with_scheme(scheme);
            let meta = wallet.meta();
            assert_eq!((meta.view, meta.spend), (plain.view, plain.spend));
            assert_eq!(meta.index.is_some(), scheme != SchemeId::Tags);
            assert_eq!(meta.to_string().parse(), Ok(meta), "{scheme}");
        }
        assert_eq!(wallet.with_scheme(SchemeId::Tags).meta(), plain);
    }

    #[test]
    fn a_home_keeps_keys_and_state() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("anna");
        let seed = PatientSeed::generate(&mut OsRng);
        assert!(matches!(
            Wallet::open(&home, "secret"),
            Err(PatientError::NoKeystore { .. })
        ));
        let mut wallet = Wallet::create(&home, &seed, "secret words", cheap()).unwrap();
        let meta = wallet.meta();
        wallet.update(|state| state.last_search.clear()).unwrap();
        assert!(matches!(
            Wallet::open(&home, "secret words"),
            Err(PatientError::InUse { .. })
        ));
        drop(wallet);
        assert!(matches!(
            Wallet::open(&home, "other words"),
            Err(PatientError::Keystore(KeystoreError::WrongPassphrase))
        ));
        let wallet = Wallet::open(&home, "secret words").unwrap();
        assert_eq!(wallet.meta(), meta);
        drop(wallet);
        // A second init must not destroy the first one's keys.
        assert!(Wallet::create(&home, &seed, "secret words", cheap()).is_err());
        std::fs::write(home.join(STATE_FILE), b"CADPATSTnonsense").unwrap();
        assert!(matches!(
            Wallet::open(&home, "secret words"),
            Err(PatientError::State(_))
        ));
    }
}
