//! `audit model`: the logging paper's model over a range, from the chain itself.

use super::report::duration;
use super::source::{RowSource, all};
use caduceus_cli::{CliError, Output, OutputFormat, read_limited};
use caduceus_crypto::{TimeMillis, decode_exact, encode};
use caduceus_ledger::{CertifiedHeader, Header};
use caduceus_network::exchange::{
    FetchAnchor, FetchAnchorRequest, Headers, HeadersRequest, MAX_HEADERS,
};
use caduceus_operator::OwnNode;
use clap::Args;
use private_chain::AnchorsExtra;
use private_chain::audit::model::{
    Access, Anchored, Bounds, Model, Performed, Range, Violation, model, parse_vault_log,
};
use private_chain::audit::{Filter, parse_time};
use std::path::PathBuf;

/// Largest log of the vault, bytes.
const MAX_VAULT_LOG_BYTES: usize = 1024 * 1024 * 1024;
/// Entries are written before their action, and a clock may be off: so much around the range is looked through for
/// the entry of what was performed in it.
const AROUND_MILLIS: u64 = 3_600_000;
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_ANCHOR_BYTES: usize = 128 * 1024;
const MAX_PROOF_BYTES: usize = 16 * 1024;

/// The range, and what to compare.
#[derive(Debug, Args)]
pub(in crate::cli) struct ModelArgs {
    /// First date or time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: TimeMillis,
    /// First date or time after it
    #[arg(long, visible_alias = "until", value_name = "TIME", value_parser = parse_time)]
    to: TimeMillis,
    /// Length of a slot: 30s, 15m, 1h or 1d [default: that of the policy in force]
    #[arg(long, value_name = "LENGTH", value_parser = duration)]
    slot: Option<u64>,
    /// An access log that the vault itself wrote, to be compared with the entries; repeat for the files of several months
    #[arg(long, value_name = "FILE")]
    vault_log: Vec<PathBuf>,
}

/// Computes it and prints it.
pub(super) async fn run(
    source: &impl RowSource,
    node: &OwnNode,
    args: &ModelArgs,
    now: TimeMillis,
    output: &Output,
) -> Result<(), CliError> {
    let policy = super::known::policy(node).await?;
    let height = super::known::next_height(node).await?;
    let (mut limits, retention) = (policy.limits_at(height), policy.retention_at(height));
    let slot = args.slot.unwrap_or_else(|| limits.slot_millis());
    if slot != limits.slot_millis() && (limits.per_slot.is_some() || !limits.per_action.is_empty())
    {
        output.note(&format!(
            "D and R are not judged: the policy bounds slots of {} s, not of {} s",
            limits.slot_millis() / 1000,
            slot / 1000
        ));
        (limits.per_slot, limits.per_action) = Default::default();
    }
    let range = Range::new(args.from, args.to, slot)
        .map_err(|e| CliError::usage(e.to_string(), "--from TIME before --to TIME"))?;
    let vault = match args.vault_log[..] {
        [] => {
            output.note(
                "the vault's reads are not compared: --vault-log FILE of the hospital server",
            );
            None
        }
        _ => {
            let files = args.vault_log.iter().map(|path| vault_log(path, &range));
            Some(files.collect::<Result<Vec<_>, _>>()?.concat())
        }
    };
    let filter = Filter {
        from: Some(TimeMillis(args.from.0.saturating_sub(AROUND_MILLIS))),
        until: Some(TimeMillis(args.to.0.saturating_add(AROUND_MILLIS))),
        ..Filter::default()
    };
    let rows = all(source, &filter).await?;
    let performed = Performed {
        anchors: Some(anchors(node, &range).await?),
        vault,
    };
    let bounds = Bounds::of_policy(&limits, &retention);
    let found = model(&rows, &range, &bounds, &performed, now);
    print(&found, output)?;
    match found.violations.len() {
        0 => Ok(()),
        1 => Err(violated("1 constraint does not hold")),
        n => Err(violated(&format!("{n} constraints do not hold"))),
    }
}

fn violated(what: &str) -> CliError {
    CliError::verification_failed(
        what,
        "look at what is named above: audit query shows the entries around it",
    )
}

