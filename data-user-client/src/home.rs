//! A data user's home: a keystore with the seed of both keys, settings, and what was fetched.
//!
//! | file | content |
//! |---|---|
//! | `keystore` | the 32-byte seed under a passphrase (`caduceus_custody::keystore`) |
//! | `data-user.toml` | network file and public keys |
//! | `trusted` | the newest head of the alliance chain that was accepted (`caduceus_ledger::Trusted`) |
//! | `fork-HEIGHT-HASH.json` | evidence of a fork, if one was seen |
//! | `fetched/GRANT.EXT` | the content of a granted record, in the clear, for its owner alone (mode 0600) |
//! | `fetched/GRANT.toml` | where it comes from and what it may be used for |
//!
//! The keystore functions serve other homes with one seed, too.

use std::fs;
use std::path::{Path, PathBuf};

use caduceus_cli::{CliError, create_private_dir, read_limited, write_private, write_private_new};
use caduceus_crypto::hash::Hash;
use caduceus_custody::keystore::{Keystore, KeystoreError, KeystoreParams};
use rand_core::{OsRng, RngCore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::fetch::Fetched;
use crate::keys::DataUserKeys;

const KEYSTORE: &str = "keystore";
const SETTINGS: &str = "data-user.toml";
const FETCHED: &str = "fetched";
const MAX_KEYSTORE_BYTES: usize = 64 * 1024;
const MAX_SETTINGS_BYTES: usize = 64 * 1024;
const MAX_CONTENT_BYTES: usize = 256 * 1024 * 1024;

/// Media type of FHIR in JSON.
const FHIR_JSON: &str = "application/fhir+json";

/// A home that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    dir: PathBuf,
    settings: Settings,
}

/// What a home remembers besides its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    network: PathBuf,
    signing_key: String,
    receiving_key: String,
}

/// What is known of a fetched record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedInfo {
    /// The grant.
    pub grant: String,
    /// The `Access` transaction under which it was fetched last.
    pub access: String,
    /// The hospital that keeps the record.
    pub hospital: String,
    /// The record's hash.
    pub record_hash: String,
    /// Media type of the content, as its author says.
    pub media_type: String,
    /// What it may be used for, as the patient said; empty if no proxy told.
    pub purpose: String,
    /// When the access was committed.
    pub accessed: String,
    /// Bytes of content.
    pub bytes: u64,
    /// Proxies whose fragments opened it.
    pub proxies: usize,
    /// Where the content is.
    pub file: PathBuf,
}

impl Home {
    /// Makes a home with fresh keys.
    ///
    /// # Errors
    /// Failure when there is one already, or it can't be written.
    pub fn create(
        dir: &Path,
        network: &Path,
        passphrase: &str,
        params: KeystoreParams,
    ) -> Result<(Self, DataUserKeys), CliError> {
        let seed = create_keystore(dir, passphrase, params)?;
        let keys = DataUserKeys::from_seed(&seed);
        let settings = Settings {
            network: absolute(network)?,
            signing_key: keys.id().to_string(),
            receiving_key: keys.receiving_public().to_string(),
        };
        write_settings(&dir.join(SETTINGS), &settings)?;
        Ok((
            Self {
                dir: dir.to_owned(),
                settings,
            },
            keys,
        ))
    }

