//! Rules of `Request`.

use super::{Failure, active_member, credits, ensure, refuse};
use crate::state::{self, Daily, RequestRecord, Use};
use crate::tx::{MAX_REQUEST_DAYS, MAX_SOUGHT_BYTES, SignedRequest};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use caduceus_ledger::{BlockContext, Overlay};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The text is empty or too long.
    #[error("a description of {found} bytes, 1 to {limit} allowed")]
    Sought {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The request has ended, or would last too long.
    #[error(
        "the request ends at {until}, block time is {now}; it may last {} days",
        MAX_REQUEST_DAYS
    )]
    Until {
        /// The end.
        until: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// The data user has no account.
    #[error("data user {data_user} has no account")]
    AccountUnknown {
        /// The data user.
        data_user: PublicKey,
    },
    /// The member that vouched for the data user left.
    #[error("{member}, who vouched for the data user, is no member any more")]
    VoucherLeft {
        /// The former member.
        member: HospitalId,
    },
    /// The data user posted too many today.
    #[error("the data user posted {limit} requests today, no more are possible")]
    DailyLimit {
        /// The limit.
        limit: u32,
    },
    /// Not signed by the account key.
    #[error("the request is not signed with the data user's key")]
    NotSigned,
}

impl RequestError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            RequestError::Sought { .. } => "request_sought",
            RequestError::Until { .. } => "request_until",
            RequestError::AccountUnknown { .. } => "request_account_unknown",
            RequestError::VoucherLeft { .. } => "request_voucher_left",
            RequestError::DailyLimit { .. } => "request_daily_limit",
            RequestError::NotSigned => "request_not_signed",
        }
    }
}

/// Posts a request under the transaction's identifier. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    id: Hash,
    tx: SignedRequest,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let found = body.sought.len();
    ensure((1..=MAX_SOUGHT_BYTES).contains(&found), || {
        RequestError::Sought {
            limit: MAX_SOUGHT_BYTES,
            found,
        }
    })?;
    let latest = ctx.time.0.saturating_add(MAX_REQUEST_DAYS * MILLIS_PER_DAY);
    ensure(ctx.time < body.until && body.until.0 <= latest, || {
        RequestError::Until {
            until: body.until,
            now: ctx.time,
        }
    })?;
    let data_user = body.data_user;
    let Some(record) = state::account(&data_user).get(state)? else {
        return refuse(RequestError::AccountUnknown { data_user });
    };
    let member = record.account.member;
    ensure(active_member(state, &member)?.is_some(), || {
        RequestError::VoucherLeft { member }
    })?;
    let limit = state::params().require(state)?.requests_per_day;
    let daily = state::daily(Daily::Requests, data_user.as_bytes(), ctx.time.epoch());
    let used = daily.get(state)?.unwrap_or(0);
    ensure(used < limit, || RequestError::DailyLimit { limit })?;
    ensure(tx.is_signed(&ctx.chain), || RequestError::NotSigned)?;
    daily.put(state, &(used + 1));
    credits::spend(&member, Use::Request, state)?;
    state::request(&id).put(
        state,
        &RequestRecord {
            request: tx.body,
            posted: ctx.time,
        },
    );
    state::requests().push(state, &id)?;
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, DAY, NOW, later};
    use crate::tx::{Change, Purpose, Request, Tx};

    fn body() -> Request {
        Request {
            data_user: testing::data_user().public(),
            purpose: Purpose::Research,
            sought: "asthma in children, 2015 to 2024".into(),
            until: later(30 * DAY),
        }
    }

    fn signed(body: Request) -> Tx {
        Tx::Request(body.sign(&testing::chain(), &testing::data_user()))
    }

    fn chain() -> Chain {
        let mut chain = Chain::new();
        chain.add_account();
        chain
    }

    #[test]
    fn a_data_user_asks() {
        let mut chain = chain();
        let tx = signed(body());
        assert!(chain.accept(&tx).is_empty());
        let record = state::request(&tx.id()).get(&chain).unwrap().unwrap();
        assert_eq!(
            record,
            RequestRecord {
                request: body(),
                posted: NOW
            }
        );
        assert_eq!(state::requests().page(&chain, 0, 10).unwrap(), [tx.id()]);
    }

    #[test]
    fn text_must_be_present_and_short() {
        chain().refuse(
            &signed(Request {
                sought: String::new(),
                ..body()
            }),
            "request_sought",
        );
        let sought = "x".repeat(MAX_SOUGHT_BYTES + 1);
        chain().refuse(&signed(Request { sought, ..body() }), "request_sought");
    }

    #[test]
    fn the_end_is_neither_past_nor_far() {
        chain().refuse(
            &signed(Request {
                until: NOW,
                ..body()
            }),
            "request_until",
        );
        let far = later(MAX_REQUEST_DAYS * DAY + 1);
        chain().refuse(
            &signed(Request {
                until: far,
                ..body()
            }),
            "request_until",
        );
    }

    #[test]
    fn an_account_is_needed() {
        Chain::new().refuse(&signed(body()), "request_account_unknown");
    }

    #[test]
    fn the_voucher_must_still_be_a_member() {
        let mut chain = chain();
        chain.govern(Change::Remove(testing::hospital(0)));
        chain.refuse(&signed(body()), "request_voucher_left");
    }

    #[test]
    fn so_many_a_day() {
        let mut chain = Chain::with_params(|params| params.requests_per_day = 1);
        chain.add_account();
        chain.accept(&signed(body()));
        let another = signed(Request {
            sought: "more".into(),
            ..body()
        });
        chain.refuse(&another, "request_daily_limit");
        chain.time = later(DAY);
        chain.accept(&another);
    }

    #[test]
    fn only_the_data_user_signs_and_only_for_this_chain() {
        let by_other = Tx::Request(body().sign(&testing::chain(), &testing::secret(77)));
        chain().refuse(&by_other, "request_not_signed");
        let elsewhere = Tx::Request(body().sign(&testing::other_chain(), &testing::data_user()));
        chain().refuse(&elsewhere, "request_not_signed");
    }
}
