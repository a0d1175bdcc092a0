//! `sim chaos membership`: members, validators and keys change under load, and nothing that was acknowledged is lost.
//!
//! Real nodes over loopback sockets in this process: an alliance of four validators and three hospitals, and the
//! private chain of a fourth hospital. While submitters post transactions: a fifth alliance node follows and is voted
//! in; the hospital joins, its chain gets a fifth validator, its anchors are checkpointed and linked; it changes its
//! keys on both chains; one of the first four validators leaves, and one hospital. Then every node's store is compared
//! with what the submitters were told, and a light client goes from the genesis to the head.

mod chain;
mod hospital;
mod load;

use super::acknowledged::{AcknowledgedSet, Findings};
use crate::layout::{HospitalLayout, Layout, NetworkSpec};
use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use alliance_chain::proposal::Proposal;
use alliance_chain::{AllianceMachine, Change, Member, query};
use anyhow::{Context, ensure};
use caduceus_cli::{CliError, NetworkFile, Output};
use caduceus_crypto::{HospitalId, SecretKey};
use caduceus_ledger::light::Progress;
use caduceus_ledger::{Address, Height, LightClient, ValidatorSet, validators};
use caduceus_node::{Clock, Node, NodeHome, SystemClock};
use chain::Chain;
use clap::Args;
use hospital::Newcomer;
use load::Load;
use rand_core::OsRng;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a stopped node's store may be held.
const RELEASE: Duration = Duration::from_secs(10);

/// How much load.
#[derive(Debug, Args)]
pub struct MembershipArgs {
    /// Submitters that post transactions one after the other
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    submitters: u16,
}

/// What is printed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Transactions that a submitter was told are committed.
    acknowledged: usize,
    /// Of these, absent from a node.
    lost: usize,
    /// In a chain more than once.
    duplicated: usize,
    /// Elsewhere than told.
    misplaced: usize,
    /// Transactions without an answer.
    timed_out: usize,
    /// Transactions of the load that a rule refused.
    refused: usize,
    /// Voters of the alliance, step by step.
    validators: Vec<usize>,
    /// Voters of the private chain, step by step.
    private_validators: Vec<usize>,
    /// Members of the alliance, step by step.
    members: Vec<usize>,
    /// The fifth alliance node voted.
    joined_voted: bool,
    /// The fifth private node voted.
    private_joined_voted: bool,
    /// The validator that left goes on as a node that follows.
    left_followed: bool,
    /// Records of the hospital that joined, linked before and after its keys changed.
    linked: Vec<u64>,
    /// The server key before was taken in its grace, as were both new keys.
    rotated: bool,
    /// All nodes hold the same block at every height.
    heights_agree: bool,
    /// Heights from the genesis to the head, each certified by the voters that the one before named.
    light_client_followed: bool,
    /// Newest height of the alliance.
    height: u64,
    /// Seconds in all.
    wall_s: f64,
}

impl Report {
    /// Whether every promise was kept.
    fn holds(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.misplaced == 0
            && self.refused == 0
            && self.validators == [4, 5, 4]
            && self.private_validators == [4, 5]
            && self.members == [3, 4, 3]
            && self.joined_voted
            && self.private_joined_voted
            && self.left_followed
            && self.linked.len() == 2
            && self.rotated
            && self.heights_agree
            && self.light_client_followed
    }
}

/// Runs it and prints what came of it.
///
/// # Errors
/// Failure, when a step is not reached; verification failed, when a promise was broken.
pub async fn run(args: &MembershipArgs, output: &Output) -> Result<(), CliError> {
    let failed = |e: anyhow::Error| {
        CliError::failure(
            format!("the scenario stopped: {e:#}"),
            "run it again with -v to see more",
        )
    };
    let dir = tempfile::tempdir().map_err(|e| failed(e.into()))?;
    let report = play(dir.path(), args, output).await.map_err(failed)?;
    output.object(&report)?;
    if report.holds() {
        return Ok(());
    }
    Err(CliError::verification_failed(
        "a change of members broke a promise",
        "run it again with -v, and report the output",
    ))
}

/// The alliance and its members' keys.
struct Alliance {
    chain: Chain<AllianceNode>,
    network: NetworkFile,
    network_path: PathBuf,
}

impl Alliance {
    async fn start(layout: &Layout) -> anyhow::Result<Self> {
        let mut chain = Chain::new(layout.alliance.clone(), layout.genesis.clone()).await?;
        for home in layout.alliance.clone() {
            chain.nodes.push(start(&home, &layout.network).await?);
        }
        Ok(Self {
            chain,
            network: layout.network.clone(),
            network_path: layout.network_path(),
        })
    }

