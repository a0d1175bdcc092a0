//! `Amend`: an anchor of a record that replaces an earlier one; both stay (DESIGN 5.1).

use super::{AnchorTx, Tx};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::evidence::Anchor;

/// An anchor, and the record that its record replaces. Bytes: those of the [`AnchorTx`], then the hash (32).
///
/// No signature covers `replaces`: the author says it inside the sealed record, which is what the patient goes
/// by. Here it keeps the versions in one line and lets the hospital find the newest.
///
/// # Leakage
/// To the nodes of this chain: which anchor replaces which, hence that both are of one patient. The alliance
/// links an anchor like any other.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AmendTx {
    /// The new record's anchor and the request that led to it.
    pub anchor: AnchorTx,
    /// Record hash of the version that it replaces.
    pub replaces: Hash,
}

impl Tx {
    /// An anchor transaction of a record that replaces another.
    pub fn amend(anchor: Anchor, request_id: [u8; 16], replaces: Hash) -> Tx {
        Tx::Amend(AmendTx {
            anchor: AnchorTx { anchor, request_id },
            replaces,
        })
    }
}
