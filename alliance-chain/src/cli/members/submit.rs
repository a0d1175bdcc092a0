//! `members submit`: sends an approved proposal.

use super::{check_generation, members, read};
use alliance_chain::proposal::approvals_needed;
use caduceus_cli::{CliError, Output};
use caduceus_operator::OwnNode;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Submitted {
    change: String,
    height: u64,
    tx: String,
}

/// Checks what can be told beforehand, then submits and waits.
pub(super) async fn run(node: &OwnNode, file: &Path, output: &Output) -> Result<(), CliError> {
    let proposal = read(node, file)?;
    check_generation(node, &proposal).await?;
    let members = members(node).await?;
    let (body, approvals) = (&proposal.governance.body, &proposal.governance.approvals);
    for (hospital, signature) in approvals {
        let holds = members
            .iter()
            .find(|member| member.hospital == *hospital)
            .is_some_and(|m| body.is_approved_by(&proposal.chain, &m.identity, signature));
        if !holds {
            return Err(CliError::verification_failed(
                format!("the approval of {hospital} does not hold"),
                "propose it again: it is no member now, changed its key, or the file was altered",
            ));
        }
    }
    let (found, needed) = (approvals.len(), approvals_needed(members.len()));
    if found < needed {
        return Err(CliError::denied(
            format!(
                "{found} of {} members approve, {needed} are needed",
                members.len()
            ),
            "pass the file on: members approve FILE --identity KEY-FILE",
        ));
    }
    let tx = proposal.to_tx();
    let place = node.submit(tx.encode()).await?;
    output.object(&Submitted {
        change: super::show::sentence(&body.change),
        height: place.height,
        tx: tx.id().to_string(),
    })
}
