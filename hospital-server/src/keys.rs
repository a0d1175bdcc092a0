//! `hospital-server keys`: the index key service of one hospital.
//!
//! It holds the hospital's index key h and the pair secrets of registered patients, and gives a quarter's key of
//! one patient to the member of staff who has her card, sealed to that person's own key. It believes nobody
//! about who is staff: it asks the private chain. Every key given out is in the hospital's audit log first.
//!
//! # Home
//!
//! | path | what |
//! |---|---|
//! | `keys.key` | the service's own key: peer identity; pair secrets are sealed to it |
//! | `index.key` | h: the hospital's index key |
//! | `keys.toml` | settings; all have defaults |
//! | `pairs.redb` | pair secrets and open actions, encrypted under a key derived from `keys.key` |
//!
//! # Leakage
//! It learns which member of staff has which card in front of her. With its home, an attacker can test keywords
//! against the records of this hospital.

mod deposit;
mod from_home;
mod give;
mod open;
mod pairs;

pub use self::pairs::PairsError;
pub use crate::database::DatabaseFailure;

use crate::chain::ChainClient;
use crate::clock::Clock;
use crate::database::blocking;
use crate::journal::{ActionJournal, Journal};
use crate::key_file::{read_key, write_key};
use crate::network_map::{HospitalMap, MapError};
use crate::policies::Policies;
use crate::roster::Roster;
use crate::serving::add;
use caduceus_cli::{CliError, NetworkFile, create_private_dir};
use caduceus_client::{ClientError, Trust};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{PublicKey, SecretKey, TimeMillis};
use caduceus_custody::index_key::IndexKeyService;
use caduceus_ledger::{ChainId, Genesis};
use caduceus_network::exchange::{DepositPairSecret, Health, HealthReply, IndexKey};
use caduceus_network::{
    Limits, Multiaddr, Peer, PeerAddr, Refused, Service, ServiceConfig, StartError,
};
use pairs::Pairs;
use private_chain::PrivateGenesis;
use rand_core::OsRng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long stopping waits for requests being handled.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// All that a key service needs to start.
pub struct KeysConfig {
    /// Its folder.
    pub home: PathBuf,
    /// The network.
    pub network: NetworkFile,
    /// Genesis of the hospital's private chain; its hash must be the network file's.
    pub private_genesis: Genesis,
    /// The hospital, by name or by the beginning of its identifier.
    pub hospital: String,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// The service's own key: peer identity; pair secrets are sealed to it.
    pub key: SecretKey,
    /// h: the hospital's index key.
    pub index_key: SecretKey,
    /// What callers may take.
    pub limits: Limits,
    /// An independent account of what is done.
    pub journal: Option<Arc<dyn ActionJournal>>,
    /// The time.
    pub clock: Clock,
}

/// What the network file has to say of a key service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysPublic {
    /// The key of `keys.key`: names the peer.
    pub service: PublicKey,
    /// I: the public index key.
    pub index: PublicKey,
}

