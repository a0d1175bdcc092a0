#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::PrivateBlocks;
use caduceus_ledger::{Pairs, Space, TxPlace};
use std::cell::Cell;
use std::collections::BTreeMap;

const MIB: usize = 1024 * 1024;

/// Where transactions stand, whatever the key's prefix.
struct Places(BTreeMap<Hash, TxPlace>);

impl StateView for Places {
    fn get(&self, _: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let (_, id) = key.split_last_chunk::<32>().unwrap();
        Ok(self.0.get(&Hash(*id)).map(caduceus_crypto::encode))
    }

    fn scan(&self, _: Space, _: &[u8], _: usize) -> Result<Pairs, StateError> {
        panic!("a place is looked up")
    }
}

/// The identifier of the transaction with this position in the block of this height.
fn id(height: u64, index: u32) -> Hash {
    let mut bytes = [0; 32];
    bytes[0] = height as u8;
    bytes[1] = index as u8;
    Hash(bytes)
}

/// Heights 1 to `count`, two transactions each.
fn places(count: u64) -> Places {
    let all = (1..=count).flat_map(|height| (0..2).map(move |index| (height, index)));
    Places(
        all.map(|(height, index)| {
            let place = TxPlace {
                height: Height(height),
                index,
            };
            (id(height, index), place)
        })
        .collect(),
    )
}

/// A block of this size with two transactions, the second of one byte.
fn block(height: Height, bytes: usize) -> Block {
    let mut blocks = PrivateBlocks::new(0);
    let mut header = blocks.push(&[]).headers[0].clone();
    header.height = height;
    Block {
        header,
        txs: vec![vec![1; bytes - 1], vec![2]],
    }
}

#[test]
fn a_document_reads_so_many_bytes_of_blocks() {
    let places = places(20);
    let read = Cell::new(0);
    let source = |height: Height| {
        read.set(read.get() + 1);
        Ok(Some(block(height, MIB)))
    };
    let mut reader = Reader::new(&places, &source);
    for height in 1..=16 {
        assert_eq!(
            reader.tx(&id(height, 0)).unwrap().unwrap().len(),
            MIB - 1,
            "{height}"
        );
        // The block is at hand.
        assert_eq!(reader.tx(&id(height, 1)).unwrap(), Some(vec![2]));
        assert_eq!(read.get(), height);
    }
    assert_eq!(reader.tx(&id(17, 0)).unwrap(), None);
    assert_eq!(reader.tx(&id(18, 0)).unwrap(), None);
    assert_eq!(read.get(), 16);
    // The next document goes on there.
    let mut reader = Reader::new(&places, &source);
    assert!(reader.tx(&id(17, 0)).unwrap().is_some());
}

#[test]
fn one_block_is_read_however_large() {
    let places = places(2);
    let source = |height: Height| Ok(Some(block(height, READ_BYTES + 1)));
    let mut reader = Reader::new(&places, &source);
    assert!(reader.tx(&id(1, 0)).unwrap().is_some());
    assert_eq!(reader.tx(&id(1, 1)).unwrap(), Some(vec![2]));
    assert_eq!(reader.tx(&id(2, 0)).unwrap(), None);
}

#[test]
fn a_transaction_that_is_not_stored_is_an_error() {
    let places = places(1);
    let gone = |_: Height| Ok(None);
    assert!(Reader::new(&places, &gone).tx(&id(1, 0)).is_err());
    assert!(Reader::new(&places, &gone).tx(&id(9, 0)).is_err());
}

#[test]
fn a_peer_is_served_one_document_at_a_time() {
    let busy = Busy::default();
    let (one, other) = (PeerId::random(), PeerId::random());
    let first = busy.enter(one).unwrap();
    assert!(busy.enter(one).is_none());
    let second = busy.enter(other).unwrap();
    drop(first);
    assert!(busy.enter(one).is_some());
    assert!(busy.enter(other).is_none());
    drop(second);
    assert!(busy.peers().is_empty());
}
