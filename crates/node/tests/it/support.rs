//! A chain that appends words, and networks of nodes that run it.

use async_trait::async_trait;
use caduceus_crypto::{SecretKey, TimeMillis, domain, encode};
use caduceus_ledger::execute::VALIDATORS_KEY;
use caduceus_ledger::{
    Address, BlockContext, ChainKind, DecodedTx, Genesis, INDEX_KEY_BYTES, INDEX_VALUE_BYTES,
    Overlay, Rejection, Space, StateError, StateMachine, StateView, TxFailure, Validator,
    ValidatorSet,
};
use caduceus_network::Multiaddr;
use caduceus_node::bft::{Answer, Witness};
use caduceus_node::{
    BftSettings, Clock, Engine, Node, NodeConfig, NodeOptions, SystemClock, TxRelay, node::peer_id,
};
use std::any::Any;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a word begins with that changes the voters; the borsh of the set follows.
pub const VOTERS: &[u8] = b"voters:";

/// The word that makes these the voters.
pub fn voters_word(set: &ValidatorSet) -> Vec<u8> {
    [VOTERS, &encode(set)].concat()
}

/// The word that makes these validators vote from the next height on, with these powers.
pub fn voters(powers: &[(u8, u64)]) -> Vec<u8> {
    let of = |(n, power): &(u8, u64)| Validator {
        key: key(*n).public(),
        power: *power,
    };
    voters_word(&ValidatorSet::new(powers.iter().map(of).collect()).unwrap())
}

/// Counts words; refuses the word "bad". The word "voters:" with the encoding of a set changes the voters.
pub struct Words;

impl StateMachine for Words {
    fn genesis(&self, _: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError> {
        state.put(Space::Auth, b"count", 0u64.to_le_bytes().to_vec());
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        Ok(Arc::new(tx.to_vec()))
    }

    fn execute(
        &self,
        _: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        let word = tx.content::<Vec<u8>>()?;
        if word == b"bad" {
            return Err(Rejection {
                rule: "bad_word",
                detail: "this word is refused".into(),
            }
            .into());
        }
        if let Some(set) = tx.content::<Vec<u8>>()?.strip_prefix(VOTERS) {
            state.put(Space::Auth, VALIDATORS_KEY, set.to_vec());
        }
        let old = state.get(Space::Auth, b"count")?.unwrap_or_default();
        let count = u64::from_le_bytes(old.try_into().unwrap_or_default()) + 1;
        state.put(Space::Auth, b"count", count.to_le_bytes().to_vec());
        let word = tx.content::<Vec<u8>>()?;
        state.put(
            Space::Auth,
            &[b"word ", word.as_slice()].concat(),
            word.clone(),
        );
        let mut row = [0u8; INDEX_KEY_BYTES];
        row[..8].copy_from_slice(&count.to_be_bytes());
        state.put(Space::Index, &row, vec![7; INDEX_VALUE_BYTES]);
        Ok(count.to_le_bytes().to_vec())
    }

    fn finish(
        &self,
        _: &BlockContext,
        _: &[Vec<u8>],
        _: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        Ok(Vec::new())
    }
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::VOTE, &[n], &[])
}

/// Voters of equal power.
pub fn equal_voters(members: impl IntoIterator<Item = u8>) -> ValidatorSet {
    let set = members.into_iter().map(|n| Validator {
        key: key(n).public(),
        power: 1,
    });
    ValidatorSet::new(set.collect()).unwrap()
}

pub fn genesis(validators: u8) -> Genesis {
    Genesis {
        kind: ChainKind::Private,
        name: "words".into(),
        time: TimeMillis(SystemClock.now().0 - 1000),
        validators: equal_voters(0..validators),
        app: Vec::new(),
    }
}

/// Ports that were free a moment ago.
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect()
}

#[derive(Default)]
pub struct Peers(pub Mutex<Vec<Option<Arc<Node<Words>>>>>);

struct Push {
    me: usize,
    peers: Arc<Peers>,
}

