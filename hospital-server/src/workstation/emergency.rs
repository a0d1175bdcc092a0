//! Emergencies at the workstation (DESIGN 3.7): a physician asks, officers agree with their shares, the physician
//! opens. The server is believed in nothing that it could gain by: keys are checked against the hospital's identity
//! key, excerpts against record hashes, requests and approvals against their signers.

mod case;
mod share_file;

use caduceus_crypto::Hash;
use caduceus_crypto::card::CardNumber;
use caduceus_crypto::codec::{decode_exact, encode};
use caduceus_crypto::domain;
use caduceus_crypto::emergency::{CheckedEmergencyKey, EmergencyPartial, VerifiedPartial};
use caduceus_crypto::keys::{PublicKey, Signature};
use caduceus_crypto::record::{MAX_RECORD_BYTES, parse};
use caduceus_crypto::time::TimeMillis;
use caduceus_custody::emergency::{self, EmergencyOpenError, ShareError};
use caduceus_custody::frame::MAX_PLAINTEXT_BYTES;
use caduceus_custody::open::{OpenError, Opened, open_with_data_key};
use caduceus_custody::secret_box::{open_from, seal_to};
use caduceus_network::exchange::{
    CHUNK_BYTES, CardHolder, Emergency, EmergencyAnswer, EmergencyApproval, EmergencyCall,
    EmergencyOpening, EmergencyRequest, EmergencyTarget, MAX_EMERGENCY_BOX_BYTES,
    MAX_EMERGENCY_KEY_BYTES, MAX_EMERGENCY_REASON_BYTES,
};
use private_chain::SignedEmergencyKey;
use rand_core::{OsRng, RngCore};

use super::error::{Who, WorkstationError};
use super::session::Workstation;
use crate::emergency::Step;
use crate::network_map::HospitalMap;

pub use case::{EmergencyCase, EmergencyRecord};
pub use share_file::{MAX_SHARE_FILE_BYTES, ShareFile};

/// What is wrong in an emergency, at this end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmergencyFault {
    /// No reason, or one too long.
    #[error("a reason of 1 to {MAX_EMERGENCY_REASON_BYTES} bytes is needed")]
    Reason,
    /// The server's terms for a card are not the patient's or the hospital's.
    #[error("the server's terms for emergency access do not hold: {what}")]
    Terms {
        /// What is wrong.
        what: &'static str,
    },
    /// The server's word on a request does not hold.
    #[error("the server's word on this emergency does not hold: {what}")]
    Document {
        /// What is wrong.
        what: String,
    },
    /// A share file is not one, or not the hospital's.
    #[error("the share file does not hold: {what}")]
    ShareFile {
        /// What is wrong.
        what: &'static str,
    },
    /// A share is not this officer's.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// This officer's share of a generation is not here.
    #[error("your share of emergency key {generation} is not in this home")]
    NoShare {
        /// The key.
        generation: u32,
    },
    /// No record of the request is wrapped under a key that names this officer.
    #[error("the emergency key does not name you as an officer")]
    NotOfficer,
    /// Officers did not do their part: too few good partials are left.
    #[error("record {record} does not open: {source}; officers at fault: {}", names(.blamed))]
    Officers {
        /// The record.
        record: Hash,
        /// What is missing.
        source: EmergencyOpenError,
        /// Officers whose part does not hold.
        blamed: Vec<PublicKey>,
    },
    /// The record's author made it so that officers cannot open it.
    #[error("record {record} does not open: {source}")]
    Record {
        /// The record.
        record: Hash,
        /// Why.
        source: OpenError,
    },
    /// The server sent other bytes than those of the record.
    #[error("the server sent other bytes than those of record {record}")]
    Tampered {
        /// The record.
        record: Hash,
    },
}

fn names(keys: &[PublicKey]) -> String {
    if keys.is_empty() {
        return "none".to_owned();
    }
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}

/// What is to be opened.
#[derive(Clone, Copy)]
pub enum EmergencyAim {
    /// One record.
    Record(Hash),
    /// The newest records of a card that was found on the patient.
    Card(CardNumber),
}

