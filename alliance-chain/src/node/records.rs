//! `fetch-record`: a node fetches a record on behalf of its owner or of a ticket's holder, and checks what the
//! hospital says against the certified anchor before a byte goes on (DESIGN 2.3, step 3).

mod downloads;
mod hospital;

use super::Routes;
use crate::AllianceMachine;
use crate::query;
use crate::state::{LinkedRecord, RecordRef};
use crate::tx::{Report, ReportKind, ReportProof, Tx};
use caduceus_crypto::record::MAX_RECORD_BYTES;
use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis, encode};
use caduceus_network::exchange::{
    CHUNK_BYTES, FetchRecord, FetchRecordReply, FetchRecordRequest, RecordClaim, RecordRight,
};
use caduceus_network::{Peer, Refused, Service};
use caduceus_node::Node;
use downloads::{CACHE_BYTES, DOWNLOAD_LIFE, Download, Downloads, Name, Outcome, Progress};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::block_in_place;

/// A claim begins a download for this long around the node's time.
const CLAIM_MILLIS: u64 = 60_000;
/// How long a caller is kept waiting for a download before it is told to ask again, and when.
const PATIENCE: Duration = Duration::from_secs(10);
const AFTER_MILLIS: u32 = 500;
/// When a caller may ask again while too many downloads run here. Another node may have room at once.
const BUSY_MILLIS: u32 = 2_000;
/// Downloads of more than one chunk at once.
const LARGE_DOWNLOADS: usize = 4;
/// Bytes of records in memory: being downloaded, kept and served. Over the cache's bound by more than the
/// largest record, so that a download need not wait for one to be forgotten.
const MEMORY_BYTES: usize = 1024 * 1024 * 1024;
/// What a permit of the memory's bound stands for, bytes.
const PERMIT_BYTES: usize = 1024;

const _: () = assert!(CACHE_BYTES + MAX_RECORD_BYTES < MEMORY_BYTES);

struct Broker {
    node: Arc<Node<AllianceMachine>>,
    service: Service,
    key: SecretKey,
    hospitals: Routes,
    downloads: Mutex<Downloads>,
    large: Semaphore,
    memory: Arc<Semaphore>,
}

/// Why there is nothing to pass on.
#[derive(Clone)]
enum Trouble {
    /// The hospital holds other bytes than it anchored. Reported on the chain.
    Tampered {
        found: Hash,
    },
    /// The hospital says that it does not deliver, or was not there twice. Reported on the chain.
    Withheld {
        detail: String,
    },
    /// Something that does not show whose fault it is: the caller is told, the chain is not.
    Failed {
        detail: String,
    },
    Later {
        after_millis: u32,
    },
}

impl Trouble {
    fn failed(detail: impl Into<String>) -> Self {
        Self::Failed {
            detail: detail.into(),
        }
    }
}

