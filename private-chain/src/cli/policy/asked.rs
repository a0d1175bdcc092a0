//! A question on the command line, and its answer.

use caduceus_cli::CliError;
use clap::Args;
use private_chain::Role;
use private_chain::policy::{
    Circumstances, Operation, PolicySet, Principal, Question, RecordState, Relation, Resource,
    explain,
};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Who asks for what.
#[derive(Args, Debug)]
pub(crate) struct Asked {
    /// Who asks: role=nurse[,suspended=true,valid=false,label=TEXT], patient, data-user, node[,alliance=false],
    /// server,duty=identity, stranger; and id=KEY
    #[arg(long, value_name = "WHO", default_value = "stranger")]
    principal: String,
    /// For which action: upload, audit-query and so on
    #[arg(long)]
    action: Option<Operation>,
    /// On what: relation=own|treating|other, state=current|superseded|absent, role=ROLE, id=HASH
    #[arg(long, value_name = "WHAT", default_value = "", requires = "action")]
    resource: String,
    /// How: purpose=CODE, emergency=true, grant=true
    #[arg(long, value_name = "HOW", default_value = "", requires = "action")]
    under: String,
}

/// What a file decides.
#[derive(Serialize)]
pub(crate) struct Answer {
    allowed: bool,
    policies: Vec<String>,
    why: String,
}

/// Asks.
pub(crate) fn answer(set: &PolicySet, question: &Question) -> Answer {
    let decision = set.decide(question);
    Answer {
        allowed: decision.allowed,
        why: explain(question, &decision),
        policies: decision.determining,
    }
}

impl Asked {
    /// The question; none without an action.
    pub(crate) fn question(&self) -> Result<Option<Question>, CliError> {
        let Some(operation) = self.action else {
            return Ok(None);
        };
        let mut who = Words::read("--principal", &self.principal)?;
        let principal = who.principal()?;
        who.end()?;
        let mut what = Words::read("--resource", &self.resource)?;
        let resource = what.resource(operation)?;
        what.end()?;
        let mut how = Words::read("--under", &self.under)?;
        let context = Circumstances {
            purpose: how.text("purpose"),
            emergency: how.parsed("emergency", false)?,
            grant: how.parsed("grant", false)?,
        };
        how.end()?;
        Ok(Some(
            Question::new(principal, operation, resource).under(context),
        ))
    }
}

/// `a=1,b=2`; a word without a value is the kind.
struct Words {
    option: &'static str,
    values: BTreeMap<String, String>,
}

impl Words {
    fn read(option: &'static str, text: &str) -> Result<Self, CliError> {
        let mut values = BTreeMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or(("kind", part));
            let again = values.insert(name.trim().to_owned(), value.trim().to_owned());
            if again.is_some() {
                return Err(wrong(option, format!("{name} is named twice")));
            }
        }
        Ok(Self { option, values })
    }

    fn text(&mut self, name: &str) -> String {
        self.values.remove(name).unwrap_or_default()
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, or: T) -> Result<T, CliError> {
        match self.values.remove(name) {
            None => Ok(or),
            Some(value) => value
                .parse()
                .map_err(|error: T::Err| wrong(self.option, format!("{name}={value}: {error}"))),
        }
    }

    fn principal(&mut self) -> Result<Principal, CliError> {
        let id = self.text("id");
        let named = self.values.remove("role");
        let kind = match self.values.remove("kind") {
            Some(kind) => kind,
            None if named.is_some() => "staff".to_owned(),
            None => "stranger".to_owned(),
        };
        Ok(match kind.as_str() {
            "staff" => {
                let role = named.unwrap_or_default();
                let role: Role = role
                    .parse()
                    .map_err(|error| wrong(self.option, format!("role={role}: {error}")))?;
                Principal::Staff {
                    id,
                    role: Cow::Borrowed(role.as_str()),
                    label: self.text("label"),
                    suspended: self.parsed("suspended", false)?,
                    valid: self.parsed("valid", true)?,
                }
            }
            "patient" => Principal::Patient { id },
            "data-user" => Principal::DataUser { id },
            "node" => Principal::Node {
                id,
                alliance: self.parsed("alliance", true)?,
            },
            "server" => {
                let duty = self.text("duty");
                let duty = duty
                    .parse()
                    .map_err(|error| wrong(self.option, format!("duty={duty}: {error}")))?;
                Principal::Server { id, duty }
            }
            "stranger" => Principal::Stranger { id },
            other => {
                return Err(wrong(
                    self.option,
                    format!(
                        "{other:?} is none of staff, patient, data-user, node, server, stranger"
                    ),
                ));
            }
        })
    }

    /// What an action applies to; the schema has one kind of thing for each.
    fn resource(&mut self, operation: Operation) -> Result<Resource, CliError> {
        Ok(match operation {
            Operation::RegisterPatient
            | Operation::MetaLookup
            | Operation::IndexKey
            | Operation::Register
            | Operation::IssueTokens
            | Operation::EmergencyConsent => Resource::Card {
                id: self.text("id"),
                relation: self.parsed("relation", Relation::Other)?,
            },
            Operation::Upload
            | Operation::Anchor
            | Operation::Amend
            | Operation::RelayRecord
            | Operation::FetchRecord
            | Operation::Receipt
            | Operation::Emergency
            | Operation::EmergencyApprove => Resource::Record {
                id: self.text("id"),
                state: self.parsed("state", RecordState::Current)?,
                relation: self.parsed("relation", Relation::Other)?,
            },
            Operation::LogAction
            | Operation::AuditQuery
            | Operation::AuditExport
            | Operation::Retire => Resource::AuditLog {
                relation: self.parsed("relation", Relation::Other)?,
            },
            Operation::StaffEnrol | Operation::StaffSuspend => {
                Resource::staff_register(self.parsed("role", Role::Nurse)?)
            }
            Operation::PolicyPropose => Resource::Policy,
            Operation::MembersChange => Resource::Chain,
        })
    }

    fn end(self) -> Result<(), CliError> {
        match self.values.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(wrong(self.option, format!("{name} does not belong here"))),
        }
    }
}

fn wrong(option: &str, what: String) -> CliError {
    CliError::usage(
        format!("{option}: {what}"),
        "policy check --help shows the words",
    )
}
