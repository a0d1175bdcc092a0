//! `fetch-record`: a node fetches a record on behalf of its owner or of a ticket's holder, and checks what the
//! hospital says against the certified anchor before a byte goes on (DESIGN 2.3, step 3).

use super::HospitalRoute;
use crate::AllianceMachine;
use crate::query;
use crate::state::{LinkedRecord, RecordRef};
use crate::tx::{Report, ReportKind, Tx};
use caduceus_crypto::record::{MAX_RECORD_BYTES, SealedView};
use caduceus_crypto::{Anchor, Hash, HospitalId, InclusionProof, SecretKey, TimeMillis, decode_exact};
use caduceus_ledger::{Header, Height};
use caduceus_network::exchange::{
    CHUNK_BYTES, FetchAnchor, FetchAnchorRequest, FetchRecord, FetchRecordReply, FetchRecordRequest, RecordClaim,
    RecordRight,
};
use caduceus_network::{CallError, Peer, Refused, Service};
use caduceus_node::Node;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::task::block_in_place;

/// A claim is good for this long around the node's time.
const CLAIM_MILLIS: u64 = 60_000;
/// Bytes of verified ciphertexts kept for the chunks to come.
const CACHE_BYTES: usize = 512 * 1024 * 1024;
const MAX_ANCHOR_BYTES: usize = 64 * 1024;

type Place = (HospitalId, RecordRef);

#[derive(Default)]
struct Cache {
    order: u64,
    bytes: usize,
    records: BTreeMap<Place, Cached>,
}

struct Cached {
    order: u64,
    claim: RecordClaim,
    bytes: Arc<Vec<u8>>,
}

impl Cache {
    /// Chunks after the first are served from memory, to the same claim only: a new claim asks the hospital
    /// again, so that each disclosure is in its log.
    fn get(&self, place: &Place, claim: &RecordClaim) -> Option<Arc<Vec<u8>>> {
        self.records.get(place).filter(|c| c.claim == *claim).map(|c| c.bytes.clone())
    }

    fn put(&mut self, place: Place, claim: RecordClaim, bytes: Arc<Vec<u8>>) {
        self.order += 1;
        self.bytes += bytes.len();
        if let Some(old) = self.records.insert(place, Cached { order: self.order, claim, bytes }) {
            self.bytes -= old.bytes.len();
        }
        while self.bytes > CACHE_BYTES && self.records.len() > 1 {
            let oldest = self.records.iter().min_by_key(|(_, c)| c.order).map(|(p, _)| *p);
            if let Some(gone) = oldest.and_then(|place| self.records.remove(&place)) {
                self.bytes -= gone.bytes.len();
            }
        }
    }
}

struct Broker {
    node: Arc<Node<AllianceMachine>>,
    service: Service,
    key: SecretKey,
    hospitals: BTreeMap<HospitalId, HospitalRoute>,
    cache: Mutex<Cache>,
}

/// Why the hospital's answer is not passed on.
enum Trouble {
    Tampered { found: Hash },
    Withheld { detail: String },
    Later { after_millis: u32 },
}

/// Serves `fetch-record`.
pub fn serve(
    service: &Service,
    node: &Arc<Node<AllianceMachine>>,
    key: SecretKey,
    hospitals: BTreeMap<HospitalId, HospitalRoute>,
) {
    let broker = Arc::new(Broker {
        node: node.clone(),
        service: service.clone(),
        key,
        hospitals,
        cache: Mutex::new(Cache::default()),
    });
    service.serve::<FetchRecord, _, _>(
        |_| true,
        move |peer, request| {
            let broker = broker.clone();
            async move { broker.answer(&peer, request).await }
        },
    );
}

fn failed(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "a record could not be looked up");
    Refused::because("lookup failed")
}

