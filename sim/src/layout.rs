//! The files of a network: keys, geneses, one folder an actor, and `network.toml`, the root of trust.
//!
//! ```text
//! DIR/network.toml  alliance.genesis  HOSPITAL.genesis
//! DIR/alliance/n0 .. n3                node.toml node.key
//! DIR/HOSPITAL/private/n0 .. n3        node.toml node.key
//! DIR/HOSPITAL/server                  identity.key server.key
//! DIR/HOSPITAL/keys                    keys.key index.key
//! ```

use alliance_chain::genesis::{AllianceGenesis, Member, Operator, Params, ProxyInfo};
use anyhow::Context;
use caduceus_cli::{AllianceSection, HospitalEntry, NetworkFile, NodeEntry};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{Epoch, HospitalId, SecretKey, TimeMillis, encode};
use caduceus_ledger::{Address, ChainKind, Genesis, Validator, ValidatorSet};
use caduceus_network::{PeerAddr, peer_id};
use caduceus_node::NodeOptions;
use caduceus_node::home::{EngineKind, NodeFile, PeerEntry};
use caduceus_node::key_file::key_text;
use private_chain::PrivateGenesis;
use rand::seq::SliceRandom;
use rand_core::OsRng;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// What a network consists of.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Names of the hospitals.
    pub hospitals: Vec<String>,
    /// Validators of the alliance, each also a proxy.
    pub alliance_validators: usize,
    /// Validators of each private chain.
    pub private_validators: usize,
    /// The engine of every chain; `solo` makes one validator a chain. With `pow` the private chains are mined, by one
    /// validator each, and the alliance runs `bft`.
    pub engine: EngineKind,
    /// How records are indexed.
    pub scheme: SchemeId,
    /// The alliance's bounds, if they are not those of the scheme from the day before on.
    pub params: Option<Params>,
}

impl NetworkSpec {
    /// The engine of the alliance: hospitals that need not trust each other do not mine.
    fn alliance_engine(&self) -> EngineKind {
        match self.engine {
            EngineKind::Pow => EngineKind::Bft,
            engine => engine,
        }
    }
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self {
            hospitals: ["St Anne", "Mercy", "Lakeside"].map(str::to_owned).to_vec(),
            alliance_validators: 4,
            private_validators: 4,
            engine: EngineKind::Bft,
            scheme: SchemeId::Tags,
            params: None,
        }
    }
}

/// A hospital's folders and keys.
pub struct HospitalLayout {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub id: HospitalId,
    /// Its folder.
    pub home: PathBuf,
    /// Identity key.
    pub identity: SecretKey,
    /// Server key.
    pub server: SecretKey,
    /// Key service's network key.
    pub keys: SecretKey,
    /// Index key.
    pub index: SecretKey,
    /// Where the server listens.
    pub server_address: PeerAddr,
    /// Where the key service listens.
    pub keys_address: PeerAddr,
    /// Folders of its private nodes.
    pub nodes: Vec<PathBuf>,
    /// Its private chain.
    pub genesis: Genesis,
}

impl HospitalLayout {
    /// The server's folder.
    pub fn server_home(&self) -> PathBuf {
        self.home.join("server")
    }

    /// The key service's folder.
    pub fn keys_home(&self) -> PathBuf {
        self.home.join("keys")
    }
}

/// A network's folder.
pub struct Layout {
    /// The folder.
    pub root: PathBuf,
    /// `network.toml`, read.
    pub network: NetworkFile,
    /// The alliance chain.
    pub genesis: Genesis,
    /// Folders of the alliance nodes.
    pub alliance: Vec<PathBuf>,
    /// The hospitals.
    pub hospitals: Vec<HospitalLayout>,
}

/// The folder name of a hospital.
pub fn slug(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

/// Lowest port that is tried.
const FIRST_PORT: u16 = 12_000;

/// The lowest port that the system gives to connections that go out.
fn first_ephemeral_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok());
    first.unwrap_or(32_768)
}

/// Ports on loopback that were free a moment ago, all different. They lie below those of outgoing connections, as
/// far as there are any, so that none of these takes the port of a node while the node is down.
pub(crate) fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let end = first_ephemeral_port().max(FIRST_PORT);
    let mut candidates: Vec<u16> = (FIRST_PORT..end).collect();
    candidates.shuffle(&mut OsRng);
    let chosen = candidates
        .into_iter()
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let mut held: Vec<TcpListener> = chosen.take(count).collect();
    while held.len() < count {
        held.push(TcpListener::bind("127.0.0.1:0").context("no free port on loopback")?);
    }
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}

