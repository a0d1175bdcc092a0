//! The state of the alliance chain: typed keys over the ledger's three spaces.
//!
//! | key | space | value |
//! |---|---|---|
//! | `params` | Auth | [`Params`] |
//! | `generation` | Auth | u64: governance changes so far |
//! | `member/` hospital | Auth | [`MemberRecord`] |
//! | `former/` hospital | Auth | list of keys: its identity keys before the present one, newest first |
//! | `proxies` | Auth | list of [`ProxyInfo`] |
//! | `operators` | Auth | list of [`Operator`]: who runs which validator |
//! | `credit/` hospital | Auth | [`CreditRecord`] |
//! | `issuer/` hospital | Auth | [`IssuerRecord`] |
//! | `account/` data user | Auth | [`AccountRecord`] |
//! | `head/` hospital | Auth | [`CheckpointHead`] |
//! | `headers/` hospital | Auth | [`HeaderTree`]: every checkpointed header; absent before the first |
//! | `linked/` hospital | Auth | [`LinkedHead`]; absent until something is linked |
//! | `spent/` token id | Auth | [`Height`] |
//! | `request/` id, `grant/` id, `access/` id, `report/` id | Auth | [`RequestRecord`] and so on |
//! | `NAME-count/` owner, `NAME-item/` owner index | Auth | a [`List`] |
//! | `header/` hospital height | Bulk | [`CheckpointedHeader`] |
//! | `validators/` hospital hash | Bulk | every validator set of the private chain so far |
//! | `unlinked/` hospital height | Bulk | u32: anchors of a checkpointed block that is not linked yet |
//! | `ordinal/` hospital | Bulk | u32: number of the hospital, in the order of admission from 0 |
//! | `ordinals` | Bulk | u32: the next such number |
//! | ordinal tag | Index | [`RecordRef`] of the record with the tag |
//! | `scan/` ordinal n | Bulk | [`ScanRecord`]: the n-th linked record, where the scheme scans |
//! | `scan-count/` ordinal | Bulk | u64: how many there are |
//! | `link/` hospital n | Bulk | [`LinkPlace`]: the n-th linked private block |
//! | `link-count/` hospital | Bulk | u64: how many there are |
//! | `pseudonym/` hospital P | Bulk | [`RecordRef`] |
//! | `record/` hospital height position | Bulk | [`LinkedRecord`] |
//! | `daily/` kind owner epoch | Bulk | u32: uses of a daily allowance |
//! | `proved/` hospital kind P | Bulk | Hash: the report that proved such misbehaviour under a pseudonym |
//! | `deposit/` access | Bulk | [`Deposit`]: what an access paid for its service |
//! | `forked/` hospital height | Bulk | Hash: the report that proved a second header there |
//! | `budget` | Bulk | u64: leaves and probes of the block in progress; absent between blocks |
//! | `block-validators` | Bulk | bool: the block in progress changed the voters; absent between blocks |
//!
//! Heights, positions, epochs, ordinals and indices are big-endian in keys, so that key order is chain order.
//!
//! A tag costs 32 bytes before the overhead of the store's tables, key and value of fixed width: 4 for the ordinal
//! that stands for the hospital's 32-byte identifier, 16 for the tag, 12 for the record's place. A shorter tag would
//! collide (at 2^32 tags a hospital, 16 bytes leave 2^-65), and a shorter place could not name every record; what
//! else a search returns is looked up by that place. Tags are the only rows of which a record has dozens, so they
//! alone are worth a space of their own.

mod credits;
mod list;
mod records;

use crate::genesis::{Operator, Params, ProxyInfo};
use crate::tx::ReportKind;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::index::Tag;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::Epoch;
use caduceus_ledger::checkpoint::{HEAD_PREFIX, TREE_PREFIX};
use caduceus_ledger::{
    Height, INDEX_KEY_BYTES, INDEX_VALUE_BYTES, Overlay, Space, StateError, StateView, ValidatorSet,
};
use std::marker::PhantomData;

pub use credits::{CreditRecord, Deposit, Earned, Service, Spent, Use};
pub use list::List;
pub use records::{
    AccessRecord, AccountRecord, AnchorsExtra, CheckpointHead, CheckpointedHeader, GrantRecord,
    GrantStatus, HeaderTree, IssuerRecord, LinkPlace, LinkedHead, LinkedRecord, MAX_ISSUER_KEYS,
    MemberRecord, RecordRef, ReportRecord, RequestRecord, ScanRecord,
};

