//! Service credits (DESIGN 6.4): who earns, who pays, and who waits.
//!
//! Credits decide about waiting only. No rule refuses a transaction for want of them, and nothing that records and
//! consent depend on (checkpoints, links, revocations, reports, governance, token keys) is ever behind the others.
//!
//! Nobody pays for a grant: its patient is a pseudonym, of no member. For the same reason what a patient downloads
//! herself earns nothing: to prove that it was served she would have to show up.

use crate::genesis::CreditPolicy;
use crate::query;
use crate::state::{self, CreditRecord, Deposit, Service, Use};
use crate::tx::Tx;
use caduceus_crypto::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_ledger::{Address, BlockContext, Class, Overlay, StateError, StateView};

/// Gives a member that joins what it begins with.
pub(crate) fn open(hospital: &HospitalId, state: &mut Overlay<'_>) -> Result<(), StateError> {
    let opening = policy(state)?.opening;
    state::credit(hospital).put(state, &CreditRecord::opening(opening));
    Ok(())
}

fn policy(view: &dyn StateView) -> Result<CreditPolicy, StateError> {
    Ok(state::params().require(view)?.credits)
}

/// A member pays for a use, as the policy says. One that is unknown pays nothing.
pub(super) fn spend(
    hospital: &HospitalId,
    use_of: Use,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let policy = policy(state)?;
    let price = match use_of {
        Use::Search => policy.search,
        Use::Account => policy.account,
        Use::Request => policy.request,
        // An access costs what its service may earn: `deposit`.
        Use::Access => 0,
    };
    change(hospital, price.into(), state, |record, price| {
        record.spend(use_of, price);
    })
}

fn change(
    hospital: &HospitalId,
    credits: u64,
    state: &mut Overlay<'_>,
    apply: impl FnOnce(&mut CreditRecord, u64),
) -> Result<(), StateError> {
    let key = state::credit(hospital);
    let Some(mut record) = key.get(state)? else {
        return Ok(());
    };
    if credits > 0 {
        apply(&mut record, credits);
        key.put(state, &record);
    }
    Ok(())
}

/// The member that vouched for the data user pays for an access what serving it may earn: so nobody gains by
/// acknowledging an access of its own. Where no member vouched nobody pays, and nobody earns.
pub(super) fn deposit(
    access: &Hash,
    data_user: &PublicKey,
    threshold: u8,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let Some(account) = query::account(state, data_user)? else {
        return Ok(());
    };
    let policy = policy(state)?;
    let payer = account.account.member;
    let fragments = u64::from(policy.reencryption) * u64::from(threshold);
    let price = u64::from(policy.record) + fragments;
    change(&payer, price, state, |record, price| {
        record.spend(Use::Access, price);
    })?;
    state::deposit(access).put(
        state,
        &Deposit {
            payer,
            record: policy.record,
            reencryption: policy.reencryption,
            settled: false,
        },
    );
    Ok(())
}

/// The operator of the proposer earns for a block with transactions. A heartbeat earns nothing: else an idle chain
/// would mint.
pub(crate) fn block_proposed(
    ctx: &BlockContext,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let credits = policy(state)?.block;
    earn_operator(&ctx.proposer, Service::Block, credits, state)
}

/// A member earns.
pub(super) fn earn(
    hospital: &HospitalId,
    service: Service,
    credits: u32,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    change(hospital, credits.into(), state, |record, credits| {
        record.earn(service, credits);
    })
}

/// The operator of the validator beside a proxy earns. A key that is no proxy any more has nobody to earn.
pub(super) fn earn_proxy(
    proxy: &PublicKey,
    credits: u32,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let proxies = query::proxies(state)?;
    match proxies.iter().find(|known| known.key == *proxy) {
        Some(known) => earn_operator(&known.validator, Service::Reencryption, credits, state),
        None => Ok(()),
    }
}

fn earn_operator(
    validator: &Address,
    service: Service,
    credits: u32,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let operators = query::operators(state)?;
    match operators
        .iter()
        .find(|operator| operator.validator == *validator)
    {
        Some(operator) => earn(&operator.hospital, service, credits, state),
        None => Ok(()),
    }
}

/// The class of a transaction: that of who pays.
pub(crate) fn class(tx: &Tx, view: &dyn StateView) -> Result<Class, StateError> {
    match tx {
        Tx::Member(_)
        | Tx::Issuer(_)
        | Tx::Checkpoint(_)
        | Tx::Link(_)
        | Tx::Revoke(_)
        | Tx::Report(_) => return Ok(Class::Urgent),
        Tx::Grant(_) | Tx::Acknowledge(_) => return Ok(Class::Normal),
        Tx::Account(_) | Tx::Search(_) | Tx::Request(_) | Tx::Access(_) => {}
    }
    let in_debt = match payer(tx, view)? {
        Some(payer) => state::credit(&payer)
            .get(view)?
            .is_some_and(|record| record.is_in_debt()),
        None => false,
    };
    Ok(if in_debt {
        Class::Indebted
    } else {
        Class::Normal
    })
}

/// The member that pays for a transaction, as it says itself: it is not verified here.
fn payer(tx: &Tx, view: &dyn StateView) -> Result<Option<HospitalId>, StateError> {
    let voucher = |data_user: &PublicKey| -> Result<Option<HospitalId>, StateError> {
        Ok(query::account(view, data_user)?.map(|record| record.account.member))
    };
    match tx {
        Tx::Search(tx) => Ok(Some(tx.body.issuer)),
        Tx::Account(tx) => Ok(Some(tx.body.member)),
        Tx::Request(tx) => voucher(&tx.body.data_user),
        Tx::Access(tx) => match query::grant(view, &tx.body.grant)? {
            Some(record) => voucher(&record.grant.data_user),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
