//! Staff and a patient who know the identifiers of their own requests.

use crate::layout::Layout;
use anyhow::{Context, bail};
use caduceus_crypto::card::CardQr;
use caduceus_crypto::{
    Hash, HospitalId, MetaAddress, Pseudonym, PublicKey, SecretKey, Signature, domain,
};
use caduceus_custody::PatientSeed;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::secret_box::seal_to;
use caduceus_ledger::ChainId;
use caduceus_network::exchange::{
    AuditFilter, AuditQuery, AuditQueryRequest, AuditRight, FetchRecord, FetchRecordReply,
    FetchRecordRequest, Finish, IndexKey, IndexKeyRequest, LogAction, LogActionRequest, MetaLookup,
    MetaLookupRequest, PersonSigned, RecordClaim, Register, RegisterPatient,
    RegisterPatientRequest, RegisterRequest, Reply, StoreRecord, StoreRecordReply,
    StoreRecordRequest, pair_secret_context,
};
use caduceus_network::{CallError, Exchange, Limits, Peer, PeerAddr, Service, ServiceConfig};
use caduceus_node::{Clock, NodeHome, SystemClock};
use hospital_server::workstation::{Registered, Uploaded, Workstation, WorkstationConfig};
use private_chain::audit::{Resource, Statement};
use private_chain::{Action, AuditEntry, Outcome, Subject};
use rand_core::{OsRng, RngCore};

/// What a request brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Denied by this rule.
    Denied(String),
    /// Not now.
    Later,
    /// The other side closed without a byte.
    Refused,
    /// There was no answer.
    None,
}

impl Answer {
    fn of<T>(reply: Result<Reply<T>, CallError>) -> Self {
        match reply {
            Ok(Reply::Done(_)) => Self::Done,
            Ok(Reply::Denied { rule, .. }) => Self::Denied(rule),
            Ok(Reply::Later { .. }) => Self::Later,
            Err(CallError::Refused) => Self::Refused,
            Err(_) => Self::None,
        }
    }

