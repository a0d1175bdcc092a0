//! A workstation's session: whose key, which hospital, and how its services are asked.

use std::sync::Arc;
use std::time::Duration;

use caduceus_cli::{HospitalEntry, NetworkFile};
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use caduceus_network::exchange::Reply;
use caduceus_network::{Exchange, Limits, PeerAddr, Service, ServiceConfig};

use super::error::{Who, WorkstationError};

/// Tells the time. An argument, so that scenarios can hold it.
pub type Clock = Arc<dyn Fn() -> TimeMillis + Send + Sync>;

/// How often a postponed request is asked again.
const PATIENCE: u32 = 3;

/// Longest wait before a postponed request is asked again.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// What a workstation needs.
pub struct WorkstationConfig {
    /// The network.
    pub network: NetworkFile,
    /// The hospital, by its name in the network file or the beginning of its identifier.
    pub hospital: String,
    /// The signing key of whoever sits there; enrolled on the hospital's private chain.
    pub staff: SecretKey,
    /// The time.
    pub clock: Clock,
}

/// A hospital as the network file tells it, checked.
#[derive(Clone, Debug)]
pub struct HospitalSite {
    /// Name for people.
    pub name: String,
    /// Identifier.
    pub id: HospitalId,
    /// Identity key: signs receipts.
    pub identity: PublicKey,
    /// Public index key I.
    pub index_key: PublicKey,
    /// The private chain.
    pub chain: ChainId,
    /// `hospital-server serve`.
    pub server: PeerAddr,
    /// `hospital-server keys`.
    pub keys: PeerAddr,
    /// Nodes of the private chain.
    pub nodes: Vec<PeerAddr>,
}

impl HospitalSite {
    /// Reads an entry of a network file. The identifier must be that of the identity key.
    ///
    /// # Errors
    /// [`WorkstationError::Network`] names the field.
    pub fn read(entry: &HospitalEntry) -> Result<Self, WorkstationError> {
        let wrong = |field: &'static str| WorkstationError::Network { field };
        let id: HospitalId = entry.id.parse().map_err(|_| wrong("id"))?;
        let identity: PublicKey = entry.identity_key.parse().map_err(|_| wrong("identity_key"))?;
        if HospitalId::from_identity(&identity) != id {
            return Err(wrong("id does not belong to identity_key"));
        }
        let chain: Hash = entry.chain_id.parse().map_err(|_| wrong("chain_id"))?;
        let mut nodes = Vec::with_capacity(entry.nodes.len());
        for node in &entry.nodes {
            nodes.push(node.service.parse::<PeerAddr>().map_err(|_| wrong("nodes"))?);
        }
        Ok(Self {
            name: entry.name.clone(),
            id,
            identity,
            index_key: entry.index_key.parse().map_err(|_| wrong("index_key"))?,
            chain: ChainId(chain),
            server: entry.server.parse().map_err(|_| wrong("server"))?,
            keys: entry.keys.parse().map_err(|_| wrong("keys"))?,
            nodes,
        })
    }
}

/// A workstation of one hospital, used by one member of staff. Clones share the session.
#[derive(Clone)]
pub struct Workstation {
    inner: Arc<Inner>,
}

struct Inner {
    service: Service,
    staff: SecretKey,
    site: HospitalSite,
    clock: Clock,
}

impl Workstation {
    /// Opens a session. Nobody is asked yet.
    ///
    /// # Errors
    /// [`WorkstationError::Network`] when the network file does not name the hospital properly,
    /// [`WorkstationError::Start`] when the network does not start.
    pub async fn open(config: WorkstationConfig) -> Result<Self, WorkstationError> {
        let entry = config
            .network
            .hospital(&config.hospital)
            .map_err(|_| WorkstationError::Network { field: "no such hospital" })?;
        let site = HospitalSite::read(entry)?;
        Self::at(site, config.staff, config.clock).await
    }

    /// Opens a session at a site that is known already.
    ///
    /// # Errors
    /// [`WorkstationError::Start`].
    pub async fn at(site: HospitalSite, staff: SecretKey, clock: Clock) -> Result<Self, WorkstationError> {
        let service =
            Service::start(ServiceConfig { key: &staff, listen: Vec::new(), limits: Limits::default() }).await?;
        Ok(Self { inner: Arc::new(Inner { service, staff, site, clock }) })
    }

    /// The hospital.
    pub fn site(&self) -> &HospitalSite {
        &self.inner.site
    }

    /// The public key of whoever sits here.
    pub fn staff(&self) -> PublicKey {
        self.inner.staff.public()
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.inner.service.shutdown().await;
    }

    pub(super) fn staff_key(&self) -> &SecretKey {
        &self.inner.staff
    }

    pub(super) fn now(&self) -> TimeMillis {
        (self.inner.clock)()
    }

    pub(super) fn address(&self, who: Who) -> &PeerAddr {
        match who {
            Who::KeyService => &self.inner.site.keys,
            Who::Server | Who::PrivateNode => &self.inner.site.server,
        }
    }

    /// Asks one address.
    pub(super) async fn ask<E: Exchange>(
        &self,
        who: Who,
        to: &PeerAddr,
        request: E::Request,
    ) -> Result<E::Response, WorkstationError> {
        self.inner.service.call::<E>(to, request).await.map_err(|error| WorkstationError::call(who, error))
    }

    /// Asks a service that judges its callers, and waits a little when it says later.
    pub(super) async fn ask_judge<E, T>(&self, who: Who, request: E::Request) -> Result<T, WorkstationError>
    where
        E: Exchange<Response = Reply<T>>,
        E::Request: Clone,
    {
        let mut left = PATIENCE;
        loop {
            match self.ask::<E>(who, self.address(who), request.clone()).await? {
                Reply::Done(value) => return Ok(value),
                Reply::Denied { rule, detail } => return Err(WorkstationError::Denied { who, rule, detail }),
                Reply::Later { after_millis, detail } => {
                    if left == 0 {
                        return Err(WorkstationError::Later { who, after_millis, detail });
                    }
                    left -= 1;
                    wait(after_millis).await;
                }
            }
        }
    }

    /// Asks the nodes of the private chain in turn, until one answers.
    pub(super) async fn ask_node<E>(&self, request: E::Request) -> Result<E::Response, WorkstationError>
    where
        E: Exchange,
        E::Request: Clone,
    {
        let mut last = WorkstationError::Network { field: "nodes is empty" };
        for node in &self.inner.site.nodes {
            match self.ask::<E>(Who::PrivateNode, node, request.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Waits as long as the other side asks for, within reason.
pub(super) async fn wait(after_millis: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(after_millis)).min(MAX_WAIT)).await;
}
