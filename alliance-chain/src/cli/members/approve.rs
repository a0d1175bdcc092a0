//! `members approve`: one member's signature.

use super::{check_generation, members, read, write};
use alliance_chain::proposal::approvals_needed;
use caduceus_cli::{CliError, Output};
use caduceus_operator::{OwnNode, key_file};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Approved {
    file: String,
    member: String,
    approvals: usize,
    needed: usize,
}

/// Signs, and writes the file again.
pub(super) async fn run(
    node: &OwnNode,
    file: &Path,
    identity: &Path,
    output: &Output,
) -> Result<(), CliError> {
    let mut proposal = read(node, file)?;
    check_generation(node, &proposal).await?;
    let key = key_file(identity)?;
    let members = members(node).await?;
    let Some(member) = members.iter().find(|m| m.identity == key.public()) else {
        return Err(CliError::denied(
            format!("{} is no member's identity key", key.public()),
            "--identity KEY-FILE with the identity key that members list shows",
        ));
    };
    if !proposal.approve(member.hospital, &key) {
        return Err(CliError::failure(
            format!("{} approved already", member.name),
            "pass the file on to the next member: members show FILE says who is missing",
        ));
    }
    write(file, &proposal)?;
    output.object(&Approved {
        file: file.display().to_string(),
        member: member.name.clone(),
        approvals: proposal.governance.approvals.len(),
        needed: approvals_needed(members.len()),
    })
}
