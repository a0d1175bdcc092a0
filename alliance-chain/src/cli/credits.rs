//! `credits`: every member's service credits (DESIGN 6.4).

use alliance_chain::state::{self, CreditRecord, MEMBER_PREFIX};
use alliance_chain::{MemberRecord, query};
use caduceus_cli::{CliError, Output};
use caduceus_crypto::{HospitalId, SecretKey, decode_exact};
use caduceus_network::exchange::{MAX_LISTED, Query, QueryReply, QueryRequest};
use caduceus_network::{CallError, Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::{NodeHome, Store, StoreError};
use serde::Serialize;

/// Largest listing that is decoded, bytes.
const MAX_LISTING_BYTES: usize = 16 * 1024 * 1024;
/// Prefix of the keys of credits.
const CREDIT_PREFIX: &str = "credit/";

#[derive(Serialize)]
struct Row {
    member: String,
    hospital: String,
    balance: i64,
    in_debt: bool,
    earned_blocks: u64,
    earned_reencryptions: u64,
    earned_records: u64,
    spent_searches: u64,
    spent_accounts: u64,
    spent_requests: u64,
    spent_accesses: u64,
    removed: bool,
}

impl Row {
    fn of((record, credit): (MemberRecord, CreditRecord)) -> Self {
        Self {
            removed: !record.is_active(),
            member: record.member.name,
            hospital: record.member.hospital.to_string(),
            balance: credit.balance,
            in_debt: credit.is_in_debt(),
            earned_blocks: credit.earned.blocks,
            earned_reencryptions: credit.earned.reencryptions,
            earned_records: credit.earned.records,
            spent_searches: credit.spent.searches,
            spent_accounts: credit.spent.accounts,
            spent_requests: credit.spent.requests,
            spent_accesses: credit.spent.accesses,
        }
    }
}

/// Prints what the operator's own node says: from its store, or asked over the service swarm while it runs.
pub(super) async fn run(home: &NodeHome, output: &Output) -> Result<(), CliError> {
    let credits = match stored(home) {
        Ok(credits) => credits,
        Err(stored) => asked(home).await.map_err(|asked| {
            CliError::unreachable(
                format!(
                    "neither the store nor a running node tells the credits: {stored}; {asked}"
                ),
                "start the node, or see that --home is its folder",
            )
        })?,
    };
    let rows: Vec<Row> = credits.into_iter().map(Row::of).collect();
    output.rows(&rows)
}

fn stored(home: &NodeHome) -> Result<Vec<(MemberRecord, CreditRecord)>, StoreError> {
    let path = home.path.join("chain.redb");
    if !path.is_file() {
        return Err(StoreError::File {
            path,
            source: std::io::ErrorKind::NotFound.into(),
        });
    }
    // The store outlives what is read from it.
    let store = Store::open(&path)?;
    let snapshot = store.snapshot()?;
    Ok(query::credits(&snapshot)?)
}

/// Why a running node's answer is no use.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the service: {0}")]
    Start(#[from] caduceus_network::StartError),
    #[error("the node: {0}")]
    Call(#[from] CallError),
    #[error("the node's answer does not decode")]
    Answer,
}

async fn asked(home: &NodeHome) -> Result<Vec<(MemberRecord, CreditRecord)>, AskError> {
    let key = SecretKey::generate(&mut rand_core::OsRng);
    let service = Service::start(ServiceConfig {
        key: &key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await?;
    let node = PeerAddr {
        id: caduceus_network::peer_id(&home.key.public()),
        address: home.file.service_listen.clone(),
    };
    let members = list(&service, &node, MEMBER_PREFIX).await?;
    let credits = list(&service, &node, CREDIT_PREFIX).await?;
    service.shutdown().await;
    members
        .iter()
        .map(|(_, value)| {
            let any = HospitalId::default();
            let record = state::member(&any).decode(value).ok()?;
            let key = state::credit(&record.member.hospital);
            let credit = match credits.iter().find(|(at, _)| at == key.bytes()) {
                Some((_, value)) => key.decode(value).ok()?,
                None => CreditRecord::default(),
            };
            Some((record, credit))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or(AskError::Answer)
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

async fn list(service: &Service, node: &PeerAddr, prefix: &str) -> Result<Pairs, AskError> {
    let request = QueryRequest::List {
        prefix: prefix.as_bytes().to_vec(),
        limit: u16::try_from(MAX_LISTED).unwrap_or(u16::MAX),
    };
    match service.call::<Query>(node, request).await? {
        QueryReply::Found(bytes) => {
            decode_exact(&bytes, MAX_LISTING_BYTES).map_err(|_| AskError::Answer)
        }
        QueryReply::NotFound => Err(AskError::Answer),
    }
}
