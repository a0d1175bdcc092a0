//! Cuts a snapshot from the own state.

use super::attest::{Attestation, Attestations};
use super::folder::{Draft, Folder, SnapshotError};
use super::manifest::{Manifest, chunk_hash, root_of};
use super::rows::Cutter;
use crate::store::{Snapshot, StoreError};
use caduceus_crypto::{Hash, SecretKey};
use caduceus_ledger::{Address, ValidatorSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of a height, and who voted on it.
pub(crate) struct Cut {
    /// The state; nothing later is in it.
    pub view: Snapshot,
    /// Voters of that height.
    pub voters: ValidatorSet,
}

/// Writes the snapshot of a cut, a chunk at a time, and attests to it if the key is that of a voter.
pub(crate) fn make(
    root: &Path,
    cut: Cut,
    key: &SecretKey,
    stop: &AtomicBool,
) -> Result<(Folder, Attestations), SnapshotError> {
    let lost = |what| StoreError::Damaged { height: 0, what };
    let tip = cut.view.tip()?.ok_or_else(|| lost("tip"))?;
    let height = tip.header.height;
    let certificate = cut
        .view
        .certificate(height)?
        .ok_or_else(|| lost("certificate"))?;
    let draft = Draft::making(root, height.0)?;
    let mut cutter = Cutter::default();
    let mut chunks: Vec<Hash> = Vec::new();
    let put = |chunks: &mut Vec<Hash>, bytes: Vec<u8>| {
        if stop.load(Ordering::Relaxed) {
            return Err(SnapshotError::Stopped);
        }
        draft.put(chunks.len() as u32, &bytes)?;
        chunks.push(chunk_hash(&bytes));
        Ok(())
    };
    cut.view
        .export(|space, key, value| match cutter.push(space, key, value)? {
            Some(bytes) => put(&mut chunks, bytes),
            None => Ok(()),
        })?;
    let (last, [auth, bulk, index]) = cutter.finish();
    if let Some(bytes) = last {
        put(&mut chunks, bytes)?;
    }
    // The state is written: later blocks need not keep its pages any longer.
    drop(cut.view);
    let manifest = Manifest {
        root: root_of(&chunks),
        header: tip.header,
        voters: cut.voters,
        next_validators: tip.next_validators,
        auth,
        bulk,
        index,
    };
    let mut attestations = Attestations::default();
    if manifest.voters.get(&Address::of(&key.public())).is_some() {
        attestations.add(&[Attestation::sign(&manifest.hash(), key)], &manifest);
    }
    let folder = draft.finish(manifest, chunks, certificate, &attestations)?;
    Ok((folder, attestations))
}
