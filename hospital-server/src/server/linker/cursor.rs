//! A hint: the private height up to which everything was linked when the linker last looked.
//!
//! Written after the fact and never flushed: it may be behind or lost, not ahead, unless the alliance chain is
//! another one. So it names both chains.

use caduceus_ledger::ChainId;
use std::fs;
use std::path::PathBuf;

/// The file of the hint. Text: alliance chain, private chain, height.
pub(super) struct Cursor {
    path: PathBuf,
    chains: String,
}

impl Cursor {
    pub(super) fn new(path: PathBuf, alliance: ChainId, private: ChainId) -> Self {
        Self {
            path,
            chains: format!("{alliance} {private}"),
        }
    }

    /// The hint; none if there is none for these chains.
    pub(super) fn read(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.path).ok()?;
        text.strip_prefix(&self.chains)?.trim().parse().ok()
    }

    /// Notes a height. A hint that cannot be written only costs time at the next start.
    pub(super) fn write(&self, linked: u64) {
        let temporary = self.path.with_extension("tmp");
        let written = fs::write(&temporary, format!("{} {linked}\n", self.chains))
            .and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "the linker's hint cannot be written");
        }
    }

    /// Starts again from the beginning.
    pub(super) fn forget(&self) {
        self.write(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use caduceus_crypto::Hash;

    #[test]
    fn a_hint_counts_for_its_chains_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("linker.cursor");
        let id = |n| ChainId(Hash([n; 32]));
        let cursor = Cursor::new(path.clone(), id(1), id(2));
        assert_eq!(cursor.read(), None);
        cursor.write(41);
        cursor.write(42);
        assert_eq!(Cursor::new(path.clone(), id(1), id(2)).read(), Some(42));
        assert_eq!(Cursor::new(path.clone(), id(3), id(2)).read(), None);
        cursor.forget();
        assert_eq!(cursor.read(), Some(0));
        fs::write(&path, "nonsense").unwrap();
        assert_eq!(cursor.read(), None);
    }
}
