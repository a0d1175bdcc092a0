//! Which peers are connected, and whether a connection was lost since one looked.
//!
//! A multiplexed stream ends the same way whether the peer reset it or the connection died. A caller takes
//! a mark before it opens a stream; a mark that has changed means that a connection was lost meanwhile.

use libp2p::PeerId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Shared by the swarm task, which writes, and the callers, who read.
#[derive(Clone)]
pub(crate) struct Links {
    table: Arc<Mutex<Table>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    marks: HashMap<PeerId, u64>,
    next: u64,
}

/// State of the connections with one peer at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(Option<u64>);

impl Mark {
    /// Whether there was a connection.
    pub(crate) fn is_connected(self) -> bool {
        self.0.is_some()
    }
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            table: Arc::new(Mutex::new(Table::default())),
            changes: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was established.
    pub(crate) fn opened(&self, peer: PeerId) {
        let mut table = self.lock();
        let next = table.next;
        table.marks.entry(peer).or_insert(next);
        table.next += 1;
    }

    /// A connection was lost; `remaining` others to the peer are left.
    pub(crate) fn closed(&self, peer: PeerId, remaining: u32) {
        {
            let mut table = self.lock();
            let next = table.next;
            if remaining == 0 {
                table.marks.remove(&peer);
            } else {
                table.marks.insert(peer, next);
            }
            table.next += 1;
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// The state now.
    pub(crate) fn mark(&self, peer: &PeerId) -> Mark {
        Mark(self.lock().marks.get(peer).copied())
    }

    /// Number of peers connected now.
    pub(crate) fn count(&self) -> usize {
        self.lock().marks.len()
    }

    /// Waits until a connection with the peer was lost since the mark was taken.
    pub(crate) async fn lost_since(&self, peer: &PeerId, mark: Mark) {
        let mut changes = self.changes.subscribe();
        while mark.is_connected() && self.mark(peer) == mark {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_lost_connection_changes_the_mark() {
        let links = Links::new();
        let (peer, other) = (PeerId::random(), PeerId::random());
        assert!(!links.mark(&peer).is_connected());
        links.opened(peer);
        let first = links.mark(&peer);
        links.opened(peer);
        links.opened(other);
        assert_eq!(links.mark(&peer), first, "a second connection is no loss");
        links.closed(peer, 1);
        let second = links.mark(&peer);
        assert_ne!(second, first);
        links.closed(peer, 0);
        assert!(!links.mark(&peer).is_connected());
        links.opened(peer);
        assert_ne!(links.mark(&peer), first);
        assert_ne!(links.mark(&peer), second);
        assert!(links.mark(&other).is_connected());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_loss() {
        let links = Links::new();
        let peer = PeerId::random();
        links.opened(peer);
        let mark = links.mark(&peer);
        let waiter = {
            let links = links.clone();
            tokio::spawn(async move { links.lost_since(&peer, mark).await })
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiter.is_finished());
        links.closed(peer, 0);
        tokio::time::timeout(Duration::from_secs(5), waiter)
            .await
            .unwrap()
            .unwrap();
    }
}