fn address(key: &SecretKey, port: u16) -> anyhow::Result<PeerAddr> {
    Ok(PeerAddr {
        id: peer_id(&key.public()),
        address: format!("/ip4/127.0.0.1/tcp/{port}").parse()?,
    })
}

fn now() -> TimeMillis {
    use caduceus_node::Clock;
    caduceus_node::SystemClock.now()
}

/// Writes a key file readable by its owner alone: 64 hexadecimal digits.
pub(crate) fn write_key(path: &Path, key: &SecretKey) -> anyhow::Result<()> {
    let text = format!("{}\n", hex::encode(&key.to_bytes()[..]));
    caduceus_cli::write_private(path, text.as_bytes())?;
    Ok(())
}

/// The nodes of one chain, before their files are written.
struct ChainPlan {
    keys: Vec<SecretKey>,
    services: Vec<PeerAddr>,
    consensus: Vec<PeerAddr>,
}

impl ChainPlan {
    fn new(count: usize, engine: EngineKind) -> anyhow::Result<Self> {
        let count = if engine.has_one_validator() { 1 } else { count };
        let keys: Vec<SecretKey> = (0..count)
            .map(|_| SecretKey::generate(&mut OsRng))
            .collect();
        let ports = free_ports(2 * count)?;
        let at = |offset: usize| -> anyhow::Result<Vec<PeerAddr>> {
            keys.iter()
                .enumerate()
                .map(|(n, key)| address(key, ports[2 * n + offset]))
                .collect()
        };
        let (services, consensus) = (at(0)?, at(1)?);
        Ok(Self {
            keys,
            services,
            consensus,
        })
    }

    fn validators(&self) -> anyhow::Result<ValidatorSet> {
        Ok(ValidatorSet::new(
            self.keys
                .iter()
                .map(|k| Validator {
                    key: k.public(),
                    power: 1,
                })
                .collect(),
        )?)
    }

    fn entries(&self) -> Vec<NodeEntry> {
        self.keys
            .iter()
            .zip(&self.services)
            .enumerate()
            .map(|(n, (key, service))| NodeEntry {
                name: format!("n{n}"),
                service: service.to_string(),
                key: key.public().to_string(),
                hospital: None,
            })
            .collect()
    }

    /// Writes one folder a node below `folder`; `up` leads from there to the network's folder.
    fn write(
        &self,
        folder: &Path,
        up: &str,
        name: &str,
        genesis: &str,
        engine: EngineKind,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let mut homes = Vec::new();
        for (n, key) in self.keys.iter().enumerate() {
            let home = folder.join(format!("n{n}"));
            caduceus_cli::create_private_dir(&home)?;
            let peers = (0..self.keys.len())
                .filter(|m| *m != n)
                .map(|m| PeerEntry {
                    service: self.services[m].clone(),
                    consensus: self.consensus[m].clone(),
                })
                .collect();
            let file = NodeFile {
                moniker: format!("{name}-n{n}"),
                genesis: format!("{up}/{genesis}").into(),
                network: format!("{up}/network.toml").into(),
                engine,
                service_listen: self.services[n].address.clone(),
                consensus_listen: self.consensus[n].address.clone(),
                peers,
                options: NodeOptions::default(),
            };
            std::fs::write(home.join("node.toml"), toml::to_string_pretty(&file)?)?;
            let text = key_text(key);
            caduceus_cli::write_private(&home.join("node.key"), text.as_bytes())?;
            homes.push(home);
        }
        Ok(homes)
    }
}

