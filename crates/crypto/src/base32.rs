//! Crockford's base 32: digits and upper-case letters without I, L, O and U. Case does not matter to the
//! reader, and I, L and O are read as the digits that they look like.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Symbols that hold this many bytes.
pub(crate) const fn symbols(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Encodes most significant bit first; the last symbol is filled with zero bits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(symbols(bytes.len()));
    let (mut pending, mut bits) = (0u32, 0u32);
    for byte in bytes {
        pending = (pending << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(symbol(pending >> bits));
        }
        pending &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(symbol(pending << (5 - bits)));
    }
    out
}

/// Decodes exactly `N` bytes: no other length, no foreign character, no filling bit set.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != symbols(N) {
        return None;
    }
    let mut out = [0u8; N];
    let (mut pending, mut bits, mut at) = (0u32, 0u32, 0usize);
    for character in text.bytes() {
        pending = (pending << 5) | u32::from(value(character)?);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *out.get_mut(at)? = u8::try_from(pending >> bits).ok()?;
            pending &= (1 << bits) - 1;
            at += 1;
        }
    }
    (at == N && pending == 0).then_some(out)
}

fn symbol(value: u32) -> char {
    char::from(ALPHABET[(value & 31) as usize])
}

fn value(character: u8) -> Option<u8> {
    let character = match character.to_ascii_uppercase() {
        b'I' | b'L' => b'1',
        b'O' => b'0',
        other => other,
    };
    let index = ALPHABET.iter().position(|symbol| *symbol == character)?;
    u8::try_from(index).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(&[0xff]), "ZW");
        assert_eq!(encode(b"foobar"), "CSQPYRK1E8");
        assert_eq!(decode::<6>("csqpyrkle8"), Some(*b"foobar"));
        assert_eq!(decode::<1>("ZZ"), None, "a filling bit is set");
        assert_eq!(decode::<1>("UW"), None);
        assert_eq!(decode::<1>("ZWZ"), None);
        assert_eq!(decode::<1>("\u{e9}"), None);
    }

    proptest! {
        #[test]
        fn round_trip(bytes in prop::array::uniform23(any::<u8>())) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), symbols(23));
            prop_assert_eq!(decode::<23>(&text), Some(bytes));
            prop_assert_eq!(decode::<23>(&text.to_lowercase()), Some(bytes));
        }

        #[test]
        fn one_text_a_value(text in "[0-9A-Z]{8}") {
            if let Some(bytes) = decode::<5>(&text) {
                let plain = text.replace(['I', 'L'], "1").replace('O', "0");
                prop_assert_eq!(encode(&bytes), plain);
            }
        }
    }
}
