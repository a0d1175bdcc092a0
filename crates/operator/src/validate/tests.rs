#![allow(clippy::unwrap_used)]

use super::*;
use caduceus_cli::ExitCode;
use caduceus_crypto::{SecretKey, TimeMillis, domain, encode};
use caduceus_ledger::{
    Address, Block, BlockContext, Certificate, ChainKind, DecodedTx, Height, Overlay, Rejection,
    StateError, TxFailure, Validator, ValidatorSet, Vote, VoteKind, build, genesis_state, tx_id,
};
use private_chain::{Enrol, PrivateGenesis, PrivateMachine, Role, Tx};
use serde_json::json;
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
const BLOCKS: u64 = 3;
const TODO: &str = "try: restore or resync this node: put back a backup of chain.redb, or move it away and start \
                    the node, which catches up from the others";

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

pub(crate) fn genesis() -> Genesis {
    let (identity, server) = (key(1).public(), key(2).public());
    let own = PrivateGenesis::new("St Mary".into(), identity, server).unwrap();
    Genesis {
        kind: ChainKind::Private,
        name: "st-mary".into(),
        time: NOW,
        validators: ValidatorSet::new(vec![Validator {
            key: key(3).public(),
            power: 1,
        }])
        .unwrap(),
        app: own.encode(),
    }
}

/// The hospital enrols somebody: another person for each number.
pub(crate) fn tx(n: u64) -> Vec<u8> {
    let chain = genesis().chain_id();
    let enrol = Enrol {
        staff: key(100 + n as u8).public(),
        role: Role::Nurse,
        label: format!("N-{n}"),
        not_before: NOW,
        not_after: TimeMillis(NOW.0 + 1_000_000),
    };
    Tx::Enrol(enrol.sign(&chain, &key(1))).encode()
}

/// The only voter's, or that of a stranger who claims to be it.
fn certificate(block: &Block, signer: &SecretKey) -> Certificate {
    let header = &block.header;
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    };
    let signature = signer.sign(domain::VOTE, &vote.sign_bytes());
    Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures: vec![(Address::of(&key(3).public()), signature)],
    }
}

/// A stored chain of three blocks, one transaction each. The second is stored after this change to it.
pub(crate) fn store(change: impl Fn(&mut Block, &mut Certificate)) -> Store {
    let (genesis, machine) = (genesis(), PrivateMachine);
    let store = Store::scratch().unwrap();
    let empty = store.snapshot().unwrap();
    let first = genesis_state(&machine, &genesis, &empty, &empty).unwrap();
    store.init(&encode(&genesis), &first).unwrap();
    let mut parent = first.header;
    for height in 1..=BLOCKS {
        let view = store.snapshot().unwrap();
        let (mut block, executed, refused) = build(
            &machine,
            &view,
            &view,
            &parent,
            TimeMillis(parent.time.0 + 1_000),
            Address::of(&key(3).public()),
            [DecodedTx::new(&machine, Arc::new(tx(height))).unwrap()],
            genesis.kind.max_block_bytes(),
        )
        .unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        let mut certificate = certificate(&block, &key(3));
        parent = block.header.clone();
        if height == 2 {
            change(&mut block, &mut certificate);
        }
        store.commit(&block, &certificate, &executed).unwrap();
    }
    store
}

fn look<M: StateMachine>(store: Store, machine: &M, depth: Depth) -> Validation {
    examine(|| Ok(store), &genesis(), machine, depth, &|_, _| ()).unwrap()
}

fn lines(found: &Validation) -> String {
    let error = found.verdict().unwrap_err();
    assert_eq!(error.exit, ExitCode::VerificationFailed);
    error.to_string()
}

#[test]
fn a_whole_chain_holds() {
    for depth in [Depth::Hashes, Depth::Execution] {
        let heard = Cell::new(0);
        let progress = |height: u64, tip: u64| {
            assert_eq!(tip, BLOCKS);
            heard.set(height);
        };
        let whole = store(|_, _| ());
        let found = examine(|| Ok(whole), &genesis(), &PrivateMachine, depth, &progress).unwrap();
        assert_eq!(heard.get(), BLOCKS);
        assert_eq!(found.verdict(), Ok(()));
        assert_eq!(
            serde_json::to_string(&found).unwrap(),
            json!({
                "tip": 3,
                "from": 0,
                "blocks": 3,
                "transactions": 3,
                "seals": 0,
                "holds": true,
                "height": null,
                "what": null,
                "transaction_index": null,
                "transaction_id": null,
            })
            .to_string()
        );
    }
}

