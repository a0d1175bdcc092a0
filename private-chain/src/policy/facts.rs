//! What a decision is made from.

use crate::state::StaffRecord;
use crate::tx::Role;
use caduceus_crypto::time::TimeMillis;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A word that the schema does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {found:?}")]
pub struct Unknown {
    /// What was expected.
    pub what: &'static str,
    /// What was found.
    pub found: String,
}

/// An enum whose values are words of the schema.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident, $what:literal: $($(#[$value_meta:meta])* $value:ident = $word:literal,)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$value_meta])* $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$value,)+];

            /// The word of the schema.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$value => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Unknown;

            fn from_str(text: &str) -> Result<Self, Unknown> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == text)
                    .ok_or_else(|| Unknown {
                        what: $what,
                        found: text.to_owned(),
                    })
            }
        }
    };
}

words! {
    /// What may be asked for: one for each row of the route tables and each transaction that execution judges.
    Operation, "action":
    /// A card for a new patient.
    RegisterPatient = "register-patient",
    /// Whose card it is.
    MetaLookup = "meta-lookup",
    /// A visit's index key.
    IndexKey = "index-key",
    /// A patient's client registers.
    Register = "register",
    /// Search tokens.
    IssueTokens = "issue-tokens",
    /// A record is taken in.
    Upload = "upload",
    /// A record is anchored on the chain: judged by execution.
    Anchor = "anchor",
    /// A record replaces another: judged by the server, then by execution.
    Amend = "amend",
    /// An alliance node carries somebody's claim to a record.
    RelayRecord = "relay-record",
    /// A claim to a record.
    FetchRecord = "fetch-record",
    /// A record's receipt, again.
    Receipt = "receipt",
    /// A record is opened in an emergency.
    Emergency = "emergency",
    /// Somebody else agrees that it is opened.
    EmergencyApprove = "emergency-approve",
    /// A patient opts in to emergency access, or out.
    EmergencyConsent = "emergency-consent",
    /// Somebody else's entry is taken into the log.
    LogAction = "log-action",
    /// The audit log is read.
    AuditQuery = "audit-query",
    /// Audit entries are exported with proofs.
    AuditExport = "audit-export",
    /// A retention bucket's key is destroyed.
    Retire = "retire",
    /// Staff are enrolled: judged by execution.
    StaffEnrol = "staff-enrol",
    /// Staff are suspended.
    StaffSuspend = "staff-suspend",
    /// A new policy set: judged by execution.
    PolicyPropose = "policy-propose",
    /// Validators or the hospital's keys change.
    MembersChange = "members-change",
}

words! {
    /// What a thing is to who asks.
    Relation, "relation":
    /// Her own: the record that she wrote or that is about her, her card, her entries.
    Own = "own",
    /// Of the patient whose card is presented in this visit.
    Treating = "treating",
    /// Anybody's.
    Other = "other",
}

words! {
    /// What became of a record.
    RecordState, "record state":
    /// Stored, and nothing replaced it.
    Current = "current",
    /// Stored, and replaced.
    Superseded = "superseded",
    /// Not stored here.
    Absent = "absent",
}

words! {
    /// What a key of the hospital is for.
    Duty, "duty":
    /// Its identity key.
    Identity = "identity",
    /// Its server.
    Serve = "serve",
    /// Its key service.
    Keys = "keys",
}

/// Who asks. The `id` of each is her key in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A member of staff.
    Staff {
        /// Her key.
        id: String,
        /// Her role's name. Not a [`Role`], so that a name which is none can be asked about, and denied.
        role: Cow<'static, str>,
        /// Staff number or name.
        label: String,
        /// Whether she is suspended.
        suspended: bool,
        /// Whether her enrolment holds now.
        valid: bool,
    },
    /// Who has shown a card's audit key or a record's pseudonym.
    Patient {
        /// That key.
        id: String,
    },
    /// Who holds a ticket of the alliance.
    DataUser {
        /// Her key.
        id: String,
    },
    /// A node.
    Node {
        /// Its key.
        id: String,
        /// Whether it is one of the alliance.
        alliance: bool,
    },
    /// A key of the hospital itself.
    Server {
        /// That key.
        id: String,
        /// What it is for.
        duty: Duty,
    },
    /// Anybody else.
    Stranger {
        /// Her key; empty if she has shown none.
        id: String,
    },
}

