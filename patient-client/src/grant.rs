//! Grants: one a record, by re-encryption key fragments for the alliance's proxies (DESIGN 2.4, 3.6).

use crate::error::PatientError;
use crate::patient::Patient;
use crate::state::{FoundRecord, OwnGrant};
use alliance_chain::state;
use alliance_chain::tx::MAX_GRANT_DAYS;
use alliance_chain::{Grant, GrantRecord, GrantStatus, Purpose, Revoke, Tx};
use caduceus_client::{Alliance, ClientError, ephemeral_service, purpose_commitment};
use caduceus_crypto::reencrypt::fragment_commitment;
use caduceus_crypto::time::MILLIS_PER_DAY;
use caduceus_crypto::{Hash, PublicKey, TimeMillis};
use caduceus_custody::delegate::{Delegation, default_threshold, delegate};
use caduceus_network::Service;
use caduceus_network::exchange::{DeliverFragmentsRequest, FragmentKept};
use rand_core::{OsRng, RngCore};
use std::time::Duration;
use zeroize::Zeroizing;

/// A grant ends so much before its whole days are over, in case this machine's clock is ahead of block time.
const CLOCK_SLACK_MILLIS: u64 = 60_000;
/// How often a fragment is offered to a proxy whose node may be a block behind, and the pause between.
const DELIVERY_ATTEMPTS: usize = 8;
const DELIVERY_PAUSE: Duration = Duration::from_millis(400);

/// How often a revocation said to be committed already is looked for in proved state, and the pause between.
const REVOKED_ATTEMPTS: usize = 5;
const REVOKED_PAUSE: Duration = Duration::from_millis(400);

/// What is to be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantSpec {
    /// The records; a grant each.
    pub records: Vec<FoundRecord>,
    /// The data user's signing key, as the account on the alliance chain has it.
    pub data_user: PublicKey,
    /// How many days it lasts, 1 to 90.
    pub days: u64,
    /// What for. The chain carries a commitment; proxies and data user learn it.
    pub purpose: Purpose,
    /// Proxies that must take part; none for floor(n/2) + 1.
    pub threshold: Option<usize>,
}

/// A grant on the chain, and which proxies keep its fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The `Grant` transaction.
    pub id: Hash,
    /// The record.
    pub record: FoundRecord,
    /// When it ends.
    pub expires: TimeMillis,
    /// Fragments needed.
    pub threshold: usize,
    /// Proxies of the grant.
    pub proxies: usize,
    /// The proxies that signed that they keep their fragments.
    pub kept: Vec<FragmentKept>,
    /// The proxies that did not, and why.
    pub missed: Vec<(PublicKey, String)>,
}

impl Granted {
    /// Whether enough proxies keep fragments for the data user to open the record.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.kept.len() >= self.threshold
    }
}

/// A grant of hers as the chain has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantView {
    /// The `Grant` transaction.
    pub id: Hash,
    /// The grant, proved.
    pub record: GrantRecord,
    /// What the data user's account says, proved.
    pub label: String,
    /// What for, if it was made with this wallet.
    pub purpose: Option<Purpose>,
    /// Accesses under it, proved complete.
    pub accesses: u32,
    /// Whether the data user can get new accesses now.
    pub active: bool,
    /// How many of the grant's proxies are proxies of the alliance still.
    pub proxies_left: usize,
}

impl GrantView {
    /// Whether so many of its proxies left that nobody opens the record through it: she grants again.
    #[must_use]
    pub fn needs_reissue(&self) -> bool {
        self.active && self.proxies_left < usize::from(self.record.grant.threshold)
    }
}

/// Who gets what: the same for all records of one [`GrantSpec`].
struct Terms {
    data_user: PublicKey,
    receiving: PublicKey,
    purpose: Purpose,
    proxies: Vec<PublicKey>,
    threshold: u8,
    expires: TimeMillis,
}

/// Secrets that open the commitments of one grant.
struct Openings {
    delegation: Delegation,
    salts: Vec<Zeroizing<[u8; 32]>>,
    purpose_salt: [u8; 32],
}

