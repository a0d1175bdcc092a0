//! Makes a long chain on disk: the ledger's own blocks and certificates, one durable commit a block.

use super::notes::{Notes, note};
use anyhow::{Context, ensure};
use caduceus_cli::Progress;
use caduceus_crypto::{SecretKey, TimeMillis, codec, domain};
use caduceus_ledger::{
    Address, Block, Certificate, ChainKind, DecodedTx, Genesis, Header, Validator, ValidatorSet,
    Vote, VoteKind, build, genesis_state,
};
use caduceus_node::statesync::Keeper;
use caduceus_node::{Clock, NodeOptions, Store, SystemClock};
use std::path::Path;
use std::sync::Arc;

/// Milliseconds between two blocks, as the chain tells them.
const BLOCK_MILLIS: u64 = 100;

/// A chain that ends now, of one validator.
pub(super) fn genesis(key: &SecretKey, blocks: u64) -> anyhow::Result<Genesis> {
    let lasted = blocks * BLOCK_MILLIS + 10_000;
    Ok(Genesis {
        kind: ChainKind::Private,
        name: "notes".to_owned(),
        time: TimeMillis(SystemClock.now().0.saturating_sub(lasted)),
        validators: ValidatorSet::new(vec![Validator {
            key: key.public(),
            power: 1,
        }])?,
        app: Vec::new(),
    })
}

/// Writes the blocks, a note each, and the snapshots that fall due.
pub(super) fn make(
    home: &Path,
    genesis: &Genesis,
    key: &SecretKey,
    blocks: u64,
    options: &NodeOptions,
    every: u64,
    progress: &Progress,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(home).with_context(|| format!("{}", home.display()))?;
    let store = Store::open(&home.join("chain.redb"))?;
    let keeper = Keeper::open(home, options)?;
    let view = store.snapshot()?;
    let first = genesis_state(&Notes, genesis, &view, &view)?;
    store.init(&codec::encode(genesis), &first)?;
    let mut parent = first.header;
    for height in 1..=blocks {
        let view = store.snapshot()?;
        let (block, executed, refused) = build(
            &Notes,
            &view,
            &view,
            &parent,
            TimeMillis(parent.time.0 + BLOCK_MILLIS),
            Address::of(&key.public()),
            [DecodedTx::new(&Notes, Arc::new(note(height)))?],
            genesis.kind.max_block_bytes(),
        )?;
        ensure!(refused.is_empty(), "note {height} is refused");
        drop(view);
        store.commit(&block, &certify(&block, key), &executed)?;
        parent = block.header;
        if height % every == 0 {
            progress.message(format!("making the snapshot of {height}"));
            keeper.make(store.snapshot()?, genesis.validators.clone(), key)?;
            progress.message("making the chain");
        }
        progress.set_steps(height, blocks);
    }
    store.index().flush()?;
    Ok(())
}

fn certify(block: &Block, key: &SecretKey) -> Certificate {
    let header: &Header = &block.header;
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    };
    let signature = key.sign(domain::VOTE, &vote.sign_bytes());
    Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures: vec![(Address::of(&key.public()), signature)],
    }
}
