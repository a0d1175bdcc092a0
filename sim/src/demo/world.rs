//! The running network and the people in the story.

use super::summary::{ChainsSummary, Summary};
use super::{DemoOptions, Narrator, kill};
use crate::generator;
use crate::layout::{Layout, NetworkSpec};
use crate::loopback::{Chains, Prober};
use crate::oracle::OracleRecord;
use crate::servers::{CountingJournal, Servers};
use alliance_chain::{query, state::RecordRef};
use anyhow::Context;
use caduceus_client::{Alliance, ConnectOptions};
use caduceus_crypto::card::CardQr;
use caduceus_crypto::{Hash, SecretKey, decode_exact};
use caduceus_custody::fhir::{self, EncounterRecord};
use caduceus_custody::keystore::KeystoreParams;
use caduceus_custody::seed::PatientSeed;
use caduceus_ledger::CertifiedHeader;
use caduceus_network::PeerAddr;
use caduceus_network::exchange::{Headers, HeadersRequest};
use hospital_server::workstation::{Administrator, Workstation, WorkstationConfig};
use patient_client::{FoundRecord, Patient, Wallet};
use private_chain::Role;
use rand_core::OsRng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long nodes may take to come up, to link, to catch up.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Cheap keystore parameters: the demo's keystores hold made-up people and live for a minute.
const DEMO_KEYSTORE: (u32, u32, u32) = (8 * 1024, 1, 1);
const MAX_BUNDLE_BYTES: u64 = 512 * 1024 * 1024;

/// A hospital's staff.
pub struct Desk {
    /// Holds the identity key.
    pub admin: Administrator,
    /// Registers patients.
    pub registrar: Workstation,
    /// Uploads records.
    pub doctor: Workstation,
    /// The doctor's signing key.
    pub doctor_key: SecretKey,
}

/// A patient.
pub struct Person {
    /// Name for people.
    pub name: String,
    /// Her client.
    pub patient: Patient,
    /// Her cards, by hospital.
    pub cards: BTreeMap<usize, CardQr>,
    /// Her history: hospital and record.
    pub encounters: Vec<(usize, EncounterRecord)>,
}

/// A record that was uploaded.
pub struct UploadedRecord {
    /// Its plaintext, for the oracle.
    pub oracle: OracleRecord,
    /// Its hash.
    pub record_hash: Hash,
    /// Its place on its hospital's private chain.
    pub place: RecordRef,
}

/// See the module.
pub struct World {
    pub layout: Layout,
    pub chains: Chains,
    pub servers: Servers,
    pub journal: Arc<CountingJournal>,
    pub desks: Vec<Desk>,
    pub people: Vec<Person>,
    pub records: Vec<UploadedRecord>,
    /// Records as their patients found them, by hash.
    pub found: BTreeMap<Hash, FoundRecord>,
    /// A session of nobody in particular.
    pub alliance: Alliance,
    pub prober: Prober,
}

impl World {
    /// Starts everything and lays out the people's histories.
    pub async fn start(
        root: &Path,
        spec: &NetworkSpec,
        options: &DemoOptions,
        narrator: &Narrator,
    ) -> anyhow::Result<Self> {
        let layout = Layout::create(&root.join("network"), spec)?;
        let children = if options.kill_one {
            kill::victims(&layout, options.seed)
        } else {
            Vec::new()
        };
        let chains = Chains::start(&layout, &children).await?;
        let prober = Prober::start().await?;
        let addresses = node_addresses(&layout)?;
        let all: Vec<PeerAddr> = addresses.iter().flatten().cloned().collect();
        prober.all_answer(&all, PATIENCE).await?;
        narrator.tell(format!(
            "{} alliance validators and {} private ones for each of {} hospitals are up",
            layout.alliance.len(),
            layout.hospitals[0].nodes.len(),
            layout.hospitals.len()
        ));
        let journal = Arc::new(CountingJournal::default());
        let servers = Servers::start(&layout, journal.clone()).await?;
        first_block(&chains).await?;
        let alliance = Alliance::connect(
            &layout.network,
            layout.genesis.clone(),
            ConnectOptions::default(),
        )
        .await?;
        let mut desks = Vec::new();
        for h in 0..layout.hospitals.len() {
            desks.push(desk(&layout, h).await?);
        }
        narrator.tell("hospital servers and key services are up; a registrar and a physician are enrolled at each");
        let people = people(&root.join("people"), &layout, options).await?;
        let encounters: usize = people.iter().map(|p| p.encounters.len()).sum();
        narrator.tell(format!(
            "{} patients with {encounters} encounters between them",
            people.len()
        ));
        Ok(Self {
            layout,
            chains,
            servers,
            journal,
            desks,
            people,
            records: Vec::new(),
            found: BTreeMap::new(),
            alliance,
            prober,
        })
    }

