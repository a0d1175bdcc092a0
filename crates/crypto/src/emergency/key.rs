//! A hospital's emergency key: what is public of it.

use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use k256::{ProjectivePoint, Scalar};
use std::collections::BTreeSet;

use crate::codec::{encode, invalid};
use crate::domain;
use crate::hash::{Hash, hash};
use crate::keys::PublicKey;

/// Most officers of a key.
pub const MAX_OFFICERS: usize = 32;
/// Least threshold: nobody opens a record alone.
pub const MIN_THRESHOLD: usize = 2;

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmergencyKeyError {
    /// Generations count from 1.
    #[error("an emergency key's generation counts from 1")]
    Generation,
    /// More than [`MAX_OFFICERS`].
    #[error("{found} officers, at most {MAX_OFFICERS} allowed")]
    TooManyOfficers {
        /// Officers found.
        found: usize,
    },
    /// Below [`MIN_THRESHOLD`], or above the number of officers.
    #[error(
        "a threshold of {threshold} among {officers} officers; from {MIN_THRESHOLD} to all of them expected"
    )]
    Threshold {
        /// Number of commitments.
        threshold: usize,
        /// Number of officers.
        officers: usize,
    },
    /// One person is named twice.
    #[error("officer {officer} is named twice")]
    OfficerTwice {
        /// Her staff key.
        officer: PublicKey,
    },
    /// An officer's share is zero, which everybody knows.
    #[error("the share of officer {index} is zero")]
    ZeroShare {
        /// Her index, from 1.
        index: u8,
    },
}

/// A hospital's emergency key as it travels; [`EmergencyKey::check`] says whether it is one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct EmergencyKey {
    /// Counts the hospital's keys, from 1.
    pub generation: u32,
    /// C_0 = E to C_(t-1); their number is the threshold.
    pub commitments: Vec<PublicKey>,
    /// The officers' staff keys: the one at position i - 1 holds s_i.
    pub officers: Vec<PublicKey>,
}

impl BorshDeserialize for EmergencyKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        Ok(EmergencyKey {
            generation: u32::deserialize_reader(reader)?,
            commitments: read_points(reader)?,
            officers: read_points(reader)?,
        })
    }
}

/// One more than allowed is let through, so that the rule and not the decoder refuses it.
fn read_points<R: Read>(reader: &mut R) -> borsh::io::Result<Vec<PublicKey>> {
    let count = u32::deserialize_reader(reader)? as usize;
    if count > MAX_OFFICERS + 1 {
        return Err(invalid("too many points"));
    }
    (0..count)
        .map(|_| PublicKey::deserialize_reader(reader))
        .collect()
}

/// One officer of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Officer {
    /// Her staff key.
    pub staff: PublicKey,
    /// S_i.
    pub share: PublicKey,
}

impl EmergencyKey {
    /// Checks the numbers, and computes each officer's public share.
    ///
    /// # Errors
    /// [`EmergencyKeyError`] names the first rule broken.
    pub fn check(&self) -> Result<CheckedEmergencyKey, EmergencyKeyError> {
        if self.generation == 0 {
            return Err(EmergencyKeyError::Generation);
        }
        let (threshold, officers) = (self.commitments.len(), self.officers.len());
        if officers > MAX_OFFICERS {
            return Err(EmergencyKeyError::TooManyOfficers { found: officers });
        }
        if !(MIN_THRESHOLD..=officers).contains(&threshold) {
            return Err(EmergencyKeyError::Threshold {
                threshold,
                officers,
            });
        }
        let mut seen = BTreeSet::new();
        for officer in &self.officers {
            if !seen.insert(officer) {
                let officer = *officer;
                return Err(EmergencyKeyError::OfficerTwice { officer });
            }
        }
        let commitments: Vec<ProjectivePoint> =
            self.commitments.iter().map(PublicKey::point).collect();
        let officers = (1u8..)
            .zip(&self.officers)
            .map(|(index, staff)| {
                let share = PublicKey::from_point(evaluate(&commitments, index))
                    .map_err(|_| EmergencyKeyError::ZeroShare { index })?;
                Ok(Officer {
                    staff: *staff,
                    share,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(CheckedEmergencyKey {
            generation: self.generation,
            threshold,
            point: self.commitments[0],
            officers,
            id: self.id(),
        })
    }

    /// Hash of all of it.
    pub fn id(&self) -> Hash {
        hash(domain::EMERGENCY_KEY, &[&encode(self)])
    }
}

/// Sum over k of i^k C_k, by Horner.
fn evaluate(commitments: &[ProjectivePoint], index: u8) -> ProjectivePoint {
    let x = Scalar::from(u32::from(index));
    commitments
        .iter()
        .rev()
        .fold(ProjectivePoint::IDENTITY, |sum, c| sum * x + c)
}

/// An emergency key that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedEmergencyKey {
    generation: u32,
    threshold: usize,
    point: PublicKey,
    officers: Vec<Officer>,
    id: Hash,
}

impl CheckedEmergencyKey {
    /// Counts the hospital's keys, from 1.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// t: officers that it takes.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// E.
    pub fn point(&self) -> &PublicKey {
        &self.point
    }

    /// Hash of the key.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// All officers, in the order of their indices from 1.
    pub fn officers(&self) -> &[Officer] {
        &self.officers
    }

    /// The officer of an index, from 1.
    pub fn officer(&self, index: u8) -> Option<&Officer> {
        self.officers.get(usize::from(index).checked_sub(1)?)
    }

    /// The index of an officer, from 1, by her staff key.
    pub fn index_of(&self, staff: &PublicKey) -> Option<u8> {
        (1u8..)
            .zip(&self.officers)
            .find_map(|(index, officer)| (officer.staff == *staff).then_some(index))
    }
}
