//! One record: keywords, tags, seal, author's signature, upload, receipt (DESIGN 2.2, steps 2 to 5).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use caduceus_crypto::codec::{decode_exact, encode};
use caduceus_crypto::evidence::{AnchorBody, Receipt};
use caduceus_crypto::hash::Hash;
use caduceus_crypto::time::Epoch;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::seal::{SealRequest, Sealed, seal_with_emergency};
use caduceus_network::exchange::{
    CHUNK_BYTES, Finish, StoreRecord, StoreRecordReply, StoreRecordRequest,
};
use private_chain::Action;
use rand_core::OsRng;

use super::error::{Who, WorkstationError};
use super::indexing::{keywords_of, sealed_fields};
use super::session::{Asked, TREATMENT, random_name, wait};
use super::visit::Visit;

/// How often a record is made anew when another workstation took its tags.
const MAX_ATTEMPTS: u32 = 3;

/// How often one message is sent again when it brought no answer.
const MAX_REPEATS: u32 = 2;

/// How long to wait before that, milliseconds: a server that restarts has its uploads on disk.
const LOST_MILLIS: u32 = 500;

/// Largest receipt, bytes.
const MAX_RECEIPT_BYTES: usize = 4 * 1024;

/// One plaintext to upload.
#[derive(Clone)]
pub struct UploadInput {
    /// The plaintext.
    pub bytes: Vec<u8>,
    /// Its media type; [`FHIR_JSON`](super::FHIR_JSON) is indexed by content, anything else by the terms alone.
    pub media_type: String,
    /// The doctor's own words for it.
    pub own_terms: Vec<String>,
    /// The record that it replaces, of the same patient and hospital: its newest version. Both stay.
    pub amends: Option<Hash>,
}

impl fmt::Debug for UploadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadInput")
            .field("bytes", &self.bytes.len())
            .field("media_type", &self.media_type)
            .field("amends", &self.amends)
            .finish_non_exhaustive()
    }
}

/// A record that is durable in the vault and anchored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its hash.
    pub record_hash: Hash,
    /// The hospital's promise, checked; for the patient.
    pub receipt: Receipt,
    /// Index entries (tags, where the scheme is `tags`), padding included.
    pub tags: usize,
    /// Keywords that are indexed.
    pub keywords: usize,
    /// Keywords that found no room.
    pub dropped: usize,
    /// Height of the private block.
    pub height: u64,
    /// Position among the anchors of that block.
    pub position: u32,
    /// Hash of the private block.
    pub block_hash: Hash,
    /// Bytes of the sealed record.
    pub sealed_bytes: u64,
    /// How many times the record was made; more than once when tags were taken.
    pub attempts: u32,
    /// From the call to the checked receipt.
    pub took: Duration,
}

/// What ended one attempt.
enum Attempt {
    Stored(Box<Uploaded>),
    Repeated { rule: String },
}

impl Visit {
    /// Seals, indexes and uploads one record, and returns once it is durable, anchored and receipted.
    ///
    /// An anchor refused because another workstation took a tag or pseudonym first is made anew, up to three
    /// times in all; nothing of an earlier attempt is used again.
    ///
    /// # Errors
    /// [`WorkstationError`]; unless it is [`WorkstationError::Receipt`], or the last message found no answer,
    /// nothing of the record was kept.
    ///
    /// # Leakage
    /// The server learns card, author, time, and the size rounded up; the number of index entries rounded up to 8;
    /// and which record is replaced.
    pub async fn upload(&mut self, input: UploadInput) -> Result<Uploaded, WorkstationError> {
        let begun = Instant::now();
        let (keywords, dropped) = keywords_of(&input)?;
        let input = Arc::new(input);
        let mut last = String::new();
        for attempt in 1..=MAX_ATTEMPTS {
            match self.attempt(&input, &keywords).await? {
                Attempt::Stored(uploaded) => {
                    return Ok(Uploaded {
                        dropped,
                        attempts: attempt,
                        took: begun.elapsed(),
                        ..*uploaded
                    });
                }
                Attempt::Repeated { rule } => {
                    tracing::info!(%rule, attempt, "somebody else was first; making the record anew");
                    self.counters.forget();
                    last = rule;
                }
            }
        }
        Err(WorkstationError::StillRepeated {
            attempts: MAX_ATTEMPTS,
            rule: last,
        })
    }