    /// Waits until the alliance has linked every uploaded record.
    pub async fn wait_until_linked(&self, narrator: &Narrator) -> anyhow::Result<()> {
        let begun = Instant::now();
        let node = self
            .chains
            .alliance(0)
            .context("the first alliance node runs here")?;
        for record in &self.records {
            let hospital = self.layout.hospitals[record.oracle.hospital].id;
            loop {
                let snapshot = node.node.chain().snapshot()?;
                if query::linked_record(&snapshot, &hospital, &record.place)?.is_some() {
                    break;
                }
                anyhow::ensure!(
                    begun.elapsed() < PATIENCE,
                    "record {} is not linked",
                    record.record_hash
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        narrator.tell(format!(
            "all {} records are linked on the alliance chain",
            self.records.len()
        ));
        Ok(())
    }

    /// Addresses of all chain nodes: the alliance's, then each hospital's.
    pub fn addresses(&self) -> anyhow::Result<Vec<Vec<PeerAddr>>> {
        node_addresses(&self.layout)
    }

    /// Compares the chains of all validators, block by block at their lowest common height.
    pub async fn compare_chains(
        &self,
        narrator: &Narrator,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        let mut chains = ChainsSummary {
            validators_agree: true,
            ..ChainsSummary::default()
        };
        for (n, addresses) in self.addresses()?.iter().enumerate() {
            let mut heights = Vec::new();
            for address in addresses {
                heights.push(
                    self.prober
                        .height(address)
                        .await
                        .context("a node does not answer")?,
                );
            }
            let common = heights.iter().copied().min().unwrap_or(0);
            let mut hashes = Vec::new();
            for address in addresses {
                hashes.push(self.block_hash(address, common).await?);
            }
            // A header commits to its parent, so equal hashes mean equal chains below.
            chains.validators_agree &=
                common > 0 && hashes.windows(2).all(|pair| pair[0] == pair[1]);
            let height = heights.into_iter().max().unwrap_or(0);
            if n == 0 {
                chains.alliance_height = height;
            } else {
                chains.private_heights.push(height);
            }
        }
        narrator.tell(format!(
            "alliance at height {}, private chains at {:?}; validators agree: {}",
            chains.alliance_height, chains.private_heights, chains.validators_agree
        ));
        summary.chains = chains;
        Ok(())
    }

    async fn block_hash(&self, address: &PeerAddr, height: u64) -> anyhow::Result<Hash> {
        let ask = HeadersRequest {
            from: Some(height),
            limit: 1,
        };
        let reply = self.prober.service().call::<Headers>(address, ask).await?;
        let bytes = reply
            .items
            .first()
            .context("a node has no header at its own height")?;
        Ok(decode_exact::<CertifiedHeader>(bytes, 64 * 1024)?
            .header
            .hash())
    }

    /// Stops everything.
    pub async fn stop(&mut self) {
        self.servers.stop().await;
        self.chains.stop().await;
    }
}

/// Waits for the alliance's first block: before it there is no head under which anything could be proved.
async fn first_block(chains: &Chains) -> anyhow::Result<()> {
    let node = chains.alliance(0).context("the first alliance node")?;
    let mut tip = node.node.chain().watch_tip();
    tokio::time::timeout(PATIENCE, tip.wait_for(|tip| tip.height.0 > 0))
        .await
        .context("the alliance makes no block")??;
    Ok(())
}

fn node_addresses(layout: &Layout) -> anyhow::Result<Vec<Vec<PeerAddr>>> {
    let of = |nodes: &[caduceus_cli::NodeEntry]| -> anyhow::Result<Vec<PeerAddr>> {
        nodes.iter().map(|node| Ok(node.service.parse()?)).collect()
    };
    let mut all = vec![of(&layout.network.alliance.nodes)?];
    for hospital in &layout.network.hospitals {
        all.push(of(&hospital.nodes)?);
    }
    Ok(all)
}

async fn desk(layout: &Layout, h: usize) -> anyhow::Result<Desk> {
    let hospital = &layout.hospitals[h];
    let clock = hospital_server::system_clock();
    let admin =
        Administrator::open(&layout.network, hospital.identity.clone(), clock.clone()).await?;
    let registrar_key = SecretKey::generate(&mut OsRng);
    let doctor_key = SecretKey::generate(&mut OsRng);
    admin
        .enrol(registrar_key.public(), Role::Registrar, "Registrar", 30)
        .await?;
    admin
        .enrol(doctor_key.public(), Role::Physician, "Physician", 30)
        .await?;
    let open = |staff: SecretKey| {
        Workstation::open(WorkstationConfig {
            network: layout.network.clone(),
            hospital: hospital.name.clone(),
            staff,
            clock: clock.clone(),
        })
    };
    let registrar = open(registrar_key).await?;
    let doctor = open(doctor_key.clone()).await?;
    Ok(Desk {
        admin,
        registrar,
        doctor,
        doctor_key,
    })
}

/// The patients' FHIR histories, one bundle each.
///
/// # Errors
/// When the folder cannot be read or holds none.
pub fn bundles(options: &DemoOptions, hospitals: &[String]) -> anyhow::Result<Vec<Vec<u8>>> {
    let Some(folder) = &options.records else {
        let names: Vec<&str> = hospitals.iter().map(String::as_str).collect();
        return Ok(generator::patients(
            options.seed,
            options.patients,
            3..=6,
            &names,
        ));
    };
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("the folder {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let size = std::fs::metadata(&path)?.len();
        anyhow::ensure!(
            size <= MAX_BUNDLE_BYTES,
            "{} has {size} bytes",
            path.display()
        );
        let bytes = std::fs::read(&path)?;
        match fhir::split(&bytes) {
            Ok(_) => all.push(bytes),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "not a patient's bundle, passed over")
            }
        }
    }
    anyhow::ensure!(
        !all.is_empty(),
        "{} holds no FHIR bundle of a patient",
        folder.display()
    );
    Ok(all)
}

/// Histories with their hospitals: an encounter belongs to its organisation's hospital; organisations are
/// spread over the hospitals in the order in which they appear, those named like a hospital to it.
async fn people(
    root: &Path,
    layout: &Layout,
    options: &DemoOptions,
) -> anyhow::Result<Vec<Person>> {
    let mut assigned: BTreeMap<String, usize> = layout
        .hospitals
        .iter()
        .enumerate()
        .map(|(h, hospital)| (hospital.name.clone(), h))
        .collect();
    let mut next = 0;
    let mut people = Vec::new();
    let names: Vec<String> = layout.hospitals.iter().map(|h| h.name.clone()).collect();
    for (number, bundle) in bundles(options, &names)?.iter().enumerate() {
        let history = fhir::split(bundle)?;
        let mut encounters = Vec::new();
        for encounter in history.encounters {
            let organisation = &encounter.organisation;
            let name = if organisation.name.is_empty() {
                &organisation.reference
            } else {
                &organisation.name
            };
            let hospital = *assigned.entry(name.clone()).or_insert_with(|| {
                next += 1;
                (next - 1) % layout.hospitals.len()
            });
            encounters.push((hospital, encounter));
        }
        let (memory, passes, lanes) = DEMO_KEYSTORE;
        let params = KeystoreParams::new(memory, passes, lanes)?;
        let seed = PatientSeed::generate(&mut OsRng);
        let wallet = Wallet::create(
            &root.join(number.to_string()),
            &seed,
            "a passphrase for the demo",
            params,
        )?;
        let patient = Patient::connect(
            wallet,
            &layout.network,
            layout.genesis.clone(),
            ConnectOptions::default(),
        )
        .await?;
        people.push(Person {
            name: history.patient_name,
            patient,
            cards: BTreeMap::new(),
            encounters,
        });
    }
    Ok(people)
}
