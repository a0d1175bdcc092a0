//! The load: searches that wait for their block and are followed by another, and every hospital's private chain.

use super::network::{FREE_RIDER, Network};
use alliance_chain::{AnchorsExtra, Checkpoint, Link, Tx};
use caduceus_crypto::index::{IndexEntries, Tag};
use caduceus_crypto::{AnchorLeaf, Hash, Pseudonym, SecretKey, TimeMillis, domain, merkle};
use caduceus_ledger::{Address, Certificate, Header, Height, Vote, VoteKind};
use caduceus_node::{NodeHome, SubmitError};
use futures::future::join_all;
use rand_core::{OsRng, RngCore};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// Pause of a hospital between two private blocks.
const BETWEEN_BLOCKS: Duration = Duration::from_millis(250);

/// One transaction of a hospital's private chain.
pub(super) struct Linked {
    pub(super) hospital: usize,
    pub(super) took: Duration,
    /// Blocks decided from its submission to its own.
    pub(super) blocks: u64,
}

/// What became of it.
#[derive(Default)]
pub(super) struct Load {
    /// How long each search took, by hospital.
    pub(super) searches: [Vec<Duration>; FREE_RIDER + 1],
    pub(super) links: Vec<Linked>,
    pub(super) out_of_order: usize,
    pub(super) refused: usize,
}

impl Load {
    /// Runs for so long: this many searches at once by the free rider, and by each of the others.
    pub(super) async fn run(
        network: &Arc<Network>,
        riders: usize,
        others: usize,
        time: Duration,
    ) -> anyhow::Result<Self> {
        let end = Instant::now() + time;
        let mut searchers = Vec::new();
        for hospital in 0..=FREE_RIDER {
            let count = if hospital == FREE_RIDER {
                riders
            } else {
                others
            };
            for turn in 0..count {
                let task = search(network.clone(), hospital, turn, end);
                searchers.push(tokio::spawn(task));
            }
        }
        let linkers: Vec<_> = (0..=FREE_RIDER)
            .map(|hospital| tokio::spawn(link(network.clone(), hospital, end)))
            .collect();
        let mut load = Self::default();
        for outcome in join_all(searchers).await {
            let (hospital, waits, refused) = outcome??;
            load.searches[hospital].extend(waits);
            load.refused += refused;
        }
        for outcome in join_all(linkers).await {
            let (links, out_of_order) = outcome??;
            load.links.extend(links);
            load.out_of_order += out_of_order;
        }
        Ok(load)
    }
}

/// Searches again and again; gives how long each took, and how many were refused.
async fn search(
    network: Arc<Network>,
    hospital: usize,
    turn: usize,
    end: Instant,
) -> anyhow::Result<(usize, Vec<Duration>, usize)> {
    let (mut waits, mut refused) = (Vec::new(), 0);
    while Instant::now() < end {
        let tx = block_in_place(|| network.search(hospital))?;
        let begun = Instant::now();
        match network
            .node(turn)
            .submit_and_wait(tx, Duration::from_secs(120))
            .await
        {
            Ok(_) => waits.push(begun.elapsed()),
            Err(SubmitError::Rejected(_) | SubmitError::Full) => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((hospital, waits, refused))
}

/// Checkpoints and links one private block after the other, each with one record.
async fn link(
    network: Arc<Network>,
    hospital: usize,
    end: Instant,
) -> anyhow::Result<(Vec<Linked>, usize)> {
    let mut chain = PrivateChain::of(&network, hospital)?;
    let (mut links, mut out_of_order, mut last) = (Vec::new(), 0, 0);
    while Instant::now() < end {
        for tx in chain.next(&network, hospital) {
            let (begun, before) = (Instant::now(), network.height());
            let height = network.commit(hospital, tx).await?;
            out_of_order += usize::from(height < last);
            last = height;
            links.push(Linked {
                hospital,
                took: begun.elapsed(),
                blocks: height.saturating_sub(before),
            });
        }
        tokio::time::sleep(BETWEEN_BLOCKS).await;
    }
    Ok((links, out_of_order))
}

/// A hospital's private chain as its validator certifies it.
struct PrivateChain {
    key: SecretKey,
    parent: Hash,
    height: u64,
    time: TimeMillis,
}

impl PrivateChain {
    fn of(network: &Network, hospital: usize) -> anyhow::Result<Self> {
        let layout = &network.layout.hospitals[hospital];
        Ok(Self {
            key: NodeHome::load(&layout.nodes[0])?.key,
            parent: Hash([0x77; 32]),
            height: 0,
            time: layout.genesis.time,
        })
    }

    /// The checkpoint and the link of the next block.
    fn next(&mut self, network: &Network, hospital: usize) -> [Vec<u8>; 2] {
        let layout = &network.layout.hospitals[hospital];
        let leaf = leaf();
        self.height += 1;
        self.time = TimeMillis(self.time.0 + 1);
        let set = layout.genesis.validators.hash();
        let extra = AnchorsExtra {
            root: merkle::root(&[leaf.to_bytes()]),
            count: 1,
        };
        let header = Header {
            chain: layout.genesis.chain_id(),
            height: Height(self.height),
            time: self.time,
            proposer: Address::of(&self.key.public()),
            parent: self.parent,
            txs_root: Hash::ZERO,
            results_root: Hash::ZERO,
            state_root: Hash::ZERO,
            validators: set,
            next_validators: set,
            extra: extra.to_bytes(),
        };
        self.parent = header.hash();
        let certificate = self.certify(&header);
        let checkpoint = Tx::Checkpoint(Checkpoint {
            hospital: layout.id,
            headers: vec![header],
            certificate,
            next_validators: None,
        });
        let link = Tx::Link(Link {
            hospital: layout.id,
            height: Height(self.height),
            leaves: vec![leaf],
        });
        [checkpoint.encode(), link.encode()]
    }

    fn certify(&self, header: &Header) -> Certificate {
        let vote = Vote {
            chain: header.chain,
            kind: VoteKind::Precommit,
            height: header.height,
            round: 0,
            block: Some(header.hash()),
        };
        let signature = self.key.sign(domain::VOTE, &vote.sign_bytes());
        Certificate {
            height: header.height,
            round: 0,
            block: header.hash(),
            signatures: vec![(Address::of(&self.key.public()), signature)],
        }
    }
}

fn leaf() -> AnchorLeaf {
    let bytes = || {
        let mut bytes = [0; 32];
        OsRng.fill_bytes(&mut bytes);
        bytes
    };
    let mut tags: Vec<Tag> = (0..8)
        .map(|_| {
            let mut tag = [0; 16];
            tag.copy_from_slice(&bytes()[..16]);
            Tag(tag)
        })
        .collect();
    tags.sort();
    AnchorLeaf {
        pseudonym: Pseudonym {
            point: SecretKey::generate(&mut OsRng).public(),
            ephemeral: SecretKey::generate(&mut OsRng).public(),
            view_tag: bytes()[0],
        },
        record_hash: Hash(bytes()),
        entries: IndexEntries::Tags(tags),
    }
}
