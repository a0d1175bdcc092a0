//! The sets that headers name, by hash, so that a height can be shown to who does not know its voters.
//!
//! Table `validator_sets`: hash (32 bytes) to the borsh of the set. A set is checked against its hash when read.

use super::{Bytes, META_VALIDATORS, Snapshot, StoreError};
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::{Height, LightBlock, ValidatorSet};
use redb::{ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

const SETS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("validator_sets");

/// Writes a set, unless it is there.
pub(super) fn keep(txn: &WriteTransaction, set: &ValidatorSet) -> Result<(), StoreError> {
    keep_encoded(txn, &set.hash(), &codec::encode(set))
}

fn keep_encoded(txn: &WriteTransaction, hash: &Hash, set: &[u8]) -> Result<(), StoreError> {
    let mut sets = txn.open_table(SETS)?;
    let key = hash.as_bytes().as_slice();
    if sets.get(key)?.is_none() {
        sets.insert(key, set)?;
    }
    Ok(())
}

/// Makes the table, and keeps the current set in it: a store from before the table never changed its voters.
pub(super) fn keep_current(
    txn: &WriteTransaction,
    meta: &Table<'_, &'static str, Bytes>,
) -> Result<(), StoreError> {
    txn.open_table(SETS)?;
    let Some(set) = meta.get(META_VALIDATORS)?.map(|v| v.value().to_vec()) else {
        return Ok(());
    };
    // A damaged one is told of by whoever reads the tip.
    match codec::decode_exact::<ValidatorSet>(&set, set.len()) {
        Ok(decoded) => keep_encoded(txn, &decoded.hash(), &set),
        Err(_) => Ok(()),
    }
}

/// The first set in which two stores differ, in words. A store that never had the table differs in nothing, and where
/// one of the two does not begin at the genesis it has only those sets in common that the other needs.
pub(super) fn first_difference(
    here: &Snapshot,
    there: &Snapshot,
) -> Result<Option<String>, StoreError> {
    let (Some(found), Some(expected)) = (table(here)?, table(there)?) else {
        return Ok(None);
    };
    if here.kept_from()? > 1 || there.kept_from()? > 1 {
        for row in expected.iter()? {
            let hash = row?.0;
            if found.get(hash.value())?.is_none() {
                return Ok(Some(format!(
                    "validator set {} is not stored",
                    hex::encode(hash.value())
                )));
            }
        }
        return Ok(None);
    }
    let mut rows = found.iter()?;
    let mut wanted = expected.iter()?;
    loop {
        let (row, expected) = (rows.next().transpose()?, wanted.next().transpose()?);
        let same = match (&row, &expected) {
            (None, None) => return Ok(None),
            (Some(row), Some(expected)) => {
                row.0.value() == expected.0.value() && row.1.value() == expected.1.value()
            }
            _ => false,
        };
        if !same {
            let key = row.or(expected).map(|(key, _)| hex::encode(key.value()));
            return Ok(Some(format!(
                "the stored validator sets differ from what execution gives, at {}",
                key.unwrap_or_default()
            )));
        }
    }
}

fn table(snapshot: &Snapshot) -> Result<Option<redb::ReadOnlyTable<Bytes, Bytes>>, StoreError> {
    match snapshot.txn.open_table(SETS) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Snapshot {
    /// The set of a hash, if a header up to this height names it.
    ///
    /// # Errors
    /// When the database fails, or the bytes are damaged.
    pub fn validator_set(&self, hash: &Hash) -> Result<Option<ValidatorSet>, StoreError> {
        let Some(table) = table(self)? else {
            return Ok(None);
        };
        let Some(bytes) = table
            .get(hash.as_bytes().as_slice())?
            .map(|set| set.value().to_vec())
        else {
            return Ok(None);
        };
        match codec::decode_exact::<ValidatorSet>(&bytes, bytes.len()) {
            Ok(set) if set.hash() == *hash => Ok(Some(set)),
            _ => Err(StoreError::Damaged {
                height: self.newest_height()?,
                what: "validator set",
            }),
        }
    }

    /// A certified header with the sets that it names; none at the genesis and above the tip.
    ///
    /// # Errors
    /// When the database fails, or the bytes are damaged.
    pub fn light_block(&self, height: Height) -> Result<Option<LightBlock>, StoreError> {
        let Some(head) = self.certified(height)? else {
            return Ok(None);
        };
        let missing = StoreError::Damaged {
            height: height.0,
            what: "validator set",
        };
        let sets = (
            self.validator_set(&head.header.validators)?,
            self.validator_set(&head.header.next_validators)?,
        );
        let (Some(validators), Some(next_validators)) = sets else {
            return Err(missing);
        };
        Ok(Some(LightBlock {
            head,
            validators,
            next_validators,
        }))
    }
}
