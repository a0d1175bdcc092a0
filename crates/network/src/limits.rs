//! What one process lets others take of it: connections, streams, requests per second.

use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use libp2p::PeerId;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Bounds of a service. Whatever is over one is refused like everything else: without a byte.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Handshakes in progress at once, towards us.
    pub pending_inbound: u32,
    /// Established connections towards us.
    pub inbound: u32,
    /// Established connections from us.
    pub outbound: u32,
    /// Established connections with one peer, both directions together.
    pub per_peer: u32,
    /// Requests of one exchange handled at once.
    pub streams_at_once: usize,
    /// Requests of one exchange that wait for their turn.
    pub streams_queued: usize,
    /// Requests of one exchange by one peer, waiting or handled.
    pub streams_per_peer: usize,
    /// Calls of ours to one peer at once; the multiplexer closes a connection at 512 streams.
    pub calls_per_peer: usize,
    /// Requests per second by one peer, over all exchanges.
    pub requests_per_second: NonZeroU32,
    /// Requests by one peer that may come at once after a pause.
    pub burst: NonZeroU32,
    /// How long a request over the rate is held back before it is refused.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_inbound: 256,
            inbound: 1024,
            outbound: 1024,
            per_peer: 4,
            streams_at_once: 256,
            streams_queued: 256,
            streams_per_peer: 64,
            calls_per_peer: 128,
            requests_per_second: NonZeroU32::new(500).expect("500 is positive"),
            burst: NonZeroU32::new(1000).expect("1000 is positive"),
            patience: Duration::from_secs(2),
        }
    }
}

/// The rate of requests of each peer (generic cell rate algorithm).
pub(crate) struct Limiter {
    rates: DefaultKeyedRateLimiter<PeerId>,
    patience: Duration,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.requests_per_second).allow_burst(limits.burst);
        Self {
            rates: RateLimiter::keyed(quota),
            patience: limits.patience,
        }
    }

    /// Counts one request of the peer, holding it back while it is over the rate. False means refuse.
    pub(crate) async fn admit(&self, peer: &PeerId) -> bool {
        let deadline = Instant::now() + self.patience;
        loop {
            let wait = match self.rates.check_key(peer) {
                Ok(()) => return true,
                Err(not_until) => not_until.wait_time_from(self.rates.clock().now()),
            };
            if Instant::now() + wait > deadline {
                return false;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Forgets peers that have been quiet for long enough, so that memory follows the living ones.
    pub(crate) fn sweep(&self) {
        self.rates.retain_recent();
        self.rates.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limits(patience: Duration) -> Limits {
        Limits {
            requests_per_second: NonZeroU32::new(10).unwrap(),
            burst: NonZeroU32::new(3).unwrap(),
            patience,
            ..Limits::default()
        }
    }

    #[tokio::test]
    async fn one_peer_over_its_rate_does_not_touch_another() {
        let limiter = Limiter::new(&limits(Duration::ZERO));
        let (loud, quiet) = (PeerId::random(), PeerId::random());
        let mut admitted = 0;
        for _ in 0..20 {
            admitted += usize::from(limiter.admit(&loud).await);
        }
        assert!((3..=5).contains(&admitted), "{admitted} of 20 admitted");
        assert!(limiter.admit(&quiet).await);
    }

    #[tokio::test]
    async fn patience_holds_a_request_back_instead_of_refusing_it() {
        let limiter = Limiter::new(&limits(Duration::from_secs(5)));
        let peer = PeerId::random();
        let started = Instant::now();
        for _ in 0..5 {
            assert!(limiter.admit(&peer).await);
        }
        assert!(started.elapsed() >= Duration::from_millis(100));
        limiter.sweep();
    }
}
