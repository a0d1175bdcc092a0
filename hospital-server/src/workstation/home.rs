//! The home of a member of staff: keys, settings, and what was done here.
//!
//! | file | content |
//! |---|---|
//! | `keystore` | the 32-byte seed of the signing and the receiving key, under a passphrase |
//! | `staff.toml` | network file, hospital, public keys |
//! | `patients.ndjson` | patients registered here: card hash and meta-address, never a card number |
//! | `records.ndjson` | records uploaded here |
//! | `receipts/` | receipts, unless `--receipts` names another place |
//!
//! The two lists are this workstation's own; what counts is on the chains.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use caduceus_cli::{CliError, read_limited, write_private, write_private_new};
use caduceus_custody::keystore::KeystoreParams;
use data_user_client::DataUserKeys;
use data_user_client::home::{create_keystore, open_keystore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::emergency::{MAX_SHARE_FILE_BYTES, ShareFile};
use super::error::WorkstationError;

const SETTINGS: &str = "staff.toml";
const PATIENTS: &str = "patients.ndjson";
const RECORDS: &str = "records.ndjson";
const RECEIPTS: &str = "receipts";
const SHARE: &str = "emergency-share";
/// Most share files looked for: generations of the hospital's emergency key.
const MAX_SHARES: u32 = 64;
const MAX_SETTINGS_BYTES: usize = 64 * 1024;
const MAX_LIST_BYTES: usize = 256 * 1024 * 1024;

/// A staff home that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffHome {
    dir: PathBuf,
    settings: Settings,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    network: PathBuf,
    hospital: String,
    signing_key: String,
    receiving_key: String,
}

/// A patient registered at this workstation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientLine {
    /// Hash of the card, as audit entries name it.
    pub card_hash: String,
    /// The meta-address.
    pub meta_address: String,
    /// When the card was made.
    pub registered: String,
}

/// A record uploaded at this workstation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordLine {
    /// The record's hash.
    pub record_hash: String,
    /// Hash of the patient's card.
    pub card_hash: String,
    /// Where it came from, for people.
    pub source: String,
    /// Media type.
    pub media_type: String,
    /// Height of the private block.
    pub height: u64,
    /// Position among that block's anchors.
    pub position: u32,
    /// Index tags, padding included.
    pub tags: usize,
    /// Bytes of the sealed record.
    pub sealed_bytes: u64,
    /// By when it is linked.
    pub link_deadline: String,
    /// The receipt's file.
    pub receipt: PathBuf,
    /// The record that it replaces, if any.
    #[serde(default)]
    pub replaces: Option<String>,
}

/// An uploaded record, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedRecord {
    /// As it was noted.
    #[serde(flatten)]
    pub record: RecordLine,
    /// The record uploaded here that replaces it, if any.
    pub replaced_by: Option<String>,
}

