//! Capsule fragments of the proxies: asked for one by one, each verified as it arrives, each failure blamed.

use std::fmt;
use std::time::Duration;

use caduceus_client::{ClientError, purpose_commitment};
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::reencrypt::verify_capsule_fragment;

use crate::session::{DataUser, Ticket};

/// How often a proxy that is a block behind is asked again.
const REPEATS: u32 = 6;

/// How often after a refusal without a reason.
const REFUSALS: u32 = 4;

/// Least and longest pause before that, milliseconds.
const PAUSE_MILLIS: (u64, u64) = (250, 2_000);

/// A proxy's answer that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyFragment {
    /// The proxy.
    pub proxy: PublicKey,
    /// Its capsule fragment.
    pub bytes: Vec<u8>,
}

/// How a proxy failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It does not answer, or has no address in the network file.
    Absent {
        /// What the network said.
        reason: String,
    },
    /// It refuses.
    Denied {
        /// What it said, if anything.
        reason: String,
    },
    /// Its signature on the disclosure does not hold.
    Unsigned,
    /// It signed a fragment whose proof fails: its fault, provably.
    Invalid,
    /// Its fragment is another proxy's.
    Repeated,
}

/// A proxy and its fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The proxy.
    pub proxy: PublicKey,
    /// How it failed.
    pub fault: Fault,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.proxy.to_string();
        let short = &key[..12];
        match &self.fault {
            Fault::Absent { reason } => write!(f, "proxy {short} does not answer ({reason})"),
            Fault::Denied { reason } => write!(f, "proxy {short} refuses ({reason})"),
            Fault::Unsigned => write!(f, "proxy {short} did not sign its answer"),
            Fault::Invalid => write!(f, "proxy {short} gave a fragment that does not verify"),
            Fault::Repeated => write!(f, "proxy {short} gave another proxy's fragment"),
        }
    }
}

/// What a number of proxies answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragments {
    /// Fragments that verify.
    pub good: Vec<ProxyFragment>,
    /// Who failed.
    pub blamed: Vec<Blame>,
    /// The purpose as it came with the grant, checked against the grant's commitment; none if no proxy told it.
    pub purpose: Option<String>,
}

impl Fragments {
    /// The bytes, for [`DataUser::open`].
    #[must_use]
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.good
            .iter()
            .map(|fragment| fragment.bytes.clone())
            .collect()
    }
}

impl DataUser {
    /// Asks these proxies, in this order, for their capsule fragments under a ticket. `capsule` is the record's.
    /// Nobody's failure ends it.
    ///
    /// # Leakage
    /// Each proxy asked learns that the ticket is being used.
    pub async fn fragments(
        &self,
        ticket: &Ticket,
        capsule: &[u8],
        from: &[PublicKey],
    ) -> Fragments {
        let mut found = Fragments::default();
        for proxy in from {
            self.ask_proxy(ticket, capsule, proxy, &mut found).await;
        }
        found
    }

    /// Asks one proxy and adds what came of it.
    pub(crate) async fn ask_proxy(
        &self,
        ticket: &Ticket,
        capsule: &[u8],
        proxy: &PublicKey,
        found: &mut Fragments,
    ) {
        let mut left = REPEATS;
        let answer = loop {
            match self
                .alliance()
                .reencrypt(proxy, ticket.access, capsule)
                .await
            {
                Ok(answer) => break Ok(answer),
                Err(error) => match pause_after(&error, REPEATS - left) {
                    Some(pause) if left > 0 => {
                        left -= 1;
                        tokio::time::sleep(pause).await;
                    }
                    _ => break Err(fault_of(&error)),
                },
            }
        };
        let grant = &ticket.grant;
        let outcome = answer.and_then(|answer| {
            let verified = verify_capsule_fragment(
                capsule,
                &answer.capsule_fragment,
                &grant.verifying,
                &grant.delegating,
                &self.keys().receiving_public(),
            );
            if verified.is_ok() {
                Ok(answer)
            } else {
                Err(Fault::Invalid)
            }
        });
        match outcome {
            Ok(answer) => {
                let told = purpose_commitment(&answer.purpose_salt, &answer.purpose)
                    == grant.purpose_commitment;
                if told && found.purpose.is_none() {
                    found.purpose = Some(answer.purpose);
                }
                found.good.push(ProxyFragment {
                    proxy: *proxy,
                    bytes: answer.capsule_fragment,
                });
            }
            Err(fault) => {
                // Told with the result, or with the error.
                tracing::info!(%proxy, ?fault, "no fragment from this proxy");
                found.blamed.push(Blame {
                    proxy: *proxy,
                    fault,
                });
            }
        }
    }
}

/// How long to wait until the same proxy may answer: its head is stale, or it hasn't seen the ticket's block yet,
/// which it does not say, so that after a few refusals it is believed. `asked`: how often it was asked again.
fn pause_after(error: &ClientError, asked: u32) -> Option<Duration> {
    let (least, longest) = PAUSE_MILLIS;
    match error {
        ClientError::Later { after_millis, .. } => {
            Some(Duration::from_millis((*after_millis).clamp(least, longest)))
        }
        ClientError::Refused { .. } if asked < REFUSALS => Some(Duration::from_millis(least)),
        _ => None,
    }
}

fn fault_of(error: &ClientError) -> Fault {
    match error {
        ClientError::Unverified { .. } => Fault::Unsigned,
        ClientError::Denied { rule, detail, .. } => Fault::Denied {
            reason: format!("{rule}: {detail}"),
        },
        ClientError::Refused { .. } => Fault::Denied {
            reason: "without a reason".to_owned(),
        },
        ClientError::Unreachable { reason, .. } => Fault::Absent {
            reason: reason.clone(),
        },
        other => Fault::Absent {
            reason: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_is_behind_is_asked_again_and_others_are_not() {
        let who = || "proxy".to_owned();
        let later = ClientError::Later {
            who: who(),
            after_millis: 60_000,
            detail: who(),
        };
        assert_eq!(pause_after(&later, 5), Some(Duration::from_secs(2)));
        let refused = ClientError::Refused { who: who() };
        assert_eq!(pause_after(&refused, 0), Some(Duration::from_millis(250)));
        assert_eq!(pause_after(&refused, REFUSALS), None);
        let revoked = ClientError::Denied {
            who: who(),
            rule: "grant_ended".to_owned(),
            detail: who(),
        };
        assert_eq!(pause_after(&revoked, 0), None);
        assert!(matches!(fault_of(&revoked), Fault::Denied { .. }));
        let forged = ClientError::Unverified {
            node: who(),
            reason: who(),
        };
        assert_eq!(fault_of(&forged), Fault::Unsigned);
    }
}
