//! `fetch-record`: a node fetches a record on behalf of its owner or of a ticket's holder, and checks what the
//! hospital says against the certified anchor before a byte goes on (DESIGN 2.3, step 3).

use super::HospitalRoute;
use crate::AllianceMachine;
use crate::query;
use crate::state::{LinkedRecord, RecordRef};
use crate::tx::{Report, ReportKind, Tx};
use caduceus_crypto::record::{MAX_RECORD_BYTES, SealedView};
use caduceus_crypto::{
    Anchor, Hash, HospitalId, InclusionProof, SecretKey, TimeMillis, decode_exact, encode,
};
use caduceus_ledger::{Header, Height};
use caduceus_network::exchange::{
    CHUNK_BYTES, FetchAnchor, FetchAnchorRequest, FetchRecord, FetchRecordReply,
    FetchRecordRequest, RecordClaim, RecordRight,
};
use caduceus_network::{CallError, Peer, Refused, Service};
use caduceus_node::Node;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::block_in_place;
use tokio::time::Instant;

/// A claim begins a download for this long around the node's time.
const CLAIM_MILLIS: u64 = 60_000;
/// How long a download may take, and how long its bytes are served to the claim that it was made for.
const DOWNLOAD_LIFE: Duration = Duration::from_secs(600);
/// How long a failed download is remembered for a caller that was told to ask again.
const FAILURE_LIFE: Duration = Duration::from_secs(60);
/// How long a caller is kept waiting for a download before it is told to ask again, and when.
const PATIENCE: Duration = Duration::from_secs(10);
const AFTER_MILLIS: u32 = 500;
/// When a caller may ask again while too many downloads run here. Another node may have room at once.
const BUSY_MILLIS: u32 = 2_000;
/// Downloads begun and not ended.
const MAX_DOWNLOADS: usize = 256;
/// Downloads of more than one chunk at once.
const LARGE_DOWNLOADS: usize = 4;
/// Bytes of records in memory: being downloaded, kept and served. Over the cache's bound by more than the
/// largest record, so that a download need not wait for one to be forgotten.
const MEMORY_BYTES: usize = 1024 * 1024 * 1024;
/// Bytes of verified ciphertexts kept for the chunks to come.
const CACHE_BYTES: usize = 512 * 1024 * 1024;
/// What a permit of the memory's bound stands for, bytes.
const PERMIT_BYTES: usize = 1024;
/// When a hospital server that is not there is asked once more.
const SECOND_ATTEMPT: Duration = Duration::from_secs(2);
const MAX_ANCHOR_BYTES: usize = 64 * 1024;

const _: () = assert!(CACHE_BYTES + MAX_RECORD_BYTES < MEMORY_BYTES);

/// A claim's bytes: what downloads are known by. The claim names its caller.
type Name = Vec<u8>;

/// A verified ciphertext, with its share of the memory's bound.
struct Kept {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

type Outcome = Result<Arc<Kept>, Trouble>;
/// None while the download runs.
type Progress = watch::Receiver<Option<Outcome>>;

struct Download {
    since: Instant,
    progress: Progress,
}

/// Downloads by claim: those that run or failed, and verified ciphertexts.
#[derive(Default)]
struct Downloads {
    running: BTreeMap<Name, Download>,
    cached_bytes: usize,
    cached: BTreeMap<Name, (Instant, Arc<Kept>)>,
}

impl Downloads {
    /// Chunks after the first are served from memory, to the same claim only: a new claim asks the hospital
    /// again, so that each disclosure is in its log.
    fn cached(&self, name: &Name) -> Option<Arc<Kept>> {
        self.cached
            .get(name)
            .filter(|(since, _)| since.elapsed() < DOWNLOAD_LIFE)
            .map(|(_, kept)| kept.clone())
    }

    /// Whether this claim was accepted before and its download is not forgotten.
    fn knows(&self, name: &Name) -> bool {
        self.running.contains_key(name) || self.cached(name).is_some()
    }

