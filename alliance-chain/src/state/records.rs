//! The values of the alliance state.

use crate::genesis::Member;
use crate::tx::{Account, Grant, Report, Request};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::index::IndexEntries;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_crypto::token::IssuerPublicKey;
use caduceus_ledger::Height;
use std::fmt;

/// A record's place on its hospital's private chain.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct RecordRef {
    /// Height of the private block.
    pub height: u64,
    /// Index among the anchors of that block, from 0.
    pub position: u32,
}

impl fmt::Display for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.height, self.position)
    }
}

/// A hospital that is or was a member. What a former one linked stays searchable.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MemberRecord {
    /// The hospital, with its newest keys and the newest validators of its private chain.
    pub member: Member,
    /// Alliance height at which it left.
    pub removed: Option<Height>,
}

impl MemberRecord {
    /// Whether it is a member now.
    pub fn is_active(&self) -> bool {
        self.removed.is_none()
    }
}

/// Most token keys that count at once: the newest and the one before it.
pub const MAX_ISSUER_KEYS: usize = 2;

/// A member's token keys.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IssuerRecord {
    /// Newest first, at most [`MAX_ISSUER_KEYS`].
    pub keys: Vec<IssuerPublicKey>,
}

/// A data user.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountRecord {
    /// What the member vouched for.
    pub account: Account,
    /// Block time at which it did.
    pub since: TimeMillis,
}

pub use caduceus_ledger::{CheckpointHead, HeaderTree};

/// What the alliance keeps of a checkpointed private header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckpointedHeader {
    /// Its hash.
    pub hash: Hash,
    /// Its time on the private chain.
    pub time: TimeMillis,
    /// Root over its anchors.
    pub anchors_root: Hash,
    /// Number of its anchors.
    pub anchors_count: u32,
}

/// What a private header says about the anchors of its block. Bytes: root (32), count (u32 little-endian).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorsExtra {
    /// RFC 6962 root over the borsh of the block's `AnchorLeaf`s, by position.
    pub root: Hash,
    /// Number of anchors in the block.
    pub count: u32,
}

impl AnchorsExtra {
    /// Encoded length in bytes.
    pub const BYTES: usize = 36;

    /// The bytes of `Header::extra`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.root.as_bytes().to_vec();
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// Reads `Header::extra`; none unless it is exactly [`Self::BYTES`] long.
    pub fn parse(extra: &[u8]) -> Option<Self> {
        let (root, rest) = extra.split_first_chunk::<32>()?;
        let count: [u8; 4] = rest.try_into().ok()?;
        Some(Self {
            root: Hash(*root),
            count: u32::from_le_bytes(count),
        })
    }
}

/// A record whose anchor is linked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkedRecord {
    /// Its one-time pseudonym.
    pub pseudonym: Pseudonym,
    /// Its hash.
    pub record_hash: Hash,
}

/// How far a hospital's records are linked. With it a client that downloads all links knows that it has them all,
/// unaltered and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkedHead {
    /// The newest linked private height.
    pub height: Height,
    /// Records linked so far.
    pub records: u64,
    /// Running digest over the linked private blocks: `query::linked_digest`.
    pub digest: Hash,
}

/// Where the anchors of a linked private block stand on the alliance chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkPlace {
    /// The private height.
    pub height: Height,
    /// The `Link` transaction.
    pub tx: Hash,
}

/// A linked record as a scan reads it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ScanRecord {
    /// Its place.
    pub record: RecordRef,
    /// UTC day on which it was linked, by the alliance's block time, which never goes back.
    pub day: Epoch,
    /// Its index entries.
    pub entries: IndexEntries,
}

/// A request on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RequestRecord {
    /// What is asked.
    pub request: Request,
    /// Block time at which it was posted.
    pub posted: TimeMillis,
}

/// Whether a grant still counts. Expiry is not a status: it follows from block time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum GrantStatus {
    /// Not revoked.
    Active,
    /// Revoked by the patient.
    Revoked {
        /// Block time of the revocation.
        at: TimeMillis,
    },
}

/// A grant on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GrantRecord {
    /// What is granted.
    pub grant: Grant,
    /// Alliance height of the grant.
    pub height: Height,
    /// Block time of the grant.
    pub granted: TimeMillis,
    /// Whether it still counts.
    pub status: GrantStatus,
}

impl GrantRecord {
    /// Whether an access at this block time is covered: neither expired nor revoked.
    pub fn is_active(&self, now: TimeMillis) -> bool {
        self.status == GrantStatus::Active && now < self.grant.expires
    }
}

/// An access ticket on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccessRecord {
    /// The grant.
    pub grant: Hash,
    /// The grant's data user.
    pub data_user: PublicKey,
    /// Index among the grant's accesses, from 0.
    pub index: u32,
    /// Alliance height of the ticket.
    pub height: Height,
    /// Block time of the ticket.
    pub time: TimeMillis,
}

/// A report on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReportRecord {
    /// What is said.
    pub report: Report,
    /// Alliance height of the report.
    pub height: Height,
    /// Block time of the report.
    pub time: TimeMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_has_one_length() {
        let good = AnchorsExtra {
            root: Hash([1; 32]),
            count: 7,
        };
        assert_eq!(AnchorsExtra::parse(&good.to_bytes()), Some(good));
        assert_eq!(&good.to_bytes()[32..], &[7u8, 0, 0, 0]);
        assert_eq!(AnchorsExtra::parse(&good.to_bytes()[..35]), None);
        assert_eq!(AnchorsExtra::parse(&[0; 37]), None);
    }
}
