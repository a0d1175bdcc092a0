//! Checks a node's whole chain from genesis: every hash, certificate, root and stored row (DESIGN 4.4).
//!
//! It is the block validation of the logging paper, a block against its predecessor and the whole chain in
//! order, with two things more: what validators signed, and what execution gives. Of a chain that is mined the seals
//! are checked too, and then each block must have one. The chain is executed again into memory, from the genesis, and
//! then compared with what the node's files hold. A node that prunes or joined by a snapshot lacks the first blocks:
//! there it starts from the oldest snapshot kept, which validators attest to.

use crate::store::{Snapshot, Store, StoreError};
use caduceus_crypto::Hash;
use caduceus_ledger::{
    Block, BlockError, CertifiedHeader, Genesis, Header, Height, SealChain, StateMachine,
    ValidatorSet, find_tx, genesis_state, replay, tx_id,
};

mod base;

use self::base::{Base, base};

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Hashes, links and certificates, under the validators that the state names: fast.
    Hashes,
    /// That, and every transaction is executed again from genesis.
    Execution,
}

/// A transaction that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultyTx {
    /// Its position in the block.
    pub index: usize,
    /// Identifier of the bytes that are stored now.
    pub id: Hash,
}

/// What is wrong first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The lowest height at which something is wrong; the tip's where the state differs.
    pub height: u64,
    /// What differs.
    pub what: String,
    /// The transaction, where it can be told.
    pub transaction: Option<FaultyTx>,
}

/// What a validation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Height of the stored tip.
    pub tip: u64,
    /// Height that it started from: 0 for the genesis, else that of a snapshot.
    pub from: u64,
    /// Blocks that hold, from `from + 1` on.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Seals of mined blocks in them; none on a chain that is not mined.
    pub seals: u64,
    /// The first fault; none when the chain holds.
    pub fault: Option<Fault>,
}

/// Executes a node's stored chain from genesis into memory and makes its index anew from it: what a node does that
/// lost its index, or was given an old one.
///
/// # Errors
/// When the chain does not hold, or a database fails.
pub(crate) fn rebuild_index(
    store: &Store,
    genesis: &Genesis,
    machine: &dyn StateMachine,
) -> Result<(), StoreError> {
    let (report, executed) = run(store, genesis, machine, Depth::Execution, &mut |_, _| ())?;
    match report.fault {
        // The index is what is missing, so the state as a whole is not compared.
        None => store.rebuild_index(&executed),
        Some(_) => Err(StoreError::Damaged {
            height: report.from + report.blocks + 1,
            what: "chain",
        }),
    }
}

