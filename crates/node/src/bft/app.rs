//! The application side of Malachite: answers each [`AppMsg`] as ENGINE_NOTES asks.
//!
//! Three rules shape it. A block's bytes are durable before consensus hears of the block. GetValue,
//! StartedRound and ReceivedProposalPart are answered at once, because the connector is serial. The answer to
//! `Finalized` is held while there is nothing to do: that is how blocks come on demand.

use super::context::{BftAddress, BftHeight, BftPart, BftValidatorSet, BftValue, Ctx};
use super::evidence::EvidenceFolder;
use super::heard::SignedVote;
use super::parts::{Assembled, Assembler, cut};
use super::progress::Progress;
use crate::chain::{Chain, CommitError};
use crate::node::{HEARTBEAT, peer_id};
use bytes::Bytes;
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::{Address, Block, BlockError, Certificate, Height, block::MAX_BLOCK_BYTES};
use malachitebft_app_channel::app::consensus::Input;
use malachitebft_app_channel::app::engine::host::{HeightParams, Next, SyncedValueOutcome};
use malachitebft_app_channel::app::streaming::StreamMessage;
use malachitebft_app_channel::app::types::core::{
    CommitCertificate, Context, ExtendedCommitCertificate, ExtendedCommitSignature, LinearTimeouts,
    Round, Validator, Validity,
};
use malachitebft_app_channel::app::types::sync::RawDecidedValue;
use malachitebft_app_channel::app::types::{
    LocallyProposedValue, ProposedValue, SignedConsensusMsg,
};
use malachitebft_app_channel::{AppMsg, Channels, NetworkMsg, Reply};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::Instant;

/// Heights ahead of the next one whose proposals are kept.
const EARLY_HEIGHTS: u64 = 2;
/// Blocks of one later height kept from one publisher.
const EARLY_BLOCKS: usize = 2;
/// Bytes of one answer to a syncing peer.
const SYNC_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Why the loop ended.
#[derive(Debug)]
pub enum Ended {
    /// Told to.
    Stopped,
    /// The guard refused a signature.
    Refused,
    /// The height that was to be observed has passed, or the others have told what this node signed.
    Passed,
    /// The engine closed its channel.
    EngineGone,
    /// A decided block could not be committed.
    Fatal(CommitError),
}

struct Hold {
    reply: Reply<Next<Ctx>>,
    until: Instant,
}

/// See the module.
pub struct App {
    chain: Arc<Chain>,
    me: Address,
    progress: Arc<Progress>,
    refused: Arc<AtomicBool>,
    evidence: EvidenceFolder,
    assembler: Assembler,
    early: BTreeMap<u64, Vec<Assembled>>,
    /// The block taken for each (height, round).
    judged: BTreeMap<(u64, u32), Hash>,
    hold: Option<Hold>,
    /// Highest height that another validator was heard to work on.
    heard: u64,
    synced: u64,
    streams: u64,
}

/// Timeouts measured to heal within 15 s (ENGINE_NOTES): Malachite's default cap of 60 s is too long.
fn timeouts() -> LinearTimeouts {
    LinearTimeouts {
        propose: Duration::from_millis(1000),
        propose_delta: Duration::from_millis(500),
        prevote: Duration::from_millis(300),
        prevote_delta: Duration::from_millis(300),
        precommit: Duration::from_millis(300),
        precommit_delta: Duration::from_millis(300),
        rebroadcast: Duration::from_secs(2),
        max_timeout: Duration::from_secs(5),
    }
}

impl App {
    pub fn new(
        chain: Arc<Chain>,
        me: Address,
        progress: Arc<Progress>,
        refused: Arc<AtomicBool>,
        evidence: EvidenceFolder,
    ) -> Self {
        // Stream identifiers must not repeat after a restart while peers still hold old parts.
        let streams = chain.now().0 << 16;
        Self {
            chain,
            me,
            progress,
            refused,
            evidence,
            assembler: Assembler::default(),
            early: BTreeMap::new(),
            judged: BTreeMap::new(),
            hold: None,
            heard: 0,
            synced: 0,
            streams,
        }
    }

