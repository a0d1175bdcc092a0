//! Exchanges with re-encryption proxies: the grantor's delivery, the data user's request (DESIGN 3.6).

use crate::error::ClientError;
use crate::server::ask_server;
use crate::session::Alliance;
use alliance_chain::consent::fragment_receipt;
use caduceus_crypto::reencrypt::{disclosure_payload, fragment_commitment};
use caduceus_crypto::{Hash, PublicKey, domain};
use caduceus_network::exchange::{
    DeliverFragments, DeliverFragmentsRequest, FragmentKept, Reencrypt, ReencryptRequest,
    Reencrypted,
};
use caduceus_network::{PeerAddr, Service};

impl Alliance {
    fn proxy_address(&self, proxy: &PublicKey) -> Result<&PeerAddr, ClientError> {
        self.address_of(proxy)
            .ok_or_else(|| ClientError::Unreachable {
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
        let message = fragment_receipt(&request.grant, request.index, &commitment);
        let kept: FragmentKept =
            ask_server::<DeliverFragments, FragmentKept>(from, &who, to, request).await?;
        let signed = proxy
            .verify(domain::FRAGMENT_RECEIPT, &message, &kept.signature)
            .is_ok();
        if kept.proxy != *proxy || !signed {
            let reason = "its signature that it keeps the fragment does not hold".to_owned();
            return Err(ClientError::Unverified { node: who, reason });
        }
        Ok(kept)
    }

    /// Asks a proxy for its capsule fragment under a committed access, and checks its signature on the
    /// disclosure. Whether the fragment itself verifies is for `caduceus-custody` to say. The session must have
    /// been opened with the data user's signing key: a proxy answers its holder only.
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
        let request = ReencryptRequest {
            access,
            capsule: capsule.to_vec(),
        };
        let answer: Reencrypted =
            ask_server::<Reencrypt, Reencrypted>(self.service(), &who, to, request).await?;
        let payload = disclosure_payload(capsule, &answer.capsule_fragment, &access);
        let signed = proxy
            .verify(
                domain::PROXY_DISCLOSURE,
                payload.as_bytes(),
                &answer.signature,
            )
            .is_ok();
        if answer.proxy != *proxy || !signed {
            let reason = "its signature on the disclosure does not hold".to_owned();
            return Err(ClientError::Unverified { node: who, reason });
        }
        Ok(answer)
    }
}
