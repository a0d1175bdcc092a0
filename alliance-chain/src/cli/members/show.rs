//! `members show`: a proposal in words.

use super::{generation, members, read};
use alliance_chain::Change;
use alliance_chain::proposal::approvals_needed;
use caduceus_cli::{CliError, Output};
use caduceus_operator::OwnNode;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Shown {
    change: String,
    generation: u64,
    next_generation: u64,
    approvals: usize,
    needed: usize,
    approved_by: Vec<String>,
    not_yet: Vec<String>,
    wrong: Vec<String>,
    ready: bool,
}

/// What a change does.
pub(super) fn sentence(change: &Change) -> String {
    match change {
        Change::Admit(member) => format!(
            "{} joins as {}, with private chain {} and {} validators on it",
            member.name,
            member.hospital,
            member.private_chain,
            member.private_validators.count()
        ),
        Change::Remove(hospital) => {
            format!("{hospital} leaves: what it linked stays, nothing is added")
        }
        Change::Rotate {
            hospital,
            identity,
            server,
        } => format!("{hospital} has identity key {identity} and server key {server} from now on"),
        Change::Proxies(proxies) => {
            let keys: Vec<String> = proxies.iter().map(|p| p.key.to_string()).collect();
            format!("the {} proxies are {}", keys.len(), keys.join(", "))
        }
        Change::Validators(set) => {
            let members: Vec<String> = set
                .iter()
                .map(|v| format!("{} (power {})", v.key, v.power))
                .collect();
            format!(
                "the {} validators are {}",
                members.len(),
                members.join(", ")
            )
        }
        Change::Operators(operators) => {
            let said: Vec<String> = operators
                .iter()
                .map(|o| format!("{} by {}", o.validator, o.hospital))
                .collect();
            format!(
                "{} validators are run by members: {}",
                said.len(),
                said.join(", ")
            )
        }
        Change::Credits(policy) => format!("service credits from now on: {policy:?}"),
    }
}

/// Prints it, with the members whose approvals hold, are missing, or are wrong.
pub(super) async fn run(node: &OwnNode, file: &Path, output: &Output) -> Result<(), CliError> {
    let proposal = read(node, file)?;
    let members = members(node).await?;
    let body = &proposal.governance.body;
    let approval = |hospital| {
        proposal
            .governance
            .approvals
            .iter()
            .find(|(approver, _)| *approver == hospital)
    };
    let (mut approved_by, mut not_yet, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for member in &members {
        match approval(member.hospital) {
            None => not_yet.push(member.name.clone()),
            Some((_, signature))
                if body.is_approved_by(&proposal.chain, &member.identity, signature) =>
            {
                approved_by.push(member.name.clone());
            }
            Some(_) => wrong.push(member.name.clone()),
        }
    }
    for (approver, _) in &proposal.governance.approvals {
        if !members.iter().any(|member| member.hospital == *approver) {
            wrong.push(approver.to_string());
        }
    }
    let next_generation = generation(node).await?;
    let needed = approvals_needed(members.len());
    output.object(&Shown {
        change: sentence(&body.change),
        generation: body.generation,
        next_generation,
        approvals: approved_by.len(),
        needed,
        ready: body.generation == next_generation
            && approved_by.len() >= needed
            && wrong.is_empty(),
        approved_by,
        not_yet,
        wrong,
    })
}
