//! Where headers of a private chain contradict those on record.

use crate::state;
use caduceus_crypto::Hash;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{Header, Height, StateError, StateView};

/// Two headers at one height of a private chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The height.
    pub height: Height,
    /// Hash of the header on record.
    pub recorded: Hash,
    /// Hash of the other.
    pub found: Hash,
}

/// The hashes that consecutive headers stand for, by height: the first one's parent, then their own. The genesis is
/// never on record.
pub(crate) fn hashes(headers: &[Header]) -> impl Iterator<Item = (Height, Hash)> {
    let parent = headers
        .first()
        .and_then(|header| Some((Height(header.height.0.checked_sub(1)?), header.parent)));
    let own = headers.iter().map(|header| (header.height, header.hash()));
    parent.into_iter().chain(own)
}

/// The first height at which consecutive headers, or the first one's parent, differ from what is on record.
///
/// # Errors
/// When the store fails.
pub fn conflict(
    view: &dyn StateView,
    hospital: &HospitalId,
    headers: &[Header],
) -> Result<Option<Conflict>, StateError> {
    for (height, found) in hashes(headers) {
        let known = state::header(hospital, height).get(view)?;
        if let Some(known) = known.filter(|known| known.hash != found) {
            return Ok(Some(Conflict {
                height,
                recorded: known.hash,
                found,
            }));
        }
    }
    Ok(None)
}
