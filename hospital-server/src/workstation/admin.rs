//! What the hospital's identity key does: staff come and go, data users are vouched for.
//!
//! It runs where that key is: on the machine of the server, not on a workstation.

use alliance_chain::{Account, Tx as AllianceTx};
use caduceus_cli::NetworkFile;
use caduceus_client::{Alliance, ClientError, Proved};
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use caduceus_network::exchange::{Submit, SubmitReply, SubmitRequest};
use caduceus_network::{CallError, Limits, Service, ServiceConfig};
use private_chain::{Enrol, Role, Suspend, Tx as PrivateTx};

use super::error::{Who, WorkstationError};
use crate::clock::Clock;
use crate::network_map::HospitalMap;

/// An enrolment holds from a little before it is made: block time may be behind this machine's clock.
const BACKDATE_MILLIS: u64 = 5 * 60 * 1000;

/// A transaction of the private chain that is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Height of the private block.
    pub height: u64,
    /// Hash of that block.
    pub block_hash: Hash,
}

/// Whoever holds the hospital's identity key.
pub struct Administrator {
    service: Service,
    identity: SecretKey,
    map: HospitalMap,
    clock: Clock,
}

impl Administrator {
    /// Opens a session for the hospital whose identity key this is. Private nodes see that key: they take
    /// transactions from it and from the server's alone.
    ///
    /// # Errors
    /// [`WorkstationError::Map`] when the network file does not have the hospital, [`WorkstationError::Start`].
    pub async fn open(
        network: &NetworkFile,
        identity: SecretKey,
        clock: Clock,
    ) -> Result<Self, WorkstationError> {
        let map = HospitalMap::of_identity(network, &identity.public())?;
        let service = Service::start(ServiceConfig {
            key: &identity,
            listen: Vec::new(),
            limits: Limits::default(),
        })
        .await?;
        Ok(Self {
            service,
            identity,
            map,
            clock,
        })
    }

    /// The hospital and its services.
    pub fn map(&self) -> &HospitalMap {
        &self.map
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.service.shutdown().await;
    }

    /// Enrols a key for so many days, or renews its enrolment.
    ///
    /// # Errors
    /// [`WorkstationError::Denied`] with the chain's rule; [`WorkstationError::Unreachable`],
    /// [`WorkstationError::Later`].
    pub async fn enrol(
        &self,
        staff: PublicKey,
        role: Role,
        label: &str,
        days: u32,
    ) -> Result<Committed, WorkstationError> {
        let now = (self.clock)();
        let body = Enrol {
            staff,
            role,
            label: label.to_owned(),
            not_before: TimeMillis(now.0.saturating_sub(BACKDATE_MILLIS)),
            not_after: TimeMillis(
                now.0
                    .saturating_add(u64::from(days).saturating_mul(MILLIS_PER_DAY)),
            ),
        };
        self.submit(&PrivateTx::Enrol(
            body.sign(&self.map.private_chain, &self.identity),
        ))
        .await
    }

    /// Suspends a key, at once and for good.
    ///
    /// # Errors
    /// As [`Administrator::enrol`].
    pub async fn suspend(
        &self,
        staff: PublicKey,
        reason: &str,
    ) -> Result<Committed, WorkstationError> {
        let body = Suspend {
            staff,
            reason: reason.to_owned(),
        };
        self.submit(&PrivateTx::Suspend(
            body.sign(&self.map.private_chain, &self.identity),
        ))
        .await
    }

    /// Vouches for a data user on the alliance chain.
    ///
    /// # Errors
    /// As [`Alliance::submit`].
    pub async fn admit_data_user(
        &self,
        alliance: &Alliance,
        data_user: PublicKey,
        receiving: PublicKey,
        label: &str,
    ) -> Result<Proved, ClientError> {
        let body = Account {
            data_user,
            receiving,
            label: label.to_owned(),
            member: self.map.hospital,
        };
        alliance
            .submit(&AllianceTx::Account(
                body.sign(&alliance.chain(), &self.identity),
            ))
            .await
    }

    /// Hands a transaction to the private nodes in turn and waits for its block. The same bytes are committed
    /// once, whoever gets them.
    async fn submit(&self, tx: &PrivateTx) -> Result<Committed, WorkstationError> {
        let who = Who::PrivateNode;
        let bytes = tx.encode();
        let mut last = WorkstationError::NoNodes;
        for node in &self.map.private_nodes {
            let request = SubmitRequest {
                tx: bytes.clone(),
                wait: true,
            };
            last = match self.service.call::<Submit>(node, request).await {
                Ok(SubmitReply::Committed {
                    height, block_hash, ..
                }) => {
                    return Ok(Committed { height, block_hash });
                }
                Ok(SubmitReply::Rejected { rule, detail }) => {
                    return Err(WorkstationError::Denied { who, rule, detail });
                }
                Ok(SubmitReply::Accepted) => later("taken, but not committed in time".to_owned()),
                Ok(SubmitReply::Unavailable { detail }) => later(detail),
                Err(CallError::Refused) => WorkstationError::NotTheHospital,
                Err(error) => WorkstationError::call(who, error),
            };
        }
        Err(last)
    }
}

fn later(detail: String) -> WorkstationError {
    WorkstationError::Later {
        who: Who::PrivateNode,
        after_millis: 5_000,
        detail,
    }
}
