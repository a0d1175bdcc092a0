//! Registration of her client with a card and its desk code (DESIGN 2.1).

use crate::error::PatientError;
use crate::patient::Patient;
use crate::state::CardEntry;
use alliance_chain::state;
use caduceus_client::{ClientError, Hospital, ask_server, ephemeral_service};
use caduceus_crypto::card::{CardError, CardNumber, CardQr, DeskCode};
use caduceus_crypto::token::IssuerPublicKey;
use caduceus_crypto::{HospitalId, PublicKey, Signature, domain};
use caduceus_custody::secret_box::seal_to;
use caduceus_network::Peer;
use caduceus_network::exchange::{Register, RegisterRequest, Registered, pair_secret_context};
use rand_core::OsRng;

/// Associated data of the box in which her pair secret travels to the key service of a card's hospital.
#[must_use]
pub fn pair_secret_associated_data(card: &CardNumber) -> Vec<u8> {
    pair_secret_context(&card.number)
}

impl Patient {
    /// The hospital that a card names.
    ///
    /// # Errors
    /// [`CardError::Foreign`]: no hospital of the network has it.
    pub fn hospital_of_card(&self, card: &CardNumber) -> Result<&Hospital, PatientError> {
        self.hospitals
            .iter()
            .find(|hospital| card.check_hospital(&hospital.id).is_ok())
            .ok_or(PatientError::Card(CardError::Foreign))
    }

    /// Registers with a card's QR code and the desk code that came with it. The code's check value must be that
    /// of her own keys.
    ///
    /// # Errors
    /// [`CardError::Substituted`] when the card was made for other keys; otherwise as [`Patient::register_card`].
    pub async fn register(
        &mut self,
        qr: &CardQr,
        desk_code: &DeskCode,
    ) -> Result<HospitalId, PatientError> {
        let hospital = self.hospital_of_card(&qr.card)?.id;
        qr.check(&self.wallet.meta(), &hospital)?;
        self.register_card(&qr.card, desk_code).await
    }

    /// Registers with a card's number and the desk code that came with it: enrols her audit key there, hands the
    /// pair secret to the hospital's key service, and keeps the card.
    ///
    /// # Errors
    /// [`CardError::Foreign`]; [`PatientError::CardRefused`] for a card that the hospital does not know;
    /// [`ClientError::Denied`] for a wrong code; [`ClientError::Unverified`]
    /// when the server names other keys than the network file and the alliance; [`ClientError::Unreachable`].
    ///
    /// # Leakage
    /// The server learns that this card's patient has a client; never the pair secret.
    pub async fn register_card(
        &mut self,
        card: &CardNumber,
        desk_code: &DeskCode,
    ) -> Result<HospitalId, PatientError> {
        let site = self.hospital_of_card(card)?.clone();
        let key_service = Peer::new(site.keys.id, site.keys.address.clone())
            .key
            .ok_or_else(|| ClientError::BadAddress {
                text: site.keys.to_string(),
            })?;
        let secret = self.keys().pair_secret(&site.id);
        let sealed = seal_to(
            &mut OsRng,
            &key_service,
            domain::PAIR_SECRET_BOX,
            &pair_secret_associated_data(card),
            &secret[..],
        );
        let audit = self.keys().audit_key(&site.id);
        let request = RegisterRequest {
            hospital: site.id,
            card: card.number,
            desk_code: *desk_code.as_bytes(),
            meta: self.wallet.meta(),
            sealed_pair_secret: sealed,
            audit_key: audit.public(),
            at: self.alliance.now(),
            signature: Signature([0; 64]),
        }
        .signed_for_registration(&audit);
        // A peer identifier of its own: the hospital must not recognise her searches by it.
        let service = ephemeral_service().await?;
        let who = format!("the server of {}", site.name);
        let answer =
            ask_server::<Register, Registered>(&service, &who, &site.server, request).await;
        service.shutdown().await;
        let registered = match answer {
            // Who does not know a card's number is told nothing.
            Err(ClientError::Refused { who }) => return Err(PatientError::CardRefused { who }),
            other => other?,
        };
        self.check_index_key(&site, &registered.index_key)?;
        let issuer = self.checked_issuer(&site, &registered.issuer).await?;
        self.keep_card(&site, card, issuer)?;
        Ok(site.id)
    }

    /// Keeps a card that she registered before, on another device or before a restore. Nobody is asked but the
    /// alliance, for the hospital's token key.
    ///
    /// # Errors
    /// [`CardError::Foreign`]; [`ClientError::Unreachable`] and the like for the alliance.
    pub async fn add_card(&mut self, card: &CardNumber) -> Result<HospitalId, PatientError> {
        let site = self.hospital_of_card(card)?.clone();
        let issuer = self.newest_issuer(&site.id).await?;
        self.keep_card(
            &site,
            card,
            issuer.map(|key| key.as_der().to_vec()).unwrap_or_default(),
        )?;
        Ok(site.id)
    }

    fn keep_card(
        &mut self,
        site: &Hospital,
        card: &CardNumber,
        issuer: Vec<u8>,
    ) -> Result<(), PatientError> {
        let entry = CardEntry {
            hospital: site.id,
            name: site.name.clone(),
            card: *card,
            binding: CardEntry::binding_of(&self.wallet.meta(), &site.id),
            index_key: site.index_key,
            issuer,
            since: self.alliance.now(),
        };
        self.wallet.update(|state| state.put_card(entry))
    }

    /// The index key is the network file's: with another one her searches would find nothing.
    fn check_index_key(&self, site: &Hospital, found: &PublicKey) -> Result<(), PatientError> {
        if *found == site.index_key {
            return Ok(());
        }
        Err(PatientError::Client(ClientError::Unverified {
            node: format!("the server of {}", site.name),
            reason: "its index key is not the one in the network file".to_owned(),
        }))
    }

    /// The token key that the server names must be one of those on the alliance chain: a key of her own would
    /// make her searches recognisable.
    async fn checked_issuer(&self, site: &Hospital, der: &[u8]) -> Result<Vec<u8>, PatientError> {
        let Some(record) = self.alliance.get(&state::issuer(&site.id)).await? else {
            return Ok(Vec::new());
        };
        if record.keys.iter().any(|key| key.as_der() == der) {
            return Ok(der.to_vec());
        }
        Err(PatientError::Client(ClientError::Unverified {
            node: format!("the server of {}", site.name),
            reason: "its token key is not on the alliance chain".to_owned(),
        }))
    }

    /// The hospital's newest token key on the alliance chain.
    pub(crate) async fn newest_issuer(
        &self,
        hospital: &HospitalId,
    ) -> Result<Option<IssuerPublicKey>, PatientError> {
        let record = self.alliance.get(&state::issuer(hospital)).await?;
        Ok(record.and_then(|record| record.keys.into_iter().next()))
    }
}