impl Principal {
    /// A member of staff as the chain knows her, at a time.
    pub fn staff(id: impl fmt::Display, record: &StaffRecord, now: TimeMillis) -> Self {
        Self::Staff {
            id: id.to_string(),
            role: Cow::Borrowed(record.role.as_str()),
            label: record.label.clone(),
            suspended: record.suspended_at.is_some(),
            valid: record.covers(now),
        }
    }

    /// A member of staff in good standing.
    pub fn active(id: impl fmt::Display, role: Role) -> Self {
        Self::Staff {
            id: id.to_string(),
            role: Cow::Borrowed(role.as_str()),
            label: String::new(),
            suspended: false,
            valid: true,
        }
    }

    /// The hospital's identity key.
    pub fn identity(id: impl fmt::Display) -> Self {
        Self::Server {
            id: id.to_string(),
            duty: Duty::Identity,
        }
    }

    /// What people call her: `a nurse`, `a stranger`.
    pub fn noun(&self) -> String {
        match self {
            Self::Staff { role, .. } => {
                let article = if role.starts_with('a') { "an" } else { "a" };
                format!("{article} {role}")
            }
            Self::Patient { .. } => "a patient".to_owned(),
            Self::DataUser { .. } => "a data user".to_owned(),
            Self::Node { alliance: true, .. } => "an alliance node".to_owned(),
            Self::Node { .. } => "a node".to_owned(),
            Self::Server { duty, .. } => match duty {
                Duty::Identity => "the hospital's identity key".to_owned(),
                Duty::Serve => "the hospital's server".to_owned(),
                Duty::Keys => "the hospital's key service".to_owned(),
            },
            Self::Stranger { .. } => "a stranger".to_owned(),
        }
    }
}

/// What is asked for. The `id` of each is a hash in hexadecimal, and may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A record.
    Record {
        /// Its hash.
        id: String,
        /// What became of it.
        state: RecordState,
        /// What it is to who asks.
        relation: Relation,
    },
    /// A card.
    Card {
        /// Its hash.
        id: String,
        /// What it is to who asks.
        relation: Relation,
    },
    /// The audit log.
    AuditLog {
        /// Whether all of it, or what concerns who asks.
        relation: Relation,
    },
    /// The register of staff on the chain.
    StaffRegister {
        /// Name of the role concerned.
        role: Cow<'static, str>,
    },
    /// The policy set.
    Policy,
    /// The chain's validators and keys.
    Chain,
}

impl Resource {
    /// A record.
    pub fn record(id: impl fmt::Display, state: RecordState, relation: Relation) -> Self {
        Self::Record {
            id: id.to_string(),
            state,
            relation,
        }
    }

    /// A record that the caller brings: her own, and not stored yet.
    pub fn new_record() -> Self {
        Self::record("", RecordState::Absent, Relation::Own)
    }

    /// A card.
    pub fn card(id: impl fmt::Display, relation: Relation) -> Self {
        Self::Card {
            id: id.to_string(),
            relation,
        }
    }

    /// The register of staff, as to one role.
    pub fn staff_register(role: Role) -> Self {
        Self::StaffRegister {
            role: Cow::Borrowed(role.as_str()),
        }
    }
}

/// How it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// HL7 v3 PurposeOfUse code; may be empty.
    pub purpose: String,
    /// Whether somebody declares an emergency.
    pub emergency: bool,
    /// Whether an active grant of the record's owner covers it.
    pub grant: bool,
}

/// May she do this?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub principal: Principal,
    /// Name of the action. Not an [`Operation`], so that a name which is none can be asked about, and denied.
    pub action: Cow<'static, str>,
    /// On what.
    pub resource: Resource,
    /// How.
    pub context: Circumstances,
}

impl Question {
    /// A question under plain circumstances.
    pub fn new(principal: Principal, operation: Operation, resource: Resource) -> Self {
        Self {
            principal,
            action: Cow::Borrowed(operation.as_str()),
            resource,
            context: Circumstances::default(),
        }
    }

    /// The same under others.
    #[must_use]
    pub fn under(self, context: Circumstances) -> Self {
        Self { context, ..self }
    }

    /// Whether the hospital's identity key may propose a policy: asked by execution, also of the proposal itself, so
    /// that no policy set is the last.
    pub fn proposes_policy(identity: impl fmt::Display) -> Self {
        Self::new(
            Principal::identity(identity),
            Operation::PolicyPropose,
            Resource::Policy,
        )
    }
}
