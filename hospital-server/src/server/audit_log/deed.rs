//! An action on its way into the log: who does what to whom, and how it ends.

use caduceus_crypto::{Hash, HospitalId, PublicKey, TimeMillis};
use caduceus_ledger::ChainId;
use caduceus_network::Sent;
use caduceus_network::exchange::PersonSigned;
use private_chain::audit::{MAX_REASON_BYTES, MAX_SOURCE_BYTES, SignedStatement, StatementCheck};
use private_chain::{Action, ActionClass, AuditEntry, Outcome, Role, Subject};

/// An audit entry and its retention class.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    /// Retention class.
    pub(crate) class: ActionClass,
    /// The entry.
    pub(crate) entry: AuditEntry,
    /// When the action is over: its answer was handed to the network.
    pub(crate) answered: Sent,
    /// Whether the actor signed it.
    pub(crate) stated: Stated,
}

/// What became of the actor's own signature on a deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    /// None is needed: no person acts through a workstation.
    Unasked,
    /// It is in the entry.
    Signed,
    /// There is none.
    Missing,
    /// It is not the actor's on this deed.
    Wrong,
}

impl Stated {
    /// The rule that forbids the deed, if one does, and what it says.
    pub(crate) fn broken(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Unasked | Self::Signed => None,
            Self::Missing => Some(("statement_missing", "the request is not signed")),
            Self::Wrong => Some((
                "statement_wrong",
                "what is signed is not this request, here and now",
            )),
        }
    }
}

/// The kinds of action of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Retention class.
    pub(crate) class: ActionClass,
    /// What is done.
    pub(crate) action: Action,
    /// Kind of that action.
    pub(crate) subtype: &'static str,
}

impl Kind {
    pub(crate) const fn new(class: ActionClass, action: Action, subtype: &'static str) -> Self {
        Self {
            class,
            action,
            subtype,
        }
    }
}

/// Where an action comes from.
pub(crate) struct Origin {
    /// When it was asked for.
    pub(crate) time: TimeMillis,
    /// Who asked.
    pub(crate) actor: PublicKey,
    /// The hospital.
    pub(crate) organisation: HospitalId,
    /// Network address of the caller.
    pub(crate) source: String,
    /// The request.
    pub(crate) request_id: [u8; 16],
    /// When the request is answered.
    pub(crate) answered: Sent,
}

impl Deed {
    /// An action that is allowed and will be done.
    pub(crate) fn new(kind: Kind, origin: Origin) -> Self {
        Self {
            class: kind.class,
            answered: origin.answered,
            stated: Stated::Unasked,
            entry: AuditEntry {
                time: origin.time,
                actor: origin.actor.into(),
                role: None,
                organisation: origin.organisation,
                action: kind.action,
                subtype: kind.subtype.into(),
                outcome: Outcome::Success,
                reason: "".into(),
                patient: None,
                resource: None,
                purpose: "".into(),
                grant: None,
                source: cut(origin.source, MAX_SOURCE_BYTES).into(),
                request: hex::encode(origin.request_id).into(),
                reference: "".into(),
                statement: None,
            },
        }
    }

    /// Puts in what the actor signed. `here` is the chain and `is_recent` judges her time. Everything that she signs
    /// must be in the deed already, but for time and purpose, which are hers to say.
    pub(crate) fn stated(
        mut self,
        here: &ChainId,
        is_recent: impl Fn(TimeMillis) -> bool,
        signed: Option<&PersonSigned>,
    ) -> Self {
        let Some(signed) = signed else {
            self.stated = Stated::Missing;
            return self;
        };
        let entry = AuditEntry {
            time: signed.at,
            purpose: signed.purpose.as_str().into(),
            statement: Some(SignedStatement {
                salt: signed.salt,
                signature: signed.signature,
            }),
            ..self.entry.clone()
        };
        if is_recent(signed.at) && entry.statement_check(here) == StatementCheck::Signed {
            self.entry = entry;
            self.stated = Stated::Signed;
        } else {
            self.stated = Stated::Wrong;
        }
        self
    }

    pub(crate) fn by(mut self, actor: PublicKey) -> Self {
        self.entry.actor = actor.into();
        self
    }

    pub(crate) fn as_role(mut self, role: Role) -> Self {
        self.entry.role = Some(role);
        self
    }

    pub(crate) fn about_card(mut self, card: Hash) -> Self {
        self.entry.patient = Some(Subject::Card(card));
        self
    }

    pub(crate) fn about_pseudonym(mut self, point: PublicKey) -> Self {
        self.entry.patient = Some(Subject::Pseudonym(point));
        self
    }

    pub(crate) fn on_record(mut self, record: Hash) -> Self {
        self.entry.resource = Some(record.into());
        self
    }

    pub(crate) fn under_grant(mut self, grant: Hash) -> Self {
        self.entry.grant = Some(grant);
        self
    }

    pub(crate) fn for_purpose(mut self, purpose: &'static str) -> Self {
        self.entry.purpose = purpose.into();
        self
    }

    /// As the actor signed it, at the time that she says.
    pub(crate) fn signed(mut self, time: TimeMillis, statement: SignedStatement) -> Self {
        self.entry.time = time;
        self.entry.statement = Some(statement);
        self.stated = Stated::Signed;
        self
    }

    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.entry.reason = cut(reason.into(), MAX_REASON_BYTES).into();
        self
    }

    pub(crate) fn ended(mut self, outcome: Outcome, reason: impl Into<String>) -> Self {
        self.entry.outcome = outcome;
        self.because(reason)
    }
}

/// The retention class of an entry that somebody else drew up.
pub(crate) fn class_of(entry: &AuditEntry) -> ActionClass {
    if entry.subtype.starts_with("emergency") {
        return ActionClass::Emergency;
    }
    if entry.subtype.starts_with("audit") {
        return ActionClass::AuditRead;
    }
    match entry.action {
        Action::Create | Action::Update | Action::Delete => ActionClass::ClinicalWrite,
        Action::Read | Action::Search => ActionClass::ClinicalRead,
        Action::Execute => ActionClass::Administration,
    }
}

/// Shortens a text to a bound in bytes, at a character's border.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
