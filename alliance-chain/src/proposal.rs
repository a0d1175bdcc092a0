//! A proposal that members pass around until enough of them approve: a text file of two lines.
//!
//! Line 1 is [`TITLE`]; line 2 is the borsh of a [`Proposal`] in hexadecimal digits: the chain 32, generation 8, the
//! change, approvals (count 4, hospital 32 and signature 64 each).

use crate::tx::{Change, Governance, SignedGovernance, Tx};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_ledger::ChainId;

/// The first line of a proposal file.
pub const TITLE: &str = "caduceus alliance proposal 1";

/// Largest proposal, encoded: that of the largest change with every member's approval.
pub const MAX_PROPOSAL_BYTES: usize = 64 * 1024;

/// A change of the alliance with the approvals so far.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// The alliance chain: an approval is worth nothing on another.
    pub chain: ChainId,
    /// The change, at its place, and who approved.
    pub governance: SignedGovernance,
}

/// Why a text is no proposal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProposalError {
    /// Another first line.
    #[error("it does not begin with \"{TITLE}\"")]
    Title,
    /// Not two lines, or not hexadecimal digits.
    #[error("its second line is not hexadecimal digits alone")]
    Hex,
    /// The bytes are no proposal.
    #[error("its bytes: {0}")]
    Decode(#[source] DecodeError),
}

impl Proposal {
    /// A change that nobody approved yet.
    pub fn new(chain: ChainId, generation: u64, change: Change) -> Self {
        Self {
            chain,
            governance: Governance { generation, change }.with_approvals(Vec::new()),
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ProposalError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, ProposalError> {
        let (title, rest) = text.split_once('\n').unwrap_or((text, ""));
        if title.trim_end() != TITLE {
            return Err(ProposalError::Title);
        }
        let bytes = unhex(rest.trim()).ok_or(ProposalError::Hex)?;
        codec::decode_exact(&bytes, MAX_PROPOSAL_BYTES).map_err(ProposalError::Decode)
    }

    /// The text of a file.
    pub fn to_text(&self) -> String {
        let digits: String = codec::encode(self)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{TITLE}\n{digits}\n")
    }

    /// Adds a member's approval, in the order of identifiers. False if it approved before.
    pub fn approve(&mut self, hospital: HospitalId, identity: &SecretKey) -> bool {
        let approvals = &mut self.governance.approvals;
        match approvals.binary_search_by_key(&hospital, |(approver, _)| *approver) {
            Ok(_) => false,
            Err(at) => {
                let signature = self.governance.body.approve(&self.chain, identity);
                approvals.insert(at, (hospital, signature));
                true
            }
        }
    }

    /// The transaction.
    pub fn to_tx(&self) -> Tx {
        Tx::Member(self.governance.clone())
    }
}

/// Approvals that so many members need: two thirds, rounded up.
pub fn approvals_needed(members: usize) -> usize {
    (members * 2).div_ceil(3)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * MAX_PROPOSAL_BYTES {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, hospital, identity};

    fn proposal() -> Proposal {
        Proposal::new(testing::chain(), 0, Change::Admit(testing::member(3)))
    }

    #[test]
    fn a_proposal_goes_from_member_to_member_and_onto_the_chain() {
        let mut text = proposal().to_text();
        for i in [2, 0] {
            let mut read = Proposal::parse(&text).unwrap();
            assert!(read.approve(hospital(i), &identity(i)));
            assert!(!read.approve(hospital(i), &identity(i)));
            text = read.to_text();
        }
        let ready = Proposal::parse(&text).unwrap();
        assert_eq!(ready.governance.approvals.len(), approvals_needed(3));
        Chain::new().accept(&ready.to_tx());
    }

    #[test]
    fn two_thirds_are_rounded_up() {
        let needed = [1, 2, 3, 4, 5, 6, 7, 128].map(approvals_needed);
        assert_eq!(needed, [1, 2, 2, 3, 4, 4, 5, 86]);
    }

    #[test]
    fn other_texts_are_refused() {
        let good = proposal().to_text();
        let digits = good.lines().nth(1).unwrap();
        let cases = [
            (String::new(), "Title"),
            (good.replace("proposal 1", "proposal 2"), "Title"),
            (digits.to_owned(), "Title"),
            (format!("{TITLE}\n"), "Decode"),
            (format!("{TITLE}\n{digits}0\n"), "Hex"),
            (format!("{TITLE}\n{digits}00\n"), "Decode"),
            (format!("{TITLE}\nx{}\n", &digits[1..]), "Hex"),
            (format!("{TITLE}\n{}\n", &digits[2..]), "Decode"),
            (format!("{TITLE}\n{digits}\n{digits}\n"), "Hex"),
            (
                format!("{TITLE}\n{}\n", "0".repeat(2 * MAX_PROPOSAL_BYTES + 2)),
                "Hex",
            ),
        ];
        for (n, (text, expected)) in cases.iter().enumerate() {
            let found = format!("{:?}", Proposal::parse(text).unwrap_err());
            assert!(found.starts_with(expected), "case {n}: {found}");
        }
        println!("{} texts refused", cases.len());
    }
}
