//! What the peers offer, sorted by what they agree on.

use crate::statesync::attest::{Attestation, Attestations};
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
    /// Those that hold.
    pub attestations: Attestations,
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
        attestations: Attestations::default(),
        peers: Vec::new(),
    });
    // Checked here too: what one peer makes up takes no place from what another sends.
    known.attestations.add(&attestations, &known.manifest);
    known.peers.push(peer.clone());
    Some(height)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::node::peer_id;
    use crate::statesync::manifest::{Section, root_of};
    use caduceus_crypto::{SecretKey, TimeMillis, domain};
    use caduceus_ledger::{Address, Header, Height, Validator, Vote, VoteKind};

    const CHAIN: ChainId = ChainId(Hash([3; 32]));

    fn key(n: u8) -> SecretKey {
        SecretKey::derive(domain::VOTE, &[n], &[])
    }

    fn peer(n: u8) -> PeerAddr {
        let id = peer_id(&key(n).public());
        format!("/ip4/127.0.0.1/tcp/1/p2p/{id}").parse().unwrap()
    }

    /// A snapshot without a row, by three voters.
    fn snapshot() -> (Manifest, Certificate) {
        let voter = |n: u8| Validator {
            key: key(n).public(),
            power: 1,
        };
        let voters = ValidatorSet::new((0..3).map(voter).collect()).unwrap();
        let header = Header {
            chain: CHAIN,
            height: Height(9),
            time: TimeMillis(9),
            proposer: Address::of(&key(0).public()),
            parent: Hash([1; 32]),
            txs_root: Hash([1; 32]),
            results_root: Hash([1; 32]),
            state_root: Hash([2; 32]),
            validators: voters.hash(),
            next_validators: voters.hash(),
            extra: Vec::new(),
        };
        let vote = Vote {
            chain: CHAIN,
            kind: VoteKind::Precommit,
            height: header.height,
            round: 0,
            block: Some(header.hash()),
        };
        let sign = |n: u8| {
            let signature = key(n).sign(domain::VOTE, &vote.sign_bytes());
            (Address::of(&key(n).public()), signature)
        };
        let certificate = Certificate {
            height: header.height,
            round: 0,
            block: header.hash(),
            signatures: (0..3).map(sign).collect(),
        };
        let manifest = Manifest {
            header,
            voters: voters.clone(),
            next_validators: voters,
            auth: Section::default(),
            bulk: Section::default(),
            index: Section::default(),
            root: root_of(&[]),
        };
        (manifest, certificate)
    }

    #[test]
    fn what_one_peer_makes_up_crowds_out_nobodys_attestations() {
        let (manifest, certificate) = snapshot();
        let by = |n: u8| Attestation::sign(&manifest.hash(), &key(n));
        let lists = [
            vec![by(99); ValidatorSet::MAX],
            vec![by(0), by(1)],
            vec![by(99); ValidatorSet::MAX],
            vec![by(1), by(2)],
        ];
        let mut offers = BTreeMap::new();
        for (n, list) in (10..).zip(&lists) {
            let sent = SnapshotOffer {
                manifest: codec::encode(&manifest),
                certificate: codec::encode(&certificate),
                attestations: codec::encode(list),
                chunks: Vec::new(),
            };
            assert_eq!(add(&mut offers, &peer(n), sent, CHAIN), Some(9));
        }
        let offer = offers.get(&manifest.hash()).unwrap();
        assert_eq!(offer.peers.len(), lists.len());
        assert_eq!(offer.attestations.list().len(), 3);
        assert!(offer.attestations.quorum(&manifest.voters).is_ok());
    }
}
