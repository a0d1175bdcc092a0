//! Who served an access is told to the chain, which credits them (DESIGN 6.4).

use std::time::Duration;

use alliance_chain::tx::ON_TIME_MILLIS;
use alliance_chain::{Acknowledge, Grant, Tx};
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::PublicKey;

use crate::session::{DataUser, Ticket};

/// What is said of an access whose record these proxies opened, after this time.
fn said(access: Hash, grant: &Grant, proxies: &[PublicKey], took: Duration) -> Acknowledge {
    let served = (0u8..)
        .zip(&grant.proxies)
        .filter(|(_, proxy)| proxies.contains(proxy))
        .map(|(index, _)| index)
        .take(usize::from(grant.threshold))
        .collect();
    Acknowledge {
        access,
        proxies: served,
        on_time: took.as_millis() <= u128::from(ON_TIME_MILLIS),
    }
}

impl DataUser {
    /// Hands the acknowledgement in and does not wait for its block: the record is open, and nothing that happens
    /// here takes it back. A data user for whom no member vouched paid nothing, and the chain refuses.
    pub(super) async fn acknowledge(&self, ticket: &Ticket, proxies: &[PublicKey], took: Duration) {
        let body = said(ticket.access, &ticket.grant, proxies, took);
        let tx = Tx::Acknowledge(body.sign(&self.alliance().chain(), self.keys().signing()));
        if let Err(error) = self.alliance().hand_in(&tx).await {
            tracing::info!(%error, "the service was not acknowledged");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use alliance_chain::RecordRef;
    use caduceus_crypto::keys::{HospitalId, SecretKey};
    use caduceus_crypto::time::TimeMillis;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_bytes(&[n; 32]).unwrap().public()
    }

    #[test]
    fn who_served_is_named_by_its_place_and_no_more_than_were_needed() {
        let grant = Grant {
            data_user: key(1),
            receiving: key(2),
            purpose_commitment: Hash([3; 32]),
            hospital: HospitalId::default(),
            record: RecordRef {
                height: 1,
                position: 0,
            },
            record_hash: Hash([4; 32]),
            pseudonym: key(5),
            delegating: key(6),
            verifying: key(7),
            expires: TimeMillis(8),
            proxies: vec![key(10), key(11), key(12), key(13)],
            threshold: 2,
            fragment_commitments: vec![Hash([9; 32]); 4],
        };
        let access = Hash([1; 32]);
        let at = |proxies: &[PublicKey], millis| {
            let said = said(access, &grant, proxies, Duration::from_millis(millis));
            assert_eq!(said.access, access);
            (said.proxies, said.on_time)
        };
        assert_eq!(at(&[key(13), key(11)], 30_000), (vec![1, 3], true));
        assert_eq!(at(&[key(13), key(11)], 30_001), (vec![1, 3], false));
        assert_eq!(at(&[key(12), key(11), key(10)], 0), (vec![0, 1], true));
        assert_eq!(at(&[key(99)], 0), (Vec::new(), true));
    }
}