    async fn attempt(
        &mut self,
        input: &Arc<UploadInput>,
        keywords: &[Keyword],
    ) -> Result<Attempt, WorkstationError> {
        let now = self.station.now();
        let epoch = now.epoch();
        let indexed = self.index(epoch, keywords).await?;
        let sealed = self.seal(input, epoch).await?;
        let body = AnchorBody {
            hospital: self.station.hospital(),
            pseudonym: sealed.pseudonym,
            record_hash: sealed.record_hash,
            header_hash: sealed.header_hash,
            entries: indexed.entries.clone(),
            capsule: sealed.capsule.clone(),
            delegating: sealed.header.delegating,
            visit: self
                .attested
                .as_ref()
                .map_or(Hash::default(), |opening| opening.commitment()),
            epoch,
            authored_at: now,
        };
        let upload = self.send_chunks(&sealed.bytes).await?;
        let reply = self
            .finish(upload, &sealed.bytes, &body, input.amends)
            .await?;
        match reply {
            StoreRecordReply::Stored {
                height,
                position,
                block_hash,
                record_hash,
                receipt,
            } => {
                let receipt = self.check_receipt(&body, &record_hash, &receipt)?;
                indexed.anchored(&mut self.counters);
                Ok(Attempt::Stored(Box::new(Uploaded {
                    record_hash,
                    receipt,
                    tags: body.entries.len(),
                    keywords: keywords.len(),
                    dropped: 0,
                    height,
                    position,
                    block_hash,
                    sealed_bytes: length(&sealed.bytes),
                    attempts: 1,
                    took: Duration::ZERO,
                })))
            }
            StoreRecordReply::Denied { rule, .. } if is_repetition(&rule) => {
                Ok(Attempt::Repeated { rule })
            }
            StoreRecordReply::Denied { rule, detail } => Err(WorkstationError::Denied {
                who: Who::Server,
                rule,
                detail,
            }),
            StoreRecordReply::Retry {
                after_millis,
                detail,
            } => Err(WorkstationError::Later {
                who: Who::Server,
                after_millis,
                detail,
            }),
            StoreRecordReply::ChunkOk { .. } => Err(out_of_turn()),
        }
    }

    /// Seals off the runtime's own threads: compressing and encrypting a large file takes a while.
    async fn seal(
        &self,
        input: &Arc<UploadInput>,
        epoch: Epoch,
    ) -> Result<Sealed, WorkstationError> {
        let (hospital, meta) = (self.station.hospital(), *self.meta());
        let (input, visit) = (Arc::clone(input), self.attested.clone());
        let emergency = self.emergency.clone();
        let task = tokio::task::spawn_blocking(move || {
            let request = SealRequest {
                hospital,
                meta,
                epoch,
                media_type: &input.media_type,
                plaintext: &input.bytes,
                visit,
            };
            let fields = sealed_fields(&input);
            seal_with_emergency(&mut OsRng, request, fields, emergency.as_deref())
        });
        Ok(task
            .await
            .expect("sealing neither panics nor is cancelled")?)
    }

    /// Sends the sealed bytes in order and returns the upload's name.
    async fn send_chunks(&self, sealed: &[u8]) -> Result<[u8; 16], WorkstationError> {
        let upload = random_name();
        let mut offset = 0u64;
        for chunk in sealed.chunks(CHUNK_BYTES) {
            let request = StoreRecordRequest::Chunk {
                upload,
                offset,
                bytes: chunk.to_vec(),
            };
            match self.send(|| request.clone()).await? {
                StoreRecordReply::ChunkOk { .. } => offset += length(chunk),
                StoreRecordReply::Denied { rule, detail } => {
                    return Err(WorkstationError::Denied {
                        who: Who::Server,
                        rule,
                        detail,
                    });
                }
                StoreRecordReply::Retry {
                    after_millis,
                    detail,
                } => {
                    return Err(WorkstationError::Later {
                        who: Who::Server,
                        after_millis,
                        detail,
                    });
                }
                StoreRecordReply::Stored { .. } => return Err(out_of_turn()),
            }
        }
        Ok(upload)
    }

