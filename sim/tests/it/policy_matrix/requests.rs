//! What is asked for.

use super::World;
use super::callers::{Caller, Kind, Ward, meta, now, registration};
use caduceus_crypto::{Hash, SecretKey, Signature, encode};
use caduceus_network::Exchange;
use caduceus_network::PeerAddr;
use caduceus_network::exchange::{
    AuditFilter, AuditQuery, AuditQueryRequest, AuditRight, Emergency, EmergencyCall,
    EmergencyRequest, EmergencyTarget, FetchReceipt, FetchReceiptRequest, FetchRecord,
    FetchRecordRequest, Finish, IndexKey, IndexKeyRequest, IssueTokens, IssueTokensRequest,
    LogAction, LogActionRequest, MetaLookup, MetaLookupRequest, RecordClaim, Register,
    RegisterPatient, RegisterPatientRequest, StoreRecord, StoreRecordRequest,
};
use private_chain::policy::Operation;
use private_chain::{Action, AuditEntry, Outcome};
use rand_core::{OsRng, RngCore};

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Current,
    Superseded,
    Absent,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    RegisterPatient,
    MetaLookup,
    IndexKey,
    Upload,
    /// Her own record if she is the doctor who wrote it, that of the patient before her otherwise.
    Amend(Told),
    Relay(Told),
    Receipt(Told),
    LogOwnAction,
    LogOthersAction,
    WholeLog,
    LogOfOneself,
    /// Under the card's audit key, or what passes for it.
    Tokens,
    Register,
    LogOfPatient,
    /// Records opened without their patient.
    EmergencyRequest,
    /// Somebody else looks at such a request.
    EmergencyReview,
}

impl Ask {
    pub const ALL: &[Ask] = &[
        Ask::RegisterPatient,
        Ask::MetaLookup,
        Ask::IndexKey,
        Ask::Upload,
        Ask::Amend(Told::Current),
        Ask::Amend(Told::Superseded),
        Ask::Relay(Told::Current),
        Ask::Relay(Told::Superseded),
        Ask::Relay(Told::Absent),
        Ask::Receipt(Told::Current),
        Ask::Receipt(Told::Superseded),
        Ask::Receipt(Told::Absent),
        Ask::LogOwnAction,
        Ask::LogOthersAction,
        Ask::WholeLog,
        Ask::LogOfOneself,
        Ask::Tokens,
        Ask::Register,
        Ask::LogOfPatient,
        Ask::EmergencyRequest,
        Ask::EmergencyReview,
    ];

    pub fn operation(self) -> Operation {
        match self {
            Ask::RegisterPatient => Operation::RegisterPatient,
            Ask::MetaLookup => Operation::MetaLookup,
            Ask::IndexKey => Operation::IndexKey,
            Ask::Upload => Operation::Upload,
            Ask::Amend(_) => Operation::Amend,
            Ask::Relay(_) => Operation::RelayRecord,
            Ask::Receipt(_) => Operation::Receipt,
            Ask::LogOwnAction | Ask::LogOthersAction => Operation::LogAction,
            Ask::WholeLog | Ask::LogOfOneself | Ask::LogOfPatient => Operation::AuditQuery,
            Ask::Tokens => Operation::IssueTokens,
            Ask::Register => Operation::Register,
            Ask::EmergencyRequest => Operation::Emergency,
            Ask::EmergencyReview => Operation::EmergencyApprove,
        }
    }
}

