//! The exchanges: who asks whom for what, in which bytes, within which limits. One file each.
//!
//! | exchange | asked of | who may ask |
//! |---|---|---|
//! | [`Submit`] | a node of either chain | anybody: a transaction carries its own right |
//! | [`Relay`] | a node of the same chain | validators |
//! | [`Headers`], [`LightBlocks`], [`Query`] | a node of either chain | anybody |
//! | [`LastVote`] | a node of the same chain | anybody |
//! | [`SnapshotInfo`], [`SnapshotChunk`] | a node of either chain | anybody |
//! | [`LinkedRecords`] | an alliance node | anybody |
//! | [`FetchAnchor`] | a node of a private chain | alliance members |
//! | [`FetchRecord`] | an alliance node; by it, the hospital server | owner or ticket holder; members |
//! | [`StoreRecord`], [`TagCounters`], [`MetaLookup`] | the hospital server | its workstations |
//! | [`RegisterPatient`] | the hospital server | registrars, administrators |
//! | [`LogAction`] | the hospital server | the key service; workstations; the identity key |
//! | [`LogDeed`] | the hospital server | the hospital's own nodes |
//! | [`IndexKey`] | the key service | workstations |
//! | [`DepositPairSecret`] | the key service | the hospital server |
//! | [`Register`], [`IssueTokens`], [`FetchReceipt`] | the hospital server | anybody with a card |
//! | [`DeliverFragments`], [`Reencrypt`] | a proxy (alliance node) | grantor; ticket holder |
//! | [`AuditQuery`] | the hospital server | the patient; auditors |
//! | [`Emergency`] | the hospital server | the patient; physicians; officers |
//! | [`BucketKeys`] | a node of a private chain, the hospital server | nodes and server of that hospital |
//! | [`AuditRows`] | a node of a private chain | the hospital's own keys; the node's operator |
//! | [`Health`] | any service | anybody |
//!
//! "Anybody" is rate-limited by peer. A request whose sender has shown no right is refused without a byte;
//! [`Reply::Denied`] and its like are for callers who have shown who they are.
//!
//! Blocks, headers, proofs, anchors and audit entries travel as opaque bytes: they are the chains' own
//! encodings, and this crate knows no chain.

mod audit_query;
mod audit_rows;
mod bucket_keys;
mod deliver_fragments;
mod deposit_pair_secret;
mod emergency;
mod fetch_anchor;
mod fetch_record;
mod headers;
mod health;
mod index_key;
mod issue_tokens;
mod last_vote;
mod light_blocks;
mod linked_records;
mod log_action;
mod log_deed;
mod meta_lookup;
mod person_signed;
mod query;
mod receipt;
mod reencrypt;
mod register;
mod register_patient;
mod relay;
mod reply;
mod snapshot_chunk;
mod snapshot_info;
mod store_record;
mod submit;
mod tag_counters;
#[cfg(test)]
mod tests;

pub use audit_query::{AuditFilter, AuditPage, AuditQuery, AuditQueryRequest, AuditRight};
pub use audit_rows::{
    AuditRows, AuditRowsReply, AuditRowsRequest, MAX_AUDIT_FILTER_BYTES, MAX_AUDIT_ROWS,
    MAX_AUDIT_ROWS_BYTES,
};
pub use bucket_keys::{
    BucketKeys, BucketKeysReply, BucketKeysRequest, BucketName, LivingKey, MAX_BUCKETS,
};
pub use deliver_fragments::{DeliverFragments, DeliverFragmentsRequest, FragmentKept};
pub use deposit_pair_secret::{DepositPairSecret, DepositPairSecretRequest, pair_secret_context};
pub use emergency::{
    Emergency, EmergencyAnswer, EmergencyApproval, EmergencyCall, EmergencyDocument,
    EmergencyOpening, EmergencyRequest, EmergencyTarget, MAX_EMERGENCY_BOX_BYTES,
    MAX_EMERGENCY_KEY_BYTES, MAX_EMERGENCY_KEYS, MAX_EMERGENCY_REASON_BYTES, MAX_EMERGENCY_RECORDS,
};
pub use fetch_anchor::{FetchAnchor, FetchAnchorReply, FetchAnchorRequest};
pub use fetch_record::{
    CHUNK_BYTES, FetchRecord, FetchRecordReply, FetchRecordRequest, RecordClaim, RecordRight,
};
pub use headers::{Headers, HeadersReply, HeadersRequest, MAX_HEADERS};
pub use health::{ConsensusHealth, Health, HealthReply, MAX_SILENT, SilentValidator};
pub use index_key::{IndexKey, IndexKeyRequest, SealedIndexKey};
pub use issue_tokens::{IssueTokens, IssueTokensRequest, MAX_TOKENS, TokenSignatures};
pub use last_vote::{LastVote, LastVoteReply, LastVoteRequest};
pub use light_blocks::{
    LightBlocks, LightBlocksReply, LightBlocksRequest, MAX_LIGHT_BLOCK_BYTES, MAX_LIGHT_BLOCKS,
};
pub use linked_records::{
    LinkedRecords, LinkedRecordsReply, LinkedRecordsRequest, MAX_LINKED_BYTES,
};
pub use log_action::{ActionLogged, LogAction, LogActionRequest};
pub use log_deed::{Deed, DeedKind, DeedOutcome, LogDeed};
pub use meta_lookup::{CardHolder, EmergencyTerms, MetaLookup, MetaLookupRequest};
pub use person_signed::PersonSigned;
pub use query::{MAX_LISTED, Query, QueryReply, QueryRequest};
pub use receipt::{FetchReceipt, FetchReceiptReply, FetchReceiptRequest};
pub use reencrypt::{Reencrypt, ReencryptRequest, Reencrypted};
pub use register::{Register, RegisterRequest, Registered};
pub use register_patient::{NewCard, RegisterPatient, RegisterPatientRequest};
pub use relay::{Relay, RelayRequest};
pub use reply::Reply;
pub use snapshot_chunk::{
    MAX_SNAPSHOT_CHUNK_BYTES, SnapshotChunk, SnapshotChunkReply, SnapshotChunkRequest,
};
pub use snapshot_info::{
    MAX_SNAPSHOT_CHUNKS, SnapshotInfo, SnapshotInfoReply, SnapshotInfoRequest, SnapshotOffer,
};
pub use store_record::{Finish, StoreRecord, StoreRecordReply, StoreRecordRequest};
pub use submit::{MAX_RESULT_BYTES, MAX_TX_BYTES, Submit, SubmitReply, SubmitRequest};
pub use tag_counters::{MAX_TAGS, TagCounters, TagCountersReply, TagCountersRequest};

