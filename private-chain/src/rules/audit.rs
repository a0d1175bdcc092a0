//! Rules of `Audit` (DESIGN 5.3). Ciphertexts are not judged: retention must not change what re-executes.

use super::{Failure, ensure, refuse};
use crate::audit::{MAX_CIPHERTEXT_BYTES, SealedEntry, month_of};
use crate::state;
use crate::tx::MAX_ENTRIES_PER_TX;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};

/// Result of an `Audit` transaction: the sequence numbers its entries got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditReceipt {
    /// Sequence number of the first entry.
    pub first: u64,
    /// Number of entries; they follow each other.
    pub count: u32,
}

/// Why a batch of audit entries is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// No entry, or too many.
    #[error("{found} audit entries, 1 to {limit} allowed")]
    Count {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// A ciphertext that is too long.
    #[error("entry {index}: a ciphertext of {found} bytes, at most {limit}")]
    Ciphertext {
        /// Index in the batch.
        index: usize,
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// A bucket whose month is not the block's, give or take one.
    #[error("entry {index}: bucket of month {found}, the block is of month {block}")]
    Month {
        /// Index in the batch.
        index: usize,
        /// The bucket's month.
        found: u16,
        /// The block's month.
        block: u16,
    },
    /// The signer is neither the server nor staff.
    #[error("entry {index}: signer {signer} is neither the server nor enrolled")]
    SignerUnknown {
        /// Index in the batch.
        index: usize,
        /// The signer.
        signer: PublicKey,
    },
    /// The signer's enrolment does not hold at block time.
    #[error(
        "entry {index}: the signer is enrolled from {not_before} to {not_after}, block time is {now}"
    )]
    SignerNotValid {
        /// Index in the batch.
        index: usize,
        /// Start of the validity.
        not_before: TimeMillis,
        /// End of the validity.
        not_after: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// The signer is suspended: the server signs what a suspended person tries.
    #[error("entry {index}: the signer was suspended at {since}")]
    SignerSuspended {
        /// Index in the batch.
        index: usize,
        /// Block time of the suspension.
        since: TimeMillis,
    },
    /// An entry that is on the chain already, or twice in the batch.
    #[error("entry {index} is on the chain already, as number {sequence}")]
    Repeated {
        /// Index in the batch.
        index: usize,
        /// Sequence number it has.
        sequence: u64,
    },
    /// A signature that does not verify.
    #[error("entry {index}: the signature of {signer} is wrong")]
    NotSigned {
        /// Index in the batch.
        index: usize,
        /// The claimed signer.
        signer: PublicKey,
    },
}

impl AuditError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            AuditError::Count { .. } => "audit_count",
            AuditError::Ciphertext { .. } => "audit_ciphertext",
            AuditError::Month { .. } => "audit_month",
            AuditError::SignerUnknown { .. } => "audit_signer_unknown",
            AuditError::SignerNotValid { .. } => "audit_signer_not_valid",
            AuditError::SignerSuspended { .. } => "audit_signer_suspended",
            AuditError::Repeated { .. } => "audit_repeated",
            AuditError::NotSigned { .. } => "audit_not_signed",
        }
    }
}

/// Appends the entries. The result is an [`AuditReceipt`].
pub(super) fn apply(
    ctx: &BlockContext,
    entries: &[SealedEntry],
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let found = entries.len();
    ensure((1..=MAX_ENTRIES_PER_TX).contains(&found), || {
        AuditError::Count {
            limit: MAX_ENTRIES_PER_TX,
            found,
        }
    })?;
    let keys = state::hospital_keys().require(state)?;
    let counter = state::audit_count();
    let first = counter.get(state)?.unwrap_or(0);
    let mut sequence = first;
    for (index, entry) in entries.iter().enumerate() {
        check_form(ctx, index, entry)?;
        if !keys.is_server(&entry.signer, ctx.time) {
            check_staff(ctx, index, entry, state)?;
        }
        let id = state::audit_id(&entry.id);
        if let Some(sequence) = id.get(state)? {
            return refuse(AuditError::Repeated { index, sequence });
        }
        ensure(entry.is_signed(&ctx.chain), || AuditError::NotSigned {
            index,
            signer: entry.signer,
        })?;
        state::audit(sequence).put(state, entry);
        id.put(state, &sequence);
        sequence += 1;
    }
    counter.put(state, &sequence);
    let count =
        u32::try_from(found).expect("at most MAX_ENTRIES_PER_TX entries were accepted above");
    Ok(codec::encode(&AuditReceipt { first, count }))
}

/// Bounds that need no state.
fn check_form(ctx: &BlockContext, index: usize, entry: &SealedEntry) -> Result<(), Failure> {
    let found = entry.ciphertext.len();
    ensure(found <= MAX_CIPHERTEXT_BYTES, || AuditError::Ciphertext {
        index,
        limit: MAX_CIPHERTEXT_BYTES,
        found,
    })?;
    let block = month_of(ctx.time);
    // An entry is written just before its action, hence close to a month's edge it may be in the next block's.
    ensure(entry.month.abs_diff(block) <= 1, || AuditError::Month {
        index,
        found: entry.month,
        block,
    })
}

