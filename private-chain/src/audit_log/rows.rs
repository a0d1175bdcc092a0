//! A search of a node's audit log, over the network.

use super::index::{Malformed, unpack_rows};
use crate::audit::{Bucket, Filter, Order, Page};
use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::{codec, domain};
use caduceus_network::exchange::{
    AuditRows, AuditRowsReply, AuditRowsRequest, BucketName, MAX_AUDIT_ROWS,
};
use caduceus_network::{CallError, PeerAddr, Service};

/// The key under which whoever has a node's key asks that node: no process can call itself under its own.
pub fn operator_key(node: &SecretKey) -> SecretKey {
    SecretKey::derive(domain::NODE_OPERATOR, &node.to_bytes()[..], &[])
}

/// What a node found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The rows, and where to go on.
    pub page: Page,
    /// Buckets with entries that could fit and that the node cannot open.
    pub unread: Vec<Bucket>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The node does not answer, or does not answer this caller.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node is still reading what is on the chain.
    #[error("the node is still reading what is on the chain")]
    Behind,
    /// The answer is no rows.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Searches at a node: up to `limit` entries that fit, and no more than [`MAX_AUDIT_ROWS`], from the cursor on.
///
/// # Errors
/// [`RowsError`] says whether to ask again.
pub async fn rows_via(
    service: &Service,
    node: &PeerAddr,
    filter: &Filter,
    order: Order,
    cursor: Option<u64>,
    limit: usize,
) -> Result<Rows, RowsError> {
    let limit = u32::try_from(limit).map_or(MAX_AUDIT_ROWS, |limit| limit.min(MAX_AUDIT_ROWS));
    let request = AuditRowsRequest {
        filter: codec::encode(filter),
        newest_first: order == Order::NewestFirst,
        cursor,
        limit,
    };
    let (packed, next, unread) = match service.call::<AuditRows>(node, request).await? {
        AuditRowsReply::Behind => return Err(RowsError::Behind),
        AuditRowsReply::Rows { rows, next, unread } => (rows, next, unread),
    };
    let mut rows = unpack_rows(&packed, limit as usize)?;
    if order == Order::NewestFirst {
        rows.reverse();
    }
    let bucket = |name: BucketName| codec::decode_exact(&name, name.len()).map_err(|_| Malformed);
    Ok(Rows {
        page: Page { rows, next },
        unread: unread.into_iter().map(bucket).collect::<Result<_, _>>()?,
    })
}
