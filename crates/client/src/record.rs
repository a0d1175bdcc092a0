//! Fetching a sealed record through the alliance (DESIGN 2.3, step 3).

use crate::error::ClientError;
use crate::session::{Alliance, ephemeral_service};
use alliance_chain::RecordRef;
use caduceus_crypto::record::{self, MAX_RECORD_BYTES};
use caduceus_crypto::{Hash, HospitalId, SecretKey};
use caduceus_network::exchange::{
    FetchRecord, FetchRecordReply, FetchRecordRequest, RecordClaim, RecordRight,
};
use caduceus_network::{CallError, PeerAddr, PeerId, Service};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Nodes that are asked when they blame the hospital: one alone could lie.
const OPINIONS: usize = 2;
/// Passes over the nodes while all that are there refuse, and the pause between.
const PASSES: usize = 3;
const PASS_PAUSE: Duration = Duration::from_millis(400);

/// What a node asks to wait for while it still fetches a record; a bound of an audit policy takes longer.
const FETCHING_MILLIS: u64 = 500;
/// How long a node is waited for while it fetches a record.
const FETCHING_LIMIT: Duration = Duration::from_secs(600);
/// A node begins a download for a claim of at most this age, and continues one for longer.
const CLAIM_MILLIS: u64 = 60_000;

/// What is fetched, under which right, and how long that has taken.
struct Errand<'a> {
    hospital: HospitalId,
    at: RecordRef,
    record_hash: Hash,
    right: &'a RightKey<'a>,
    started: Instant,
}

impl<'a> Errand<'a> {
    fn new(
        hospital: HospitalId,
        at: RecordRef,
        record_hash: Hash,
        right: &'a RightKey<'a>,
    ) -> Self {
        Self {
            hospital,
            at,
            record_hash,
            right,
            started: Instant::now(),
        }
    }
}

/// The right under which a record is fetched.
#[derive(Clone, Copy, Debug)]
pub enum RightKey<'a> {
    /// The patient, by the one-time secret p of the record's pseudonym.
    Owner(&'a SecretKey),
    /// A data user, by a committed `Access` and the signing key it was granted to.
    Ticket {
        /// The `Access` transaction.
        access: Hash,
        /// The data user's signing key.
        key: &'a SecretKey,
    },
}

impl RightKey<'_> {
    fn claim(&self, claim: &RecordClaim) -> RecordRight {
        match self {
            RightKey::Owner(secret) => claim.claim_as_owner(secret),
            RightKey::Ticket { access, key } => claim.claim_with_ticket(key, *access),
        }
    }
}

/// Why one node brought no record.
enum Miss {
    Tampered,
    Withheld(String),
    Refused,
    Later(u64),
    Unverified(String),
    Unreachable(String),
}

/// Misses of all nodes; the gravest is told.
#[derive(Default)]
struct Misses {
    /// Who says so: two addresses of one node are one opinion.
    tampered: BTreeSet<PeerId>,
    withheld: Vec<String>,
    unverified: Option<(String, String)>,
    later: Option<u64>,
    refused: Option<String>,
    unreachable: Option<String>,
}

impl Alliance {
    /// Fetches a record from the alliance's nodes in turn, and checks that its hash is `record_hash`. A fresh
    /// peer identifier is used, so that two fetches can't be linked by it.
    ///
    /// # Errors
    /// [`ClientError::Tampered`] when nodes say that the hospital offers other bytes, with how many do: two are
    /// asked if two are there. [`ClientError::Withheld`] when they got none, which may be the hospital's doing or
    /// an outage; [`ClientError::Refused`] when nodes refuse the right; [`ClientError::Later`],
    /// [`ClientError::Unverified`], [`ClientError::Unreachable`].
    ///
    /// # Leakage
    /// The node and the hospital learn which record is fetched, by its owner or under which ticket.
    pub async fn fetch_record(
        &self,
        hospital: HospitalId,
        at: RecordRef,
        record_hash: Hash,
        right: &RightKey<'_>,
    ) -> Result<Vec<u8>, ClientError> {
        let errand = Errand::new(hospital, at, record_hash, right);
        self.fetch(&errand, Alliance::in_turn).await
    }

