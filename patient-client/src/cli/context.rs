//! What every command needs: the home, the network, the output.

use caduceus_cli::{CliError, CommonArgs, NetworkFile, Output, load_settings, passphrase};
use caduceus_client::{ConnectOptions, index_scheme, load_network};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{Hash, HospitalId};
use patient_client::{FoundRecord, Patient, PatientError, Wallet};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAM: &str = "patient-client";

/// `config.toml` of the home, written by `init`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    /// The network file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<String>,
    /// How long a transaction may take, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout_seconds: Option<u64>,
}

pub(super) struct Context {
    pub(super) common: CommonArgs,
    pub(super) output: Output,
    pub(super) home: PathBuf,
}

impl Context {
    pub(super) fn new(common: CommonArgs, output: Output) -> Result<Self, CliError> {
        let home = common.home_dir(PROGRAM)?;
        Ok(Self {
            common,
            output,
            home,
        })
    }

    /// Opens the home. The passphrase is asked for only if there is something to open.
    pub(super) fn wallet(&self) -> Result<Wallet, CliError> {
        if !Wallet::exists(&self.home) {
            return Err(PatientError::NoKeystore {
                home: self.home.clone(),
            }
            .into());
        }
        let passphrase = passphrase("your keystore")?;
        Ok(Wallet::open(&self.home, &passphrase)?)
    }

    fn settings(&self) -> Result<Settings, CliError> {
        let flag = self
            .common
            .network
            .as_deref()
            .map(|path| path.display().to_string());
        load_settings(PROGRAM, &self.common, &[("network", flag)])
    }

    /// How records are indexed in the home's network, which decides what a meta-address carries; tags where no
    /// network is named.
    pub(super) fn scheme(&self) -> Result<SchemeId, CliError> {
        match self.settings()?.network {
            Some(path) => Ok(index_scheme(&NetworkFile::load(Path::new(&path))?)?),
            None => Ok(SchemeId::default()),
        }
    }

    /// Opens the home and a session to the network.
    pub(super) async fn patient(&self) -> Result<Patient, CliError> {
        let (patient, _) = self.patient_and_network().await?;
        Ok(patient)
    }

    pub(super) async fn patient_and_network(&self) -> Result<(Patient, NetworkFile), CliError> {
        let settings = self.settings()?;
        let path = match settings.network {
            Some(path) => PathBuf::from(path),
            None => self.common.network_path()?,
        };
        let (network, genesis) = load_network(&path)?;
        let mut options = ConnectOptions::default();
        if let Some(seconds) = settings.timeout_seconds {
            options.timeout = Duration::from_secs(seconds.max(1));
        }
        let wallet = self.wallet()?;
        let patient = Patient::connect(wallet, &network, genesis, options).await?;
        Ok((patient, network))
    }
}

/// The hospitals that a person names.
pub(super) fn named_hospitals(
    network: &NetworkFile,
    names: &[String],
) -> Result<Vec<HospitalId>, CliError> {
    let mut hospitals = Vec::new();
    for name in names {
        let entry = network.hospital(name)?;
        let id: HospitalId = entry
            .id
            .parse()
            .map_err(|_| PatientError::UnknownHospital { name: name.clone() })?;
        hospitals.push(id);
    }
    Ok(hospitals)
}

/// A record that a person names: a number of the last search, or a hash.
pub(super) fn named_record(patient: &Patient, text: &str) -> Result<FoundRecord, CliError> {
    if let Ok(number) = text.parse::<usize>() {
        return Ok(patient.record_by_number(number)?);
    }
    let hash: Hash = text.parse().map_err(|_| {
        CliError::usage(
            format!("{text:?} is neither the number of a hit nor a record's hash"),
            "a number of the last search, or 64 hexadecimal digits",
        )
    })?;
    Ok(patient.record_by_hash(&hash)?)
}

/// A path that stays right when the program is run from another directory.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}