    fn of_upload(reply: Result<StoreRecordReply, CallError>) -> Self {
        match reply {
            Ok(StoreRecordReply::Stored { .. } | StoreRecordReply::ChunkOk { .. }) => Self::Done,
            Ok(StoreRecordReply::Denied { rule, .. }) => Self::Denied(rule),
            Ok(StoreRecordReply::Retry { .. }) => Self::Later,
            Err(CallError::Refused) => Self::Refused,
            Err(_) => Self::None,
        }
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// A member of staff.
pub struct Member {
    key: SecretKey,
    service: Service,
    station: Workstation,
    chain: ChainId,
    hospital: HospitalId,
    server: PeerAddr,
    keys: PeerAddr,
}

/// A request of a member, by its identifier.
pub type Asked = ([u8; 16], Answer);

impl Member {
    pub(super) async fn new(layout: &Layout) -> anyhow::Result<Self> {
        let hospital = &layout.hospitals[0];
        let key = SecretKey::generate(&mut OsRng);
        let service = service(&key).await?;
        let station = Workstation::open(WorkstationConfig {
            network: layout.network.clone(),
            hospital: hospital.name.clone(),
            staff: key.clone(),
            clock: hospital_server::system_clock(),
        })
        .await?;
        Ok(Self {
            key,
            service,
            station,
            chain: hospital.genesis.chain_id(),
            hospital: hospital.id,
            server: hospital.server_address.clone(),
            keys: hospital.keys_address.clone(),
        })
    }

    /// Her key.
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// Her workstation.
    pub fn station(&self) -> &Workstation {
        &self.station
    }

    /// What her entry of an action says, for her to sign.
    pub fn statement(&self, action: Action, subtype: &str, patient: Option<Hash>) -> Statement {
        Statement {
            time: SystemClock.now(),
            actor: self.key.public(),
            action,
            subtype: subtype.into(),
            patient: patient.map(Subject::Card),
            resource: None,
            purpose: "TREAT".into(),
            grant: None,
            request: hex::encode(random()).into(),
        }
    }

    /// Signs it.
    pub fn sign(&self, statement: &Statement) -> PersonSigned {
        let signed = statement.sign(&mut OsRng, &self.chain, &self.key);
        let mut request_id = [0; 16];
        hex::decode_to_slice(&*statement.request, &mut request_id)
            .expect("a statement made here has 32 digits");
        PersonSigned {
            at: statement.time,
            request_id,
            purpose: statement.purpose.to_string(),
            salt: signed.salt,
            signature: signed.signature,
        }
    }

    async fn ask<E, T>(&self, to: &PeerAddr, request: E::Request) -> Answer
    where
        E: Exchange<Response = Reply<T>>,
    {
        Answer::of(self.service.call::<E>(to, request).await)
    }

    /// Asks whose card it is; signed, unsigned, or with a signature on something else.
    pub async fn look_up(&self, card: &CardQr, signed: Option<&Statement>) -> Asked {
        let made = self.statement(Action::Read, "meta-lookup", Some(card.card.hash()));
        let signed = self.sign(signed.unwrap_or(&made));
        let request = MetaLookupRequest {
            card: card.card.number,
            statement: Some(signed.clone()),
        };
        let answer = self.ask::<MetaLookup, _>(&self.server, request).await;
        (signed.request_id, answer)
    }

    /// The same without a signature.
    pub async fn look_up_unsigned(&self, card: &CardQr) -> Answer {
        let request = MetaLookupRequest {
            card: card.card.number,
            statement: None,
        };
        self.ask::<MetaLookup, _>(&self.server, request).await
    }

    /// Asks for a card for this meta-address.
    pub async fn make_card(&self, meta: MetaAddress) -> Asked {
        let card = caduceus_crypto::Card::generate(&mut OsRng, self.hospital);
        let patient = Some(card.card_number().hash());
        let signed = self.sign(&self.statement(Action::Create, "register-patient", patient));
        let request = RegisterPatientRequest {
            card: card.number,
            meta,
            statement: Some(signed.clone()),
        };
        let answer = self.ask::<RegisterPatient, _>(&self.server, request).await;
        (signed.request_id, answer)
    }

    /// Asks the key service for a visit's index key.
    pub async fn index_key(&self, card: &CardQr) -> Asked {
        let patient = Some(card.card.hash());
        let signed = self.sign(&self.statement(Action::Read, "index-key", patient));
        let request = IndexKeyRequest {
            card: card.card.number,
            quarter: SystemClock.now().epoch().quarter(),
            statement: Some(signed.clone()),
        };
        let answer = self.ask::<IndexKey, _>(&self.keys, request).await;
        (signed.request_id, answer)
    }

    /// Reads the audit log.
    pub async fn read_log(&self) -> Asked {
        let signed = self.sign(&self.statement(Action::Search, "audit-query", None));
        let request = AuditQueryRequest {
            hospital: self.hospital,
            filter: AuditFilter::default(),
            cursor: None,
            limit: 10,
            at: signed.at,
            right: AuditRight::Staff,
            statement: Some(signed.clone()),
        };
        let answer = self.ask::<AuditQuery, _>(&self.server, request).await;
        (signed.request_id, answer)
    }

    /// Sends a part of an upload.
    pub async fn send_part(&self, upload: [u8; 16]) -> Answer {
        let request = StoreRecordRequest::Chunk {
            upload,
            offset: 0,
            bytes: vec![7; 64],
        };
        Answer::of_upload(
            self.service
                .call::<StoreRecord>(&self.server, request)
                .await,
        )
    }

    /// Says that an upload is complete, for the card that is presented; the record is none.
    pub async fn finish(&self, upload: [u8; 16], card: &CardQr) -> Asked {
        let patient = Some(card.card.hash());
        let signed = self.sign(&self.statement(Action::Create, "upload", patient));
        let request = StoreRecordRequest::Finish(Finish {
            upload,
            total: 64,
            request_id: signed.request_id,
            card: card.card.number,
            anchor_body: Vec::new(),
            author_signature: Signature([0; 64]),
            amends: None,
            statement: Some(signed.clone()),
        });
        let reply = self.service.call::<StoreRecord>(&self.server, request);
        (signed.request_id, Answer::of_upload(reply.await))
    }

    /// Has an action of her own logged.
    pub async fn log(&self) -> Asked {
        let statement = self.statement(Action::Execute, "print", None);
        let signed = self.sign(&statement);
        let entry = AuditEntry {
            time: statement.time,
            actor: statement.actor.into(),
            role: None,
            organisation: self.hospital,
            action: statement.action,
            subtype: statement.subtype.clone(),
            outcome: Outcome::Success,
            reason: "".into(),
            patient: None,
            resource: None::<Resource>,
            purpose: statement.purpose.clone(),
            grant: None,
            source: "ward".into(),
            request: statement.request.clone(),
            reference: "".into(),
            statement: Some(private_chain::audit::SignedStatement {
                salt: signed.salt,
                signature: signed.signature,
            }),
        };
        let request = LogActionRequest {
            entry: caduceus_crypto::encode(&entry),
        };
        let answer = self.ask::<LogAction, _>(&self.server, request).await;
        (signed.request_id, answer)
    }

    /// Closes her connections.
    pub async fn close(&self) {
        self.station.close().await;
        self.service.shutdown().await;
    }
}

async fn service(key: &SecretKey) -> anyhow::Result<Service> {
    let config = ServiceConfig {
        key,
        listen: Vec::new(),
        limits: Limits::default(),
    };
    Ok(Service::start(config).await?)
}

/// A patient with a card, whose claims an alliance node hands on.
pub struct Inpatient {
    keys: PatientKeys,
    /// Her card.
    pub card: CardQr,
    node: Service,
    hospital: HospitalId,
    server: PeerAddr,
}

impl Inpatient {
    /// Has a card made by a registrar, and registers with it.
    ///
    /// # Errors
    /// When the hospital does not do it.
    pub async fn arrive(layout: &Layout, registrar: &Member) -> anyhow::Result<Self> {
        let hospital = &layout.hospitals[0];
        let keys = PatientKeys::from_seed(&PatientSeed::generate(&mut OsRng));
        let made: Registered = registrar.station().register_patient(&keys.meta()).await?;
        let key_service = Peer::new(
            hospital.keys_address.id,
            hospital.keys_address.address.clone(),
        )
        .key
        .context("the key service has a key")?;
        let card = made.qr;
        let secret = keys.pair_secret(&hospital.id);
        let audit = keys.audit_key(&hospital.id);
        let request = RegisterRequest {
            hospital: hospital.id,
            card: card.card.number,
            desk_code: *made.desk_code.as_bytes(),
            meta: keys.meta(),
            sealed_pair_secret: seal_to(
                &mut OsRng,
                &key_service,
                domain::PAIR_SECRET_BOX,
                &pair_secret_context(&card.card.number),
                &secret[..],
            ),
            audit_key: audit.public(),
            at: SystemClock.now(),
            signature: Signature([0; 64]),
        }
        .signed_for_registration(&audit);
        let node = service(&NodeHome::load(&layout.alliance[0])?.key).await?;
        match node
            .call::<Register>(&hospital.server_address, request)
            .await?
        {
            Reply::Done(_) => {}
            other => bail!("the registration ended with {:?}", Answer::of(Ok(other))),
        }
        Ok(Self {
            keys,
            card,
            node,
            hospital: hospital.id,
            server: hospital.server_address.clone(),
        })
    }

    /// What she shows at the desk.
    pub fn meta(&self) -> MetaAddress {
        self.keys.meta()
    }

    /// Fetches the first chunk of a record of hers, as its owner.
    ///
    /// # Errors
    /// When the record is not hers.
    pub async fn fetch(&self, stored: &Uploaded) -> anyhow::Result<Answer> {
        let pseudonym: Pseudonym = stored.receipt.pseudonym;
        let owner = self.keys.one_time(&self.hospital, &pseudonym)?.secret;
        let claim = RecordClaim {
            hospital: self.hospital,
            private_height: stored.height,
            position: stored.position,
            record_hash: stored.record_hash,
            caller: random().to_vec(),
            at: SystemClock.now(),
        };
        let request = FetchRecordRequest {
            right: claim.claim_as_owner(&owner),
            claim,
            offset: 0,
        };
        Ok(
            match self.node.call::<FetchRecord>(&self.server, request).await {
                Ok(FetchRecordReply::Chunk { .. }) => Answer::Done,
                Ok(FetchRecordReply::Later { .. }) => Answer::Later,
                Ok(FetchRecordReply::Tampered { .. } | FetchRecordReply::Withheld { .. }) => {
                    Answer::Denied("withheld".to_owned())
                }
                Err(CallError::Refused) => Answer::Refused,
                Err(_) => Answer::None,
            },
        )
    }

    /// Closes the node's connections.
    pub async fn close(&self) {
        self.node.shutdown().await;
    }
}
