//! `hospital-server serve`: the vault, the register, the audit log and the linker of one hospital.
//!
//! # Home
//!
//! | path | what |
//! |---|---|
//! | `identity.key`, `server.key` | the hospital's two keys |
//! | `server.toml` | settings; all have defaults |
//! | `vault/` | sealed records, each named by its hash |
//! | `vault-access.log` | what the vault gave and took, a line a call; earlier months beside it |
//! | `uploads/` | uploads in progress; emptied at start |
//! | `register.redb` | cards, records and receipts |
//! | `audit.redb` | audit entries on their way to the chain, and open actions; sealed |
//! | `audit-keys/` | keys of the retention buckets, wrapped by the server key; not for backups |
//! | `issuer.der` | the key that blindly signs search tokens |
//! | `linker.cursor` | a hint for the linker; may be deleted |
//!
//! # Leakage
//! The server learns cards, meta-addresses, who uploads for whom and when, and padded sizes; from alliance
//! nodes, which record is fetched when. It never sees plaintext or a keyword, and holds no index key.

mod access_file;
mod audit_log;
mod bucket_watch;
mod context;
mod from_home;
mod gate;
mod handlers;
mod linker;
mod register;
mod strangers;
mod uploads;
mod vault;

pub use self::audit_log::{
    AuditLog, AuditWriter, AuditWriterConfig, AuditWriterError, ChainDelivery, Deliver, Delivered,
    LogError, Logged,
};
pub use self::handlers::ROUTES;
pub use self::linker::LinkStatus;
pub use self::register::{MAX_DESK_TRIES, RegisterError, TOKENS_A_DAY};
pub use self::uploads::UploadError;
pub use self::vault::VaultError;
pub use crate::database::DatabaseFailure;

use crate::chain::ChainClient;
use crate::clock::Clock;
use crate::database::blocking;
use crate::journal::{ActionJournal, Journal};
use crate::network_map::{HospitalMap, MapError};
use crate::policies::Policies;
use crate::roster::Roster;
use access_file::{ACCESS_FILE, AccessFile};
use alliance_chain::AllianceGenesis;
use audit_log::index::AuditIndex;
use audit_log::ring::Ring;
use caduceus_cli::{CliError, NetworkFile, create_private_dir, read_limited, write_private_new};
use caduceus_client::{ClientError, Trust};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{SecretKey, TokenIssuer};
use caduceus_ledger::{ChainId, Genesis};
use caduceus_network::{Limits, Multiaddr, PeerAddr, Service, ServiceConfig, StartError};
use context::Context;
use linker::Linker;
use private_chain::PrivateGenesis;
use rand_core::OsRng;
use register::Register;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uploads::Uploads;
use vault::Vault;