/// Where one typed value lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<T> {
    space: Space,
    bytes: Vec<u8>,
    value: PhantomData<T>,
}

impl<T> Key<T> {
    fn new(space: Space, prefix: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = prefix.as_bytes().to_vec();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Self {
            space,
            bytes,
            value: PhantomData,
        }
    }

    /// The key's bytes, as a state proof names them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key's space.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Whether anything is stored here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_set(&self, view: &dyn StateView) -> Result<bool, StateError> {
        Ok(view.get(self.space, &self.bytes)?.is_some())
    }

    /// Removes the value.
    pub fn clear(&self, state: &mut Overlay<'_>) {
        state.delete(self.space, &self.bytes);
    }

    fn label(&self) -> String {
        self.bytes.escape_ascii().to_string()
    }
}

impl<T: BorshSerialize + BorshDeserialize> Key<T> {
    /// The value, if one is stored.
    ///
    /// # Errors
    /// When the store fails or holds bytes that do not decode.
    pub fn get(&self, view: &dyn StateView) -> Result<Option<T>, StateError> {
        match view.get(self.space, &self.bytes)? {
            Some(bytes) => self.decode(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The value, which an invariant says is there.
    ///
    /// # Errors
    /// When the store fails, holds nothing here, or holds bytes that do not decode.
    pub fn require(&self, view: &dyn StateView) -> Result<T, StateError> {
        self.get(view)?
            .ok_or_else(|| StateError(format!("nothing under {}", self.label())))
    }

    /// Stores a value.
    pub fn put(&self, state: &mut Overlay<'_>, value: &T) {
        state.put(self.space, &self.bytes, codec::encode(value));
    }

    /// Decodes stored bytes, for instance those of a state proof.
    ///
    /// # Errors
    /// When the bytes are not exactly a value.
    pub fn decode(&self, bytes: &[u8]) -> Result<T, StateError> {
        borsh::from_slice(bytes)
            .map_err(|e| StateError(format!("value under {}: {e}", self.label())))
    }
}

// ---- Auth: what clients prove ----

/// The alliance's bounds.
pub fn params() -> Key<Params> {
    Key::new(Space::Auth, "params", &[])
}

/// Number of governance changes so far.
pub fn generation() -> Key<u64> {
    Key::new(Space::Auth, "generation", &[])
}

/// Prefix of all member keys in [`Space::Auth`].
pub const MEMBER_PREFIX: &str = "member/";

/// A member, present or former.
pub fn member(hospital: &HospitalId) -> Key<MemberRecord> {
    Key::new(Space::Auth, MEMBER_PREFIX, &[&hospital.0])
}

/// Most identity keys of one hospital that are remembered besides the present one.
pub const MAX_FORMER_IDENTITIES: usize = 64;

/// A hospital's identity keys before the present one, newest first: what it signed with them still binds it.
pub fn former_identities(hospital: &HospitalId) -> Key<Vec<PublicKey>> {
    Key::new(Space::Auth, "former/", &[&hospital.0])
}

/// The proxies.
pub fn proxies() -> Key<Vec<ProxyInfo>> {
    Key::new(Space::Auth, "proxies", &[])
}

/// Who runs which validator.
pub fn operators() -> Key<Vec<Operator>> {
    Key::new(Space::Auth, "operators", &[])
}

/// A member's service credits.
pub fn credit(member: &HospitalId) -> Key<CreditRecord> {
    Key::new(Space::Auth, "credit/", &[&member.0])
}

/// A member's token keys.
pub fn issuer(member: &HospitalId) -> Key<IssuerRecord> {
    Key::new(Space::Auth, "issuer/", &[&member.0])
}

/// A data user.
pub fn account(data_user: &PublicKey) -> Key<AccountRecord> {
    Key::new(Space::Auth, "account/", &[data_user.as_bytes()])
}

/// The newest checkpointed header of a private chain.
pub fn head(hospital: &HospitalId) -> Key<CheckpointHead> {
    Key::new(Space::Auth, HEAD_PREFIX, &[&hospital.0])
}

/// All checkpointed headers of a private chain.
pub fn header_tree(hospital: &HospitalId) -> Key<HeaderTree> {
    Key::new(Space::Auth, TREE_PREFIX, &[&hospital.0])
}

/// How far a hospital's records are linked, and the digest of all that is.
pub fn linked(hospital: &HospitalId) -> Key<LinkedHead> {
    Key::new(Space::Auth, "linked/", &[&hospital.0])
}

/// The alliance height at which a token, by `Token::id`, was spent.
pub fn spent(token: &Hash) -> Key<Height> {
    Key::new(Space::Auth, "spent/", &[&token.0])
}

/// A data user's request.
pub fn request(id: &Hash) -> Key<RequestRecord> {
    Key::new(Space::Auth, "request/", &[&id.0])
}

/// All requests, oldest first.
pub fn requests() -> List {
    List::new("request", &[])
}

/// Prefix of all grant keys in [`Space::Auth`].
pub const GRANT_PREFIX: &str = "grant/";

/// A grant.
pub fn grant(id: &Hash) -> Key<GrantRecord> {
    Key::new(Space::Auth, GRANT_PREFIX, &[&id.0])
}

/// The grants under a pseudonym P, oldest first.
pub fn grants_of(pseudonym: &PublicKey) -> List {
    List::new("grant-of", pseudonym.as_bytes())
}

/// The grants to a data user, oldest first.
pub fn grants_to(data_user: &PublicKey) -> List {
    List::new("grant-to", data_user.as_bytes())
}

/// An access ticket.
pub fn access(id: &Hash) -> Key<AccessRecord> {
    Key::new(Space::Auth, "access/", &[&id.0])
}

/// The access tickets of a grant, oldest first.
pub fn accesses_of(grant: &Hash) -> List {
    List::new("access-of", &grant.0)
}

/// A report.
pub fn report(id: &Hash) -> Key<ReportRecord> {
    Key::new(Space::Auth, "report/", &[&id.0])
}

/// The reports about a hospital, oldest first.
pub fn reports_about(hospital: &HospitalId) -> List {
    List::new("report-about", &hospital.0)
}

// ---- Bulk: what blocks already commit to ----

/// A checkpointed private header.
pub fn header(hospital: &HospitalId, height: Height) -> Key<CheckpointedHeader> {
    Key::new(
        Space::Bulk,
        "header/",
        &[&hospital.0, &height.0.to_be_bytes()],
    )
}

/// A validator set that a private chain has or had.
pub fn validators(hospital: &HospitalId, set: &Hash) -> Key<ValidatorSet> {
    Key::new(Space::Bulk, "validators/", &[&hospital.0, &set.0])
}

const UNLINKED_PREFIX: &str = "unlinked/";

/// Number of anchors of a checkpointed private block that is not linked yet.
pub fn unlinked(hospital: &HospitalId, height: Height) -> Key<u32> {
    Key::new(
        Space::Bulk,
        UNLINKED_PREFIX,
        &[&hospital.0, &height.0.to_be_bytes()],
    )
}

/// The lowest checkpointed private height whose anchors are not linked yet, if there is one.
///
/// # Errors
/// When the store fails.
pub fn first_unlinked(
    view: &dyn StateView,
    hospital: &HospitalId,
) -> Result<Option<Height>, StateError> {
    let prefix = [UNLINKED_PREFIX.as_bytes(), &hospital.0[..]].concat();
    let found = view.scan(Space::Bulk, &prefix, 1)?;
    let Some((key, _)) = found.first() else {
        return Ok(None);
    };
    let tail = &key[prefix.len()..];
    let height: [u8; 8] = tail
        .try_into()
        .map_err(|_| StateError("an unlinked key does not end in a height".into()))?;
    Ok(Some(Height(u64::from_be_bytes(height))))
}

/// The number that stands for a hospital in keys of which there are many.
pub fn ordinal(hospital: &HospitalId) -> Key<u32> {
    Key::new(Space::Bulk, "ordinal/", &[&hospital.0])
}

/// The number of the next hospital.
pub fn ordinals() -> Key<u32> {
    Key::new(Space::Bulk, "ordinals", &[])
}

/// Bytes of a [`RecordRef`], encoded.
const RECORD_REF_BYTES: usize = 8 + 4;

const _: () = assert!(4 + std::mem::size_of::<Tag>() == INDEX_KEY_BYTES);
const _: () = assert!(RECORD_REF_BYTES == INDEX_VALUE_BYTES);

/// The key of [`tag`].
pub fn tag_key(ordinal: u32, tag: &Tag) -> [u8; INDEX_KEY_BYTES] {
    let mut key = [0; INDEX_KEY_BYTES];
    key[..4].copy_from_slice(&ordinal.to_be_bytes());
    key[4..].copy_from_slice(&tag.0);
    key
}

/// The record that carries a tag of the hospital with this ordinal.
pub fn tag(ordinal: u32, tag: &Tag) -> Key<RecordRef> {
    Key::new(Space::Index, "", &[&tag_key(ordinal, tag)])
}

/// The n-th linked record of a hospital, from 0 in the order of linking; only where the scheme scans.
pub fn scan_record(ordinal: u32, n: u64) -> Key<ScanRecord> {
    let (ordinal, n) = (ordinal.to_be_bytes(), n.to_be_bytes());
    Key::new(Space::Bulk, "scan/", &[&ordinal, &n])
}

/// Number of records under [`scan_record`]; absent means 0.
pub fn scan_count(ordinal: u32) -> Key<u64> {
    Key::new(Space::Bulk, "scan-count/", &[&ordinal.to_be_bytes()])
}

/// The n-th linked private block of a hospital, from 0. Blocks without anchors are not linked, hence not counted.
pub fn link(hospital: &HospitalId, n: u64) -> Key<LinkPlace> {
    Key::new(Space::Bulk, "link/", &[&hospital.0, &n.to_be_bytes()])
}

/// Number of blocks under [`link`]; absent means 0.
pub fn link_count(hospital: &HospitalId) -> Key<u64> {
    Key::new(Space::Bulk, "link-count/", &[&hospital.0])
}

/// The record under a pseudonym P.
pub fn pseudonym(hospital: &HospitalId, point: &PublicKey) -> Key<RecordRef> {
    Key::new(Space::Bulk, "pseudonym/", &[&hospital.0, point.as_bytes()])
}

/// A linked record.
pub fn record(hospital: &HospitalId, at: &RecordRef) -> Key<LinkedRecord> {
    Key::new(
        Space::Bulk,
        "record/",
        &[
            &hospital.0,
            &at.height.to_be_bytes(),
            &at.position.to_be_bytes(),
        ],
    )
}

/// What a daily allowance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daily {
    /// Accounts that a member vouches for.
    Accounts,
    /// Requests of a data user.
    Requests,
    /// One report by one reporter about one thing, on the reporter's word.
    Reports,
    /// Searches under tokens of a member's issue.
    Searches,
    /// Forks proved of a hospital's private chain.
    Forks,
}

/// Uses of a daily allowance.
pub fn daily(kind: Daily, owner: &[u8], day: Epoch) -> Key<u32> {
    let kind: &[u8] = match kind {
        Daily::Accounts => b"a/",
        Daily::Requests => b"q/",
        Daily::Reports => b"r/",
        Daily::Searches => b"s/",
        Daily::Forks => b"f/",
    };
    Key::new(Space::Bulk, "daily/", &[kind, owner, &day.0.to_be_bytes()])
}

/// The report that proved misbehaviour of a kind by a receipt for this pseudonym P.
pub fn proved(hospital: &HospitalId, kind: ReportKind, point: &PublicKey) -> Key<Hash> {
    let kind = codec::encode(&kind);
    Key::new(
        Space::Bulk,
        "proved/",
        &[&hospital.0, &kind, point.as_bytes()],
    )
}

/// What an access paid for its service; none where nobody paid.
pub fn deposit(access: &Hash) -> Key<Deposit> {
    Key::new(Space::Bulk, "deposit/", &[&access.0])
}

/// The report that proved a second header at a height of a private chain.
pub fn forked(hospital: &HospitalId, height: Height) -> Key<Hash> {
    Key::new(
        Space::Bulk,
        "forked/",
        &[&hospital.0, &height.0.to_be_bytes()],
    )
}

/// Leaves and probes spent by the searches of the block in progress.
pub fn budget() -> Key<u64> {
    Key::new(Space::Bulk, "budget", &[])
}

/// Set where the block in progress changed the voters.
pub fn block_validators() -> Key<bool> {
    Key::new(Space::Bulk, "block-validators", &[])
}
