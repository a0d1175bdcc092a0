//! The desk: a home for a member of staff, patients, and what was uploaded here.

use std::path::PathBuf;

use caduceus_cli::{CliError, CommonArgs, NetworkFile, Output, new_passphrase, passphrase};
use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::pseudonym::MetaAddress;
use caduceus_custody::keystore::KeystoreParams;
use clap::{Args, Subcommand};
use data_user_client::DataUserKeys;
use hospital_server::HospitalMap;
use hospital_server::system_clock;
use hospital_server::workstation::home::{PatientLine, StaffHome};
use hospital_server::workstation::{
    Registered, Workstation, WorkstationConfig, WorkstationError, check_meta,
};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde::Serialize;

const PROGRAM: &str = "hospital-server";

/// What `init` needs.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The hospital, by its name in the network file or the beginning of its identifier
    #[arg(long, value_name = "NAME")]
    hospital: String,
}

/// Commands about patients.
#[derive(Debug, Subcommand)]
pub(crate) enum PatientCommand {
    /// Register a patient and make her card and desk code
    Register {
        /// What patient-client card shows: cadmeta1...
        #[arg(value_name = "META")]
        meta: String,
    },
    /// List the patients registered from this home
    List,
}

#[derive(Serialize)]
struct StaffRow {
    hospital: String,
    staff_key: String,
    receiving_key: String,
    enrol: String,
}

#[derive(Serialize)]
struct CardRow {
    card: String,
    qr: String,
    desk_code: String,
    card_hash: String,
    registered: String,
}

/// A staff home and the network it works in.
pub(crate) struct Desk {
    pub(crate) home: StaffHome,
    pub(crate) network_path: PathBuf,
}

impl Desk {
    /// Opens the home that the arguments name.
    pub(crate) fn open(common: &CommonArgs) -> Result<Self, CliError> {
        let home = StaffHome::open(&common.home_dir(PROGRAM)?)?;
        let network_path = common
            .network
            .clone()
            .unwrap_or_else(|| home.network().to_owned());
        Ok(Self { home, network_path })
    }

    /// Asks for the passphrase and opens the keystore.
    pub(crate) fn unlock(&self) -> Result<DataUserKeys, CliError> {
        self.home.unlock(&passphrase("your keystore")?)
    }

    /// Opens a session at the hospital.
    pub(crate) async fn station(&self) -> Result<Workstation, CliError> {
        let network = NetworkFile::load(&self.network_path)?;
        let staff: SecretKey = self.unlock()?.signing().clone();
        let hospital = self.home.hospital().to_owned();
        let config = WorkstationConfig {
            network,
            hospital,
            staff,
            clock: system_clock(),
        };
        Ok(Workstation::open(config).await?)
    }
}

/// `init`.
pub(crate) fn init(
    common: &CommonArgs,
    output: &Output,
    arguments: &InitArgs,
) -> Result<(), CliError> {
    let path = common.network_path()?;
    let network = NetworkFile::load(&path)?;
    let map = HospitalMap::read(&network, &arguments.hospital).map_err(WorkstationError::from)?;
    let dir = common.home_dir(PROGRAM)?;
    let secret = new_passphrase("your keystore")?;
    let (home, _) = StaffHome::create(&dir, &path, &map.name, &secret, KeystoreParams::DEFAULT)?;
    output.note(&format!(
        "keys made in {}; back up this directory and the passphrase",
        dir.display()
    ));
    let staff_key = home.signing_key().to_owned();
    output.object(&StaffRow {
        hospital: map.name,
        receiving_key: home.receiving_key().to_owned(),
        enrol: format!(
            "hospital-server staff enrol {staff_key} --role ROLE --label NAME --server-home DIR"
        ),
        staff_key,
    })
}

/// `patient ...`.
pub(crate) async fn patient(
    common: &CommonArgs,
    output: &Output,
    command: &PatientCommand,
) -> Result<(), CliError> {
    let desk = Desk::open(common)?;
    match command {
        PatientCommand::Register { meta } => register(&desk, output, meta).await,
        PatientCommand::List => output.rows(&desk.home.patients()?),
    }
}

async fn register(desk: &Desk, output: &Output, meta: &str) -> Result<(), CliError> {
    let meta: MetaAddress = meta.trim().parse::<MetaAddress>().map_err(|error| {
        CliError::usage(
            format!("{error}"),
            "scan it from the patient's client (patient-client card), or copy it whole",
        )
    })?;
    // Before the passphrase: the mistake needs no key to be told.
    let network = NetworkFile::load(&desk.network_path)?;
    let map = HospitalMap::read(&network, desk.home.hospital()).map_err(WorkstationError::from)?;
    check_meta(map.index_scheme, &meta)?;
    let station = desk.station().await?;
    let outcome = station.register_patient(&meta).await;
    station.close().await;
    let registered: Registered = outcome?;
    let row = CardRow {
        card: registered.card.to_string(),
        qr: registered.qr.to_string(),
        desk_code: registered.desk_code.to_string(),
        card_hash: registered.card.card_number().hash().to_string(),
        registered: registered.since.to_string(),
    };
    // The card exists from here on: whatever fails below, it is shown.
    output.object(&row)?;
    if let Some(picture) = picture(&row.qr) {
        output.note(&picture);
    }
    output.note(
        "give the patient the card and, apart from it, the desk code; neither is shown again",
    );
    desk.home.note_patient(&PatientLine {
        card_hash: row.card_hash,
        meta_address: meta.to_string(),
        registered: row.registered,
    })
}

/// `records`.
pub(crate) fn records(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    output.rows(&Desk::open(common)?.home.versions()?)
}

/// A QR code in characters; none if the text does not fit one.
fn picture(text: &str) -> Option<String> {
    let code = QrCode::new(text.as_bytes()).ok()?;
    Some(code.render::<Dense1x2>().build())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_card_fits_a_qr_code() {
        let text = format!("CAD1-{}|{}", "0000-".repeat(8) + "00000", "0".repeat(64));
        assert!(picture(&text).unwrap().lines().count() > 10);
        assert_eq!(picture(&"x".repeat(8000)), None);
    }
}
