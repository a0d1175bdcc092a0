//! Receipts as files for the patient: JSON with the signed bytes, and their content for people.

use std::path::{Path, PathBuf};

use caduceus_cli::{CliError, create_private_dir, write_private};
use caduceus_crypto::codec::encode;
use caduceus_crypto::evidence::Receipt;
use serde::Serialize;

/// Names the shape of the file.
const FORMAT: &str = "caduceus-receipt/1";

/// A receipt file. `receipt` alone counts: the borsh of the signed receipt, hexadecimal; the rest repeats it for
/// people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptFile {
    /// `caduceus-receipt/1`.
    pub format: &'static str,
    /// Borsh of `caduceus_crypto::Receipt`, hexadecimal.
    pub receipt: String,
    /// The hospital's identifier.
    pub hospital: String,
    /// The record's hash.
    pub record_hash: String,
    /// By when the record is linked on the alliance chain.
    pub link_deadline: String,
    /// Height of the private block that holds the anchor.
    pub private_height: u64,
    /// Position among that block's anchors.
    pub position: u32,
}

impl ReceiptFile {
    /// The file of a receipt and the place of its anchor.
    #[must_use]
    pub fn of(receipt: &Receipt, private_height: u64, position: u32) -> Self {
        Self {
            format: FORMAT,
            receipt: hex::encode(encode(receipt)),
            hospital: receipt.hospital.to_string(),
            record_hash: receipt.record_hash.to_string(),
            link_deadline: receipt.link_deadline.to_string(),
            private_height,
            position,
        }
    }

    /// Writes it as `receipt-` and the record hash's first digits, and returns where.
    ///
    /// # Errors
    /// Failure or denied, naming the file.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, CliError> {
        create_private_dir(dir)?;
        let path = dir.join(format!("receipt-{}.json", &self.record_hash[..16]));
        let mut text = serde_json::to_string_pretty(self).map_err(|error| {
            CliError::failure(
                format!("cannot write a receipt: {error}"),
                "tell the operator: this is a bug",
            )
        })?;
        text.push('\n');
        write_private(&path, text.as_bytes())?;
        Ok(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::pseudonym::Pseudonym;
    use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis, decode_exact};
    use rand_core::OsRng;

    #[test]
    fn the_signed_bytes_survive_the_file() {
        let key = SecretKey::generate(&mut OsRng);
        let pseudonym = Pseudonym {
            point: SecretKey::generate(&mut OsRng).public(),
            ephemeral: SecretKey::generate(&mut OsRng).public(),
            view_tag: 7,
        };
        let hospital = HospitalId::from_identity(&key.public());
        let deadline = TimeMillis(1_800_000_000_000);
        let receipt = Receipt::sign(
            &key,
            hospital,
            Hash([1; 32]),
            Hash([2; 32]),
            pseudonym,
            deadline,
        );
        let dir = tempfile::tempdir().unwrap();
        let path = ReceiptFile::of(&receipt, 3, 1).write(dir.path()).unwrap();
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(json["format"], FORMAT);
        let bytes = hex::decode(json["receipt"].as_str().unwrap()).unwrap();
        let read: Receipt = decode_exact(&bytes, 4096).unwrap();
        assert_eq!(read, receipt);
        assert!(read.verify(&key.public()).is_ok());
    }
}
