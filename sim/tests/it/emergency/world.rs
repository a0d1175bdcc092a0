//! One hospital and a one-node alliance in this process, with staff, officers and two patients: Anna opts in to
//! emergency access, Bea does not.

use caduceus_client::ConnectOptions;
use caduceus_crypto::card::CardQr;
use caduceus_crypto::record::parse;
use caduceus_crypto::{Hash, SecretKey};
use caduceus_custody::keystore::KeystoreParams;
use caduceus_custody::seed::PatientSeed;
use caduceus_network::exchange::{Emergency, EmergencyAnswer, EmergencyCall, Reply};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::home::EngineKind;
use hospital_server::system_clock;
use hospital_server::workstation::{
    Administrator, Registered, ShareFile, UploadInput, Workstation, WorkstationConfig,
};
use patient_client::{HospitalEntry, Patient, Wallet};
use private_chain::audit::StatementCheck;
use private_chain::{AuditEntry, Role, query};
use rand_core::OsRng;
use sim::layout::{Layout, NetworkSpec};
use sim::loopback::{Chains, Prober};
use sim::servers::{CountingJournal, Servers};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);
const NORTH: &str = "North";

/// Staff by name: what they are.
const STAFF: [(&str, Role); 8] = [
    ("registrar", Role::Registrar),
    ("doctor", Role::Physician),
    ("nurse", Role::Nurse),
    ("officer-1", Role::Nurse),
    ("officer-2", Role::Physician),
    ("officer-3", Role::Administrator),
    ("colleague", Role::Physician),
    ("suspended", Role::Physician),
];

/// The officers, in the order of their shares. The doctor is one, and may not agree to what she asks herself.
pub const OFFICERS: [&str; 4] = ["doctor", "officer-1", "officer-2", "officer-3"];

/// A patient and her card.
pub struct Person {
    pub patient: Patient,
    pub card: CardQr,
}

