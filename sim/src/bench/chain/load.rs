//! What the hospitals link: private headers with certificates, and the leaves that they commit to.

use crate::layout::Layout;
use alliance_chain::{AnchorsExtra, Checkpoint, Link, Tx};
use anyhow::Context;
use caduceus_crypto::index::{IndexEntries, Tag};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::{AnchorLeaf, Hash, HospitalId, SecretKey, TimeMillis, domain, merkle};
use caduceus_ledger::{Address, Certificate, ChainId, ChainKind, Header, Height, Vote, VoteKind};
use caduceus_node::home::read_key;
use rand::RngCore;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rayon::prelude::*;

/// Bytes of an anchor transaction with so many tags, in a block (docs/design.md, section 5): variant, anchor, request
/// identifier, length.
fn anchor_bytes(tags: usize) -> usize {
    1 + 556 + 16 * tags + 16 + 4
}

/// Most anchors of a private block.
pub(super) fn largest_batch(tags: usize) -> u32 {
    (ChainKind::Private.max_block_bytes() / anchor_bytes(tags)) as u32
}

/// Private headers of one checkpoint: as many as one answer of a private node has.
const CHECKPOINT: usize = 256;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadSpec {
    pub(super) links: u32,
    pub(super) batch: u32,
    pub(super) tags: usize,
}

/// Transactions in the order in which they are to be submitted.
pub(super) struct Made {
    pub(super) checkpoints: Vec<Vec<u8>>,
    pub(super) links: Vec<Vec<u8>>,
}

struct Hospital {
    id: HospitalId,
    chain: ChainId,
    validators: Hash,
    keys: Vec<SecretKey>,
    time: TimeMillis,
    tip: Option<Header>,
}

/// The hospitals' growing private chains.
pub(super) struct Load {
    hospitals: Vec<Hospital>,
    rng: ChaCha20Rng,
}

impl Load {
    pub(super) fn new(layout: &Layout, seed: u64) -> anyhow::Result<Self> {
        let hospitals = layout
            .hospitals
            .iter()
            .map(|hospital| {
                let keys = hospital
                    .nodes
                    .iter()
                    .map(|home| read_key(&home.join("node.key")))
                    .collect::<Result<_, _>>()
                    .context("a private validator's key")?;
                Ok(Hospital {
                    id: hospital.id,
                    chain: hospital.genesis.chain_id(),
                    validators: hospital.genesis.validators.hash(),
                    keys,
                    time: hospital.genesis.time,
                    tip: None,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            hospitals,
            rng: ChaCha20Rng::seed_from_u64(seed),
        })
    }

    /// Makes private blocks with so many anchors in all, dealt over the hospitals in turn.
    pub(super) fn make(&mut self, spec: LoadSpec) -> anyhow::Result<Made> {
        let mut left = spec.links;
        let mut plan: Vec<(usize, u32)> = Vec::new();
        while left > 0 {
            let count = left.min(spec.batch);
            plan.push((plan.len() % self.hospitals.len(), count));
            left -= count;
        }
        let mut headers: Vec<Vec<Header>> = vec![Vec::new(); self.hospitals.len()];
        let mut links = Vec::new();
        for (h, count) in plan {
            let seeds: Vec<u64> = (0..count).map(|_| self.rng.next_u64()).collect();
            let leaves: Vec<AnchorLeaf> = seeds
                .into_par_iter()
                .map(|seed| leaf(seed, spec.tags))
                .collect();
            let header = self.hospitals[h].next(&leaves);
            links.push(
                Tx::Link(Link {
                    hospital: self.hospitals[h].id,
                    height: header.height,
                    leaves,
                })
                .encode(),
            );
            headers[h].push(header);
        }
        let mut checkpoints = Vec::new();
        for (hospital, headers) in self.hospitals.iter().zip(headers) {
            for chunk in headers.chunks(CHECKPOINT) {
                checkpoints.push(hospital.checkpoint(chunk)?);
            }
        }
        Ok(Made { checkpoints, links })
    }
}

/// A record as the alliance sees it: a one-time pseudonym, a hash, random tags.
fn leaf(seed: u64, tags: usize) -> AnchorLeaf {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut tags: Vec<Tag> = (0..tags)
        .map(|_| {
            let mut tag = [0; 16];
            rng.fill_bytes(&mut tag);
            Tag(tag)
        })
        .collect();
    tags.sort();
    let mut record_hash = Hash::ZERO;
    rng.fill_bytes(&mut record_hash.0);
    AnchorLeaf {
        pseudonym: Pseudonym {
            point: SecretKey::generate(&mut rng).public(),
            ephemeral: SecretKey::generate(&mut rng).public(),
            view_tag: record_hash.0[0],
        },
        record_hash,
        entries: IndexEntries::Tags(tags),
    }
}

impl Hospital {
    fn next(&mut self, leaves: &[AnchorLeaf]) -> Header {
        let encoded: Vec<Vec<u8>> = leaves.iter().map(AnchorLeaf::to_bytes).collect();
        let (height, parent, time) = self.tip.as_ref().map_or_else(
            || (Height(1), Hash::ZERO, TimeMillis(self.time.0 + 1)),
            |tip| (tip.height.next(), tip.hash(), TimeMillis(tip.time.0 + 1)),
        );
        let header = Header {
            chain: self.chain,
            height,
            time,
            proposer: Address::default(),
            parent,
            txs_root: Hash::ZERO,
            results_root: Hash::ZERO,
            state_root: Hash::ZERO,
            validators: self.validators,
            next_validators: self.validators,
            extra: AnchorsExtra {
                root: merkle::root(&encoded),
                count: leaves.len() as u32,
            }
            .to_bytes(),
        };
        self.tip = Some(header.clone());
        header
    }

    /// The headers, certified by all of the private chain's validators.
    fn checkpoint(&self, headers: &[Header]) -> anyhow::Result<Vec<u8>> {
        let last = headers.last().context("a checkpoint has a header")?;
        let block = last.hash();
        let vote = Vote {
            chain: self.chain,
            kind: VoteKind::Precommit,
            height: last.height,
            round: 0,
            block: Some(block),
        };
        let signatures = self
            .keys
            .iter()
            .map(|key| {
                (
                    Address::of(&key.public()),
                    key.sign(domain::VOTE, &vote.sign_bytes()),
                )
            })
            .collect();
        let tx = Tx::Checkpoint(Checkpoint {
            hospital: self.id,
            headers: headers.to_vec(),
            certificate: Certificate {
                height: last.height,
                round: 0,
                block,
                signatures,
            },
            next_validators: None,
        });
        Ok(tx.encode())
    }
}
