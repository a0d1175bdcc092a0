//! Starts Malachite and keeps it running.

use super::app::{App, Ended};
use super::codec::BorshCodec;
use super::context::{BftAddress, Ctx};
use super::evidence::EvidenceFolder;
use super::progress::Progress;
use super::signer::{ChainVerifier, GuardedSigner};
use super::signing::Signing;
use super::wal::actor::{LogActor, Myself};
use super::wal::{Journal, Verdict, WalError};
use crate::chain::Chain;
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
    RequestContext, SyncContext,
};
use malachitebft_signing::Signer;
use multiaddr::Multiaddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

mod asking;

pub use asking::{Answer, Witness, Witnesses};
use asking::{Asking, UNTOLD};

/// Between an engine's end and the next one's start. A node that comes back under its peer identifier before its peers
/// have let go of the old connections is not heard by them (THREATS 1.6); 3 s were enough in every trial.
const LET_GO: Duration = Duration::from_secs(3);

/// Heights at which a node may not sign.
#[derive(Default)]
struct Barred {
    until: u64,
    why: String,
}

fn medium_trouble(error: &WalError) -> String {
    format!("nothing is signed until the disk takes writes again: {error}")
}

/// All that the engine runs on.
#[derive(Clone)]
pub struct Run {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The validator key.
    pub key: SecretKey,
    /// Which signer it gets.
    pub signing: Signing,
    /// Set before a stop that is to be as abrupt as a crash.
    pub killed: Arc<AtomicBool>,
    /// Whom to ask what this key signed.
    pub witnesses: Witnesses,
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
    fn myself(&self) -> Myself {
        Myself {
            chain: self.chain.id(),
            address: BftAddress(Address::of(&self.key.public())),
        }
    }

    /// Runs the engine until told to stop. A node that may not sign at a height observes until it has passed and
    /// then votes again. One that has not been told what it signed observes until it is.
    pub async fn supervise(self, settings: BftSettings, stop: watch::Receiver<bool>) {
        let mut asking = Some(Asking::start(self.clone()));
        self.keep_running(settings, stop, &mut asking).await;
        if let Some(asking) = asking {
            asking.end().await;
        }
    }