/// See the module.
pub struct World {
    _folder: TempDir,
    pub layout: Layout,
    pub chains: Chains,
    pub servers: Servers,
    pub journal: Arc<CountingJournal>,
    pub admin: Administrator,
    keys: BTreeMap<&'static str, SecretKey>,
    stations: BTreeMap<&'static str, Workstation>,
    pub shares: BTreeMap<&'static str, ShareFile>,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = NetworkSpec {
            hospitals: vec![NORTH.to_owned()],
            alliance_validators: 1,
            private_validators: 1,
            engine: EngineKind::Solo,
            ..NetworkSpec::default()
        };
        let layout = Layout::create(&folder.path().join("network"), &spec).unwrap();
        let chains = Chains::start(&layout, &[]).await.unwrap();
        all_answer(&layout).await;
        let journal = Arc::new(CountingJournal::default());
        let servers = Servers::start(&layout, journal.clone()).await.unwrap();
        let identity = layout.hospitals[0].identity.clone();
        let admin = Administrator::open(&layout.network, identity, system_clock())
            .await
            .unwrap();
        let (mut keys, mut stations) = (BTreeMap::new(), BTreeMap::new());
        for (name, role) in STAFF {
            let key = SecretKey::generate(&mut OsRng);
            admin.enrol(key.public(), role, name, 30).await.unwrap();
            let config = WorkstationConfig {
                network: layout.network.clone(),
                hospital: NORTH.to_owned(),
                staff: key.clone(),
                clock: system_clock(),
            };
            stations.insert(name, Workstation::open(config).await.unwrap());
            keys.insert(name, key);
        }
        let world = Self {
            _folder: folder,
            layout,
            chains,
            servers,
            journal,
            admin,
            keys,
            stations,
            shares: BTreeMap::new(),
        };
        world.first_block().await;
        world
    }

    /// The alliance's first block: before it there is no head under which anything could be proved.
    async fn first_block(&self) {
        let mut tip = self.chains.alliance(0).unwrap().node.chain().watch_tip();
        tokio::time::timeout(PATIENCE, tip.wait_for(|tip| tip.height.0 > 0))
            .await
            .unwrap()
            .unwrap();
    }

    pub fn key(&self, name: &str) -> &SecretKey {
        &self.keys[name]
    }

    pub fn station(&self, name: &str) -> &Workstation {
        &self.stations[name]
    }

    /// The shares of an officer.
    pub fn shares_of(&self, name: &str) -> &[ShareFile] {
        std::slice::from_ref(&self.shares[name])
    }

    /// Deals a key that two of the officers open with.
    pub async fn deal(&mut self) {
        let officers = OFFICERS.map(|name| self.keys[name].public());
        let (key, shares) = self.admin.deal_emergency_key(&officers, 2).await.unwrap();
        for (name, share) in OFFICERS.into_iter().zip(shares) {
            // As the file lies in her home.
            let bytes = share.file.to_bytes();
            self.shares
                .insert(name, ShareFile::from_bytes(&bytes).unwrap());
        }
        self.admin.name_emergency_key(key).await.unwrap();
    }

    /// A registered patient.
    pub async fn patient(&self, name: &str) -> Person {
        let params = KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap();
        let seed = PatientSeed::generate(&mut OsRng);
        let home = self.layout.root.join("people").join(name);
        let wallet = Wallet::create(&home, &seed, "a passphrase", params).unwrap();
        let meta = wallet.meta();
        let options = ConnectOptions::default();
        let genesis = self.layout.genesis.clone();
        let mut patient = Patient::connect(wallet, &self.layout.network, genesis, options)
            .await
            .unwrap();
        let made: Registered = self
            .station("registrar")
            .register_patient(&meta)
            .await
            .unwrap();
        patient.register(&made.qr, &made.desk_code).await.unwrap();
        Person {
            patient,
            card: made.qr,
        }
    }

    /// Uploads a text for a patient and gives the record's hash.
    pub async fn upload(&self, person: &Person, text: &str) -> Hash {
        let mut visit = self.station("doctor").visit(&person.card).await.unwrap();
        let input = UploadInput {
            bytes: text.as_bytes().to_vec(),
            media_type: "text/plain".to_owned(),
            own_terms: vec!["note".to_owned()],
            amends: None,
        };
        visit.upload(input).await.unwrap().record_hash
    }

    /// Whether the vault's copy of a record has an emergency wrap.
    pub fn is_wrapped(&self, record: &Hash) -> bool {
        let path = self.servers.vault_path(&self.layout, 0, record);
        let bytes = std::fs::read(path).unwrap();
        parse(&bytes).unwrap().emergency.is_some()
    }

    /// Makes a call that no workstation makes.
    pub async fn call(&self, name: &str, call: EmergencyCall) -> Reply<EmergencyAnswer> {
        let service = Service::start(ServiceConfig {
            key: self.key(name),
            listen: Vec::new(),
            limits: Limits::default(),
        })
        .await
        .unwrap();
        let server = &self.layout.hospitals[0].server_address;
        let reply = service.call::<Emergency>(server, call).await.unwrap();
        service.shutdown().await;
        reply
    }

    /// All entries of the private chain in order, opened, with what their statements are worth.
    pub fn entries(&self) -> Vec<(AuditEntry, StatementCheck)> {
        let node = self.chains.private_here(0).next().unwrap();
        let snapshot = node.node.chain().snapshot().unwrap();
        let chain = self.layout.hospitals[0].genesis.chain_id();
        let count = query::audit_count(&snapshot).unwrap();
        let (mut first, mut found) = (0, Vec::new());
        while first < count {
            for (_, place, batch) in query::audit_batches(&snapshot, first, 100).unwrap() {
                first += u64::from(place.count);
                for (index, sealed) in (0u32..).zip(&batch.entries) {
                    let bucket = sealed.bucket();
                    let key = self.chains.bucket_key(0, &bucket).unwrap();
                    let entry = batch.open(index, &key).unwrap();
                    let check = entry.statement_check(&chain);
                    found.push((entry, check));
                }
            }
        }
        found
    }

    /// Actions of the servers without an entry.
    pub fn unlogged_actions(&self) -> usize {
        let logged: Vec<String> = self
            .entries()
            .iter()
            .map(|(entry, _)| entry.request.to_string())
            .collect();
        let actions = self.journal.actions();
        assert!(!actions.is_empty());
        actions
            .iter()
            .filter(|(id, _)| !logged.contains(&hex::encode(id)))
            .count()
    }

    /// What a patient reads of emergencies in her access log: action, outcome, reason.
    pub async fn emergencies(&self, person: &Person) -> Vec<HospitalEntry> {
        let log = person.patient.access_log().await.unwrap();
        let mut found = Vec::new();
        for hospital in log.hospitals {
            assert_eq!(hospital.problem, None);
            found.extend(hospital.entries);
        }
        found.retain(HospitalEntry::is_emergency);
        found
    }

    pub async fn stop(mut self) {
        for station in self.stations.values() {
            station.close().await;
        }
        self.admin.close().await;
        self.servers.stop().await;
        self.chains.stop().await;
    }
}

async fn all_answer(layout: &Layout) {
    let nodes = layout.network.alliance.nodes.iter();
    let nodes = nodes.chain(&layout.network.hospitals[0].nodes);
    let addresses: Vec<PeerAddr> = nodes.map(|node| node.service.parse().unwrap()).collect();
    let prober = Prober::start().await.unwrap();
    prober.all_answer(&addresses, PATIENCE).await.unwrap();
    prober.service().shutdown().await;
}

/// Whether a folder's files hold a text.
pub fn files_hold(folder: &Path, text: &str) -> bool {
    super::super::bad_input::files_below(folder)
        .values()
        .any(|bytes| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
}
