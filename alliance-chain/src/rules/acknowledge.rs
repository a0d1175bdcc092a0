//! Rules of `Acknowledge` (DESIGN 6.4).

use super::credits::{earn, earn_proxy};
use super::{Failure, ensure, refuse};
use crate::state::{self, Service};
use crate::tx::SignedAcknowledge;
use caduceus_crypto::Hash;
use caduceus_ledger::{BlockContext, Overlay};

/// Why an acknowledgement is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// No such access.
    #[error("no access {access}")]
    AccessUnknown {
        /// The access.
        access: Hash,
    },
    /// No member vouched for the data user, so nobody paid for the access.
    #[error("nobody paid for access {access}")]
    Unpaid {
        /// The access.
        access: Hash,
    },
    /// It was acknowledged before.
    #[error("access {access} is acknowledged already")]
    Repeated {
        /// The access.
        access: Hash,
    },
    /// More proxies than the record needs.
    #[error("{found} proxies, the grant needs {limit}")]
    TooManyProxies {
        /// The grant's threshold.
        limit: u8,
        /// The number found.
        found: usize,
    },
    /// A proxy named twice, or out of order.
    #[error("proxy {found} follows proxy {before}")]
    Unordered {
        /// The index before.
        before: u8,
        /// The index found.
        found: u8,
    },
    /// The grant has no such proxy.
    #[error("proxy {found} of a grant that has {proxies}")]
    NoSuchProxy {
        /// The index found.
        found: u8,
        /// Proxies of the grant.
        proxies: usize,
    },
    /// Not signed by the access's data user.
    #[error("the acknowledgement is not signed by the data user of the access")]
    NotSigned,
}

impl AcknowledgeError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            AcknowledgeError::AccessUnknown { .. } => "acknowledge_access_unknown",
            AcknowledgeError::Unpaid { .. } => "acknowledge_unpaid",
            AcknowledgeError::Repeated { .. } => "acknowledge_repeated",
            AcknowledgeError::TooManyProxies { .. } => "acknowledge_too_many_proxies",
            AcknowledgeError::Unordered { .. } => "acknowledge_unordered",
            AcknowledgeError::NoSuchProxy { .. } => "acknowledge_no_such_proxy",
            AcknowledgeError::NotSigned => "acknowledge_not_signed",
        }
    }
}

/// Hands on what the access paid. What nobody earned stays spent. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedAcknowledge,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let access = body.access;
    let Some(ticket) = state::access(&access).get(state)? else {
        return refuse(AcknowledgeError::AccessUnknown { access });
    };
    let Some(mut deposit) = state::deposit(&access).get(state)? else {
        return refuse(AcknowledgeError::Unpaid { access });
    };
    ensure(!deposit.settled, || AcknowledgeError::Repeated { access })?;
    // Its ticket names it.
    let grant = state::grant(&ticket.grant).require(state)?.grant;
    let (limit, found) = (grant.threshold, body.proxies.len());
    ensure(found <= usize::from(limit), || {
        AcknowledgeError::TooManyProxies { limit, found }
    })?;
    for pair in body.proxies.windows(2) {
        let (before, found) = (pair[0], pair[1]);
        ensure(before < found, || AcknowledgeError::Unordered {
            before,
            found,
        })?;
    }
    let mut served = Vec::with_capacity(found);
    for index in &body.proxies {
        match grant.proxies.get(usize::from(*index)) {
            Some(proxy) => served.push(*proxy),
            None => {
                return refuse(AcknowledgeError::NoSuchProxy {
                    found: *index,
                    proxies: grant.proxies.len(),
                });
            }
        }
    }
    ensure(tx.is_signed_by(&ctx.chain, &ticket.data_user), || {
        AcknowledgeError::NotSigned
    })?;
    for proxy in &served {
        earn_proxy(proxy, deposit.reencryption, state)?;
    }
    if body.on_time {
        earn(&grant.hospital, Service::Record, deposit.record, state)?;
    }
    deposit.settled = true;
    state::deposit(&access).put(state, &deposit);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;
