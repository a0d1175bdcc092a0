//! Rules of `Account`.

use super::{Failure, active_member, credits, ensure, refuse};
use crate::state::{self, AccountRecord, Daily, Use};
use crate::tx::{MAX_ACCOUNT_LABEL_BYTES, SignedAccount};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_ledger::{BlockContext, Overlay};

/// Why a data user's account is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The label is empty or too long.
    #[error("an account label of {found} bytes, 1 to {limit} allowed")]
    Label {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// One key for signing and receiving.
    #[error("signing and receiving must be two keys")]
    OneKey,
    /// Who vouches is no member.
    #[error("{member} is no member")]
    NotAMember {
        /// The claimed member.
        member: HospitalId,
    },
    /// The data user is known already.
    #[error("data user {data_user} is known already")]
    Known {
        /// The data user.
        data_user: PublicKey,
    },
    /// The member vouched for too many today.
    #[error("{member} vouched for {limit} data users today, no more are possible")]
    DailyLimit {
        /// The member.
        member: HospitalId,
        /// The limit.
        limit: u32,
    },
    /// Not signed by the member's identity key.
    #[error("the account is not signed with the identity key of {member}")]
    NotSigned {
        /// The member.
        member: HospitalId,
    },
}

impl AccountError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            AccountError::Label { .. } => "account_label",
            AccountError::OneKey => "account_one_key",
            AccountError::NotAMember { .. } => "account_not_a_member",
            AccountError::Known { .. } => "account_known",
            AccountError::DailyLimit { .. } => "account_daily_limit",
            AccountError::NotSigned { .. } => "account_not_signed",
        }
    }
}

/// Makes a data user known. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: SignedAccount,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let found = body.label.len();
    ensure((1..=MAX_ACCOUNT_LABEL_BYTES).contains(&found), || {
        AccountError::Label {
            limit: MAX_ACCOUNT_LABEL_BYTES,
            found,
        }
    })?;
    ensure(body.data_user != body.receiving, || AccountError::OneKey)?;
    let member = body.member;
    let Some(record) = active_member(state, &member)? else {
        return refuse(AccountError::NotAMember { member });
    };
    let key = state::account(&body.data_user);
    ensure(!key.is_set(state)?, || AccountError::Known {
        data_user: body.data_user,
    })?;
    let limit = state::params().require(state)?.accounts_per_day;
    let daily = state::daily(Daily::Accounts, &member.0, ctx.time.epoch());
    let used = daily.get(state)?.unwrap_or(0);
    ensure(used < limit, || AccountError::DailyLimit { member, limit })?;
    ensure(tx.is_signed_by(&ctx.chain, &record.member.identity), || {
        AccountError::NotSigned { member }
    })?;
    daily.put(state, &(used + 1));
    credits::spend(&member, Use::Account, state)?;
    key.put(
        state,
        &AccountRecord {
            account: tx.body,
            since: ctx.time,
        },
    );
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, DAY, later};
    use crate::tx::{Account, Tx};

    fn body(seed: u8) -> Account {
        Account {
            data_user: testing::secret(seed).public(),
            receiving: testing::secret(200).public(),
            label: "Institute".into(),
            member: testing::hospital(0),
        }
    }

    fn signed(body: Account) -> Tx {
        Tx::Account(body.sign(&testing::chain(), &testing::identity(0)))
    }

    #[test]
    fn a_member_vouches() {
        let mut chain = Chain::new();
        assert!(chain.accept(&signed(body(50))).is_empty());
        let record = state::account(&body(50).data_user)
            .get(&chain)
            .unwrap()
            .unwrap();
        assert_eq!(
            record,
            AccountRecord {
                account: body(50),
                since: chain.time
            }
        );
    }

    #[test]
    fn label_must_be_present_and_short() {
        Chain::new().refuse(
            &signed(Account {
                label: String::new(),
                ..body(50)
            }),
            "account_label",
        );
        let label = "x".repeat(MAX_ACCOUNT_LABEL_BYTES + 1);
        Chain::new().refuse(&signed(Account { label, ..body(50) }), "account_label");
    }

    #[test]
    fn two_keys_are_needed() {
        let one = Account {
            receiving: body(50).data_user,
            ..body(50)
        };
        Chain::new().refuse(&signed(one), "account_one_key");
    }

    #[test]
    fn only_members_vouch() {
        let stranger = Account {
            member: testing::hospital(9),
            ..body(50)
        };
        Chain::new().refuse(&signed(stranger), "account_not_a_member");
    }

    #[test]
    fn a_known_data_user_is_refused() {
        let mut chain = Chain::new();
        chain.accept(&signed(body(50)));
        chain.refuse(
            &signed(Account {
                label: "Other".into(),
                ..body(50)
            }),
            "account_known",
        );
    }

    #[test]
    fn a_member_vouches_for_so_many_a_day() {
        let mut chain = Chain::with_params(|params| params.accounts_per_day = 2);
        chain.accept(&signed(body(50)));
        chain.accept(&signed(body(51)));
        chain.refuse(&signed(body(52)), "account_daily_limit");
        chain.time = later(DAY);
        chain.accept(&signed(body(52)));
    }

    #[test]
    fn only_the_identity_key_signs_and_only_for_this_chain() {
        let by_other = Tx::Account(body(50).sign(&testing::chain(), &testing::identity(1)));
        Chain::new().refuse(&by_other, "account_not_signed");
        let elsewhere = Tx::Account(body(50).sign(&testing::other_chain(), &testing::identity(0)));
        Chain::new().refuse(&elsewhere, "account_not_signed");
    }
}
