//! Keep the rules and state of the alliance chain, search and re-encrypt, and run its node.
//!
//! The library is pure: transactions ([`tx`]), rules ([`rules`]), typed state ([`state`]), reads and decoders
//! ([`query`]), the chain's own genesis ([`genesis`]) and the state machine that ties them together
//! ([`machine`]). No clock, socket, file or operating-system randomness. See DESIGN section 6.

pub mod consent;
pub mod genesis;
pub mod machine;
#[cfg(feature = "node")]
pub mod node;
pub mod proposal;
pub mod query;
pub mod rules;
pub mod state;
pub mod tx;

#[cfg(test)]
mod testing;

pub use genesis::{
    AllianceGenesis, CreditPolicy, GenesisError, Member, MemberError, Operator, Params, ProxyInfo,
};
pub use machine::AllianceMachine;
pub use query::LinkedBlock;
pub use rules::{Failure, Rule, is_transient};
pub use state::{
    AccessRecord, AccountRecord, AnchorsExtra, CheckpointHead, CheckpointedHeader, CreditRecord,
    GrantRecord, GrantStatus, IssuerRecord, Key, LinkPlace, LinkedHead, LinkedRecord, MemberRecord,
    RecordRef, ReportRecord, RequestRecord, ScanRecord,
};
pub use tx::{
    Access, Account, Acknowledge, Change, Checkpoint, Governance, Grant, Hit, Issuer, Link,
    Purpose, Report, ReportKind, ReportProof, Request, Revoke, Search, SearchResult, SignedAccess,
    SignedAccount, SignedAcknowledge, SignedGovernance, SignedGrant, SignedIssuer, SignedReport,
    SignedRequest, SignedRevoke, SignedSearch, Tx,
};