impl Patient {
    /// Grants records to a data user: for each a `Grant` transaction signed under the record's pseudonym, then
    /// a key fragment to each proxy, from a peer identifier of its own. A grant that too few proxies keep is on
    /// the chain all the same: see [`Granted::is_usable`].
    ///
    /// # Errors
    /// [`PatientError::NoRecords`], [`PatientError::Days`], [`PatientError::Threshold`],
    /// [`PatientError::UnknownDataUser`] before anything is sent; then those of `Alliance::submit`, and
    /// [`PatientError::GrantUnsettled`] when the alliance has no quorum. Grants made before an error stay, and are
    /// kept.
    ///
    /// # Leakage
    /// Every member learns that the owner of these pseudonyms granted to this data user, until when.
    pub async fn grant(&mut self, spec: &GrantSpec) -> Result<Vec<Granted>, PatientError> {
        if spec.records.is_empty() {
            return Err(PatientError::NoRecords);
        }
        if spec.days == 0 || spec.days > MAX_GRANT_DAYS {
            return Err(PatientError::Days {
                days: spec.days,
                limit: MAX_GRANT_DAYS,
            });
        }
        let terms = self.terms(spec).await?;
        let mut made = Vec::new();
        for record in &spec.records {
            made.push(self.grant_one(record, &terms).await?);
        }
        Ok(made)
    }

    async fn terms(&self, spec: &GrantSpec) -> Result<Terms, PatientError> {
        let proxies: Vec<PublicKey> = self
            .alliance
            .proxies()
            .await?
            .iter()
            .map(|proxy| proxy.key)
            .collect();
        let wanted = spec
            .threshold
            .unwrap_or_else(|| default_threshold(proxies.len()));
        let threshold = checked_threshold(wanted, proxies.len())?;
        let account = self.alliance.get(&state::account(&spec.data_user)).await?;
        let account = account
            .ok_or(PatientError::UnknownDataUser {
                key: spec.data_user,
            })?
            .account;
        let life = spec.days * MILLIS_PER_DAY - CLOCK_SLACK_MILLIS;
        Ok(Terms {
            data_user: account.data_user,
            receiving: account.receiving,
            purpose: spec.purpose,
            proxies,
            threshold,
            expires: TimeMillis(self.alliance.now().0.saturating_add(life)),
        })
    }