/// An officer's approval, as the server counts it.
#[derive(Clone, Debug)]
pub struct EmergencyApproved {
    /// What was approved.
    pub case: EmergencyCase,
    /// Officers who approved so far.
    pub approvals: u32,
}

/// A record that was opened.
#[derive(Clone, Debug)]
pub struct EmergencyOpened {
    /// Its hash.
    pub record: Hash,
    /// What is in it.
    pub opened: Opened,
    /// Officers whose part did not hold; there were enough others.
    pub blamed: Vec<PublicKey>,
    /// Height of the newest private block with an entry of the opening.
    pub logged_at: u64,
}

/// A partial for the record at this place of the request.
type PlacedPartial = (u16, EmergencyPartial);

/// The hospital's key in bytes from a server or a file, checked against the network file.
pub(super) fn hospitals_key(
    map: &HospitalMap,
    bytes: &[u8],
) -> Result<(SignedEmergencyKey, CheckedEmergencyKey), &'static str> {
    let key: SignedEmergencyKey = decode_exact(bytes, MAX_EMERGENCY_KEY_BYTES)
        .map_err(|_| "the emergency key does not decode")?;
    let signed = std::iter::once(&map.identity)
        .chain(&map.former_identities)
        .any(|identity| key.is_signed_by(&map.private_chain, identity));
    if !signed {
        return Err("the emergency key is not signed by the hospital");
    }
    let checked = key
        .body
        .check()
        .map_err(|_| "the emergency key breaks a rule of such keys")?;
    Ok((key, checked))
}

/// With what the records of a card are wrapped a second time: the patient's word and the hospital's key, both checked.
pub(super) fn terms_of(
    map: &HospitalMap,
    card: &CardNumber,
    holder: &CardHolder,
) -> Result<Option<CheckedEmergencyKey>, EmergencyFault> {
    let Some(terms) = &holder.emergency else {
        return Ok(None);
    };
    let consent = &terms.consent;
    let what = if consent.verify(&holder.meta).is_err() {
        "the patient did not sign the consent"
    } else if (consent.hospital, consent.card) != (map.hospital, card.hash()) {
        "the consent is for another card"
    } else if !consent.wanted {
        "the patient opted out"
    } else {
        let key = hospitals_key(map, &terms.key);
        match key {
            Ok((_, key)) => return Ok(Some(key)),
            Err(what) => what,
        }
    };
    Err(EmergencyFault::Terms { what })
}

impl Workstation {
    async fn ask_emergency(
        &self,
        call: EmergencyCall,
    ) -> Result<EmergencyAnswer, WorkstationError> {
        self.ask_judge::<Emergency, _>(Who::Server, || call.clone())
            .await
    }