use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// One kind of request and response, on a stream of its own.
pub trait Exchange: Send + Sync + 'static {
    /// Name that libp2p negotiates, `/caduceus/<name>/<version>`. A change of the bytes takes a new version.
    const PROTOCOL: &'static str;
    /// What the caller writes.
    type Request: BorshSerialize + BorshDeserialize + Send + 'static;
    /// What the callee writes.
    type Response: BorshSerialize + BorshDeserialize + Send + 'static;
    /// Whether a stream stays open for the caller's next request of this kind. A request on such a stream can be seen
    /// twice also when it was refused.
    const KEPT: bool = false;
    /// Largest request, bytes of borsh.
    const MAX_REQUEST: usize;
    /// Largest response, bytes of borsh.
    const MAX_RESPONSE: usize;
    /// How long a caller waits, from the opening of the stream to the last byte; also how long a callee
    /// waits for its response to be taken. A request must arrive sooner: its length within 5 s, its body
    /// within 5 s and one second for each 256 KiB.
    const TIMEOUT: Duration;
}

/// The names of all exchanges of this version.
pub const PROTOCOLS: &[&str] = &[
    Submit::PROTOCOL,
    Relay::PROTOCOL,
    Headers::PROTOCOL,
    LightBlocks::PROTOCOL,
    Query::PROTOCOL,
    FetchAnchor::PROTOCOL,
    FetchRecord::PROTOCOL,
    StoreRecord::PROTOCOL,
    TagCounters::PROTOCOL,
    Register::PROTOCOL,
    IssueTokens::PROTOCOL,
    IndexKey::PROTOCOL,
    FetchReceipt::PROTOCOL,
    DeliverFragments::PROTOCOL,
    Reencrypt::PROTOCOL,
    AuditQuery::PROTOCOL,
    MetaLookup::PROTOCOL,
    RegisterPatient::PROTOCOL,
    LogAction::PROTOCOL,
    DepositPairSecret::PROTOCOL,
    LinkedRecords::PROTOCOL,
    SnapshotInfo::PROTOCOL,
    SnapshotChunk::PROTOCOL,
    Health::PROTOCOL,
    LastVote::PROTOCOL,
    BucketKeys::PROTOCOL,
    AuditRows::PROTOCOL,
    Emergency::PROTOCOL,
    LogDeed::PROTOCOL,
];

/// Longest name of a rule in a denial, bytes.
const MAX_RULE_BYTES: usize = 64;
/// Longest explanation of a denial, bytes.
const MAX_DETAIL_BYTES: usize = 1024;
/// Largest header with its certificate (128 validators), bytes.
const MAX_CERTIFIED_BYTES: usize = 32 * 1024;
/// Largest inclusion or state proof, bytes.
const MAX_PROOF_BYTES: usize = 16 * 1024;
/// Largest anchor: entries, capsule, keys and signatures, bytes.
const MAX_ANCHOR_BYTES: usize = 64 * 1024;
/// Room for a message's fixed fields, bytes.
const OVERHEAD_BYTES: usize = 4 * 1024;
/// Time for an exchange that only looks something up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for an exchange that waits for a block.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);
