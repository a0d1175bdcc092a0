//! Who may do what by default, written down a second time: from DESIGN sections 2, 3.7 and 5, not from the policies.

use crate::policy::{Duty, Operation, Principal, RecordState, Relation, Resource};

/// What a resource says of a record; a thing that is no record counts as one that is there.
fn stored(resource: &Resource) -> bool {
    !matches!(
        resource,
        Resource::Record {
            state: RecordState::Absent,
            ..
        }
    )
}

fn relation(resource: &Resource) -> Option<Relation> {
    match resource {
        Resource::Record { relation, .. }
        | Resource::Card { relation, .. }
        | Resource::AuditLog { relation } => Some(*relation),
        _ => None,
    }
}

/// DESIGN 5.2: a decision for each principal, action and resource.
pub(super) fn allows(
    principal: &Principal,
    operation: Operation,
    resource: &Resource,
    grant: bool,
    emergency: bool,
) -> bool {
    let own = relation(resource) == Some(Relation::Own);
    let presented = relation(resource) == Some(Relation::Treating);
    // That the versions of a record form one line is a rule of the chain, whoever asks.
    // A receipt is good for whoever knows the record's hash, but not for one who was put out.
    let receipt = operation == Operation::Receipt && stored(resource);
    match principal {
        Principal::Staff {
            suspended: true, ..
        }
        | Principal::Staff { valid: false, .. } => false,
        Principal::Staff { role, .. } => {
            let writes = matches!(role.as_ref(), "physician" | "nurse");
            let desk = matches!(role.as_ref(), "registrar" | "administrator");
            let audits = matches!(role.as_ref(), "auditor" | "administrator");
            match operation {
                Operation::RegisterPatient => desk,
                Operation::MetaLookup => presented,
                Operation::IndexKey => writes && presented,
                Operation::Upload | Operation::Anchor => writes && own,
                Operation::Amend => writes && stored(resource) && (own || presented),
                Operation::Emergency => role == "physician" && emergency && stored(resource),
                Operation::EmergencyApprove => emergency && stored(resource),
                Operation::LogAction => own,
                Operation::AuditQuery | Operation::AuditExport => audits,
                Operation::Receipt => receipt,
                _ => false,
            }
        }
        Principal::Patient { .. } => match operation {
            Operation::Register
            | Operation::IssueTokens
            | Operation::EmergencyConsent
            | Operation::AuditQuery
            | Operation::AuditExport => own,
            Operation::FetchRecord => own && stored(resource),
            _ => receipt,
        },
        Principal::DataUser { .. } => match operation {
            Operation::FetchRecord => grant && stored(resource),
            _ => receipt,
        },
        Principal::Node { alliance, .. } => match operation {
            Operation::RelayRecord => *alliance,
            Operation::LogAction => own,
            _ => receipt,
        },
        Principal::Server { duty, .. } => match (duty, operation) {
            (Duty::Keys, Operation::LogAction) => true,
            (Duty::Identity, Operation::LogAction) => own,
            (Duty::Identity | Duty::Serve, Operation::Retire) => true,
            (
                Duty::Identity,
                Operation::StaffEnrol
                | Operation::StaffSuspend
                | Operation::PolicyPropose
                | Operation::MembersChange,
            ) => true,
            _ => receipt,
        },
        Principal::Stranger { .. } => receipt,
    }
}
