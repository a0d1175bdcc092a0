//! The newest head: certified, fresh, not below one seen before (DESIGN 4.5).

use crate::error::ClientError;
use crate::session::{Alliance, Doubt};
use caduceus_crypto::codec;
use caduceus_ledger::CertifiedHeader;
use caduceus_network::exchange::{Query, QueryReply, QueryRequest};

/// Largest document that a query brings; the exchange bounds it more tightly.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// The document of a reply, decoded.
pub(crate) fn document<T>(reply: QueryReply, what: &str) -> Result<T, Doubt>
where
    T: borsh::BorshDeserialize + borsh::BorshSerialize,
{
    match reply {
        QueryReply::Found(bytes) => codec::decode_exact::<T>(&bytes, MAX_DOCUMENT_BYTES)
            .map_err(|error| Doubt::Unverified(format!("{what}: {error}"))),
        QueryReply::NotFound => Err(Doubt::Missing(what.to_owned())),
    }
}

impl Alliance {
    /// The newest head: final, at most 90 s old, not below one seen before in this session.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::Stale`], [`ClientError::Unverified`].
    pub async fn head(&self) -> Result<CertifiedHeader, ClientError> {
        let floor = self.trust().highest();
        self.ask::<Query, CertifiedHeader>(
            || QueryRequest::Head,
            |reply| {
                let head: CertifiedHeader = document(reply, "the newest header")?;
                self.trust().accept_head(&head, self.now(), floor)?;
                Ok(head)
            },
        )
        .await
    }
}