fn print(found: &Model, output: &Output) -> Result<(), CliError> {
    if output.format() != OutputFormat::Table {
        return output.object(found);
    }
    let mut head = found.clone();
    head.load.clear();
    head.violations.clear();
    let mut head = serde_json::to_value(head).unwrap_or_default();
    if let Some(map) = head.as_object_mut() {
        map.remove("load");
        map.remove("violations");
        map.insert("violations".to_owned(), found.violations.len().into());
    }
    output.object(&head)?;
    output.rows(&found.load)?;
    if !found.violations.is_empty() {
        output.rows::<Violation>(&found.violations)?;
    }
    Ok(())
}

fn vault_log(path: &std::path::Path, range: &Range) -> Result<Vec<Access>, CliError> {
    let wrong = |what: String| {
        CliError::failure(
            format!("{}: {what}", path.display()),
            "--vault-log FILE as the hospital server wrote it",
        )
    };
    let bytes = read_limited(path, MAX_VAULT_LOG_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("not a text".to_owned()))?;
    let all = parse_vault_log(&text).map_err(|e| wrong(e.to_string()))?;
    let inside = |access: &Access| range.from <= access.time && access.time < range.until;
    Ok(all.into_iter().filter(inside).collect())
}

fn nonsense(what: impl std::fmt::Display) -> CliError {
    CliError::verification_failed(
        format!("the node's answer does not hold: {what}"),
        "check its store: private-chain validate --home DIR",
    )
}

/// Records anchored in blocks of the range, each proved under its header.
async fn anchors(node: &OwnNode, range: &Range) -> Result<Vec<Anchored>, CliError> {
    let tip = headers(node, None, 1).await?.pop();
    let Some(tip) = tip.map(|header| header.height.0) else {
        return Ok(Vec::new());
    };
    let mut next = first_from(node, range.from, tip).await?;
    let mut found = Vec::new();
    while next <= tip {
        let page = headers(node, Some(next), MAX_HEADERS).await?;
        let Some(last) = page.last().map(|header| header.height.0) else {
            break;
        };
        for header in page.iter().filter(|header| header.height.0 >= next) {
            if header.time >= range.until {
                return Ok(found);
            }
            let extra = AnchorsExtra::parse(&header.extra)
                .ok_or_else(|| nonsense("a header without a count of anchors"))?;
            for position in 0..extra.count {
                let record = anchor(node, header, &extra, position).await?;
                found.push(Anchored {
                    record,
                    time: header.time,
                });
            }
        }
        next = last + 1;
    }
    Ok(found)
}

/// The first height whose block is not before a time: block times rise.
async fn first_from(node: &OwnNode, time: TimeMillis, tip: u64) -> Result<u64, CliError> {
    let (mut low, mut high) = (1, tip + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let header = headers(node, Some(middle), 1).await?.pop();
        let header = header.ok_or_else(|| nonsense(format!("no header of height {middle}")))?;
        if header.time < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

async fn headers(node: &OwnNode, from: Option<u64>, limit: usize) -> Result<Vec<Header>, CliError> {
    let request = HeadersRequest {
        from,
        limit: u16::try_from(limit).unwrap_or(u16::MAX),
    };
    let reply = node.call::<Headers>(request).await?;
    reply
        .items
        .iter()
        .map(|item| {
            decode_exact::<CertifiedHeader>(item, MAX_HEADER_BYTES)
                .map(|certified| certified.header)
                .map_err(nonsense)
        })
        .collect()
}

async fn anchor(
    node: &OwnNode,
    header: &Header,
    extra: &AnchorsExtra,
    position: u32,
) -> Result<caduceus_crypto::Hash, CliError> {
    let request = FetchAnchorRequest {
        height: header.height.0,
        position,
    };
    let reply = node.call::<FetchAnchor>(request).await?;
    let anchor: caduceus_crypto::evidence::Anchor =
        decode_exact(&reply.anchor, MAX_ANCHOR_BYTES).map_err(nonsense)?;
    let proof: caduceus_crypto::merkle::InclusionProof =
        decode_exact(&reply.proof, MAX_PROOF_BYTES).map_err(nonsense)?;
    if proof.index != u64::from(position) {
        return Err(nonsense("another anchor than the one asked for"));
    }
    proof
        .verify(&extra.root, &encode(&anchor.leaf()))
        .map_err(nonsense)?;
    Ok(anchor.body.record_hash)
}