impl Layout {
    /// Makes a new network in a folder.
    ///
    /// # Errors
    /// When a file cannot be written or no port is free.
    pub fn create(root: &Path, spec: &NetworkSpec) -> anyhow::Result<Self> {
        caduceus_cli::create_private_dir(root)?;
        let time = now();
        let mut hospitals = Vec::new();
        let mut entries = Vec::new();
        let mut members = Vec::new();
        for name in &spec.hospitals {
            let (layout, entry) = hospital(root, name, spec, time)?;
            members.push(Member {
                hospital: layout.id,
                name: name.clone(),
                identity: layout.identity.public(),
                server: layout.server.public(),
                private_chain: layout.genesis.chain_id(),
                private_validators: layout.genesis.validators.clone(),
            });
            hospitals.push(layout);
            entries.push(entry);
        }
        let plan = ChainPlan::new(spec.alliance_validators, spec.alliance_engine())?;
        // The first validators are the hospitals' own, the others those of regulators.
        let operators = plan
            .keys
            .iter()
            .zip(&hospitals)
            .map(|(key, hospital)| Operator {
                validator: Address::of(&key.public()),
                hospital: hospital.id,
            })
            .collect();
        let proxies = plan
            .keys
            .iter()
            .map(|key| ProxyInfo {
                key: key.public(),
                validator: Address::of(&key.public()),
            })
            .collect();
        let app = AllianceGenesis {
            members,
            proxies,
            operators,
            // The day before counts too, so that what is told of the last hour holds just after midnight.
            params: spec
                .params
                .unwrap_or_else(|| Params::of_scheme(spec.scheme, Epoch(time.epoch().0 - 1))),
        };
        let genesis = Genesis {
            kind: ChainKind::Alliance,
            name: "alliance".to_owned(),
            time,
            validators: plan.validators()?,
            app: app.encode(),
        };
        std::fs::write(root.join("alliance.genesis"), encode(&genesis))?;
        let alliance = plan.write(
            &root.join("alliance"),
            "../..",
            "alliance",
            "alliance.genesis",
            spec.alliance_engine(),
        )?;
        let network = NetworkFile {
            index_scheme: spec.scheme.as_str().to_owned(),
            alliance: AllianceSection {
                genesis: "alliance.genesis".to_owned(),
                chain_id: genesis.chain_id().to_string(),
                nodes: {
                    // The first ones are the hospitals' own.
                    let mut nodes = plan.entries();
                    for (node, hospital) in nodes.iter_mut().zip(&hospitals) {
                        node.hospital = Some(hospital.name.clone());
                    }
                    nodes
                },
            },
            hospitals: entries,
        };
        network.save(&root.join("network.toml"))?;
        Ok(Self {
            root: root.to_path_buf(),
            network,
            genesis,
            alliance,
            hospitals,
        })
    }

    /// `network.toml`'s path.
    pub fn network_path(&self) -> PathBuf {
        self.root.join("network.toml")
    }
}

fn hospital(
    root: &Path,
    name: &str,
    spec: &NetworkSpec,
    time: TimeMillis,
) -> anyhow::Result<(HospitalLayout, HospitalEntry)> {
    let slug = slug(name);
    let home = root.join(&slug);
    let [identity, server, keys, index] = std::array::from_fn(|_| SecretKey::generate(&mut OsRng));
    let id = HospitalId::from_identity(&identity.public());
    let plan = ChainPlan::new(spec.private_validators, spec.engine)?;
    let app = PrivateGenesis {
        hospital: id,
        name: name.to_owned(),
        identity: identity.public(),
        server: server.public(),
        scheme: spec.scheme,
    };
    let genesis = Genesis {
        kind: ChainKind::Private,
        name: name.to_owned(),
        time,
        validators: plan.validators()?,
        app: app.encode(),
    };
    let genesis_file = format!("{slug}.genesis");
    std::fs::write(root.join(&genesis_file), encode(&genesis))?;
    let nodes = plan.write(
        &home.join("private"),
        "../../..",
        &slug,
        &genesis_file,
        spec.engine,
    )?;
    let ports = free_ports(2)?;
    let (server_address, keys_address) = (address(&server, ports[0])?, address(&keys, ports[1])?);
    for (folder, files) in [
        (
            "server",
            [("identity.key", &identity), ("server.key", &server)],
        ),
        ("keys", [("keys.key", &keys), ("index.key", &index)]),
    ] {
        caduceus_cli::create_private_dir(&home.join(folder))?;
        for (file, key) in files {
            write_key(&home.join(folder).join(file), key)?;
        }
    }
    let entry = HospitalEntry {
        name: name.to_owned(),
        id: id.to_string(),
        identity_key: identity.public().to_string(),
        former_identity_keys: Vec::new(),
        server: server_address.to_string(),
        keys: keys_address.to_string(),
        index_key: index.public().to_string(),
        chain_id: genesis.chain_id().to_string(),
        nodes: plan.entries(),
    };
    let layout = HospitalLayout {
        name: name.to_owned(),
        id,
        home,
        identity,
        server,
        keys,
        index,
        server_address,
        keys_address,
        nodes,
        genesis,
    };
    Ok((layout, entry))
}
