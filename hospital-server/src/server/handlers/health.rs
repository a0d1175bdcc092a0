//! How the server is. No patient datum, hence no entry.

use crate::server::context::Context;
use caduceus_network::exchange::HealthReply;
use caduceus_network::{Peer, Refused};
use std::sync::Arc;

pub(super) async fn answer(ctx: Arc<Context>, _: Peer, (): ()) -> Result<HealthReply, Refused> {
    let status = ctx.links.borrow().clone();
    Ok(HealthReply {
        program: "hospital-server".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: status.looked && status.trouble.is_none(),
        height: status.private_height,
        head_time: status.private_time,
        detail: status
            .trouble
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect(),
        consensus: None,
    })
}
