//! `signed.journal`: every vote and proposal that one key signed, for tests that look for double signatures.
//!
//! File: one line of text a signature, `HEIGHT ROUND STEP VALUE\n`: decimal height and round, step `proposal`,
//! `prevote` or `precommit`, value 64 hexadecimal digits. The value is the one that the last-signed guard knows:
//! a block's hash, zeros for nil, and for a proposal the hash of its signed bytes. A line is written before the
//! signature leaves the process, in one write, so a process that is killed leaves whole lines; it is not flushed
//! to the device, so a power cut may take lines with it.

use crate::bft::context::{BftProposal, BftVote, Ctx};
use crate::guard::Step;
use crate::node::NodeError;
use async_trait::async_trait;
use caduceus_crypto::{Hash, domain, hash};
use caduceus_ledger::{ChainId, VoteKind};
use malachitebft_app_channel::app::types::core::{
    SignedMessage, ValidatorProof, VoteExtensionScope,
};
use malachitebft_signing::{Error, Signer};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Name of the file in a node's folder.
pub const JOURNAL_FILE: &str = "signed.journal";

/// One signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signed {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// The step.
    pub step: Step,
    /// What was signed.
    pub value: Hash,
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Proposal => "proposal",
        Step::Prevote => "prevote",
        Step::Precommit => "precommit",
    }
}

impl Signed {
    fn line(&self) -> String {
        format!(
            "{} {} {} {}\n",
            self.height,
            self.round,
            name(self.step),
            self.value
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let height = words.next()?.parse().ok()?;
        let round = words.next()?.parse().ok()?;
        let word = words.next()?;
        let step = [Step::Proposal, Step::Prevote, Step::Precommit]
            .into_iter()
            .find(|step| name(*step) == word)?;
        let value = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self {
            height,
            round,
            step,
            value,
        })
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A line, other than a last one without its end, is no entry.
    #[error("{path}: line {line} is no entry of a journal")]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
}

/// An open journal.
pub struct SignJournal {
    path: PathBuf,
    file: Mutex<File>,
}

impl SignJournal {
    /// Opens or creates the journal of a node's folder.
    ///
    /// # Errors
    /// [`NodeError::Journal`].
    pub fn open(home: &Path) -> Result<Self, NodeError> {
        let path = home.join(JOURNAL_FILE);
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        match opened {
            Ok(file) => Ok(Self {
                path,
                file: Mutex::new(file),
            }),
            Err(source) => Err(JournalError::File { path, source }.into()),
        }
    }

    /// Writes one signature down.
    ///
    /// # Errors
    /// [`JournalError::File`]: the signature must not leave.
    pub fn append(&self, signed: &Signed) -> Result<(), JournalError> {
        self.file
            .lock()
            .expect("no holder of this lock panics")
            .write_all(signed.line().as_bytes())
            .map_err(|source| JournalError::File {
                path: self.path.clone(),
                source,
            })
    }

    /// Reads a folder's journal; empty where there is none. A last line without its end is left out.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn read(home: &Path) -> Result<Vec<Signed>, JournalError> {
        let path = home.join(JOURNAL_FILE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(JournalError::File { path, source }),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut found = Vec::new();
        for (number, line) in (1..).zip(whole.lines()) {
            found.push(Signed::parse(line).ok_or_else(|| JournalError::Line {
                path: path.clone(),
                line: number,
            })?);
        }
        Ok(found)
    }
}

/// The places (height, round, step) at which one key signed more than one value.
pub fn double_signatures(signed: &[Signed]) -> Vec<(u64, u32, Step)> {
    let mut values: BTreeMap<(u64, u32, Step), BTreeSet<Hash>> = BTreeMap::new();
    for one in signed {
        values
            .entry((one.height, one.round, one.step))
            .or_default()
            .insert(one.value);
    }
    let doubled = values.into_iter().filter(|(_, found)| found.len() > 1);
    doubled.map(|(place, _)| place).collect()
}

/// Writes down what another signer signs.
pub(super) struct JournaledSigner {
    pub inner: Box<dyn Signer<Ctx>>,
    pub chain: ChainId,
    pub journal: Arc<SignJournal>,
}

#[async_trait]
impl Signer<Ctx> for JournaledSigner {
    async fn sign_vote(&self, vote: BftVote) -> Result<SignedMessage<Ctx, BftVote>, Error> {
        let plain = vote.to_ledger(self.chain).ok_or_else(Error::new)?;
        let signature = self.inner.sign_vote(vote).await?;
        let signed = Signed {
            height: plain.height.0,
            round: plain.round,
            step: match plain.kind {
                VoteKind::Prevote => Step::Prevote,
                VoteKind::Precommit => Step::Precommit,
            },
            value: plain.block.unwrap_or(Hash::ZERO),
        };
        self.journal.append(&signed).map_err(Error::from_source)?;
        Ok(signature)
    }

