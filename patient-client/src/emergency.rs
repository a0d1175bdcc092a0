//! Whether her records at a hospital may be opened without her in an emergency (DESIGN 3.7). It is off unless she
//! says so; she may take it back.

use crate::error::PatientError;
use crate::patient::Patient;
use caduceus_client::{ClientError, ask_server, ephemeral_service};
use caduceus_crypto::HospitalId;
use caduceus_crypto::emergency::EmergencyConsent;
use caduceus_network::exchange::{Emergency, EmergencyAnswer, EmergencyCall};

impl Patient {
    /// Opts in or out at a hospital whose card she has registered. Opted in, records sealed from then on carry a
    /// second wrap, which the hospital's officers can open together; records from before do not. Opted out, the
    /// hospital's server lets nobody open them, and new ones carry none.
    ///
    /// # Errors
    /// [`PatientError::NoCard`]; [`PatientError::CardRefused`]; [`ClientError::Denied`], for instance where the
    /// hospital has no emergency key; [`ClientError::Unreachable`].
    ///
    /// # Leakage
    /// The server learns it and makes an entry; whoever sees a record of hers sees that it has a second wrap.
    pub async fn set_emergency_access(
        &self,
        hospital: &HospitalId,
        wanted: bool,
    ) -> Result<(), PatientError> {
        let site = self.hospital(hospital)?;
        let card = self.card(hospital)?.card;
        let consent = EmergencyConsent::sign(
            self.keys().view(),
            site.id,
            card.hash(),
            wanted,
            self.alliance.now(),
        );
        let call = EmergencyCall::Consent {
            card: card.number,
            consent,
        };
        // A peer identifier of its own: the hospital must not recognise her searches by it.
        let service = ephemeral_service().await?;
        let who = format!("the server of {}", site.name);
        let answer =
            ask_server::<Emergency, EmergencyAnswer>(&service, &who, &site.server, call).await;
        service.shutdown().await;
        match answer {
            Ok(EmergencyAnswer::Noted) => Ok(()),
            Ok(_) => Err(PatientError::Client(ClientError::Unverified {
                node: who,
                reason: "it answered another question".to_owned(),
            })),
            // Who does not know a card's number is told nothing.
            Err(ClientError::Refused { who }) => Err(PatientError::CardRefused { who }),
            Err(error) => Err(error.into()),
        }
    }
}