/// Serves `fetch-record`.
pub fn serve(
    service: &Service,
    node: &Arc<Node<AllianceMachine>>,
    key: SecretKey,
    hospitals: Routes,
) {
    let broker = Arc::new(Broker {
        node: node.clone(),
        service: service.clone(),
        key,
        hospitals,
        downloads: Mutex::new(Downloads::default()),
        large: Semaphore::new(LARGE_DOWNLOADS),
        memory: Arc::new(Semaphore::new(MEMORY_BYTES / PERMIT_BYTES)),
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
    fn downloads(&self) -> MutexGuard<'_, Downloads> {
        self.downloads
            .lock()
            .expect("no holder of this lock panics")
    }

    async fn answer(
        self: &Arc<Self>,
        peer: &Peer,
        request: FetchRecordRequest,
    ) -> Result<FetchRecordReply, Refused> {
        let claim = request.claim.clone();
        let name = encode(&claim);
        let known = self.downloads().knows(&name);
        let linked = block_in_place(|| self.authorise(peer, &claim, &request.right, known))?;
        let offset = request.offset;
        let cached = self.downloads().cached(&name);
        let kept = match cached {
            Some(kept) => kept,
            None => match self.download(&name, request, linked).await? {
                Ok(kept) => kept,
                Err(trouble) => return Ok(told(&claim, trouble)),
            },
        };
        let bytes = &kept.bytes;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(CHUNK_BYTES).min(bytes.len());
        Ok(FetchRecordReply::Chunk {
            total: bytes.len() as u64,
            bytes: bytes[start..end].to_vec(),
        })
    }

    /// The record, from a download that all requests of the same claim share. It runs on when the caller is
    /// told to ask again.
    async fn download(
        self: &Arc<Self>,
        name: &Name,
        request: FetchRecordRequest,
        linked: LinkedRecord,
    ) -> Result<Outcome, Refused> {
        let Some(mut progress) = self.begin(name, request, linked) else {
            return Ok(Err(Trouble::Later {
                after_millis: BUSY_MILLIS,
            }));
        };
        let ended = {
            let ended = tokio::time::timeout(PATIENCE, progress.wait_for(Option::is_some)).await;
            ended.map(|ended| ended.map(|outcome| outcome.clone()))
        };
        match ended {
            Err(_) => Ok(Err(Trouble::Later {
                after_millis: AFTER_MILLIS,
            })),
            Ok(Ok(Some(outcome))) => {
                // A failure is told once; whoever asks again begins anew.
                self.downloads().forget(name, &progress);
                Ok(outcome)
            }
            Ok(Ok(None) | Err(_)) => {
                self.downloads().forget(name, &progress);
                Err(Refused::because("the download broke off"))
            }
        }
    }

    /// The download of a claim, begun if there is none; none if too many run.
    fn begin(
        self: &Arc<Self>,
        name: &Name,
        request: FetchRecordRequest,
        linked: LinkedRecord,
    ) -> Option<Progress> {
        let mut downloads = self.downloads();
        if let Some(download) = downloads.running.get(name) {
            return Some(download.progress.clone());
        }
        if let Some(kept) = downloads.cached(name) {
            // It ended since the caller looked.
            return Some(watch::channel(Some(Ok(kept))).1);
        }
        if !downloads.has_room() {
            return None;
        }
        let (end, progress) = watch::channel(None);
        downloads
            .running
            .insert(name.clone(), Download::new(progress.clone()));
        drop(downloads);
        let (broker, name, running) = (self.clone(), name.clone(), progress.clone());
        tokio::spawn(async move {
            let at = RecordRef {
                height: request.claim.private_height,
                position: request.claim.position,
            };
            let fetched =
                tokio::time::timeout(DOWNLOAD_LIFE, broker.fetch(&request, &at, &linked)).await;
            let outcome = match fetched {
                Ok(Ok(kept)) => Ok(Arc::new(kept)),
                Ok(Err(trouble)) => Err(trouble),
                Err(_) => Err(Trouble::failed("the download took too long")),
            };
            match &outcome {
                Ok(kept) => {
                    let mut downloads = broker.downloads();
                    downloads.put(name.clone(), kept.clone());
                    downloads.forget(&name, &running);
                }
                Err(trouble) => broker.accuse(&request.claim, at, trouble),
            }
            end.send_replace(Some(outcome));
        });
        Some(progress)
    }

    /// The claim is the caller's own, fresh or `known` from a download that it began, about a linked record, and
    /// signed by who may have it.
    fn authorise(
        &self,
        peer: &Peer,
        claim: &RecordClaim,
        right: &RecordRight,
        known: bool,
    ) -> Result<LinkedRecord, Refused> {
        let now = self.node.chain().now();
        let fresh = now.0.abs_diff(claim.at.0) <= CLAIM_MILLIS;
        if !claim.is_from(&peer.id) || !(fresh || known) {
            return Err(Refused::because("the claim is another's or old"));
        }
        let snapshot = self.node.chain().snapshot().map_err(failed)?;
        let at = RecordRef {
            height: claim.private_height,
            position: claim.position,
        };
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
                    return Err(Refused::because(
                        "the ticket does not cover this record now",
                    ));
                }
                ticket.data_user
            }
        };
        claim
            .check(right, &key)
            .map_err(|_| Refused::because("the right is not signed by its owner"))?;
        Ok(linked)
    }

    /// Tells the chain what is the hospital's fault, and nothing else.
    fn accuse(&self, claim: &RecordClaim, at: RecordRef, trouble: &Trouble) {
        match trouble {
            Trouble::Tampered { found } => {
                let detail = format!("expected {}, found {found}", claim.record_hash);
                self.report(ReportKind::Tampered, claim.hospital, at, detail);
            }
            Trouble::Withheld { detail } => {
                self.report(ReportKind::Withheld, claim.hospital, at, detail.clone());
            }
            Trouble::Failed { detail } => {
                tracing::warn!(hospital = %claim.hospital, %detail, "a record was not fetched")
            }
            Trouble::Later { .. } => {}
        }
    }

    fn report(&self, kind: ReportKind, hospital: HospitalId, at: RecordRef, detail: String) {
        let report = Report {
            reporter: self.key.public(),
            kind,
            hospital,
            record: Some(at),
            detail,
            proof: ReportProof::None,
        };
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

/// What the caller is told.
fn told(claim: &RecordClaim, trouble: Trouble) -> FetchRecordReply {
    let (hospital, record_hash) = (claim.hospital, claim.record_hash);
    match trouble {
        Trouble::Tampered { found } => FetchRecordReply::Tampered {
            hospital,
            record_hash,
            found,
        },
        Trouble::Withheld { detail } | Trouble::Failed { detail } => {
            FetchRecordReply::withheld(hospital, record_hash, detail)
        }
        Trouble::Later { after_millis } => FetchRecordReply::Later { after_millis },
    }
}
