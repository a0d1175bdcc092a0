//! Running a block: a block is executed before it is voted for, and validators vote only for headers whose
//! roots they reproduced (DESIGN 4.1).

use crate::block::{Block, Genesis, Header, MAX_EXTRA_BYTES};
use crate::decoded::DecodedTx;
use crate::state::{
    BlockContext, Overlay, Rejection, Space, StateError, StateMachine, StateView, TxFailure,
};
use crate::tree::{self, TreeReader, TreeUpdateBatch};
use crate::types::{Address, Height, ValidatorSet};
use crate::writes::Writes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, TimeMillis, codec, merkle};
use std::sync::Arc;

/// State key of the set that votes on the next block. A machine that changes it changes the voters of the
/// next height.
pub const VALIDATORS_KEY: &[u8] = b"\0validators";
/// State key of the last height and its time; changes at every block, so each height has a tree version.
pub const TIP_KEY: &[u8] = b"\0tip";
/// Prefix of the plain key under which a committed transaction's place is kept: a transaction is applied once
/// for ever, on every chain.
const TX_PREFIX: &[u8] = b"\0tx";

/// Where a committed transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxPlace {
    /// Height of its block.
    pub height: Height,
    /// Position in the block.
    pub index: u32,
}

fn tx_key(id: &Hash) -> Vec<u8> {
    [TX_PREFIX, id.as_bytes()].concat()
}

/// The place of a committed transaction, if it is committed.
///
/// # Errors
/// When the store fails.
pub fn find_tx(view: &dyn StateView, id: &Hash) -> Result<Option<TxPlace>, StateError> {
    view.get(Space::Bulk, &tx_key(id))?
        .map(|bytes| {
            borsh::from_slice(&bytes).map_err(|e| StateError(format!("transaction place: {e}")))
        })
        .transpose()
}

/// Runs one transaction on `state`.
///
/// # Errors
/// [`TxFailure`] names the broken rule; `state` is unchanged then.
pub fn apply<M: StateMachine + ?Sized>(
    machine: &M,
    ctx: &BlockContext,
    index: u32,
    tx: &DecodedTx,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, TxFailure> {
    let id = tx.id();
    if let Some(place) = find_tx(state, &id)? {
        return Err(Rejection {
            rule: "already_committed",
            detail: format!("this transaction is already in block {}", place.height),
        }
        .into());
    }
    let result = state.attempt(|state| machine.execute(ctx, tx, state))?;
    let place = TxPlace {
        height: ctx.height,
        index,
    };
    state.put(Space::Bulk, &tx_key(&id), codec::encode(&place));
    Ok(result)
}

/// All that a block does to a node's store.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The header with every root filled in.
    pub header: Header,
    /// One result a transaction.
    pub results: Vec<Vec<u8>>,
    /// Changes to the plain state.
    pub writes: Writes,
    /// New nodes of the authenticated tree.
    pub tree: TreeUpdateBatch,
    /// Voters of the next height.
    pub next_validators: ValidatorSet,
}

/// Why a proposed block is refused. One variant, one rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Made for another chain.
    #[error("block of another chain")]
    OtherChain,
    /// Not the next height.
    #[error("height {found}, expected {expected}")]
    WrongHeight {
        /// The next height.
        expected: Height,
        /// The height found.
        found: Height,
    },
    /// Does not extend the tip.
    #[error("parent {found}, expected {expected}")]
    WrongParent {
        /// Hash of the tip.
        expected: Hash,
        /// Hash in the header.
        found: Hash,
    },
    /// Time does not increase.
    #[error("block time {found:?} is not after its parent's {parent:?}")]
    TimeNotIncreasing {
        /// Parent's time.
        parent: TimeMillis,
        /// Time found.
        found: TimeMillis,
    },
    /// Time ahead of the validator's clock by more than the drift.
    #[error("block time {found:?} is after {limit:?}, the latest allowed now")]
    TimeAhead {
        /// The latest time allowed.
        limit: TimeMillis,
        /// Time found.
        found: TimeMillis,
    },
    /// Body over the kind's limit.
    #[error("block of {found} bytes, at most {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// A transaction that a rule refuses.
    #[error("transaction {index}: {rejection}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// The rule.
        rejection: Rejection,
    },
    /// The header differs from the one that execution gives.
    #[error("the header's {field} is not what execution gives")]
    HeaderDiffers {
        /// First field that differs.
        field: &'static str,
    },
    /// The store failed: says nothing about the block.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Executes the genesis: header of height 0, the first state and its tree (version 0).
