//! Proposed blocks that are not committed yet, on disk by hash.
//!
//! Malachite's log stores a value's hash, never the block, and its replay trusts that the application still
//! has it (ENGINE_NOTES trap 2). So a block's bytes are durable here before consensus hears of it. One file a
//! block, `HEIGHT-HASH`; own proposals also have a file `HEIGHT-rROUND` with the hash, so that asking twice
//! for one (height, round) gives one block. All of a height go when it is committed.

use crate::store::StoreError;
use caduceus_crypto::Hash;
use caduceus_ledger::{Block, Height, block::MAX_BLOCK_BYTES};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of pending blocks.
#[derive(Debug)]
pub struct Pending {
    folder: PathBuf,
}

impl Pending {
    /// Opens or creates the folder and removes what is at or below a committed height.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: &Path, committed: Height) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
        let pending = Self {
            folder: folder.to_path_buf(),
        };
        pending.clear(committed)?;
        Ok(pending)
    }

    fn block_path(&self, height: Height, id: &Hash) -> PathBuf {
        self.folder.join(format!("{:020}-{id}", height.0))
    }

    fn round_path(&self, height: Height, round: u32) -> PathBuf {
        self.folder.join(format!("{:020}-r{round}", height.0))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if path.exists() {
            return Ok(());
        }
        let temporary = path.with_extension("new");
        let done = File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
            .and_then(|()| std::fs::rename(&temporary, path))
            .and_then(|()| File::open(&self.folder)?.sync_data());
        done.map_err(|source| file_error(path, source))
    }

    /// Makes a block durable.
    ///
    /// # Errors
    /// When the file cannot be written: consensus must not hear of the block.
    pub fn put(&self, block: &Block) -> Result<(), StoreError> {
        let path = self.block_path(block.header.height, &block.hash());
        if path.exists() && self.get(block.header.height, &block.hash()).is_none() {
            // Damaged: written again.
            std::fs::remove_file(&path).map_err(|source| file_error(&path, source))?;
        }
        let bytes = caduceus_crypto::codec::encode(block);
        self.write(&path, &bytes)
    }

    /// Makes it durable that this block is the own proposal of a round.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put_own(&self, round: u32, block: &Block) -> Result<(), StoreError> {
        self.put(block)?;
        self.write(
            &self.round_path(block.header.height, round),
            block.hash().as_bytes(),
        )
    }

    /// A pending block, checked against its hash; none if absent or damaged.
    pub fn get(&self, height: Height, id: &Hash) -> Option<Block> {
        let bytes = std::fs::read(self.block_path(height, id)).ok()?;
        let block: Block =
            caduceus_crypto::codec::decode_exact(&bytes, MAX_BLOCK_BYTES + 4096).ok()?;
        (block.hash() == *id && block.body_matches()).then_some(block)
    }

    /// The own proposal of a round, if one was made.
    pub fn own(&self, height: Height, round: u32) -> Option<Block> {
        let bytes: [u8; 32] = std::fs::read(self.round_path(height, round))
            .ok()?
            .try_into()
            .ok()?;
        self.get(height, &Hash(bytes))
    }

    /// Removes everything at or below a committed height.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn clear(&self, committed: Height) -> Result<(), StoreError> {
        let entries =
            std::fs::read_dir(&self.folder).map_err(|source| file_error(&self.folder, source))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let height = name
                .to_str()
                .and_then(|n| n.get(..20))
                .and_then(|n| n.parse::<u64>().ok());
            if height.is_none_or(|h| h <= committed.0) {
                // A leftover only costs space; it is tried again at the next height.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

fn file_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File {
        path: path.to_path_buf(),
        source,
    }
}