/// A signer other than the server is staff in good standing.
fn check_staff(
    ctx: &BlockContext,
    index: usize,
    entry: &SealedEntry,
    state: &Overlay<'_>,
) -> Result<(), Failure> {
    let Some(staff) = state::staff(&entry.signer).get(state)? else {
        return refuse(AuditError::SignerUnknown {
            index,
            signer: entry.signer,
        });
    };
    ensure(staff.covers(ctx.time), || AuditError::SignerNotValid {
        index,
        not_before: staff.not_before,
        not_after: staff.not_after,
        now: ctx.time,
    })?;
    match staff.suspended_at {
        Some(since) => refuse(AuditError::SignerSuspended { index, since }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::{ActionClass, DraftEntry};
    use crate::testing::{self, Chain, NOW, later};
    use crate::tx::{Role, Tx};
    use caduceus_crypto::keys::SecretKey;

    const BUCKET_KEY: [u8; 32] = [9; 32];

    fn draft(seed: u64) -> DraftEntry {
        let entry = testing::entry(NOW);
        DraftEntry::seal(
            &mut testing::rng(seed),
            &BUCKET_KEY,
            ActionClass::ClinicalRead,
            &entry,
        )
        .unwrap()
    }

    fn by(signer: &SecretKey, seed: u64) -> SealedEntry {
        draft(seed).sign(&testing::chain(), signer)
    }

    fn nurse() -> SecretKey {
        testing::secret(20)
    }

    #[test]
    fn entries_get_consecutive_numbers() {
        let mut chain = Chain::new();
        chain.enrol(&nurse(), Role::Nurse);
        let first = chain.accept(&Tx::audit(vec![by(&testing::server(), 1), by(&nurse(), 2)]));
        assert_eq!(first, codec::encode(&AuditReceipt { first: 0, count: 2 }));
        let second = chain.accept(&Tx::audit(vec![by(&testing::server(), 3)]));
        assert_eq!(second, codec::encode(&AuditReceipt { first: 2, count: 1 }));
        assert_eq!(state::audit_count().get(&chain).unwrap(), Some(3));
        assert_eq!(
            state::audit(1).get(&chain).unwrap().unwrap(),
            by(&nurse(), 2)
        );
        assert_eq!(
            state::audit_id(&by(&nurse(), 2).id).get(&chain).unwrap(),
            Some(1)
        );
    }

    #[test]
    fn a_batch_has_some_entries_and_not_too_many() {
        let mut chain = Chain::new();
        chain.refuse(&Tx::audit(Vec::new()), "audit_count");
        let one = by(&testing::server(), 1);
        chain.refuse(&Tx::audit(vec![one; MAX_ENTRIES_PER_TX + 1]), "audit_count");
    }

    #[test]
    fn ciphertext_is_bounded() {
        let mut draft = draft(1);
        draft.ciphertext = vec![0; MAX_CIPHERTEXT_BYTES + 1];
        let entry = draft.sign(&testing::chain(), &testing::server());
        Chain::new().refuse(&Tx::audit(vec![entry]), "audit_ciphertext");
    }

    #[test]
    fn the_bucket_is_of_this_month() {
        let mut draft = draft(1);
        draft.month -= 2;
        let entry = draft.sign(&testing::chain(), &testing::server());
        Chain::new().refuse(&Tx::audit(vec![entry]), "audit_month");
    }

    #[test]
    fn the_signer_is_known() {
        Chain::new().refuse(&Tx::audit(vec![by(&nurse(), 1)]), "audit_signer_unknown");
    }

    #[test]
    fn the_signer_is_enrolled_now() {
        let mut chain = Chain::new();
        chain.enrol_until(&nurse(), Role::Nurse, later(1_000));
        chain.time = later(1_000);
        chain.refuse(&Tx::audit(vec![by(&nurse(), 1)]), "audit_signer_not_valid");
    }

    #[test]
    fn the_signer_is_not_suspended() {
        let mut chain = Chain::new();
        chain.enrol(&nurse(), Role::Nurse);
        chain.suspend(&nurse());
        chain.refuse(&Tx::audit(vec![by(&nurse(), 1)]), "audit_signer_suspended");
    }

    #[test]
    fn an_entry_is_appended_once() {
        let mut chain = Chain::new();
        let entry = by(&testing::server(), 1);
        chain.refuse(
            &Tx::audit(vec![entry.clone(), entry.clone()]),
            "audit_repeated",
        );
        chain.accept(&Tx::audit(vec![entry.clone()]));
        chain.refuse(
            &Tx::audit(vec![by(&testing::server(), 2), entry]),
            "audit_repeated",
        );
    }

    #[test]
    fn the_signature_holds_on_this_chain() {
        let mut forged = by(&testing::server(), 1);
        forged.ciphertext[0] ^= 1;
        Chain::new().refuse(&Tx::audit(vec![forged]), "audit_not_signed");
        let elsewhere = draft(1).sign(&testing::other_chain(), &testing::server());
        Chain::new().refuse(&Tx::audit(vec![elsewhere]), "audit_not_signed");
    }
}
