use super::*;
use proptest::prelude::*;

/// The leaves of transparency-dev/merkle's reference vectors.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// Roots of the first n of them, by an independent implementation of RFC 6962, 2.1 with SHA3-256.
const ROOTS: [&str; 9] = [
    "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
    "5d53469f20fef4f8eab52b88044ede69c77a6a68a60728609fc4a65ff531e7d0",
    "00aa2729e7518d75a0bddbc27a81792cba8eef7d1f4776db825ac648d53ff899",
    "1fb033ea975c1b122f83bab69ac3d599e22022483e6d59d8483664f4468a12e7",
    "989723635d78295ffead0c3d2cdc1124d7005a02f1fcb5e0738d27dd121dda7b",
    "b68ad310ac9dac7dbb4eed8f461feef36a300d5b8c069b9a147d7fb42e119371",
    "b41b1d6937a1dc9a427a59f86a243017ca22ca52e617319a22d333d668086457",
    "16e8656d265de9fb0275341f3813e0851caecd33653df1597f0cd39ce40a4564",
    "da799b626ea73f9f5e404ef56ddac189d7f8a4c00b5c317b6ed69463a441ae3f",
];

fn leaves(count: usize) -> Vec<Vec<u8>> {
    LEAVES[..count]
        .iter()
        .map(|leaf| hex::decode(leaf).unwrap())
        .collect()
}

fn hex_path(proof: &InclusionProof) -> Vec<String> {
    proof.path.iter().map(Hash::to_string).collect()
}

#[test]
fn roots_are_the_standards() {
    for (count, expected) in ROOTS.iter().enumerate() {
        assert_eq!(
            root(&leaves(count)).to_string(),
            *expected,
            "{count} leaves"
        );
    }
    assert_eq!(root(&[]), EMPTY);
}

#[test]
fn paths_are_the_standards() {
    assert_eq!(
        hex_path(&prove(&leaves(5), 4)),
        ["989723635d78295ffead0c3d2cdc1124d7005a02f1fcb5e0738d27dd121dda7b"]
    );
    assert_eq!(
        hex_path(&prove(&leaves(7), 2)),
        [
            "538e1e40a258a949069e44c1bb033207a75ce839789dbe2edbac8becdd4eafd5",
            "00aa2729e7518d75a0bddbc27a81792cba8eef7d1f4776db825ac648d53ff899",
            "6d7eabf0e59e4886a81f0ef8efb129ef78c1cb5148116b2fc517e65100acfce3",
        ]
    );
    assert!(prove(&leaves(1), 0).path.is_empty());
}

#[test]
fn hostile_sizes_are_refused_without_panic() {
    let proof = |index, size, hashes| InclusionProof {
        index,
        size,
        path: vec![Hash::ZERO; hashes],
    };
    let verify = |proof: InclusionProof| proof.verify(&EMPTY, b"");
    assert_eq!(
        verify(proof(0, 0, 0)),
        Err(BadProof::OutOfRange { index: 0, size: 0 })
    );
    assert_eq!(
        verify(proof(7, 7, 3)),
        Err(BadProof::OutOfRange { index: 7, size: 7 })
    );
    assert_eq!(
        verify(proof(u64::MAX - 1, u64::MAX, 64)),
        Err(BadProof::TooLarge { size: u64::MAX })
    );
    assert_eq!(
        verify(proof(0, MAX_LEAVES + 1, 41)),
        Err(BadProof::TooLarge {
            size: MAX_LEAVES + 1
        })
    );
    assert_eq!(
        verify(proof(MAX_LEAVES - 1, MAX_LEAVES, 40)),
        Err(BadProof::WrongRoot)
    );
    assert_eq!(
        verify(proof(0, 8, 2)),
        Err(BadProof::PathLength { found: 2 })
    );
    assert_eq!(
        verify(proof(0, 8, 4)),
        Err(BadProof::PathLength { found: 4 })
    );
    assert_eq!(verify(proof(0, 1, 0)), Err(BadProof::WrongRoot));
}

#[test]
#[should_panic(expected = "the index is that of a leaf")]
fn proving_outside_the_tree_panics() {
    let _ = prove(&leaves(3), 3);
}

fn some_leaves() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_streamed_root_is_ct_merkles(leaves in some_leaves()) {
        let mut tree = MemoryBackedTree::<Sha3_256, Vec<u8>>::new();
        let mut builder = RootBuilder::new();
        for leaf in &leaves {
            tree.push(leaf.clone());
            builder.push(leaf);
            let theirs = tree.root();
            prop_assert_eq!(&builder.root().0[..], theirs.as_bytes().as_slice());
        }
        prop_assert_eq!(builder.size(), leaves.len() as u64);
        prop_assert_eq!(builder.root(), root(&leaves));
    }

    #[test]
    fn every_leaf_verifies_and_any_flip_fails(leaves in some_leaves(), byte in 0usize..32, bit in 0u8..8) {
        let root = root(&leaves);
        for (index, leaf) in leaves.iter().enumerate() {
            let proof = prove(&leaves, index);
            prop_assert_eq!(proof.verify(&root, leaf), Ok(()));

            let mut longer_leaf = leaf.clone();
            longer_leaf.push(0);
            prop_assert!(proof.verify(&root, &longer_leaf).is_err());
            if let Some(last) = leaf.len().checked_sub(1) {
                let mut other_leaf = leaf.clone();
                other_leaf[last] ^= 1 << bit;
                prop_assert!(proof.verify(&root, &other_leaf).is_err());
            }

            let mut other_root = root;
            other_root.0[byte] ^= 1 << bit;
            prop_assert!(proof.verify(&other_root, leaf).is_err());

            for at in 0..proof.path.len() {
                let mut other_path = proof.clone();
                other_path.path[at].0[byte] ^= 1 << bit;
                prop_assert!(other_path.verify(&root, leaf).is_err());
            }

            let mut shorter = proof.clone();
            if shorter.path.pop().is_some() {
                prop_assert!(shorter.verify(&root, leaf).is_err());
            }
            let mut longer = proof.clone();
            longer.path.push(Hash::ZERO);
            prop_assert!(longer.verify(&root, leaf).is_err());
        }
    }

    #[test]
    fn a_proof_holds_at_its_own_index_only(count in 2usize..24, index in 0usize..24, other in 0usize..24) {
        prop_assume!(index < count && other < count && index != other);
        // Distinct leaves, so that no two positions are alike.
        let leaves: Vec<Vec<u8>> = (0..count).map(|i| vec![u8::try_from(i).unwrap()]).collect();
        let mut proof = prove(&leaves, index);
        proof.index = other as u64;
        prop_assert!(proof.verify(&root(&leaves), &leaves[index]).is_err());
    }

    #[test]
    fn any_proof_is_checked_without_panic(
        index in any::<u64>(),
        size in any::<u64>(),
        hashes in 0usize..70,
        leaf in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let proof = InclusionProof { index, size, path: vec![Hash([1; 32]); hashes] };
        prop_assert!(proof.verify(&EMPTY, &leaf).is_err());
    }
}
