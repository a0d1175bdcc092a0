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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// An answer as it came.
struct Packed {
    rows: Vec<u8>,
    next: Option<u64>,
    unread: Vec<BucketName>,
}

async fn ask(
    service: &Service,
    node: &PeerAddr,
    request: AuditRowsRequest,
) -> Result<Packed, RowsError> {
    match service.call::<AuditRows>(node, request).await? {
        AuditRowsReply::Behind => Err(RowsError::Behind),
        AuditRowsReply::Rows { rows, next, unread } => Ok(Packed { rows, next, unread }),
    }
}

fn request(filter: &Filter, order: Order, cursor: Option<u64>, limit: u32) -> AuditRowsRequest {
    AuditRowsRequest {
        filter: codec::encode(filter),
        newest_first: order == Order::NewestFirst,
        cursor,
        limit,
    }
}

impl Packed {
    fn read(self, order: Order, limit: u32) -> Result<Rows, RowsError> {
        let mut rows = unpack_rows(&self.rows, limit as usize)?;
        if order == Order::NewestFirst {
            rows.reverse();
        }
        let bucket =
            |name: BucketName| codec::decode_exact(&name, name.len()).map_err(|_| Malformed);
        let unread = self.unread.into_iter().map(bucket);
        Ok(Rows {
            page: Page {
                rows,
                next: self.next,
            },
            unread: unread.collect::<Result<_, _>>()?,
        })
    }
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
    let packed = ask(service, node, request(filter, order, cursor, limit)).await?;
    packed.read(order, limit)
}

/// Searches at a node: all entries that fit. The next page is asked for while one is read.
///
/// # Errors
/// [`RowsError`] says whether to ask again.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn all_rows_via(
    service: &Service,
    node: &PeerAddr,
    filter: &Filter,
    order: Order,
) -> Result<Rows, RowsError> {
    let limit = MAX_AUDIT_ROWS;
    let mut packed = ask(service, node, request(filter, order, None, limit)).await?;
    let mut all = Rows::default();
    loop {
        let packed_next = packed.next;
        let following = packed_next.map(|next| {
            let (service, node) = (service.clone(), node.clone());
            let request = request(filter, order, Some(next), limit);
            tokio::spawn(async move { ask(&service, &node, request).await })
        });
        let read = packed.read(order, limit)?;
        all.page.rows.extend(read.page.rows);
        all.unread.extend(read.unread);
        let Some(following) = following else {
            all.unread.sort_unstable();
            all.unread.dedup();
            return Ok(all);
        };
        let before = packed_next;
        packed = match following.await {
            Ok(answer) => answer?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        // A node that does not go on would be asked for ever.
        if packed.next.is_some() && packed.next == before {
            return Err(Malformed.into());
        }
    }
}
