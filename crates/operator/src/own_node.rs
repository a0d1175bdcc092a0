//! The running node of a folder, asked and given transactions by its own operator, who trusts it.

use caduceus_cli::CliError;
use caduceus_crypto::{SecretKey, decode_exact};
use caduceus_ledger::execute::VALIDATORS_KEY;
use caduceus_ledger::{ChainId, ChainKind, StateProofAt, ValidatorSet};
use caduceus_network::exchange::{
    Query, QueryReply, QueryRequest, Submit, SubmitReply, SubmitRequest,
};
use caduceus_network::{Exchange, Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::NodeHome;

/// Largest proof or listing that is decoded, bytes.
const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// Rows asked for at once: so few that a listing of the largest values fits an answer.
const PAGE: u16 = 256;

/// Rows of the state, keys and values.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// A connection to the node of a folder.
pub struct OwnNode {
    service: Service,
    address: PeerAddr,
    chain: ChainId,
    kind: ChainKind,
    program: String,
}

/// Where a transaction was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Height of the block.
    pub height: u64,
    /// Position in the block.
    pub index: u32,
}

impl OwnNode {
    /// Connects, under a key that the node lets in: any for the alliance chain, the hospital's identity key for a
    /// private one.
    ///
    /// # Errors
    /// Failure, when no service can be started.
    pub async fn connect(
        home: &NodeHome,
        program: &str,
        key: &SecretKey,
    ) -> Result<Self, CliError> {
        let service = Service::start(ServiceConfig {
            key,
            listen: Vec::new(),
            limits: Limits::default(),
        })
        .await
        .map_err(|e| CliError::failure(e.to_string(), "free some memory, then try again"))?;
        Ok(Self {
            service,
            address: PeerAddr {
                id: caduceus_network::peer_id(&home.key.public()),
                address: home.file.service_listen.clone(),
            },
            chain: home.genesis.chain_id(),
            kind: home.genesis.kind,
            program: program.to_owned(),
        })
    }

    /// Connects as a stranger, under a key of this moment: for what a node answers to all.
    ///
    /// # Errors
    /// Failure, when no service can be started.
    pub async fn of(home: &NodeHome, program: &str) -> Result<Self, CliError> {
        let key = SecretKey::generate(&mut rand_core::OsRng);
        Self::connect(home, program, &key).await
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.service.shutdown().await;
    }

    /// One call.
    ///
    /// # Errors
    /// Unreachable, naming the command that starts the node.
    pub async fn call<E: Exchange>(&self, request: E::Request) -> Result<E::Response, CliError> {
        self.service
            .call::<E>(&self.address, request)
            .await
            .map_err(|e| {
                CliError::unreachable(
                    format!("the node does not answer: {e}"),
                    format!(
                        "start it: {} start --home DIR; a private node answers its hospital's identity key alone",
                        self.program
                    ),
                )
            })
    }

    fn nonsense(&self, what: impl std::fmt::Display) -> CliError {
        CliError::verification_failed(
            format!("the node's answer does not hold: {what}"),
            format!("check its store: {} validate --home DIR", self.program),
        )
    }

    /// What the authenticated state holds under a key.
    ///
    /// # Errors
    /// Unreachable; failure before block 1; verification failed when the answer is not under its own header.
    pub async fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, CliError> {
        let request = QueryRequest::State { key: key.to_vec() };
        let QueryReply::Found(document) = self.call::<Query>(request).await? else {
            return Err(CliError::failure(
                "the chain has no block yet",
                "try again in half a minute: an idle chain makes a block every 30 s",
            ));
        };
        let proof: StateProofAt =
            decode_exact(&document, MAX_DOCUMENT_BYTES).map_err(|e| self.nonsense(e))?;
        let header = &proof.head.header;
        if header.chain != self.chain || proof.proof.key != key {
            return Err(self.nonsense("it is about something else"));
        }
        let value = proof.proof.verify(&header.state_root);
        Ok(value.map_err(|e| self.nonsense(e))?.map(<[u8]>::to_vec))
    }

    /// The voters of the next height.
    ///
    /// # Errors
    /// Those of [`Self::state`].
    pub async fn validators(&self) -> Result<ValidatorSet, CliError> {
        let bytes = self.state(VALIDATORS_KEY).await?;
        let bytes = bytes.ok_or_else(|| self.nonsense("there are no validators"))?;
        decode_exact(&bytes, MAX_DOCUMENT_BYTES).map_err(|e| self.nonsense(e))
    }

    /// All rows of the authenticated state whose keys begin with a prefix.
    ///
    /// # Errors
    /// Unreachable; verification failed when the answer does not decode.
    pub async fn list(&self, prefix: &[u8]) -> Result<Rows, CliError> {
        let mut rows = Rows::new();
        let mut prefixes = vec![prefix.to_vec()];
        while let Some(prefix) = prefixes.pop() {
            let page = self.page(&prefix).await?;
            if page.len() < usize::from(PAGE) {
                rows.extend(page);
                continue;
            }
            // The row of the prefix itself belongs to none of the longer ones.
            rows.extend(page.into_iter().filter(|(key, _)| *key == prefix));
            prefixes.extend((0..=u8::MAX).map(|next| [&prefix[..], &[next]].concat()));
        }
        rows.sort();
        Ok(rows)
    }

    async fn page(&self, prefix: &[u8]) -> Result<Rows, CliError> {
        let request = QueryRequest::List {
            prefix: prefix.to_vec(),
            limit: PAGE,
        };
        match self.call::<Query>(request).await? {
            QueryReply::NotFound => Ok(Rows::new()),
            QueryReply::Found(document) => {
                decode_exact(&document, MAX_DOCUMENT_BYTES).map_err(|e| self.nonsense(e))
            }
        }
    }

    /// Submits a transaction and waits for its block.
    ///
    /// # Errors
    /// Denied, naming the rule that refuses it; unreachable, also when it was not committed in time or the node cannot
    /// take it now.
    pub async fn submit(&self, tx: Vec<u8>) -> Result<Place, CliError> {
        let request = SubmitRequest { tx, wait: true };
        match self.call::<Submit>(request).await? {
            SubmitReply::Committed { height, index, .. } => Ok(Place { height, index }),
            SubmitReply::Rejected { rule, detail } => Err(CliError::denied(
                format!("the chain refuses it: {rule}: {detail}"),
                "make it anew from the chain's present state",
            )),
            SubmitReply::Accepted => Err(CliError::unreachable(
                "taken, but not committed in time: it may still be",
                match self.kind {
                    ChainKind::Alliance => "look before trying again: members list",
                    ChainKind::Private => "look before trying again: members show",
                },
            )),
            SubmitReply::Unavailable { detail } => Err(CliError::unreachable(
                format!("the node cannot take it now: {detail}"),
                format!("look at it: {} status --home DIR", self.program),
            )),
        }
    }
}