#[async_trait]
impl TxRelay for Push {
    async fn relay(&self, tx: Arc<Vec<u8>>) {
        let peers: Vec<_> = self.peers.0.lock().unwrap().clone();
        for (_, peer) in peers.into_iter().enumerate().filter(|(n, _)| *n != self.me) {
            if let Some(peer) = peer {
                // A peer that refuses says so in its own log.
                let _ = peer.take_relayed(tx.as_ref().clone());
            }
        }
    }
}

struct Ask {
    me: usize,
    peers: Arc<Peers>,
}

#[async_trait]
impl Witness for Ask {
    async fn ask(&self, of: Address) -> Vec<Answer> {
        let peers: Vec<_> = self.peers.0.lock().unwrap().clone();
        peers
            .into_iter()
            .enumerate()
            .filter(|(n, _)| *n != self.me)
            .filter_map(|(n, peer)| {
                let peer = peer?;
                Some(Answer {
                    witness: address(n as u8),
                    tip: peer.chain().tip().height.0,
                    vote: peer.last_vote(&of),
                })
            })
            .collect()
    }
}

pub fn address(n: u8) -> Address {
    Address::of(&key(n).public())
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub struct Net {
    pub genesis: Genesis,
    pub ports: Vec<u16>,
    pub peers: Arc<Peers>,
}

impl Net {
    pub fn new(validators: u8) -> Self {
        Self::with_guests(validators, 0)
    }

    /// Room for nodes that are no voters at first.
    pub fn with_guests(validators: u8, guests: u8) -> Self {
        let nodes = usize::from(validators + guests);
        let peers = Arc::new(Peers(Mutex::new(vec![None; nodes])));
        Self {
            genesis: genesis(validators),
            ports: free_ports(nodes),
            peers,
        }
    }

    /// Consensus addresses of these nodes, but for node `n` itself.
    pub fn addresses(&self, n: usize, known: impl IntoIterator<Item = usize>) -> Vec<Multiaddr> {
        known
            .into_iter()
            .filter(|m| *m != n)
            .map(|m| {
                let id = peer_id(&key(m as u8).public());
                format!("/ip4/127.0.0.1/tcp/{}/p2p/{id}", self.ports[m])
                    .parse()
                    .unwrap()
            })
            .collect()
    }

    pub async fn start(&self, root: &Path, n: usize) -> Arc<Node<Words>> {
        self.start_knowing(root, n, 0..self.ports.len()).await
    }

    pub async fn start_knowing(
        &self,
        root: &Path,
        n: usize,
        known: impl IntoIterator<Item = usize>,
    ) -> Arc<Node<Words>> {
        let node = self.open_knowing(root, n, known);
        node.set_witness(Arc::new(Ask {
            me: n,
            peers: self.peers.clone(),
        }));
        self.run(n, &node);
        node
    }

    /// Starts a node that was opened.
    pub fn run(&self, n: usize, node: &Arc<Node<Words>>) {
        self.peers.0.lock().unwrap()[n] = Some(node.clone());
        node.start_engine();
    }

    /// A node that is yet to be started, without witnesses.
    pub fn open_knowing(
        &self,
        root: &Path,
        n: usize,
        known: impl IntoIterator<Item = usize>,
    ) -> Arc<Node<Words>> {
        let peers = self.addresses(n, known);
        let listen = format!("/ip4/127.0.0.1/tcp/{}", self.ports[n])
            .parse()
            .unwrap();
        let node = Node::open(
            NodeConfig {
                home: root.join(format!("node{n}")),
                genesis: self.genesis.clone(),
                key: key(n as u8),
                moniker: format!("words-{}-{n}", self.ports[n]),
                engine: Engine::Bft(BftSettings { listen, peers }),
                clock: Arc::new(SystemClock),
                options: NodeOptions::default(),
            },
            Words,
        )
        .unwrap();
        node.set_relay(Arc::new(Push {
            me: n,
            peers: self.peers.clone(),
        }));
        node
    }

    /// Ends a node as a crash would.
    pub async fn kill(&self, n: usize) {
        let node = self.peers.0.lock().unwrap()[n].take().unwrap();
        node.kill_for_testing_only().await;
    }

    pub async fn stop(&self, n: usize) {
        let node = self.peers.0.lock().unwrap()[n].take().unwrap();
        node.stop().await;
    }
}