    fn node(&self, n: usize) -> &Arc<Node<AllianceMachine>> {
        &self.chain.nodes[n].node
    }

    fn voters(&self, n: usize) -> anyhow::Result<ValidatorSet> {
        Ok(validators(&self.node(n).chain().snapshot()?)?)
    }

    fn members(&self) -> anyhow::Result<Vec<Member>> {
        Ok(query::members(&self.node(1).chain().snapshot()?)?)
    }

    /// Number of changes so far.
    fn generation(&self) -> anyhow::Result<u64> {
        let snapshot = self.node(1).chain().snapshot()?;
        Ok(alliance_chain::state::generation().require(&snapshot)?)
    }

    /// Has every node read its folder and the network file again, as a hangup signal does.
    fn reload(&self) -> anyhow::Result<()> {
        self.network.save(&self.network_path)?;
        for (home, node) in self.chain.homes.iter().zip(&self.chain.nodes) {
            node.reload(&NodeHome::load(home)?, &self.network);
        }
        Ok(())
    }

    /// Proposes, approves and submits a change.
    async fn govern(
        &self,
        change: Change,
        approvers: &[(HospitalId, &SecretKey)],
    ) -> anyhow::Result<()> {
        let generation = self.generation()?;
        let mut proposal = Proposal::new(self.chain.genesis.chain_id(), generation, change);
        for (hospital, key) in approvers {
            proposal.approve(*hospital, key);
        }
        self.chain.submit(&proposal.to_tx().encode()).await?;
        // The node that answered may be ahead of the one that is read here.
        until("the change is on the chain", || {
            Ok(self.generation()? > generation)
        })
        .await
    }
}

async fn start(home: &Path, network: &NetworkFile) -> anyhow::Result<AllianceNode> {
    let config =
        AllianceNodeConfig::from_home(NodeHome::load(home)?, network, Arc::new(SystemClock));
    Ok(AllianceNode::start(config).await?)
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn approvers(hospitals: &[HospitalLayout]) -> Vec<(HospitalId, &SecretKey)> {
    hospitals
        .iter()
        .map(|hospital| (hospital.id, &hospital.identity))
        .collect()
}

async fn play(root: &Path, args: &MembershipArgs, output: &Output) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let say = |text: &str| output.note(&format!("{:6.1} s  {text}", begun.elapsed().as_secs_f64()));
    let layout = Layout::create(&root.join("network"), &NetworkSpec::default())?;
    let mut alliance = Alliance::start(&layout).await?;
    let mut newcomer = Newcomer::start(&root.join("newcomer"), &layout).await?;
    let acknowledged = Arc::new(AcknowledgedSet::default());
    let load = Load::start(
        &alliance.chain,
        &layout.hospitals[0],
        args.submitters.into(),
        acknowledged.clone(),
    )
    .await?;
    until("the load begins", || Ok(acknowledged.count() >= 20)).await?;
    say("four validators, three hospitals, load");
    let mut report_validators = vec![alliance.voters(1)?.count()];
    let mut report_members = vec![alliance.members()?.len()];

    // A fifth node follows, then votes.
    let home = alliance.chain.add_home()?;
    let fifth = start(&home, &alliance.network).await?;
    alliance.chain.nodes.push(fifth);
    alliance.reload()?;
    let tip = alliance.node(1).chain().tip().height;
    until("the fifth node catches up", || {
        Ok(alliance.node(4).chain().tip().height >= tip)
    })
    .await?;
    say("the fifth node has caught up");
    let five = alliance.chain.set_of(0..5)?;
    let members = approvers(&layout.hospitals);
    alliance
        .govern(Change::Validators(five.clone()), &members[..2])
        .await?;
    let joined = alliance.chain.address(4)?;
    until("the fifth validator votes", || {
        chain::signs(alliance.node(1), &joined)
    })
    .await?;
    report_validators.push(alliance.voters(1)?.count());
    say("the fifth validator votes");

    // A hospital joins and links; its own chain gets a fifth validator.
    alliance
        .govern(Change::Admit(newcomer.member()), &members[1..])
        .await?;
    report_members.push(alliance.members()?.len());
    alliance.network.hospitals.push(newcomer.entry());
    alliance.reload()?;
    newcomer.anchor(1, &newcomer.server()).await?;
    let mut linked = vec![newcomer.link(&alliance.chain).await?];
    say("a hospital joined, and its first record is linked");
    let mut private_validators = vec![newcomer.voters()?.count()];
    let private_joined_voted = newcomer.add_validator(&alliance.network).await?;
    private_validators.push(newcomer.voters()?.count());
    say("its chain has a fifth validator");

    // It changes its keys: on the alliance first, where others must approve, then on its own chain.
    let (identity, server) = (
        SecretKey::generate(&mut OsRng),
        SecretKey::generate(&mut OsRng),
    );
    let rotate = Change::Rotate {
        hospital: newcomer.id(),
        identity: identity.public(),
        server: server.public(),
    };
    alliance.govern(rotate, &members).await?;
    let old_server = newcomer.server();
    newcomer.rotate(identity, server).await?;
    // What the old server began arrives in its grace; the new one signs on.
    newcomer.anchor(2, &old_server).await?;
    newcomer.audit(1, &old_server).await?;
    newcomer.audit(2, &newcomer.server()).await?;
    newcomer.anchor(3, &newcomer.server()).await?;
    linked.push(newcomer.link(&alliance.chain).await?);
    let rotated = linked == [1, 3];
    say("its keys changed on both chains, and its records are linked on");

    // One of the first validators leaves, and one of the first hospitals.
    let four = alliance.chain.set_of(1..5)?;
    let mut all = members.clone();
    let (id, key) = (newcomer.id(), newcomer.identity());
    all.push((id, &key));
    alliance
        .govern(Change::Validators(four.clone()), &all[1..])
        .await?;
    alliance
        .govern(Change::Remove(layout.hospitals[2].id), &all[..3])
        .await?;
    report_validators.push(alliance.voters(1)?.count());
    report_members.push(alliance.members()?.len());
    let (left, at) = (
        alliance.chain.address(0)?,
        alliance.node(1).chain().tip().height,
    );
    let target = acknowledged.count() + 30;
    until("the load goes on", || Ok(acknowledged.count() >= target)).await?;
    until("the one that left follows", || {
        let node = alliance.node(0);
        Ok(node.chain().tip().height > at && !chain::signs(node, &left)?)
    })
    .await?;
    say("one validator and one hospital left");

    let refused = load.stop().await?;
    let tip = alliance.node(1).chain().tip().height;
    for n in 0..5 {
        until("all nodes come to the head", || {
            Ok(alliance.node(n).chain().tip().height >= tip)
        })
        .await?;
    }
    let followed = follow(alliance.node(4), &layout.genesis)?;
    let left_followed =
        alliance.node(0).chain().tip().height >= tip && !chain::signs(alliance.node(0), &left)?;
    newcomer.stop().await;
    for node in alliance.chain.nodes.drain(..) {
        node.stop().await;
    }
    alliance.chain.close().await;
    let findings = compare(&acknowledged, &alliance.chain.homes).await?;
    Ok(Report {
        acknowledged: findings.acknowledged,
        lost: findings.lost,
        duplicated: findings.duplicated,
        misplaced: findings.misplaced,
        timed_out: findings.timed_out,
        refused,
        validators: report_validators,
        private_validators,
        members: report_members,
        joined_voted: followed.signers.contains(&joined),
        private_joined_voted,
        left_followed,
        linked,
        rotated,
        heights_agree: findings.disagreeing.is_empty() && findings.missing_heights == 0,
        light_client_followed: followed.height >= tip,
        height: tip.0,
        wall_s: begun.elapsed().as_secs_f64(),
    })
}