    async fn grant_one(
        &mut self,
        found: &FoundRecord,
        terms: &Terms,
    ) -> Result<Granted, PatientError> {
        let keys = self.one_time(found)?;
        let count = terms.proxies.len();
        let delegation = delegate(
            &mut OsRng,
            &keys.delegating,
            &terms.receiving,
            usize::from(terms.threshold),
            count,
        )
        .map_err(|_| PatientError::Threshold {
            threshold: usize::from(terms.threshold),
            proxies: count,
        })?;
        let openings = Openings {
            salts: (0..count).map(|_| Zeroizing::new(random())).collect(),
            purpose_salt: random(),
            delegation,
        };
        let fragments = openings.delegation.fragments.iter().zip(&openings.salts);
        let body = Grant {
            data_user: terms.data_user,
            receiving: terms.receiving,
            purpose_commitment: purpose_commitment(&openings.purpose_salt, terms.purpose.code()),
            hospital: found.hospital,
            record: found.record,
            record_hash: found.record_hash,
            pseudonym: found.pseudonym.point,
            delegating: keys.delegating.public(),
            verifying: openings.delegation.verifying,
            expires: terms.expires,
            proxies: terms.proxies.clone(),
            threshold: terms.threshold,
            fragment_commitments: fragments
                .map(|(fragment, salt)| fragment_commitment(salt, fragment))
                .collect(),
        };
        // Grants of several records must not be linkable by peer identifier.
        let session = self.alliance.with_fresh_identity().await?;
        let tx = Tx::Grant(body.sign(&session.chain(), &keys.secret));
        let submitted = session.submit(&tx).await;
        session.close().await;
        let id = match submitted {
            Ok(proved) => proved.id,
            Err(ClientError::NoQuorum { waited_millis, .. }) => {
                return Err(PatientError::GrantUnsettled {
                    grant: tx.id(),
                    waited_millis,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let mut own = OwnGrant {
            id,
            record: *found,
            data_user: terms.data_user,
            purpose: terms.purpose,
            granted: self.alliance.now(),
            expires: terms.expires,
            threshold: terms.threshold,
            kept: Vec::new(),
        };
        // Before the fragments: a grant that is on the chain must be revocable whatever happens next.
        self.wallet.update(|state| state.grants.push(own.clone()))?;
        let (kept, missed) = deliver(&self.alliance, &id, terms, &openings).await?;
        own.kept.clone_from(&kept);
        self.wallet.update(|state| {
            if let Some(stored) = state.grants.iter_mut().find(|grant| grant.id == id) {
                *stored = own;
            }
        })?;
        Ok(Granted {
            id,
            record: *found,
            expires: terms.expires,
            threshold: usize::from(terms.threshold),
            proxies: count,
            kept,
            missed,
        })
    }

    /// All her grants: those made with this wallet and those on the chain under pseudonyms that she knows of.
    ///
    /// # Errors
    /// Those of `Alliance::get`.
    ///
    /// # Leakage
    /// For each pseudonym another peer identifier asks, so that a node can't link them by it.
    pub async fn grants(&self) -> Result<Vec<GrantView>, PatientError> {
        let mut ids: Vec<Hash> = self.state().grants.iter().map(|grant| grant.id).collect();
        for (_, _, pseudonym) in self.state().pseudonyms() {
            let session = self.alliance.with_fresh_identity().await?;
            let listed = session.items(&state::grants_of(&pseudonym.point)).await;
            session.close().await;
            for id in listed? {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        let mut views = Vec::new();
        if ids.is_empty() {
            return Ok(views);
        }
        let proxies: Vec<PublicKey> = self
            .alliance
            .proxies()
            .await?
            .iter()
            .map(|proxy| proxy.key)
            .collect();
        for id in ids {
            if let Some(record) = self.alliance.get(&state::grant(&id)).await? {
                views.push(self.view(id, record, &proxies).await?);
            }
        }
        views.sort_by_key(|view| (view.record.granted, view.id));
        Ok(views)
    }

    async fn view(
        &self,
        id: Hash,
        record: GrantRecord,
        proxies: &[PublicKey],
    ) -> Result<GrantView, PatientError> {
        let accesses = self
            .alliance
            .get(&state::accesses_of(&id).count_key())
            .await?
            .unwrap_or(0);
        let label = self.label_of(&record.grant.data_user).await?;
        let own = self.state().grants.iter().find(|grant| grant.id == id);
        Ok(GrantView {
            id,
            label,
            purpose: own.map(|grant| grant.purpose),
            accesses,
            active: record.is_active(self.alliance.now()),
            proxies_left: record.grant.proxies_among(proxies),
            record,
        })
    }

    /// What the account of a data user says for people; its key's beginning if there is none.
    pub(crate) async fn label_of(&self, data_user: &PublicKey) -> Result<String, PatientError> {
        let account = self.alliance.get(&state::account(data_user)).await?;
        Ok(account.map_or_else(|| short(data_user), |record| record.account.label))
    }

    /// Ends a grant. Returns false if it is proved that it was revoked already. Proxies refuse and erase within 45 s; what was
    /// disclosed before stays disclosed.
    ///
    /// # Errors
    /// [`PatientError::UnknownGrant`] when it is not on the chain, or not under a pseudonym that she knows of;
    /// those of `Alliance::submit`.
    pub async fn revoke(&mut self, id: &Hash) -> Result<bool, PatientError> {
        let unknown = || PatientError::UnknownGrant {
            what: id.to_string(),
        };
        let record = self
            .alliance
            .get(&state::grant(id))
            .await?
            .ok_or_else(unknown)?;
        if is_revoked(&record) {
            return Ok(false);
        }
        let point = record.grant.pseudonym;
        let known = self.state().pseudonyms();
        let (hospital, _, pseudonym) = known
            .into_iter()
            .find(|each| each.2.point == point)
            .ok_or_else(unknown)?;
        let keys = self
            .keys()
            .one_time(&hospital, &pseudonym)
            .map_err(|_| unknown())?;
        let session = self.alliance.with_fresh_identity().await?;
        let tx = Tx::Revoke(Revoke { grant: *id }.sign(&session.chain(), &keys.secret));
        let submitted = session.submit(&tx).await;
        session.close().await;
        match submitted {
            Ok(_) => Ok(true),
            Err(ClientError::Rejected { rule, detail }) if rule == "revoke_already" => {
                if self.is_proved_revoked(id).await? {
                    Ok(false)
                } else {
                    Err(ClientError::Rejected { rule, detail }.into())
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the chain's state proves that a grant is revoked. Nodes may be a block behind.
    async fn is_proved_revoked(&self, id: &Hash) -> Result<bool, PatientError> {
        for attempt in 1..=REVOKED_ATTEMPTS {
            let record = self.alliance.get(&state::grant(id)).await?;
            if record.is_some_and(|record| is_revoked(&record)) {
                return Ok(true);
            }
            if attempt < REVOKED_ATTEMPTS {
                tokio::time::sleep(REVOKED_PAUSE).await;
            }
        }
        Ok(false)
    }
}

fn is_revoked(record: &GrantRecord) -> bool {
    matches!(record.status, GrantStatus::Revoked { .. })
}

/// Hands each proxy its fragment, all at once, and gathers their signatures.
async fn deliver(
    alliance: &Alliance,
    grant: &Hash,
    terms: &Terms,
    openings: &Openings,
) -> Result<(Vec<FragmentKept>, Vec<(PublicKey, String)>), PatientError> {
    let service = ephemeral_service().await?;
    let mut tasks = Vec::new();
    let parts = terms
        .proxies
        .iter()
        .zip(&openings.delegation.fragments)
        .zip(&openings.salts);
    for (index, ((proxy, fragment), salt)) in parts.enumerate() {
        let request = DeliverFragmentsRequest {
            grant: *grant,
            index: u16::try_from(index).expect("an alliance has at most 64 proxies"),
            fragment: fragment.clone(),
            salt: **salt,
            purpose: terms.purpose.code().to_owned(),
            purpose_salt: openings.purpose_salt,
        };
        let (alliance, service, proxy) = (alliance.clone(), service.clone(), *proxy);
        let task =
            tokio::spawn(async move { deliver_one(&alliance, &service, &proxy, &request).await });
        tasks.push((proxy, task));
    }
    let (mut kept, mut missed) = (Vec::new(), Vec::new());
    for (proxy, task) in tasks {
        match task.await {
            Ok(Ok(receipt)) => kept.push(receipt),
            Ok(Err(error)) => missed.push((proxy, error.to_string())),
            Err(error) => missed.push((proxy, error.to_string())),
        }
    }
    service.shutdown().await;
    Ok((kept, missed))
}

async fn deliver_one(
    alliance: &Alliance,
    service: &Service,
    proxy: &PublicKey,
    request: &DeliverFragmentsRequest,
) -> Result<FragmentKept, ClientError> {
    let mut attempt = 1;
    loop {
        match alliance
            .deliver_fragment(service, proxy, request.clone())
            .await
        {
            // A proxy that has not seen the grant's block yet refuses like any stranger.
            Err(ClientError::Refused { .. } | ClientError::Later { .. })
                if attempt < DELIVERY_ATTEMPTS =>
            {
                attempt += 1;
                tokio::time::sleep(DELIVERY_PAUSE).await;
            }
            other => return other,
        }
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

fn short(key: &PublicKey) -> String {
    key.to_string().chars().take(12).collect()
}

fn checked_threshold(threshold: usize, proxies: usize) -> Result<u8, PatientError> {
    let wrong = PatientError::Threshold { threshold, proxies };
    if threshold == 0 || threshold > proxies {
        return Err(wrong);
    }
    u8::try_from(threshold).map_err(|_| wrong)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_fit_the_proxies() {
        assert_eq!(checked_threshold(default_threshold(4), 4).unwrap(), 3);
        assert_eq!(checked_threshold(4, 4).unwrap(), 4);
        for (threshold, proxies) in [(0, 4), (5, 4), (1, 0), (300, 400)] {
            assert!(matches!(
                checked_threshold(threshold, proxies),
                Err(PatientError::Threshold { .. })
            ));
        }
    }
}
