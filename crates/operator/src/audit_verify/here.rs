//! The private chain that is here, up to a height: read from the store, or told by the running node.

use caduceus_cli::CliError;
use caduceus_crypto::{Hash, SecretKey, decode_exact};
use caduceus_ledger::{CertifiedHeader, Header, Height};
use caduceus_network::exchange::{Headers, HeadersRequest, MAX_HEADERS};
use caduceus_network::{CallError, Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::{NodeHome, Snapshot, Store, StoreError};

/// Largest certified header that is decoded, bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// What was found.
#[derive(Default)]
pub(super) struct Here {
    /// Newest height.
    pub tip: u64,
    /// The header at the height asked for, if the chain reaches it.
    pub at: Option<Header>,
    /// Blocks up to there that hold.
    pub checked: u64,
    /// Whether the transactions of each of them were compared with their header.
    pub transactions: bool,
    /// The first height below that does not hold, and why.
    pub broken: Option<(u64, String)>,
}

impl Here {
    /// Takes the next block. Nothing is checked after a break: what is above commits to something else.
    fn take(&mut self, parent: &mut Option<Hash>, header: Header) {
        let height = header.height.0;
        if self.broken.is_none() {
            if parent.is_some_and(|parent| parent != header.parent) {
                let what = "it does not follow the block before it";
                self.broken = Some((height, what.to_owned()));
            } else {
                self.checked += 1;
            }
        }
        *parent = Some(header.hash());
        self.at = Some(header);
    }

    /// Whether the chain here goes beyond a height whose header it does not have: the node joined by a snapshot of a
    /// later one.
    pub(super) fn lacks(&self, height: u64) -> bool {
        (1..=self.tip).contains(&height) && self.at.is_none() && self.broken.is_none()
    }

    /// Forgets the last header unless it is the one asked for.
    fn reaches(&mut self, height: u64) {
        self.at = self.at.take().filter(|header| header.height.0 == height);
    }
}

/// The chain of a node's folder up to this height.
pub(super) async fn here(home: &NodeHome, height: u64) -> Result<Here, CliError> {
    let path = home.path.join("chain.redb");
    let failed = |e: String| {
        CliError::failure(
            format!("the private chain cannot be read: {e}"),
            "start the node, or stop it, and see that --home is its folder",
        )
    };
    if !path.is_file() {
        return Err(failed(format!("there is no {}", path.display())));
    }
    match Store::open(&path) {
        Ok(store) => {
            let snapshot = store.snapshot().map_err(|e| failed(e.to_string()))?;
            stored(&snapshot, height).map_err(|e| failed(e.to_string()))
        }
        // In use: the node runs.
        Err(StoreError::Database(_)) => told(home, height).await.map_err(failed),
        Err(error) => Err(CliError::verification_failed(
            format!("the private chain cannot be read: {error}"),
            "keep this copy as evidence; validate says what is damaged",
        )),
    }
}

fn stored(snapshot: &Snapshot, height: u64) -> Result<Here, StoreError> {
    // Below, a node that prunes has headers alone, and one that joined by a snapshot next to nothing.
    let kept_from = snapshot.kept_from()?;
    let mut here = Here {
        transactions: true,
        tip: snapshot.tip()?.map_or(0, |tip| tip.header.height.0),
        ..Here::default()
    };
    let mut parent = snapshot.block_hash(Height::GENESIS)?;
    for at in 1..=height.min(here.tip) {
        let kept = at >= kept_from;
        let found = if kept {
            snapshot
                .block(Height(at))
                .map(|block| block.map(|block| block.header))
        } else {
            snapshot.header(Height(at))
        };
        here.transactions &= kept;
        let what = match found {
            Ok(Some(header)) if header.height.0 == at => {
                here.take(&mut parent, header);
                continue;
            }
            // The header at the end commits to this one.
            Ok(None) if !kept => {
                parent = None;
                continue;
            }
            Ok(Some(_)) => "the stored header is that of another height".to_owned(),
            Ok(None) => "the block is missing".to_owned(),
            Err(StoreError::Damaged { what, .. }) => format!("the stored {what} is damaged"),
            Err(error) => return Err(error),
        };
        // The store names what it found damaged; the chain here does not get further.
        if here.broken.is_none() {
            here.broken = Some((at, what));
        }
        break;
    }
    here.reaches(height);
    Ok(here)
}

/// What the running node of a folder tells.
pub(super) async fn told(home: &NodeHome, height: u64) -> Result<Here, String> {
    let key = SecretKey::generate(&mut rand_core::OsRng);
    let service = Service::start(ServiceConfig {
        key: &key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .map_err(|e| e.to_string())?;
    let node = PeerAddr {
        id: caduceus_network::peer_id(&home.key.public()),
        address: home.file.service_listen.clone(),
    };
    let found = ask(&service, &node, height).await;
    service.shutdown().await;
    found
}

async fn ask(service: &Service, node: &PeerAddr, height: u64) -> Result<Here, String> {
    let mut here = Here::default();
    let newest = page(service, node, None, 1).await?;
    here.tip = newest.last().map_or(0, |header| header.height.0);
    let mut parent = None;
    let mut next = 1;
    let end = height.min(here.tip);
    while next <= end {
        let headers = page(service, node, Some(next), MAX_HEADERS).await?;
        if headers.is_empty() {
            if next == end {
                break;
            }
            // Not kept there. The header at the end commits to all before it.
            (next, parent) = (end, None);
            continue;
        }
        for header in headers.into_iter().filter(|header| header.height.0 <= end) {
            if header.height.0 != next {
                return Err(format!("the node told another height than {next}"));
            }
            next += 1;
            here.take(&mut parent, header);
        }
    }
    here.reaches(height);
    Ok(here)
}

/// Headers from a height on, none if they are not told; without a height, the newest.
async fn page(
    service: &Service,
    node: &PeerAddr,
    from: Option<u64>,
    limit: usize,
) -> Result<Vec<Header>, String> {
    let request = HeadersRequest {
        from,
        limit: u16::try_from(limit).unwrap_or(u16::MAX),
    };
    let reply = match service.call::<Headers>(node, request).await {
        Ok(reply) => reply,
        // A height that the node does not keep.
        Err(CallError::Refused) if from.is_some() => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    reply
        .items
        .iter()
        .map(|item| {
            decode_exact::<CertifiedHeader>(item, MAX_HEADER_BYTES)
                .map(|certified| certified.header)
                .map_err(|e| format!("a header does not decode: {e}"))
        })
        .collect()
}
