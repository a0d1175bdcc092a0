//! `inspect members`: the hospitals, and what each runs.

use alliance_chain::query;
use caduceus_cli::CliError;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct MemberRow {
    hospital: String,
    name: String,
    active: bool,
    /// Alliance height at which it left.
    removed: Option<u64>,
    identity: String,
    server: String,
    private_chain: String,
    /// Who certifies the next block of its private chain.
    private_validators: Vec<PrivateValidator>,
    checkpointed: u64,
    linked: u64,
}

#[derive(Serialize)]
struct PrivateValidator {
    address: String,
    power: u64,
}

/// Everybody who is or was a member, in the order of identifiers.
pub(super) fn rows(view: &dyn StateView) -> Result<Vec<MemberRow>, CliError> {
    let mut rows = Vec::new();
    for record in query::members_ever(view).map_err(unreadable)? {
        let member = &record.member;
        let head = query::checkpoint_head(view, &member.hospital).map_err(unreadable)?;
        let validators = member.private_validators.iter();
        rows.push(MemberRow {
            hospital: member.hospital.to_string(),
            name: member.name.clone(),
            active: record.is_active(),
            removed: record.removed.map(|height| height.0),
            identity: member.identity.to_string(),
            server: member.server.to_string(),
            private_chain: member.private_chain.to_string(),
            private_validators: validators
                .map(|validator| PrivateValidator {
                    address: validator.address().to_string(),
                    power: validator.power,
                })
                .collect(),
            checkpointed: head.map_or(0, |head| head.height.0),
            linked: query::linked_height(view, &member.hospital).map_err(unreadable)?,
        });
    }
    Ok(rows)
}
