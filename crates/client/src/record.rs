//! Fetching a sealed record through the alliance (DESIGN 2.3, step 3).

use crate::error::ClientError;
use crate::session::{Alliance, ephemeral_service};
use alliance_chain::RecordRef;
use caduceus_crypto::record::{self, MAX_RECORD_BYTES};
use caduceus_crypto::{Hash, HospitalId, SecretKey};
use caduceus_network::exchange::{
    FetchRecord, FetchRecordReply, FetchRecordRequest, RecordClaim, RecordRight,
};
use caduceus_network::{CallError, PeerAddr, Service};
use std::time::{Duration, Instant};

/// Nodes that are believed when they blame the hospital: one alone could lie.
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
    tampered: usize,
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
    /// [`ClientError::Tampered`] and [`ClientError::Withheld`] when two nodes (or all there are) blame the
    /// hospital; [`ClientError::Refused`] when nodes refuse the right; [`ClientError::Later`],
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
        let service = ephemeral_service().await?;
        let fetched = self
            .fetch_by(&service, hospital, at, record_hash, right)
            .await;
        service.shutdown().await;
        fetched
    }

    async fn fetch_by(
        &self,
        service: &Service,
        hospital: HospitalId,
        at: RecordRef,
        record_hash: Hash,
        right: &RightKey<'_>,
    ) -> Result<Vec<u8>, ClientError> {
        let errand = Errand {
            hospital,
            at,
            record_hash,
            right,
            started: Instant::now(),
        };
        let mut misses = Misses::default();
        for pass in 0..PASSES {
            for (_, node) in self.in_turn() {
                match self.fetch_through(service, &node, &errand).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(miss) => misses.note(&node, miss),
                }
                if misses.tampered >= OPINIONS || misses.withheld.len() >= OPINIONS {
                    break;
                }
            }
            // A node that has not seen the newest block yet refuses like any stranger.
            if !misses.only_refused() || pass + 1 == PASSES {
                break;
            }
            tokio::time::sleep(PASS_PAUSE).await;
        }
        Err(misses.into_error(hospital, record_hash))
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
            Miss::Tampered => self.tampered += 1,
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
            && self.tampered == 0
            && self.withheld.is_empty()
            && self.unverified.is_none()
            && self.later.is_none()
    }

    fn into_error(self, hospital: HospitalId, record_hash: Hash) -> ClientError {
        if self.tampered > 0 {
            return ClientError::Tampered {
                hospital,
                record_hash,
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
