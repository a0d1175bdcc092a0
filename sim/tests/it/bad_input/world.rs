//! One hospital and the alliance in this process, and the homes of those who work with them. What happens in
//! it, happens through the programs.

use super::program::{self, Call, DATA_USER, HOSPITAL, PATIENT};
use alliance_chain::{AllianceMachine, RecordRef, Tx, query, state};
use caduceus_crypto::MetaAddress;
use caduceus_custody::keystore::KeystoreParams;
use caduceus_custody::seed::PatientSeed;
use caduceus_ledger::Height;
use caduceus_network::PeerAddr;
use caduceus_node::Node;
use caduceus_node::home::EngineKind;
use data_user_client::home::Home;
use hospital_server::workstation::home::StaffHome;
use patient_client::Wallet;
use private_chain::PrivateMachine;
use rand_core::OsRng;
use serde_json::Value;
use sim::generator;
use sim::layout::{Layout, NetworkSpec};
use sim::loopback::{Chains, Prober};
use sim::servers::{CountingJournal, Servers};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Opens every home.
pub const PASSPHRASE: &str = "a passphrase that nobody must see";

/// How long the network may take to come up, to link, to heal.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The hospital's name.
pub const NORTH: &str = "North";

/// A card as the registrar hands it out, with its desk code.
#[derive(Clone, Debug)]
pub struct HandedOut {
    /// The number.
    pub number: String,
    /// The text of the QR code.
    pub qr: String,
    /// The desk code.
    pub code: String,
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Person {
    /// Her meta-address.
    pub meta: MetaAddress,
    /// Her card.
    pub card: HandedOut,
}

/// A data user's two public keys.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Who it is.
    pub signing: String,
    /// What is granted to.
    pub receiving: String,
}

/// What people left behind, so that a mistake can be shown to leave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    files: BTreeMap<PathBuf, Vec<u8>>,
    alliance: usize,
    private: usize,
}

impl Traces {
    /// What is new, gone or changed since.
    pub fn since(&self, before: &Traces) -> Vec<String> {
        let paths: BTreeSet<&PathBuf> = before.files.keys().chain(self.files.keys()).collect();
        let changed = paths
            .into_iter()
            .filter(|path| before.files.get(*path) != self.files.get(*path));
        let mut found: Vec<String> = changed
            .map(|path| format!("{} changed", path.display()))
            .collect();
        if self.alliance != before.alliance {
            found.push("a transaction is on the alliance chain".to_owned());
        }
        if self.private != before.private {
            found.push("a transaction is on the private chain".to_owned());
        }
        found
    }
}

/// See the module. Alice is registered and has a record; Bob and Carol have cards; Dora has none. The institute
/// is vouched for, nobody is not; the stranger is not enrolled.
pub struct World {
    folder: TempDir,
    /// The network's files.
    pub layout: Layout,
    /// Its nodes.
    pub chains: Chains,
    /// The hospital's server and key service.
    pub servers: Servers,
    /// The alliance's nodes, readable after they stopped.
    pub alliance: Vec<Arc<Node<AllianceMachine>>>,
    private: Arc<Node<PrivateMachine>>,
    /// Alice, Bob, Carol.
    pub people: BTreeMap<&'static str, Person>,
    /// The institute, nobody.
    pub data_users: BTreeMap<&'static str, Keys>,
}

fn cheap() -> KeystoreParams {
    KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap()
}

impl World {
    /// Starts the network, the alliance with four validators if the engine is `bft`, and brings Alice's first
    /// record into her search.
    pub async fn start(engine: EngineKind) -> Self {
        program::folder();
        let folder = tempfile::tempdir().unwrap();
        let spec = NetworkSpec {
            hospitals: vec![NORTH.to_owned()],
            alliance_validators: 4,
            private_validators: 1,
            engine,
            ..NetworkSpec::default()
        };
        let layout = Layout::create(&folder.path().join("network"), &spec).unwrap();
        private_chain_by_one_sequencer(&layout);
        let chains = Chains::start(&layout, &[]).await.unwrap();
        all_answer(&layout).await;
        let servers = Servers::start(&layout, Arc::new(CountingJournal::default()))
            .await
            .unwrap();
        let alliance = chains
            .alliance_here()
            .map(|node| node.node.clone())
            .collect();
        let private = chains.private_here(0).next().unwrap().node.clone();
        let mut world = Self {
            folder,
            layout,
            chains,
            servers,
            alliance,
            private,
            people: BTreeMap::new(),
            data_users: BTreeMap::new(),
        };
        world.wait_until_founded().await;
        world.staff().await;
        world.patients().await;
        world.first_record().await;
        world.make_data_users().await;
        world
    }

