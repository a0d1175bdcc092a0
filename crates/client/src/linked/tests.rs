use super::*;
use caduceus_crypto::SecretKey;
use caduceus_crypto::index::{IndexEntries, PaeksEntry, PeksEntry, Tag};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_ledger::{Address, Certificate, ChainId, Header};
use rand_core::OsRng;

fn leaf(byte: u8) -> AnchorLeaf {
    AnchorLeaf {
        pseudonym: Pseudonym {
            point: SecretKey::generate(&mut OsRng).public(),
            ephemeral: SecretKey::generate(&mut OsRng).public(),
            view_tag: byte,
        },
        record_hash: Hash([byte; 32]),
        entries: IndexEntries::Tags((0..8).map(|n| Tag([byte ^ n; 16])).collect()),
    }
}

fn block(height: u64, leaves: usize) -> LinkedBlock {
    LinkedBlock {
        height: Height(height),
        time: TimeMillis(1_000 * height),
        leaves: (0..leaves).map(|n| leaf(n as u8)).collect(),
    }
}

/// Heights 2, 3 and 7, as blocks without anchors are not linked.
fn blocks() -> Vec<LinkedBlock> {
    vec![block(2, 1), block(3, 3), block(7, 2)]
}

fn head_of(blocks: &[LinkedBlock]) -> LinkedHead {
    LinkedHead {
        height: blocks.last().unwrap().height,
        records: blocks.iter().map(|block| block.leaves.len() as u64).sum(),
        digest: blocks
            .iter()
            .fold(Hash::ZERO, |digest, block| block.digest_after(&digest)),
    }
}

/// Some header: what a history says of its records does not depend on it.
fn head() -> CertifiedHeader {
    CertifiedHeader {
        header: Header {
            chain: ChainId(Hash::default()),
            height: Height(9),
            time: TimeMillis(9_000),
            proposer: Address::default(),
            parent: Hash::default(),
            txs_root: Hash::default(),
            results_root: Hash::default(),
            state_root: Hash::default(),
            validators: Hash::default(),
            next_validators: Hash::default(),
            extra: Vec::new(),
        },
        certificate: Certificate {
            height: Height(9),
            round: 0,
            block: Hash::default(),
            signatures: Vec::new(),
        },
    }
}

/// What a client has after these pages of one node.
fn follow(head: &LinkedHead, pages: &[Vec<LinkedBlock>]) -> Result<Vec<LinkedBlock>, Doubt> {
    let mut chain = Follower::new(head, SchemeId::Tags);
    for page in pages {
        if chain.is_done() {
            break;
        }
        chain.take(page.clone())?;
    }
    if chain.is_done() {
        Ok(chain.blocks)
    } else {
        Err(Doubt::Missing("more pages".to_owned()))
    }
}

fn is_unverified(outcome: &Result<Vec<LinkedBlock>, Doubt>) -> bool {
    matches!(outcome, Err(Doubt::Unverified(_)))
}

#[test]
fn a_history_is_the_same_in_whatever_pages_it_comes() {
    let blocks = blocks();
    let head = head_of(&blocks);
    for size in 1..=3 {
        let pages: Vec<Vec<LinkedBlock>> = blocks.chunks(size).map(<[_]>::to_vec).collect();
        assert_eq!(follow(&head, &pages).ok().unwrap(), blocks, "{size} a page");
    }
    // What was linked after the head is left.
    let mut more = blocks.clone();
    more.push(block(8, 1));
    assert_eq!(follow(&head, &[more]).ok().unwrap(), blocks);
}

#[test]
fn every_alteration_of_a_history_is_noticed() {
    let blocks = blocks();
    let head = head_of(&blocks);
    let alterations: [(&str, fn(&mut Vec<LinkedBlock>)); 11] = [
        ("a block left out", |blocks| {
            blocks.remove(1);
        }),
        ("the first block left out", |blocks| {
            blocks.remove(0);
        }),
        ("a record left out", |blocks| {
            blocks[1].leaves.remove(2);
        }),
        ("a record added", |blocks| blocks[1].leaves.push(leaf(9))),
        ("a record moved to another block", |blocks| {
            let moved = blocks[1].leaves.remove(2);
            blocks[2].leaves.push(moved);
        }),
        ("records swapped", |blocks| blocks[1].leaves.swap(0, 1)),
        ("another hash", |blocks| {
            blocks[2].leaves[0].record_hash = Hash([9; 32]);
        }),
        ("another tag", |blocks| {
            blocks[2].leaves[0].entries = IndexEntries::Tags(vec![Tag([9; 16]); 8]);
        }),
        ("another time", |blocks| blocks[0].time = TimeMillis(1)),
        ("another height", |blocks| blocks[1].height = Height(4)),
        ("blocks out of order", |blocks| blocks.swap(0, 1)),
    ];
    for (what, alter) in alterations {
        let mut altered = blocks.clone();
        alter(&mut altered);
        assert!(is_unverified(&follow(&head, &[altered])), "{what}");
    }
    println!("{} alterations", alterations.len());
}

