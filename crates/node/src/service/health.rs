//! How a chain node is.

use crate::node::{Engine, Node};
use caduceus_crypto::TimeMillis;
use caduceus_ledger::{Address, StateMachine};
use caduceus_network::Service;
use caduceus_network::exchange::{
    ConsensusHealth, Health, HealthReply, MAX_SILENT, SilentValidator,
};
use std::sync::Arc;

/// Characters of the explanation.
const MAX_DETAIL: usize = 1000;

pub(super) fn serve<M: StateMachine>(
    service: &Service,
    node: &Arc<Node<M>>,
    program: &'static str,
) {
    let node = node.clone();
    let swarm = service.clone();
    service.serve::<Health, _, _>(
        |_| true,
        move |_, ()| {
            let (node, peers) = (node.clone(), swarm.connected_peers());
            async move { Ok(answer(&node, program, peers)) }
        },
    );
}

fn answer<M: StateMachine>(node: &Node<M>, program: &'static str, peers: usize) -> HealthReply {
    let chain = node.chain();
    let tip = chain.tip();
    let age = chain.now().0.saturating_sub(tip.time.0);
    let report = node.report();
    let silent: Vec<String> = report
        .silent
        .iter()
        .map(|address| name(node, address))
        .collect();
    let (height, round) = report.working_on;
    let mut parts: Vec<String> = report.trouble.iter().cloned().collect();
    parts.extend(node.snapshots().advice());
    if let Some(time) = report.stalled {
        let mut text = format!(
            "no new height for {} s: height {height} round {round}: {} of {} voting power heard in this round, {} needed",
            time.as_secs(),
            report.power_heard,
            report.power_total,
            report.power_needed()
        );
        if !silent.is_empty() {
            text.push_str(&format!("; not heard: {}", silent.join(", ")));
        }
        parts.push(text);
    }
    let ready = parts.is_empty() && age < caduceus_ledger::light::MAX_HEAD_AGE_MILLIS;
    let detail: String = parts.join("; ");
    HealthReply {
        program: program.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready,
        height: tip.height.0,
        head_time: TimeMillis(tip.time.0),
        detail: shortened(&detail, MAX_DETAIL),
        consensus: Some(ConsensusHealth {
            engine: match node.engine() {
                Engine::Solo => "solo".to_owned(),
                Engine::Bft(_) => "bft".to_owned(),
                Engine::Pow(_) => "pow".to_owned(),
            },
            working_height: height,
            working_round: u64::from(round),
            power_heard: report.power_heard,
            power_needed: report.power_needed(),
            power_total: report.power_total,
            silent: silent
                .into_iter()
                .take(MAX_SILENT)
                .map(|name| SilentValidator {
                    name: shortened(&name, 190),
                })
                .collect(),
            peers: u32::try_from(peers).unwrap_or(u32::MAX),
            observing_until: report.observing_until,
            misbehaviours: report.misbehaviours,
            waiting: chain.pooled() as u64,
            stalled_seconds: report.stalled.map_or(0, |time| time.as_secs()),
        }),
    }
}

/// A validator's address, and where it is on the network if that is known.
fn name<M: StateMachine>(node: &Node<M>, address: &Address) -> String {
    let voters = node.chain().next_validators();
    let peer = voters
        .iter()
        .find(|voter| voter.address() == *address)
        .map(|voter| crate::node::peer_id(&voter.key).to_string());
    let place = match (node.engine(), peer) {
        (Engine::Bft(settings), Some(peer)) => settings.peers.iter().find_map(|known| {
            let known = known.to_string();
            let at = known.strip_suffix(&peer)?.strip_suffix("/p2p/")?;
            Some(at.to_owned())
        }),
        _ => None,
    };
    match place {
        Some(place) => format!("{address} at {place}"),
        None => address.to_string(),
    }
}

/// At most so many bytes, cut between characters.
fn shortened(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
