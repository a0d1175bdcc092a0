//! Pair secrets at rest: rows are named by a keyed hash of the card's number, and each is a box that only the
//! holder of `keys.key` opens.

use crate::database::{self, ByteTable, DatabaseFailure, decode};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{MetaAddress, SecretKey, domain, encode, prf};
use caduceus_custody::secret_box::{open_from, seal_to};
use rand_core::OsRng;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

const PAIRS: ByteTable = TableDefinition::new("pairs");
const OPEN: ByteTable = TableDefinition::new("open");

/// The pair secrets cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairsError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseFailure),
    /// A row does not open: another `keys.key`, or altered.
    #[error("a stored pair secret does not open under this keys.key")]
    Sealed,
}

macro_rules! from_redb {
    ($($t:ty),*) => {$(
        impl From<$t> for PairsError {
            fn from(e: $t) -> Self { PairsError::Database(e.into()) }
        }
    )*};
}
from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

/// What is known of a card.
#[derive(BorshSerialize, BorshDeserialize)]
struct Row {
    meta: MetaAddress,
    secret: [u8; 32],
}

/// The open file; clones share it. Everything here waits for the disk.
#[derive(Clone)]
pub(super) struct Pairs {
    db: Arc<Database>,
    store: SecretKey,
    names: Arc<Zeroizing<[u8; 32]>>,
}

impl Pairs {
    /// Opens or creates the file under the service's own key.
    pub(super) fn open(path: &Path, key: &SecretKey) -> Result<Self, PairsError> {
        let db = database::open(path)?;
        let txn = db.begin_write()?;
        txn.open_table(PAIRS)?;
        txn.open_table(OPEN)?;
        txn.commit()?;
        let ikm = key.to_bytes();
        Ok(Self {
            db: Arc::new(db),
            store: SecretKey::derive(domain::STORE_KEY, &ikm[..], &[b"pairs"]),
            names: Arc::new(caduceus_crypto::kdf::<32>(
                domain::STORE_KEY,
                &ikm[..],
                &[b"pair names"],
            )),
        })
    }

    fn name(&self, card: &[u8; 16]) -> [u8; 32] {
        prf(&self.names, domain::STORE_KEY, &[&card[..]])
    }

    /// Keeps a pair secret, in place of an earlier one.
    pub(super) fn put(
        &self,
        card: &[u8; 16],
        meta: MetaAddress,
        secret: &[u8; 32],
    ) -> Result<(), PairsError> {
        let name = self.name(card);
        let row = Row {
            meta,
            secret: *secret,
        };
        let plain = Zeroizing::new(encode(&row));
        let sealed = seal_to(
            &mut OsRng,
            &self.store.public(),
            domain::STORE_KEY,
            &name,
            &plain,
        );
        let txn = self.db.begin_write()?;
        txn.open_table(PAIRS)?
            .insert(&name[..], sealed.as_slice())?;
        txn.commit()?;
        Ok(())
    }

    /// Keeps the entry of a key that is about to be given, by its request.
    pub(super) fn open_action(&self, request: &[u8; 16], entry: &[u8]) -> Result<(), PairsError> {
        let to = self.store.public();
        let sealed = seal_to(&mut OsRng, &to, domain::STORE_KEY, request, entry);
        let txn = self.db.begin_write()?;
        txn.open_table(OPEN)?
            .insert(&request[..], sealed.as_slice())?;
        txn.commit()?;
        Ok(())
    }

    /// Forgets one: it was given, or is in the log as not known.
    pub(super) fn close_action(&self, request: &[u8; 16]) -> Result<(), PairsError> {
        let txn = self.db.begin_write()?;
        txn.open_table(OPEN)?.remove(&request[..])?;
        txn.commit()?;
        Ok(())
    }

    /// Those that are open, by request.
    pub(super) fn open_actions(&self) -> Result<Vec<([u8; 16], Vec<u8>)>, PairsError> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(OPEN)?;
        let mut found = Vec::new();
        for pair in table.iter()? {
            let (request, sealed) = pair?;
            let request: [u8; 16] = decode(request.value(), "open action")?;
            let entry = open_from(&self.store, domain::STORE_KEY, &request, sealed.value())
                .map_err(|_| PairsError::Sealed)?;
            found.push((request, entry.to_vec()));
        }
        Ok(found)
    }

    /// The holder and the pair secret of a card; none if its patient has not registered.
    pub(super) fn get(
        &self,
        card: &[u8; 16],
    ) -> Result<Option<(MetaAddress, Zeroizing<[u8; 32]>)>, PairsError> {
        let name = self.name(card);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(PAIRS)?;
        let Some(sealed) = table.get(&name[..])?.map(|value| value.value().to_vec()) else {
            return Ok(None);
        };
        let plain = open_from(&self.store, domain::STORE_KEY, &name, &sealed)
            .map_err(|_| PairsError::Sealed)?;
        let row: Row = decode(&plain, "pair secret")?;
        Ok(Some((row.meta, Zeroizing::new(row.secret))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_pair_secret_survives_and_is_not_in_clear() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pairs.redb");
        let (key, other) = (
            SecretKey::generate(&mut OsRng),
            SecretKey::generate(&mut OsRng),
        );
        let meta = MetaAddress::new(key.public(), other.public());
        {
            let pairs = Pairs::open(&path, &key).unwrap();
            assert!(pairs.get(&[0xc1; 16]).unwrap().is_none());
            pairs.put(&[0xc1; 16], meta, &[0xa7; 32]).unwrap();
        }
        let (found, secret) = Pairs::open(&path, &key)
            .unwrap()
            .get(&[0xc1; 16])
            .unwrap()
            .unwrap();
        assert_eq!((found, *secret), (meta, [0xa7; 32]));
        let bytes = std::fs::read(&path).unwrap();
        for hidden in [&[0xa7u8; 32][..], &[0xc1; 16][..]] {
            assert!(!bytes.windows(hidden.len()).any(|window| window == hidden));
        }
        // Another key names its rows otherwise.
        assert!(
            Pairs::open(&path, &other)
                .unwrap()
                .get(&[0xc1; 16])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn an_open_action_survives_sealed_until_it_is_closed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pairs.redb");
        let key = SecretKey::generate(&mut OsRng);
        {
            let pairs = Pairs::open(&path, &key).unwrap();
            pairs.open_action(&[1; 16], &[0xa9; 64]).unwrap();
            pairs.open_action(&[2; 16], b"two").unwrap();
            pairs.close_action(&[2; 16]).unwrap();
        }
        let pairs = Pairs::open(&path, &key).unwrap();
        let left = pairs.open_actions().unwrap();
        assert_eq!(left, [([1; 16], vec![0xa9; 64])]);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(64).any(|window| window == [0xa9; 64]));
        pairs.close_action(&[1; 16]).unwrap();
        assert!(pairs.open_actions().unwrap().is_empty());
    }

    #[test]
    fn a_holder_keeps_her_index_key() {
        let home = tempfile::tempdir().unwrap();
        let key = SecretKey::generate(&mut OsRng);
        let bare = MetaAddress::new(key.public(), SecretKey::generate(&mut OsRng).public());
        let meta = crate::network_map::with_index_key(bare);
        let pairs = Pairs::open(&home.path().join("pairs.redb"), &key).unwrap();
        pairs.put(&[1; 16], bare, &[7; 32]).unwrap();
        pairs.put(&[2; 16], meta, &[7; 32]).unwrap();
        let holder = |card: [u8; 16]| pairs.get(&card).unwrap().unwrap().0;
        assert_eq!((holder([1; 16]), holder([2; 16])), (bare, meta));
    }
}