#[test]
fn a_node_that_is_behind_is_told_from_one_that_lies() {
    let blocks = blocks();
    let head = head_of(&blocks);
    let pages = [blocks[..2].to_vec(), Vec::new()];
    assert!(matches!(follow(&head, &pages), Err(Doubt::Missing(_))));
    assert!(matches!(
        follow(&head, &[Vec::new()]),
        Err(Doubt::Missing(_))
    ));
    // A node that skips what it should have is not behind.
    assert!(is_unverified(&follow(&head, &[vec![block(8, 1)]])));
    assert!(is_unverified(&follow(&head, &[vec![block(2, 0)]])));
}

/// A node that makes up a history which nobody can refute before its end must not fill the client's memory.
#[test]
fn what_no_chain_admits_is_not_kept() {
    let with = |entries: IndexEntries| {
        let mut made_up = block(2, 1);
        made_up.leaves[0].entries = entries;
        vec![made_up]
    };
    // The head would be reached, and its digest is that of what is sent.
    let tags = |count: usize| IndexEntries::Tags(vec![Tag([9; 16]); count]);
    let refused = [
        ("none", tags(0)),
        ("one too many", tags(MAX_TAGS + 1)),
        ("a thousand times too many", tags(1_000 * MAX_TAGS)),
        ("another scheme, none", IndexEntries::Peks(Vec::new())),
        (
            "another scheme",
            IndexEntries::Peks(vec![PeksEntry([7; 80]); 8]),
        ),
        (
            "a third scheme",
            IndexEntries::Paeks(vec![PaeksEntry([7; 96]); 8]),
        ),
    ];
    for (what, entries) in &refused {
        let page = with(entries.clone());
        assert!(is_unverified(&follow(&head_of(&page), &[page])), "{what}");
    }
    println!("{} kinds of entries", refused.len());
    for count in [1, MAX_TAGS] {
        let page = with(tags(count));
        assert!(follow(&head_of(&page), &[page]).is_ok(), "{count}");
    }
}

#[test]
fn a_page_is_kept_up_to_a_size() {
    let mut large = block(2, 1);
    large.leaves[0].entries = IndexEntries::Tags(vec![Tag([9; 16]); MAX_TAGS]);
    let leaf_bytes = kept_bytes_of(&large.leaves[0]);
    let fit = MAX_PAGE_BYTES / leaf_bytes;
    for (leaves, kept) in [(fit, true), (fit + 1, false)] {
        large.leaves = vec![large.leaves[0].clone(); leaves];
        let page = vec![large.clone()];
        assert_eq!(follow(&head_of(&page), &[page]).is_ok(), kept, "{leaves}");
    }
    assert!(fit > 1_000);
}

#[test]
fn a_record_is_proved_under_its_blocks_root() {
    let blocks = blocks();
    let history = LinkedHistory {
        hospital: HospitalId([1; 32]),
        head: head(),
        linked: Some(head_of(&blocks)),
        blocks,
    };
    assert_eq!((history.height(), history.records()), (Height(7), 6));
    let mut proved = 0;
    for linked in history.leaves() {
        let (root, proof) = history.prove(&linked.at).unwrap();
        assert!(proof.verify(&root, &linked.leaf.to_bytes()).is_ok());
        assert!(proof.verify(&root, &leaf(1).to_bytes()).is_err());
        assert_eq!(proof.index, u64::from(linked.at.position));
        proved += 1;
    }
    assert_eq!(proved, 6);
    for (height, position) in [(1, 0), (2, 1), (3, 3), (8, 0)] {
        assert_eq!(history.prove(&RecordRef { height, position }), None);
    }
}