impl Broker {
    async fn answer(&self, peer: &Peer, request: FetchRecordRequest) -> Result<FetchRecordReply, Refused> {
        let claim = request.claim.clone();
        let linked = block_in_place(|| self.authorise(peer, &claim, &request.right))?;
        let at = RecordRef { height: claim.private_height, position: claim.position };
        let place = (claim.hospital, at);
        let cached = self.cache.lock().expect("no holder of this lock panics").get(&place, &claim);
        let bytes = match cached {
            Some(bytes) => bytes,
            None => match self.fetch(&request, &at, &linked).await {
                Ok(bytes) => {
                    let bytes = Arc::new(bytes);
                    let mut cache = self.cache.lock().expect("no holder of this lock panics");
                    cache.put(place, claim.clone(), bytes.clone());
                    bytes
                }
                Err(trouble) => return Ok(self.trouble(&claim, at, trouble)),
            },
        };
        let start = usize::try_from(request.offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(CHUNK_BYTES).min(bytes.len());
        Ok(FetchRecordReply::Chunk { total: bytes.len() as u64, bytes: bytes[start..end].to_vec() })
    }

    /// The claim is fresh, the caller's own, about a linked record, and signed by who may have it.
    fn authorise(&self, peer: &Peer, claim: &RecordClaim, right: &RecordRight) -> Result<LinkedRecord, Refused> {
        let now = self.node.chain().now();
        if !claim.is_from(&peer.id) || now.0.abs_diff(claim.at.0) > CLAIM_MILLIS {
            return Err(Refused::because("the claim is another's or old"));
        }
        let snapshot = self.node.chain().snapshot().map_err(failed)?;
        let at = RecordRef { height: claim.private_height, position: claim.position };
        let linked = query::linked_record(&snapshot, &claim.hospital, &at)
            .map_err(failed)?
            .filter(|linked| linked.record_hash == claim.record_hash)
            .ok_or_else(|| Refused::because("no such record"))?;
        let key = match right {
            RecordRight::Owner { .. } => linked.pseudonym.point,
            RecordRight::Ticket { access, .. } => {
                let ticket = query::access(&snapshot, access)
                    .map_err(failed)?
                    .ok_or_else(|| Refused::because("no such ticket"))?;
                let record = query::grant(&snapshot, &ticket.grant)
                    .map_err(failed)?
                    .ok_or_else(|| Refused::because("the ticket names no grant"))?;
                let covers = record.grant.hospital == claim.hospital && record.grant.record == at;
                if !covers || !record.is_active(TimeMillis(now.0)) {
                    return Err(Refused::because("the ticket does not cover this record now"));
                }
                ticket.data_user
            }
        };
        claim.check(right, &key).map_err(|_| Refused::because("the right is not signed by its owner"))?;
        Ok(linked)
    }

    async fn fetch(&self, request: &FetchRecordRequest, at: &RecordRef, linked: &LinkedRecord) -> Result<Vec<u8>, Trouble> {
        let hospital = request.claim.hospital;
        let Some(route) = self.hospitals.get(&hospital) else {
            return Err(Trouble::Withheld { detail: "this node knows no way to the hospital".to_owned() });
        };
        self.check_anchor(route, &hospital, at, linked).await?;
        let mut record = Vec::new();
        loop {
            let ask = FetchRecordRequest { offset: record.len() as u64, ..request.clone() };
            let reply = self.service.call::<FetchRecord>(&route.server, ask).await;
            let (total, bytes) = match reply {
                Ok(FetchRecordReply::Chunk { total, bytes }) => (total, bytes),
                Ok(FetchRecordReply::Tampered { found, .. }) => return Err(Trouble::Tampered { found }),
                Ok(FetchRecordReply::Withheld { detail, .. }) => return Err(Trouble::Withheld { detail }),
                Ok(FetchRecordReply::Later { after_millis }) => return Err(Trouble::Later { after_millis }),
                Err(error) => return Err(withheld(&error)),
            };
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            if total > MAX_RECORD_BYTES || bytes.is_empty() || record.len() + bytes.len() > total {
                return Err(Trouble::Withheld { detail: "the server's chunks do not add up".to_owned() });
            }
            record.extend_from_slice(&bytes);
            if record.len() == total {
                break;
            }
        }
        let found = block_in_place(|| SealedView::parse(&record).map(|view| view.record_hash()));
        match found {
            Ok(found) if found == linked.record_hash => Ok(record),
            Ok(found) => Err(Trouble::Tampered { found }),
            Err(_) => Err(Trouble::Tampered { found: Hash::ZERO }),
        }
    }

    /// A private node's anchor must be the one that the alliance's checkpoint commits to.
    async fn check_anchor(
        &self,
        route: &HospitalRoute,
        hospital: &HospitalId,
        at: &RecordRef,
        linked: &LinkedRecord,
    ) -> Result<(), Trouble> {
        let known = block_in_place(|| {
            let snapshot = self.node.chain().snapshot().ok()?;
            query::checkpointed(&snapshot, hospital, Height(at.height)).ok()?
        })
        .ok_or_else(|| Trouble::Withheld { detail: "the private block is not checkpointed".to_owned() })?;
        let mut last = "no private node answered".to_owned();
        for node in &route.private_nodes {
            let ask = FetchAnchorRequest { height: at.height, position: at.position };
            let reply = match self.service.call::<FetchAnchor>(node, ask).await {
                Ok(reply) => reply,
                Err(error) => {
                    last = error.to_string();
                    continue;
                }
            };
            let decoded = (
                decode_exact::<Anchor>(&reply.anchor, MAX_ANCHOR_BYTES),
                decode_exact::<Header>(&reply.header, MAX_ANCHOR_BYTES),
                decode_exact::<InclusionProof>(&reply.proof, MAX_ANCHOR_BYTES),
            );
            let (Ok(anchor), Ok(header), Ok(proof)) = decoded else {
                last = "a private node's answer does not decode".to_owned();
                continue;
            };
            match query::check_anchor(&known, &header, at, &anchor, &proof) {
                Ok(()) if anchor.body.record_hash == linked.record_hash => return Ok(()),
                Ok(()) => last = "the anchor is about another record".to_owned(),
                Err(error) => last = error.to_string(),
            }
        }
        Err(Trouble::Withheld { detail: last })
    }

    /// Tells the caller, and the chain.
    fn trouble(&self, claim: &RecordClaim, at: RecordRef, trouble: Trouble) -> FetchRecordReply {
        let hospital = claim.hospital;
        match trouble {
            Trouble::Later { after_millis } => FetchRecordReply::Later { after_millis },
            Trouble::Tampered { found } => {
                let detail = format!("expected {}, found {found}", claim.record_hash);
                self.report(ReportKind::Tampered, hospital, at, detail);
                FetchRecordReply::Tampered { hospital, record_hash: claim.record_hash, found }
            }
            Trouble::Withheld { detail } => {
                self.report(ReportKind::Withheld, hospital, at, detail.clone());
                FetchRecordReply::withheld(hospital, claim.record_hash, detail)
            }
        }
    }

    fn report(&self, kind: ReportKind, hospital: HospitalId, at: RecordRef, detail: String) {
        let report = Report { reporter: self.key.public(), kind, hospital, record: Some(at), detail };
        let tx = Tx::Report(report.sign(&self.node.chain().id(), &self.key)).encode();
        let node = self.node.clone();
        tokio::spawn(async move {
            // One report a day about one thing is enough: a repeated one is refused by its rule.
            if let Err(error) = node.submit(tx).await {
                tracing::warn!(%error, "a report was not taken");
            }
        });
    }
}

fn withheld(error: &CallError) -> Trouble {
    Trouble::Withheld { detail: error.to_string() }
}
