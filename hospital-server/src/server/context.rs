//! What the handlers share, and the three ways a request ends without a result.

use super::access_file::AccessFile;
use super::audit_log::deed::{Deed, Kind, Origin};
use super::audit_log::ring::Ring;
use super::audit_log::{Ahead, AuditLog, LogError, Logged};
use super::gate::Gate;
use super::handlers::fetch_record::Sessions;
use super::linker::LinkStatus;
use super::register::{CardNo, Register, RegisterError, card_hash};
use super::strangers::{Callers, Strangers};
use super::uploads::Uploads;
use super::vault::Vault;
use crate::chain::ChainClient;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::network_map::HospitalMap;
use crate::policies::{Policies, RULE};
use crate::roster::{Known, Roster};
use caduceus_crypto::{Hash, SecretKey, TimeMillis, TokenIssuer};
use caduceus_network::exchange::{PersonSigned, Reply};
use caduceus_network::{Exchange, Peer, Refused, Service};
use private_chain::policy::{Operation, Principal, Question, Resource};
use private_chain::{ActionClass, Outcome};
use rand_core::{OsRng, RngCore};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// When to ask again if the log or the chain is away.
const AFTER_MILLIS: u32 = 2_000;

/// How far a signed request's time may be from the server's clock.
pub(crate) const MAX_AGE_MILLIS: u64 = 5 * 60 * 1000;

/// What the handlers share.
pub(crate) struct Context {
    pub(crate) map: HospitalMap,
    pub(crate) identity: SecretKey,
    pub(crate) server: SecretKey,
    pub(crate) issuer: Arc<TokenIssuer>,
    pub(crate) service: Service,
    pub(crate) chain: ChainClient,
    pub(crate) alliance: ChainClient,
    pub(crate) roster: Roster,
    pub(crate) policies: Policies,
    pub(crate) register: Register,
    pub(crate) vault: Vault,
    pub(crate) accesses: AccessFile,
    pub(crate) uploads: Uploads,
    pub(crate) ring: Ring,
    pub(crate) log: AuditLog,
    pub(crate) journal: Journal,
    pub(crate) gate: Gate,
    pub(crate) sessions: Sessions,
    pub(crate) strangers: Mutex<Strangers>,
    /// Peers that are no staff and ask for receipts.
    pub(crate) receipt_callers: Mutex<Callers>,
    /// Keys that ask for their own audit entries.
    pub(crate) audit_callers: Mutex<Callers>,
    pub(crate) links: watch::Receiver<LinkStatus>,
    pub(crate) clock: Clock,
}

/// How a request ends without a result. What is denied or refused is in the log.
#[derive(Debug)]
pub(crate) enum Turned {
    /// A rule forbids it, and the caller has shown who it is.
    Denied { rule: String, detail: String },
    /// Not now.
    Later { after_millis: u32, detail: String },
    /// The caller gets no byte.
    Refused(Refused),
}

impl Turned {
    pub(crate) fn later(detail: impl ToString) -> Self {
        Self::Later {
            after_millis: AFTER_MILLIS,
            detail: detail.to_string(),
        }
    }

    pub(crate) fn refused(reason: impl ToString) -> Self {
        Self::Refused(Refused::because(reason.to_string()))
    }
}

/// A random request identifier.
pub(crate) fn new_request_id() -> [u8; 16] {
    let mut id = [0u8; 16];
    OsRng.fill_bytes(&mut id);
    id
}

/// The identifier that a person gave her request, or a random one.
pub(crate) fn request_id_of(signed: Option<&PersonSigned>) -> [u8; 16] {
    signed.map_or_else(new_request_id, |signed| signed.request_id)
}

impl Context {
    pub(crate) fn now(&self) -> TimeMillis {
        (self.clock)()
    }

    /// Whether a signed time is near the clock.
    pub(crate) fn is_recent(&self, at: TimeMillis) -> bool {
        at.0.abs_diff(self.now().0) <= MAX_AGE_MILLIS
    }

    /// What logs and audit entries say instead of a card's number.
    pub(crate) fn card_hash(&self, card: &CardNo) -> Hash {
        card_hash(card, &self.map.hospital)
    }

