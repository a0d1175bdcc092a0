//! One cycle: kill under load, start again, wait until all is well.

use super::report::Report;
use crate::chaos::load::Load;
use crate::chaos::pack::{POLL, Pack};
use anyhow::{bail, ensure};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use std::time::{Duration, Instant};

/// Longest that a node may take from its start to its own commit at the tip.
const RECOVERY: Duration = Duration::from_secs(60);
/// How long a killed node stays away, milliseconds; each as likely.
const AWAY_MILLIS: [u64; 8] = [0, 0, 50, 50, 500, 500, 1_000, 3_000];
/// Chance that a node is killed again while it starts.
const AGAIN: f64 = 0.15;
/// Longest that submitters may be without anything in flight.
const IDLE: Duration = Duration::from_secs(20);

/// What is killed, and when.
pub(super) struct Cycles {
    rng: ChaCha20Rng,
}

/// A killed node on its way back.
struct Victim {
    node: usize,
    started: Instant,
    /// Its first answer after the start: the height that it had.
    had: Option<u64>,
    level: bool,
}

impl Cycles {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        Self { rng }
    }

    fn victims(&mut self, nodes: usize) -> Vec<usize> {
        let many = match self.rng.gen_range(0..100) {
            0..75 => 1,
            75..88 => 2,
            _ => nodes,
        };
        let mut all: Vec<usize> = (0..nodes).collect();
        all.shuffle(&mut self.rng);
        all.truncate(many);
        all
    }

    /// Kills some nodes under load and waits until they are back.
    ///
    /// # Errors
    /// When a node does not come back, or the chain stands still: then a promise is broken.
    pub(super) async fn one(
        &mut self,
        pack: &mut Pack,
        load: &Load,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        tokio::time::sleep(Duration::from_millis(self.rng.gen_range(50..1_000))).await;
        let victims = self.victims(pack.nodes());
        ensure!(load.has_begun(IDLE).await, "clients have nothing in flight");
        let before = pack.heights().await.into_iter().flatten().max();
        tokio::time::sleep(Duration::from_micros(self.rng.gen_range(0..60_000))).await;
        ensure!(load.has_begun(IDLE).await, "clients have nothing in flight");
        let in_flight = load.in_flight();
        pack.kill_together(&victims);
        report.killed(victims.len(), pack.nodes(), in_flight);
        for node in &victims {
            load.set_live(*node, false);
        }
        let mut back = self.start_again(pack, load, report, victims).await?;
        let floor = before.unwrap_or(0).max(report.highest_seen);
        while back.iter().any(|victim| !victim.level) {
            tokio::time::sleep(POLL).await;
            look(pack, floor, &mut back, report).await?;
        }
        Ok(())
    }

    /// Starts killed nodes, each after its time.
    async fn start_again(
        &mut self,
        pack: &mut Pack,
        load: &Load,
        report: &mut Report,
        victims: Vec<usize>,
    ) -> anyhow::Result<Vec<Victim>> {
        let mut due: Vec<(Duration, usize)> = victims
            .into_iter()
            .map(|node| {
                let away = AWAY_MILLIS.choose(&mut self.rng).copied().unwrap_or(0);
                (Duration::from_millis(away), node)
            })
            .collect();
        due.sort_unstable();
        let killed = Instant::now();
        let mut back = Vec::new();
        for (after, node) in due {
            tokio::time::sleep_until((killed + after).into()).await;
            pack.spawn(node)?;
            if self.rng.gen_bool(AGAIN) {
                tokio::time::sleep(Duration::from_millis(self.rng.gen_range(0..250))).await;
                pack.kill(node);
                report.killed_again();
                pack.spawn(node)?;
            }
            load.set_live(node, true);
            back.push(Victim {
                node,
                started: Instant::now(),
                had: None,
                level: false,
            });
        }
        Ok(back)
    }
}

/// Marks those that have committed a height above the floor and are level with all others.
async fn look(
    pack: &mut Pack,
    floor: u64,
    back: &mut [Victim],
    report: &mut Report,
) -> anyhow::Result<()> {
    // Asked twice: who is level now with the first answers of the others has caught up.
    let first = pack.heights().await;
    let second = pack.heights().await;
    report.seen(second.iter().flatten().copied().max().unwrap_or(0));
    for victim in back.iter_mut().filter(|victim| !victim.level) {
        let others = first.iter().enumerate().filter(|(n, _)| *n != victim.node);
        let tip = others.filter_map(|(_, height)| *height).max().unwrap_or(0);
        let height = second[victim.node];
        let had = victim.had.or(height);
        victim.had = had;
        if height > had && height > Some(floor) && height >= Some(tip) {
            victim.level = true;
            report.recovered(victim.started.elapsed());
            continue;
        }
        if let Some(status) = pack.ended(victim.node) {
            let words = pack.last_words(victim.node, 3);
            bail!("node {} ended ({status}): {words}", victim.node);
        }
        ensure!(
            victim.started.elapsed() < RECOVERY,
            "node {} is not level after {} s: heights {second:?}; its last words: {}",
            victim.node,
            RECOVERY.as_secs(),
            pack.last_words(victim.node, 3)
        );
    }
    Ok(())
}
