//! `members affected`: the grants that a leaving proxy touches, complete as of this node's state.

use super::{damaged, proxies};
use alliance_chain::query::decode_grant;
use alliance_chain::state::GRANT_PREFIX;
use caduceus_cli::{CliError, Output};
use caduceus_crypto::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::Height;
use caduceus_ledger::execute::TIP_KEY;
use caduceus_operator::{OwnNode, public_key};
use serde::Serialize;

#[derive(Serialize)]
struct AffectedRow {
    grant: String,
    pseudonym: String,
    data_user: String,
    until: String,
    proxies_left: usize,
    proxies: usize,
    threshold: u8,
    usable: bool,
}

/// Prints them, and how many proxies each has left without this one.
pub(super) async fn run(node: &OwnNode, proxy: &str, output: &Output) -> Result<(), CliError> {
    let proxy = public_key(proxy)?;
    let present: Vec<PublicKey> = proxies(node)
        .await?
        .into_iter()
        .map(|known| known.key)
        .filter(|key| *key != proxy)
        .collect();
    let tip = node.state(TIP_KEY).await?;
    let tip = tip.ok_or_else(|| damaged("it has no tip"))?;
    let (_, now): (Height, TimeMillis) = borsh::from_slice(&tip).map_err(damaged)?;
    let mut rows = Vec::new();
    for (key, value) in node.list(GRANT_PREFIX.as_bytes()).await? {
        let (id, record) = decode_grant(&key, &value).map_err(damaged)?;
        let grant = &record.grant;
        if !record.is_active(now) || !grant.proxies.contains(&proxy) {
            continue;
        }
        let left = grant.proxies_among(&present);
        rows.push(AffectedRow {
            grant: id.to_string(),
            pseudonym: grant.pseudonym.to_string(),
            data_user: grant.data_user.to_string(),
            until: grant.expires.to_string(),
            proxies_left: left,
            proxies: grant.proxies.len(),
            threshold: grant.threshold,
            usable: left >= usize::from(grant.threshold),
        });
    }
    output.rows(&rows)
}