    /// [`Alliance::fetch_record`] from a random node: of many records that somebody fetches together, each node
    /// sees a part.
    ///
    /// # Errors
    /// As [`Alliance::fetch_record`].
    ///
    /// # Leakage
    /// As [`Alliance::fetch_record`]. The network address and the time still tell a node that the fetches which it
    /// sees belong together.
    pub async fn fetch_record_at_random(
        &self,
        hospital: HospitalId,
        at: RecordRef,
        record_hash: Hash,
        right: &RightKey<'_>,
    ) -> Result<Vec<u8>, ClientError> {
        let errand = Errand::new(hospital, at, record_hash, right);
        self.fetch(&errand, Alliance::at_random).await
    }

    async fn fetch(
        &self,
        errand: &Errand<'_>,
        order: fn(&Alliance) -> Vec<(usize, PeerAddr)>,
    ) -> Result<Vec<u8>, ClientError> {
        let service = ephemeral_service().await?;
        let fetched = self.fetch_by(&service, errand, order).await;
        service.shutdown().await;
        fetched
    }

    async fn fetch_by(
        &self,
        service: &Service,
        errand: &Errand<'_>,
        order: fn(&Alliance) -> Vec<(usize, PeerAddr)>,
    ) -> Result<Vec<u8>, ClientError> {
        let mut misses = Misses::default();
        for pass in 0..PASSES {
            for (index, node) in order(self) {
                let fetched = self.fetch_through(service, &node, errand).await;
                self.heard_of(index, !matches!(fetched, Err(Miss::Unreachable(_))));
                match fetched {
                    Ok(bytes) => return Ok(bytes),
                    Err(miss) => misses.note(&node, miss),
                }
                if misses.tampered.len() >= OPINIONS || misses.withheld.len() >= OPINIONS {
                    break;
                }
            }
            // A node that has not seen the newest block yet refuses like any stranger.
            if !misses.only_refused() || pass + 1 == PASSES {
                break;
            }
            tokio::time::sleep(PASS_PAUSE).await;
        }
        Err(misses.into_error(errand.hospital, errand.record_hash))
    }

    /// All chunks from one node, asked again while it says later.
    async fn fetch_through(
        &self,
        service: &Service,
        node: &PeerAddr,
        errand: &Errand<'_>,
    ) -> Result<Vec<u8>, Miss> {
        loop {
            // A node takes a claim for a minute, so each attempt makes its own.
            let claim = RecordClaim {
                hospital: errand.hospital,
                private_height: errand.at.height,
                position: errand.at.position,
                record_hash: errand.record_hash,
                caller: service.peer_id().to_bytes(),
                at: self.now(),
            };
            let right = errand.right.claim(&claim);
            // But while the node fetches, it fetches for this claim: another would begin anew.
            let miss = loop {
                match fetch_from(service, node, &claim, &right).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(Miss::Later(after_millis))
                        if after_millis <= FETCHING_MILLIS
                            && errand.started.elapsed() < FETCHING_LIMIT =>
                    {
                        tokio::time::sleep(Duration::from_millis(after_millis.max(50))).await;
                    }
                    Err(miss) => break miss,
                }
            };
            match miss {
                Miss::Later(after_millis) => {
                    let pause = Duration::from_millis(after_millis.max(50));
                    if errand.started.elapsed() + pause > self.timeout() {
                        return Err(Miss::Later(after_millis));
                    }
                    tokio::time::sleep(pause).await;
                }
                // The node has forgotten the download, and the claim is too old to begin another.
                Miss::Refused
                    if self.now().0.saturating_sub(claim.at.0) >= CLAIM_MILLIS
                        && errand.started.elapsed() < FETCHING_LIMIT => {}
                miss => return Err(miss),
            }
        }
    }
}