    fn put(&mut self, name: Name, kept: Arc<Kept>) {
        self.cached_bytes += kept.bytes.len();
        if let Some((_, old)) = self.cached.insert(name, (Instant::now(), kept)) {
            self.cached_bytes -= old.bytes.len();
        }
        loop {
            let oldest = self.cached.iter().min_by_key(|(_, (since, _))| *since);
            let Some((oldest, since)) = oldest.map(|(name, (since, _))| (name.clone(), *since))
            else {
                break;
            };
            let full = self.cached_bytes > CACHE_BYTES && self.cached.len() > 1;
            if !full && since.elapsed() < DOWNLOAD_LIFE {
                break;
            }
            if let Some((_, gone)) = self.cached.remove(&oldest) {
                self.cached_bytes -= gone.bytes.len();
            }
        }
    }

    /// Forgets failures that nobody asked for, and whether another download may begin.
    fn has_room(&mut self) -> bool {
        self.running.retain(|_, download| {
            let limit = if download.progress.borrow().is_some() {
                FAILURE_LIFE
            } else {
                DOWNLOAD_LIFE * 2
            };
            download.since.elapsed() < limit
        });
        self.running.len() < MAX_DOWNLOADS
    }

    /// Forgets a download that has ended, unless another one has begun under its name.
    fn forget(&mut self, name: &Name, progress: &Progress) {
        if self
            .running
            .get(name)
            .is_some_and(|download| download.progress.same_channel(progress))
        {
            self.running.remove(name);
        }
    }
}

struct Broker {
    node: Arc<Node<AllianceMachine>>,
    service: Service,
    key: SecretKey,
    hospitals: BTreeMap<HospitalId, HospitalRoute>,
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
    hospitals: BTreeMap<HospitalId, HospitalRoute>,
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
        downloads.running.insert(
            name.clone(),
            Download {
                since: Instant::now(),
                progress: progress.clone(),
            },
        );
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

    async fn fetch(
        &self,
        request: &FetchRecordRequest,
        at: &RecordRef,
        linked: &LinkedRecord,
    ) -> Result<Kept, Trouble> {
        let hospital = request.claim.hospital;
        let Some(route) = self.hospitals.get(&hospital) else {
            return Err(Trouble::failed("this node knows no way to the hospital"));
        };
        self.check_anchor(route, &hospital, at, linked).await?;
        let (length, first) = self.chunk(route, request, 0).await?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_RECORD_BYTES {
            return Err(Trouble::failed("the server's record is over the limit"));
        }
        // The first chunk needs no turn, so that large records do not hold up small ones; the rest is not asked
        // for before there is memory for all of it.
        let _turn = if first.len() < length {
            Some(
                self.large
                    .acquire()
                    .await
                    .expect("nobody closes the semaphore"),
            )
        } else {
            None
        };
        let permits = u32::try_from(length.div_ceil(PERMIT_BYTES)).expect("a record is bounded");
        let share = self
            .memory
            .clone()
            .acquire_many_owned(permits)
            .await
            .expect("nobody closes the semaphore");
        let mut record = Vec::new();
        let mut chunk = first;
        loop {
            if chunk.is_empty() || record.len() + chunk.len() > length {
                return Err(Trouble::failed("the server's chunks do not add up"));
            }
            record.extend_from_slice(&chunk);
            if record.len() == length {
                break;
            }
            let (total, next) = self.chunk(route, request, record.len() as u64).await?;
            if total != length as u64 {
                return Err(Trouble::failed("the server's chunks do not add up"));
            }
            chunk = next;
        }
        let found = block_in_place(|| SealedView::parse(&record).map(|view| view.record_hash()));
        match found {
            Ok(found) if found == linked.record_hash => Ok(Kept {
                bytes: record,
                _share: share,
            }),
            Ok(found) => Err(Trouble::Tampered { found }),
            Err(_) => Err(Trouble::Tampered { found: Hash::ZERO }),
        }
    }

