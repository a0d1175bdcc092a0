//! An officer's share in a file: the hospital's key in the clear, the share sealed to her staff key.
//!
//! | field | bytes |
//! |---|---|
//! | magic | `CADEMSH1` |
//! | key | borsh of `SignedEmergencyKey` |
//! | box | length `u32`, sealed share |

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{decode_exact, encode};
use caduceus_crypto::emergency::CheckedEmergencyKey;
use caduceus_crypto::keys::SecretKey;
use caduceus_custody::emergency::{EmergencyShare, SHARE_BOX_BYTES, open_share};
use caduceus_network::exchange::MAX_EMERGENCY_KEY_BYTES;
use private_chain::SignedEmergencyKey;

use super::{EmergencyFault, hospitals_key};
use crate::network_map::HospitalMap;

const MAGIC: [u8; 8] = *b"CADEMSH1";

/// Largest share file, bytes.
pub const MAX_SHARE_FILE_BYTES: usize = MAX_EMERGENCY_KEY_BYTES + SHARE_BOX_BYTES + 64;

/// A share file, as it is read: [`ShareFile::open`] checks it. What is secret in it is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareFile {
    key: SignedEmergencyKey,
    sealed: Vec<u8>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Fields {
    magic: [u8; 8],
    key: SignedEmergencyKey,
    sealed: Vec<u8>,
}

impl ShareFile {
    pub(in crate::workstation) fn new(key: SignedEmergencyKey, sealed: Vec<u8>) -> Self {
        Self { key, sealed }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&Fields {
            magic: MAGIC,
            key: self.key.clone(),
            sealed: self.sealed.clone(),
        })
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`EmergencyFault::ShareFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EmergencyFault> {
        let wrong = EmergencyFault::ShareFile {
            what: "it is not a share file",
        };
        let fields: Fields =
            decode_exact(bytes, MAX_SHARE_FILE_BYTES).map_err(|_| wrong.clone())?;
        if fields.magic != MAGIC {
            return Err(wrong);
        }
        Ok(Self {
            key: fields.key,
            sealed: fields.sealed,
        })
    }

    /// Which of the hospital's emergency keys it is a share of.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.key.body.generation
    }

    /// The key, checked against the network file.
    ///
    /// # Errors
    /// [`EmergencyFault::ShareFile`].
    pub fn key(&self, map: &HospitalMap) -> Result<CheckedEmergencyKey, EmergencyFault> {
        let bytes = encode(&self.key);
        match hospitals_key(map, &bytes) {
            Ok((_, key)) => Ok(key),
            Err(what) => Err(EmergencyFault::ShareFile { what }),
        }
    }

    /// Opens and checks the share: that the hospital named the key, and the share fits its commitments.
    ///
    /// # Errors
    /// [`EmergencyFault`].
    pub fn open(
        &self,
        map: &HospitalMap,
        staff: &SecretKey,
    ) -> Result<EmergencyShare, EmergencyFault> {
        Ok(open_share(&self.key(map)?, staff, &self.sealed)?)
    }
}
