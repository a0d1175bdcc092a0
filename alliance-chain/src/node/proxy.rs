//! The proxy: takes key fragments from patients, answers capsule fragments for committed accesses, erases what
//! has ended (DESIGN 6.3). It never sees a plaintext, a keyword or a patient's key.

use super::fragments::{FragmentStore, Kept};
use crate::AllianceMachine;
use crate::consent::{fragment_receipt, purpose_commitment};
use crate::{query, state::GrantRecord};
use caduceus_crypto::reencrypt::{self, KeyFragment, disclosure_payload, fragment_commitment};
use caduceus_crypto::{Hash, PublicKey, SecretKey, TimeMillis, domain};
use caduceus_network::exchange::{
    DeliverFragments, DeliverFragmentsRequest, FragmentKept, Reencrypt, ReencryptRequest,
    Reencrypted, Reply,
};
use caduceus_network::{Peer, Refused, Service};
use caduceus_node::Node;
use rand_core::OsRng;
use std::sync::Arc;
use tokio::task::block_in_place;

/// A proxy answers only while its head is younger than this, so a revocation is effective within it.
pub const MAX_HEAD_AGE_MILLIS: u64 = 45_000;

struct Proxy {
    node: Arc<Node<AllianceMachine>>,
    key: SecretKey,
    fragments: Arc<FragmentStore>,
}

/// Serves `deliver-fragments` and `reencrypt`.
pub fn serve(
    service: &Service,
    node: &Arc<Node<AllianceMachine>>,
    key: SecretKey,
    fragments: Arc<FragmentStore>,
) {
    let proxy = Arc::new(Proxy {
        node: node.clone(),
        key,
        fragments,
    });
    let keeper = proxy.clone();
    service.serve::<DeliverFragments, _, _>(
        |_| true,
        move |_, request| {
            let proxy = keeper.clone();
            async move { block_in_place(|| proxy.keep(request)) }
        },
    );
    service.serve::<Reencrypt, _, _>(
        |_| true,
        move |peer, request| {
            let proxy = proxy.clone();
            async move { block_in_place(|| proxy.reencrypt(&peer, &request)) }
        },
    );
}

fn failed(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "the proxy failed");
    Refused::because("the proxy failed")
}

impl Proxy {
    fn grant(&self, id: &Hash) -> Result<Option<(GrantRecord, TimeMillis)>, Refused> {
        let snapshot = self.node.chain().snapshot().map_err(failed)?;
        let tip = snapshot
            .tip()
            .map_err(failed)?
            .ok_or_else(|| Refused::because("no head"))?;
        Ok(query::grant(&snapshot, id)
            .map_err(failed)?
            .map(|grant| (grant, tip.header.time)))
    }

    fn keep(&self, request: DeliverFragmentsRequest) -> Result<Reply<FragmentKept>, Refused> {
        let me = self.key.public();
        let Some((record, time)) = self.grant(&request.grant)? else {
            return Err(Refused::because("no such grant"));
        };
        if !record.is_active(time) {
            return Ok(Reply::denied(
                "grant_ended",
                "the grant is revoked or expired",
            ));
        }
        let grant = &record.grant;
        let at = usize::from(request.index);
        let (Some(proxy), Some(commitment)) =
            (grant.proxies.get(at), grant.fragment_commitments.get(at))
        else {
            return Err(Refused::because("no such index"));
        };
        if *proxy != me {
            return Err(Refused::because("a fragment for another proxy"));
        }
        if fragment_commitment(&request.salt, &request.fragment) != *commitment {
            return Ok(Reply::denied(
                "fragment_commitment",
                "the fragment is not the one that the grant commits to",
            ));
        }
        if purpose_commitment(&request.purpose_salt, &request.purpose) != grant.purpose_commitment {
            return Ok(Reply::denied(
                "purpose_commitment",
                "the purpose is not the one that the grant commits to",
            ));
        }
        let fragment = KeyFragment(request.fragment.clone());
        if let Err(error) = fragment.verify(&grant.verifying, &grant.delegating, &grant.receiving) {
            return Ok(Reply::denied("bad_fragment", error.to_string()));
        }
        let kept = Kept {
            index: request.index,
            fragment: request.fragment,
            purpose: request.purpose,
            purpose_salt: request.purpose_salt,
        };
        self.fragments.put(&request.grant, &kept).map_err(failed)?;
        let receipt = fragment_receipt(&request.grant, request.index, commitment);
        Ok(Reply::Done(FragmentKept {
            proxy: me,
            signature: self.key.sign(domain::FRAGMENT_RECEIPT, &receipt),
        }))
    }

