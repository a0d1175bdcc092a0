//! What the hospital's identity key does: staff come and go, data users are vouched for.
//!
//! It runs where that key is: on the machine of the server, not on a workstation. What it does is in the hospital's
//! audit log before it is done, signed with the identity key: the server must be running.

use alliance_chain::{Account, Tx as AllianceTx};
use caduceus_cli::NetworkFile;
use caduceus_client::{Alliance, ClientError, Proved};
use caduceus_crypto::codec::encode;
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use caduceus_custody::emergency::{DealError, deal, seal_share};
use caduceus_ledger::StateProofAt;
use caduceus_network::exchange::{
    LogAction, LogActionRequest, Query, QueryReply, QueryRequest, Reply, Submit, SubmitReply,
    SubmitRequest,
};
use caduceus_network::{CallError, Limits, Service, ServiceConfig};
use private_chain::audit::{MAX_REASON_BYTES, Resource, Statement};
use private_chain::{
    Action, AuditEntry, Enrol, Outcome, Role, SignedEmergencyKey, Suspend, Tx as PrivateTx, state,
};
use rand_core::{OsRng, RngCore};

use super::emergency::ShareFile;
use super::error::{Who, WorkstationError};
use crate::clock::Clock;
use crate::network_map::HospitalMap;

/// An enrolment holds from a little before it is made: block time may be behind this machine's clock.
const BACKDATE_MILLIS: u64 = 5 * 60 * 1000;

/// Purpose of use: administration of the system.
const ADMINISTRATION: &str = "HSYSADMIN";

/// A transaction of the private chain that is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Height of the private block.
    pub height: u64,
    /// Hash of that block.
    pub block_hash: Hash,
}

