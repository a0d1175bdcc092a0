//! Registering a patient at the desk (DESIGN 2.1, step 2).

use caduceus_crypto::card::{Card, CardQr, DeskCode};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::pseudonym::MetaAddress;
use caduceus_crypto::time::TimeMillis;
use caduceus_network::exchange::{NewCard, RegisterPatient, RegisterPatientRequest};
use private_chain::Action;
use rand_core::OsRng;

use super::error::{Who, WorkstationError};
use super::session::{Asked, PATIENT_ADMINISTRATION, Workstation, random_name};
use crate::network_map::fits_scheme;

/// What the registrar prints and hands over. Secret: card number and desk code are the patient's.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// The card.
    pub card: Card,
    /// What its QR code says: the card, bound to the meta-address that the patient showed.
    pub qr: CardQr,
    /// The code with which her client registers, once.
    pub desk_code: DeskCode,
    /// When the card was made, by the server's clock.
    pub since: TimeMillis,
}

/// Refuses a meta-address whose records could not be indexed under a network's scheme.
///
/// # Errors
/// [`WorkstationError::NoIndexKey`], [`WorkstationError::ForeignIndexKey`].
pub fn check_meta(scheme: SchemeId, meta: &MetaAddress) -> Result<(), WorkstationError> {
    match meta.index {
        _ if fits_scheme(scheme, meta) => Ok(()),
        None => Err(WorkstationError::NoIndexKey { scheme }),
        Some(_) => Err(WorkstationError::ForeignIndexKey { scheme }),
    }
}

impl Workstation {
    /// Registers the patient behind a meta-address, as her client shows it: the server makes a card. The binding
    /// on it is computed here, from what the patient showed.
    ///
    /// # Errors
    /// As [`check_meta`], before anybody is asked; the server's refusal, for instance for a role that may not
    /// register; [`WorkstationError::BadAnswer`] when it makes another hospital's card.
    ///
    /// # Leakage
    /// The server learns the meta-address, which is the same at every hospital.
    pub async fn register_patient(
        &self,
        meta: &MetaAddress,
    ) -> Result<Registered, WorkstationError> {
        check_meta(self.map().index_scheme, meta)?;
        let drawn = Card::generate(&mut OsRng, self.hospital());
        let asked = Asked {
            action: Action::Create,
            subtype: "register-patient",
            patient: Some(drawn.card_number().hash()),
            record: None,
            purpose: PATIENT_ADMINISTRATION,
        };
        let made: NewCard = self
            .ask_judge::<RegisterPatient, _>(Who::Server, || RegisterPatientRequest {
                card: drawn.number,
                meta: *meta,
                statement: Some(self.state(asked, random_name())),
            })
            .await?;
        let wrong = |what: &'static str| WorkstationError::BadAnswer {
            who: Who::Server,
            what,
        };
        if made.hospital != self.hospital() || made.card != drawn.number {
            return Err(wrong("another card than the one asked for"));
        }
        let card = Card {
            number: made.card,
            hospital: made.hospital,
        };
        Ok(Registered {
            card,
            qr: CardQr::new(&card, meta),
            desk_code: desk_code(made.desk_code)
                .ok_or_else(|| wrong("a desk code that is none"))?,
            since: made.since,
        })
    }
}

/// A desk code from its bytes, by way of the encoding that it shares with them.
fn desk_code(bytes: [u8; 5]) -> Option<DeskCode> {
    caduceus_crypto::decode_exact::<DeskCode>(&bytes, bytes.len()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network_map::with_index_key;

    #[test]
    fn a_meta_address_has_the_index_key_that_the_scheme_needs() {
        let key = || caduceus_crypto::SecretKey::generate(&mut rand_core::OsRng).public();
        let bare = MetaAddress::new(key(), key());
        let keyed = with_index_key(bare);
        for scheme in SchemeId::ALL {
            let (good, bad) = match scheme {
                SchemeId::Tags => (bare, keyed),
                _ => (keyed, bare),
            };
            assert!(check_meta(scheme, &good).is_ok());
            let Err(error) = check_meta(scheme, &bad) else {
                panic!("{scheme} takes the other kind");
            };
            assert_eq!(
                matches!(error, WorkstationError::NoIndexKey { .. }),
                scheme != SchemeId::Tags
            );
        }
    }

    #[test]
    fn a_desk_code_survives_its_bytes() {
        let code = DeskCode::generate(&mut rand_core::OsRng);
        assert_eq!(desk_code(*code.as_bytes()), Some(code));
    }
}
