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

/// Both ends of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Name of the hospital.
    pub hospital: String,
    /// Newest private block, certified; none when no private node answers properly.
    pub private: Option<(u64, TimeMillis)>,
    /// Newest checkpointed private block, proved on the alliance chain; none before the first.
    pub checkpoint: Option<CheckpointHead>,
}

impl LinkStatus {
    /// Private blocks that are not checkpointed yet, if both ends are known.
    #[must_use]
    pub fn behind(&self) -> Option<u64> {
        let (private, _) = self.private?;
        Some(private.saturating_sub(self.checkpoint.map_or(0, |head| head.height.0)))
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
