//! Secret keys in files, mode 0600: two lines of hexadecimal digits, the secret key's 64 and its public key's 66, as in
//! a node's `node.key`.
//!
//! The second line makes any changed digit an error; without it another key would be taken for the right one. A file
//! of one line, from before there were two, is read as well.

use caduceus_cli::{CliError, read_limited, write_private_new};
use caduceus_crypto::{PublicKey, SecretKey};
use std::path::Path;
use zeroize::Zeroizing;

/// Largest key file, bytes: both lines and some white space.
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
    let read = Zeroizing::new(read_limited(path, MAX_BYTES)?);
    let text = std::str::from_utf8(&read).map_err(|_| wrong())?;
    let mut lines = text.trim().lines();
    let digits = lines.next().unwrap_or_default().trim();
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits, &mut bytes[..]).map_err(|_| wrong())?;
    let key = SecretKey::from_bytes(&bytes).map_err(|_| wrong())?;
    let Some(line) = lines.next() else {
        return Ok(key);
    };
    let public: PublicKey = line.trim().parse().map_err(|_| wrong())?;
    if public != key.public() {
        return Err(CliError::failure(
            format!(
                "{} is damaged: its secret key is not that of public key {public}",
                path.display()
            ),
            "restore it from a backup, or make a new home",
        ));
    }
    match lines.next() {
        None => Ok(key),
        Some(_) => Err(wrong()),
    }
}

/// Writes a key to a file that does not exist yet.
///
/// # Errors
/// Failure when the file exists or cannot be written, naming it.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), CliError> {
    let secret = Zeroizing::new(hex::encode(&key.to_bytes()[..]));
    let text = Zeroizing::new(format!("{}\n{}\n", secret.as_str(), key.public()));
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

    #[test]
    fn a_changed_digit_is_no_other_key_where_the_public_key_follows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.key");
        let key = SecretKey::generate(&mut OsRng);
        write_key(&path, &key).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [64, 66]);
        let last = if text.as_bytes()[63] == b'0' {
            "1"
        } else {
            "0"
        };
        let changed = [&text[..63], last, &text[64..]].concat();
        std::fs::write(&path, &changed).unwrap();
        assert!(read_key(&path).is_err());
        // One line is read as ever, and is what it is.
        std::fs::write(&path, &text[..65]).unwrap();
        assert_eq!(read_key(&path).unwrap().public(), key.public());
        std::fs::write(&path, format!("{text}more\n")).unwrap();
        assert!(read_key(&path).is_err(), "nothing may follow");
    }
}
