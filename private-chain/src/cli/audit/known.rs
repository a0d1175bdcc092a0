//! What the running node and the network file tell beside the entries.

use crate::cli::PROGRAM;
use caduceus_cli::{CliError, NetworkFile};
use caduceus_crypto::PublicKey;
use caduceus_ledger::Height;
use caduceus_network::exchange::Health;
use caduceus_operator::OwnNode;
use private_chain::audit::Known;
use private_chain::policy::PolicyRecord;
use private_chain::state::{self, STAFF_PREFIX};
use std::path::Path;

fn damaged(what: impl std::fmt::Display) -> CliError {
    CliError::verification_failed(
        format!("the node's state does not decode: {what}"),
        format!("check its store: {PROGRAM} validate --home DIR"),
    )
}

/// The policies on record.
pub(super) async fn policy(node: &OwnNode) -> Result<PolicyRecord, CliError> {
    let key = state::policy();
    match node.state(key.bytes()).await? {
        Some(bytes) => key.decode(&bytes).map_err(damaged),
        None => Ok(PolicyRecord::default()),
    }
}

/// The height that comes next: what is in force there is in force now.
pub(super) async fn next_height(node: &OwnNode) -> Result<Height, CliError> {
    Ok(Height(node.call::<Health>(()).await?.height).next())
}

/// Who the keys are: staff, the hospital's own keys, validators, the nodes and hospitals of the network file.
pub(super) async fn known(node: &OwnNode, network: &Path) -> Result<Known, CliError> {
    let mut known = Known {
        chain: node.chain(),
        ..Known::default()
    };
    for (key, value) in node.list(STAFF_PREFIX.as_bytes()).await? {
        let staff = key.get(STAFF_PREFIX.len()..).unwrap_or_default();
        let staff = PublicKey::from_bytes(staff).map_err(damaged)?;
        let record = state::staff(&staff).decode(&value).map_err(damaged)?;
        known.staff.insert(staff, record);
    }
    // Names are for people: without a network file the identifiers stand for themselves.
    if let Ok(file) = NetworkFile::load(network) {
        for hospital in &file.hospitals {
            if let Ok(id) = hospital.id.parse() {
                known.organisations.insert(id, hospital.name.clone());
            }
            for entry in &hospital.nodes {
                if let Ok(key) = entry.key.parse() {
                    known
                        .keys
                        .insert(key, format!("{} {}", hospital.name, entry.name));
                }
            }
        }
        for entry in &file.alliance.nodes {
            if let Ok(key) = entry.key.parse() {
                known.keys.insert(key, format!("alliance {}", entry.name));
            }
        }
    }
    let key = state::hospital_keys();
    if let Some(bytes) = node.state(key.bytes()).await? {
        let keys = key.decode(&bytes).map_err(damaged)?;
        known.keys.insert(keys.server, "server".to_owned());
        known.keys.insert(keys.identity, "hospital".to_owned());
        if let Some(former) = keys.former {
            known.keys.insert(former.key, "server (former)".to_owned());
        }
    }
    Ok(known)
}
