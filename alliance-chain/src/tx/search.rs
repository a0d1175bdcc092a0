//! `Search`: a trapdoor query over one hospital's records, under a token's fresh key (DESIGN 2.3, 3.4).
//!
//! # Leakage
//! Every member learns, for ever: the hospital, the covered days, which records match which slot, and that
//! these slots belong together. Nobody learns a keyword, nor whose search it is. Under the schemes that scan, the
//! days are a rule of the chain alone: whoever keeps a trapdoor can test every record with it, earlier and later
//! ones. Under `peks`, whoever guesses a keyword can test a trapdoor for it as well.

use super::signed_payload;
use crate::state::RecordRef;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::domain;
use caduceus_crypto::index::Query;
use caduceus_crypto::keys::{HospitalId, SecretKey, Signature};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::token::Token;
use caduceus_ledger::{ChainId, Height};

/// What is searched, where, and by what right.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Search {
    /// The hospital whose records are searched.
    pub hospital: HospitalId,
    /// The trapdoors, unverified.
    pub query: Query,
    /// Random, so that equal searches differ.
    pub nonce: [u8; 32],
    /// Last alliance height at which the search may run.
    pub expires: Height,
    /// The alliance chain.
    pub chain: ChainId,
    /// The member that issued the token.
    pub issuer: HospitalId,
    /// The token that the search spends.
    pub token: Token,
}

/// A [`Search`] with a claimed signature of the token's key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedSearch {
    /// What is searched.
    pub body: Search,
    /// Token key's signature over (chain, body).
    pub signature: Signature,
}

impl Search {
    /// Signs with the token's fresh key.
    pub fn sign(self, token_key: &SecretKey) -> SignedSearch {
        let signature = token_key.sign(domain::SEARCH, &signed_payload(&self.chain, &self));
        SignedSearch {
            body: self,
            signature,
        }
    }
}

impl SignedSearch {
    /// Whether the token's own key signed this body.
    pub fn is_signed(&self) -> bool {
        let payload = signed_payload(&self.body.chain, &self.body);
        self.body
            .token
            .key
            .verify(domain::SEARCH, &payload, &self.signature)
            .is_ok()
    }
}

/// One record that matches.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Hit {
    /// Its place on the hospital's private chain.
    pub record: RecordRef,
    /// Its one-time pseudonym: lets the patient recognise what is hers.
    pub pseudonym: Pseudonym,
    /// Its hash.
    pub record_hash: Hash,
}

/// Result of a `Search`, proved under the block's results root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SearchResult {
    /// The hospital searched.
    pub hospital: HospitalId,
    /// Private height up to which every anchored record was searched.
    pub linked_height: u64,
    /// Matching records.
    pub hits: Vec<Hit>,
    /// The first record that matched and did not fit, or [`SearchResult::GAVE_UP`]; none if the search is
    /// complete.
    pub stopped_at: Option<RecordRef>,
    /// Tags looked up, or entries tested where the scheme scans.
    pub probes: u64,
}

impl SearchResult {
    /// Stands in `stopped_at` when the probes ran out: there are no hits then, and the client splits its covers.
    /// No record has this place, since private heights begin at 1.
    pub const GAVE_UP: RecordRef = RecordRef {
        height: 0,
        position: 0,
    };

    /// Whether the probes ran out.
    pub fn gave_up(&self) -> bool {
        self.stopped_at == Some(Self::GAVE_UP)
    }
}