/// Size of a new token key, bits.
const ISSUER_BITS: usize = 2048;
/// Largest token key file, bytes.
const MAX_ISSUER_BYTES: usize = 16 * 1024;
/// How long stopping waits for requests being handled.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// All that a server needs to start.
pub struct ServerConfig {
    /// Its folder; made if it does not exist.
    pub home: PathBuf,
    /// The network.
    pub network: NetworkFile,
    /// Genesis of the alliance chain; its hash must be the network file's.
    pub alliance_genesis: Genesis,
    /// Genesis of the hospital's private chain; its hash must be the network file's.
    pub private_genesis: Genesis,
    /// The hospital, by name or by the beginning of its identifier.
    pub hospital: String,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// The hospital's identity key: signs receipts and the token key.
    pub identity: SecretKey,
    /// The server key: peer identity, audit entries, vault receipts.
    pub server: SecretKey,
    /// What callers may take.
    pub limits: Limits,
    /// An independent account of what is done.
    pub journal: Option<Arc<dyn ActionJournal>>,
    /// The time.
    pub clock: Clock,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The network file does not serve.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A genesis is not the one that the network file names.
    #[error("the {which} genesis has chain id {found}, the network file says {expected}")]
    OtherChain {
        /// Which of the two.
        which: &'static str,
        /// What the network file says.
        expected: ChainId,
        /// What the genesis gives.
        found: ChainId,
    },
    /// The home has other keys than the network file names, or the private chain is another hospital's.
    #[error("the {which} key is not the one that the network file names")]
    OtherKey {
        /// Which of the two.
        which: &'static str,
    },
    /// A chain was made for another index scheme.
    #[error("the {which} genesis has index scheme {found}, the network file says {expected}")]
    OtherScheme {
        /// Which of the two.
        which: &'static str,
        /// What the network file says.
        expected: SchemeId,
        /// What the genesis says.
        found: SchemeId,
    },
    /// The alliance's genesis is not readable.
    #[error("the alliance genesis: {0}")]
    Alliance(#[from] alliance_chain::GenesisError),
    /// A file or folder of the home cannot be used.
    #[error("{0}")]
    Home(CliError),
    /// The register cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The audit index cannot be used.
    #[error(transparent)]
    Audit(#[from] DatabaseFailure),
    /// The bucket keys cannot be used.
    #[error(transparent)]
    Buckets(#[from] private_chain::audit_log::KeyError),
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Uploads cannot be taken.
    #[error(transparent)]
    Uploads(#[from] UploadError),
    /// The token key cannot be used.
    #[error("the token key: {0}")]
    Issuer(#[from] caduceus_crypto::token::TokenError),
    /// The network service does not start.
    #[error(transparent)]
    Service(#[from] StartError),
}

/// A running server. Dropping it without [`RunningServer::stop`] leaves its tasks to end by themselves.
pub struct RunningServer {
    service: Service,
    context: Arc<Context>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    links: watch::Receiver<LinkStatus>,
}

/// Starts a server.
///
/// # Errors
/// [`ServerError`] says what is in the way.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn start(config: ServerConfig) -> Result<RunningServer, ServerError> {
    let map = HospitalMap::read(&config.network, &config.hospital)?;
    check_keys(&config, &map)?;
    let home = config.home.clone();
    let private_chain = map.private_chain;
    let server_key = config.server.clone();
    let store = blocking(move || Store::open(&home, private_chain, &server_key)).await?;
    let service = Service::start(ServiceConfig {
        key: &config.server,
        listen: config.listen.clone(),
        limits: config.limits.clone(),
    })
    .await?;
    let client = |nodes: &[PeerAddr], genesis: &Genesis, file: &str| {
        let trust = Trust::kept_in(genesis, config.home.join(file))
            .map_err(|error| ServerError::Home(ClientError::Kept(error).into()))?
            .with_evidence_in(Some(config.home.clone()));
        let (service, clock) = (service.clone(), config.clock.clone());
        Ok::<_, ServerError>(ChainClient::new(service, nodes.to_vec(), trust, clock))
    };
    let chain = client(
        &map.private_nodes,
        &config.private_genesis,
        "trusted-private",
    )?;
    let alliance = client(
        &map.alliance_nodes,
        &config.alliance_genesis,
        "trusted-alliance",
    )?;
    let (stop, stopped) = watch::channel(false);
    let policies = Policies::new(chain.clone());
    let writer = AuditWriter::with(
        (
            ChainDelivery::from(chain.clone()),
            config.server.clone(),
            config.clock.clone(),
        ),
        store.index.clone(),
        store.ring.clone(),
        policies.limits(),
    )?;
    let (log, writing) = writer.start(stopped.clone());
    let linker = Linker {
        hospital: map.hospital,
        private: chain.clone(),
        alliance: alliance.clone(),
        cursor_file: config.home.join("linker.cursor"),
        identity: config.identity.clone(),
        token_key: store.issuer.public().clone(),
    };
    let (links, linking) = linker.start(stopped.clone());
    let learning = policies.clone();
    let mut until = stopped.clone();
    let learning = tokio::spawn(async move {
        tokio::select! {
            () = learning.learn_limits() => {}
            () = self::stopped(&mut until) => {}
        }
    });
    let forgetting = bucket_watch::start(chain.clone(), store.ring.clone(), stopped);
    let context = Arc::new(Context {
        map,
        identity: config.identity,
        server: config.server,
        issuer: store.issuer,
        service: service.clone(),
        roster: Roster::new(chain.clone()),
        policies,
        chain,
        alliance,
        register: store.register,
        vault: store.vault,
        accesses: store.accesses,
        uploads: store.uploads,
        ring: store.ring.clone(),
        log,
        journal: Journal(config.journal),
        gate: gate::Gate::default(),
        sessions: handlers::fetch_record::Sessions::default(),
        strangers: Mutex::new(strangers::Strangers::default()),
        receipt_callers: Mutex::new(strangers::Callers::default()),
        audit_callers: Mutex::new(strangers::Callers::default()),
        links: links.clone(),
        clock: config.clock,
    });
    handlers::serve(&service, &context);
    Ok(RunningServer {
        service,
        context,
        stop,
        tasks: vec![writing, linking, forgetting, learning],
        links,
    })
}

fn check_keys(config: &ServerConfig, map: &HospitalMap) -> Result<(), ServerError> {
    let chains = [
        ("alliance", map.alliance_chain, &config.alliance_genesis),
        ("private", map.private_chain, &config.private_genesis),
    ];
    for (which, expected, genesis) in chains {
        let found = genesis.chain_id();
        if found != expected {
            return Err(ServerError::OtherChain {
                which,
                expected,
                found,
            });
        }
    }
    let own = PrivateGenesis::decode(&config.private_genesis.app);
    let own = own.map_err(|_| ServerError::OtherKey { which: "identity" })?;
    // The genesis has the first keys, the network file those of now: which of them count, the chain says.
    if map.identity != config.identity.public() || own.hospital != map.hospital {
        return Err(ServerError::OtherKey { which: "identity" });
    }
    if map.server_key != config.server.public() {
        return Err(ServerError::OtherKey { which: "server" });
    }
    let alliance = AllianceGenesis::decode(&config.alliance_genesis.app)?;
    same_scheme("private", map.index_scheme, own.scheme)?;
    same_scheme("alliance", map.index_scheme, alliance.params.scheme)
}

/// What the server takes in has to pass both chains: with two schemes it would be stored and never linked.
fn same_scheme(
    which: &'static str,
    expected: SchemeId,
    found: SchemeId,
) -> Result<(), ServerError> {
    if found == expected {
        return Ok(());
    }
    Err(ServerError::OtherScheme {
        which,
        expected,
        found,
    })
}

/// What the home holds.
struct Store {
    register: Register,
    vault: Vault,
    accesses: AccessFile,
    uploads: Uploads,
    ring: Ring,
    index: AuditIndex,
    issuer: Arc<TokenIssuer>,
}

impl Store {
    fn open(home: &Path, private_chain: ChainId, server: &SecretKey) -> Result<Self, ServerError> {
        create_private_dir(home).map_err(ServerError::Home)?;
        // The databases first: their locks keep a second process from emptying the uploads of this one.
        let register = Register::open(&home.join("register.redb"))?;
        let index = AuditIndex::open(&home.join("audit.redb"), private_chain)?;
        Ok(Self {
            register,
            vault: Vault::open(&home.join("vault"))?,
            accesses: AccessFile::open(home).map_err(|source| VaultError::Disk {
                path: home.join(ACCESS_FILE),
                source,
            })?,
            uploads: Uploads::open(&home.join("uploads"))?,
            ring: Ring::open(&home.join("audit-keys"), server)?,
            index,
            issuer: Arc::new(token_issuer(&home.join("issuer.der"))?),
        })
    }
}

/// The token key of the home, drawn at the first start.
fn token_issuer(path: &Path) -> Result<TokenIssuer, ServerError> {
    if path.exists() {
        let der = zeroize::Zeroizing::new(
            read_limited(path, MAX_ISSUER_BYTES).map_err(ServerError::Home)?,
        );
        return Ok(TokenIssuer::from_der(&der)?);
    }
    let issuer = TokenIssuer::generate(&mut OsRng, ISSUER_BITS)?;
    write_private_new(path, &issuer.to_der()?).map_err(ServerError::Home)?;
    Ok(issuer)
}

/// Completes when the server stops, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

impl RunningServer {
    /// Its network service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Where it is reached; none if it does not listen.
    pub fn address(&self) -> Option<PeerAddr> {
        self.service.peer_address()
    }

    /// How far the chains are linked.
    pub fn link_status(&self) -> LinkStatus {
        self.links.borrow().clone()
    }

    /// Follows how far the chains are linked.
    pub fn watch_links(&self) -> watch::Receiver<LinkStatus> {
        self.links.clone()
    }

    /// Stops, and gives its files free: another server can start on the same home afterwards. Requests being
    /// handled get ten seconds to end.
    pub async fn stop(self) {
        self.service.shutdown().await;
        self.stop.send_replace(true);
        for task in self.tasks {
            // A task that panicked has ended as well.
            let _ = task.await;
        }
        let (context, log) = (Arc::downgrade(&self.context), self.context.log.clone());
        drop(self.context);
        let deadline = Instant::now() + STOP_PATIENCE;
        while context.strong_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What was answered is closed; the rest is entered as of unknown outcome at the next start.
        if let Err(error) = log.settle().await {
            tracing::warn!(%error, "actions that are done stay open");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    #[test]
    fn a_chain_of_another_scheme_is_told_in_two_lines() {
        assert!(same_scheme("private", SchemeId::Peks, SchemeId::Peks).is_ok());
        let Err(error) = same_scheme("private", SchemeId::Tags, SchemeId::Peks) else {
            panic!("the schemes differ");
        };
        let error = CliError::from(error);
        assert_eq!(error.exit, ExitCode::VerificationFailed);
        assert_eq!(
            error.to_string(),
            "error: the private genesis has index scheme peks, the network file says tags\n\
             try: use the home, the network file and the genesis of one hospital"
        );
    }
}
