//! A workstation's session: whose key, which hospital, and how its services are asked.

use std::sync::Arc;
use std::time::Duration;

use caduceus_cli::NetworkFile;
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::time::TimeMillis;
use caduceus_network::exchange::{PersonSigned, Reply};
use caduceus_network::{Exchange, Limits, PeerAddr, Service, ServiceConfig};
use private_chain::audit::{Resource, Statement};
use private_chain::{Action, Subject};
use rand_core::{OsRng, RngCore};

use super::error::{Who, WorkstationError};
use crate::clock::Clock;
use crate::network_map::HospitalMap;

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

/// What a request asks for, as its audit entry will say.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// What is to be done.
    pub(super) action: Action,
    /// Kind of that.
    pub(super) subtype: &'static str,
    /// Hash of the patient's card.
    pub(super) patient: Option<Hash>,
    /// The record.
    pub(super) record: Option<Hash>,
    /// Purpose of use.
    pub(super) purpose: &'static str,
}

/// Purpose of use: treatment.
pub(super) const TREATMENT: &str = "TREAT";
/// Purpose of use: administration of patients.
pub(super) const PATIENT_ADMINISTRATION: &str = "PATADMIN";

/// A random name of a request.
pub(super) fn random_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    OsRng.fill_bytes(&mut name);
    name
}

/// A workstation of one hospital, used by one member of staff. Clones share the session.
#[derive(Clone)]
pub struct Workstation {
    inner: Arc<Inner>,
}

struct Inner {
    service: Service,
    staff: SecretKey,
    map: HospitalMap,
    clock: Clock,
}

impl Workstation {
    /// Opens a session. Nobody is asked yet.
    ///
    /// # Errors
    /// [`WorkstationError::Map`] when the network file does not name the hospital properly,
    /// [`WorkstationError::Start`] when the network does not start.
    pub async fn open(config: WorkstationConfig) -> Result<Self, WorkstationError> {
        let map = HospitalMap::read(&config.network, &config.hospital)?;
        let (staff, clock) = (config.staff, config.clock);
        let service = Service::start(ServiceConfig {
            key: &staff,
            listen: Vec::new(),
            limits: Limits::default(),
        })
        .await?;
        Ok(Self {
            inner: Arc::new(Inner {
                service,
                staff,
                map,
                clock,
            }),
        })
    }

    /// The hospital and its services.
    pub fn map(&self) -> &HospitalMap {
        &self.inner.map
    }

    /// The hospital.
    pub fn hospital(&self) -> HospitalId {
        self.inner.map.hospital
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

    /// Signs what is asked for, as whoever sits here.
    pub(super) fn state(&self, asked: Asked, request_id: [u8; 16]) -> PersonSigned {
        let at = self.now();
        let statement = Statement {
            time: at,
            actor: self.staff(),
            action: asked.action,
            subtype: asked.subtype.into(),
            patient: asked.patient.map(Subject::Card),
            resource: asked.record.map(Resource::Record),
            purpose: asked.purpose.into(),
            grant: None,
            request: hex::encode(request_id).into(),
        };
        let signed = statement.sign(&mut OsRng, &self.inner.map.private_chain, self.staff_key());
        PersonSigned {
            at,
            request_id,
            purpose: asked.purpose.to_owned(),
            salt: signed.salt,
            signature: signed.signature,
        }
    }

    pub(super) fn address(&self, who: Who) -> &PeerAddr {
        match who {
            Who::KeyService => &self.inner.map.keys,
            Who::Server | Who::PrivateNode => &self.inner.map.server,
        }
    }

    /// Asks one address.
    pub(super) async fn ask<E: Exchange>(
        &self,
        who: Who,
        to: &PeerAddr,
        request: E::Request,
    ) -> Result<E::Response, WorkstationError> {
        self.inner
            .service
            .call::<E>(to, request)
            .await
            .map_err(|error| WorkstationError::call(who, error))
    }

    /// Asks a service that judges its callers, and waits a little when it says later.
    ///
    /// The request is made anew each time: what a person signs has its time in it.
    pub(super) async fn ask_judge<E, T>(
        &self,
        who: Who,
        request: impl Fn() -> E::Request,
    ) -> Result<T, WorkstationError>
    where
        E: Exchange<Response = Reply<T>>,
    {
        let mut left = PATIENCE;
        loop {
            match self.ask::<E>(who, self.address(who), request()).await? {
                Reply::Done(value) => return Ok(value),
                Reply::Denied { rule, detail } => {
                    return Err(WorkstationError::Denied { who, rule, detail });
                }
                Reply::Later {
                    after_millis,
                    detail,
                } => {
                    if left == 0 {
                        return Err(WorkstationError::Later {
                            who,
                            after_millis,
                            detail,
                        });
                    }
                    left -= 1;
                    wait(after_millis).await;
                }
            }
        }
    }

    /// Asks the nodes of the private chain in turn, until one answers.
    pub(super) async fn ask_node<E>(
        &self,
        request: E::Request,
    ) -> Result<E::Response, WorkstationError>
    where
        E: Exchange,
        E::Request: Clone,
    {
        let mut last = WorkstationError::NoNodes;
        for node in &self.inner.map.private_nodes {
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
