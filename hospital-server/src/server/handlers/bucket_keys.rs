//! Keys of retention buckets for the hospital's own nodes. They hold them already, or are to: no entry.

use crate::database::blocking;
use crate::server::context::Context;
use caduceus_crypto::decode_exact;
use caduceus_network::exchange::{BucketKeysReply, BucketKeysRequest, LivingKey};
use caduceus_network::{Peer, Refused};
use private_chain::Bucket;
use std::sync::Arc;

pub(super) async fn answer(
    ctx: Arc<Context>,
    _: Peer,
    request: BucketKeysRequest,
) -> Result<BucketKeysReply, Refused> {
    let BucketKeysRequest::Fetch { buckets } = request else {
        return Err(Refused::because("the server draws the keys"));
    };
    let ring = ctx.ring.clone();
    let keys = blocking(move || {
        let mut living = Vec::new();
        for name in buckets {
            let Ok(bucket) = decode_exact::<Bucket>(&name, name.len()) else {
                return Err(Refused::because("no bucket"));
            };
            match ring.get(&bucket) {
                Ok(Some(key)) => living.push(LivingKey {
                    bucket: name,
                    key: *key,
                }),
                Ok(None) => {}
                Err(error) => tracing::warn!(%bucket, %error, "a bucket's key cannot be read"),
            }
        }
        Ok(living)
    });
    Ok(BucketKeysReply::Keys(keys.await?))
}