#[test]
fn an_edited_transaction_is_named_in_two_lines() {
    for depth in [Depth::Hashes, Depth::Execution] {
        let edited = store(|block, _| block.txs[0] = tx(9));
        let found = look(edited, &PrivateMachine, depth);
        let id = tx_id(&tx(9)).to_string();
        assert_eq!(
            serde_json::to_string(&found).unwrap(),
            json!({
                "tip": 3,
                "from": 0,
                "blocks": 1,
                "transactions": 1,
                "seals": 0,
                "holds": false,
                "height": 2,
                "what": "the transactions are not those of the header's root",
                "transaction_index": 0,
                "transaction_id": id,
            })
            .to_string()
        );
        assert_eq!(
            lines(&found),
            format!(
                "error: height 2: the transactions are not those of the header's root \
                 (transaction 0, {id})\n{TODO}"
            )
        );
    }
}

#[test]
fn a_forged_certificate_is_named_in_two_lines() {
    let forged = store(|block, stored| *stored = certificate(block, &key(9)));
    let found = look(forged, &PrivateMachine, Depth::Hashes);
    let voter = Address::of(&key(3).public());
    assert_eq!(
        lines(&found),
        format!(
            "error: height 2: the certificate does not hold: the signature of {voter} is wrong\n{TODO}"
        )
    );
    assert_eq!(
        (found.transaction_index, found.transaction_id),
        (None, None)
    );
}

#[test]
fn the_chain_of_another_genesis_does_not_hold() {
    let mut other = genesis();
    other.name = "another".into();
    let whole = store(|_, _| ());
    let found = examine(
        || Ok(whole),
        &other,
        &PrivateMachine,
        Depth::Hashes,
        &|_, _| (),
    )
    .unwrap();
    assert_eq!((found.height, found.blocks), (Some(0), 0));
}

/// Rules that panic at a height, as a database does over damaged bytes.
struct Brittle {
    breaks_at: u64,
}

impl StateMachine for Brittle {
    fn genesis(&self, genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError> {
        assert_ne!(self.breaks_at, 0, "broken at the genesis");
        PrivateMachine.genesis(genesis, state)
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        PrivateMachine.decode(tx)
    }

    fn execute(
        &self,
        ctx: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        assert_ne!(Height(self.breaks_at), ctx.height, "broken here");
        PrivateMachine.execute(ctx, tx, state)
    }

    fn finish(
        &self,
        ctx: &BlockContext,
        txs: &[Vec<u8>],
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        PrivateMachine.finish(ctx, txs, state)
    }
}

#[test]
fn a_panic_over_damaged_bytes_is_a_fault() {
    for (breaks_at, tip, blocks) in [(0, None, 0), (1, Some(3), 0), (3, Some(3), 2)] {
        let whole = store(|_, _| ());
        let found = look(whole, &Brittle { breaks_at }, Depth::Execution);
        assert_eq!(
            found,
            Validation::broken_off(
                tip.map(|tip| At {
                    first: 1,
                    height: breaks_at,
                    tip
                }),
                PANICKED.into()
            )
        );
        assert_eq!((found.tip, found.blocks, found.holds), (tip, blocks, false));
        assert_eq!(
            lines(&found),
            format!("error: height {breaks_at}: the database engine panicked\n{TODO}")
        );
    }
}

/// What opening files gives.
fn opening(open: impl FnOnce() -> Result<Store, StoreError>) -> Result<Validation, CliError> {
    examine(open, &genesis(), &PrivateMachine, Depth::Hashes, &|_, _| ())
}

#[test]
fn damaged_files_are_a_fault_and_missing_ones_are_not() {
    let panicked = opening(|| panic!("opening")).unwrap();
    assert_eq!(panicked, Validation::broken_off(None, PANICKED.into()));

    let path = PathBuf::from("/home/chain.redb");
    let reason = "its checksums do not hold".to_owned();
    let corrupt = StoreError::Corrupt {
        path: path.clone(),
        reason,
    };
    let found = opening(|| Err(corrupt)).unwrap();
    assert_eq!(
        lines(&found),
        format!("error: height 0: /home/chain.redb is damaged: its checksums do not hold\n{TODO}")
    );

    let missing = StoreError::File {
        path,
        source: std::io::ErrorKind::NotFound.into(),
    };
    let error = opening(|| Err(missing)).unwrap_err();
    assert_eq!(error.exit, ExitCode::Failure);
    assert_eq!(
        error.to_string(),
        "error: the store cannot be read: /home/chain.redb: entity not found\n\
         try: stop the node first, then validate"
    );
}
