//! What the tests of several modules share.

use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::time::Epoch;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::patient::PatientKeys;
use crate::seal::{SealRequest, Sealed, seal};
use crate::seed::PatientSeed;

pub(crate) const JSON: &str = "application/fhir+json";

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn patient(byte: u8) -> PatientKeys {
    PatientKeys::from_seed(&PatientSeed::from_bytes(&[byte; 32]))
}

pub(crate) fn hospital() -> HospitalId {
    HospitalId([0x11; 32])
}

pub(crate) fn request<'a>(patient: &PatientKeys, plaintext: &'a [u8]) -> SealRequest<'a> {
    SealRequest {
        hospital: hospital(),
        meta: patient.meta(),
        epoch: Epoch(20_777),
        media_type: JSON,
        plaintext,
        visit: None,
    }
}

pub(crate) fn sealed(rng: &mut ChaCha20Rng, patient: &PatientKeys, plaintext: &[u8]) -> Sealed {
    seal(rng, request(patient, plaintext)).expect("a small plaintext is sealed")
}
