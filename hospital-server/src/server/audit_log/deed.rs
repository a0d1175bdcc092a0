//! An action on its way into the log: who does what to whom, and how it ends.

use caduceus_crypto::{Hash, HospitalId, PublicKey, TimeMillis};
use private_chain::audit::{MAX_REASON_BYTES, MAX_SOURCE_BYTES};
use private_chain::{Action, ActionClass, AuditEntry, Outcome, Role, Subject};

/// An audit entry and its retention class.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    /// Retention class.
    pub(crate) class: ActionClass,
    /// The entry.
    pub(crate) entry: AuditEntry,
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
}

impl Deed {
    /// An action that is allowed and will be done.
    pub(crate) fn new(kind: Kind, origin: Origin) -> Self {
        Self {
            class: kind.class,
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
