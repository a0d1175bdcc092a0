//! Secret keys in files: 64 hexadecimal digits and a line break, mode 0600.

use caduceus_cli::{CliError, read_limited, write_private_new};
use caduceus_crypto::SecretKey;
use std::path::Path;
use zeroize::Zeroizing;

/// Largest key file, bytes: the digits and some white space.
const MAX_BYTES: usize = 256;

/// Reads a key.
///
/// # Errors
/// Not found, denied or failure, naming the file.
pub fn read_key(path: &Path) -> Result<SecretKey, CliError> {
    let wrong = || {
        CliError::failure(
            format!("{} does not hold a secret key", path.display()),
            "restore it from a backup, or make a new home",
        )
    };
    let text = Zeroizing::new(read_limited(path, MAX_BYTES)?);
    let digits = text.trim_ascii();
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits, &mut bytes[..]).map_err(|_| wrong())?;
    SecretKey::from_bytes(&bytes).map_err(|_| wrong())
}

/// Writes a key to a file that does not exist yet.
///
/// # Errors
/// Failure when the file exists or cannot be written, naming it.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), CliError> {
    let mut text = Zeroizing::new(hex::encode(&key.to_bytes()[..]));
    text.push('\n');
    write_private_new(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rand_core::OsRng;

    #[test]
    fn a_key_survives_its_file_and_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.key");
        let key = SecretKey::generate(&mut OsRng);
        write_key(&path, &key).unwrap();
        assert_eq!(read_key(&path).unwrap().public(), key.public());
        assert!(write_key(&path, &SecretKey::generate(&mut OsRng)).is_err());
        std::fs::write(&path, "00".repeat(32)).unwrap();
        assert!(read_key(&path).is_err(), "zero is no key");
    }
}