impl Ask {
    /// Whether a patient asks so, under her card's audit key.
    pub fn is_a_patients(self) -> bool {
        matches!(self, Ask::Tokens | Ask::Register | Ask::LogOfPatient)
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// Sends a request. What became of it, the log says.
pub async fn send(world: &World, ward: &Ward, caller: &Caller, ask: Ask) {
    let hospital = &world.layout.hospitals[0];
    let server = &hospital.server_address;
    let record = |told| match told {
        Told::Current => ward.current,
        Told::Superseded => ward.superseded,
        Told::Absent => Hash(random()),
    };
    // Only the patient has a card whose audit key she holds.
    let own = caller.kind == Kind::Patient;
    let audit: &SecretKey = caller.audit.as_ref().unwrap_or(&caller.key);
    match ask {
        Ask::RegisterPatient => {
            call::<RegisterPatient>(
                caller,
                server,
                RegisterPatientRequest {
                    card: random(),
                    meta: meta(),
                    statement: None,
                },
            )
            .await;
        }
        Ask::MetaLookup => {
            call::<MetaLookup>(
                caller,
                server,
                MetaLookupRequest {
                    card: ward.card,
                    statement: None,
                },
            )
            .await;
        }
        Ask::IndexKey => {
            let request = IndexKeyRequest {
                card: ward.card,
                quarter: now().epoch().quarter(),
                statement: None,
            };
            call::<IndexKey>(caller, &hospital.keys_address, request).await;
        }
        Ask::Upload => {
            let request = StoreRecordRequest::Chunk {
                upload: random(),
                offset: 0,
                bytes: vec![1; 100],
            };
            call::<StoreRecord>(caller, server, request).await;
        }
        Ask::Amend(told) => {
            // Whoever gets past the policy is told that the statement is none.
            let request = StoreRecordRequest::Finish(Finish {
                upload: random(),
                total: 100,
                request_id: random(),
                card: ward.card,
                anchor_body: Vec::new(),
                author_signature: Signature([0; 64]),
                amends: Some(record(told)),
                statement: None,
            });
            call::<StoreRecord>(caller, server, request).await;
        }
        Ask::Relay(told) => {
            let claim = RecordClaim {
                hospital: hospital.id,
                private_height: 1,
                position: 0,
                record_hash: record(told),
                caller: random::<16>().to_vec(),
                at: now(),
            };
            let right = claim.claim_as_owner(&caller.key);
            let request = FetchRecordRequest {
                claim,
                right,
                offset: 0,
            };
            call::<FetchRecord>(caller, server, request).await;
        }
        Ask::Receipt(told) => {
            let record_hash = record(told);
            call::<FetchReceipt>(caller, server, FetchReceiptRequest { record_hash }).await;
        }
        Ask::LogOwnAction | Ask::LogOthersAction => {
            let actor = match ask {
                Ask::LogOwnAction => caller.key.public(),
                _ => SecretKey::generate(&mut OsRng).public(),
            };
            let entry = AuditEntry {
                time: now(),
                actor: actor.into(),
                role: None,
                organisation: hospital.id,
                action: Action::Read,
                subtype: "open".into(),
                outcome: Outcome::Success,
                reason: "".into(),
                patient: None,
                resource: None,
                purpose: "".into(),
                grant: None,
                source: "".into(),
                request: hex::encode(random::<16>()).into(),
                reference: "".into(),
                statement: None,
            };
            let entry = encode(&entry);
            call::<LogAction>(caller, server, LogActionRequest { entry }).await;
        }
        Ask::WholeLog | Ask::LogOfOneself | Ask::LogOfPatient => {
            let filter = AuditFilter {
                actor: (ask == Ask::LogOfOneself).then(|| caller.key.public()),
                ..AuditFilter::default()
            };
            let request = AuditQueryRequest {
                hospital: hospital.id,
                filter,
                cursor: None,
                limit: 1,
                at: now(),
                right: AuditRight::Staff,
                statement: None,
            };
            let request = match ask {
                Ask::LogOfPatient => request.signed_by_audit_key(audit),
                _ => request,
            };
            call::<AuditQuery>(caller, server, request).await;
        }
        Ask::Tokens => {
            let request = IssueTokensRequest {
                hospital: hospital.id,
                card: if own { ward.her_card } else { ward.card },
                blinded: Vec::new(),
                at: now(),
                signature: Signature([0; 64]),
            }
            .signed_for_tokens(audit);
            call::<IssueTokens>(caller, server, request).await;
        }
        Ask::EmergencyRequest => {
            let request = EmergencyRequest {
                hospital: hospital.id,
                requester: caller.key.public(),
                target: EmergencyTarget::Record(ward.current),
                reason: "unconscious".to_owned(),
                at: now(),
                nonce: random(),
                signature: Signature([0; 64]),
            }
            .signed(&caller.key);
            let asked = EmergencyCall::Request {
                card: None,
                request,
            };
            call::<Emergency>(caller, server, asked).await;
        }
        Ask::EmergencyReview => {
            let request = Hash(random());
            call::<Emergency>(caller, server, EmergencyCall::Review { request }).await;
        }
        Ask::Register => {
            let (card, code) = match own {
                true => (ward.her_card, ward.her_code),
                false => (random(), random()),
            };
            let request = registration(world, audit, card, code, ward.her_meta);
            call::<Register>(caller, server, request).await;
        }
    }
}

/// A refusal is no failure of this test: strangers get no byte.
async fn call<E: Exchange>(caller: &Caller, to: &PeerAddr, request: E::Request) {
    let _ = caller.service.call::<E>(to, request).await;
}