    /// Begins the entry of a request. A peer whose key is not of this system's kind is entered under the
    /// server's key, with its peer identifier as the source.
    pub(crate) fn deed(&self, kind: Kind, peer: &Peer, request_id: [u8; 16]) -> Deed {
        let source = match peer.key {
            Some(_) => peer.address.to_string(),
            None => format!("peer {}", peer.id),
        };
        let origin = Origin {
            time: self.now(),
            actor: peer.key.unwrap_or_else(|| self.server.public()),
            organisation: self.map.hospital,
            source,
            request_id,
            answered: peer.sent.clone(),
        };
        Deed::new(kind, origin)
    }

    /// Puts in what the caller signed of the deed, which is complete but for the role.
    pub(crate) fn stated(&self, deed: Deed, signed: Option<&PersonSigned>) -> Deed {
        deed.stated(&self.map.private_chain, |at| self.is_recent(at), signed)
    }

    /// Has a deed logged: its result may be released then.
    ///
    /// # Errors
    /// [`Turned::Later`]; [`Turned::Denied`] for a deed that its actor should have signed.
    pub(crate) async fn commit(&self, deed: Deed) -> Result<Logged, Turned> {
        let deed = self.signed(deed).await?;
        match self.log.record(deed).await {
            Ok(logged) => Ok(logged),
            Err(error) => Err(not_logged(error)),
        }
    }

    /// Has a deed logged that takes long: it may begin then, and its result be released once
    /// [`Ahead::committed`] says so. A crash in between loses neither entry nor that it was open.
    ///
    /// # Errors
    /// As [`Context::commit`].
    pub(crate) async fn ahead(&self, deed: Deed) -> Result<Ahead, Turned> {
        let deed = self.signed(deed).await?;
        self.log.record_ahead(deed).await.map_err(not_logged)
    }

    /// Denies a deed to be done that its actor should have signed.
    async fn signed(&self, deed: Deed) -> Result<Deed, Turned> {
        let broken = deed.stated.broken();
        let Some((rule, detail)) = broken.filter(|_| deed.entry.outcome == Outcome::Success) else {
            return Ok(deed);
        };
        let denied = deed.ended(Outcome::Denied, format!("{rule}: {detail}"));
        match self.log.record(denied).await {
            Ok(_) => Err(Turned::Denied {
                rule: rule.to_owned(),
                detail: detail.to_owned(),
            }),
            Err(error) => Err(not_logged(error)),
        }
    }

    /// Notes that the vault is about to be read or written for a request; `kind` is `put`, `get` or `range`.
    ///
    /// # Errors
    /// [`Turned::Later`] when it cannot be noted: the vault is not to be used then.
    pub(crate) fn vault_call(
        &self,
        request_id: [u8; 16],
        kind: &str,
        record: &Hash,
    ) -> Result<(), Turned> {
        self.journal.vault_call(request_id, kind);
        let noted = self.accesses.note(self.now(), &request_id, kind, record);
        noted.map_err(|error| {
            tracing::error!(%error, "the vault's access log cannot be written");
            Turned::later("the server's disk cannot be used")
        })
    }

    /// Logs a denied attempt by somebody who has shown a right to an answer.
    pub(crate) async fn deny(&self, deed: Deed, rule: &str, detail: impl ToString) -> Turned {
        let detail = detail.to_string();
        match self
            .commit(deed.ended(Outcome::Denied, format!("{rule}: {detail}")))
            .await
        {
            Ok(_) => Turned::Denied {
                rule: rule.to_owned(),
                detail,
            },
            Err(later) => later,
        }
    }

    /// Logs an attempt that failed for no fault of the caller, and asks for patience.
    pub(crate) async fn fail(&self, deed: Deed, detail: impl ToString) -> Turned {
        let detail = detail.to_string();
        match self
            .commit(deed.ended(Outcome::Failed, detail.clone()))
            .await
        {
            Ok(_) => Turned::later(detail),
            Err(later) => later,
        }
    }

    /// Logs an attempt by a stranger, who gets no byte. So that strangers cannot fill the chain, only so many
    /// attempts a minute have an entry each; the rest is summed up in the next one.
    pub(crate) async fn turn_away(&self, deed: Deed, reason: impl ToString) -> Turned {
        let reason = reason.to_string();
        if let Some(text) = self.count_stranger(&reason) {
            // No result is released, so there is nothing to hold back if the log is away.
            if let Err(Turned::Later { detail, .. }) =
                self.commit(deed.ended(Outcome::Denied, text)).await
            {
                tracing::warn!(%detail, %reason, "a stranger's attempt could not be logged");
            }
        }
        Turned::refused(reason)
    }

