//! Keep the rules and state of a hospital's private chain, and run its node.
//!
//! The library is pure: transactions ([`tx`]), rules ([`rules`]), who may do what ([`policy`]), typed state
//! ([`state`]), reads ([`query`]),
//! the chain's own genesis ([`genesis`]) and the state machine that ties them together ([`machine`]). No
//! clock, socket, file or operating-system randomness, but behind the features `log` (files) and `node` (all of
//! them). See DESIGN section 5.

pub mod audit;
#[cfg(feature = "log")]
pub mod audit_log;
pub mod genesis;
pub mod machine;
#[cfg(feature = "node")]
pub mod node;
pub mod policy;
pub mod query;
pub mod rules;
pub mod state;
pub mod tx;

#[cfg(test)]
mod testing;

pub use audit::{
    Action, ActionClass, Actor, AuditBatch, AuditEntry, Bucket, DraftBatch, EntryError, OpenError,
    Outcome, Resource, SealError, SealedEntry, Subject,
};
pub use genesis::{GenesisError, PrivateGenesis};
pub use machine::{AnchorsExtra, PrivateMachine};
pub use rules::{AuditReceipt, Failure, Rule};
pub use state::{AnchorRef, FormerServer, HospitalKeys, Key, StaffRecord};
pub use tx::{
    AmendTx, AnchorTx, Enrol, Policy, Role, Rotate, SignedEmergencyKey, SignedEnrol, SignedPolicy,
    SignedRotate, SignedSuspend, SignedValidators, Suspend, Tx, Validators,
};
