//! Give the node programs of both chains the commands that are alike: their home, status, validate.
//!
//! Also what their operators have in common when they make nodes and change voters: `init`, the writing of a
//! genesis, a connection to the own node, sets of validators as people name them.

mod audit_verify;
mod deeds;
mod home;
mod init;
mod inspect;
mod own_node;
mod status;
mod validate;
mod voters;

pub use audit_verify::audit_verify;
pub use caduceus_network::exchange::{Deed, DeedKind, DeedOutcome};
pub use deeds::{
    Announced, DeedFiles, DeedSink, HospitalServer, announce, command_line, drain_deeds,
    take_up_deeds,
};
pub use home::home;
pub use init::{InitArgs, init, key_file, make_key, read_toml, write_genesis};
pub use inspect::{
    ChainWords, Fields, InspectChain, SealRow, TxWords, fields, inspect_chain, open, seal_text,
    unreadable,
};
pub use own_node::{OwnNode, Place, Rows};
pub use status::status;
pub use validate::validate;
pub use voters::{SetEdit, ValidatorRow, public_key, validator, validator_rows};
