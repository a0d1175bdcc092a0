//! Rules of `Audit` (DESIGN 5.3). Ciphertexts are not judged: retention must not change what re-executes.

use super::{Failure, ensure, refuse};
use crate::audit::{AuditBatch, MAX_CIPHERTEXT_BYTES, SealedEntry, month_of};
use crate::state::{self, BatchPlace};
use crate::tx::MAX_ENTRIES_PER_TX;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::keys::PublicKey;
use caduceus_ledger::{BlockContext, Overlay, validators};

/// Result of an `Audit` transaction: the sequence numbers its entries got, and what they are proved by.
///
/// Bytes: first 8, count 4, root 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditReceipt {
    /// Sequence number of the first entry.
    pub first: u64,
    /// Number of entries; they follow each other.
    pub count: u32,
    /// RFC 6962 root over the borsh of the sealed entries.
    pub root: Hash,
}

impl AuditReceipt {
    /// Its encoded length.
    pub const BYTES: usize = 8 + 4 + 32;
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
    /// The signer is neither the server nor a validator.
    #[error("the signer {signer} is neither the server nor a validator")]
    Signer {
        /// The signer.
        signer: PublicKey,
    },
    /// A batch that is on the chain already.
    #[error("the batch is on the chain already, from number {sequence} on")]
    Repeated {
        /// Sequence number of its first entry.
        sequence: u64,
    },
    /// A signature that does not verify.
    #[error("the signature of {signer} is wrong")]
    NotSigned {
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
            AuditError::Signer { .. } => "audit_signer",
            AuditError::Repeated { .. } => "audit_repeated",
            AuditError::NotSigned { .. } => "audit_not_signed",
        }
    }
}

/// Appends the entries. The result is an [`AuditReceipt`].
pub(super) fn apply(
    ctx: &BlockContext,
    batch: &AuditBatch,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let found = batch.entries.len();
    ensure((1..=MAX_ENTRIES_PER_TX).contains(&found), || {
        AuditError::Count {
            limit: MAX_ENTRIES_PER_TX,
            found,
        }
    })?;
    for (index, entry) in batch.entries.iter().enumerate() {
        check_form(ctx, index, entry)?;
    }
    let signer = batch.signer;
    let keys = state::hospital_keys().require(state)?;
    if !keys.is_server(&signer, ctx.time) {
        let voters = validators(state)?;
        ensure(voters.iter().any(|voter| voter.key == signer), || {
            AuditError::Signer { signer }
        })?;
    }
    let id = state::audit_id(&batch.id);
    if let Some(sequence) = id.get(state)? {
        return refuse(AuditError::Repeated { sequence });
    }
    let root = batch.root();
    ensure(batch.is_signed(&ctx.chain, &root), || {
        AuditError::NotSigned { signer }
    })?;
    let counter = state::audit_count();
    let first = counter.get(state)?.unwrap_or(0);
    let count =
        u32::try_from(found).expect("at most MAX_ENTRIES_PER_TX entries were accepted above");
    state::audit_batch(first).put(state, batch);
    state::audit_place(first).put(
        state,
        &BatchPlace {
            height: ctx.height,
            time: ctx.time,
            count,
        },
    );
    id.put(state, &first);
    counter.put(state, &(first + u64::from(count)));
    Ok(codec::encode(&AuditReceipt { first, count, root }))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::query;
    use crate::testing::{self, Chain, batch_signed_by};
    use crate::tx::Tx;

    fn batch(seed: u64, count: u64) -> AuditBatch {
        batch_signed_by(&testing::server(), seed, count)
    }

    #[test]
    fn entries_get_consecutive_numbers_and_are_proved_by_the_receipt() {
        let mut chain = Chain::new();
        let first = chain.accept(&Tx::audit(batch(1, 3)));
        let receipt = query::audit_result(&first).unwrap();
        assert_eq!((receipt.first, receipt.count), (0, 3));
        let second = batch(2, 2);
        let receipt = query::audit_result(&chain.accept(&Tx::audit(second.clone()))).unwrap();
        assert_eq!((receipt.first, receipt.count), (3, 2));
        let proof = second.prove(1).unwrap();
        proof
            .verify(&receipt.root, &codec::encode(&second.entries[1]))
            .unwrap();
        assert_eq!(state::audit_count().get(&chain).unwrap(), Some(5));
        assert_eq!(state::audit_batch(3).get(&chain).unwrap(), Some(second));
    }

    #[test]
    fn a_batch_has_some_entries_and_not_too_many() {
        let mut chain = Chain::new();
        chain.refuse(&Tx::audit(batch(1, 0)), "audit_count");
        let mut many = batch(1, 1);
        let one = SealedEntry {
            ciphertext: vec![0; 16],
            ..many.entries[0].clone()
        };
        many.entries = vec![one; MAX_ENTRIES_PER_TX + 1];
        chain.refuse(&Tx::audit(many), "audit_count");
    }

    #[test]
    fn ciphertext_is_bounded() {
        let mut long = batch(1, 1);
        long.entries[0].ciphertext = vec![0; MAX_CIPHERTEXT_BYTES + 1];
        Chain::new().refuse(&Tx::audit(long), "audit_ciphertext");
    }

    #[test]
    fn the_bucket_is_of_this_month() {
        let mut early = batch(1, 1);
        early.entries[0].month -= 2;
        Chain::new().refuse(&Tx::audit(early), "audit_month");
    }

    #[test]
    fn the_server_and_the_validators_sign_and_nobody_else() {
        let mut chain = Chain::new();
        chain.accept(&Tx::audit(batch_signed_by(&testing::secret(3), 1, 1)));
        let by_staff = batch_signed_by(&testing::author(), 2, 1);
        chain.refuse(&Tx::audit(by_staff), "audit_signer");
        let by_identity = batch_signed_by(&testing::identity(), 2, 1);
        chain.refuse(&Tx::audit(by_identity), "audit_signer");
    }

    #[test]
    fn a_batch_is_appended_once() {
        let mut chain = Chain::new();
        chain.accept(&Tx::audit(batch(1, 2)));
        chain.refuse(&Tx::audit(batch(1, 2)), "audit_repeated");
        let mut renewed = batch(2, 2);
        renewed.id = batch(1, 2).id;
        chain.refuse(&Tx::audit(renewed), "audit_repeated");
    }

    #[test]
    fn the_signature_holds_on_this_chain() {
        let mut forged = batch(1, 2);
        forged.entries[1].ciphertext[0] ^= 1;
        Chain::new().refuse(&Tx::audit(forged), "audit_not_signed");
        let elsewhere = testing::draft(1, 1).sign(&testing::other_chain(), &testing::server());
        Chain::new().refuse(&Tx::audit(elsewhere), "audit_not_signed");
    }
}
