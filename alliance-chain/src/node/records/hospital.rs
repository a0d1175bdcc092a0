//! What a node asks of a hospital: the anchor of a private node, the bytes of its server, both checked.

use super::downloads::Kept;
use super::{Broker, PERMIT_BYTES, Trouble};
use crate::node::HospitalRoute;
use crate::query;
use crate::state::{LinkedRecord, RecordRef};
use caduceus_crypto::record::{MAX_RECORD_BYTES, SealedView};
use caduceus_crypto::{Anchor, Hash, HospitalId, InclusionProof, decode_exact};
use caduceus_ledger::{Header, Height};
use caduceus_network::CallError;
use caduceus_network::exchange::{
    FetchAnchor, FetchAnchorRequest, FetchRecord, FetchRecordReply, FetchRecordRequest,
};
use std::time::Duration;
use tokio::task::block_in_place;

/// When a hospital server that is not there is asked once more.
const SECOND_ATTEMPT: Duration = Duration::from_secs(2);
const MAX_ANCHOR_BYTES: usize = 64 * 1024;

impl Broker {
    /// A record from its hospital, checked against its anchor.
    pub(super) async fn fetch(
        &self,
        request: &FetchRecordRequest,
        at: &RecordRef,
        linked: &LinkedRecord,
    ) -> Result<Kept, Trouble> {
        let hospital = request.claim.hospital;
        let Some(route) = self.hospitals.to(&hospital) else {
            return Err(Trouble::failed("this node knows no way to the hospital"));
        };
        let route = &route;
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
            Ok(found) if found == linked.record_hash => Ok(Kept::new(record, share)),
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
}

/// Whether a call failed because nobody was there in time.
fn is_absence(error: &CallError) -> bool {
    matches!(error, CallError::Unreachable { .. } | CallError::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

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
