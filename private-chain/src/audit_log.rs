//! The audit log in files: the keys of its buckets ([`keys`]) and the search index over opened entries ([`index`]).
//!
//! A validator and the hospital's server keep one each. Both are apart from the chain's store: what is on the chain
//! stays there for ever, what is here is destroyed when its bucket is retired.

pub mod index;
pub mod keys;
#[cfg(feature = "rows")]
mod rows;

pub use index::{Index, IndexError, PackedPage, Unread, unpack_rows};
pub use keys::{BucketKeys, KeyError};
#[cfg(feature = "rows")]
pub use rows::{Rows, RowsError, all_rows_via, operator_key, rows_via};