    /// Opens a home; its keys stay locked.
    ///
    /// # Errors
    /// Not found when there is none, usage when its settings are wrong.
    pub fn open(dir: &Path) -> Result<Self, CliError> {
        let settings = read_settings(&dir.join(SETTINGS), "data-user-client init --network FILE")?;
        Ok(Self {
            dir: dir.to_owned(),
            settings,
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The network file that was named when the home was made.
    #[must_use]
    pub fn network(&self) -> &Path {
        &self.settings.network
    }

    /// Public signing key, 66 digits.
    #[must_use]
    pub fn signing_key(&self) -> &str {
        &self.settings.signing_key
    }

    /// Public receiving key, 66 digits.
    #[must_use]
    pub fn receiving_key(&self) -> &str {
        &self.settings.receiving_key
    }

    /// Opens the keystore.
    ///
    /// # Errors
    /// As [`open_keystore`].
    pub fn unlock(&self, passphrase: &str) -> Result<DataUserKeys, CliError> {
        Ok(DataUserKeys::from_seed(&*open_keystore(
            &self.dir, passphrase,
        )?))
    }

    /// Keeps a fetched record in the home, or writes its content to a file.
    ///
    /// # Errors
    /// As [`store_fetched`].
    pub fn store(&self, fetched: &Fetched, to: Option<&Path>) -> Result<FetchedInfo, CliError> {
        store_fetched(&self.dir, fetched, to)
    }

    /// What was fetched into this home, by grant; all of it, or these grants.
    ///
    /// # Errors
    /// Not found for a grant that was not fetched; otherwise of the files.
    pub fn fetched(&self, grants: &[Hash]) -> Result<Vec<FetchedInfo>, CliError> {
        let dir = self.dir.join(FETCHED);
        let mut paths: Vec<PathBuf> = Vec::new();
        if grants.is_empty() {
            let Ok(entries) = fs::read_dir(&dir) else {
                return Ok(Vec::new());
            };
            let found = entries.flatten().map(|entry| entry.path());
            paths.extend(found.filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            }));
            paths.sort();
        } else {
            paths.extend(grants.iter().map(|grant| dir.join(format!("{grant}.toml"))));
        }
        paths
            .iter()
            .map(|path| read_settings(path, "data-user-client fetch GRANT"))
            .collect()
    }

    /// The content of a fetched record.
    ///
    /// # Errors
    /// Of the file.
    pub fn content(&self, info: &FetchedInfo) -> Result<Vec<u8>, CliError> {
        read_limited(&info.file, MAX_CONTENT_BYTES)
    }
}

impl FetchedInfo {
    /// Whether the content is FHIR in JSON.
    #[must_use]
    pub fn is_fhir_json(&self) -> bool {
        is_fhir_json(&self.media_type)
    }
}

fn is_fhir_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(FHIR_JSON)
}

/// Keeps a fetched record below a home's directory: its content, or, where `to` names a file, that file's place.
///
/// # Errors
/// Failure or denied, naming the file.
pub fn store_fetched(
    dir: &Path,
    fetched: &Fetched,
    to: Option<&Path>,
) -> Result<FetchedInfo, CliError> {
    let dir = dir.join(FETCHED);
    create_private_dir(&dir)?;
    let grant = fetched.ticket.grant_id.to_string();
    let opened = &fetched.opened;
    let file = match to {
        Some(path) => path.to_owned(),
        None => dir.join(format!("{grant}.{}", extension(&opened.media_type))),
    };
    write_private(&file, &opened.plaintext)?;
    let info = FetchedInfo {
        access: fetched.ticket.access.to_string(),
        hospital: fetched.ticket.grant.hospital.to_string(),
        record_hash: fetched.record_hash().to_string(),
        media_type: opened.media_type.clone(),
        purpose: fetched.purpose.clone().unwrap_or_default(),
        accessed: fetched.ticket.time.to_string(),
        bytes: u64::try_from(opened.plaintext.len()).unwrap_or(u64::MAX),
        proxies: fetched.proxies.len(),
        file: absolute(&file)?,
        grant: grant.clone(),
    };
    write_settings(&dir.join(format!("{grant}.toml")), &info)?;
    Ok(info)
}

fn extension(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => "pdf",
        "application/dicom" => "dcm",
        "text/plain" => "txt",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        other if is_fhir_json(other) => "json",
        _ => "bin",
    }
}

/// Makes a keystore with a fresh seed in a directory, and the directory.
///
/// # Errors
/// Failure when there is one already, or it can't be written.
pub fn create_keystore(
    dir: &Path,
    passphrase: &str,
    params: KeystoreParams,
) -> Result<Zeroizing<[u8; 32]>, CliError> {
    create_private_dir(dir)?;
    let mut seed = Zeroizing::new([0u8; 32]);
    OsRng.fill_bytes(&mut seed[..]);
    let sealed = Keystore::seal(&mut OsRng, params, passphrase, &seed[..]);
    write_private_new(&dir.join(KEYSTORE), &sealed)?;
    Ok(seed)
}

