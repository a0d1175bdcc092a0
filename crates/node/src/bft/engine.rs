//! Starts Malachite and keeps it running.

use super::app::{App, Ended};
use super::codec::BorshCodec;
use super::context::{BftAddress, Ctx};
use super::signer::{ChainVerifier, GuardedSigner};
use super::signing::Signing;
use crate::chain::Chain;
use crate::guard::Guard;
use crate::node::{BftSettings, NodeError};
use caduceus_crypto::SecretKey;
use caduceus_ledger::Address;
use malachitebft_app_channel::app::config::{
    ConsensusConfig, DiscoveryConfig, GossipSubConfig, NodeConfig, P2pConfig, ProtocolNames,
    PubSubProtocol, ValueSyncConfig,
};
use malachitebft_app_channel::app::types::Keypair;
use malachitebft_app_channel::app::types::codec::Codec;
use malachitebft_app_channel::{
    Channels, ConsensusContext, EngineBuilder, EngineHandle, NetworkContext, NetworkIdentity,
    RequestContext, SyncContext, WalContext,
};
use malachitebft_signing::Signer;
use multiaddr::Multiaddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// How consensus is doing. A process that lives may still make no progress; this says so.
#[derive(Debug, Default)]
pub struct Progress {
    height: AtomicU64,
    round_height: AtomicU64,
    round: AtomicU64,
    misbehaviours: AtomicU64,
    observing: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Progress {
    pub(super) fn committed(&self, height: u64) {
        self.height.store(height, Ordering::Relaxed);
        self.trouble_is(None);
    }

    pub(super) fn round(&self, height: u64, round: u32) {
        self.round_height.store(height, Ordering::Relaxed);
        self.round.store(u64::from(round), Ordering::Relaxed);
    }

    pub(super) fn misbehaved(&self) {
        self.misbehaviours.fetch_add(1, Ordering::Relaxed);
    }

    fn trouble_is(&self, text: Option<String>) {
        *self.trouble.lock().expect("no holder of this lock panics") = text;
    }

    /// Height and round that consensus works on.
    pub fn working_on(&self) -> (u64, u64) {
        (
            self.round_height.load(Ordering::Relaxed),
            self.round.load(Ordering::Relaxed),
        )
    }

    /// Heights at which the engine saw validators misbehave.
    pub fn misbehaviours(&self) -> u64 {
        self.misbehaviours.load(Ordering::Relaxed)
    }

    /// Whether this validator only observes, because its guard refused a signature.
    pub fn observing(&self) -> bool {
        self.observing.load(Ordering::Relaxed)
    }

    /// Why consensus stopped, if it did.
    pub fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }
}

/// All that the engine runs on.
#[derive(Clone)]
pub struct Run {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The validator key.
    pub key: SecretKey,
    /// The last-signed guard of that key.
    pub guard: Arc<Mutex<Guard>>,
    /// Which signer it gets.
    pub signing: Signing,
    /// The node's folder.
    pub home: PathBuf,
    /// The node's name.
    pub moniker: String,
    /// Where to report.
    pub progress: Arc<Progress>,
    /// The other nodes on the consensus swarm, as the operator names them now.
    pub peers: Arc<watch::Sender<Vec<Multiaddr>>>,
}

#[derive(Clone)]
struct Config {
    moniker: String,
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl NodeConfig for Config {
    fn moniker(&self) -> &str {
        &self.moniker
    }

    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }

    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }

    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }

    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

impl Run {
    /// Runs the engine until told to stop. When the guard refuses a signature, the node observes until the
    /// height in question has passed and then votes again.
    pub async fn supervise(self, mut settings: BftSettings, mut stop: watch::Receiver<bool>) {
        let mut observe_until = 0;
        while !*stop.borrow() {
            let refused = Arc::new(AtomicBool::new(false));
            self.progress
                .observing
                .store(observe_until > 0, Ordering::Relaxed);
            settings.peers = self.peers.borrow().clone();
            let (channels, handle) = match self
                .start(&settings, observe_until > 0, refused.clone())
                .await
            {
                Ok(started) => started,
                Err(error) => {
                    tracing::error!(%error, moniker = self.moniker, "the consensus engine does not start");
                    self.progress.trouble_is(Some(error.to_string()));
                    if wait(&mut stop, Duration::from_secs(2)).await {
                        return;
                    }
                    continue;
                }
            };
            let me = Address::of(&self.key.public());
            let mut app = App::new(
                self.chain.clone(),
                me,
                self.progress.clone(),
                refused.clone(),
            );
            let following = tokio::spawn(super::peers::follow(
                channels.net_requests.clone(),
                self.peers.subscribe(),
                settings.peers.clone(),
            ));
            let mut ended = app.run(channels, &mut stop, observe_until).await;
            following.abort();
            // A refused signature stops the engine too, and may be noticed that way first.
            if matches!(ended, Ended::EngineGone) && refused.load(Ordering::SeqCst) {
                ended = Ended::Refused;
            }
            handle.actor.stop(None);
            // After a safety hang the engine never completes; it holds nothing that a new one needs but its log.
            let _ = tokio::time::timeout(Duration::from_secs(3), handle.handle).await;
            match ended {
                Ended::Stopped => return,
                Ended::Refused => {
                    let signed = self
                        .guard
                        .lock()
                        .expect("no holder of this lock panics")
                        .height();
                    observe_until = if self.chain.tip().height.0 >= signed {
                        0
                    } else {
                        signed
                    };
                    tracing::warn!(
                        moniker = self.moniker,
                        observe_until,
                        "restarting the consensus engine"
                    );
                }
                Ended::EngineGone => {
                    tracing::error!(
                        moniker = self.moniker,
                        "the consensus engine stopped; restarting it"
                    );
                    self.progress.trouble_is(Some(
                        "the consensus engine stopped and was restarted".to_owned(),
                    ));
                    if wait(&mut stop, Duration::from_millis(500)).await {
                        return;
                    }
                }
                Ended::Fatal(error) if error.may_pass() => {
                    tracing::error!(%error, moniker = self.moniker, "a decided block could not be written; trying again");
                    self.progress.trouble_is(Some(error.to_string()));
                    if wait(&mut stop, Duration::from_secs(2)).await {
                        return;
                    }
                }
                Ended::Fatal(error) => {
                    // Going on could only make it worse: the operator validates the store first.
                    tracing::error!(%error, moniker = self.moniker, "a decided block cannot be committed");
                    self.progress.trouble_is(Some(error.to_string()));
                    return;
                }
            }
        }
    }

