//! Proof of validators' misbehaviour, kept in `evidence/`: one file a height and validator, `HEIGHT-ADDRESS`.
//!
//! File: borsh of the pairs of conflicting votes, then of conflicting proposals, all signed by that validator; then
//! nothing. Never changed once written. What is kept is bounded; the first of it is what counts.

use super::context::{BftProposal, BftVote, Ctx};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Signature, codec};
use caduceus_ledger::Address;
use malachitebft_app_channel::app::consensus::MisbehaviorEvidence;
use malachitebft_app_channel::app::types::core::SignedMessage;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files kept; a network that makes more of them has lost its validators.
const MAX_FILES: usize = 10_000;
/// Longest file: Malachite keeps three pairs of each kind.
const MAX_FILE_BYTES: u64 = 16 * 1024;

type Pair<T> = ((T, Signature), (T, Signature));

/// What one validator did at one height.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Evidence {
    /// Pairs of votes for one round and step.
    pub votes: Vec<Pair<BftVote>>,
    /// Pairs of proposals for one round.
    pub proposals: Vec<Pair<BftProposal>>,
}

fn pair<T>((one, other): (SignedMessage<Ctx, T>, SignedMessage<Ctx, T>)) -> Pair<T> {
    (
        (one.message, one.signature),
        (other.message, other.signature),
    )
}

/// The folder.
pub struct EvidenceFolder(PathBuf);

impl EvidenceFolder {
    /// That of a node's home.
    pub fn of(home: &Path) -> Self {
        Self(home.join("evidence"))
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.ends_with(".new"))
            .collect()
    }

    /// How many heights and validators there is evidence of.
    pub fn count(&self) -> u64 {
        self.names().len() as u64
    }

    /// Makes what the engine saw at a height durable. Returns how many validators it is about.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep(&self, height: u64, seen: MisbehaviorEvidence<Ctx>) -> io::Result<u64> {
        let mut by_validator: BTreeMap<Address, Evidence> = BTreeMap::new();
        for (address, pairs) in seen.votes {
            let votes = &mut by_validator.entry(address.0).or_default().votes;
            votes.extend(pairs.into_iter().map(pair));
        }
        for (address, pairs) in seen.proposals {
            let proposals = &mut by_validator.entry(address.0).or_default().proposals;
            proposals.extend(pairs.into_iter().map(pair));
        }
        if by_validator.is_empty() || self.names().len() >= MAX_FILES {
            return Ok(0);
        }
        std::fs::create_dir_all(&self.0)?;
        for (address, evidence) in &by_validator {
            let path = self.0.join(format!("{height:020}-{address}"));
            if path.exists() {
                continue;
            }
            let temporary = path.with_extension("new");
            let mut file = File::create(&temporary)?;
            file.write_all(&codec::encode(evidence))?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
        }
        File::open(&self.0)?.sync_all()?;
        Ok(by_validator.len() as u64)
    }

    /// What is kept of one height and validator.
    ///
    /// # Errors
    /// When the file cannot be read or is none of this kind.
    pub fn read(&self, height: u64, address: &Address) -> io::Result<Option<Evidence>> {
        let path = self.0.join(format!("{height:020}-{address}"));
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(found) if found.len() > MAX_FILE_BYTES => {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(_) => {}
        }
        borsh::from_slice(&std::fs::read(path)?).map(Some)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::bft::context::{BftAddress, BftHeight};
    use caduceus_crypto::Hash;
    use caduceus_ledger::VoteKind;
    use malachitebft_app_channel::app::types::core::{NilOrVal, Round};

    fn vote(address: Address, value: u8) -> SignedMessage<Ctx, BftVote> {
        let vote = BftVote {
            kind: VoteKind::Prevote,
            height: BftHeight(5),
            round: Round::new(1),
            value: NilOrVal::Val(Hash([value; 32])),
            address: BftAddress(address),
        };
        SignedMessage::new(vote, Signature([value; 64]))
    }

    #[test]
    fn evidence_is_kept_once_and_read_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = EvidenceFolder::of(dir.path());
        assert_eq!(folder.count(), 0);
        let culprits = [Address([1; 20]), Address([2; 20])];
        let mut seen = MisbehaviorEvidence::<Ctx> {
            votes: Default::default(),
            proposals: Default::default(),
        };
        assert_eq!(folder.keep(5, seen.clone()).unwrap(), 0);
        for culprit in culprits {
            seen.votes.add(vote(culprit, 1), vote(culprit, 2));
        }
        assert_eq!(folder.keep(5, seen.clone()).unwrap(), 2);
        folder.keep(5, seen).unwrap();
        assert_eq!(folder.count(), 2);
        let kept = folder.read(5, &culprits[1]).unwrap().unwrap();
        assert_eq!(
            kept.votes,
            vec![pair((vote(culprits[1], 1), vote(culprits[1], 2)))]
        );
        assert!(kept.proposals.is_empty());
        assert_eq!(folder.read(6, &culprits[1]).unwrap(), None);
        // Whatever becomes of a file, it is an error and no panic.
        let path = dir
            .path()
            .join("evidence")
            .join(format!("{:020}-{}", 5, culprits[1]));
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(folder.read(5, &culprits[1]).is_err(), "{length}");
        }
        std::fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert!(folder.read(5, &culprits[1]).is_err());
    }
}
