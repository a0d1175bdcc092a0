//! Exchanges with re-encryption proxies: the grantor's delivery, the data user's request (DESIGN 3.6).

use crate::error::ClientError;
use crate::server::ask_server;
use crate::session::Alliance;
use caduceus_crypto::reencrypt::{disclosure_payload, fragment_commitment};
use caduceus_crypto::{Hash, PublicKey, domain, hash};
use caduceus_network::Service;
use caduceus_network::exchange::{
    DeliverFragments, DeliverFragmentsRequest, FragmentKept, Reencrypt, ReencryptRequest, Reencrypted,
};

/// The salted commitment to a purpose that a grant carries: H(salt, the purpose's UTF-8).
#[must_use]
pub fn purpose_commitment(salt: &[u8; 32], purpose: &str) -> Hash {
    hash(domain::PURPOSE_COMMITMENT, &[salt, purpose.as_bytes()])
}

/// What a proxy signs (domain `FRAGMENT_RECEIPT`) when it keeps a fragment: grant, then commitment, 64 bytes.
#[must_use]
pub fn fragment_receipt_message(grant: &Hash, commitment: &Hash) -> [u8; 64] {
    let mut message = [0u8; 64];
    message[..32].copy_from_slice(grant.as_bytes());
    message[32..].copy_from_slice(commitment.as_bytes());
    message
}

impl Alliance {
    fn proxy_address(&self, proxy: &PublicKey) -> Result<&caduceus_network::PeerAddr, ClientError> {
        self.address_of(proxy).ok_or_else(|| ClientError::Unreachable {
            who: format!("proxy {proxy}"),
            reason: "the network file has no address for it".to_owned(),
        })
    }

    /// Hands a proxy its fragment of a committed grant, and checks its signature that it keeps it. `from` is
    /// the service that calls: a fresh one for each grant, so that grants can't be linked.
    ///
    /// # Errors
    /// As [`ask_server`]; [`ClientError::Unverified`] when the signature does not hold.
    pub async fn deliver_fragment(
        &self,
        from: &Service,
        proxy: &PublicKey,
        request: DeliverFragmentsRequest,
    ) -> Result<FragmentKept, ClientError> {
        let to = self.proxy_address(proxy)?;
        let who = format!("proxy {to}");
        let commitment = fragment_commitment(&request.salt, &request.fragment);
        let message = fragment_receipt_message(&request.grant, &commitment);
        let kept: FragmentKept = ask_server::<DeliverFragments, FragmentKept>(from, &who, to, request).await?;
        let signed = proxy.verify(domain::FRAGMENT_RECEIPT, &message, &kept.signature).is_ok();
        if kept.proxy != *proxy || !signed {
            let reason = "its signature that it keeps the fragment does not hold".to_owned();
            return Err(ClientError::Unverified { node: who, reason });
        }
        Ok(kept)
    }

    /// Asks a proxy for its capsule fragment under a committed access, and checks its signature on the
    /// disclosure. Whether the fragment itself verifies is for `caduceus-custody` to say.
    ///
    /// # Errors
    /// As [`ask_server`]; [`ClientError::Unverified`] when the signature does not hold.
    pub async fn reencrypt(
        &self,
        proxy: &PublicKey,
        access: Hash,
        capsule: &[u8],
    ) -> Result<Reencrypted, ClientError> {
        let to = self.proxy_address(proxy)?;
        let who = format!("proxy {to}");
        let request = ReencryptRequest { access, capsule: capsule.to_vec() };
        let answer: Reencrypted = ask_server::<Reencrypt, Reencrypted>(self.service(), &who, to, request).await?;
        let payload = disclosure_payload(capsule, &answer.capsule_fragment, &access);
        let signed = proxy.verify(domain::PROXY_DISCLOSURE, payload.as_bytes(), &answer.signature).is_ok();
        if answer.proxy != *proxy || !signed {
            let reason = "its signature on the disclosure does not hold".to_owned();
            return Err(ClientError::Unverified { node: who, reason });
        }
        Ok(answer)
    }
}
