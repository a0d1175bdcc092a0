//! `status`: asks a running node how it is doing.

use crate::OwnNode;
use caduceus_cli::{CliError, Output};
use caduceus_network::exchange::{Health, HealthReply};
use caduceus_node::NodeHome;
use serde::Serialize;

/// What is printed. Of a service without a chain, what consensus does is none.
#[derive(Serialize)]
struct Status {
    ready: bool,
    height: u64,
    head_time_ms: u64,
    /// `bft` or `solo`.
    engine: Option<String>,
    /// What consensus works on, as `HEIGHT/ROUND`.
    working_on: Option<String>,
    /// Voting power heard in that round, as `HEARD of TOTAL, NEEDED needed`.
    voting_power: Option<String>,
    /// Validators that were not heard in it.
    not_heard: Vec<String>,
    /// Peers connected to the service swarm.
    peers: Option<u32>,
    /// The node only observes until this height has passed.
    observing_until: Option<u64>,
    /// Heights and validators of whose misbehaviour the node keeps proof.
    misbehaviours: Option<u64>,
    /// Transactions that wait.
    waiting: Option<u64>,
    /// For how long there has been work and no height.
    stalled_s: Option<u64>,
    detail: String,
}

impl From<HealthReply> for Status {
    fn from(health: HealthReply) -> Self {
        let consensus = health.consensus.as_ref();
        Self {
            ready: health.ready,
            height: health.height,
            head_time_ms: health.head_time.0,
            engine: consensus.map(|c| c.engine.clone()),
            working_on: consensus.map(|c| format!("{}/{}", c.working_height, c.working_round)),
            voting_power: consensus.map(|c| {
                format!(
                    "{} of {}, {} needed",
                    c.power_heard, c.power_total, c.power_needed
                )
            }),
            not_heard: consensus
                .map(|c| c.silent.iter().map(|v| v.name.clone()).collect())
                .unwrap_or_default(),
            peers: consensus.map(|c| c.peers),
            observing_until: consensus.map(|c| c.observing_until).filter(|h| *h > 0),
            misbehaviours: consensus.map(|c| c.misbehaviours),
            waiting: consensus.map(|c| c.waiting),
            stalled_s: consensus.map(|c| c.stalled_seconds).filter(|s| *s > 0),
            detail: health.detail,
        }
    }
}

/// Asks the node of a folder, and prints what it says.
///
/// # Errors
/// Unreachable, naming the command of `program` that starts it.
pub async fn status(home: &NodeHome, program: &str, output: &Output) -> Result<(), CliError> {
    let node = OwnNode::of(home, program).await?;
    let health = node.call::<Health>(()).await?;
    output.object(&Status::from(health))
}
