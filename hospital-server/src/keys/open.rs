//! Index keys that are logged and perhaps not given yet, so that a crash in between is in the log.
//!
//! The row is durable before the entry is asked for, and goes when the answer was handed to the network. What is left,
//! by a crash or because the log did not answer, is entered as of unknown outcome.

use super::Context;
use crate::database::blocking;
use caduceus_crypto::{decode_exact, encode};
use caduceus_network::exchange::{LogAction, LogActionRequest, Reply};
use private_chain::{AuditEntry, Outcome};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// What the entry says.
const STOPPED: &str = "the key service stopped before it was known whether the key was given";

/// How often what is left is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Largest entry, bytes.
const MAX_ENTRY_BYTES: usize = 4096;

/// Requests being answered now; clones share them.
#[derive(Clone, Default)]
pub(super) struct Live(Arc<Mutex<HashSet<[u8; 16]>>>);

impl Live {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 16]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an answer; false if one with this name is under way.
    pub(super) fn begin(&self, request: [u8; 16]) -> bool {
        self.lock().insert(request)
    }

    /// Nobody works on it any more.
    pub(super) fn end(&self, request: &[u8; 16]) {
        self.lock().remove(request);
    }

    fn has(&self, request: &[u8; 16]) -> bool {
        self.lock().contains(request)
    }
}

/// Enters what is left, while the service lives.
pub(super) async fn enter_left(ctx: Weak<Context>) {
    loop {
        {
            let Some(ctx) = ctx.upgrade() else {
                return;
            };
            if let Err(detail) = enter(&ctx).await {
                tracing::warn!(%detail, "open index keys wait for the audit log");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn enter(ctx: &Context) -> Result<(), String> {
    let pairs = ctx.pairs.clone();
    let left = blocking(move || pairs.open_actions())
        .await
        .map_err(|error| error.to_string())?;
    for (request, bytes) in left {
        if ctx.live.has(&request) {
            continue;
        }
        let entry: AuditEntry =
            decode_exact(&bytes, MAX_ENTRY_BYTES).map_err(|error| error.to_string())?;
        let entry = AuditEntry {
            time: ctx.now(),
            outcome: Outcome::Unknown,
            reason: STOPPED.into(),
            statement: None,
            ..entry
        };
        let message = LogActionRequest {
            entry: encode(&entry),
        };
        let answer = ctx.service.call::<LogAction>(&ctx.map.server, message);
        match answer.await {
            Ok(Reply::Done(_)) => {}
            Ok(Reply::Denied { rule, detail }) => {
                tracing::error!(%rule, %detail, "the hospital server refuses a closing entry");
            }
            Ok(Reply::Later { detail, .. }) => return Err(detail),
            Err(error) => return Err(error.to_string()),
        }
        let pairs = ctx.pairs.clone();
        blocking(move || pairs.close_action(&request))
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
