//! Hand keys of the audit log's retention buckets to a node of the same hospital.
//!
//! Authorised by the peer's key: a voter of the chain or a node that the operator names, and the hospital's server.
//! Nobody else gets a byte. An offered key is durable when the node says so; only then is it used.
//!
//! # Leakage
//! A key opens all entries of its bucket. It travels inside the connection's encryption alone (Noise), between
//! processes of one hospital that all hold the same keys.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES};
use crate::bounded::list;
use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;
use std::time::Duration;

/// Buckets in one request.
pub const MAX_BUCKETS: usize = 512;

/// A bucket: the borsh of the private chain's `Bucket`.
pub type BucketName = [u8; 3];

/// The exchange.
pub struct BucketKeys;

/// A bucket and its key. Bytes: bucket 3, key 32.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LivingKey {
    /// The bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: [u8; 32],
}

impl fmt::Debug for LivingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivingKey")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// Bytes: variant (0 or 1), then its fields.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BucketKeysRequest {
    /// The keys of these buckets are wanted.
    Fetch {
        /// The buckets.
        #[borsh(deserialize_with = "list::<_, BucketName, MAX_BUCKETS>")]
        buckets: Vec<BucketName>,
    },
    /// A key that is going to be used.
    Offer(LivingKey),
}

/// Bytes: variant (0 to 3), then its fields.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BucketKeysReply {
    /// The keys that there are, of those wanted.
    Keys(#[borsh(deserialize_with = "list::<_, LivingKey, MAX_BUCKETS>")] Vec<LivingKey>),
    /// The offered key is kept, durably.
    Kept,
    /// The offered key is of a bucket that is retired.
    Gone,
    /// The bucket has another key.
    Conflict,
}

impl Exchange for BucketKeys {
    const PROTOCOL: &'static str = "/caduceus/bucket-keys/1";
    type Request = BucketKeysRequest;
    type Response = BucketKeysReply;
    const MAX_REQUEST: usize = MAX_BUCKETS * 3 + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_BUCKETS * 35 + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}
