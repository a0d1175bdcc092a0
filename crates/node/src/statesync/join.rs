//! Joining: a node without a chain gets the newest snapshot that enough validators attest to.

mod offers;

use super::attest::AttestationError;
use super::fetch::{FetchError, fetch};
use super::folder::{Draft, Folder, SnapshotError, list, sync_folder};
use super::keeper::folder_of;
use super::load::load;
use super::trust::{Unreached, reach};
use crate::node::NodeConfig;
use crate::options::Join;
use crate::store::{self, Store, StoreError};
use caduceus_crypto::{TimeMillis, codec};
use caduceus_ledger::light::LightBlock;
use caduceus_ledger::{CertifiedHeader, Genesis, Height};
use caduceus_network::exchange::{LightBlocks, LightBlocksRequest, MAX_LIGHT_BLOCK_BYTES};
use caduceus_network::{PeerAddr, Service};
use std::path::Path;
use std::sync::Arc;
use tokio::task::block_in_place;

use self::offers::Offer;

/// The store's file: where there is one that holds a block, there is a chain.
const CHAIN_FILE: &str = "chain.redb";

/// Why a node did not join by a snapshot. It may still join by blocks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The node's own files cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The snapshot cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The snapshot is not what it should be, or cannot be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// Why an offer is not believed.
#[derive(Debug, thiserror::Error)]
enum Disbelief {
    #[error(transparent)]
    Attestations(#[from] AttestationError),
    #[error(transparent)]
    Unreached(#[from] Unreached),
}

/// What a node joined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Height of the snapshot.
    pub height: Height,
    /// Bytes of its chunks.
    pub bytes: u64,
    /// Bytes that were fetched now.
    pub fetched: u64,
}

/// Gives a node without a chain the state of the newest snapshot that its peers have and enough validators attest to.
/// None if the node has a chain, is told to take all blocks, or nobody offers a snapshot that can be believed: then
/// it starts from the genesis, and tries again at its next start unless it has a block by then. A snapshot whose chunks
/// nobody sends gives way to the next best.
///
/// To be called before [`crate::Node::start`]. Interrupted, it starts again: the good chunks that came are not fetched
/// again, and the store is in place only when it is whole.
///
/// # Errors
/// [`JoinError`].
pub async fn join(
    service: &Service,
    peers: &[PeerAddr],
    config: &NodeConfig,
) -> Result<Option<Joined>, JoinError> {
    if config.options.join == Join::Blocks
        || peers.is_empty()
        || block_in_place(|| has_chain(&config.home))
    {
        return Ok(None);
    }
    let mut offers = offers::collect(service, peers, config.genesis.chain_id()).await;
    let mut failed = None;
    while let Some(offer) = offers.pop() {
        let height = offer.manifest.height();
        if let Err(why) = believe(service, peers, &config.genesis, &offer, config.clock.now()) {
            tracing::warn!(height = height.0, %why, "a snapshot that is offered is not believed");
            continue;
        }
        tracing::info!(
            height = height.0,
            bytes = offer.manifest.bytes(),
            "joining by a snapshot"
        );
        match take(service, config, offer).await {
            Err(JoinError::Fetch(error @ FetchError::NobodyLeft { .. })) => {
                tracing::warn!(height = height.0, %error, "a snapshot that is offered does not come");
                failed = Some(error);
            }
            taken => return taken.map(Some),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(None),
    }
}

/// Whether there is a chain: a store that holds the genesis alone is none, whatever made it. One that cannot be read
/// is for the start of the node to judge.
fn has_chain(home: &Path) -> bool {
    let path = home.join(CHAIN_FILE);
    path.exists() && store::height_in(&path).map_or(true, |height| height > 0)
}

/// Checks who attests, and that their header is the chain's.
fn believe(
    service: &Service,
    peers: &[PeerAddr],
    genesis: &Genesis,
    offer: &Offer,
    now: TimeMillis,
) -> Result<(), Disbelief> {
    offer.attestations.quorum(&offer.manifest.voters)?;
    let target = LightBlock {
        head: CertifiedHeader {
            header: offer.manifest.header.clone(),
            certificate: offer.certificate.clone(),
        },
        validators: offer.manifest.voters.clone(),
        next_validators: offer.manifest.next_validators.clone(),
    };
    let mut between = |height| block_in_place(|| light_blocks(service, peers, height));
    reach(genesis, target, now, &mut between)?;
    Ok(())
}

/// What the peers show of a height. Nobody asks for more than a few, and only where voters changed.
fn light_blocks(service: &Service, peers: &[PeerAddr], height: Height) -> Vec<LightBlock> {
    let runtime = tokio::runtime::Handle::current();
    let mut found = Vec::new();
    for peer in peers {
        let request = LightBlocksRequest {
            heights: vec![height.0],
        };
        match runtime.block_on(service.call::<LightBlocks>(peer, request)) {
            Ok(reply) => found.extend(reply.items.first().and_then(|bytes| {
                codec::decode_exact::<LightBlock>(bytes, MAX_LIGHT_BLOCK_BYTES).ok()
            })),
            Err(error) => tracing::debug!(%peer, %error, "no light block"),
        }
    }
    found
}

/// Fetches the chunks, checks and imports them, and puts the store in place.
async fn take(service: &Service, config: &NodeConfig, offer: Offer) -> Result<Joined, JoinError> {
    let root = folder_of(&config.home);
    let height = offer.manifest.height();
    let bytes = offer.manifest.bytes();
    let (folder, fetched) = match at_hand(&root, &offer) {
        Some(folder) => (folder, 0),
        None => {
            let draft = Arc::new(Draft::fetching(&root, height.0)?);
            let fetched = fetch(
                service,
                &offer.peers,
                draft.clone(),
                height.0,
                &offer.chunks,
            )
            .await?;
            // All workers are done: nobody else holds the draft.
            let draft = Arc::into_inner(draft).ok_or(SnapshotError::Stopped)?;
            let folder = block_in_place(|| {
                draft.finish(
                    offer.manifest,
                    offer.chunks,
                    offer.certificate,
                    &offer.attestations,
                )
            })?;
            (folder, fetched)
        }
    };
    block_in_place(|| install(&folder, &config.home, &config.genesis))?;
    Ok(Joined {
        height,
        bytes,
        fetched,
    })
}

/// The snapshot, if an earlier attempt fetched it whole.
fn at_hand(root: &Path, offer: &Offer) -> Option<Folder> {
    let (_, path) = list(root)
        .into_iter()
        .find(|(height, _)| *height == offer.manifest.height().0)?;
    let (folder, _) = Folder::open(&path).ok()?;
    (folder.hash() == offer.manifest.hash()).then_some(folder)
}

/// Imports into a folder beside and renames the index, then the chain: without the chain's file, or beside a genesis,
/// the index counts for nothing, so at every instant there is no chain or a whole one.
fn install(folder: &Folder, home: &Path, genesis: &Genesis) -> Result<(), JoinError> {
    let file_error = super::folder::file_error;
    let aside = home.join("joining");
    match std::fs::remove_dir_all(&aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(file_error(&aside, e).into());
        }
        _ => {}
    }
    let store = Store::open(&aside.join(CHAIN_FILE))?;
    load(folder, &store, genesis, &mut |done, of| {
        tracing::debug!(done, of, "chunks imported");
    })?;
    drop(store);
    sync_folder(&aside)?;
    for file in ["index.redb", CHAIN_FILE] {
        let to = home.join(file);
        std::fs::rename(aside.join(file), &to).map_err(|e| file_error(&to, e))?;
        sync_folder(home)?;
    }
    std::fs::remove_dir_all(&aside).map_err(|e| file_error(&aside, e))?;
    Ok(())
}
