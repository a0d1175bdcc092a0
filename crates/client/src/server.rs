//! Calls to one service that judges its callers: a hospital's server, a proxy.

use crate::error::ClientError;
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::{Hash, codec};
use caduceus_network::exchange::{Exchange, FetchReceipt, FetchReceiptRequest, Reply};
use caduceus_network::{CallError, PeerAddr, Service};

/// Largest receipt, bytes.
const MAX_RECEIPT_BYTES: usize = 4 * 1024;

/// Asks one service and turns every way of not answering into an error that names it as `who`.
///
/// # Errors
/// [`ClientError::Denied`], [`ClientError::Later`], [`ClientError::Refused`], [`ClientError::Unreachable`],
/// [`ClientError::Unverified`] for a malformed answer.
pub async fn ask_server<E, T>(
    service: &Service,
    who: &str,
    to: &PeerAddr,
    request: E::Request,
) -> Result<T, ClientError>
where
    E: Exchange<Response = Reply<T>>,
{
    match service.call::<E>(to, request).await {
        Ok(Reply::Done(value)) => Ok(value),
        Ok(Reply::Denied { rule, detail }) => Err(ClientError::Denied {
            who: who.to_owned(),
            rule,
            detail,
        }),
        Ok(Reply::Later {
            after_millis,
            detail,
        }) => Err(ClientError::Later {
            who: who.to_owned(),
            after_millis: u64::from(after_millis),
            detail,
        }),
        Err(error) => Err(unanswered(who, &error)),
    }
}

/// Asks a hospital's server for the receipt of a record. Its signature, and whose record it is about, are for the
/// caller to check.
///
/// # Errors
/// [`ClientError::Refused`] if the server has no such record, or gave away too many receipts of late: it does not
/// say which; [`ClientError::Unreachable`], [`ClientError::Unverified`] for a malformed answer.
///
/// # Leakage
/// The hospital learns that somebody who knows the record's hash asks, and makes an entry of it.
pub async fn fetch_receipt(
    service: &Service,
    who: &str,
    to: &PeerAddr,
    record_hash: Hash,
) -> Result<Receipt, ClientError> {
    let request = FetchReceiptRequest { record_hash };
    let reply = service
        .call::<FetchReceipt>(to, request)
        .await
        .map_err(|error| unanswered(who, &error))?;
    codec::decode_exact(&reply.receipt, MAX_RECEIPT_BYTES).map_err(|error| {
        ClientError::Unverified {
            node: who.to_owned(),
            reason: format!("its receipt: {error}"),
        }
    })
}

/// A call that brought no answer.
fn unanswered(who: &str, error: &CallError) -> ClientError {
    let (who, reason) = (who.to_owned(), error.to_string());
    match error {
        CallError::Refused => ClientError::Refused { who },
        CallError::Malformed | CallError::TooLarge { .. } => {
            ClientError::Unverified { node: who, reason }
        }
        _ => ClientError::Unreachable { who, reason },
    }
}
