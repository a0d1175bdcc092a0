//! What tests of several modules share: linked histories, and a clinic that indexes records of one patient.

use crate::local::OwnRecord;
use crate::slots::SlotKeys;
use crate::state::FoundRecord;
use alliance_chain::RecordRef;
use alliance_chain::query::LinkedBlock;
use alliance_chain::state::LinkedHead;
use caduceus_client::LinkedHistory;
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::index::{IndexEntries, Tag};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::time::{Epoch, MILLIS_PER_DAY, TimeMillis};
use caduceus_crypto::{Hash, HospitalId, SecretKey};
use caduceus_custody::author::make_pseudonym;
use caduceus_custody::scheme::{HospitalSide, IndexScheme, PatientSide};
use caduceus_ledger::{Address, Certificate, CertifiedHeader, ChainId, Header, Height};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// A record of nobody in particular.
pub(crate) fn leaf(byte: u8) -> AnchorLeaf {
    AnchorLeaf {
        pseudonym: Pseudonym {
            point: SecretKey::generate(&mut OsRng).public(),
            ephemeral: SecretKey::generate(&mut OsRng).public(),
            view_tag: byte,
        },
        record_hash: Hash([byte; 32]),
        entries: IndexEntries::Tags((0..8).map(|n| Tag([byte ^ n; 16])).collect()),
    }
}

/// A history with these blocks from private height 1 on, all of the first day of 1970.
pub(crate) fn history(blocks: Vec<Vec<AnchorLeaf>>) -> LinkedHistory {
    history_of(
        (1u64..)
            .zip(blocks)
            .map(|(height, leaves)| LinkedBlock {
                height: Height(height),
                time: TimeMillis(1_000 * height),
                leaves,
            })
            .collect(),
    )
}

fn history_of(blocks: Vec<LinkedBlock>) -> LinkedHistory {
    let linked = blocks.last().map(|last| LinkedHead {
        height: last.height,
        records: blocks.iter().map(|block| block.leaves.len() as u64).sum(),
        digest: blocks
            .iter()
            .fold(Hash::ZERO, |digest, block| block.digest_after(&digest)),
    });
    LinkedHistory {
        hospital: HospitalId([1; 32]),
        head: head(),
        linked,
        blocks,
    }
}

fn head() -> CertifiedHeader {
    CertifiedHeader {
        header: Header {
            chain: ChainId(Hash::ZERO),
            height: Height(9),
            time: TimeMillis(9_000),
            proposer: Address::default(),
            parent: Hash::ZERO,
            txs_root: Hash::ZERO,
            results_root: Hash::ZERO,
            state_root: Hash::ZERO,
            validators: Hash::ZERO,
            next_validators: Hash::ZERO,
            extra: Vec::new(),
        },
        certificate: Certificate {
            height: Height(9),
            round: 0,
            block: Hash::ZERO,
            signatures: Vec::new(),
        },
    }
}

/// A hospital that indexes records of one patient, one private block a record.
pub(crate) struct Clinic<S: IndexScheme> {
    hospital: HospitalSide,
    patient: PatientSide,
    rng: ChaCha20Rng,
    counts: BTreeMap<(Epoch, String), u32>,
    height: u64,
    scheme: PhantomData<S>,
}

impl<S: IndexScheme> Clinic<S> {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (hospital, patient) = S::keygen(&mut rng);
        Self {
            hospital,
            patient,
            rng,
            counts: BTreeMap::new(),
            height: 0,
            scheme: PhantomData,
        }
    }

    pub(crate) fn with(&self) -> SlotKeys<'_> {
        SlotKeys {
            scheme: S::ID,
            keys: &self.patient.keys,
            hospital: &self.patient.hospital,
            index: &self.patient.index,
        }
    }

    /// The next record, with its tags of `day`, in a private block of that day.
    pub(crate) fn record(&mut self, day: Epoch, keywords: &[&str]) -> OwnRecord {
        let numbered: Vec<(&str, u32)> = keywords
            .iter()
            .map(|keyword| {
                let next = self.counts.entry((day, (*keyword).to_owned())).or_default();
                *next += 1;
                (*keyword, *next - 1)
            })
            .collect();
        self.record_numbered(day, &numbered)
    }

    /// The next record, with these numbers.
    pub(crate) fn record_numbered(&mut self, day: Epoch, keywords: &[(&str, u32)]) -> OwnRecord {
        let key = S::author_key(&self.hospital, day);
        let entries = S::index(&mut self.rng, &key, day, keywords).unwrap();
        let made = make_pseudonym(&mut self.rng, &self.hospital.hospital, &self.hospital.meta);
        self.height += 1;
        let mut name = [0; 32];
        name[..8].copy_from_slice(&self.height.to_be_bytes());
        let record_hash = Hash(name);
        OwnRecord {
            found: FoundRecord {
                hospital: self.hospital.hospital,
                record: RecordRef {
                    height: self.height,
                    position: 0,
                },
                record_hash,
                pseudonym: made.pseudonym,
            },
            day,
            leaf: AnchorLeaf {
                pseudonym: made.pseudonym,
                record_hash,
                entries,
            },
        }
    }

    /// The history in which these records are linked.
    pub(crate) fn history(&self, records: &[OwnRecord]) -> LinkedHistory {
        let blocks = records
            .iter()
            .map(|own| LinkedBlock {
                height: Height(own.found.record.height),
                time: TimeMillis(u64::from(own.day.0) * MILLIS_PER_DAY),
                leaves: vec![own.leaf.clone()],
            })
            .collect();
        LinkedHistory {
            hospital: self.hospital.hospital,
            ..history_of(blocks)
        }
    }
}