/// One officer's share of a new emergency key.
#[derive(Clone, Debug)]
pub struct DealtShare {
    /// Her staff key.
    pub officer: PublicKey,
    /// The file for her home: the share in it is sealed to her.
    pub file: ShareFile,
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
        let tx = PrivateTx::Enrol(body.sign(&self.map.private_chain, &self.identity));
        let deed = self.announce("staff-enrol", &format!("staff {staff}"), &format!("{role}"));
        self.logged(deed, self.submit(&tx)).await
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
        let tx = PrivateTx::Suspend(body.sign(&self.map.private_chain, &self.identity));
        let deed = self.announce("staff-suspend", &format!("staff {staff}"), reason);
        self.logged(deed, self.submit(&tx)).await
    }

    /// Deals the hospital's next emergency key among officers. Nothing counts before
    /// [`Administrator::name_emergency_key`]: the shares are to be durable first.
    ///
    /// # Errors
    /// [`WorkstationError::Deal`]; [`WorkstationError::Unreachable`] when no private node tells which key is next.
    ///
    /// # Security
    /// The secret exists in this process while it deals.
    pub async fn deal_emergency_key(
        &self,
        officers: &[PublicKey],
        threshold: usize,
    ) -> Result<(SignedEmergencyKey, Vec<DealtShare>), WorkstationError> {
        let generation = self.newest_emergency_key().await?.saturating_add(1);
        let dealt = deal(&mut OsRng, generation, officers, threshold)?;
        let checked = dealt.key.check().map_err(DealError::Key)?;
        let chain = &self.map.private_chain;
        let signed = SignedEmergencyKey::sign(dealt.key, chain, &self.identity);
        let shares = officers
            .iter()
            .zip(&dealt.shares)
            .map(|(officer, share)| DealtShare {
                officer: *officer,
                file: ShareFile::new(
                    signed.clone(),
                    seal_share(&mut OsRng, &checked, officer, share),
                ),
            })
            .collect();
        Ok((signed, shares))
    }

    /// Names a key that was dealt on the private chain: from then on records are wrapped under it.
    ///
    /// # Errors
    /// As [`Administrator::enrol`].
    pub async fn name_emergency_key(
        &self,
        key: SignedEmergencyKey,
    ) -> Result<Committed, WorkstationError> {
        let what = format!("emergency key, generation {}", key.body.generation);
        let deed = self.announce("emergency-setup", &what, "");
        self.logged(deed, self.submit(&PrivateTx::EmergencyKey(key)))
            .await
    }

    /// Generation of the newest emergency key, 0 if there is none: a node's word, which the chain judges when the next
    /// one is named.
    async fn newest_emergency_key(&self) -> Result<u32, WorkstationError> {
        let who = Who::PrivateNode;
        let place = state::emergency_generation();
        let mut last = WorkstationError::NoNodes;
        for node in &self.map.private_nodes {
            let request = QueryRequest::State {
                key: place.bytes().to_vec(),
            };
            match self.service.call::<Query>(node, request).await {
                Ok(QueryReply::NotFound) => return Ok(0),
                Ok(QueryReply::Found(document)) => {
                    let wrong = WorkstationError::BadAnswer {
                        who,
                        what: "a state that does not decode",
                    };
                    let Ok(found) = borsh::from_slice::<StateProofAt>(&document) else {
                        return Err(wrong);
                    };
                    return match found.proof.value {
                        None => Ok(0),
                        Some(bytes) => place.decode(&bytes).map_err(|_| wrong),
                    };
                }
                Err(error) => last = WorkstationError::call(who, error),
            }
        }
        Err(last)
    }

    /// Vouches for a data user on the alliance chain.
    ///
    /// # Errors
    /// [`WorkstationError::Alliance`] as [`Alliance::submit`]; otherwise as [`Administrator::enrol`].
    pub async fn admit_data_user(
        &self,
        alliance: &Alliance,
        data_user: PublicKey,
        receiving: PublicKey,
        label: &str,
    ) -> Result<Proved, WorkstationError> {
        let body = Account {
            data_user,
            receiving,
            label: label.to_owned(),
            member: self.map.hospital,
        };
        let tx = AllianceTx::Account(body.sign(&alliance.chain(), &self.identity));
        let deed = self.announce("data-user-admit", &format!("data user {data_user}"), "");
        self.enter(&deed).await?;
        let outcome = alliance.submit(&tx).await;
        if let Err(error) = &outcome {
            let denied = matches!(error, ClientError::Denied { .. });
            self.not_done(deed, denied, &error.to_string()).await?;
        }
        outcome.map_err(WorkstationError::from)
    }

    /// The entry of what is about to be done, signed with the identity key.
    fn announce(&self, subtype: &'static str, resource: &str, reason: &str) -> AuditEntry {
        let mut request = [0u8; 16];
        OsRng.fill_bytes(&mut request);
        let mut entry = AuditEntry {
            time: (self.clock)(),
            actor: self.identity.public().into(),
            role: None,
            organisation: self.map.hospital,
            action: Action::Execute,
            subtype: subtype.into(),
            outcome: Outcome::Success,
            reason: shortened(reason).into(),
            patient: None,
            resource: Some(Resource::Named(resource.into())),
            purpose: ADMINISTRATION.into(),
            grant: None,
            source: "administrator".into(),
            request: hex::encode(request).into(),
            reference: "".into(),
            statement: None,
        };
        let statement = Statement::of(&entry).expect("the actor is a key");
        let signed = statement.sign(&mut OsRng, &self.map.private_chain, &self.identity);
        entry.statement = Some(signed);
        entry
    }

    /// Does something on the private chain once its entry is committed; what is refused has a second one.
    async fn logged(
        &self,
        deed: AuditEntry,
        doing: impl Future<Output = Result<Committed, WorkstationError>>,
    ) -> Result<Committed, WorkstationError> {
        self.enter(&deed).await?;
        let outcome = doing.await;
        if let Err(error) = &outcome {
            let denied = matches!(error, WorkstationError::Denied { .. });
            self.not_done(deed, denied, &error.to_string()).await?;
        }
        outcome
    }

    async fn not_done(
        &self,
        deed: AuditEntry,
        denied: bool,
        reason: &str,
    ) -> Result<(), WorkstationError> {
        let outcome = if denied {
            Outcome::Denied
        } else {
            Outcome::Failed
        };
        let ended = AuditEntry {
            outcome,
            reason: shortened(reason).into(),
            ..deed
        };
        self.enter(&ended).await
    }

    /// Has the hospital's server log an entry.
    async fn enter(&self, entry: &AuditEntry) -> Result<(), WorkstationError> {
        let who = Who::Server;
        let request = LogActionRequest {
            entry: encode(entry),
        };
        let answer = self
            .service
            .call::<LogAction>(&self.map.server, request)
            .await
            .map_err(|error| WorkstationError::call(who, error))?;
        match answer {
            Reply::Done(_) => Ok(()),
            Reply::Denied { rule, detail } => Err(WorkstationError::Denied { who, rule, detail }),
            Reply::Later {
                after_millis,
                detail,
            } => Err(WorkstationError::Later {
                who,
                after_millis,
                detail,
            }),
        }
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

/// As much of a text as a reason holds.
fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_REASON_BYTES))
        .unwrap_or(text)
}

fn later(detail: String) -> WorkstationError {
    WorkstationError::Later {
        who: Who::PrivateNode,
        after_millis: 5_000,
        detail,
    }
}
