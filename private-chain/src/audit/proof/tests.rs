//! A whole proof, word for word, and every byte of it changed: as it stands, and with the digest made anew.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::audit::{ActionClass, AuditEntry, BatchKey, Bucket, DraftBatch, Statement, month_of};
use crate::testing::{self, BUCKET_KEY, NOW, later};
use base64ct::{Base64, Encoding};
use caduceus_crypto::time::TimeMillis;
use caduceus_crypto::{SecretKey, codec, domain, merkle};
use caduceus_ledger::checkpoint::tree_key;
use caduceus_ledger::tree::{self, LeafNode, Node, NodeKey, OwnedValue, TreeKey, Version};
use caduceus_ledger::{
    Address, Certificate, CertifiedHeader, ChainId, ChainKind, HeaderTree, Height, TreeReader,
    Validator, ValidatorSet, Vote, VoteKind,
};

struct NoTree;

impl TreeReader for NoTree {
    fn get_node_option(&self, _: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(None)
    }

    fn get_value_option(&self, _: Version, _: TreeKey) -> anyhow::Result<Option<OwnedValue>> {
        Ok(None)
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

/// The nodes of one version.
struct Written(caduceus_ledger::TreeUpdateBatch);

impl TreeReader for Written {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.0.node_batch.nodes().get(key).cloned())
    }

    fn get_value_option(&self, _: Version, key: TreeKey) -> anyhow::Result<Option<OwnedValue>> {
        let values = self.0.node_batch.values();
        Ok(values
            .iter()
            .find(|((_, k), _)| *k == key)
            .and_then(|(_, v)| v.clone()))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

fn voters(seeds: &[u8]) -> ValidatorSet {
    let of = |seed: &u8| Validator {
        key: testing::secret(*seed).public(),
        power: 1,
    };
    ValidatorSet::new(seeds.iter().map(of).collect()).unwrap()
}

fn genesis() -> Genesis {
    genesis_of(&[201, 202, 203, 204])
}

fn genesis_of(seeds: &[u8]) -> Genesis {
    Genesis {
        kind: ChainKind::Alliance,
        name: "alliance".into(),
        time: TimeMillis(NOW.0 - 1_000),
        validators: voters(seeds),
        app: b"members".to_vec(),
    }
}

fn header(chain: ChainId, height: u64) -> Header {
    Header {
        chain,
        height: Height(height),
        time: later(height),
        proposer: Address::default(),
        parent: Hash([height as u8; 32]),
        txs_root: Hash([0x71; 32]),
        results_root: Hash([0x72; 32]),
        state_root: Hash([0x73; 32]),
        validators: Hash([0x74; 32]),
        next_validators: Hash([0x74; 32]),
        extra: vec![0; 36],
    }
}

/// A block of the alliance whose voters are these, signed by all of them.
fn light(genesis: &Genesis, height: u64, state_root: Hash, now: &[u8], next: &[u8]) -> LightBlock {
    let (validators, next_validators) = (voters(now), voters(next));
    let header = Header {
        state_root,
        validators: validators.hash(),
        next_validators: next_validators.hash(),
        extra: Vec::new(),
        ..header(genesis.chain_id(), height)
    };
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    };
    let sign = |seed: &u8| {
        let key: SecretKey = testing::secret(*seed);
        let signature = key.sign(domain::VOTE, &vote.sign_bytes());
        (Address::of(&key.public()), signature)
    };
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures: now.iter().map(sign).collect(),
    };
    LightBlock {
        head: CertifiedHeader {
            header,
            certificate,
        },
        validators,
        next_validators,
    }
}

fn entry(n: u64) -> AuditEntry {
    let mut entry = testing::entry(later(n));
    entry.reason = "a \\ and\na line".into();
    entry.grant = Some(Hash([8; 32]));
    let statement = Statement::of(&entry).unwrap();
    entry.statement =
        Some(statement.sign(&mut testing::rng(n), &testing::chain(), &testing::author()));
    entry
}

/// Entries 1 and 4 of a batch of five, whose transaction is the second of three in block 6 of eleven.
fn proof() -> ProofFile {
    proof_of(genesis(), |genesis, root| {
        let (first, second) = ([201, 202, 203, 204], [203, 204, 205, 206]);
        vec![
            light(genesis, 5, Hash([1; 32]), &first, &second),
            light(genesis, 9, root, &second, &second),
        ]
    })
}

