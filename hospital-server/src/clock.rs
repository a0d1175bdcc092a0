//! Where programs of this package get the time.

use caduceus_crypto::TimeMillis;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time, Unix milliseconds UTC. An argument, so that scenarios can hold it.
pub type Clock = Arc<dyn Fn() -> TimeMillis + Send + Sync>;

/// The operating system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        TimeMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}
