//! Define blocks, certificates, proofs, the light client and the state machine trait.
//!
//! Everything here is pure: no clock, socket, file, thread or operating-system randomness. A node (crate
//! `caduceus-node`) supplies storage through [`state::StateView`] and [`tree::TreeReader`]; a client supplies
//! the time. See docs/design.md and DESIGN section 4.

pub mod block;
pub mod certificate;
pub mod checkpoint;
pub mod decoded;
pub mod execute;
pub mod light;
pub mod pow;
pub mod proof;
pub mod set_change;
pub mod state;
pub mod tree;
pub mod types;
pub mod writes;

pub use block::{Block, ChainKind, Genesis, Header, tx_id};
pub use certificate::{Certificate, CertificateError, CertifiedHeader, Vote, VoteKind};
pub use checkpoint::{CheckpointHead, HeaderTree};
pub use decoded::DecodedTx;
pub use execute::{
    BlockError, Executed, TxPlace, apply, build, find_tx, genesis_state, replay, replay_decoded,
};
pub use light::{LightBlock, LightClient, LightError, Trusted};
pub use pow::{DifficultyRule, Puzzle, Seal, SealChain, SealError, SignedSeal};
pub use proof::{StateProofAt, TxProof};
pub use set_change::{SetChangeError, check_set_change, put_validators, validators};
pub use state::{
    BlockContext, Class, INDEX_KEY_BYTES, INDEX_VALUE_BYTES, Layer, Overlay, Pairs, Rejection,
    Space, StateError, StateMachine, StateView, TxFailure,
};
pub use tree::{StateProof, TreeReader, TreeUpdateBatch};
pub use types::{Address, ChainId, Height, Validator, ValidatorSet, ValidatorSetError};
pub use writes::Writes;