/// Compares what was acknowledged with the stores of stopped nodes: tasks that end with a node may hold its store a
/// moment longer.
async fn compare(acknowledged: &AcknowledgedSet, homes: &[PathBuf]) -> anyhow::Result<Findings> {
    let deadline = Instant::now() + RELEASE;
    loop {
        match tokio::task::block_in_place(|| acknowledged.check(homes)) {
            Err(error) if Instant::now() < deadline => {
                tracing::debug!(%error, "the stores are not released yet");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            done => return done,
        }
    }
}

/// How far a light client came, and who signed on the way.
struct Followed {
    height: Height,
    signers: BTreeSet<Address>,
}

/// Goes from the genesis to a node's head, by steps that skip, and counts who signed on the way.
fn follow(
    node: &Node<AllianceMachine>,
    genesis: &caduceus_ledger::Genesis,
) -> anyhow::Result<Followed> {
    let client = LightClient::from_genesis(genesis);
    let tip = node.chain().tip().height;
    let snapshot = node.chain().snapshot()?;
    let light = |height: Height| {
        snapshot
            .light_block(height)?
            .with_context(|| format!("no light block at {height}"))
    };
    let mut way = client.toward(light(tip)?, SystemClock.now())?;
    while let Progress::Want(height) = way.advance()? {
        way.offer(light(height)?)?;
    }
    let mut signers = BTreeSet::new();
    for height in 1..=tip.0 {
        let signatures = light(Height(height))?.head.certificate.signatures;
        signers.extend(signatures.iter().map(|(address, _)| *address));
    }
    Ok(Followed {
        height: tip,
        signers,
    })
}
