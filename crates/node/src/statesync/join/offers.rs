//! What the peers offer, sorted by what they agree on.

use crate::statesync::attest::Attestation;
use crate::statesync::manifest::Manifest;
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::{Certificate, CertifiedHeader, ChainId, ValidatorSet};
use caduceus_network::exchange::{SnapshotInfo, SnapshotInfoRequest, SnapshotOffer};
use caduceus_network::{PeerAddr, Service};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Largest certificate or list of attestations in an answer, bytes.
const MAX_PART_BYTES: usize = 32 * 1024;

/// One manifest, and all that peers sent with it.
pub(crate) struct Offer {
    pub manifest: Manifest,
    pub chunks: Vec<Hash>,
    pub certificate: Certificate,
    /// As they came: not checked yet.
    pub attestations: Vec<Attestation>,
    /// Who has it.
    pub peers: Vec<PeerAddr>,
}

/// Asks all peers for their newest snapshots, then each for those that only others named. The best comes last: the
/// newest, and of one height the one that most peers have.
pub(crate) async fn collect(service: &Service, peers: &[PeerAddr], chain: ChainId) -> Vec<Offer> {
    let mut offers: BTreeMap<Hash, Offer> = BTreeMap::new();
    let mut heights: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    let newest: Vec<(usize, Option<u64>)> = (0..peers.len()).map(|n| (n, None)).collect();
    for (peer, answer) in ask(service, peers, newest).await {
        if let Some(height) = add(&mut offers, &peers[peer], answer, chain) {
            heights.entry(height).or_default().insert(peer);
        }
    }
    let others: Vec<(usize, Option<u64>)> = heights
        .iter()
        .flat_map(|(height, asked)| {
            (0..peers.len())
                .filter(|peer| !asked.contains(peer))
                .map(|peer| (peer, Some(*height)))
        })
        .collect();
    for (peer, answer) in ask(service, peers, others).await {
        add(&mut offers, &peers[peer], answer, chain);
    }
    let mut offers: Vec<Offer> = offers.into_values().collect();
    offers.sort_by_key(|offer| (offer.manifest.height(), offer.peers.len()));
    offers
}

async fn ask(
    service: &Service,
    peers: &[PeerAddr],
    requests: Vec<(usize, Option<u64>)>,
) -> Vec<(usize, SnapshotOffer)> {
    let mut asking = JoinSet::new();
    for (index, height) in requests {
        let (service, peer) = (service.clone(), peers[index].clone());
        asking.spawn(async move {
            let answer = service
                .call::<SnapshotInfo>(&peer, SnapshotInfoRequest { height })
                .await;
            (index, answer)
        });
    }
    let mut offers = Vec::new();
    while let Some(answered) = asking.join_next().await {
        match answered {
            Ok((index, Ok(reply))) => offers.extend(reply.snapshot.map(|offer| (index, offer))),
            Ok((index, Err(error))) => {
                tracing::debug!(peer = %peers[index], %error, "no word of a snapshot");
            }
            Err(error) => tracing::error!(%error, "asking for a snapshot failed"),
        }
    }
    offers
}

/// Adds what a peer sent to those that sent the same manifest. Returns its height, if it is a snapshot of the chain.
fn add(
    offers: &mut BTreeMap<Hash, Offer>,
    peer: &PeerAddr,
    offer: SnapshotOffer,
    chain: ChainId,
) -> Option<u64> {
    let manifest = Manifest::decode(&offer.manifest).ok()?;
    let certificate: Certificate = codec::decode_exact(&offer.certificate, MAX_PART_BYTES).ok()?;
    let attestations: Vec<Attestation> =
        codec::decode_exact(&offer.attestations, MAX_PART_BYTES).ok()?;
    if manifest.header.chain != chain
        || attestations.len() > ValidatorSet::MAX
        || manifest.check_chunks(&offer.chunks).is_err()
    {
        tracing::warn!(%peer, "a node offers a malformed snapshot");
        return None;
    }
    let height = manifest.height().0;
    // Checked here, so that one peer's bad certificate does not stand in the way of another's good one.
    let certified = CertifiedHeader {
        header: manifest.header.clone(),
        certificate,
    };
    if certified.verify(&chain, &manifest.voters).is_err() {
        tracing::warn!(%peer, height, "a node offers a snapshot without its certificate");
        return None;
    }
    let certificate = certified.certificate;
    let known = offers.entry(manifest.hash()).or_insert_with(|| Offer {
        manifest,
        chunks: offer.chunks,
        certificate,
        attestations: Vec::new(),
        peers: Vec::new(),
    });
    known.attestations.extend(attestations);
    known.peers.push(peer.clone());
    Some(height)
}