fn proof_of(genesis: Genesis, blocks: fn(&Genesis, Hash) -> Vec<LightBlock>) -> ProofFile {
    let mut draft = DraftBatch::new(&mut testing::rng(1));
    for n in 0..5 {
        draft
            .push(&BUCKET_KEY, ActionClass::ClinicalRead, NOW, &entry(n))
            .unwrap();
    }
    let batch = draft.sign(&testing::chain(), &testing::server());
    let receipt = AuditReceipt {
        first: 40,
        count: 5,
        root: batch.root(),
    };
    let results = [vec![], codec::encode(&receipt), vec![1, 0, 0, 0]];
    let headers: Vec<Header> = (1..=11)
        .map(|height| {
            let mut header = header(testing::chain(), height);
            if height == 6 {
                header.results_root = merkle::root(&results);
            }
            header
        })
        .collect();
    let mut record = HeaderTree::default();
    headers
        .iter()
        .for_each(|header| record.push(&header.hash()));
    let leaves: Vec<Vec<u8>> = headers
        .iter()
        .map(|h| h.hash().as_bytes().to_vec())
        .collect();
    let key = BatchKey::derive(
        &BUCKET_KEY,
        Bucket {
            class: ActionClass::ClinicalRead,
            month: month_of(NOW),
        },
        &batch.id,
    );
    let of = |index: u32| EntryProof {
        key: *key.entry_key(index),
        batch: batch.id,
        index,
        sealed: batch.entries[index as usize].clone(),
        in_batch: batch.prove(index).unwrap().path,
        receipt,
        in_results: merkle::prove(&results, 1).path,
        sides: sides(&merkle::prove(&results, 1)),
        header: headers[5].clone(),
        in_headers: merkle::prove(&leaves, 5).path,
    };
    let hospital = testing::hospital();
    let state_key = tree_key(&hospital);
    let changes = [
        (&state_key[..], Some(codec::encode(&record))),
        (b"params", Some(b"p".to_vec())),
        (b"generation", Some(b"g".to_vec())),
    ];
    let (root, written) = tree::update(&NoTree, 9, changes.into_iter()).unwrap();
    let in_state = tree::prove(&Written(written), 9, &state_key).unwrap();
    let blocks = blocks(&genesis, root);
    ProofFile {
        hospital,
        entries: vec![of(1), of(4)],
        alliance: AllianceProof {
            genesis,
            blocks,
            record: codec::encode(&record),
            in_state: in_state.proof,
        },
    }
}

fn verify(text: &str) -> Result<Verified, ProofError> {
    ProofFile::verify(text, &genesis().chain_id(), later(1_000))
}

#[test]
fn the_text_word_for_word() {
    let text = proof().to_text();
    insta::assert_snapshot!(text);
    assert_eq!(ProofFile::parse(&text).unwrap(), proof());
}

#[test]
fn a_proof_says_what_it_proves() {
    let proved = verify(&proof().to_text()).unwrap();
    assert_eq!(
        (proved.alliance_height, proved.recorded, proved.blocks),
        (9, 11, 2)
    );
    let told: Vec<(u64, u64, &AuditEntry)> = proved
        .entries
        .iter()
        .map(|e| (e.sequence, e.height, &e.entry))
        .collect();
    assert_eq!(told, [(41, 6, &entry(1)), (44, 6, &entry(4))]);
}

/// One voter, one block, one entry: what is tried thousands of times.
fn small() -> ProofFile {
    let mut small = proof_of(genesis_of(&[201]), |genesis, root| {
        vec![light(genesis, 9, root, &[201], &[201])]
    });
    small.entries.truncate(1);
    small
}

fn verify_small(text: &str) -> Result<Verified, ProofError> {
    ProofFile::verify(text, &genesis_of(&[201]).chain_id(), later(1_000))
}

#[test]
fn every_byte_of_the_text_counts() {
    let text = small().to_text();
    verify_small(&text).unwrap();
    let altered = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = text.clone().into_bytes();
        change(&mut bytes);
        // What is no text at all is no proof either.
        String::from_utf8(bytes).map_or(true, |text| verify_small(&text).is_err())
    };
    for at in 0..text.len() {
        assert!(altered(&|bytes| bytes[at] ^= 1), "byte {at}");
        assert!(
            altered(&|bytes| {
                let _ = bytes.remove(at);
            }),
            "without byte {at}"
        );
    }
    assert!(altered(&|bytes| bytes.push(b'\n')));
    assert!(altered(&|bytes| bytes.insert(0, b' ')));
}

/// The text with its digest made anew, as a forger would.
fn with_digest(text: &str) -> String {
    let at = text.rfind('\u{2014}').unwrap();
    let digest = caduceus_crypto::hash::hash(domain::AUDIT_PROOF, &[&text.as_bytes()[..at]]);
    format!(
        "{}\u{2014} sha3-256 {}\n",
        &text[..at],
        Base64::encode_string(&digest.0)
    )
}

