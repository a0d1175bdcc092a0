//! The answer to a question.

use super::facts::{Circumstances, Operation, Principal, Question, Resource};
use super::text::{PARSED_SCHEMA, PolicySet};
use cedar_policy::{
    Authorizer, Context, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    Request, RestrictedExpression,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Whether something is allowed, and what decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Names of the policies that decided, sorted: those which permit, or those which forbid. None if it is denied
    /// because no policy permits it.
    pub determining: Vec<String>,
    /// What could not be evaluated, sorted. A question that the schema does not allow is denied with one of these.
    pub errors: Vec<String>,
}

impl Decision {
    fn not_a_question(error: impl ToString) -> Self {
        Self {
            allowed: false,
            determining: Vec::new(),
            errors: vec![error.to_string().replace('\n', " ")],
        }
    }
}

/// Says in a line why a question is answered so: `permitted by X`, `forbidden by X`, `no policy permits ...`.
pub fn explain(question: &Question, decision: &Decision) -> String {
    let by = decision.determining.join(", ");
    let mut line = if decision.allowed {
        format!("permitted by {by}")
    } else if by.is_empty() {
        let noun = question.principal.noun();
        format!("no policy permits {} to {noun}", question.action)
    } else {
        format!("forbidden by {by}")
    };
    if !decision.errors.is_empty() {
        line = format!("{line} ({})", decision.errors.join("; "));
    }
    line
}

impl PolicySet {
    /// Answers a question.
    pub fn decide(&self, question: &Question) -> Decision {
        let (request, entities) = match asked(question) {
            Ok(asked) => asked,
            Err(error) => return Decision::not_a_question(error),
        };
        let response = Authorizer::new().is_authorized(&request, &self.cedar, &entities);
        let mut forbids = BTreeSet::new();
        let mut errors = BTreeSet::new();
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            errors.insert(error.to_string().replace('\n', " "));
            // Cedar would pass over it. What was meant to forbid forbids.
            if self.forbids(error.policy_id()) {
                forbids.insert(error.policy_id().to_string());
            }
        }
        let by_cedar = response.decision() == cedar_policy::Decision::Allow;
        let allowed = by_cedar && forbids.is_empty();
        let mut determining: BTreeSet<String> = response
            .diagnostics()
            .reason()
            .map(ToString::to_string)
            .collect();
        if by_cedar != allowed {
            determining = forbids;
        }
        Decision {
            allowed,
            determining: determining.into_iter().collect(),
            errors: errors.into_iter().collect(),
        }
    }

    fn forbids(&self, id: &PolicyId) -> bool {
        let policy = self.cedar.policy(id);
        policy.is_some_and(|policy| policy.effect() == Effect::Forbid)
    }
}

type Attributes = HashMap<String, RestrictedExpression>;

/// The question in Cedar's terms, checked against the schema.
fn asked(question: &Question) -> Result<(Request, Entities), String> {
    let operation: Operation = question
        .action
        .parse()
        .map_err(|e: super::facts::Unknown| e.to_string())?;
    let action = uid("Action", operation.as_str())?;
    let (principal, who) = principal(&question.principal)?;
    let (resource, what) = resource(&question.resource)?;
    let context = context(&question.context)?;
    let schema = Some(&*PARSED_SCHEMA);
    let entities = [(principal.clone(), who), (resource.clone(), what)]
        .into_iter()
        .map(|(uid, attributes)| Entity::new(uid, attributes, HashSet::new()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(told)?;
    let entities = Entities::from_entities(entities, schema).map_err(told)?;
    let request = Request::new(principal, action, resource, context, schema).map_err(told)?;
    Ok((request, entities))
}

/// An error with its causes, in one line.
fn told(error: impl std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(told)?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn word(kind: &str, word: &str) -> Result<RestrictedExpression, String> {
    Ok(RestrictedExpression::new_entity_uid(uid(kind, word)?))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn attributes<const N: usize>(of: [(&str, RestrictedExpression); N]) -> Attributes {
    of.map(|(name, value)| (name.to_owned(), value)).into()
}

fn principal(of: &Principal) -> Result<(EntityUid, Attributes), String> {
    let flag = RestrictedExpression::new_bool;
    Ok(match of {
        Principal::Staff {
            id,
            role,
            label,
            suspended,
            valid,
        } => (
            uid("Staff", id)?,
            attributes([
                ("role", word("Role", role)?),
                ("label", text(label)),
                ("suspended", flag(*suspended)),
                ("valid", flag(*valid)),
            ]),
        ),
        Principal::Patient { id } => (uid("Patient", id)?, Attributes::new()),
        Principal::DataUser { id } => (uid("DataUser", id)?, Attributes::new()),
        Principal::Node { id, alliance } => (
            uid("Node", id)?,
            attributes([("alliance", flag(*alliance))]),
        ),
        Principal::Server { id, duty } => (
            uid("Server", id)?,
            attributes([("duty", word("Duty", duty.as_str())?)]),
        ),
        Principal::Stranger { id } => (uid("Stranger", id)?, Attributes::new()),
    })
}

fn resource(of: &Resource) -> Result<(EntityUid, Attributes), String> {
    Ok(match of {
        Resource::Record {
            id,
            state,
            relation,
        } => (
            uid("Record", id)?,
            attributes([
                ("state", word("State", state.as_str())?),
                ("relation", word("Relation", relation.as_str())?),
            ]),
        ),
        Resource::Card { id, relation } => (
            uid("Card", id)?,
            attributes([("relation", word("Relation", relation.as_str())?)]),
        ),
        Resource::AuditLog { relation } => (
            uid("AuditLog", "")?,
            attributes([("relation", word("Relation", relation.as_str())?)]),
        ),
        Resource::StaffRegister { role } => (
            uid("StaffRegister", "")?,
            attributes([("role", word("Role", role)?)]),
        ),
        Resource::Policy => (uid("Policy", "")?, Attributes::new()),
        Resource::Chain => (uid("Chain", "")?, Attributes::new()),
    })
}

fn context(of: &Circumstances) -> Result<Context, String> {
    Context::from_pairs(attributes([
        ("purpose", text(&of.purpose)),
        ("emergency", RestrictedExpression::new_bool(of.emergency)),
        ("grant", RestrictedExpression::new_bool(of.grant)),
    ]))
    .map_err(told)
}
