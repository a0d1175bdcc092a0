//! Borsh decoders with a bound: the length is checked before anything is allocated.
//!
//! Used through `#[borsh(deserialize_with = "...")]` by the exchanges; the encoding is plain borsh.

use borsh::BorshDeserialize;
use borsh::io::{Error, ErrorKind, Read, Result};

fn length<R: Read>(reader: &mut R, limit: usize) -> Result<usize> {
    let found = u32::deserialize_reader(reader)? as usize;
    if found > limit {
        return Err(Error::new(
            ErrorKind::InvalidData,
            format!("length {found} is over the limit {limit}"),
        ));
    }
    Ok(found)
}

fn content<R: Read>(reader: &mut R, size: usize) -> Result<Vec<u8>> {
    // The reader is a message already in memory, bounded by the exchange, so `size` is small change.
    let mut bytes = vec![0u8; size];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes, at most `MAX`.
pub(crate) fn bytes<R: Read, const MAX: usize>(reader: &mut R) -> Result<Vec<u8>> {
    let size = length(reader, MAX)?;
    content(reader, size)
}

/// UTF-8 text of at most `MAX` bytes.
pub(crate) fn text<R: Read, const MAX: usize>(reader: &mut R) -> Result<String> {
    let size = length(reader, MAX)?;
    String::from_utf8(content(reader, size)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "text is not UTF-8"))
}

/// Bytes or none, at most `MAX`.
pub(crate) fn optional_bytes<R: Read, const MAX: usize>(reader: &mut R) -> Result<Option<Vec<u8>>> {
    if bool::deserialize_reader(reader)? {
        Ok(Some(bytes::<R, MAX>(reader)?))
    } else {
        Ok(None)
    }
}

/// UTF-8 text or none, at most `MAX` bytes.
pub(crate) fn optional_text<R: Read, const MAX: usize>(reader: &mut R) -> Result<Option<String>> {
    if bool::deserialize_reader(reader)? {
        Ok(Some(text::<R, MAX>(reader)?))
    } else {
        Ok(None)
    }
}

/// At most `COUNT` strings of bytes, each of at most `EACH`.
pub(crate) fn byte_list<R: Read, const COUNT: usize, const EACH: usize>(
    reader: &mut R,
) -> Result<Vec<Vec<u8>>> {
    let count = length(reader, COUNT)?;
    let mut list = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        list.push(bytes::<R, EACH>(reader)?);
    }
    Ok(list)
}

/// At most `COUNT` items that bound themselves.
pub(crate) fn list<R: Read, T: BorshDeserialize, const COUNT: usize>(
    reader: &mut R,
) -> Result<Vec<T>> {
    let count = length(reader, COUNT)?;
    let mut list = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        list.push(T::deserialize_reader(reader)?);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use borsh::BorshSerialize;

    #[derive(Debug, PartialEq, BorshSerialize, BorshDeserialize)]
    struct Sample {
        #[borsh(deserialize_with = "bytes::<_, 4>")]
        bytes: Vec<u8>,
        #[borsh(deserialize_with = "text::<_, 4>")]
        text: String,
        #[borsh(deserialize_with = "optional_bytes::<_, 4>")]
        option: Option<Vec<u8>>,
        #[borsh(deserialize_with = "optional_text::<_, 4>")]
        words: Option<String>,
        #[borsh(deserialize_with = "byte_list::<_, 2, 4>")]
        lists: Vec<Vec<u8>>,
        #[borsh(deserialize_with = "list::<_, u16, 2>")]
        items: Vec<u16>,
    }

    fn sample() -> Sample {
        Sample {
            bytes: vec![1; 4],
            text: "four".to_owned(),
            option: Some(vec![2; 4]),
            words: Some("four".to_owned()),
            lists: vec![vec![3; 4], Vec::new()],
            items: vec![1, 2],
        }
    }

    #[test]
    fn the_bound_itself_is_accepted() {
        let bytes = borsh::to_vec(&sample()).unwrap();
        assert_eq!(borsh::from_slice::<Sample>(&bytes).unwrap(), sample());
    }

    #[test]
    fn one_more_is_refused_in_every_field() {
        let mut cases = Vec::new();
        for field in 0..7 {
            let mut broken = sample();
            match field {
                0 => broken.bytes.push(0),
                1 => broken.text.push('s'),
                2 => broken.option = Some(vec![0; 5]),
                3 => broken.lists.push(Vec::new()),
                4 => broken.words = Some("fives".to_owned()),
                5 => broken.lists[0].push(0),
                _ => broken.items.push(0),
            }
            cases.push(broken);
        }
        assert_eq!(cases.len(), 7);
        for case in cases {
            let bytes = borsh::to_vec(&case).unwrap();
            assert!(borsh::from_slice::<Sample>(&bytes).is_err(), "{case:?}");
        }
    }

    #[test]
    fn a_huge_length_is_refused_before_allocation() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(super::bytes::<_, 1024>(&mut &bytes[..]).is_err());
    }
}