    async fn start(
        &self,
        settings: &BftSettings,
        observe: bool,
        refused: Arc<AtomicBool>,
    ) -> Result<(Channels<Ctx>, EngineHandle), NodeError> {
        let fail = |e: String| NodeError::Engine(e);
        let chain = self.chain.id();
        let signer = GuardedSigner {
            chain,
            key: self.key.clone(),
            guard: self.guard.clone(),
            refused,
        };
        let keypair = keypair(&self.key)?;
        let public = self.key.public();
        let address = if observe {
            Address([0xff; 20])
        } else {
            Address::of(&public)
        };
        let identity = if observe {
            NetworkIdentity::new(self.moniker.clone(), keypair, None)
        } else {
            let peer = keypair.public().to_peer_id().to_bytes();
            let proof = signer
                .sign_validator_proof(public.as_bytes().to_vec(), peer)
                .await
                .map_err(|e| fail(e.to_string()))?;
            let bytes = BorshCodec.encode(&proof).map_err(|e| fail(e.to_string()))?;
            NetworkIdentity::new_validator(
                self.moniker.clone(),
                keypair,
                address.to_string(),
                bytes,
            )
        };
        let verifier = Box::new(ChainVerifier { chain });
        let consensus = if observe {
            ConsensusContext::new_full_node(BftAddress(address), verifier)
        } else {
            let signer = self.signing.signer(signer, chain, &self.key);
            ConsensusContext::new_validator(BftAddress(address), verifier, signer)
        };
        let log = self.home.join("wal").join("consensus.wal");
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(|e| fail(e.to_string()))?;
        }
        EngineBuilder::new(Ctx, self.config(settings))
            .with_default_wal(WalContext::new(log, BorshCodec))
            .with_default_network(NetworkContext::new(identity, BorshCodec))
            .with_default_sync(SyncContext::new(BorshCodec))
            .with_default_consensus(consensus)
            .with_default_request(RequestContext::new(16))
            .build()
            .await
            .map_err(|e| fail(e.to_string()))
    }

    fn config(&self, settings: &BftSettings) -> Config {
        let chain = self.chain.id().0.short();
        let p2p = P2pConfig {
            listen_addr: settings.listen.clone(),
            persistent_peers: settings.peers.clone(),
            persistent_peers_only: true,
            discovery: DiscoveryConfig {
                enabled: false,
                // Many validators share one address on loopback; elsewhere the service swarm's limits apply.
                max_connections_per_ip: 200,
                ip_throttle_duration: Duration::ZERO,
                ..DiscoveryConfig::default()
            },
            // Explicit peering: a node that restarts under its peer id can publish at once (THREATS 1.6).
            protocol: PubSubProtocol::GossipSub(GossipSubConfig::new(
                6, 12, 4, 2, false, true, true,
            )),
            protocol_names: ProtocolNames {
                consensus: format!("/caduceus/{chain}/consensus/1"),
                sync: format!("/caduceus/{chain}/sync/1"),
                validator_proof: format!("/caduceus/{chain}/validator-proof/1"),
                ..ProtocolNames::default()
            },
            ..P2pConfig::default()
        };
        Config {
            moniker: self.moniker.clone(),
            consensus: ConsensusConfig {
                p2p,
                ..ConsensusConfig::default()
            },
            sync: ValueSyncConfig {
                status_update_interval: Duration::from_secs(1),
                batch_size: 20,
                parallel_requests: 20,
                ..ValueSyncConfig::default()
            },
        }
    }
}

/// The libp2p key pair of a validator key.
fn keypair(key: &SecretKey) -> Result<Keypair, NodeError> {
    let mut bytes = *key.to_bytes();
    let secret = libp2p_identity::secp256k1::SecretKey::try_from_bytes(&mut bytes)
        .map_err(|e| NodeError::Engine(e.to_string()))?;
    Ok(libp2p_identity::secp256k1::Keypair::from(secret).into())
}

async fn wait(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => *stop.borrow(),
        _ = stop.changed() => *stop.borrow(),
    }
}
