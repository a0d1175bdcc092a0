//! What becomes of transactions and decided blocks.

use crate::store::StoreError;
use caduceus_crypto::Hash;
use caduceus_ledger::{BlockError, Height, Rejection, StateError, TxFailure};
use tokio::sync::oneshot;

/// Where a transaction ended up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Height of the block.
    pub height: Height,
    /// Position in the block.
    pub index: u32,
    /// The block's identifier.
    pub block: Hash,
    /// The transaction's result.
    pub result: Vec<u8>,
}

/// Why a transaction was not taken or not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// A rule refuses it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is larger than any transaction may be.
    #[error("transaction of {found} bytes, at most {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// Too much is waiting; try again later.
    #[error("the node has too many transactions waiting")]
    Full,
    /// It was not committed in time; it may still be.
    #[error("not committed within {millis} ms")]
    Timeout {
        /// How long the caller waited.
        millis: u64,
    },
    /// The node stopped.
    #[error("the node is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StateError> for SubmitError {
    fn from(e: StateError) -> Self {
        SubmitError::Store(e.into())
    }
}

impl From<TxFailure> for SubmitError {
    fn from(e: TxFailure) -> Self {
        match e {
            TxFailure::Rejected(rejection) => SubmitError::Rejected(rejection),
            TxFailure::State(e) => e.into(),
        }
    }
}

/// What became of an offered transaction.
pub struct Offer {
    /// Its identifier.
    pub id: Hash,
    /// Whether this node saw it for the first time.
    pub new: bool,
    /// Waiting, or committed before.
    pub outcome: Outcome,
}

/// See [`Offer`].
pub enum Outcome {
    /// It was committed before.
    Committed(Committed),
    /// It waits; the receiver hears of its block.
    Waiting(oneshot::Receiver<Result<Committed, Rejection>>),
}

impl CommitError {
    /// Whether trying again may help: a full disk, a failing device, a state that could not be read.
    pub fn may_pass(&self) -> bool {
        match self {
            CommitError::Store(StoreError::Database(_)) => true,
            CommitError::Store(error) => error.may_pass(),
            // It says nothing about the block.
            CommitError::Invalid(BlockError::State(_)) => true,
            _ => false,
        }
    }
}

/// Why a decided block was not committed. The engine stops on any of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The decided block's bytes are nowhere.
    #[error("height {height}: the decided block {block} is missing")]
    Missing {
        /// The height.
        height: Height,
        /// The block.
        block: Hash,
    },
    /// Another block is committed at this height: more than a third of the power is Byzantine.
    #[error("height {height}: another block is committed here")]
    Conflict {
        /// The height.
        height: Height,
    },
    /// The decided block does not execute here.
    #[error("the decided block does not execute: {0}")]
    Invalid(#[from] BlockError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_could_not_be_read_is_tried_again_and_a_wrong_block_is_not() {
        let unread = || StateError("a read failed".to_owned());
        for passes in [
            CommitError::Invalid(BlockError::State(unread())),
            CommitError::Store(unread().into()),
            CommitError::Store(StoreError::Database(redb::Error::PreviousIo)),
            CommitError::Store(StoreError::Closed { why: String::new() }),
        ] {
            assert!(passes.may_pass(), "{passes}");
        }
        let height = Height(7);
        for stays in [
            CommitError::Invalid(BlockError::OtherChain),
            CommitError::Conflict { height },
            CommitError::Store(StoreError::Damaged {
                height: 7,
                what: "tip",
            }),
        ] {
            assert!(!stays.may_pass(), "{stays}");
        }
    }
}
