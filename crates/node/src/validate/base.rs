//! Where a validation starts on a node that does not have all blocks: at its oldest kept snapshot.

use super::{Depth, Fault};
use crate::statesync::{self, Folder, SnapshotError, folder_of, reach};
use crate::store::{Snapshot, Store, StoreError};
use caduceus_ledger::light::LightBlock;
use caduceus_ledger::{CertifiedHeader, Genesis, Header, Height, ValidatorSet};

/// The lowest header from which blocks are there, and who votes next.
pub(super) struct Base {
    pub header: Header,
    pub voters: ValidatorSet,
}

/// Checks the oldest snapshot that reaches the blocks kept, its chunks and its attestations, and, to execute from
/// there, fills a scratch store with it, which checks the state root.
pub(super) fn base(
    store: &Store,
    stored: &Snapshot,
    genesis: &Genesis,
    scratch: &Store,
    depth: Depth,
) -> Result<Result<Base, Fault>, StoreError> {
    let kept_from = stored.kept_from()?;
    let tip = stored.newest_height()?;
    let found = store.folder().and_then(|home| {
        statesync::list(&folder_of(home))
            .into_iter()
            .find(|(height, _)| height + 1 >= kept_from && *height <= tip)
    });
    let fault = |height: u64, what: String| {
        Ok(Err(Fault {
            height,
            what,
            transaction: None,
        }))
    };
    let Some((height, path)) = found else {
        let what = "blocks up to here are not kept, and no snapshot stands for them";
        return fault(kept_from.saturating_sub(1), what.to_owned());
    };
    let checked = Folder::open(&path).and_then(|(folder, attestations)| {
        let manifest = folder.manifest();
        if manifest.height().0 != height {
            return Err(SnapshotError::Damaged { path: path.clone() });
        }
        attestations.quorum(&manifest.voters)?;
        if depth == Depth::Execution {
            statesync::load(&folder, scratch, genesis, &mut |_, _| ())?;
        } else {
            for index in 0..manifest.chunks() {
                folder.chunk(index)?;
            }
        }
        Ok(folder)
    });
    let folder = match checked {
        Ok(folder) => folder,
        Err(SnapshotError::Store(error)) => return Err(error),
        Err(error) => return fault(height, format!("the snapshot does not hold: {error}")),
    };
    let manifest = folder.manifest();
    let target = LightBlock {
        head: CertifiedHeader {
            header: manifest.header.clone(),
            certificate: folder.certificate().clone(),
        },
        validators: manifest.voters.clone(),
        next_validators: manifest.next_validators.clone(),
    };
    // No clock: what is stored was judged when it came.
    let now = manifest.header.time;
    if let Err(error) = reach(genesis, target, now, &mut |height| {
        // A damaged one leads nowhere, which is said then.
        stored
            .light_block(height)
            .ok()
            .flatten()
            .into_iter()
            .collect()
    }) {
        return fault(height, format!("the snapshot's header: {error}"));
    }
    match stored.header(Height(height)) {
        Ok(Some(header)) if header == manifest.header => {}
        _ => return fault(height, "the stored header is not the snapshot's".to_owned()),
    }
    Ok(Ok(Base {
        header: manifest.header.clone(),
        voters: manifest.next_validators.clone(),
    }))
}
