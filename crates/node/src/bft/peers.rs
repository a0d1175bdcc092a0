//! Tells a running engine of peers that come and go: no height is lost over it.

use malachitebft_app_channel::NetworkRequest;
use multiaddr::Multiaddr;
use tokio::sync::{mpsc, watch};

/// Adds and removes peers as the operator's list changes, from those that the engine was started with.
pub(super) async fn follow(
    engine: mpsc::Sender<NetworkRequest>,
    mut wanted: watch::Receiver<Vec<Multiaddr>>,
    mut known: Vec<Multiaddr>,
) {
    loop {
        let next = wanted.borrow_and_update().clone();
        let (gone, new) = differences(&known, &next);
        for peer in gone {
            let done = NetworkRequest::remove_persistent_peer(&engine, peer.clone()).await;
            report(&peer, "removed", done);
        }
        for peer in new {
            let done = NetworkRequest::add_persistent_peer(&engine, peer.clone()).await;
            report(&peer, "added", done);
        }
        known = next;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Those only in the first list, and those only in the second.
fn differences(known: &[Multiaddr], next: &[Multiaddr]) -> (Vec<Multiaddr>, Vec<Multiaddr>) {
    let missing = |from: &[Multiaddr], of: &[Multiaddr]| {
        of.iter()
            .filter(|peer| !from.contains(peer))
            .cloned()
            .collect()
    };
    (missing(next, known), missing(known, next))
}

fn report<E: std::fmt::Debug, F: std::fmt::Debug>(
    peer: &Multiaddr,
    what: &str,
    done: Result<Result<(), E>, F>,
) {
    match done {
        Ok(Ok(())) => tracing::info!(%peer, "consensus peer {what}"),
        // The engine is stopping, or knows already: the next engine starts with the whole list.
        Ok(Err(error)) => tracing::debug!(%peer, ?error, "consensus peer not {what}"),
        Err(error) => tracing::debug!(%peer, ?error, "consensus peer not {what}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_told() {
        let list = |ports: &[u16]| -> Vec<Multiaddr> {
            ports
                .iter()
                .map(|port| format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap())
                .collect()
        };
        let (gone, new) = differences(&list(&[1, 2, 3]), &list(&[3, 4, 1]));
        assert_eq!((gone, new), (list(&[2]), list(&[4])));
    }
}