    pub async fn run(
        &mut self,
        mut channels: Channels<Ctx>,
        stop: &mut watch::Receiver<bool>,
        observe_until: u64,
        answered: &AtomicBool,
    ) -> Ended {
        let mut events = channels.events.subscribe();
        let mut check = tokio::time::interval(Duration::from_millis(200));
        loop {
            let until = self
                .hold
                .as_ref()
                .map_or_else(|| Instant::now() + HEARTBEAT, |h| h.until);
            tokio::select! {
                message = channels.consensus.recv() => match message {
                    None => return Ended::EngineGone,
                    Some(message) => if let Err(error) = self.handle(message, &channels).await {
                        return Ended::Fatal(error);
                    },
                },
                event = events.recv() => {
                    use malachitebft_app_channel::app::engine::util::events::Event;
                    match event {
                        Ok(Event::Received(message)) => {
                            self.hear(message.height().0);
                            self.remember(message);
                        }
                        Ok(Event::WalReplayEntry(Input::Vote(vote))) => {
                            self.remember(SignedConsensusMsg::Vote(vote));
                        }
                        Ok(_) => {}
                        // Too many events to follow is activity as well.
                        Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => self.hear(self.next().0),
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ended::EngineGone,
                    }
                }
                () = self.chain.woken(), if self.hold.is_some() => {}
                () = tokio::time::sleep_until(until), if self.hold.is_some() => {}
                _ = check.tick() => {
                    if self.refused.load(Ordering::SeqCst) {
                        return Ended::Refused;
                    }
                    if answered.load(Ordering::SeqCst) {
                        return Ended::Passed;
                    }
                }
                _ = stop.changed() => {}
            }
            if *stop.borrow() {
                return Ended::Stopped;
            }
            if observe_until > 0 && self.chain.tip().height.0 >= observe_until {
                return Ended::Passed;
            }
            self.release();
        }
    }

    fn params(&self) -> HeightParams<Ctx> {
        HeightParams::new(
            BftValidatorSet::from(&self.chain.next_validators()),
            timeouts(),
            None,
        )
    }

    fn next(&self) -> BftHeight {
        BftHeight(self.chain.tip().height.0 + 1)
    }

    /// Notes that others work on a height. Messages are heard before they are verified, so a height far ahead
    /// counts for nothing: a liar can wake us, not keep us awake.
    fn hear(&mut self, height: u64) {
        if height <= self.next().0 + EARLY_HEIGHTS {
            self.heard = self.heard.max(height);
        }
    }

    /// Keeps a validator's newest vote.
    fn remember(&self, message: SignedConsensusMsg<Ctx>) {
        let SignedConsensusMsg::Vote(signed) = message else {
            return;
        };
        if signed.message.height.0 > self.next().0 + EARLY_HEIGHTS {
            return;
        }
        if let Some(vote) = signed.message.to_ledger(self.chain.id()) {
            let voter = signed.message.address.0;
            let signature = signed.signature;
            let vote = SignedVote {
                vote,
                voter,
                signature,
            };
            let voters = self.chain.next_validators();
            self.progress.hear(self.chain.id(), &voters, &vote);
        }
    }

    /// Starts the next height if there is a reason to.
    fn release(&mut self) {
        let Some(hold) = &self.hold else { return };
        let due = self.heard >= self.next().0
            || self.chain.waiting() > 0
            || self.early.contains_key(&self.next().0)
            || self.synced + 1 >= self.next().0
            || Instant::now() >= hold.until;
        if due && let Some(hold) = self.hold.take() {
            // If consensus no longer listens it is stopping.
            let _ = hold.reply.send(Next::Start(self.next(), self.params()));
        }
    }

    async fn handle(
        &mut self,
        message: AppMsg<Ctx>,
        channels: &Channels<Ctx>,
    ) -> Result<(), CommitError> {
        // A reply that nobody waits for means that consensus is stopping: all sends below may fail.
        match message {
            AppMsg::ConsensusReady { reply } => {
                let _ = reply.send((self.next(), self.params()));
            }
            AppMsg::StartedRound {
                height,
                round,
                reply_value,
                ..
            } => {
                let known = self.early_values(height, round);
                let _ = reply_value.send(known);
                self.progress.round(height.0, round.as_u32().unwrap_or(0));
            }
            AppMsg::GetValue {
                height,
                round,
                reply,
                ..
            } => {
                if height == self.next() {
                    self.propose(height, round, reply, channels).await?;
                }
            }
            AppMsg::ExtendVote { reply, .. } => {
                let _ = reply.send(None);
            }
            AppMsg::VerifyVoteExtensions {
                extensions, reply, ..
            } => {
                let _ = reply.send(
                    extensions
                        .into_iter()
                        .map(|(address, _)| (address, Ok(())))
                        .collect(),
                );
            }
            AppMsg::RestreamProposal {
                height,
                round,
                valid_round,
                value_id,
                ..
            } => {
                if let Some(block) = self.chain.pending(Height(height.0), &value_id) {
                    self.publish(&block, round, valid_round, channels).await;
                }
            }
            AppMsg::GetHistoryMinHeight { reply } => {
                let lowest = block_in_place(|| self.chain.snapshot()?.kept_from());
                // A store that cannot say has nothing to offer but its newest block.
                let lowest = lowest.unwrap_or_else(|_| self.chain.tip().height.0);
                let _ = reply.send(BftHeight(lowest));
            }
            AppMsg::ReceivedProposalPart {
                published_by,
                part,
                reply,
                ..
            } => {
                let value =
                    published_by.and_then(|publisher| self.receive(publisher.to_bytes(), part));
                let _ = reply.send(value);
            }
            AppMsg::Decided {
                certificate, reply, ..
            } => {
                let height = certificate.height.0;
                let certificate = to_ledger(&certificate);
                block_in_place(|| self.chain.commit(&certificate))?;
                self.progress
                    .hear_certificate(self.chain.id(), &certificate);
                self.assembler.clear(height);
                self.early.retain(|h, _| *h > height);
                self.judged.retain(|(h, _), _| *h > height);
                self.progress.committed();
                let _ = reply.send(());
            }
            AppMsg::Finalized {
                certificate,
                evidence,
                reply,
                ..
            } => {
                if !evidence.is_empty() {
                    tracing::warn!(?evidence, "validators misbehaved");
                    // Before the reply: the engine forgets it then.
                    let height = certificate.height.0;
                    if let Err(error) = block_in_place(|| self.evidence.keep(height, evidence)) {
                        tracing::error!(%error, "evidence of misbehaviour could not be kept");
                    }
                    self.progress.misbehaved(self.evidence.count());
                }
                self.hold = Some(Hold {
                    reply,
                    until: Instant::now() + HEARTBEAT,
                });
            }
            AppMsg::GetDecidedValues { range, reply } => {
                let _ = reply.send(block_in_place(|| self.decided(range)));
            }
            AppMsg::ProcessSyncedValue {
                height,
                round,
                proposer,
                value_bytes,
                reply,
            } => {
                let outcome =
                    block_in_place(|| self.synced_value(height, round, proposer, &value_bytes));
                let _ = reply.send(outcome);
            }
        }
        Ok(())
    }

