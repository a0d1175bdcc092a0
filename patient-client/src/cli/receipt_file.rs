//! Receipt files, as the workstation hands them over.

use caduceus_cli::{CliError, read_limited};
use caduceus_crypto::codec;
use caduceus_crypto::evidence::Receipt;
use serde::Deserialize;
use std::path::Path;

/// Largest receipt file, bytes.
const MAX_RECEIPT_BYTES: usize = 64 * 1024;

/// Names the shape of a receipt file.
const RECEIPT_FORMAT: &str = "caduceus-receipt/1";

/// What counts of a receipt file, as `hospital-server upload` writes it.
#[derive(Deserialize)]
struct ReceiptFile {
    format: String,
    /// Borsh of the signed receipt, hexadecimal.
    receipt: String,
}

/// A receipt from a file of the workstation.
pub(super) fn read_receipt(path: &Path) -> Result<Receipt, CliError> {
    let wrong = |reason: String| {
        CliError::usage(
            format!("{} is not a receipt: {reason}", path.display()),
            "the file that the workstation wrote at the upload",
        )
    };
    let text = read_limited(path, MAX_RECEIPT_BYTES)?;
    let file: ReceiptFile =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if file.format != RECEIPT_FORMAT {
        return Err(wrong(format!(
            "its format is {:?}, not {RECEIPT_FORMAT:?}",
            file.format
        )));
    }
    let bytes = hex::decode(&file.receipt).map_err(|error| wrong(error.to_string()))?;
    codec::decode_exact::<Receipt>(&bytes, MAX_RECEIPT_BYTES)
        .map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::pseudonym::Pseudonym;
    use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis};
    use rand_core::OsRng;

    fn receipt() -> Receipt {
        let key = SecretKey::generate(&mut OsRng);
        let pseudonym = Pseudonym {
            point: SecretKey::generate(&mut OsRng).public(),
            ephemeral: SecretKey::generate(&mut OsRng).public(),
            view_tag: 3,
        };
        Receipt::sign(
            &key,
            HospitalId([1; 32]),
            Hash([2; 32]),
            Hash([3; 32]),
            pseudonym,
            TimeMillis(4),
        )
    }

    #[test]
    fn a_receipt_is_read_and_each_mistake_has_its_two_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt.json");
        let receipt = receipt();
        let bytes = hex::encode(codec::encode(&receipt));
        let good = format!(r#"{{"format":"{RECEIPT_FORMAT}","receipt":"{bytes}","more":1}}"#);
        std::fs::write(&path, &good).unwrap();
        assert_eq!(read_receipt(&path).unwrap(), receipt);
        let mistakes = [
            "nonsense".to_owned(),
            "{}".to_owned(),
            good.replace("receipt/1", "receipt/2"),
            good.replace(&bytes, "zz"),
            good.replace(&bytes, &bytes[2..]),
        ];
        for text in &mistakes {
            std::fs::write(&path, text).unwrap();
            let error = read_receipt(&path).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage, "{text}");
            assert!(error.to_string().contains("is not a receipt"), "{text}");
            assert_eq!(error.to_string().lines().count(), 2);
        }
        let missing = read_receipt(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.exit, ExitCode::NotFound);
        println!("{} mistakes", mistakes.len() + 1);
    }
}
