//! Calls to one service that judges its callers: a hospital's server, a proxy.

use crate::error::ClientError;
use caduceus_network::exchange::{Exchange, Reply};
use caduceus_network::{CallError, PeerAddr, Service};

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
        Err(CallError::Refused) => Err(ClientError::Refused {
            who: who.to_owned(),
        }),
        Err(error @ (CallError::Malformed | CallError::TooLarge { .. })) => {
            Err(ClientError::Unverified {
                node: who.to_owned(),
                reason: error.to_string(),
            })
        }
        Err(error) => Err(ClientError::Unreachable {
            who: who.to_owned(),
            reason: error.to_string(),
        }),
    }
}