    async fn propose(
        &mut self,
        height: BftHeight,
        round: Round,
        reply: Reply<LocallyProposedValue<Ctx>>,
        channels: &Channels<Ctx>,
    ) -> Result<(), CommitError> {
        let Some(number) = round.as_u32() else {
            return Ok(());
        };
        let block = block_in_place(|| self.chain.propose(number, self.me))?;
        // Dropped if consensus moved on.
        let _ = reply.send(LocallyProposedValue::new(
            height,
            round,
            BftValue(block.hash()),
        ));
        self.publish(&block, round, Round::Nil, channels).await;
        Ok(())
    }

    async fn publish(
        &mut self,
        block: &Block,
        round: Round,
        valid_round: Round,
        channels: &Channels<Ctx>,
    ) {
        self.streams += 1;
        for part in cut(block, round, valid_round, self.streams) {
            if channels
                .network
                .send(NetworkMsg::PublishProposalPart(part))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// The peer that may publish a proposal of this round of the next height.
    fn proposer_of(&self, round: Round) -> Option<Vec<u8>> {
        let set = BftValidatorSet::from(&self.chain.next_validators());
        round.as_u32()?;
        let proposer = Ctx.select_proposer(&set, self.next(), round);
        Some(peer_id(proposer.public_key()).to_bytes())
    }

    /// Collects a part; a whole block of the next height is executed and judged, one of a later height kept.
    fn receive(
        &mut self,
        publisher: Vec<u8>,
        part: StreamMessage<BftPart>,
    ) -> Option<ProposedValue<Ctx>> {
        let whole = self.assembler.take(publisher, part)?;
        let next = self.next().0;
        let height = whole.block.header.height.0;
        if height == next {
            return block_in_place(|| self.judge(&whole));
        }
        if height > next && height <= next + EARLY_HEIGHTS {
            let kept = self.early.entry(height).or_default();
            let same = kept
                .iter()
                .filter(|other| other.publisher == whole.publisher)
                .count();
            if same < EARLY_BLOCKS {
                kept.push(whole);
            }
            self.hear(height);
        }
        None
    }

    /// Judges a whole block of the next height. Only the round's own proposer is listened to, also for a
    /// re-proposal, and to one block a round: nobody else can take up the places that consensus has for it.
    fn judge(&mut self, whole: &Assembled) -> Option<ProposedValue<Ctx>> {
        if self
            .proposer_of(whole.round)
            .is_none_or(|proposer| proposer != whole.publisher)
        {
            tracing::warn!("a block was published by another peer than its round's proposer");
            return None;
        }
        let height = self.next().0;
        let judged = self
            .judged
            .entry((height, whole.round.as_u32()?))
            .or_insert(whole.block.hash());
        if *judged != whole.block.hash() {
            tracing::warn!("a second block of one proposer for one round");
            return None;
        }
        let validity = match self.chain.validate(&whole.block, true) {
            Ok(()) if !self.may_have_proposed(&whole.block.header.proposer, whole.round) => {
                tracing::warn!("a block names a proposer that had no round yet");
                Validity::Invalid
            }
            Ok(()) => Validity::Valid,
            Err(BlockError::State(error)) => {
                tracing::error!(%error, "a proposal could not be judged");
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, height = whole.block.header.height.0, "an invalid block was proposed");
                Validity::Invalid
            }
        };
        if validity == Validity::Valid
            && let Err(error) = self.chain.keep(&whole.block)
        {
            tracing::error!(%error, "a proposal could not be stored");
            return None;
        }
        Some(ProposedValue {
            height: BftHeight(whole.block.header.height.0),
            round: whole.round,
            valid_round: whole.valid_round,
            proposer: BftAddress(whole.block.header.proposer),
            value: BftValue(whole.block.hash()),
            validity,
        })
    }

    /// Whether a validator was the proposer of this round of the next height, or of one before it, whose block is
    /// proposed again. Every validator had a turn after as many rounds as there are validators.
    fn may_have_proposed(&self, proposer: &Address, round: Round) -> bool {
        let set = BftValidatorSet::from(&self.chain.next_validators());
        let Some(round) = round.as_u32() else {
            return false;
        };
        let turns = u32::try_from(self.chain.next_validators().count()).unwrap_or(u32::MAX);
        (round.saturating_sub(turns)..=round).any(|round| {
            let turn = Ctx.select_proposer(&set, self.next(), Round::new(round));
            Address::of(turn.public_key()) == *proposer
        })
    }

    fn early_values(&mut self, height: BftHeight, round: Round) -> Vec<ProposedValue<Ctx>> {
        if height != self.next() {
            return Vec::new();
        }
        let kept = self.early.remove(&height.0).unwrap_or_default();
        let (now, later): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|whole| whole.round == round);
        if !later.is_empty() {
            self.early.insert(height.0, later);
        }
        block_in_place(|| {
            now.into_iter()
                .filter_map(|whole| self.judge(&whole))
                .collect()
        })
    }