/// Opens the keystore of a directory.
///
/// # Errors
/// Not found when there is none; locked for a wrong passphrase; verification failed for a file that is truncated,
/// altered or no keystore; failure for a later program's.
pub fn open_keystore(dir: &Path, passphrase: &str) -> Result<Zeroizing<[u8; 32]>, CliError> {
    let path = dir.join(KEYSTORE);
    let bytes = read_limited(&path, MAX_KEYSTORE_BYTES)?;
    let opened =
        Keystore::open(&bytes, passphrase).map_err(|error| keystore_error(&path, error))?;
    let mut seed = Zeroizing::new([0u8; 32]);
    if opened.len() != seed.len() {
        return Err(CliError::failure(
            format!("{} holds the keys of another program", path.display()),
            "--home with the home of this program",
        ));
    }
    seed.copy_from_slice(&opened);
    Ok(seed)
}

fn keystore_error(path: &Path, error: KeystoreError) -> CliError {
    let what = format!("{}: {error}", path.display());
    match error {
        KeystoreError::WrongPassphrase => {
            CliError::locked(what, "the passphrase again; nothing was changed")
        }
        KeystoreError::UnsupportedVersion => {
            CliError::failure(what, "a newer version of this program")
        }
        KeystoreError::NotAKeystore => CliError::verification_failed(
            what,
            "--home with the home of this program, or restore the file from a backup",
        ),
        _ => CliError::verification_failed(
            what,
            "restore the whole file from a backup; do not use this one",
        ),
    }
}

/// The whole path of a file that exists.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    fs::canonicalize(path).map_err(|error| {
        CliError::not_found(
            format!("cannot find {}: {error}", path.display()),
            "a path that exists",
        )
    })
}

fn write_settings<T: Serialize>(path: &Path, settings: &T) -> Result<(), CliError> {
    let text = toml::to_string_pretty(settings).map_err(|error| {
        CliError::failure(
            format!("cannot write {}: {error}", path.display()),
            "a path of plain characters",
        )
    })?;
    write_private(path, text.as_bytes())
}

fn read_settings<T: DeserializeOwned>(path: &Path, maker: &str) -> Result<T, CliError> {
    if !path.exists() {
        return Err(CliError::not_found(
            format!("{} does not exist", path.display()),
            maker,
        ));
    }
    let bytes = read_limited(path, MAX_SETTINGS_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text).map_err(|error| {
        CliError::usage(
            format!("{} is wrong: {error}", path.display()),
            "restore it from a backup, or make it anew",
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    fn cheap() -> KeystoreParams {
        KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap()
    }

    #[test]
    fn a_home_keeps_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("network.toml");
        fs::write(&network, "").unwrap();
        let home = dir.path().join("home");
        let (made, keys) = Home::create(&home, &network, "correct horse", cheap()).unwrap();
        let opened = Home::open(&home).unwrap();
        assert_eq!(opened, made);
        assert_eq!(opened.signing_key(), keys.id().to_string());
        let again = opened.unlock("correct horse").unwrap();
        assert_eq!(
            (again.id(), again.receiving_public()),
            (keys.id(), keys.receiving_public())
        );
        assert!(opened.fetched(&[]).unwrap().is_empty());

        let second = Home::create(&home, &network, "correct horse", cheap()).unwrap_err();
        assert_eq!(second.exit, ExitCode::Failure);
    }

    #[test]
    fn each_mistake_has_its_code() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Home::open(dir.path()).unwrap_err().exit, ExitCode::NotFound);
        create_keystore(dir.path(), "correct horse", cheap()).unwrap();
        let code = |dir: &Path, passphrase: &str| open_keystore(dir, passphrase).unwrap_err().exit;
        assert_eq!(code(dir.path(), "wrong horse"), ExitCode::Locked);
        let path = dir.path().join(KEYSTORE);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(
            code(dir.path(), "correct horse"),
            ExitCode::VerificationFailed
        );
        let mut altered = whole.clone();
        altered[100] ^= 1;
        fs::write(&path, &altered).unwrap();
        assert_eq!(
            code(dir.path(), "correct horse"),
            ExitCode::VerificationFailed
        );
        fs::write(&path, b"not a keystore").unwrap();
        assert_eq!(
            code(dir.path(), "correct horse"),
            ExitCode::VerificationFailed
        );
        assert_eq!(
            code(&dir.path().join("absent"), "correct horse"),
            ExitCode::NotFound
        );
    }
}