///
/// # Errors
/// When the chain's own genesis does not decode.
pub fn genesis_state<M: StateMachine + ?Sized, R: TreeReader>(
    machine: &M,
    genesis: &Genesis,
    empty: &dyn StateView,
    reader: &R,
) -> Result<Executed, StateError> {
    let mut state = Overlay::new(empty);
    machine.genesis(genesis, &mut state)?;
    state.put(
        Space::Auth,
        VALIDATORS_KEY,
        codec::encode(&genesis.validators),
    );
    state.put(
        Space::Auth,
        TIP_KEY,
        codec::encode(&(Height::GENESIS, genesis.time)),
    );
    let writes = state.into_writes();
    let (state_root, tree) = tree::update(reader, 0, auth_changes(&writes))?;
    let set_hash = genesis.validators.hash();
    let header = Header {
        chain: genesis.chain_id(),
        height: Height::GENESIS,
        time: genesis.time,
        proposer: Address::default(),
        parent: Hash::ZERO,
        txs_root: merkle::root(&[]),
        results_root: merkle::root(&[]),
        state_root,
        validators: set_hash,
        next_validators: set_hash,
        extra: Vec::new(),
    };
    Ok(Executed {
        header,
        results: Vec::new(),
        writes,
        tree,
        next_validators: genesis.validators.clone(),
    })
}

fn auth_changes(writes: &Writes) -> impl Iterator<Item = (&[u8], Option<Vec<u8>>)> {
    writes
        .auth()
        .map(|(key, value)| (key, value.map(<[u8]>::to_vec)))
}

/// Makes the next block from candidate transactions in order; those that a rule refuses are left out and
/// returned with the reason, those that do not fit are left for later.
///
/// # Errors
/// When the store fails.
pub fn build<M: StateMachine + ?Sized, R: TreeReader>(
    machine: &M,
    view: &dyn StateView,
    reader: &R,
    parent: &Header,
    time: TimeMillis,
    proposer: Address,
    candidates: impl IntoIterator<Item = DecodedTx>,
    max_block_bytes: usize,
) -> Result<(Block, Executed, Vec<(Hash, Rejection)>), StateError> {
    let ctx = BlockContext {
        chain: parent.chain,
        height: parent.height.next(),
        time,
        proposer,
    };
    let mut state = Overlay::new(view);
    let (mut txs, mut results, mut refused, mut bytes) =
        (Vec::new(), Vec::new(), Vec::new(), 0usize);
    for tx in candidates {
        let cost = tx.bytes().len() + 4;
        if bytes + cost > max_block_bytes {
            break;
        }
        match apply(machine, &ctx, txs.len() as u32, &tx, &mut state) {
            Ok(result) => {
                bytes += cost;
                txs.push(tx.bytes().as_ref().clone());
                results.push(result);
            }
            Err(TxFailure::Rejected(rejection)) => refused.push((tx.id(), rejection)),
            Err(TxFailure::State(e)) => return Err(e),
        }
    }
    let executed = close(machine, &ctx, reader, parent, &txs, results, state)?;
    Ok((
        Block {
            header: executed.header.clone(),
            txs,
        },
        executed,
        refused,
    ))
}

/// Runs a block that somebody else made and checks every root.
///
/// # Errors
/// [`BlockError`] names the rule broken.
pub fn replay<M: StateMachine + ?Sized, R: TreeReader>(
    machine: &M,
    view: &dyn StateView,
    reader: &R,
    parent: &Header,
    block: &Block,
    max_block_bytes: usize,
) -> Result<Executed, BlockError> {
    check_frame(parent, block, max_block_bytes)?;
    let mut decoded = Vec::with_capacity(block.txs.len());
    for (index, tx) in block.txs.iter().enumerate() {
        let tx = DecodedTx::new(machine, Arc::new(tx.clone()))
            .map_err(|rejection| BlockError::Transaction { index, rejection })?;
        decoded.push(tx);
    }
    replay_decoded(
        machine,
        view,
        reader,
        parent,
        block,
        &decoded,
        max_block_bytes,
    )
}