    fn decided(&self, range: RangeInclusive<BftHeight>) -> Vec<RawDecidedValue<Ctx>> {
        let mut values = Vec::new();
        let mut bytes = 0;
        let Ok(snapshot) = self.chain.snapshot() else {
            return values;
        };
        for height in range.start().0..=range.end().0 {
            let (Ok(Some(block)), Ok(Some(certificate))) = (
                snapshot.block(Height(height)),
                snapshot.certificate(Height(height)),
            ) else {
                break;
            };
            let encoded = codec::encode(&block);
            bytes += encoded.len() + certificate.signatures.len() * 84 + 64;
            if bytes > SYNC_ANSWER_BYTES && !values.is_empty() {
                break;
            }
            values.push(RawDecidedValue::new(
                encoded.into(),
                to_malachite(&certificate),
            ));
        }
        values
    }

    fn synced_value(
        &mut self,
        height: BftHeight,
        round: Round,
        proposer: BftAddress,
        bytes: &Bytes,
    ) -> SyncedValueOutcome<Ctx> {
        let Ok(block) = codec::decode_exact::<Block>(bytes, MAX_BLOCK_BYTES + 4096) else {
            return SyncedValueOutcome::PeerFault;
        };
        let block = Arc::new(block);
        if block.header.height.0 != height.0 || !block.body_matches() {
            return SyncedValueOutcome::PeerFault;
        }
        // A block further ahead is executed when it is committed; its certificate is what makes it right.
        if height == self.next() {
            match self.chain.validate(&block, false) {
                Ok(()) => {}
                Err(BlockError::State(_)) => return SyncedValueOutcome::LocalTransientError,
                Err(error) => {
                    tracing::warn!(%error, "a synced block does not execute");
                    return SyncedValueOutcome::PeerFault;
                }
            }
        }
        if self.chain.keep(&block).is_err() {
            return SyncedValueOutcome::LocalTransientError;
        }
        self.synced = self.synced.max(height.0);
        SyncedValueOutcome::Verdict(ProposedValue {
            height,
            round,
            valid_round: Round::Nil,
            proposer,
            value: BftValue(block.hash()),
            validity: Validity::Valid,
        })
    }
}

fn to_ledger(certificate: &CommitCertificate<Ctx>) -> Certificate {
    Certificate {
        height: certificate.height.into(),
        round: certificate.round.as_u32().unwrap_or(0),
        block: certificate.value_id,
        signatures: certificate
            .commit_signatures
            .iter()
            .map(|s| (s.address.0, s.signature))
            .collect(),
    }
}

fn to_malachite(certificate: &Certificate) -> ExtendedCommitCertificate<Ctx> {
    ExtendedCommitCertificate {
        height: BftHeight(certificate.height.0),
        round: Round::new(certificate.round),
        value_id: certificate.block,
        commit_signatures: certificate
            .signatures
            .iter()
            .map(|(address, signature)| {
                ExtendedCommitSignature::new(BftAddress(*address), *signature, None)
            })
            .collect(),
    }
}
