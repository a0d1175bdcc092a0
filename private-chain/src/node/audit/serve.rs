//! `bucket-keys` and `audit-rows`.

use super::Shared;
use super::fetch::name;
use crate::audit::{Bucket, Filter, Order, SecretBytes};
use crate::audit_log::{IndexError, KeyError, PackedPage, Unread};
use crate::{query, state};
use caduceus_crypto::codec;
use caduceus_network::exchange::{
    AuditRows, AuditRowsReply, AuditRowsRequest, BucketKeys, BucketKeysReply, BucketKeysRequest,
    LivingKey, MAX_AUDIT_FILTER_BYTES, MAX_AUDIT_ROWS, MAX_AUDIT_ROWS_BYTES,
};
use caduceus_network::{Peer, Refused};
use caduceus_node::service::Authorise;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a search waits for the index to come up with the chain.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Rows that are looked at for an answer without a thread of its own.
const GLANCE_ROWS: usize = 8192;
/// Rows that are packed for an answer without a thread of its own.
const GLANCE_FOUND: usize = 512;
/// Largest filter for that, bytes: one that names a few patients.
const GLANCE_FILTER_BYTES: usize = 1024;

fn failed(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "the audit log failed");
    Refused::because("the audit log failed")
}

fn stopped() -> Refused {
    Refused::because("the node stops")
}

/// Runs on a thread that may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(failed(error)))
}

/// Serves keys to the voters, to the nodes that the operator names, and to the hospital's server.
pub(super) fn keys(shared: &Arc<Shared>) {
    let known = Arc::downgrade(shared);
    let authorise = move |peer: &Peer| {
        known.upgrade().is_some_and(|shared| {
            peer.holds(&shared.operator)
                || shared.relay.may_hand_on(peer)
                || is_server(&shared, peer).unwrap_or(false)
        })
    };
    let shared = Arc::downgrade(shared);
    shared_service(&shared, |service| {
        let shared = shared.clone();
        service.serve::<BucketKeys, _, _>(authorise, move |_, request| {
            let shared = shared.clone();
            async move { blocking(move || answer_keys(&shared, request)).await }
        });
    });
}

fn shared_service(shared: &Weak<Shared>, serve: impl FnOnce(&caduceus_network::Service)) {
    if let Some(shared) = shared.upgrade() {
        serve(&shared.service);
    }
}

fn is_server(shared: &Shared, peer: &Peer) -> Option<bool> {
    let key = peer.key.as_ref()?;
    let node = shared.node.upgrade()?;
    let chain = node.chain();
    let snapshot = chain.snapshot().ok()?;
    let keys = query::hospital_keys(&snapshot).ok()?;
    Some(keys.is_server(key, chain.now()))
}

fn answer_keys(
    shared: &Weak<Shared>,
    request: BucketKeysRequest,
) -> Result<BucketKeysReply, Refused> {
    let shared = shared.upgrade().ok_or_else(stopped)?;
    let node = shared.node.upgrade().ok_or_else(stopped)?;
    let snapshot = node.chain().snapshot().map_err(failed)?;
    let parse = |name: &[u8; 3]| -> Result<Bucket, Refused> {
        codec::decode_exact(name, 3).map_err(|_| Refused::because("no bucket"))
    };
    let is_retired = |bucket: &Bucket| state::retired(bucket).is_set(&snapshot).map_err(failed);
    match request {
        BucketKeysRequest::Fetch { buckets } => {
            let mut living = Vec::new();
            for wanted in &buckets {
                let bucket = parse(wanted)?;
                if is_retired(&bucket)? {
                    continue;
                }
                match shared.keys.get(&bucket) {
                    Ok(Some(key)) => living.push(LivingKey {
                        bucket: *wanted,
                        key: *key,
                    }),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%bucket, %error, "a bucket's key cannot be read"),
                }
            }
            Ok(BucketKeysReply::Keys(living))
        }
        BucketKeysRequest::Offer(offered) => {
            let bucket = parse(&offered.bucket)?;
            if is_retired(&bucket)? {
                return Ok(BucketKeysReply::Gone);
            }
            match shared.keys.insert(&bucket, SecretBytes::new(offered.key)) {
                Ok(()) => {
                    shared.keyed.notify_one();
                    Ok(BucketKeysReply::Kept)
                }
                Err(KeyError::Destroyed { .. }) => Ok(BucketKeysReply::Gone),
                Err(KeyError::Conflict { .. }) => Ok(BucketKeysReply::Conflict),
                Err(error) => Err(failed(error)),
            }
        }
    }
}

