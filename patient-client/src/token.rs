//! Search tokens: blindly signed by her hospital, spent one a search (DESIGN 2.1, RFC 9474).

use crate::error::PatientError;
use crate::patient::Patient;
use crate::state::StoredToken;
use caduceus_client::{ClientError, ask_server, ephemeral_service};
use caduceus_crypto::{HospitalId, Signature};
use caduceus_custody::token::{PendingToken, SpendableToken, blind};
use caduceus_network::exchange::{IssueTokens, IssueTokensRequest, MAX_TOKENS, TokenSignatures};
use rand_core::OsRng;

/// Tokens fetched when none is left: enough that the hospital can't tell a single search by it.
pub(crate) const TOP_UP: usize = 16;

impl Patient {
    /// Unspent tokens of a hospital's issue.
    #[must_use]
    pub fn tokens(&self, hospital: &HospitalId) -> usize {
        self.state()
            .tokens
            .iter()
            .filter(|token| token.issuer == *hospital)
            .count()
    }

    /// Gets fresh tokens from a hospital, at most 64 at once. Returns how many there are then.
    ///
    /// # Errors
    /// [`PatientError::NoCard`]; [`ClientError::Denied`] over the day's quota; [`PatientError::Token`] when the
    /// hospital signed with another key than the one on the alliance chain; [`ClientError::NotFound`] when it
    /// has none there.
    ///
    /// # Leakage
    /// The hospital learns that this card takes tokens, how many and when; never which search spends them.
    pub async fn top_up(
        &mut self,
        hospital: &HospitalId,
        count: usize,
    ) -> Result<usize, PatientError> {
        let site = self.hospital(hospital)?.clone();
        let card = self.card(hospital)?.card;
        let who = format!("the server of {}", site.name);
        let issuer = self
            .newest_issuer(hospital)
            .await?
            .ok_or_else(|| ClientError::NotFound {
                what: format!("a token key of {} on the alliance chain", site.name),
            })?;
        let mut pending: Vec<PendingToken> = Vec::new();
        for _ in 0..count.clamp(1, MAX_TOKENS) {
            pending.push(blind(&mut OsRng, &issuer)?);
        }
        let request = IssueTokensRequest {
            hospital: *hospital,
            card: card.number,
            blinded: pending
                .iter()
                .map(|token| token.blinded().to_vec())
                .collect(),
            at: self.alliance.now(),
            signature: Signature([0; 64]),
        }
        .signed_for_tokens(&self.keys().audit_key(hospital));
        let service = ephemeral_service().await?;
        let answer =
            ask_server::<IssueTokens, TokenSignatures>(&service, &who, &site.server, request).await;
        service.shutdown().await;
        let signatures = answer?.signatures;
        if signatures.len() != pending.len() {
            let reason = format!(
                "{} signatures for {} tokens",
                signatures.len(),
                pending.len()
            );
            return Err(ClientError::Unverified { node: who, reason }.into());
        }
        let mut fresh: Vec<StoredToken> = Vec::new();
        for (token, signature) in pending.into_iter().zip(&signatures) {
            fresh.push(StoredToken::new(*hospital, &token.finalize(signature)?));
        }
        self.wallet.update(|state| {
            state.tokens.append(&mut fresh);
            if let Some(card) = state
                .cards
                .iter_mut()
                .find(|card| card.hospital == *hospital)
            {
                card.issuer = issuer.as_der().to_vec();
            }
        })?;
        Ok(self.tokens(hospital))
    }

    /// Takes a token off the wallet, durably, before it is used: a token whose search was sent once is never
    /// used for another, even if we crash, so that no two searches share a key.
    pub(crate) async fn take_token(
        &mut self,
        hospital: &HospitalId,
    ) -> Result<SpendableToken, PatientError> {
        loop {
            if self.tokens(hospital) == 0 {
                self.top_up(hospital, TOP_UP).await?;
            }
            let taken = self.wallet.update(|state| {
                let at = state
                    .tokens
                    .iter()
                    .position(|token| token.issuer == *hospital)?;
                state.tokens.remove(at).spendable()
            })?;
            if let Some(spendable) = taken {
                return Ok(spendable);
            }
        }
    }

    /// Drops all tokens of a hospital's issue: its key has changed.
    pub(crate) fn drop_tokens(&mut self, hospital: &HospitalId) -> Result<(), PatientError> {
        self.wallet
            .update(|state| state.tokens.retain(|token| token.issuer != *hospital))
    }
}
