//! `members list`, `validators`, `proxies`.

use super::{damaged, members, proxies};
use alliance_chain::state;
use caduceus_cli::{CliError, Output};
use caduceus_operator::{OwnNode, validator_rows};
use serde::Serialize;

#[derive(Serialize)]
struct MemberRow {
    name: String,
    hospital: String,
    identity: String,
    server: String,
    private_chain: String,
    private_validators: usize,
    former_identities: usize,
}

#[derive(Serialize)]
struct ProxyRow {
    proxy: String,
    beside_validator: String,
    validator_votes: bool,
}

/// Prints the members.
pub(super) async fn members_rows(node: &OwnNode, output: &Output) -> Result<(), CliError> {
    let mut rows = Vec::new();
    for member in members(node).await? {
        let key = state::former_identities(&member.hospital);
        let former = match node.state(key.bytes()).await? {
            Some(bytes) => key.decode(&bytes).map_err(damaged)?.len(),
            None => 0,
        };
        rows.push(MemberRow {
            name: member.name,
            hospital: member.hospital.to_string(),
            identity: member.identity.to_string(),
            server: member.server.to_string(),
            private_chain: member.private_chain.to_string(),
            private_validators: member.private_validators.count(),
            former_identities: former,
        });
    }
    output.rows(&rows)
}

/// Prints the voters.
pub(super) async fn validators(node: &OwnNode, output: &Output) -> Result<(), CliError> {
    output.rows(&validator_rows(&node.validators().await?))
}

/// Prints the proxies, and whether the validators beside them vote.
pub(super) async fn proxies_rows(node: &OwnNode, output: &Output) -> Result<(), CliError> {
    let voters = node.validators().await?;
    let rows: Vec<ProxyRow> = proxies(node)
        .await?
        .into_iter()
        .map(|proxy| ProxyRow {
            proxy: proxy.key.to_string(),
            beside_validator: proxy.validator.to_string(),
            validator_votes: voters.get(&proxy.validator).is_some(),
        })
        .collect();
    output.rows(&rows)
}
