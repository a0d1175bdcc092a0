//! What can go wrong between an end user and the network.

use crate::trust::KeptError;
use alliance_chain::GenesisError;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{Hash, HospitalId};
use caduceus_ledger::{ChainId, Height};
use caduceus_network::StartError;
use std::path::PathBuf;

/// Why an exchange with the alliance or with a server brought nothing that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The genesis is not the one that the network file names: it must not be trusted.
    #[error("the genesis is of chain {found}, the network file names {expected}")]
    WrongGenesis {
        /// The chain that the network file names.
        expected: ChainId,
        /// The chain of the genesis given.
        found: ChainId,
    },
    /// The genesis is not an alliance's.
    #[error("the alliance genesis: {0}")]
    Genesis(#[source] GenesisError),
    /// The network file names another index scheme than the genesis: a patient's meta-address would lack the key
    /// of her network's scheme, or carry one too many.
    #[error("the network file says that records are indexed by {found}, the genesis by {expected}")]
    WrongScheme {
        /// The scheme of the genesis.
        expected: SchemeId,
        /// The scheme that the network file names.
        found: SchemeId,
    },
    /// The network file names no alliance node.
    #[error("the network file names no alliance node")]
    NoNodes,
    /// An address in the network file is not one.
    #[error("the network file has a bad address: {text}")]
    BadAddress {
        /// The text found.
        text: String,
    },
    /// The network stack did not start.
    #[error("the network could not be started: {0}")]
    Start(#[source] StartError),
    /// Nobody who could answer is there.
    #[error("{who} can't be reached: {reason}")]
    Unreachable {
        /// Who was called.
        who: String,
        /// What the network said last.
        reason: String,
    },
    /// Submitted, but not committed within the wait: the alliance has no quorum now. It may still be committed
    /// later; nothing is half done.
    #[error("the alliance did not commit the transaction within {waited_millis} ms: {detail}")]
    NoQuorum {
        /// How long we waited, in milliseconds.
        waited_millis: u64,
        /// What a node said last.
        detail: String,
    },
    /// The chain's rules refuse the transaction.
    #[error("the alliance refuses the transaction ({rule}): {detail}")]
    Rejected {
        /// The rule's stable name.
        rule: String,
        /// What it says.
        detail: String,
    },
    /// A node's answer does not hold, and no other node had one that does.
    #[error("the answer of node {node} does not verify: {reason}")]
    Unverified {
        /// The node.
        node: String,
        /// The check that failed.
        reason: String,
    },
    /// The newest head to be had is too old: it could hide a disclosure or a revocation.
    #[error(
        "the newest block to be had is {age_millis} ms old, at most {limit_millis} ms are accepted"
    )]
    Stale {
        /// Age of the head in milliseconds.
        age_millis: u64,
        /// The limit in milliseconds.
        limit_millis: u64,
    },
    /// Every node that answers is below a head that was accepted before: rolled back, or cut off.
    #[error("the head {found} of node {node} is below {seen}, accepted before")]
    RolledBack {
        /// The node.
        node: String,
        /// The highest head accepted.
        seen: Height,
        /// The head offered.
        found: Height,
    },
    /// Two certified headers contradict each other: more than a third of the validators signed both.
    #[error(
        "the alliance chain has forked: height {our_height} is {ours}, and a certified header of height {their_height} is {theirs}"
    )]
    Fork {
        /// Height of the header that is trusted.
        our_height: Height,
        /// Its hash.
        ours: Hash,
        /// Height of the header offered.
        their_height: Height,
        /// Its hash.
        theirs: Hash,
        /// The file with both certificates, if it could be written.
        evidence: Option<PathBuf>,
    },
    /// Away for longer than the trusting period, and fewer than two nodes that agree are there.
    #[error("{reason}")]
    TwoNeeded {
        /// Ages and numbers.
        reason: String,
    },
    /// The head kept from earlier sessions can't be used.
    #[error("the trusted head kept from earlier: {0}")]
    Kept(#[from] KeptError),
    /// The hospital holds bytes with another hash than the anchored one, as nodes say: nobody here has seen them.
    #[error("hospital {hospital} holds record {record_hash} altered")]
    Tampered {
        /// The hospital.
        hospital: HospitalId,
        /// The anchored hash.
        record_hash: Hash,
        /// How many nodes say so, 1 or more. One alone could lie.
        nodes: usize,
    },
    /// The hospital does not deliver a record that it anchored, or a node could not get it from there: nodes do not
    /// say which.
    #[error("hospital {hospital} does not deliver record {record_hash}: {detail}")]
    Withheld {
        /// The hospital.
        hospital: HospitalId,
        /// The anchored hash.
        record_hash: Hash,
        /// How it failed.
        detail: String,
    },
    /// A server or proxy refuses by a rule; asking again brings the same.
    #[error("{who} refuses ({rule}): {detail}")]
    Denied {
        /// Who refuses.
        who: String,
        /// The rule's name.
        rule: String,
        /// What it says.
        detail: String,
    },
    /// Refused without a word: not allowed, not there, or malformed. It does not say which.
    #[error("{who} refuses without a reason")]
    Refused {
        /// Who refuses.
        who: String,
    },
    /// Not now. Nothing was done.
    #[error("{who} asks to try again in {after_millis} ms: {detail}")]
    Later {
        /// Who asks.
        who: String,
        /// When to ask again, milliseconds from now.
        after_millis: u64,
        /// Why.
        detail: String,
    },
    /// There is no such thing.
    #[error("{what} does not exist")]
    NotFound {
        /// What was looked for.
        what: String,
    },
}