/// All chunks from one node.
async fn fetch_from(
    service: &Service,
    node: &PeerAddr,
    claim: &RecordClaim,
    right: &RecordRight,
) -> Result<Vec<u8>, Miss> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let offset = u64::try_from(bytes.len()).expect("a length in memory fits 64 bits");
        let request = FetchRecordRequest {
            claim: claim.clone(),
            right: right.clone(),
            offset,
        };
        let reply = match service.call::<FetchRecord>(node, request).await {
            Ok(reply) => reply,
            Err(CallError::Refused) => return Err(Miss::Refused),
            Err(error @ (CallError::Malformed | CallError::TooLarge { .. })) => {
                return Err(Miss::Unverified(error.to_string()));
            }
            Err(error) => return Err(Miss::Unreachable(error.to_string())),
        };
        match reply {
            FetchRecordReply::Chunk {
                total,
                bytes: chunk,
            } => {
                let end =
                    offset + u64::try_from(chunk.len()).expect("a length in memory fits 64 bits");
                if total > MAX_RECORD_BYTES as u64
                    || end > total
                    || (chunk.is_empty() && end < total)
                {
                    return Err(Miss::Unverified(
                        "a chunk does not fit its record".to_owned(),
                    ));
                }
                bytes.extend_from_slice(&chunk);
                if end == total {
                    break;
                }
            }
            FetchRecordReply::Tampered { .. } => return Err(Miss::Tampered),
            FetchRecordReply::Withheld { detail, .. } => return Err(Miss::Withheld(detail)),
            FetchRecordReply::Later { after_millis } => {
                return Err(Miss::Later(u64::from(after_millis)));
            }
        }
    }
    let view = record::parse(&bytes).map_err(|error| Miss::Unverified(error.to_string()))?;
    let found = view.record_hash();
    if found != claim.record_hash {
        return Err(Miss::Unverified(format!("the record has hash {found}")));
    }
    Ok(bytes)
}

impl Misses {
    fn note(&mut self, node: &PeerAddr, miss: Miss) {
        match miss {
            Miss::Tampered => {
                self.tampered.insert(node.id);
            }
            Miss::Withheld(detail) => self.withheld.push(detail),
            Miss::Refused => self.refused = Some(node.to_string()),
            Miss::Later(after_millis) => self.later = Some(after_millis),
            Miss::Unverified(reason) => {
                tracing::warn!(%node, %reason, "a record does not verify, asking another node");
                self.unverified = Some((node.to_string(), reason));
            }
            Miss::Unreachable(reason) => self.unreachable = Some(reason),
        }
    }

    fn only_refused(&self) -> bool {
        self.refused.is_some()
            && self.tampered.is_empty()
            && self.withheld.is_empty()
            && self.unverified.is_none()
            && self.later.is_none()
    }

    fn into_error(self, hospital: HospitalId, record_hash: Hash) -> ClientError {
        if !self.tampered.is_empty() {
            return ClientError::Tampered {
                hospital,
                record_hash,
                nodes: self.tampered.len(),
            };
        }
        if let Some((node, reason)) = self.unverified {
            return ClientError::Unverified { node, reason };
        }
        if let Some(detail) = self.withheld.into_iter().next() {
            return ClientError::Withheld {
                hospital,
                record_hash,
                detail,
            };
        }
        if let Some(after_millis) = self.later {
            return ClientError::Later {
                who: "the hospital".to_owned(),
                after_millis,
                detail: "a bound of its audit policy is reached".to_owned(),
            };
        }
        if let Some(node) = self.refused {
            return ClientError::Refused {
                who: format!("alliance node {node}"),
            };
        }
        ClientError::Unreachable {
            who: "the alliance".to_owned(),
            reason: self
                .unreachable
                .unwrap_or_else(|| "no node answers".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_network::peer_id;
    use rand_core::OsRng;

    fn node(port: u16) -> PeerAddr {
        let key = SecretKey::generate(&mut OsRng).public();
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", peer_id(&key))
            .parse()
            .expect("an address")
    }

    fn told(misses: Vec<(&PeerAddr, Miss)>) -> ClientError {
        let mut all = Misses::default();
        for (node, miss) in misses {
            all.note(node, miss);
        }
        all.into_error(HospitalId([1; 32]), Hash::ZERO)
    }

    #[test]
    fn it_is_told_how_many_nodes_say_that_a_record_is_altered() {
        let (first, second) = (node(1), node(2));
        let says = |misses| match told(misses) {
            ClientError::Tampered { nodes, .. } => nodes,
            other => panic!("{other}"),
        };
        let silent = || Miss::Unreachable("gone".to_owned());
        assert_eq!(says(vec![(&first, Miss::Tampered), (&second, silent())]), 1);
        let both = vec![(&first, Miss::Tampered), (&second, Miss::Tampered)];
        assert_eq!(says(both), 2);
        let twice = vec![(&first, Miss::Tampered), (&first, Miss::Tampered)];
        assert_eq!(says(twice), 1);
    }

    #[test]
    fn what_was_not_delivered_is_not_said_to_be_altered() {
        let (first, second) = (node(1), node(2));
        let withheld = || Miss::Withheld("no".to_owned());
        assert!(matches!(
            told(vec![(&first, withheld()), (&second, withheld())]),
            ClientError::Withheld { .. }
        ));
    }
}
