//! The actor that the engine writes its log through.

use super::{Journal, Own, WalError};
use crate::bft::codec::BorshCodec;
use crate::bft::context::{BftAddress, BftProposal, BftVote, Ctx};
use crate::guard::Step;
use async_trait::async_trait;
use caduceus_crypto::{Hash, domain, hash};
use caduceus_ledger::{ChainId, VoteKind};
use malachitebft_app_channel::app::consensus::Input;
use malachitebft_app_channel::app::types::core::NilOrVal;
use malachitebft_engine::wal::{Msg, WalRef, decode_entry, encode_entry};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::io;
use std::sync::{Arc, Mutex};
use tokio::task::block_in_place;

/// Who this validator is, to tell its own entries from others'.
#[derive(Clone, Copy, Debug)]
pub struct Myself {
    /// Its chain.
    pub chain: ChainId,
    /// Its address.
    pub address: BftAddress,
}

impl Myself {
    /// A vote as the guard knows it; none if its round is undefined. Nil votes have a value of their own, so nil after
    /// a block is a conflict too.
    pub fn vote(&self, vote: &BftVote) -> Option<Own> {
        Some(Own {
            height: vote.height.0,
            round: vote.round.as_u32()?,
            step: match vote.kind {
                VoteKind::Prevote => Step::Prevote,
                VoteKind::Precommit => Step::Precommit,
            },
            value: match vote.value {
                NilOrVal::Nil => Hash::ZERO,
                NilOrVal::Val(id) => id,
            },
        })
    }

    /// A proposal as the guard knows it; none if its round is undefined.
    pub fn proposal(&self, proposal: &BftProposal) -> Option<Own> {
        Some(Own {
            height: proposal.height.0,
            round: proposal.round.as_u32()?,
            step: Step::Proposal,
            value: hash(domain::PROPOSAL, &[&proposal.sign_bytes(self.chain)]),
        })
    }

    fn own(&self, input: &Input<Ctx>) -> Option<Own> {
        match input {
            Input::Vote(vote) if vote.message.address == self.address => self.vote(&vote.message),
            Input::Proposal(proposal) if proposal.message.address == self.address => {
                self.proposal(&proposal.message)
            }
            _ => None,
        }
    }

    /// What this validator signed in an entry.
    ///
    /// # Errors
    /// When the bytes are no entry.
    pub fn read(&self, entry: &[u8]) -> io::Result<Option<Own>> {
        Ok(self.own(&decode(entry)?))
    }
}

/// The bytes of an entry.
///
/// # Errors
/// When the engine gives what is not to be logged.
pub fn encode(input: Input<Ctx>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_entry(input, &BorshCodec, &mut bytes)?;
    Ok(bytes)
}

fn decode(entry: &[u8]) -> io::Result<Input<Ctx>> {
    let input: Input<Ctx> = decode_entry(&BorshCodec, entry)?;
    if encode(input.clone())? != entry {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not all of the entry was read",
        ));
    }
    Ok(input)
}

/// See the module.
pub struct LogActor {
    journal: Arc<Mutex<Journal>>,
    myself: Myself,
}

impl LogActor {
    /// Starts it over a journal.
    ///
    /// # Errors
    /// When the runtime is going down.
    pub async fn spawn(
        journal: Arc<Mutex<Journal>>,
        myself: Myself,
    ) -> Result<WalRef<Ctx>, ractor::SpawnErr> {
        let (actor, _) = Actor::spawn(None, Self { journal, myself }, ()).await?;
        Ok(actor)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Journal) -> Result<T, WalError>,
    ) -> Result<T, eyre::Report> {
        block_in_place(|| work(&mut self.journal.lock().expect("no holder of this lock panics")))
            .map_err(|error| {
                tracing::error!(%error, "the consensus log failed");
                eyre::Report::new(error)
            })
    }

    fn append(&self, height: u64, input: Input<Ctx>) -> Result<(), eyre::Report> {
        let own = self.myself.own(&input);
        let entry = encode(input).map_err(eyre::Report::new)?;
        self.with(|journal| {
            journal.engine_appends();
            journal.append(height, &entry, own)
        })
    }

    fn replay(&self, height: u64) -> Result<Vec<io::Result<Input<Ctx>>>, eyre::Report> {
        let entries = self.with(|journal| journal.start_height(height))?;
        Ok(entries.iter().map(|entry| decode(entry)).collect())
    }
}

#[async_trait]
impl Actor for LogActor {
    type Msg = Msg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Msg<Ctx>>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Msg<Ctx>>,
        message: Msg<Ctx>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        // A reply that nobody waits for means that consensus is stopping.
        match message {
            Msg::StartedHeight(height, reply) => {
                let _ = reply.send(self.replay(height.0));
            }
            Msg::Reset(height, reply) => {
                let _ = reply.send(self.with(|journal| journal.reset(height.0)));
            }
            Msg::Append(height, input, reply) => {
                let _ = reply.send(self.append(height.0, input));
            }
            Msg::Flush(reply) => {
                let _ = reply.send(self.with(Journal::flush));
            }
            Msg::Dump => tracing::info!("the consensus log is read with the node stopped"),
        }
        Ok(())
    }
}