/// [`replay`] for transactions that are decoded already: exactly those of the block, in its order.
///
/// # Errors
/// [`BlockError`] names the rule broken.
pub fn replay_decoded<M: StateMachine + ?Sized, R: TreeReader>(
    machine: &M,
    view: &dyn StateView,
    reader: &R,
    parent: &Header,
    block: &Block,
    decoded: &[DecodedTx],
    max_block_bytes: usize,
) -> Result<Executed, BlockError> {
    let same = decoded.len() == block.txs.len()
        && decoded
            .iter()
            .zip(&block.txs)
            .all(|(decoded, tx)| decoded.bytes().as_ref() == tx);
    if !same {
        return Err(StateError("the decoded transactions are not the block's".to_owned()).into());
    }
    check_frame(parent, block, max_block_bytes)?;
    let header = &block.header;
    let ctx = BlockContext {
        chain: header.chain,
        height: header.height,
        time: header.time,
        proposer: header.proposer,
    };
    let mut state = Overlay::new(view);
    let mut results = Vec::with_capacity(block.txs.len());
    for (index, tx) in decoded.iter().enumerate() {
        match apply(machine, &ctx, index as u32, tx, &mut state) {
            Ok(result) => results.push(result),
            Err(TxFailure::Rejected(rejection)) => {
                return Err(BlockError::Transaction { index, rejection });
            }
            Err(TxFailure::State(e)) => return Err(e.into()),
        }
    }
    let executed = close(machine, &ctx, reader, parent, &block.txs, results, state)?;
    match first_difference(header, &executed.header) {
        Some(field) => Err(BlockError::HeaderDiffers { field }),
        None => Ok(executed),
    }
}

/// What can be said of a block without its state: that it follows its parent, and its size.
fn check_frame(parent: &Header, block: &Block, max_block_bytes: usize) -> Result<(), BlockError> {
    let header = &block.header;
    if header.chain != parent.chain {
        return Err(BlockError::OtherChain);
    }
    if header.height != parent.height.next() {
        return Err(BlockError::WrongHeight {
            expected: parent.height.next(),
            found: header.height,
        });
    }
    let expected = parent.hash();
    if header.parent != expected {
        return Err(BlockError::WrongParent {
            expected,
            found: header.parent,
        });
    }
    if header.time <= parent.time {
        return Err(BlockError::TimeNotIncreasing {
            parent: parent.time,
            found: header.time,
        });
    }
    let bytes: usize = block.txs.iter().map(|tx| tx.len() + 4).sum();
    if bytes > max_block_bytes {
        return Err(BlockError::TooLarge {
            limit: max_block_bytes,
            found: bytes,
        });
    }
    Ok(())
}

fn close<M: StateMachine + ?Sized, R: TreeReader>(
    machine: &M,
    ctx: &BlockContext,
    reader: &R,
    parent: &Header,
    txs: &[Vec<u8>],
    results: Vec<Vec<u8>>,
    mut state: Overlay<'_>,
) -> Result<Executed, StateError> {
    let extra = machine.finish(ctx, txs, &mut state)?;
    if extra.len() > MAX_EXTRA_BYTES {
        return Err(StateError(format!(
            "{} extra header bytes, at most {MAX_EXTRA_BYTES}",
            extra.len()
        )));
    }
    state.put(Space::Auth, TIP_KEY, codec::encode(&(ctx.height, ctx.time)));
    let encoded = state
        .get(Space::Auth, VALIDATORS_KEY)?
        .ok_or_else(|| StateError("the state holds no validator set".into()))?;
    let next_validators: ValidatorSet =
        borsh::from_slice(&encoded).map_err(|e| StateError(format!("validator set: {e}")))?;
    let writes = state.into_writes();
    let (state_root, tree) = tree::update(reader, ctx.height.0, auth_changes(&writes))?;
    let header = Header {
        chain: ctx.chain,
        height: ctx.height,
        time: ctx.time,
        proposer: ctx.proposer,
        parent: parent.hash(),
        txs_root: merkle::root(txs),
        results_root: merkle::root(&results),
        state_root,
        validators: parent.next_validators,
        next_validators: next_validators.hash(),
        extra,
    };
    Ok(Executed {
        header,
        results,
        writes,
        tree,
        next_validators,
    })
}

/// The first field in which two headers of one height differ.
pub fn first_difference(claimed: &Header, computed: &Header) -> Option<&'static str> {
    [
        ("transactions root", claimed.txs_root == computed.txs_root),
        (
            "results root",
            claimed.results_root == computed.results_root,
        ),
        ("state root", claimed.state_root == computed.state_root),
        ("validators", claimed.validators == computed.validators),
        (
            "next validators",
            claimed.next_validators == computed.next_validators,
        ),
        ("extra bytes", claimed.extra == computed.extra),
        ("header", claimed == computed),
    ]
    .into_iter()
    .find(|(_, same)| !same)
    .map(|(field, _)| field)
}
