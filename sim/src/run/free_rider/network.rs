//! The network of the scenario: an alliance of two validators, and what its members sign.

use crate::layout::{Layout, NetworkSpec};
use alliance_chain::genesis::{CreditPolicy, Params};
use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use alliance_chain::{AllianceMachine, Issuer, Search, Tx, query};
use anyhow::{Context, bail, ensure};
use caduceus_crypto::index::{Clause, Cover, CoverNode, QuarterCover, Query, Slots};
use caduceus_crypto::token::{MIN_MODULUS_BITS, TokenIssuer};
use caduceus_crypto::{Quarter, TimeMillis};
use caduceus_custody::token::blind;
use caduceus_ledger::Height;
use caduceus_node::home::EngineKind;
use caduceus_node::{Clock, Node, NodeHome, SystemClock};
use rand_core::{OsRng, RngCore};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::block_in_place;

/// The hospital that runs no validator.
pub(super) const FREE_RIDER: usize = 2;
/// Quarters that a search covers: ten years.
const QUARTERS: u16 = 40;
/// Slots of a search: about 3,650 leaves each.
const SLOTS: u8 = 4;
/// Probes that a search may make.
const MAX_PROBES: u64 = 20_000;
/// How long a transaction may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Network {
    /// Removed with the network.
    _folder: tempfile::TempDir,
    pub(super) layout: Layout,
    nodes: Vec<AllianceNode>,
    issuers: Vec<TokenIssuer>,
    today: Quarter,
}

impl Network {
    /// Starts it. Without `scarce` credits nobody ever gets into debt.
    pub(super) async fn start(scarce: bool) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let now: TimeMillis = SystemClock.now();
        let today = now.epoch().quarter();
        let first_epoch = Quarter(today.0 - QUARTERS).first();
        let standard = Params::standard(first_epoch);
        let params = Params {
            max_probes: MAX_PROBES,
            // The least that is allowed: two or three searches of this scenario.
            block_budget: Params {
                max_probes: MAX_PROBES,
                ..standard
            }
            .largest_search(),
            searches_per_day: u32::MAX,
            credits: CreditPolicy {
                opening: if scarce { 5 } else { 1_000_000 },
                // Two validators decide a block with three searches at the most.
                block: 10,
                ..CreditPolicy::standard()
            },
            ..standard
        };
        let spec = NetworkSpec {
            alliance_validators: 2,
            private_validators: 1,
            engine: EngineKind::Bft,
            params: Some(params),
            ..NetworkSpec::default()
        };
        let layout = Layout::create(&folder.path().join("network"), &spec)?;
        ensure!(layout.hospitals.len() == FREE_RIDER + 1, "three hospitals");
        let mut nodes = Vec::new();
        for home in &layout.alliance {
            let home = NodeHome::load(home)?;
            let config =
                AllianceNodeConfig::from_home(home, &layout.network, Arc::new(SystemClock));
            nodes.push(AllianceNode::start(config).await?);
        }
        let issuers = block_in_place(|| {
            (0..layout.hospitals.len())
                .into_par_iter()
                .map(|_| TokenIssuer::generate(&mut OsRng, MIN_MODULUS_BITS))
                .collect::<Result<Vec<_>, _>>()
        })?;
        Ok(Self {
            _folder: folder,
            layout,
            nodes,
            issuers,
            today,
        })
    }

    pub(super) async fn stop(&self) {
        for node in &self.nodes {
            node.stop().await;
        }
    }

    /// One of the nodes, the next one each time.
    pub(super) fn node(&self, turn: usize) -> &Arc<Node<AllianceMachine>> {
        &self.nodes[turn % self.nodes.len()].node
    }

    pub(super) fn height(&self) -> u64 {
        self.node(0).chain().tip().height.0
    }

    pub(super) async fn commit(&self, turn: usize, tx: Vec<u8>) -> anyhow::Result<u64> {
        let done = self.node(turn).submit_and_wait(tx, PATIENCE).await?;
        Ok(done.height.0)
    }

    pub(super) fn balance(&self, hospital: usize) -> anyhow::Result<i64> {
        let snapshot = self.node(0).chain().snapshot()?;
        let id = self.layout.hospitals[hospital].id;
        let (_, credit) = query::credits(&snapshot)?
            .into_iter()
            .find(|(record, _)| record.member.hospital == id)
            .context("the hospital is a member")?;
        Ok(credit.balance)
    }

    pub(super) async fn announce_tokens(&self) -> anyhow::Result<()> {
        for (hospital, issuer) in self.layout.hospitals.iter().zip(&self.issuers) {
            let body = Issuer {
                member: hospital.id,
                key: issuer.public().clone(),
            };
            let tx = Tx::Issuer(body.sign(&self.layout.genesis.chain_id(), &hospital.identity));
            self.commit(0, tx.encode()).await?;
        }
        Ok(())
    }

    /// The free rider's users search, one after the other, until it owes.
    pub(super) async fn run_up_debt(&self) -> anyhow::Result<()> {
        for turn in 0..100 {
            if self.balance(FREE_RIDER)? < 0 {
                return Ok(());
            }
            let tx = block_in_place(|| self.search(FREE_RIDER))?;
            self.commit(turn, tx).await?;
        }
        bail!("a hundred searches and no debt")
    }

    /// A search of ten years, for nothing that is there, under a fresh token of a hospital's issue.
    pub(super) fn search(&self, hospital: usize) -> anyhow::Result<Vec<u8>> {
        let issuer = &self.issuers[hospital];
        let pending = blind(&mut OsRng, issuer.public())?;
        let signed = issuer.sign_blinded(pending.blinded())?;
        let spendable = pending.finalize(&signed)?;
        let mut nonce = [0; 32];
        OsRng.fill_bytes(&mut nonce);
        let id = self.layout.hospitals[hospital].id;
        let body = Search {
            hospital: id,
            query: Query {
                clauses: vec![Clause {
                    negative: false,
                    slots: (0..SLOTS).collect(),
                }],
                slots: Slots::Tags((0..SLOTS).map(|_| self.cover()).collect()),
            },
            nonce,
            expires: Height(u64::MAX),
            chain: self.layout.genesis.chain_id(),
            issuer: id,
            token: spendable.token,
        };
        Ok(Tx::Search(body.sign(&spendable.key)).encode())
    }

    fn cover(&self) -> Cover {
        let first = self.today.0 - QUARTERS;
        let quarters = (first..self.today.0).map(|quarter| {
            let (mut salt, mut seed) = ([0; 16], [0; 16]);
            OsRng.fill_bytes(&mut salt);
            OsRng.fill_bytes(&mut seed);
            QuarterCover {
                quarter: Quarter(quarter),
                salt,
                nodes: vec![CoverNode {
                    depth: 0,
                    position: 0,
                    seed,
                }],
            }
        });
        Cover {
            quarters: quarters.collect(),
        }
    }
}
