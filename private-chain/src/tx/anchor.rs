//! `Anchor`: a record's hash, index entries and evidence (DESIGN 2.2, 3.5).

use super::Tx;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::evidence::Anchor;

/// An anchor and the request that led to it.
///
/// The author and the vault sign the anchor; the hospital identifier inside binds it to this chain. The
/// request identifier is a cross-reference to the audit log and is covered by no signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AnchorTx {
    /// The evidence, unverified.
    pub anchor: Anchor,
    /// The server's request identifier.
    pub request_id: [u8; 16],
}

impl Tx {
    /// An anchor transaction.
    pub fn anchor(anchor: Anchor, request_id: [u8; 16]) -> Tx {
        Tx::Anchor(AnchorTx { anchor, request_id })
    }
}
