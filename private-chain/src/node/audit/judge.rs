//! What a validator judges of audit entries in clear before it lets them wait or votes for them (DESIGN 5.2): that what
//! a person is said to have signed she signed, that the role is the enrolled one, and that nobody who is suspended
//! succeeded. Nothing of it enters a root: a chain is replayed the same when the keys are gone. What this node has no key
//! for passes.

use super::Shared;
use crate::audit::{Actor, AuditBatch, AuditEntry, BatchKey, Bucket, Outcome, StatementCheck};
use crate::query;
use crate::tx::Tx;
use caduceus_ledger::{ChainId, DecodedTx, Rejection, StateView};
use caduceus_node::LiveCheck;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Weak};

/// A suspension is effective within it: what was allowed just before may still be entered.
const GRACE_MILLIS: u64 = 5_000;

/// Judges by the keys and the state of one node.
pub(super) struct Judge(Weak<Shared>);

impl Judge {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl LiveCheck for Judge {
    fn judge(&self, tx: &DecodedTx) -> Result<(), Rejection> {
        let Ok(Tx::Audit(batch)) = tx.content::<Tx>() else {
            return Ok(());
        };
        let Some(shared) = self.0.upgrade() else {
            return Ok(());
        };
        let Some(node) = shared.node.upgrade() else {
            return Ok(());
        };
        // A store that cannot be read now says nothing about the entries.
        let Ok(view) = node.chain().snapshot() else {
            return Ok(());
        };
        let key = |bucket: &Bucket| shared.keys.get(bucket).ok().flatten();
        judge(&view, &node.chain().id(), batch, key)
    }
}

fn judge<K: Deref<Target = [u8; 32]>>(
    view: &dyn StateView,
    chain: &ChainId,
    batch: &AuditBatch,
    key: impl Fn(&Bucket) -> Option<K>,
) -> Result<(), Rejection> {
    let keys: BTreeMap<Bucket, BatchKey> = batch
        .buckets()
        .into_iter()
        .filter_map(|bucket| {
            let key = key(&bucket)?;
            Some((bucket, BatchKey::derive(&key, bucket, &batch.id)))
        })
        .collect();
    for (index, sealed) in (0u32..).zip(&batch.entries) {
        let Some(key) = keys.get(&sealed.bucket()) else {
            continue;
        };
        let entry = key.open(index, sealed).map_err(|error| Rejection {
            rule: "entry_sealed",
            detail: format!("entry {index}: {error}"),
        })?;
        one(view, chain, &entry).map_err(|(rule, detail)| Rejection {
            rule,
            detail: format!("entry {index}: {detail}"),
        })?;
    }
    Ok(())
}

fn one(
    view: &dyn StateView,
    chain: &ChainId,
    entry: &AuditEntry,
) -> Result<(), (&'static str, &'static str)> {
    if entry.statement_check(chain) == StatementCheck::Wrong {
        return Err(("entry_statement", "the actor did not sign what it says"));
    }
    let (Actor::Key(actor), Some(role)) = (&entry.actor, entry.role) else {
        return Ok(());
    };
    let Ok(Some(staff)) = query::staff(view, actor) else {
        return Ok(());
    };
    if staff.role != role {
        return Err(("entry_role", "the actor is not enrolled in that role"));
    }
    let too_late = staff
        .suspended_at
        .is_some_and(|since| entry.time.0 > since.0.saturating_add(GRACE_MILLIS));
    if too_late && entry.outcome == Outcome::Success {
        return Err(("entry_suspended", "the actor was suspended before"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::{ActionClass, DraftBatch, Statement};
    use crate::testing::{self, BUCKET_KEY, Chain, NOW, later};
    use crate::tx::Role;

    fn verdict(chain: &Chain, entry: &AuditEntry, key: [u8; 32]) -> Option<&'static str> {
        let mut draft = DraftBatch::new(&mut testing::rng(1));
        let class = ActionClass::ClinicalRead;
        draft.push(&BUCKET_KEY, class, NOW, entry).unwrap();
        let batch = draft.sign(&testing::chain(), &testing::server());
        let judged = judge(chain, &testing::chain(), &batch, |_| Some(Box::new(key)));
        judged.err().map(|rejection| rejection.rule)
    }

    #[test]
    fn entries_in_clear_are_judged_by_who_signed_and_who_is_enrolled() {
        let mut chain = Chain::new();
        chain.enrol(&testing::author(), Role::Physician);
        let entry = testing::entry(NOW);
        assert_eq!(verdict(&chain, &entry, BUCKET_KEY), None);
        // Under another key nothing opens, and that is no entry of this log.
        assert_eq!(verdict(&chain, &entry, [1; 32]), Some("entry_sealed"));

        let nurse = AuditEntry {
            role: Some(Role::Nurse),
            ..entry.clone()
        };
        assert_eq!(verdict(&chain, &nurse, BUCKET_KEY), Some("entry_role"));

        let mut signed = entry.clone();
        let statement = Statement::of(&entry).unwrap();
        signed.statement =
            Some(statement.sign(&mut testing::rng(2), &testing::chain(), &testing::author()));
        assert_eq!(verdict(&chain, &signed, BUCKET_KEY), None);
        signed.purpose = "HRESCH".into();
        assert_eq!(
            verdict(&chain, &signed, BUCKET_KEY),
            Some("entry_statement")
        );

        chain.suspend(&testing::author());
        assert_eq!(verdict(&chain, &entry, BUCKET_KEY), None);
        let late = AuditEntry {
            time: later(GRACE_MILLIS + 1),
            ..entry
        };
        assert_eq!(verdict(&chain, &late, BUCKET_KEY), Some("entry_suspended"));
        let denied = AuditEntry {
            outcome: Outcome::Denied,
            ..late
        };
        assert_eq!(verdict(&chain, &denied, BUCKET_KEY), None);
    }

    #[test]
    fn what_has_no_key_here_passes() {
        let chain = Chain::new();
        let batch = testing::batch_signed_by(&testing::server(), 1, 3);
        let none = |_: &Bucket| None::<Box<[u8; 32]>>;
        assert!(judge(&chain, &testing::chain(), &batch, none).is_ok());
    }
}
