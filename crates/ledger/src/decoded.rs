//! A transaction that was decoded once, with its bytes and identifier.

use crate::block::{MAX_TX_BYTES, tx_id};
use crate::state::{Rejection, StateError, StateMachine};
use caduceus_crypto::Hash;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A transaction in the form that a chain's rules read; nothing is verified yet but its form. Clones share it.
#[derive(Clone)]
pub struct DecodedTx {
    id: Hash,
    bytes: Arc<Vec<u8>>,
    content: Arc<dyn Any + Send + Sync>,
}

impl DecodedTx {
    /// Decodes a transaction of a machine's chain.
    ///
    /// # Errors
    /// The rule that is broken: too large, or no transaction of this chain.
    pub fn new<M: StateMachine + ?Sized>(
        machine: &M,
        bytes: Arc<Vec<u8>>,
    ) -> Result<Self, Rejection> {
        if bytes.len() > MAX_TX_BYTES {
            return Err(Rejection {
                rule: "too_large",
                detail: format!("{} bytes, at most {MAX_TX_BYTES}", bytes.len()),
            });
        }
        Ok(Self {
            id: tx_id(&bytes),
            content: machine.decode(&bytes)?,
            bytes,
        })
    }

    /// The identifier.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// The bytes that travel and that blocks hold.
    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// The content, in the type that the machine decodes to.
    ///
    /// # Errors
    /// When another machine decoded it.
    pub fn content<T: 'static>(&self) -> Result<&T, StateError> {
        self.content
            .downcast_ref()
            .ok_or_else(|| StateError("a transaction was decoded by another machine".to_owned()))
    }
}

impl fmt::Debug for DecodedTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodedTx({}, {} bytes)", self.id, self.bytes.len())
    }
}