    async fn sign_proposal(
        &self,
        proposal: BftProposal,
    ) -> Result<SignedMessage<Ctx, BftProposal>, Error> {
        let bytes = proposal.sign_bytes(self.chain);
        let signed = Signed {
            height: proposal.height.0,
            round: proposal.round.as_u32().ok_or_else(Error::new)?,
            step: Step::Proposal,
            value: hash(domain::PROPOSAL, &[&bytes]),
        };
        let signature = self.inner.sign_proposal(proposal).await?;
        self.journal.append(&signed).map_err(Error::from_source)?;
        Ok(signature)
    }

    async fn sign_vote_extension(
        &self,
        scope: VoteExtensionScope<Ctx>,
        extension: Vec<u8>,
    ) -> Result<SignedMessage<Ctx, Vec<u8>>, Error> {
        self.inner.sign_vote_extension(scope, extension).await
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<Ctx>, Error> {
        self.inner.sign_validator_proof(public_key, peer_id).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn signed(height: u64, round: u32, step: Step, value: u8) -> Signed {
        Signed {
            height,
            round,
            step,
            value: Hash([value; 32]),
        }
    }

    #[test]
    fn lines_are_as_documented_and_read_back() {
        let home = tempfile::tempdir().unwrap();
        let all = [
            signed(7, 0, Step::Proposal, 1),
            signed(7, 0, Step::Prevote, 2),
            signed(8, 3, Step::Precommit, 0),
        ];
        let journal = SignJournal::open(home.path()).unwrap();
        for one in &all {
            journal.append(one).unwrap();
        }
        let text = std::fs::read_to_string(home.path().join(JOURNAL_FILE)).unwrap();
        let (ones, twos, zeros) = ("01".repeat(32), "02".repeat(32), "00".repeat(32));
        assert_eq!(
            text,
            format!("7 0 proposal {ones}\n7 0 prevote {twos}\n8 3 precommit {zeros}\n")
        );
        assert_eq!(SignJournal::read(home.path()).unwrap(), all);
    }

    #[test]
    fn a_line_without_its_end_is_left_out_and_a_wrong_one_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(JOURNAL_FILE);
        let whole = signed(7, 0, Step::Prevote, 1);
        std::fs::write(&path, whole.line() + "8 0 prevo").unwrap();
        assert_eq!(SignJournal::read(home.path()).unwrap(), [whole]);
        for wrong in ["", "8 0 vote 00", "8 0 prevote 00", "x 0 prevote"] {
            std::fs::write(&path, format!("{wrong}\n{}", whole.line())).unwrap();
            let read = SignJournal::read(home.path());
            assert!(
                matches!(read, Err(JournalError::Line { line: 1, .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn two_values_at_one_place_are_a_double_signature_and_one_twice_is_not() {
        let again = signed(7, 0, Step::Prevote, 1);
        let honest = [again, again, signed(7, 1, Step::Prevote, 2)];
        assert!(double_signatures(&honest).is_empty());
        let doubled = [again, signed(7, 0, Step::Precommit, 2), again];
        assert!(double_signatures(&doubled).is_empty());
        let doubled = [again, signed(7, 0, Step::Prevote, 0)];
        assert_eq!(double_signatures(&doubled), [(7, 0, Step::Prevote)]);
    }
}
