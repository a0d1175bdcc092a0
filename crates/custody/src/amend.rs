//! Records that replace earlier ones, as end users see it (DESIGN 5.1): both stay, and whoever finds one finds
//! the other.
//!
//! The new record carries the hash of the one it replaces twice: as a keyword, so that a search for the old
//! record's hash finds the new one ([`amends_keyword`]), and inside of the sealed record ([`AMENDS_FIELD`]), so
//! that whoever opens the new one knows what it replaces ([`replaced`]).
//!
//! # Leakage
//! The keyword hides the relation from all who lack a trapdoor for it. A trapdoor sent for it tells every member
//! that the records it matches have that keyword in common, not what it says; who sends one right after a search
//! that returned a record lets them guess.

use caduceus_crypto::hash::Hash;

use crate::keyword::Keyword;
use crate::open::Opened;

/// Name of the sealed record's field that holds the replaced record's hash, 32 bytes.
pub const AMENDS_FIELD: &str = "amends";

/// The keyword under which the record that replaces `record` is found.
#[must_use]
pub fn amends_keyword(record: &Hash) -> Keyword {
    Keyword::amends(record)
}

/// The record that an opened one says it replaces. None when it replaces none, or when its field is not 32 bytes
/// long: then its author made it wrong.
#[must_use]
pub fn replaced(opened: &Opened) -> Option<Hash> {
    let field = opened.fields.get(AMENDS_FIELD)?;
    let bytes: [u8; 32] = field.as_slice().try_into().ok()?;
    Some(Hash(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{patient, request, rng};
    use crate::frame::Fields;
    use crate::seal::seal_with_fields;

    /// Seals and opens a record with one field.
    fn opened(name: &str, value: &[u8]) -> Opened {
        let owner = patient(1);
        let fields = Fields::from([(name.to_owned(), value.to_vec())]);
        let sealed = seal_with_fields(&mut rng(31), request(&owner, b"corrected"), fields).unwrap();
        owner.open(&sealed.bytes).unwrap()
    }

    #[test]
    fn the_replaced_record_is_named_inside_and_by_keyword() {
        let old = Hash([7; 32]);
        assert_eq!(replaced(&opened(AMENDS_FIELD, old.as_bytes())), Some(old));
        assert_eq!(
            amends_keyword(&old).as_str(),
            format!("amends:{}", "07".repeat(32))
        );
        assert_ne!(amends_keyword(&old), amends_keyword(&Hash([8; 32])));
    }

    #[test]
    fn other_fields_and_other_lengths_name_nothing() {
        assert_eq!(replaced(&opened("terms", &[7; 32])), None);
        assert_eq!(replaced(&opened(AMENDS_FIELD, &[7; 31])), None);
        assert_eq!(replaced(&opened(AMENDS_FIELD, &[7; 33])), None);
        assert_eq!(replaced(&opened(AMENDS_FIELD, &[])), None);
    }
}