    /// One chunk from the hospital's server, with the record's length.
    async fn chunk(
        &self,
        route: &HospitalRoute,
        request: &FetchRecordRequest,
        offset: u64,
    ) -> Result<(u64, Vec<u8>), Trouble> {
        let ask = FetchRecordRequest {
            offset,
            ..request.clone()
        };
        let mut reply = self
            .service
            .call::<FetchRecord>(&route.server, ask.clone())
            .await;
        if reply.as_ref().is_err_and(is_absence) {
            tokio::time::sleep(SECOND_ATTEMPT).await;
            reply = self.service.call::<FetchRecord>(&route.server, ask).await;
            if let Err(error) = &reply
                && is_absence(error)
            {
                return Err(Trouble::Withheld {
                    detail: error.to_string(),
                });
            }
        }
        match reply {
            Ok(FetchRecordReply::Chunk { total, bytes }) => Ok((total, bytes)),
            Ok(FetchRecordReply::Tampered { found, .. }) => Err(Trouble::Tampered { found }),
            Ok(FetchRecordReply::Withheld { detail, .. }) => Err(Trouble::Withheld { detail }),
            Ok(FetchRecordReply::Later { after_millis }) => Err(Trouble::Later { after_millis }),
            // A refusal may be right: the hospital may have seen a newer block than this node.
            Err(error) => Err(Trouble::failed(error.to_string())),
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
        .ok_or_else(|| Trouble::failed("the private block is not checkpointed"))?;
        let mut last = "no private node answered".to_owned();
        for node in &route.private_nodes {
            let ask = FetchAnchorRequest {
                height: at.height,
                position: at.position,
            };
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
        Err(Trouble::failed(last))
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

/// Whether a call failed because nobody was there in time.
fn is_absence(error: &CallError) -> bool {
    matches!(error, CallError::Unreachable { .. } | CallError::Timeout)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(memory: &Arc<Semaphore>, bytes: usize) -> Arc<Kept> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap();
        let share = memory.clone().try_acquire_many_owned(permits).unwrap();
        Arc::new(Kept {
            bytes: vec![7; bytes],
            _share: share,
        })
    }

    #[test]
    fn a_claim_gets_its_own_download_and_gives_its_memory_back() {
        let memory = Arc::new(Semaphore::new(100));
        let mut downloads = Downloads::default();
        let (one, other): (Name, Name) = (vec![1], vec![2]);
        downloads.put(one.clone(), kept(&memory, 10 * PERMIT_BYTES));
        assert!(downloads.knows(&one) && !downloads.knows(&other));
        assert_eq!(memory.available_permits(), 90);
        downloads.put(one.clone(), kept(&memory, 4 * PERMIT_BYTES));
        assert_eq!(downloads.cached_bytes, 4 * PERMIT_BYTES);
        assert_eq!(memory.available_permits(), 96);
        assert_eq!(
            downloads.cached(&one).unwrap().bytes.len(),
            4 * PERMIT_BYTES
        );
    }

    #[test]
    fn an_ended_download_is_forgotten_but_not_its_successor() {
        let mut downloads = Downloads::default();
        let name: Name = vec![1];
        let (_first, progress) = watch::channel(None);
        let (_second, successor) = watch::channel(None);
        downloads.running.insert(
            name.clone(),
            Download {
                since: Instant::now(),
                progress: successor.clone(),
            },
        );
        downloads.forget(&name, &progress);
        assert!(downloads.knows(&name) && downloads.has_room());
        downloads.forget(&name, &successor);
        assert!(!downloads.knows(&name));
    }

    #[test]
    fn a_refusal_is_no_absence() {
        assert!(is_absence(&CallError::Timeout));
        for error in [
            CallError::Refused,
            CallError::Malformed,
            CallError::TooLarge { limit: 1, found: 2 },
        ] {
            assert!(!is_absence(&error));
        }
    }
}