    /// Asks to open records without their patient. Officers then approve the case by its identifier.
    ///
    /// # Errors
    /// [`EmergencyFault::Reason`] before anybody is asked; the server's refusal; [`EmergencyFault::Document`].
    ///
    /// # Leakage
    /// The patient reads who asked, and why.
    pub async fn emergency_request(
        &self,
        aim: EmergencyAim,
        reason: &str,
    ) -> Result<EmergencyCase, WorkstationError> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > MAX_EMERGENCY_REASON_BYTES {
            return Err(EmergencyFault::Reason.into());
        }
        let (target, card) = match aim {
            EmergencyAim::Record(record) => (EmergencyTarget::Record(record), None),
            EmergencyAim::Card(card) => {
                card.check_hospital(&self.hospital())?;
                (EmergencyTarget::Card(card.hash()), Some(card.number))
            }
        };
        let mut nonce = [0u8; 16];
        OsRng.fill_bytes(&mut nonce);
        let request = EmergencyRequest {
            hospital: self.hospital(),
            requester: self.staff(),
            target,
            reason: reason.to_owned(),
            at: self.now(),
            nonce,
            signature: Signature([0; 64]),
        }
        .signed(self.staff_key());
        let id = request.id();
        let answer = self
            .ask_emergency(EmergencyCall::Request { card, request })
            .await?;
        self.case(&id, answer)
    }

    /// Looks at a case: its requester and its officers may.
    ///
    /// # Errors
    /// The server's refusal; [`EmergencyFault::Document`].
    pub async fn emergency_review(
        &self,
        request: &Hash,
    ) -> Result<EmergencyCase, WorkstationError> {
        let call = EmergencyCall::Review { request: *request };
        let answer = self.ask_emergency(call).await?;
        self.case(request, answer)
    }

    fn case(
        &self,
        request: &Hash,
        answer: EmergencyAnswer,
    ) -> Result<EmergencyCase, WorkstationError> {
        match answer {
            EmergencyAnswer::Document(document) => {
                Ok(EmergencyCase::verify(self.map(), request, document)?)
            }
            _ => Err(out_of_turn()),
        }
    }

    /// Agrees as an officer: makes her partials for a case that she has looked at, sealed to its requester.
    ///
    /// # Errors
    /// [`EmergencyFault::NotOfficer`], [`EmergencyFault::NoShare`]; the server's refusal.
    pub async fn emergency_approve(
        &self,
        case: EmergencyCase,
        shares: &[ShareFile],
    ) -> Result<EmergencyApproved, WorkstationError> {
        let (id, at, me) = (case.id(), self.now(), self.staff());
        let mut partials: Vec<PlacedPartial> = Vec::new();
        let mut statements = Vec::new();
        for (place, record) in (0u16..).zip(case.records()) {
            if record.key.index_of(&me).is_none() {
                continue;
            }
            let generation = record.key.generation();
            let share = shares
                .iter()
                .find(|file| file.generation() == generation)
                .ok_or(EmergencyFault::NoShare { generation })?
                .open(self.map(), self.staff_key())?;
            let partial = emergency::partial(&mut OsRng, &share, &record.wrap);
            partials.push((place, partial));
            statements.push(self.statement(Step::Approve, at, &id, record));
        }
        if partials.is_empty() {
            return Err(EmergencyFault::NotOfficer.into());
        }
        let sealed = seal_to(
            &mut OsRng,
            &case.request().requester,
            domain::EMERGENCY_PARTIAL_BOX,
            id.as_bytes(),
            &encode(&partials),
        );
        let approval = EmergencyApproval {
            hospital: self.hospital(),
            request: id,
            officer: me,
            sealed,
            statements,
            at,
            signature: Signature([0; 64]),
        }
        .signed(self.staff_key());
        match self.ask_emergency(EmergencyCall::Approve(approval)).await? {
            EmergencyAnswer::Approved { approvals } => Ok(EmergencyApproved { case, approvals }),
            _ => Err(out_of_turn()),
        }
    }

    fn statement(
        &self,
        step: Step,
        at: TimeMillis,
        request: &Hash,
        record: &EmergencyRecord,
    ) -> Vec<u8> {
        let statement = step.statement(self.staff(), at, request, record.names());
        let chain = self.map().private_chain;
        encode(&statement.sign(&mut OsRng, &chain, self.staff_key()))
    }

    /// Opens the records of a case that enough officers approved. Their entries are committed before anything of them
    /// arrives here.
    ///
    /// # Errors
    /// The server's refusal; [`EmergencyFault::Officers`] names those whose part does not hold;
    /// [`EmergencyFault::Tampered`], [`EmergencyFault::Record`].
    pub async fn emergency_open(
        &self,
        request: &Hash,
    ) -> Result<Vec<EmergencyOpened>, WorkstationError> {
        let seen = self.emergency_review(request).await?;
        let at = self.now();
        let opening = EmergencyOpening {
            hospital: self.hospital(),
            request: *request,
            statements: seen
                .records()
                .iter()
                .map(|record| self.statement(Step::Open, at, request, record))
                .collect(),
            at,
            signature: Signature([0; 64]),
        }
        .signed(self.staff_key());
        let EmergencyAnswer::Opened {
            document,
            approvals,
            logged_at,
        } = self.ask_emergency(EmergencyCall::Open(opening)).await?
        else {
            return Err(out_of_turn());
        };
        let case = EmergencyCase::verify(self.map(), request, document)?;
        let mut all = Vec::new();
        for (place, record) in (0u16..).zip(case.records()) {
            let (good, blamed) = self.partials_for(&case, record, place, &approvals);
            let name = record.excerpt.record_hash;
            let data_key =
                emergency::unwrap(&record.key, &record.wrap, &good).map_err(|source| {
                    EmergencyFault::Officers {
                        record: name,
                        source,
                        blamed: blamed.clone(),
                    }
                })?;
            let bytes = self.emergency_fetch(request, &name).await?;
            let tampered = EmergencyFault::Tampered { record: name };
            match parse(&bytes) {
                Ok(view) if view.record_hash() == name => {}
                _ => return Err(tampered.into()),
            }
            let opened =
                open_with_data_key(&bytes, &data_key, MAX_PLAINTEXT_BYTES).map_err(|source| {
                    EmergencyFault::Record {
                        record: name,
                        source,
                    }
                })?;
            all.push(EmergencyOpened {
                record: name,
                opened,
                blamed,
                logged_at,
            });
        }
        Ok(all)
    }

    /// The partials for one record that hold, and the officers whose do not.
    fn partials_for(
        &self,
        case: &EmergencyCase,
        record: &EmergencyRecord,
        place: u16,
        approvals: &[EmergencyApproval],
    ) -> (Vec<VerifiedPartial>, Vec<PublicKey>) {
        let (mut good, mut blamed) = (Vec::new(), Vec::new());
        for approval in approvals {
            let Some(index) = record.key.index_of(&approval.officer) else {
                continue;
            };
            let partial = self
                .partials_in(case, approval)
                .and_then(|partials| {
                    let found = partials.into_iter().find(|(at, _)| *at == place);
                    found.map(|(_, partial)| partial)
                })
                .filter(|partial| partial.index == index)
                .and_then(|partial| partial.verify(&record.key, &record.wrap).ok());
            match partial {
                Some(partial) => good.push(partial),
                None => blamed.push(approval.officer),
            }
        }
        (good, blamed)
    }

    /// What an officer's box holds; none if she did not sign it for this case, or it does not open.
    fn partials_in(
        &self,
        case: &EmergencyCase,
        approval: &EmergencyApproval,
    ) -> Option<Vec<PlacedPartial>> {
        let id = case.id();
        if (approval.hospital, approval.request) != (self.hospital(), id)
            || approval.check().is_err()
        {
            return None;
        }
        let opened = open_from(
            self.staff_key(),
            domain::EMERGENCY_PARTIAL_BOX,
            id.as_bytes(),
            &approval.sealed,
        );
        decode_exact(&opened.ok()?, MAX_EMERGENCY_BOX_BYTES).ok()
    }

    /// The sealed bytes of a record that was opened.
    async fn emergency_fetch(
        &self,
        request: &Hash,
        record: &Hash,
    ) -> Result<Vec<u8>, WorkstationError> {
        let mut whole: Vec<u8> = Vec::new();
        loop {
            let call = EmergencyCall::Fetch {
                request: *request,
                record: *record,
                offset: whole.len() as u64,
            };
            let EmergencyAnswer::Chunk { total, bytes } = self.ask_emergency(call).await? else {
                return Err(out_of_turn());
            };
            let (short, empty) = (bytes.len() < CHUNK_BYTES, bytes.is_empty());
            whole.extend_from_slice(&bytes);
            if whole.len() as u64 == total && total <= MAX_RECORD_BYTES as u64 {
                return Ok(whole);
            }
            if short || empty || whole.len() > MAX_RECORD_BYTES {
                return Err(EmergencyFault::Tampered { record: *record }.into());
            }
        }
    }
}

fn out_of_turn() -> WorkstationError {
    WorkstationError::BadAnswer {
        who: Who::Server,
        what: "an answer to another message",
    }
}
