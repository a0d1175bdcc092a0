//! A visit: a patient's card on the desk, her keys checked against it, what her records are indexed with in memory.

use std::sync::Arc;

use caduceus_crypto::card::{CardNumber, CardQr};
use caduceus_crypto::domain;
use caduceus_crypto::emergency::CheckedEmergencyKey;
use caduceus_crypto::evidence::VisitOpening;
use caduceus_crypto::pseudonym::MetaAddress;
use caduceus_crypto::time::{Epoch, Quarter};
use caduceus_custody::scheme::{self, AuthorKey};
use caduceus_custody::secret_box::open_from;
use caduceus_custody::tags::TagRequest;
use caduceus_network::exchange::{
    CardHolder, IndexKey, IndexKeyRequest, MetaLookup, MetaLookupRequest, SealedIndexKey,
    TagCounters, TagCountersRequest,
};
use private_chain::Action;
use zeroize::Zeroizing;

use super::counters::{Counters, Gallop};
use super::emergency::terms_of;
use super::error::{Who, WorkstationError};
use super::patient::check_meta;
use super::session::{Asked, TREATMENT, Workstation, random_name};

/// The key service's rule for a card without a pair secret.
const UNREGISTERED: &str = "card_not_registered";

/// A patient in front of the workstation. Dropping it ends the visit: the index key is wiped.
pub struct Visit {
    pub(super) station: Workstation,
    card: CardNumber,
    holder: CardHolder,
    key: Option<(Quarter, Arc<AuthorKey>)>,
    pub(super) counters: Counters,
    pub(super) attested: Option<VisitOpening>,
    /// Under which key her records are wrapped a second time; none unless she opted in.
    pub(super) emergency: Option<Arc<CheckedEmergencyKey>>,
}

impl Workstation {
    /// Begins a visit: asks the server whose card it is, and checks the answer against the card itself.
    ///
    /// # Errors
    /// [`WorkstationError::Card`] for another hospital's card, [`WorkstationError::CardSubstituted`] when the
    /// server names other keys than the card is bound to, [`WorkstationError::Emergency`] when its terms for emergencies
    /// do not hold, [`WorkstationError::NoIndexKey`] and its like when her
    /// records can't be indexed on this network, or the server's refusal.
    pub async fn visit(&self, qr: &CardQr) -> Result<Visit, WorkstationError> {
        qr.card.check_hospital(&self.hospital())?;
        let asked = Asked {
            action: Action::Read,
            subtype: "meta-lookup",
            patient: Some(qr.card.hash()),
            record: None,
            purpose: TREATMENT,
        };
        let holder: CardHolder = self
            .ask_judge::<MetaLookup, _>(Who::Server, || MetaLookupRequest {
                card: qr.card.number,
                statement: Some(self.state(asked, random_name())),
            })
            .await?;
        // The hospital is the network file's: the server's word for it counts for nothing.
        qr.check(&holder.meta, &self.hospital())?;
        if holder.hospital != self.hospital() || holder.index_key != self.map().index_key {
            return Err(WorkstationError::BadAnswer {
                who: Who::Server,
                what: "another hospital's keys",
            });
        }
        check_meta(self.map().index_scheme, &holder.meta)?;
        let emergency = terms_of(self.map(), &qr.card, &holder)?;
        Ok(Visit {
            station: self.clone(),
            card: qr.card,
            holder,
            key: None,
            counters: Counters::default(),
            attested: None,
            emergency: emergency.map(Arc::new),
        })
    }
}

impl Visit {
    /// The patient's meta-address, checked against her card.
    pub fn meta(&self) -> &MetaAddress {
        &self.holder.meta
    }

    /// Whether the patient opted in to emergency access: her records are wrapped a second time.
    pub fn has_emergency_access(&self) -> bool {
        self.emergency.is_some()
    }

    /// What the server says of the card.
    pub fn holder(&self) -> &CardHolder {
        &self.holder
    }

