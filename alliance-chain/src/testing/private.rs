//! Blocks of a hospital's private chain, as the alliance sees them.

use super::{NOW, hospital, one_time, secret};
use crate::state::AnchorsExtra;
use crate::tx::Checkpoint;
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::index::{IndexEntries, SchemeId, Tag};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::time::TimeMillis;
use caduceus_crypto::{Hash, codec, domain, merkle};
use caduceus_ledger::{
    Address, Certificate, ChainId, Header, Height, Validator, ValidatorSet, Vote, VoteKind,
};

/// The private chain of hospital `i`.
pub fn private_chain(i: u8) -> ChainId {
    ChainId(Hash([0x50 + i; 32]))
}

/// The four validators of the private chain of hospital `i`.
pub fn private_set(i: u8) -> ValidatorSet {
    let validators = (0..4)
        .map(|v| Validator {
            key: secret(60 + 4 * i + v).public(),
            power: 1,
        })
        .collect();
    ValidatorSet::new(validators).unwrap()
}

/// The anchor of record `i`: its first tags are those of the keywords that [`super::search`] knows.
pub fn leaf(i: u8) -> AnchorLeaf {
    let mut tags = super::search::keyword_tags(i);
    let padding = (0..8u8).map(|n| Tag([0xf0 | i, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let missing = 8 - tags.len();
    tags.extend(padding.take(missing));
    tags.sort();
    leaf_with(i, IndexEntries::Tags(tags))
}

/// The anchor of record `i`, indexed with the same keywords under a scheme.
pub fn leaf_of(scheme: SchemeId, i: u8) -> AnchorLeaf {
    match scheme {
        SchemeId::Tags => leaf(i),
        SchemeId::Peks => leaf_with(i, super::scan::peks_entries(i)),
        SchemeId::Paeks => leaf_with(i, super::scan::paeks_entries(i)),
    }
}

fn leaf_with(i: u8, entries: IndexEntries) -> AnchorLeaf {
    AnchorLeaf {
        pseudonym: Pseudonym {
            point: one_time(i).public(),
            ephemeral: secret(140 + i).public(),
            view_tag: i,
        },
        record_hash: Hash([i + 1; 32]),
        entries,
    }
}

/// Three of the four validators of hospital `i` certify a header.
pub fn certificate(i: u8, header: &Header) -> Certificate {
    let block = header.hash();
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(block),
    };
    let signatures = (0..3)
        .map(|v| {
            let key = secret(60 + 4 * i + v);
            (
                Address::of(&key.public()),
                key.sign(domain::VOTE, &vote.sign_bytes()),
            )
        })
        .collect();
    Certificate {
        height: header.height,
        round: 0,
        block,
        signatures,
    }
}

/// A growing private chain.
pub struct PrivateBlocks {
    hospital: u8,
    /// Headers from height 1 on.
    pub headers: Vec<Header>,
}

impl PrivateBlocks {
    /// No block yet.
    pub fn new(hospital: u8) -> Self {
        Self {
            hospital,
            headers: Vec::new(),
        }
    }

    /// Appends a block with these anchors.
    pub fn push(&mut self, leaves: &[AnchorLeaf]) -> &mut Self {
        let height = self.headers.len() as u64 + 1;
        let encoded: Vec<Vec<u8>> = leaves.iter().map(codec::encode).collect();
        let set = private_set(self.hospital).hash();
        let extra = AnchorsExtra {
            root: merkle::root(&encoded),
            count: u32::try_from(leaves.len()).unwrap(),
        };
        self.headers.push(Header {
            chain: private_chain(self.hospital),
            height: Height(height),
            time: TimeMillis(NOW.0 + height),
            proposer: Address::default(),
            parent: self.headers.last().map_or(Hash([0x77; 32]), Header::hash),
            txs_root: Hash::ZERO,
            results_root: Hash::ZERO,
            state_root: Hash::ZERO,
            validators: set,
            next_validators: set,
            extra: extra.to_bytes(),
        });
        self
    }

    /// Changes the header at a height and mends the parents after it.
    pub fn alter(&mut self, height: usize, change: impl FnOnce(&mut Header)) {
        change(&mut self.headers[height - 1]);
        for at in height..self.headers.len() {
            self.headers[at].parent = self.headers[at - 1].hash();
        }
    }

    /// The headers of these heights with a certificate on the last.
    pub fn checkpoint(&self, first: usize, last: usize) -> Checkpoint {
        let headers = self.headers[first - 1..last].to_vec();
        let certificate = certificate(self.hospital, headers.last().unwrap());
        Checkpoint {
            hospital: hospital(self.hospital),
            headers,
            certificate,
            next_validators: None,
        }
    }
}