/// Serves searches to the hospital's own keys and to the node's operator.
pub(super) fn rows(shared: &Arc<Shared>, hospital: Authorise) {
    let operator = shared.operator;
    let authorise = move |peer: &Peer| peer.holds(&operator) || hospital(peer);
    let shared = Arc::downgrade(shared);
    shared_service(&shared, |service| {
        let shared = shared.clone();
        service.serve::<AuditRows, _, _>(authorise, move |_, request| {
            let shared = shared.clone();
            async move {
                if !caught_up(&shared).await? {
                    return Ok(AuditRowsReply::Behind);
                }
                // A thread takes longer to wake up than most answers take.
                let glance = match request.filter.len() <= GLANCE_FILTER_BYTES {
                    true => answer_rows(&shared, &request, true)?,
                    false => None,
                };
                match glance {
                    Some(answer) => Ok(answer),
                    None => {
                        let whole = blocking(move || answer_rows(&shared, &request, false)).await?;
                        whole.ok_or_else(|| Refused::because("a whole answer is none"))
                    }
                }
            }
        });
    });
}

/// Waits until the index has all that the chain has now. Gives whether it has.
async fn caught_up(shared: &Weak<Shared>) -> Result<bool, Refused> {
    let shared = shared.upgrade().ok_or_else(stopped)?;
    let mut indexed = shared.indexed.subscribe();
    let node = shared.node.upgrade().ok_or_else(stopped)?;
    if shared.level.load(Ordering::Relaxed) >= node.chain().newest_begun().0 {
        return Ok(true);
    }
    let count = blocking(move || {
        let snapshot = node.chain().snapshot().map_err(failed)?;
        query::audit_count(&snapshot).map_err(failed)
    });
    let count = count.await?;
    drop(shared);
    let caught = indexed.wait_for(|indexed| *indexed >= count);
    Ok(matches!(
        tokio::time::timeout(CATCH_UP, caught).await,
        Ok(Ok(_))
    ))
}

/// Answers a search; at a glance, with none if that does not do.
fn answer_rows(
    shared: &Weak<Shared>,
    request: &AuditRowsRequest,
    at_a_glance: bool,
) -> Result<Option<AuditRowsReply>, Refused> {
    let shared = shared.upgrade().ok_or_else(stopped)?;
    let filter: Filter = codec::decode_exact(&request.filter, MAX_AUDIT_FILTER_BYTES)
        .map_err(|_| Refused::because("no filter"))?;
    let order = match request.newest_first {
        true => Order::NewestFirst,
        false => Order::OldestFirst,
    };
    let (index, from) = (&shared.index, request.cursor);
    let mut limit = request.limit.clamp(1, MAX_AUDIT_ROWS) as usize;
    let unread = index.unread(&filter).into_iter();
    let mut unread: Vec<_> = unread
        .map(|(Unread::NoKey(bucket) | Unread::Unopened(bucket, _))| name(&bucket))
        .collect();
    unread.dedup();
    unread.truncate(4096);
    loop {
        let found = match at_a_glance {
            true => {
                let most = limit.min(GLANCE_FOUND);
                let glance = index.glance(&filter, order, from, most, GLANCE_ROWS);
                // More than a glance packs, and fewer than were asked for.
                glance.map(|page| page.filter(|page| page.next.is_none() || most == limit))
            }
            false => index.query_packed(&filter, order, from, limit).map(Some),
        };
        let PackedPage { rows, count, next } = match found {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(None),
            Err(IndexError::Rebuilding { .. }) => {
                shared.keyed.notify_one();
                return Ok(Some(AuditRowsReply::Behind));
            }
            Err(error) => return Err(failed(error)),
        };
        // Even the largest row fits.
        if rows.len() <= MAX_AUDIT_ROWS_BYTES || count <= 1 {
            return Ok(Some(AuditRowsReply::Rows { rows, next, unread }));
        }
        limit = count / 2;
    }
}