/// Why a key service does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The network file does not serve.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The genesis is not the one that the network file names.
    #[error("the private genesis has chain id {found}, the network file says {expected}")]
    OtherChain {
        /// What the network file says.
        expected: ChainId,
        /// What the genesis gives.
        found: ChainId,
    },
    /// A key of the home is not the one of the network file.
    #[error("the {which} key is not the one of the network file")]
    OtherKey {
        /// Which of the two.
        which: &'static str,
    },
    /// The private chain was made for another index scheme.
    #[error("the private genesis has index scheme {found}, the network file says {expected}")]
    OtherScheme {
        /// What the network file says.
        expected: SchemeId,
        /// What the genesis says.
        found: SchemeId,
    },
    /// The private chain's genesis is not readable.
    #[error("the private genesis: {0}")]
    Genesis(#[from] private_chain::GenesisError),
    /// A file or folder of the home cannot be used.
    #[error("{0}")]
    Home(CliError),
    /// The pair secrets cannot be used.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// The network service does not start.
    #[error(transparent)]
    Service(#[from] StartError),
}

/// Makes a home with fresh keys, or reads the keys of one that exists.
///
/// # Errors
/// [`KeysError::Home`].
pub fn init(home: &Path) -> Result<KeysPublic, KeysError> {
    create_private_dir(home).map_err(KeysError::Home)?;
    let mut public = Vec::with_capacity(2);
    for path in [service_key_path(home), index_key_path(home)] {
        if !path.exists() {
            write_key(&path, &SecretKey::generate(&mut OsRng)).map_err(KeysError::Home)?;
        }
        public.push(read_key(&path).map_err(KeysError::Home)?.public());
    }
    Ok(KeysPublic {
        service: public[0],
        index: public[1],
    })
}

fn service_key_path(home: &Path) -> PathBuf {
    home.join("keys.key")
}

fn index_key_path(home: &Path) -> PathBuf {
    home.join("index.key")
}

/// What the handlers share.
struct Context {
    map: HospitalMap,
    key: SecretKey,
    index: IndexKeyService,
    pairs: Pairs,
    live: open::Live,
    roster: Roster,
    policies: Policies,
    service: Service,
    journal: Journal,
    clock: Clock,
}

impl Context {
    fn now(&self) -> TimeMillis {
        (self.clock)()
    }
}

/// A running key service.
pub struct RunningKeys {
    service: Service,
    context: Arc<Context>,
}

/// Starts a key service.
///
/// # Errors
/// [`KeysError`] says what is in the way.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn start(config: KeysConfig) -> Result<RunningKeys, KeysError> {
    let map = HospitalMap::read(&config.network, &config.hospital)?;
    let (expected, found) = (map.private_chain, config.private_genesis.chain_id());
    if expected != found {
        return Err(KeysError::OtherChain { expected, found });
    }
    let genesis = PrivateGenesis::decode(&config.private_genesis.app)?;
    let (expected, found) = (map.index_scheme, genesis.scheme);
    if expected != found {
        return Err(KeysError::OtherScheme { expected, found });
    }
    let (key, index) = (config.key, config.index_key);
    if key.public() != map.keys_key {
        return Err(KeysError::OtherKey { which: "service" });
    }
    if index.public() != map.index_key {
        return Err(KeysError::OtherKey { which: "index" });
    }
    create_private_dir(&config.home).map_err(KeysError::Home)?;
    let (path, own) = (config.home.join("pairs.redb"), key.clone());
    let pairs = blocking(move || Pairs::open(&path, &own)).await?;
    let service = Service::start(ServiceConfig {
        key: &key,
        listen: config.listen,
        limits: config.limits,
    })
    .await?;
    let file = config.home.join("trusted-private");
    let trust = Trust::kept_in(&config.private_genesis, file)
        .map_err(|error| KeysError::Home(ClientError::Kept(error).into()))?
        .with_evidence_in(Some(config.home.clone()));
    let chain = ChainClient::new(
        service.clone(),
        map.private_nodes.clone(),
        trust,
        config.clock.clone(),
    );
    let context = Arc::new(Context {
        map,
        key,
        index: IndexKeyService::new(index),
        pairs,
        live: open::Live::default(),
        roster: Roster::new(chain.clone()),
        policies: Policies::new(chain),
        service: service.clone(),
        journal: Journal(config.journal),
        clock: config.clock,
    });
    tokio::spawn(open::enter_left(Arc::downgrade(&context)));
    let server = context.map.server_key;
    add::<_, DepositPairSecret, _, _>(
        &service,
        &context,
        move |peer| peer.holds(&server),
        deposit::answer,
    );
    add::<_, IndexKey, _, _>(&service, &context, |peer| peer.key.is_some(), give::answer);
    add::<_, Health, _, _>(&service, &context, |_| true, health);
    Ok(RunningKeys { service, context })
}

async fn health(_: Arc<Context>, _: Peer, (): ()) -> Result<HealthReply, Refused> {
    Ok(HealthReply {
        program: "hospital-server keys".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: true,
        height: 0,
        head_time: TimeMillis(0),
        detail: String::new(),
        consensus: None,
    })
}

impl RunningKeys {
    /// Its network service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Where it is reached; none if it does not listen.
    pub fn address(&self) -> Option<PeerAddr> {
        self.service.peer_address()
    }

    /// Stops, and gives its files free. Requests being handled get ten seconds to end.
    pub async fn stop(self) {
        self.service.shutdown().await;
        let context = Arc::downgrade(&self.context);
        drop(self.context);
        let deadline = Instant::now() + STOP_PATIENCE;
        while context.strong_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