impl StaffHome {
    /// Makes a home with fresh keys. The public signing key is what an administrator enrols.
    ///
    /// # Errors
    /// Failure when there is one already, or it can't be written.
    pub fn create(
        dir: &Path,
        network: &Path,
        hospital: &str,
        passphrase: &str,
        params: KeystoreParams,
    ) -> Result<(Self, DataUserKeys), CliError> {
        let network = fs::canonicalize(network).map_err(|error| {
            CliError::not_found(
                format!("cannot find {}: {error}", network.display()),
                "a path that exists",
            )
        })?;
        let seed = create_keystore(dir, passphrase, params)?;
        let keys = DataUserKeys::from_seed(&seed);
        let settings = Settings {
            network,
            hospital: hospital.to_owned(),
            signing_key: keys.id().to_string(),
            receiving_key: keys.receiving_public().to_string(),
        };
        let text = toml::to_string_pretty(&settings).map_err(|error| {
            CliError::failure(
                format!("cannot write {SETTINGS}: {error}"),
                "a path of plain characters",
            )
        })?;
        write_private_new(&dir.join(SETTINGS), text.as_bytes())?;
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
        let path = dir.join(SETTINGS);
        if !path.exists() {
            return Err(CliError::not_found(
                format!("{} is no home of a member of staff", dir.display()),
                "hospital-server init --network FILE --hospital NAME",
            ));
        }
        let bytes = read_limited(&path, MAX_SETTINGS_BYTES)?;
        let settings: Settings =
            toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
                CliError::usage(
                    format!("{} is wrong: {error}", path.display()),
                    "restore it from a backup",
                )
            })?;
        Ok(Self {
            dir: dir.to_owned(),
            settings,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The network file that was named when the home was made.
    pub fn network(&self) -> &Path {
        &self.settings.network
    }

    /// The hospital, as it was named when the home was made.
    pub fn hospital(&self) -> &str {
        &self.settings.hospital
    }

    /// Public signing key, 66 digits: what is enrolled.
    pub fn signing_key(&self) -> &str {
        &self.settings.signing_key
    }

    /// Public receiving key, 66 digits: for records that patients share.
    pub fn receiving_key(&self) -> &str {
        &self.settings.receiving_key
    }

    /// Where receipts go unless another place is named.
    pub fn receipts(&self) -> PathBuf {
        self.dir.join(RECEIPTS)
    }

    /// Opens the keystore.
    ///
    /// # Errors
    /// Locked for a wrong passphrase; otherwise as [`open_keystore`].
    pub fn unlock(&self, passphrase: &str) -> Result<DataUserKeys, CliError> {
        Ok(DataUserKeys::from_seed(&*open_keystore(
            &self.dir, passphrase,
        )?))
    }

    /// Where the share of an emergency key is kept. The name has the key's generation: shares of earlier keys still open
    /// what was wrapped under them.
    pub fn share_path(&self, generation: u32) -> PathBuf {
        self.dir.join(format!("{SHARE}-{generation}.key"))
    }

    /// Keeps a share.
    ///
    /// # Errors
    /// Failure when there is one of this generation already.
    pub fn keep_share(&self, share: &ShareFile) -> Result<PathBuf, CliError> {
        let path = self.share_path(share.generation());
        write_private_new(&path, &share.to_bytes())?;
        Ok(path)
    }

    /// The shares kept here, oldest generation first.
    ///
    /// # Errors
    /// Of a file that cannot be read, or is no share file.
    pub fn shares(&self) -> Result<Vec<ShareFile>, CliError> {
        let mut found = Vec::new();
        for generation in 1..=MAX_SHARES {
            let path = self.share_path(generation);
            if path.exists() {
                let bytes = read_limited(&path, MAX_SHARE_FILE_BYTES)?;
                found.push(ShareFile::from_bytes(&bytes).map_err(WorkstationError::from)?);
            }
        }
        Ok(found)
    }

    /// Notes a registered patient.
    ///
    /// # Errors
    /// Of the file.
    pub fn note_patient(&self, line: &PatientLine) -> Result<(), CliError> {
        append(&self.dir.join(PATIENTS), line)
    }

    /// Notes an uploaded record.
    ///
    /// # Errors
    /// Of the file.
    pub fn note_record(&self, line: &RecordLine) -> Result<(), CliError> {
        append(&self.dir.join(RECORDS), line)
    }

    /// The patients registered here, oldest first.
    ///
    /// # Errors
    /// Of the file.
    pub fn patients(&self) -> Result<Vec<PatientLine>, CliError> {
        lines(&self.dir.join(PATIENTS))
    }

    /// The records uploaded here, oldest first.
    ///
    /// # Errors
    /// Of the file.
    pub fn records(&self) -> Result<Vec<RecordLine>, CliError> {
        lines(&self.dir.join(RECORDS))
    }

    /// The same, each with the record uploaded here that replaces it.
    ///
    /// # Errors
    /// Of the file.
    pub fn versions(&self) -> Result<Vec<ListedRecord>, CliError> {
        let records = self.records()?;
        let next: BTreeMap<String, String> = records
            .iter()
            .filter_map(|line| Some((line.replaces.clone()?, line.record_hash.clone())))
            .collect();
        let listed = records.into_iter().map(|record| ListedRecord {
            replaced_by: next.get(&record.record_hash).cloned(),
            record,
        });
        Ok(listed.collect())
    }
}

/// Rewrites the whole list, which is short, so that a crash leaves the old one or the new one.
fn append<T: Serialize>(path: &Path, line: &T) -> Result<(), CliError> {
    let mut bytes = if path.exists() {
        read_limited(path, MAX_LIST_BYTES)?
    } else {
        Vec::new()
    };
    let text = serde_json::to_string(line).map_err(|error| {
        CliError::failure(
            format!("cannot write {}: {error}", path.display()),
            "tell the operator: this is a bug",
        )
    })?;
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    write_private(path, &bytes)
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, CliError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = read_limited(path, MAX_LIST_BYTES)?;
    let wrong = |error: serde_json::Error| {
        CliError::failure(
            format!("{} is damaged: {error}", path.display()),
            "restore it from a backup",
        )
    };
    let text = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    text.map(|line| serde_json::from_slice::<T>(line).map_err(wrong))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    #[test]
    fn a_home_keeps_keys_and_lists() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("network.toml");
        fs::write(&network, "").unwrap();
        let at = dir.path().join("doctor");
        let params = KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap();
        let (made, keys) =
            StaffHome::create(&at, &network, "North", "correct horse", params).unwrap();
        let home = StaffHome::open(&at).unwrap();
        assert_eq!(home, made);
        assert_eq!(home.unlock("correct horse").unwrap().id(), keys.id());
        assert_eq!(home.unlock("wrong").unwrap_err().exit, ExitCode::Locked);
        assert!(home.patients().unwrap().is_empty());
        for n in 0..2 {
            let line = PatientLine {
                card_hash: format!("{n}"),
                meta_address: "cadmeta1".into(),
                registered: "2026-11-20".into(),
            };
            home.note_patient(&line).unwrap();
        }
        assert_eq!(home.patients().unwrap().len(), 2);
        assert_eq!(home.patients().unwrap()[1].card_hash, "1");
        assert!(home.records().unwrap().is_empty());
        assert_eq!(
            StaffHome::open(dir.path()).unwrap_err().exit,
            ExitCode::NotFound
        );
    }

    fn line(record: &str, replaces: Option<&str>) -> RecordLine {
        RecordLine {
            record_hash: record.into(),
            card_hash: "c".into(),
            source: "a.json".into(),
            media_type: "text/plain".into(),
            height: 1,
            position: 0,
            tags: 8,
            sealed_bytes: 20_000,
            link_deadline: "2026-11-20".into(),
            receipt: "r.json".into(),
            replaces: replaces.map(str::to_owned),
        }
    }

    #[test]
    fn records_say_what_they_replace_and_what_replaces_them() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("network.toml");
        fs::write(&network, "").unwrap();
        let at = dir.path().join("doctor");
        let params = KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap();
        let (home, _) = StaffHome::create(&at, &network, "North", "correct horse", params).unwrap();
        // A line from before records could be replaced.
        let mut old = serde_json::to_value(line("aa", None)).unwrap();
        assert!(old.as_object_mut().unwrap().remove("replaces").is_some());
        append(&at.join(RECORDS), &old).unwrap();
        home.note_record(&line("bb", Some("aa"))).unwrap();
        home.note_record(&line("cc", Some("bb"))).unwrap();
        // What it replaces was uploaded elsewhere.
        home.note_record(&line("dd", Some("ee"))).unwrap();
        let found: Vec<(String, Option<String>, Option<String>)> = home
            .versions()
            .unwrap()
            .into_iter()
            .map(|row| (row.record.record_hash, row.record.replaces, row.replaced_by))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("aa".to_owned(), None, some("bb")),
            ("bb".to_owned(), some("aa"), some("cc")),
            ("cc".to_owned(), some("bb"), None),
            ("dd".to_owned(), some("ee"), None),
        ];
        assert_eq!(found, expected);
        let row = serde_json::to_value(&home.versions().unwrap()[1]).unwrap();
        assert_eq!(
            (&row["replaces"], &row["replaced_by"]),
            (&"aa".into(), &"cc".into())
        );
    }
}
