//! Define the bytes of keys, pseudonyms, sealed records, index tags, evidence and re-encryption, and check them.
//!
//! This crate is what every part of Caduceus agrees on: what a value looks like on the wire and on disk, and
//! when it is acceptable. It holds what the servers, the nodes and the clients share; what only an end user
//! may do (sealing, opening, trapdoors, delegating) is `caduceus-custody`.
//!
//! It is pure: no clock, socket, file, thread or operating system randomness. Random numbers and time are
//! arguments. One curve (secp256k1), one hash (SHA3-256); every use of either carries a tag of [`domain`]. The two
//! index schemes that serve as baselines have their own groups ([`pairing`]).
//!
//! Bytes from outside decode to a type that claims nothing; `check` or `verify` then says whether the claim
//! holds, and names the rule that it breaks. Every decoder takes its bounds and accepts exactly what the
//! encoder makes ([`codec::decode_exact`]).

pub mod card;
pub mod codec;
pub mod dleq;
pub mod domain;
pub mod emergency;
pub mod evidence;
pub mod hash;
pub mod hex_text;
pub mod index;
pub mod keys;
pub mod merkle;
pub mod pairing;
pub mod pseudonym;
pub mod record;
pub mod reencrypt;
pub mod time;
pub mod token;

mod base32;

pub use crate::card::{Card, CardNumber, CardQr, DeskCode, card_binding};
pub use crate::codec::{DecodeError, decode_exact, encode};
pub use crate::dleq::DleqProof;
pub use crate::domain::Domain;
pub use crate::emergency::{
    CheckedEmergencyKey, EmergencyConsent, EmergencyExcerpt, EmergencyKey, EmergencyPartial,
    EmergencyWrap, VerifiedPartial, VerifiedWrap,
};
pub use crate::evidence::{Anchor, AnchorBody, AnchorLeaf, Receipt, VisitOpening, VisitToken};
pub use crate::hash::{Hash, hash, kdf, prf};
pub use crate::index::{
    CheckedQuery, Clause, Cover, CoverNode, IndexEntries, IndexView, PaeksEntry, PaeksTrapdoor,
    PeksEntry, PeksTrapdoor, QuarterCover, Query, Scan, SchemeId, Slots, Tag,
};
pub use crate::keys::{BadSignature, HospitalId, PublicKey, SecretKey, Signature};
pub use crate::merkle::InclusionProof;
pub use crate::pairing::{PairingSecret, SchemeKey};
pub use crate::pseudonym::{MetaAddress, Pseudonym};
pub use crate::record::{KeyWrap, RecordHeader};
pub use crate::reencrypt::{KeyFragment, VerifiedFragment};
pub use crate::time::{Epoch, Quarter, TimeMillis};
pub use crate::token::{IssuerPublicKey, Token, TokenIssuer};