    /// The card.
    pub fn card(&self) -> &CardNumber {
        &self.card
    }

    /// Takes the patient client's visit token: records of this visit are attested from now on.
    ///
    /// # Errors
    /// [`WorkstationError::BadAnswer`] when the token is not the patient's for this hospital.
    pub fn attest(&mut self, opening: VisitOpening) -> Result<(), WorkstationError> {
        let wrong = |what: &'static str| WorkstationError::BadAnswer {
            who: Who::Server,
            what,
        };
        let Some(key) = self.holder.audit_key else {
            return Err(WorkstationError::NotRegistered);
        };
        if opening.token.hospital != self.station.hospital() {
            return Err(wrong("a visit token for another hospital"));
        }
        opening
            .token
            .verify(&key)
            .map_err(|_| wrong("a visit token that the patient did not sign"))?;
        self.attested = Some(opening);
        Ok(())
    }

    /// What the records of the quarter that holds a day are indexed with, asked for once.
    pub(super) async fn author_key(
        &mut self,
        day: Epoch,
    ) -> Result<Arc<AuthorKey>, WorkstationError> {
        let quarter = day.quarter();
        if let Some((_, key)) = self.key.as_ref().filter(|(held, _)| *held == quarter) {
            return Ok(Arc::clone(key));
        }
        let who = Who::KeyService;
        let asked = Asked {
            action: Action::Read,
            subtype: "index-key",
            patient: Some(self.card.hash()),
            record: None,
            purpose: TREATMENT,
        };
        let request = |statement| IndexKeyRequest {
            card: self.card.number,
            quarter,
            statement,
        };
        let associated = request(None).context();
        let answer = self
            .station
            .ask_judge::<IndexKey, SealedIndexKey>(who, || {
                request(Some(self.station.state(asked, random_name())))
            })
            .await;
        let sealed = match answer {
            Err(WorkstationError::Denied { rule, .. }) if rule == UNREGISTERED => {
                return Err(WorkstationError::NotRegistered);
            }
            other => other?,
        };
        if sealed.view != self.holder.meta.view {
            return Err(WorkstationError::BadAnswer {
                who,
                what: "an index key of another patient",
            });
        }
        let opened: Zeroizing<Vec<u8>> = open_from(
            self.station.staff_key(),
            domain::INDEX_KEY_REQUEST,
            &associated,
            &sealed.sealed,
        )
        .map_err(|_| WorkstationError::BadAnswer {
            who,
            what: "an index key that does not open",
        })?;
        let bytes: &[u8; 32] =
            opened
                .as_slice()
                .try_into()
                .map_err(|_| WorkstationError::BadAnswer {
                    who,
                    what: "an index key of a wrong length",
                })?;
        let index_scheme = self.station.map().index_scheme;
        let key = scheme::author_key(index_scheme, quarter, bytes, &self.holder.meta)?;
        let key = Arc::new(key);
        self.key = Some((quarter, Arc::clone(&key)));
        Ok(key)
    }

    /// The next counter of each keyword on a day, in the order of the request: from memory, and from a node of
    /// the private chain for those not asked for before.
    pub(super) async fn counts(
        &mut self,
        day: Epoch,
        request: &TagRequest,
    ) -> Result<Vec<u32>, WorkstationError> {
        let who = Who::PrivateNode;
        let counters = self.counters.of_day(day);
        let mut gallop = Gallop::new(request, counters);
        while let Some(tags) = gallop.question() {
            let answer = self
                .station
                .ask_node::<TagCounters>(TagCountersRequest { tags })
                .await?;
            gallop.answer(|at| answer.is_committed(at)).map_err(|_| {
                WorkstationError::BadAnswer {
                    who,
                    what: "impossible tag counters",
                }
            })?;
        }
        let counts = gallop.counts().ok_or(WorkstationError::BadAnswer {
            who,
            what: "incomplete tag counters",
        })?;
        counters.learn(request.keywords(), &counts);
        Ok(counts)
    }
}