    async fn keep_running(
        &self,
        mut settings: BftSettings,
        mut stop: watch::Receiver<bool>,
        asking: &mut Option<Asking>,
    ) {
        let evidence = EvidenceFolder::of(&self.home);
        self.progress.misbehaved(evidence.count());
        if let Some(asking) = asking
            && asking.settle(&mut stop).await
        {
            return;
        }
        let mut barred = Barred::default();
        while !*stop.borrow() {
            if let Err(error) = self.chain.reread() {
                self.progress
                    .trouble_is(Some(format!("the store cannot be read: {error}")));
                if wait(&mut stop, Duration::from_secs(2)).await {
                    return;
                }
                continue;
            }
            let next = self.chain.tip().height.0 + 1;
            let (mut journal, verdict) = match self.open_journal(next) {
                Ok(opened) => opened,
                Err(error) => {
                    tracing::error!(%error, moniker = self.moniker, "the consensus log cannot be used");
                    self.progress.trouble_is(Some(medium_trouble(&error)));
                    if wait(&mut stop, Duration::from_secs(2)).await {
                        return;
                    }
                    continue;
                }
            };
            if let Some(finding) = &verdict.finding {
                tracing::warn!(moniker = self.moniker, finding, "the consensus log");
            }
            if barred.until < next {
                barred = Barred::default();
            }
            if verdict.observe_until > barred.until {
                barred = Barred {
                    until: verdict.observe_until,
                    why: verdict.finding.unwrap_or_default(),
                };
            }
            if let Some(told) = asking.as_ref().and_then(Asking::told) {
                let asked = told.weigh(&journal, next);
                if asked.until > barred.until {
                    if let Err(error) = tokio::task::block_in_place(|| journal.bar(asked.until)) {
                        self.progress.trouble_is(Some(medium_trouble(&error)));
                        if wait(&mut stop, Duration::from_secs(2)).await {
                            return;
                        }
                        continue;
                    }
                    barred = asked;
                }
                if let Some(done) = asking.take() {
                    done.end().await;
                }
            }
            let answered = asking.as_ref().map(Asking::answered).unwrap_or_default();
            if asking.as_ref().is_some_and(Asking::is_due) {
                self.progress.observe(u64::MAX, UNTOLD.to_owned());
            } else {
                self.progress.observe(barred.until, barred.why.clone());
            }
            let until = if asking.is_some() {
                u64::MAX
            } else {
                barred.until
            };
            if until > 0 {
                journal.observe();
            }
            let journal = Arc::new(Mutex::new(journal));
            let refused = Arc::new(AtomicBool::new(false));
            settings.peers = self.peers.borrow().clone();
            let (channels, handle) = match self
                .start(&settings, until > 0, refused.clone(), &journal)
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
            let mut app = App::new(
                self.chain.clone(),
                Address::of(&self.key.public()),
                self.progress.clone(),
                refused.clone(),
                EvidenceFolder::of(&self.home),
            );
            let following = tokio::spawn(super::peers::follow(
                channels.net_requests.clone(),
                self.peers.subscribe(),
                settings.peers.clone(),
            ));
            let mut ended = app.run(channels, &mut stop, until, &answered).await;
            following.abort();
            // A refused signature stops the engine too, and may be noticed that way first.
            if matches!(ended, Ended::EngineGone) && refused.load(Ordering::SeqCst) {
                ended = Ended::Refused;
            }
            let killed = self.killed.load(Ordering::SeqCst);
            if killed {
                handle.actor.kill();
            } else {
                handle.actor.stop(None);
                // After a safety hang the engine never completes.
                let _ = tokio::time::timeout(Duration::from_secs(3), handle.handle).await;
            }
            let (signed, replaying, failure) = {
                let mut journal = journal.lock().expect("no holder of this lock panics");
                // What is left of a hung engine can sign and write nothing more.
                journal.close();
                (
                    journal.height(),
                    journal.is_replaying(),
                    journal.failure().map(str::to_owned),
                )
            };
            match ended {
                Ended::Stopped => return,
                _ if killed => return,
                Ended::Passed => {}
                Ended::Refused => {
                    barred = Barred {
                        until: signed,
                        why: format!(
                            "observing until height {signed} has passed: the last-signed guard refused a signature there"
                        ),
                    };
                    tracing::warn!(moniker = self.moniker, signed, "a signature was refused");
                }
                Ended::EngineGone => {
                    let trouble = match failure {
                        Some(failure) => failure,
                        None if replaying => {
                            barred = Barred {
                                until: next,
                                why: format!(
                                    "observing until height {next} has passed: the consensus log could not be replayed"
                                ),
                            };
                            "the consensus engine stopped while it replayed its log".to_owned()
                        }
                        None => "the consensus engine stopped and was restarted".to_owned(),
                    };
                    tracing::error!(
                        moniker = self.moniker,
                        trouble,
                        "restarting the consensus engine"
                    );
                    self.progress.trouble_is(Some(trouble));
                }
                Ended::Fatal(error) if error.may_pass() => {
                    tracing::error!(%error, moniker = self.moniker, "a decided block could not be written; trying again");
                    self.progress.trouble_is(Some(error.to_string()));
                }
                Ended::Fatal(error) => {
                    // Going on could only make it worse: the operator validates the store first.
                    tracing::error!(%error, moniker = self.moniker, "a decided block cannot be committed");
                    self.progress.trouble_is(Some(error.to_string()));
                    return;
                }
            }
            if wait(&mut stop, LET_GO).await {
                return;
            }
        }
    }

    fn open_journal(&self, next: u64) -> Result<(Journal, Verdict), WalError> {
        let myself = self.myself();
        tokio::task::block_in_place(|| Journal::open(&self.home, next, &|entry| myself.read(entry)))
    }

    async fn start(
        &self,
        settings: &BftSettings,
        observe: bool,
        refused: Arc<AtomicBool>,
        journal: &Arc<Mutex<Journal>>,
    ) -> Result<(Channels<Ctx>, EngineHandle), NodeError> {
        let fail = |e: String| NodeError::Engine(e);
        let chain = self.chain.id();
        let myself = self.myself();
        let signer = GuardedSigner {
            myself,
            key: self.key.clone(),
            journal: journal.clone(),
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
        let log = LogActor::spawn(journal.clone(), myself)
            .await
            .map_err(|e| fail(e.to_string()))?;
        EngineBuilder::new(Ctx, self.config(settings))
            .with_custom_wal(log)
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