    /// Stops everything.
    pub async fn stop(&mut self) {
        self.servers.stop().await;
        self.chains.stop().await;
    }

    /// A folder for the files of the cases.
    pub fn documents(&self) -> PathBuf {
        let folder = self.folder.path().join("documents");
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Somebody's home.
    pub fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("homes").join(name)
    }

    /// A copy of somebody's home under another name.
    pub fn copy_of(&self, name: &str, copy: &str) -> PathBuf {
        let (from, to) = (self.home(name), self.home(copy));
        std::fs::create_dir_all(&to).unwrap();
        for (path, bytes) in files_below(&from) {
            let target = to.join(path.strip_prefix(&from).unwrap());
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, bytes).unwrap();
        }
        to
    }

    /// A run of a program at a home.
    pub fn at(&self, home: &Path, program: &'static str, arguments: &[&str]) -> Call {
        Call::new(program, arguments)
            .with("CADUCEUS_HOME", home.display().to_string())
            .with(
                "CADUCEUS_NETWORK",
                self.layout.network_path().display().to_string(),
            )
            .with("CADUCEUS_PASSPHRASE", PASSPHRASE)
    }

    /// A patient's command.
    pub fn patient(&self, name: &str, arguments: &[&str]) -> Call {
        self.at(&self.home(name), PATIENT, arguments)
    }

    /// A command at a workstation.
    pub fn workstation(&self, name: &str, arguments: &[&str]) -> Call {
        self.at(&self.home(name), HOSPITAL, arguments)
    }

    /// A data user's command.
    pub fn data_user(&self, name: &str, arguments: &[&str]) -> Call {
        self.at(&self.home(name), DATA_USER, arguments)
    }

    /// A command on the machine of the hospital's server.
    pub fn admin(&self, arguments: &[&str]) -> Call {
        let server = self.layout.hospitals[0].server_home();
        self.at(&self.home("admin"), HOSPITAL, arguments)
            .with("CADUCEUS_SERVER_HOME", server.display().to_string())
    }

    /// An upload by the doctor.
    pub fn upload(&self, card: &str, files: &[&str]) -> Call {
        let mut arguments = vec!["upload", "--card", card];
        arguments.extend(files);
        self.workstation("doctor", &arguments)
    }

    /// A file that can be uploaded: one encounter, at North.
    pub fn good_file(&self) -> String {
        let path = self.documents().join("good.json");
        if !path.exists() {
            std::fs::write(&path, &generator::patients(1, 1, 1..=1, &[NORTH])[0]).unwrap();
        }
        path.display().to_string()
    }

    /// What people left: files of all homes, names in the vault and at the proxies, transactions.
    pub fn traces(&self) -> Traces {
        let mut files = files_below(&self.folder.path().join("homes"));
        // How far somebody has seen the chain is kept whatever becomes of the command.
        files.retain(|path, _| !path.ends_with("trusted"));
        let vault = self.layout.hospitals[0].server_home().join("vault");
        let proxies = self
            .layout
            .alliance
            .iter()
            .map(|home| home.join("fragments"));
        for folder in proxies.chain([vault]) {
            files.extend(
                files_below(&folder)
                    .into_keys()
                    .map(|path| (path, Vec::new())),
            );
        }
        Traces {
            files,
            alliance: self.alliance_deeds(),
            private: self.private_deeds(),
        }
    }

    /// Transactions of people on the alliance chain: what the linker and the nodes do by themselves goes on.
    fn alliance_deeds(&self) -> usize {
        let chain = self.alliance[0].chain();
        let tip = chain.tip().height;
        let snapshot = chain.snapshot().unwrap();
        let by_people = |bytes: &Vec<u8>| match Tx::decode(bytes).unwrap() {
            Tx::Account(_)
            | Tx::Search(_)
            | Tx::Request(_)
            | Tx::Grant(_)
            | Tx::Access(_)
            | Tx::Revoke(_) => true,
            // Nodes report on their word, patients with a receipt.
            Tx::Report(report) => report.body.proof.receipt().is_some(),
            _ => false,
        };
        let blocks = (1..=tip.0).filter_map(|height| snapshot.block(Height(height)).unwrap());
        blocks
            .map(|block| block.txs.iter().filter(|tx| by_people(tx)).count())
            .sum()
    }

    /// All but audit entries on the private chain: that a refused attempt is logged is as it should be.
    fn private_deeds(&self) -> usize {
        let chain = self.private.chain();
        let tip = chain.tip().height;
        let snapshot = chain.snapshot().unwrap();
        let is_audit = |bytes: &Vec<u8>| {
            matches!(
                private_chain::Tx::decode(bytes).unwrap(),
                private_chain::Tx::Audit(_)
            )
        };
        let blocks = (1..=tip.0).filter_map(|height| snapshot.block(Height(height)).unwrap());
        blocks
            .map(|block| block.txs.iter().filter(|tx| !is_audit(tx)).count())
            .sum()
    }

    /// Waits until the alliance has linked what an upload printed.
    pub async fn wait_until_linked(&self, rows: &Value) {
        let hospital = self.layout.hospitals[0].id;
        let begun = Instant::now();
        for row in rows.as_array().unwrap() {
            let at = RecordRef {
                height: row["height"].as_u64().unwrap(),
                position: u32::try_from(row["position"].as_u64().unwrap()).unwrap(),
            };
            loop {
                let snapshot = self.alliance[0].chain().snapshot().unwrap();
                if query::linked_record(&snapshot, &hospital, &at)
                    .unwrap()
                    .is_some()
                {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "record {at} is not linked");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until every node knows the hospital's token key: its server names it when it starts.
    async fn wait_until_founded(&self) {
        let issuer = state::issuer(&self.layout.hospitals[0].id);
        let begun = Instant::now();
        for node in &self.alliance {
            while issuer
                .get(&node.chain().snapshot().unwrap())
                .unwrap()
                .is_none()
            {
                assert!(begun.elapsed() < PATIENCE, "the alliance makes no block");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn staff(&self) {
        for (name, role) in [
            ("registrar", Some("registrar")),
            ("doctor", Some("physician")),
            ("stranger", None),
        ] {
            let network = self.layout.network_path();
            let (home, _) =
                StaffHome::create(&self.home(name), &network, NORTH, PASSPHRASE, cheap()).unwrap();
            if let Some(role) = role {
                must(self.admin(&[
                    "staff",
                    "enrol",
                    home.signing_key(),
                    "--role",
                    role,
                    "--label",
                    name,
                ]))
                .await;
            }
        }
    }

    async fn patients(&mut self) {
        for name in ["alice", "bob", "carol"] {
            let meta = self.wallet(name);
            let made =
                must(self.workstation("registrar", &["patient", "register", &meta.to_string()]))
                    .await;
            let text = |field: &str| made[field].as_str().unwrap().to_owned();
            let card = HandedOut {
                number: text("card"),
                qr: text("qr"),
                code: text("desk_code"),
            };
            self.people.insert(name, Person { meta, card });
        }
        self.wallet("dora");
        let card = &self.people["alice"].card;
        must(self.patient("alice", &["register", &card.qr, "--desk-code", &card.code])).await;
    }

    fn wallet(&self, name: &str) -> MetaAddress {
        let seed = PatientSeed::generate(&mut OsRng);
        Wallet::create(&self.home(name), &seed, PASSPHRASE, cheap())
            .unwrap()
            .meta()
    }

    async fn first_record(&self) {
        let rows = must(self.upload(&self.people["alice"].card.qr, &[&self.good_file()])).await;
        self.wait_until_linked(&rows).await;
        let found = must(self.patient("alice", &["search", "type:Encounter"])).await;
        assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
    }

    async fn make_data_users(&mut self) {
        for name in ["institute", "nobody"] {
            let network = self.layout.network_path();
            let (home, _) = Home::create(&self.home(name), &network, PASSPHRASE, cheap()).unwrap();
            let (signing, receiving) = (
                home.signing_key().to_owned(),
                home.receiving_key().to_owned(),
            );
            if name == "institute" {
                must(self.admin(&["data-user", "admit", &signing, &receiving, "--label", name]))
                    .await;
            }
            self.data_users.insert(name, Keys { signing, receiving });
        }
    }
}

/// Runs what must work, and returns what it printed.
async fn must(call: Call) -> Value {
    let outcome = call.clone().json().run().await;
    assert_eq!(outcome.code, Some(0), "{call:?}: {}", outcome.stderr);
    outcome.json()
}

/// The private chain has one validator; which engine it runs is not the question here.
fn private_chain_by_one_sequencer(layout: &Layout) {
    for home in &layout.hospitals[0].nodes {
        let path = home.join("node.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("engine = \"bft\"", "engine = \"solo\"")).unwrap();
    }
}

async fn all_answer(layout: &Layout) {
    let nodes = layout
        .network
        .alliance
        .nodes
        .iter()
        .chain(&layout.network.hospitals[0].nodes);
    let addresses: Vec<PeerAddr> = nodes.map(|node| node.service.parse().unwrap()).collect();
    let prober = Prober::start().await.unwrap();
    prober.all_answer(&addresses, PATIENCE).await.unwrap();
    prober.service().shutdown().await;
}

/// All files below a folder, with their content; none if there is no such folder.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // A file that is gone by now was a temporary one.
                let bytes = std::fs::read(&path).unwrap_or_default();
                files.insert(path, bytes);
            }
        }
    }
    files
}
