//! Where the state of a node comes from: its store, or the node itself while it runs.

use alliance_chain::Key;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_cli::{CliError, ExitCode};
use caduceus_crypto::{TimeMillis, codec};
use caduceus_network::exchange::{Health, Query, QueryReply, QueryRequest};
use caduceus_node::{NodeHome, Snapshot, Store};
use caduceus_operator::{OwnNode, open, unreadable};

/// Largest answer about one key: a listing of one row.
const MAX_ROW_BYTES: usize = 1024 * 1024;

/// See the module.
pub(super) enum Source {
    /// The store of a node that does not run.
    Store(Box<AtRest>),
    /// A running node. It is believed: the connection is to its key, and it is the operator's own.
    Node(OwnNode),
}

/// A view of an open store. The store stays open with it: a view of a closed one cannot be read.
pub(super) struct AtRest {
    snapshot: Snapshot,
    _store: Store,
}

/// The newest block that is known.
pub(super) struct Head {
    pub(super) height: u64,
    pub(super) time: TimeMillis,
}

impl Source {
    /// The store, or the node that has it open.
    pub(super) async fn of(home: &NodeHome, program: &str) -> Result<Self, CliError> {
        match open(home) {
            Ok(store) => Ok(Source::Store(Box::new(AtRest {
                snapshot: store.snapshot().map_err(unreadable)?,
                _store: store,
            }))),
            Err(error) if error.exit == ExitCode::Locked => {
                Ok(Source::Node(OwnNode::of(home, program).await?))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Source::Node(_))
    }

    pub(super) async fn head(&self) -> Result<Head, CliError> {
        match self {
            Source::Store(at_rest) => {
                let tip = at_rest.snapshot.tip().map_err(unreadable)?.ok_or_else(|| {
                    CliError::not_found(
                        "this node has stored nothing yet",
                        "start it once: alliance-chain start --home DIR",
                    )
                })?;
                Ok(Head {
                    height: tip.header.height.0,
                    time: tip.header.time,
                })
            }
            Source::Node(node) => {
                let health = node.call::<Health>(()).await?;
                Ok(Head {
                    height: health.height,
                    time: health.head_time,
                })
            }
        }
    }

    /// What the state holds under a key of the authenticated space.
    pub(super) async fn get<T>(&self, key: &Key<T>) -> Result<Option<T>, CliError>
    where
        T: BorshSerialize + BorshDeserialize,
    {
        match self {
            Source::Store(at_rest) => key.get(&at_rest.snapshot).map_err(unreadable),
            Source::Node(node) => {
                let request = QueryRequest::List {
                    prefix: key.bytes().to_vec(),
                    limit: 1,
                };
                let QueryReply::Found(document) = node.call::<Query>(request).await? else {
                    return Ok(None);
                };
                let rows: Vec<(Vec<u8>, Vec<u8>)> =
                    codec::decode_exact(&document, MAX_ROW_BYTES).map_err(unreadable)?;
                rows.iter()
                    .find(|(found, _)| found == key.bytes())
                    .map(|(_, value)| key.decode(value))
                    .transpose()
                    .map_err(unreadable)
            }
        }
    }
}