    fn reencrypt(
        &self,
        peer: &Peer,
        request: &ReencryptRequest,
    ) -> Result<Reply<Reencrypted>, Refused> {
        let snapshot = self.node.chain().snapshot().map_err(failed)?;
        let access = query::access(&snapshot, &request.access)
            .map_err(failed)?
            .ok_or_else(|| Refused::because("no such access"))?;
        let holder: &PublicKey = &access.data_user;
        if !peer.holds(holder) {
            return Err(Refused::because("the access is another data user's"));
        }
        let tip = snapshot
            .tip()
            .map_err(failed)?
            .ok_or_else(|| Refused::because("no head"))?;
        let age = self.node.chain().now().0.saturating_sub(tip.header.time.0);
        if age > MAX_HEAD_AGE_MILLIS {
            return Ok(Reply::later(1000, "this proxy's head is stale"));
        }
        let record = query::grant(&snapshot, &access.grant)
            .map_err(failed)?
            .ok_or_else(|| Refused::because("the access names no grant"))?;
        if !record.is_active(tip.header.time) {
            return Ok(Reply::denied(
                "grant_ended",
                "the grant is revoked or expired",
            ));
        }
        let Some(kept) = self.fragments.get(&access.grant).map_err(failed)? else {
            return Ok(Reply::denied(
                "no_fragment",
                "this proxy holds no fragment of the grant",
            ));
        };
        let grant = &record.grant;
        let fragment = KeyFragment(kept.fragment)
            .verify(&grant.verifying, &grant.delegating, &grant.receiving)
            .map_err(failed)?;
        let capsule_fragment = match reencrypt::reencrypt(&request.capsule, &fragment, &mut OsRng) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Reply::denied("bad_capsule", error.to_string())),
        };
        let payload = disclosure_payload(&request.capsule, &capsule_fragment, &request.access);
        Ok(Reply::Done(Reencrypted {
            proxy: self.key.public(),
            signature: self.key.sign(domain::PROXY_DISCLOSURE, payload.as_bytes()),
            capsule_fragment,
            purpose: kept.purpose,
            purpose_salt: kept.purpose_salt,
        }))
    }
}

/// Erases the fragments of grants that are revoked or expired, at each new block.
pub async fn erase_ended(node: Arc<Node<AllianceMachine>>, fragments: Arc<FragmentStore>) {
    let mut tip = node.chain().watch_tip();
    loop {
        let outcome = block_in_place(|| sweep(&node, &fragments));
        if let Err(error) = outcome {
            tracing::error!(%error, "ended fragments could not be erased");
        }
        if tip.changed().await.is_err() {
            return;
        }
    }
}

fn sweep(node: &Node<AllianceMachine>, fragments: &FragmentStore) -> anyhow::Result<()> {
    let kept = fragments.grants()?;
    if kept.is_empty() {
        return Ok(());
    }
    let snapshot = node.chain().snapshot()?;
    let Some(tip) = snapshot.tip()? else {
        return Ok(());
    };
    for id in kept {
        // One grant that cannot be read, or file that cannot be erased, must not keep the others.
        let ended = match query::grant(&snapshot, &id) {
            Ok(grant) => grant.is_some_and(|grant| !grant.is_active(tip.header.time)),
            Err(error) => {
                tracing::error!(%error, grant = %id, "whether a grant has ended cannot be read");
                continue;
            }
        };
        if !ended {
            continue;
        }
        if let Err(error) = fragments.erase(&id) {
            tracing::error!(%error, grant = %id, "an ended grant's fragment could not be erased");
        }
    }
    Ok(())
}
