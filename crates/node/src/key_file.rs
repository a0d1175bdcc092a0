//! The text of `node.key`.
//!
//! Two lines of hexadecimal digits: the secret key, 64, and its public key, 66. The second makes any changed digit
//! an error; without it another key would be taken for the node's own. A file of one line, made by hand, is read
//! as well.

use caduceus_crypto::{PublicKey, SecretKey};
use zeroize::Zeroizing;

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It is not the text described.
    #[error(
        "a key file is 64 hexadecimal digits, then 66 of the public key on a line of their own"
    )]
    Form,
    /// The two lines do not belong together.
    #[error(
        "the secret key is not that of public key {public}: the file was damaged; restore it from a backup"
    )]
    OtherKey {
        /// The public key in the file.
        public: PublicKey,
    },
}

/// The text of a key's file. Write it where its owner alone may read.
pub fn key_text(key: &SecretKey) -> Zeroizing<String> {
    let secret = Zeroizing::new(hex::encode(&key.to_bytes()[..]));
    Zeroizing::new(format!("{}\n{}\n", secret.as_str(), key.public()))
}

/// Reads such a text.
///
/// # Errors
/// [`KeyFileError`].
pub fn parse_key(text: &str) -> Result<SecretKey, KeyFileError> {
    let mut lines = text.lines();
    let digits = lines.next().unwrap_or_default();
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits.trim(), &mut bytes[..]).map_err(|_| KeyFileError::Form)?;
    let key = SecretKey::from_bytes(&bytes).map_err(|_| KeyFileError::Form)?;
    if let Some(line) = lines.next() {
        let public: PublicKey = line.trim().parse().map_err(|_| KeyFileError::Form)?;
        if public != key.public() {
            return Err(KeyFileError::OtherKey { public });
        }
    }
    match lines.next() {
        None => Ok(key),
        Some(_) => Err(KeyFileError::Form),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::domain;

    fn key() -> SecretKey {
        SecretKey::derive(domain::VOTE, &[1], &[])
    }

    #[test]
    fn a_text_gives_its_key_back_with_or_without_the_second_line() {
        let text = key_text(&key());
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [64, 66]);
        assert_eq!(parse_key(&text).unwrap().public(), key().public());
        assert_eq!(parse_key(&text[..65]).unwrap().public(), key().public());
    }

    #[test]
    fn no_changed_byte_gives_another_key() {
        let text = key_text(&key());
        let (mut refused, mut same) = (0, 0);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = std::str::from_utf8(&bytes) else {
                    refused += 1;
                    continue;
                };
                match parse_key(changed) {
                    Err(_) => refused += 1,
                    Ok(read) => {
                        assert_eq!(read.public(), key().public(), "byte {at} bit {bit}");
                        same += 1;
                    }
                }
            }
        }
        println!(
            "{refused} of {} flips refused, {same} harmless",
            8 * text.len()
        );
        assert!(refused > same && refused + same == 8 * text.len());
    }
}