    /// Counts a stranger's request. Gives the reason to enter; none if it is over what strangers may have entered
    /// in a minute: it can have no entry then, hence no result.
    pub(crate) fn count_stranger(&self, reason: &str) -> Option<String> {
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        strangers.count(self.now(), reason)
    }

    /// Counts a request by a caller who has a limit of its own; false if it is over.
    pub(crate) fn admit(&self, callers: &Mutex<Callers>, caller: &[u8], limit: u32) -> bool {
        let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.admit(self.now(), caller, limit)
    }

    /// Who calls, as the chain has her. A peer without a key of this system's kind is turned away.
    ///
    /// # Errors
    /// [`Turned`].
    pub(crate) async fn caller(&self, peer: &Peer, deed: &Deed) -> Result<Known, Turned> {
        let Some(key) = peer.key else {
            return Err(self.turn_away(deed.clone(), "no key of this system").await);
        };
        self.roster
            .who(&key, self.now())
            .await
            .map_err(Turned::later)
    }

    /// Asks the policy in force. What it denies is logged; a stranger is turned away, anybody else is told why.
    ///
    /// # Errors
    /// [`Turned`].
    pub(crate) async fn permit(&self, deed: &Deed, question: Question) -> Result<(), Turned> {
        let mut question = question;
        question.context.purpose = deed.entry.purpose.to_string();
        question.context.emergency = deed.class == ActionClass::Emergency;
        let denial = self.policies.denial(&question).await;
        let Some(why) = denial.map_err(Turned::later)? else {
            return Ok(());
        };
        let deed = deed.clone();
        Err(match question.principal {
            Principal::Stranger { .. } => self.turn_away(deed, format!("{RULE}: {why}")).await,
            _ => self.deny(deed, RULE, why).await,
        })
    }

    /// The caller, if the policy in force lets her do this; else she is turned away or denied, and logged.
    ///
    /// # Errors
    /// [`Turned`].
    pub(crate) async fn staff(
        &self,
        peer: &Peer,
        deed: &Deed,
        operation: Operation,
        resource: Resource,
    ) -> Result<Known, Turned> {
        let known = self.caller(peer, deed).await?;
        let deed = known.enter(deed.clone());
        let question = Question::new(known.principal.clone(), operation, resource);
        self.permit(&deed, question).await?;
        // What staff may do they sign.
        match deed.stated.broken() {
            Some((rule, detail)) if !known.is_stranger() => {
                Err(self.deny(deed, rule, detail).await)
            }
            _ => Ok(known),
        }
    }

    /// Ends a request about the register: a rule is denied and logged, a broken database asks for patience.
    pub(crate) async fn register_refusal(&self, deed: Deed, error: RegisterError) -> Turned {
        match error {
            RegisterError::Database(error) => {
                tracing::error!(%error, "the register fails");
                Turned::later("the register cannot be used")
            }
            error => self.deny(deed, error.rule_name(), error.to_string()).await,
        }
    }

    /// Turns the end of a request into its answer, and notes what leaves.
    pub(crate) fn reply<E, T>(
        &self,
        request_id: [u8; 16],
        outcome: Result<T, Turned>,
    ) -> Result<Reply<T>, Refused>
    where
        E: Exchange<Response = Reply<T>>,
    {
        match outcome {
            Ok(value) => {
                self.journal.replied(request_id, E::PROTOCOL);
                Ok(Reply::Done(value))
            }
            Err(Turned::Denied { rule, detail }) => {
                self.journal.replied(request_id, E::PROTOCOL);
                Ok(Reply::denied(rule, detail))
            }
            Err(Turned::Later {
                after_millis,
                detail,
            }) => Ok(Reply::later(after_millis, detail)),
            Err(Turned::Refused(refused)) => Err(refused),
        }
    }
}

/// What a caller hears when its action cannot be logged.
pub(crate) fn not_logged(error: LogError) -> Turned {
    match error {
        LogError::Later {
            after_millis,
            detail,
        } => Turned::Later {
            after_millis,
            detail,
        },
        LogError::Entry { detail } => {
            tracing::error!(%detail, "an action cannot be logged");
            Turned::later("the action cannot be logged")
        }
        other => Turned::later(other),
    }
}

impl Known {
    /// Notes her role in an entry.
    pub(crate) fn enter(&self, deed: Deed) -> Deed {
        match self.role {
            Some(role) => deed.as_role(role),
            None => deed,
        }
    }
}