/// Validates the chain of an open store. `progress` hears of each height and the tip.
///
/// # Errors
/// When the store cannot be read at all, or holds another chain. A fault in the chain is no error.
pub fn validate(
    store: &Store,
    genesis: &Genesis,
    machine: &dyn StateMachine,
    depth: Depth,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, StoreError> {
    let (mut report, executed) = run(store, genesis, machine, depth, progress)?;
    if depth == Depth::Execution && report.fault.is_none() {
        report.fault = store.first_difference(&executed)?.map(|what| Fault {
            height: report.tip,
            what,
            transaction: None,
        });
    }
    Ok(report)
}

/// Checks block by block, and gives the store into which they were executed.
fn run(
    store: &Store,
    genesis: &Genesis,
    machine: &dyn StateMachine,
    depth: Depth,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Report, Store), StoreError> {
    let stored = store.snapshot()?;
    let tip = stored.newest_height()?;
    let mut report = Report {
        tip,
        from: 0,
        blocks: 0,
        transactions: 0,
        seals: 0,
        fault: None,
    };
    let mut seals = stored.is_mined()?.then(SealChain::default);
    let scratch = Store::scratch()?;
    let fault = |height: u64, what: String| Fault {
        height,
        what,
        transaction: None,
    };
    let started = if stored.kept_from()? > 1 {
        base(store, &stored, genesis, &scratch, depth)?
    } else {
        from_genesis(&stored, genesis, machine, &scratch)?
    };
    let (mut parent, mut voters) = match started {
        Ok(base) => (base.header, base.voters),
        Err(found) => {
            report.fault = Some(found);
            return Ok((report, scratch));
        }
    };
    report.from = parent.height.0;
    for height in report.from + 1..=tip {
        progress(height, tip);
        let outcome = check_height(&stored, &parent, &voters, Height(height))?;
        let block = match outcome {
            Ok(block) => block,
            Err(found) => {
                report.fault = Some(found);
                return Ok((report, scratch));
            }
        };
        if let Some(seals) = &mut seals {
            if let Some(what) = seal_fault(&stored, &block.header, &voters, seals)? {
                report.fault = Some(fault(height, what));
                return Ok((report, scratch));
            }
            report.seals += 1;
        }
        match depth {
            Depth::Execution => {
                let view = scratch.snapshot()?;
                let limit = genesis.kind.max_block_bytes();
                let executed = match replay(machine, &view, &view, &parent, &block, limit) {
                    Ok(executed) => executed,
                    Err(BlockError::State(error)) => return Err(error.into()),
                    Err(error) => {
                        report.fault = Some(not_executed(&block, height, &error));
                        return Ok((report, scratch));
                    }
                };
                if let Some(found) = results_differ(&stored, &block, &executed.results)? {
                    report.fault = Some(found);
                    return Ok((report, scratch));
                }
                let certified = stored.certified(Height(height))?;
                let certificate = certified.ok_or(StoreError::Damaged {
                    height,
                    what: "certificate",
                })?;
                scratch.commit(&block, &certificate.certificate, &executed)?;
                voters = executed.next_validators;
            }
            Depth::Hashes => {
                if block.header.next_validators != voters.hash() {
                    match stored.validator_set(&block.header.next_validators) {
                        Ok(Some(set)) => voters = set,
                        Ok(None) | Err(StoreError::Damaged { .. }) => {
                            let what = "the validators change here, and the new set is not stored: only a full validation knows it";
                            report.fault = Some(fault(height, what.into()));
                            return Ok((report, scratch));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        report.blocks += 1;
        report.transactions += block.txs.len() as u64;
        parent = block.header;
    }
    Ok((report, scratch))
}

/// Fills the scratch store with the genesis state, and compares the stored genesis header with it.
fn from_genesis(
    stored: &Snapshot,
    genesis: &Genesis,
    machine: &dyn StateMachine,
    scratch: &Store,
) -> Result<Result<Base, Fault>, StoreError> {
    let empty = scratch.snapshot()?;
    let first = genesis_state(machine, genesis, &empty, &empty)?;
    scratch.init(&caduceus_crypto::codec::encode(genesis), &first)?;
    Ok(match stored.unchecked_block(Height::GENESIS)? {
        Some(block) if block.header == first.header => Ok(Base {
            header: first.header,
            voters: genesis.validators.clone(),
        }),
        _ => Err(Fault {
            height: 0,
            what: "the genesis header is not this genesis's".to_owned(),
            transaction: None,
        }),
    })
}

/// One block against its predecessor, its body and its certificate.
fn check_height(
    stored: &Snapshot,
    parent: &Header,
    voters: &ValidatorSet,
    height: Height,
) -> Result<Result<Block, Fault>, StoreError> {
    let fault = |what: &str| {
        Ok(Err(Fault {
            height: height.0,
            what: what.to_owned(),
            transaction: None,
        }))
    };
    let block = match stored.unchecked_block(height) {
        Ok(Some(block)) => block,
        Ok(None) => return fault("the block is missing"),
        Err(StoreError::Damaged { .. }) => return fault("the block does not decode"),
        Err(error) => return Err(error),
    };
    let header = &block.header;
    if header.height != height {
        return fault("the block is of another height");
    }
    if !block.body_matches() {
        return Ok(Err(Fault {
            height: height.0,
            what: "the transactions are not those of the header's root".to_owned(),
            transaction: edited(stored, &block)?,
        }));
    }
    if header.parent != parent.hash() {
        return fault("the header does not name its predecessor's hash");
    }
    if header.chain != parent.chain {
        return fault("the header is of another chain");
    }
    if header.validators != voters.hash() {
        return fault("the header names other validators than its predecessor");
    }
    match stored.header(height) {
        Ok(Some(row)) if row == *header => {}
        _ => return fault("the stored header is not the block's"),
    }
    let certificate = match stored.certificate(height) {
        Ok(Some(certificate)) => certificate,
        Ok(None) => return fault("the certificate is missing"),
        Err(StoreError::Damaged { .. }) => return fault("the certificate does not decode"),
        Err(error) => return Err(error),
    };
    let certified = CertifiedHeader {
        header: header.clone(),
        certificate,
    };
    if let Err(error) = certified.verify(&header.chain, voters) {
        return fault(&format!("the certificate does not hold: {error}"));
    }
    Ok(Ok(block))
}

/// What is wrong with the seal of a mined block, if anything.
fn seal_fault(
    stored: &Snapshot,
    header: &Header,
    voters: &ValidatorSet,
    seals: &mut SealChain,
) -> Result<Option<String>, StoreError> {
    let seal = match stored.seal(header.height) {
        Ok(Some(seal)) => seal,
        Ok(None) => return Ok(Some("the seal is missing".to_owned())),
        Err(StoreError::Damaged { .. }) => {
            return Ok(Some("the seal does not decode".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let Some(validator) = voters.get(&header.proposer) else {
        return Ok(Some("the block's proposer is no validator".to_owned()));
    };
    Ok(seals
        .push(header, &seal, &validator.key)
        .err()
        .map(|error| error.to_string()))
}

/// The first transaction that the node committed elsewhere or never.
fn edited(stored: &Snapshot, block: &Block) -> Result<Option<FaultyTx>, StoreError> {
    for (index, tx) in block.txs.iter().enumerate() {
        let id = tx_id(tx);
        let place = find_tx(stored, &id)?;
        let here = place.is_some_and(|place| {
            place.height == block.header.height && place.index as usize == index
        });
        if !here {
            return Ok(Some(FaultyTx { index, id }));
        }
    }
    Ok(None)
}

fn not_executed(block: &Block, height: u64, error: &BlockError) -> Fault {
    let transaction = match error {
        BlockError::Transaction { index, .. } => block.txs.get(*index).map(|tx| FaultyTx {
            index: *index,
            id: tx_id(tx),
        }),
        _ => None,
    };
    Fault {
        height,
        what: error.to_string(),
        transaction,
    }
}

fn results_differ(
    stored: &Snapshot,
    block: &Block,
    executed: &[Vec<u8>],
) -> Result<Option<Fault>, StoreError> {
    let height = block.header.height.0;
    let found = match stored.results(block.header.height) {
        Ok(found) => found,
        Err(StoreError::Damaged { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    if found == executed {
        return Ok(None);
    }
    let index = (0..executed.len())
        .find(|index| found.get(*index) != executed.get(*index))
        .unwrap_or(0);
    Ok(Some(Fault {
        height,
        what: "a stored result is not what execution gives".to_owned(),
        transaction: block.txs.get(index).map(|tx| FaultyTx {
            index,
            id: tx_id(tx),
        }),
    }))
}