    async fn finish(
        &self,
        upload: [u8; 16],
        sealed: &[u8],
        body: &AnchorBody,
        amends: Option<Hash>,
    ) -> Result<StoreRecordReply, WorkstationError> {
        let (action, subtype) = match amends {
            None => (Action::Create, "upload"),
            Some(_) => (Action::Update, "amend"),
        };
        let asked = Asked {
            action,
            subtype,
            patient: Some(self.card().hash()),
            record: Some(body.record_hash),
            purpose: TREATMENT,
        };
        let finish = Finish {
            upload,
            total: length(sealed),
            request_id: random_name(),
            card: self.card().number,
            anchor_body: encode(body),
            author_signature: body.sign(self.station.staff_key()),
            amends,
            statement: None,
        };
        self.send(|| {
            StoreRecordRequest::Finish(Finish {
                statement: Some(self.station.state(asked, finish.request_id)),
                ..finish.clone()
            })
        })
        .await
    }

    /// Sends one message; again when it found no answer or the server asks to wait. Repeating a chunk is
    /// harmless, and a repeated finish has the same request identifier and gets the same answer.
    async fn send(
        &self,
        request: impl Fn() -> StoreRecordRequest,
    ) -> Result<StoreRecordReply, WorkstationError> {
        let who = Who::Server;
        let mut left = MAX_REPEATS;
        loop {
            let answer = self
                .station
                .ask::<StoreRecord>(who, self.station.address(who), request())
                .await;
            let after_millis = match &answer {
                Ok(StoreRecordReply::Retry { after_millis, .. }) => *after_millis,
                Err(WorkstationError::Unreachable { .. }) => LOST_MILLIS,
                _ => return answer,
            };
            if left == 0 {
                return answer;
            }
            left -= 1;
            wait(after_millis).await;
        }
    }

    /// The receipt is for this record, these entries and this pseudonym, under an identity key of the network file:
    /// the present one, or one before, where the server does not know of the change yet.
    fn check_receipt(
        &self,
        body: &AnchorBody,
        record: &Hash,
        bytes: &[u8],
    ) -> Result<Receipt, WorkstationError> {
        let wrong = |what: &'static str| WorkstationError::Receipt {
            record: body.record_hash,
            what,
        };
        let receipt: Receipt =
            decode_exact(bytes, MAX_RECEIPT_BYTES).map_err(|_| wrong("it does not decode"))?;
        if receipt.hospital != body.hospital {
            return Err(wrong("it is another hospital's"));
        }
        if receipt.record_hash != body.record_hash || *record != body.record_hash {
            return Err(wrong("it is for another record"));
        }
        if receipt.entries_hash != body.entries.hash() || receipt.pseudonym != body.pseudonym {
            return Err(wrong("it names other index entries or another pseudonym"));
        }
        if receipt.link_deadline <= body.authored_at {
            return Err(wrong("its link deadline is past"));
        }
        if !self.station.map().is_signer_of(&receipt) {
            return Err(wrong("it is not signed by an identity key of the hospital"));
        }
        Ok(receipt)
    }
}

/// Rules of an anchor that a fresh pseudonym and fresh tags satisfy.
fn is_repetition(rule: &str) -> bool {
    matches!(rule, "anchor_tag_repeated" | "anchor_pseudonym_repeated")
}

fn out_of_turn() -> WorkstationError {
    WorkstationError::BadAnswer {
        who: Who::Server,
        what: "an answer to another message",
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits 64 bits")
}
