#![allow(clippy::unwrap_used)]

use super::*;

fn outgoing(id: u8, tx: &[u8], open: &[u32]) -> Outgoing {
    Outgoing {
        id: Hash([id; 32]),
        tx: tx.to_vec(),
        open: open.to_vec(),
        counts: Vec::new(),
        closed: Vec::new(),
    }
}

#[test]
fn an_open_action_survives_until_it_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit.redb");
    let chain = ChainId(Hash([1; 32]));
    let closed = |id: u8, index: u32| ActionRef {
        tx: Hash([id; 32]),
        index,
    };
    let slot = Slot {
        start: 7_200_000,
        length: 3_600_000,
    };
    {
        let index = AuditIndex::open(&path, chain).unwrap();
        index.send_out(&outgoing(2, b"one", &[0, 2])).unwrap();
        index.send_out(&outgoing(3, b"two", &[1])).unwrap();
        index.delivered(&Hash([2; 32])).unwrap();
        index.delivered(&Hash([3; 32])).unwrap();
        // Closing is durable with the next batch.
        let next = Outgoing {
            closed: vec![closed(2, 0), closed(3, 1)],
            counts: vec![(slot, "read/look".to_owned(), 2)],
            ..outgoing(4, b"three", &[])
        };
        index.send_out(&next).unwrap();
    }
    let index = AuditIndex::open(&path, chain).unwrap();
    let left = Left {
        id: Hash([2; 32]),
        tx: b"one".to_vec(),
        open: vec![2],
    };
    assert_eq!(index.left_open().unwrap(), [left]);
    assert_eq!(
        index.outbox().unwrap(),
        [(Hash([4; 32]), b"three".to_vec())]
    );
    let counted = vec![(slot, "read/look".to_owned(), 2)];
    assert_eq!(index.remembered().unwrap(), counted);
    index.settle(&[closed(2, 2), closed(9, 9)]).unwrap();
    assert!(index.left_open().unwrap().is_empty());
    // Counts add up, and go when their slot is long over.
    let later = Slot {
        start: 20 * 3_600_000,
        ..slot
    };
    for slot in [slot, later] {
        let next = Outgoing {
            counts: vec![(slot, "read/look".to_owned(), 5)],
            ..outgoing(5, b"four", &[])
        };
        index.send_out(&next).unwrap();
    }
    assert_eq!(
        index.remembered().unwrap(),
        [(later, "read/look".to_owned(), 5)]
    );
}

#[test]
fn what_is_on_its_way_survives_and_leaves_when_delivered() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit.redb");
    let chain = ChainId(Hash([1; 32]));
    {
        let index = AuditIndex::open(&path, chain).unwrap();
        index.send_out(&outgoing(2, b"one", &[])).unwrap();
        index.send_out(&outgoing(3, b"two", &[])).unwrap();
        index.delivered(&Hash([2; 32])).unwrap();
    }
    let index = AuditIndex::open(&path, chain).unwrap();
    let left = index.outbox().unwrap();
    assert!(left.contains(&(Hash([3; 32]), b"two".to_vec())));
    // Delivered twice, after a crash, is the same as once.
    index.delivered(&Hash([2; 32])).unwrap();
    index.delivered(&Hash([2; 32])).unwrap();
    index.take_back(&Hash([3; 32])).unwrap();
    assert!(index.outbox().unwrap().is_empty());
    drop(index);
    assert!(AuditIndex::open(&path, ChainId(Hash([9; 32]))).is_err());
}