#[test]
fn every_byte_counts_also_for_a_forger_of_the_digest() {
    let text = small().to_text();
    verify_small(&text).unwrap();
    assert_eq!(with_digest(&text), text);
    let mut tried = 0;
    for (number, line) in text.lines().enumerate() {
        let start: usize = text.split_inclusive('\n').take(number).map(str::len).sum();
        if line.starts_with('\u{2014}') {
            continue;
        }
        for (from, part) in parts(line) {
            let Some((name, bytes)) = decoded(line, part) else {
                // In clear: a letter at a time.
                for at in from..from + part.len() {
                    let mut changed = text.clone().into_bytes();
                    changed[start + at] ^= 1;
                    if let Ok(changed) = String::from_utf8(changed) {
                        tried += 1;
                        let forged = with_digest(&changed);
                        assert!(verify_small(&forged).is_err(), "{line}, byte {at}");
                    }
                }
                continue;
            };
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1;
                let mut changed = text.clone();
                let range = start + from..start + from + part.len();
                changed.replace_range(range, &Base64::encode_string(&bytes));
                tried += 1;
                let forged = verify_small(&with_digest(&changed));
                assert!(forged.is_err(), "{name}, byte {at}");
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
}

/// The words of a line and where they begin, the name too.
fn parts(line: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    line.split(' ')
        .map(|part| {
            let from = at;
            at += part.len() + 1;
            (from, part)
        })
        .filter(|(_, part)| !part.is_empty())
        .collect()
}

fn decoded<'a>(line: &'a str, part: &str) -> Option<(&'a str, Vec<u8>)> {
    const BINARY: [&str; 11] = [
        "key",
        "sealed",
        "in-batch",
        "receipt",
        "in-results",
        "header",
        "in-headers",
        "genesis",
        "light",
        "record",
        "in-state",
    ];
    let name = line.split(' ').next()?;
    // The record of a header's hash in clear is no base64 of ours.
    let is_binary = BINARY.contains(&name) && part != name;
    let is_clear_record = name == "record" && part.len() == 64;
    (is_binary && !is_clear_record).then(|| Some((name, Base64::decode_vec(part).ok()?)))?
}

#[test]
fn each_step_is_named_where_it_fails() {
    let step = |change: fn(&mut ProofFile)| {
        let mut changed = proof();
        change(&mut changed);
        verify(&changed.to_text()).unwrap_err().step
    };
    assert_eq!(step(|p| p.alliance.genesis.name.push('x')), Step::Genesis);
    assert_eq!(step(|p| p.alliance.blocks.clear()), Step::Voters);
    assert_eq!(step(|p| p.alliance.blocks.swap(0, 1)), Step::Voters);
    // Without the block in which the voters changed, half of the known voters signed: enough to go on.
    assert_eq!(step(|p| p.alliance.blocks.truncate(1)), Step::Record);
    assert_eq!(step(|p| p.hospital.0[0] ^= 1), Step::Record);
    assert_eq!(step(|p| p.alliance.record[0] ^= 1), Step::Record);
    assert_eq!(step(|p| p.entries[0].header.time = NOW), Step::Header);
    assert_eq!(
        step(|p| p.entries[1].header.height = Height(7)),
        Step::Header
    );
    assert_eq!(step(|p| p.entries[0].receipt.first += 1), Step::Receipt);
    assert_eq!(step(|p| p.entries[0].sides = 0), Step::Receipt);
    assert_eq!(step(|p| p.entries[0].index = 0), Step::Batch);
    assert_eq!(step(|p| p.entries[0].sealed.month += 1), Step::Batch);
    assert_eq!(step(|p| p.entries[0].key[0] ^= 1), Step::Entry);
    assert_eq!(step(|p| p.entries[0].batch[0] ^= 1), Step::Entry);
    let text = proof()
        .to_text()
        .replace("outcome success", "outcome denied");
    assert_eq!(verify(&text).unwrap_err().step, Step::Digest);
    assert_eq!(verify(&with_digest(&text)).unwrap_err().step, Step::Text);
    assert_eq!(verify("").unwrap_err().step, Step::Digest);
    let other = ChainId(Hash([1; 32]));
    let refused = ProofFile::verify(&proof().to_text(), &other, later(1_000));
    assert_eq!(refused.unwrap_err().step, Step::Genesis);
    // Of the time to come.
    let early = ProofFile::verify(&proof().to_text(), &genesis().chain_id(), TimeMillis(0));
    assert_eq!(early.unwrap_err().step, Step::Voters);
}

#[test]
fn voters_that_nobody_knows_need_a_block_in_between() {
    let mut strange = proof();
    let root = strange.alliance.blocks[1].head.header.state_root;
    strange.alliance.blocks = vec![light(
        &genesis(),
        9,
        root,
        &[205, 206, 207, 208],
        &[205, 206, 207, 208],
    )];
    let error = verify(&strange.to_text()).unwrap_err();
    assert_eq!(error.step, Step::Voters);
    assert!(error.what.contains("would be needed"), "{error}");
}

#[test]
fn the_sides_of_a_path_are_all_that_counts() {
    for size in 1..=70usize {
        let leaves: Vec<Vec<u8>> = (0..size).map(|n| vec![n as u8]).collect();
        let root = merkle::root(&leaves);
        for (index, leaf) in leaves.iter().enumerate() {
            let whole = merkle::prove(&leaves, index);
            let right = sides(&whole);
            let told = inclusion(right, &whole.path).unwrap();
            told.verify(&root, leaf).unwrap();
            for wrong in (0..1 << whole.path.len()).filter(|wrong| *wrong != right) {
                let told = inclusion(wrong, &whole.path).unwrap();
                assert!(
                    told.verify(&root, leaf).is_err(),
                    "{index} of {size}: {wrong}"
                );
            }
            assert!(inclusion(1 << whole.path.len(), &whole.path).is_none());
        }
    }
    assert!(inclusion(0, &[Hash::ZERO; 41]).is_none());
}
