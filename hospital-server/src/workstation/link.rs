//! How far the hospital's private chain is checkpointed on the alliance chain.

use alliance_chain::state::{self, CheckpointHead, MemberRecord};
use caduceus_client::{Alliance, ClientError};
use caduceus_crypto::decode_exact;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{CertifiedHeader, LightClient};
use caduceus_network::exchange::{Headers, HeadersRequest};

use crate::network_map::HospitalMap;

/// Largest certified header that is decoded, bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Every private header is on the alliance chain within this time, also when the chain is idle: the interval of
/// THREATS.md, fact 1.
pub const MAX_CHECKPOINT_AGE_MILLIS: u64 = 60_000;

/// Both ends of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Name of the hospital.
    pub hospital: String,
    /// Newest private block, certified; none when no private node answers properly.
    pub private: Option<(u64, TimeMillis)>,
    /// Newest checkpointed private block, proved on the alliance chain; none before the first.
    pub checkpoint: Option<CheckpointHead>,
    /// When this was asked, by the session's clock.
    pub asked: TimeMillis,
}

impl LinkStatus {
    /// Private blocks that are not checkpointed yet, if both ends are known.
    #[must_use]
    pub fn behind(&self) -> Option<u64> {
        let (private, _) = self.private?;
        Some(private.saturating_sub(self.checkpoint.map_or(0, |head| head.height.0)))
    }

    /// Milliseconds since the newest private block that the alliance has on record was made: nothing of the log that
    /// is older than this can be rewritten unnoticed. It goes up to an idle chain's heartbeat and stays below
    /// [`MAX_CHECKPOINT_AGE_MILLIS`] while all is well. None before the first checkpoint.
    #[must_use]
    pub fn age_millis(&self) -> Option<u64> {
        let head = self.checkpoint?;
        Some(self.asked.0.saturating_sub(head.time.0))
    }

    /// Whether the alliance's record is older than it should ever be, or missing while there are private blocks.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        match self.age_millis() {
            Some(age) => age > MAX_CHECKPOINT_AGE_MILLIS,
            None => self.private.is_some_and(|(_, time)| {
                self.asked.0.saturating_sub(time.0) > MAX_CHECKPOINT_AGE_MILLIS
            }),
        }
    }
}

/// Reads both ends. The private head is judged by the validators that the alliance knows.
///
/// # Errors
/// [`ClientError::NotFound`] when the hospital is proved to be no member; otherwise as [`Alliance::get`].
pub async fn link_status(
    alliance: &Alliance,
    map: &HospitalMap,
) -> Result<LinkStatus, ClientError> {
    let member: Option<MemberRecord> = alliance.get(&state::member(&map.hospital)).await?;
    let member = member
        .ok_or_else(|| ClientError::NotFound {
            what: format!("member {}", map.name),
        })?
        .member;
    let checkpoint: Option<CheckpointHead> = alliance.get(&state::head(&map.hospital)).await?;
    let light = LightClient::trusting(member.private_chain, member.private_validators);
    let private = private_head(alliance, map, &light).await;
    Ok(LinkStatus {
        hospital: map.name.clone(),
        private,
        checkpoint,
        asked: alliance.now(),
    })
}

async fn private_head(
    alliance: &Alliance,
    map: &HospitalMap,
    light: &LightClient,
) -> Option<(u64, TimeMillis)> {
    for node in &map.private_nodes {
        let request = HeadersRequest {
            from: None,
            limit: 1,
        };
        let reply = match alliance.service().call::<Headers>(node, request).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::info!(%node, %error, "no header from this private node");
                continue;
            }
        };
        let head = reply
            .items
            .first()
            .and_then(|item| decode_exact::<CertifiedHeader>(item, MAX_HEADER_BYTES).ok());
        match head {
            Some(head) if light.verify_header(&head).is_ok() => {
                return Some((head.header.height.0, head.header.time));
            }
            _ => tracing::warn!(%node, "the header of this private node does not verify"),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_crypto::Hash;
    use caduceus_ledger::Height;

    fn status(private: Option<u64>, checkpoint: Option<u64>, asked: u64) -> LinkStatus {
        LinkStatus {
            hospital: "St Anne".to_owned(),
            private: private.map(|time| (2, TimeMillis(time))),
            checkpoint: checkpoint.map(|time| CheckpointHead {
                height: Height(1),
                hash: Hash([1; 32]),
                time: TimeMillis(time),
                recorded_at: TimeMillis(time + 1),
            }),
            asked: TimeMillis(asked),
        }
    }

    #[test]
    fn a_record_is_overdue_after_a_minute() {
        let fresh = status(Some(1_000), Some(1_000), 61_000);
        assert_eq!(fresh.age_millis(), Some(60_000));
        assert!(!fresh.is_overdue());
        assert!(status(Some(1_000), Some(1_000), 61_001).is_overdue());
        // Nothing on record: overdue once there is a block that old.
        assert_eq!(status(None, None, 99_000).age_millis(), None);
        assert!(!status(None, None, 99_000).is_overdue());
        assert!(!status(Some(1_000), None, 61_000).is_overdue());
        assert!(status(Some(1_000), None, 61_001).is_overdue());
    }
}
