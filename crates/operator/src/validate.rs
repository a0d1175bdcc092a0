//! `validate`: the stored chain, checked from its genesis to its tip (DESIGN 4.4).

use caduceus_cli::{CliError, Output};
use caduceus_ledger::{Genesis, StateMachine};
use caduceus_node::home::EngineKind;
use caduceus_node::validate::{self as chain, Depth, Report};
use caduceus_node::{NodeHome, Store, StoreError};
use serde::Serialize;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

const PANICKED: &str = "the database engine panicked";

/// What a validation found. Numbers that a panic took with it are none.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Validation {
    /// Height of the stored tip.
    tip: Option<u64>,
    /// Height that it started from: 0 for the genesis, else that of a snapshot.
    from: Option<u64>,
    /// Blocks that hold, from there on.
    blocks: u64,
    /// Transactions in them.
    transactions: Option<u64>,
    /// Seals of mined blocks in them; 0 on a chain that is not mined.
    seals: Option<u64>,
    /// Whether nothing is wrong.
    holds: bool,
    /// The lowest height at which something is.
    height: Option<u64>,
    /// What that is.
    what: Option<String>,
    /// Position of the transaction at fault, where it can be told.
    transaction_index: Option<usize>,
    /// Its identifier, of the bytes that are stored now.
    transaction_id: Option<String>,
}

/// How far a validation came.
#[derive(Clone, Copy)]
struct At {
    first: u64,
    height: u64,
    tip: u64,
}

/// Why there is no report.
#[derive(Debug)]
enum Trouble {
    /// The files cannot be used: says nothing about the chain.
    Unusable(StoreError),
    /// They are damaged, and reading them ended here.
    Damaged(String),
}

/// Checks the chain of a node that does not run, under its rules, and prints what was found. A fast check leaves the
/// transactions unexecuted.
///
/// # Errors
/// Failure, when the files cannot be used; verification failed, naming the first bad height, when the chain does not
/// hold.
pub fn validate<M: StateMachine>(
    home: &NodeHome,
    machine: &M,
    fast: bool,
    output: &Output,
) -> Result<(), CliError> {
    let depth = if fast {
        Depth::Hashes
    } else {
        Depth::Execution
    };
    let file = home.path.join("chain.redb");
    let progress = output.progress("validating");
    // A panic over damaged bytes is a finding, said in two lines like any other.
    panic::set_hook(Box::new(|_| {}));
    let found = examine(
        || Store::open_damaged(&file),
        &home.genesis,
        machine,
        depth,
        &|height, tip| progress.set_steps(height, tip),
    );
    drop(panic::take_hook());
    drop(progress);
    let mut found = found?;
    if home.file.engine == EngineKind::Pow {
        found.require_seals();
    }
    output.object(&found)?;
    found.verdict()
}

/// Validates a store. `progress` hears of each height and the tip.
fn examine<M: StateMachine>(
    open: impl FnOnce() -> Result<Store, StoreError>,
    genesis: &Genesis,
    machine: &M,
    depth: Depth,
    progress: &dyn Fn(u64, u64),
) -> Result<Validation, CliError> {
    let at: Cell<Option<At>> = Cell::new(None);
    let mut follow = |height: u64, tip: u64| {
        let first = at.get().map_or(height, |at| at.first);
        at.set(Some(At { first, height, tip }));
        progress(height, tip);
    };
    match check(open, genesis, machine, depth, &mut follow) {
        Ok(report) => Ok(report.into()),
        Err(Trouble::Damaged(what)) => Ok(Validation::broken_off(at.get(), what)),
        Err(Trouble::Unusable(error)) => Err(CliError::failure(
            format!("the store cannot be read: {error}"),
            "stop the node first, then validate",
        )),
    }
}

/// Opens, validates and closes a store, each of which may panic over damaged bytes.
fn check<M: StateMachine>(
    open: impl FnOnce() -> Result<Store, StoreError>,
    genesis: &Genesis,
    machine: &M,
    depth: Depth,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Trouble> {
    let panicked = || Trouble::Damaged(PANICKED.to_owned());
    let store = match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(store)) => store,
        Ok(Err(StoreError::Corrupt { path, reason })) => {
            let what = format!("{} is damaged: {reason}", path.display());
            return Err(Trouble::Damaged(what));
        }
        Ok(Err(error)) => return Err(Trouble::Unusable(error)),
        Err(_) => return Err(panicked()),
    };
    let checked = catch_unwind(AssertUnwindSafe(|| {
        chain::validate(&store, genesis, machine, depth, progress)
    }));
    // Not while a panic unwinds: closing reads too, and a second panic would end the program.
    let closed = catch_unwind(AssertUnwindSafe(move || drop(store)));
    match checked {
        Ok(Ok(report)) if report.fault.is_some() || closed.is_ok() => Ok(report),
        Ok(Err(error @ StoreError::OtherChain { .. })) => Err(Trouble::Unusable(error)),
        Ok(Err(error)) => Err(Trouble::Damaged(error.to_string())),
        Ok(Ok(_)) | Err(_) => Err(panicked()),
    }
}

impl From<Report> for Validation {
    fn from(report: Report) -> Self {
        let fault = report.fault.as_ref();
        let transaction = fault.and_then(|fault| fault.transaction);
        Self {
            tip: Some(report.tip),
            from: Some(report.from),
            blocks: report.blocks,
            transactions: Some(report.transactions),
            seals: Some(report.seals),
            holds: fault.is_none(),
            height: fault.map(|fault| fault.height),
            what: fault.map(|fault| fault.what.clone()),
            transaction_index: transaction.map(|transaction| transaction.index),
            transaction_id: transaction.map(|transaction| transaction.id.to_string()),
        }
    }
}

impl Validation {
    /// One that ended in the middle: at this height below this tip, or before the first.
    fn broken_off(at: Option<At>, what: String) -> Self {
        let height = at.map_or(0, |at| at.height);
        Self {
            tip: at.map(|at| at.tip),
            from: at.map(|at| at.first.saturating_sub(1)),
            blocks: at.map_or(0, |at| at.height - at.first),
            transactions: None,
            seals: None,
            holds: false,
            height: Some(height),
            what: Some(what),
            transaction_index: None,
            transaction_id: None,
        }
    }

    /// A chain that is mined has seals: that it lost all of them does not show in itself.
    fn require_seals(&mut self) {
        if self.holds && self.blocks > 0 && self.seals == Some(0) {
            *self = Self {
                blocks: 0,
                holds: false,
                height: Some(1),
                what: Some("the seal is missing, of this block and of all others".to_owned()),
                transactions: None,
                tip: self.tip,
                from: self.from,
                seals: self.seals,
                transaction_index: None,
                transaction_id: None,
            };
        }
    }

    /// The two lines of a chain that does not hold.
    fn verdict(&self) -> Result<(), CliError> {
        let (Some(height), Some(what)) = (self.height, &self.what) else {
            return Ok(());
        };
        let transaction = match (self.transaction_index, &self.transaction_id) {
            (Some(index), Some(id)) => format!(" (transaction {index}, {id})"),
            _ => String::new(),
        };
        Err(CliError::verification_failed(
            format!("height {height}: {what}{transaction}"),
            "restore or resync this node: put back a backup of chain.redb, or move it away and start the node, \
             which catches up from the others",
        ))
    }
}

#[cfg(test)]
pub(crate) mod tests;
