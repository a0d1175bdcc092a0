//! `proxy status`.

use super::source::Source;
use alliance_chain::node::{FragmentStore, MAX_HEAD_AGE_MILLIS};
use alliance_chain::{GrantRecord, state};
use caduceus_cli::CliError;
use caduceus_crypto::TimeMillis;
use caduceus_node::{Clock, NodeHome, SystemClock};
use caduceus_operator::unreadable;
use serde::Serialize;

/// How a proxy is doing.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ProxyStatus {
    running: bool,
    key: String,
    /// Whether the alliance names it as a proxy now; a former one holds fragments of old grants.
    is_proxy: bool,
    height: u64,
    head_time_ms: u64,
    head_age_ms: u64,
    max_head_age_ms: u64,
    /// Whether it would answer a data user: it runs, and its head is not older than that.
    answers: bool,
    fragments: usize,
    #[serde(flatten)]
    held: Held,
}

/// Fragments by what became of their grants.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Held {
    active: usize,
    /// Revoked or expired: a running node erases these at the next block.
    ended: usize,
    /// Of grants that this node does not know (yet).
    unknown: usize,
    /// When the first of the active ones ends.
    oldest_expiry_ms: Option<u64>,
}

impl Held {
    fn count(&mut self, grant: Option<&GrantRecord>, now: TimeMillis) {
        match grant {
            None => self.unknown += 1,
            Some(record) if record.is_active(now) => {
                self.active += 1;
                let expires = record.grant.expires.0;
                let oldest = self.oldest_expiry_ms.map_or(expires, |at| at.min(expires));
                self.oldest_expiry_ms = Some(oldest);
            }
            Some(_) => self.ended += 1,
        }
    }
}

/// Asks the source about each fragment in the folder.
pub(super) async fn of(home: &NodeHome, source: &Source) -> Result<ProxyStatus, CliError> {
    let head = source.head().await?;
    let fragments = FragmentStore::grants_in(&home.path.join("fragments")).map_err(unreadable)?;
    let mut held = Held::default();
    for id in &fragments {
        held.count(source.get(&state::grant(id)).await?.as_ref(), head.time);
    }
    let proxies = source.get(&state::proxies()).await?.unwrap_or_default();
    let key = home.key.public();
    let head_age_ms = SystemClock.now().0.saturating_sub(head.time.0);
    Ok(ProxyStatus {
        running: source.is_running(),
        key: key.to_string(),
        is_proxy: proxies.iter().any(|proxy| proxy.key == key),
        height: head.height,
        head_time_ms: head.time.0,
        head_age_ms,
        max_head_age_ms: MAX_HEAD_AGE_MILLIS,
        answers: source.is_running() && head_age_ms <= MAX_HEAD_AGE_MILLIS,
        fragments: fragments.len(),
        held,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alliance_chain::{Grant, GrantStatus, RecordRef};
    use caduceus_crypto::{Hash, HospitalId, SecretKey};
    use caduceus_ledger::Height;

    fn record(expires: u64, status: GrantStatus) -> GrantRecord {
        let key = SecretKey::from_bytes(&[1; 32]).unwrap().public();
        GrantRecord {
            grant: Grant {
                data_user: key,
                receiving: key,
                purpose_commitment: Hash::ZERO,
                hospital: HospitalId::default(),
                record: RecordRef {
                    height: 1,
                    position: 0,
                },
                record_hash: Hash::ZERO,
                pseudonym: key,
                delegating: key,
                verifying: key,
                expires: TimeMillis(expires),
                proxies: vec![key],
                threshold: 1,
                fragment_commitments: vec![Hash::ZERO],
            },
            height: Height(1),
            granted: TimeMillis(0),
            status,
        }
    }

    #[test]
    fn fragments_are_counted_by_what_became_of_their_grants() {
        let revoked = GrantStatus::Revoked { at: TimeMillis(5) };
        let mut held = Held::default();
        for grant in [
            Some(record(300, GrantStatus::Active)),
            Some(record(200, GrantStatus::Active)),
            Some(record(100, GrantStatus::Active)),
            Some(record(300, revoked)),
            None,
        ] {
            held.count(grant.as_ref(), TimeMillis(100));
        }
        let expected = Held {
            active: 2,
            ended: 2,
            unknown: 1,
            oldest_expiry_ms: Some(200),
        };
        assert_eq!(held, expected);
    }
}
