//! What can go wrong at a workstation, and how people are told: two lines and an exit code.

use caduceus_cli::CliError;
use caduceus_client::ClientError;
use caduceus_crypto::card::CardError;
use caduceus_crypto::hash::Hash;
use caduceus_crypto::index::SchemeId;
use caduceus_custody::emergency::DealError;
use caduceus_custody::fhir::FhirError;
use caduceus_custody::scheme::SchemeKeyError;
use caduceus_custody::seal::SealError;
use caduceus_custody::tags::IndexError;
use caduceus_network::{CallError, StartError};

use super::emergency::EmergencyFault;
use crate::network_map::MapError;

/// Which service a workstation was talking to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// `hospital-server serve`.
    Server,
    /// `hospital-server keys`.
    KeyService,
    /// A node of the hospital's private chain.
    PrivateNode,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Who::Server => "the hospital server",
            Who::KeyService => "the hospital's key service",
            Who::PrivateNode => "the hospital's private chain",
        })
    }
}

/// Why an action at the workstation was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkstationError {
    /// The network file does not name the hospital, or not properly.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The network file names no node of the private chain.
    #[error("the network file names no node of the hospital's private chain")]
    NoNodes,
    /// The workstation's own end of the network did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nobody answered.
    #[error("{who} does not answer: {source}")]
    Unreachable {
        /// Who.
        who: Who,
        /// What the network said.
        source: CallError,
    },
    /// The other side closed without a byte: this key may not ask.
    #[error("{who} refused to talk to this key")]
    Refused {
        /// Who.
        who: Who,
    },
    /// The private chain takes transactions from the hospital's own keys only, and this is another.
    #[error("the hospital's private chain does not take transactions from this key")]
    NotTheHospital,
    /// A rule forbids it.
    #[error("{who} refused ({rule}): {detail}")]
    Denied {
        /// Who.
        who: Who,
        /// The rule's name.
        rule: String,
        /// What it says.
        detail: String,
    },
    /// Not now, and waiting did not help.
    #[error("{who} can't do it now: {detail}")]
    Later {
        /// Who.
        who: Who,
        /// When to try again, milliseconds.
        after_millis: u32,
        /// Why.
        detail: String,
    },
    /// The alliance chain did not do it.
    #[error(transparent)]
    Alliance(#[from] ClientError),
    /// An answer that makes no sense.
    #[error("{who} gave an answer that makes no sense: {what}")]
    BadAnswer {
        /// Who.
        who: Who,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The card presented is not readable, mistyped, or another hospital's.
    #[error(transparent)]
    Card(CardError),
    /// The server names other keys than those the card is bound to.
    #[error("the server's keys for this card are not the card holder's")]
    CardSubstituted,
    /// The meta-address lacks the key that the network's index scheme searches with.
    #[error(
        "the meta-address has no index key, and this network's index scheme, {scheme}, needs one"
    )]
    NoIndexKey {
        /// The scheme.
        scheme: SchemeId,
    },
    /// The meta-address has a key for another index scheme than the network's.
    #[error(
        "the meta-address has an index key, and this network's index scheme, {scheme}, has no use for one"
    )]
    ForeignIndexKey {
        /// The scheme.
        scheme: SchemeId,
    },
    /// What the key service gave for a visit makes no key of the network's index scheme.
    #[error(transparent)]
    SchemeKey(#[from] SchemeKeyError),
    /// The patient's client has not registered with the card, so there is no index key.
    #[error("the patient has not registered this card with her client yet")]
    NotRegistered,
    /// The document is not acceptable FHIR.
    #[error(transparent)]
    Fhir(#[from] FhirError),
    /// The record could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The index entries could not be made.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Other workstations took the same tags or pseudonym each time.
    #[error("the record was refused {attempts} times as a repetition, last by {rule}")]
    StillRepeated {
        /// How often it was tried.
        attempts: u32,
        /// The last rule.
        rule: String,
    },
    /// The hospital's receipt is not what it must be.
    #[error("the receipt of record {record} does not hold: {what}")]
    Receipt {
        /// The record.
        record: Hash,
        /// What is wrong.
        what: &'static str,
    },
    /// An emergency key that no hospital may have.
    #[error(transparent)]
    Deal(#[from] DealError),
    /// Something about an emergency.
    #[error(transparent)]
    Emergency(#[from] EmergencyFault),
}

impl WorkstationError {
    /// What became of a call without a response.
    pub(super) fn call(who: Who, error: CallError) -> Self {
        match error {
            CallError::Refused => WorkstationError::Refused { who },
            CallError::Malformed => WorkstationError::BadAnswer {
                who,
                what: "malformed",
            },
            source => WorkstationError::Unreachable { who, source },
        }
    }
}

impl From<CardError> for WorkstationError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Substituted => WorkstationError::CardSubstituted,
            other => WorkstationError::Card(other),
        }
    }
}

impl From<WorkstationError> for CliError {
    fn from(error: WorkstationError) -> Self {
        let what = error.to_string();
        match error {
            WorkstationError::Map(MapError::NoHospital { .. }) => CliError::not_found(
                what,
                "a name or an identifier that stands in the network file",
            ),
            WorkstationError::Map(_) | WorkstationError::NoNodes => CliError::usage(
                what,
                "get the network file again from whoever runs the network",
            ),
            WorkstationError::Start(_) => CliError::failure(
                what,
                "check the machine's network, then run the command again",
            ),
            WorkstationError::Unreachable { who, .. } => {
                CliError::unreachable(what, start_hint(who))
            }
            WorkstationError::Refused { .. } => CliError::denied(
                what,
                "have the key enrolled: hospital-server staff enrol KEY --role ROLE --label NAME",
            ),
            WorkstationError::NotTheHospital => CliError::denied(
                what,
                "--server-home with the home of this hospital's server",
            ),
            WorkstationError::Denied { ref rule, .. } => denied(what, rule),
            WorkstationError::Later { after_millis, .. } => {
                let seconds = after_millis.div_ceil(1000).max(1);
                CliError::unreachable(
                    what,
                    format!("the command again in {seconds} s; nothing was done"),
                )
            }
            WorkstationError::Alliance(error) => error.into(),
            WorkstationError::Card(card) => wrong_card(what, card),
            WorkstationError::CardSubstituted => CliError::verification_failed(
                what,
                "do not upload; check the card, then report the server: its register may be forged",
            ),
            WorkstationError::NoIndexKey { .. }
            | WorkstationError::ForeignIndexKey { .. }
            | WorkstationError::SchemeKey(SchemeKeyError::Missing { .. }) => CliError::usage(
                what,
                "the meta-address that patient-client card shows in a home of this network",
            ),
            WorkstationError::SchemeKey(_) | WorkstationError::BadAnswer { .. } => {
                CliError::verification_failed(
                    what,
                    "check that all programs have one version, and tell the operator",
                )
            }
            WorkstationError::NotRegistered => CliError::not_found(
                what,
                "have her run: patient-client register CARD --desk-code CODE",
            ),
            WorkstationError::Fhir(ref fault) => wrong_document(what, fault),
            WorkstationError::Seal(_) => {
                CliError::failure(what, "a smaller file, or a valid media type")
            }
            WorkstationError::Index(_) => {
                CliError::failure(what, "fewer terms, or the command again")
            }
            WorkstationError::StillRepeated { .. } => {
                CliError::failure(what, "the command again; nothing of this record was kept")
            }
            WorkstationError::Receipt { .. } => CliError::verification_failed(
                what,
                "tell the operator: the server's promise can't be relied on",
            ),
            WorkstationError::Deal(_) => CliError::usage(
                what,
                "--threshold from 2 to the number of --officers, each named once, at most 32",
            ),
            WorkstationError::Emergency(ref fault) => wrong_emergency(what, fault),
        }
    }
}

fn start_hint(who: Who) -> &'static str {
    match who {
        Who::Server => "check that hospital-server serve runs and that the network file is current",
        Who::KeyService => {
            "check that hospital-server keys runs and that the network file is current"
        }
        Who::PrivateNode => {
            "check that private-chain start runs and that the network file is current"
        }
    }
}

fn denied(what: String, rule: &str) -> CliError {
    let todo = match rule {
        "amend_unknown_record" => "a record hash that hospital-server records lists",
        "amends_other_patient" => "the card of the patient whose record is to be replaced",
        "amend_already_replaced" => "the hash of its newest version: hospital-server records",
        "meta_index_key" => {
            "the meta-address that patient-client card shows in a home of this network"
        }
        "emergency_unknown" | "emergency_target_unknown" => {
            "the identifier that emergency request printed, or the card or record as it is known here"
        }
        "emergency_no_reason" => "--reason with why it cannot wait for the patient; she reads it",
        "emergency_one_person" => "have an officer approve who did not ask",
        "emergency_not_officer" => "ask one of the hospital's officers",
        "emergency_too_few_officers" => {
            "have more officers run: hospital-server emergency approve REQUEST"
        }
        "emergency_not_opted_in" | "emergency_no_wrap" => {
            "reach the patient: she chose that nobody opens this without her"
        }
        "emergency_wrap_missing" | "emergency_wrap_unwanted" => {
            "the command again: the patient said something else of emergencies since"
        }
        "emergency_expired" | "emergency_not_open" => "ask anew: hospital-server emergency request",
        "emergency_no_key" => "ask the hospital to deal one: hospital-server emergency setup",
        rule if rule.contains("card") => {
            "check the card number, or register the patient: patient register META"
        }
        "policy" | "anchor_author_role" => {
            "ask somebody whom the hospital's policy lets do it, or its administrator"
        }
        _ => "correct what the rule names, or ask the administrator of the hospital",
    };
    let unknown = rule.contains("unknown") && rule.contains("card");
    if unknown
        || rule == "amend_unknown_record"
        || rule.starts_with("emergency_") && rule.ends_with("unknown")
    {
        CliError::not_found(what, todo)
    } else {
        CliError::denied(what, todo)
    }
}

fn wrong_emergency(what: String, fault: &EmergencyFault) -> CliError {
    match fault {
        EmergencyFault::Reason => CliError::usage(
            what,
            "--reason with why it cannot wait for the patient; she reads it",
        ),
        EmergencyFault::NoShare { .. } => CliError::not_found(
            what,
            "hospital-server emergency accept FILE with the share that the administrator dealt",
        ),
        EmergencyFault::NotOfficer => CliError::denied(what, "ask one of the hospital's officers"),
        EmergencyFault::ShareFile { .. } | EmergencyFault::Share(_) => {
            CliError::verification_failed(
                what,
                "the file that the administrator dealt to this key; if it is that, deal anew",
            )
        }
        EmergencyFault::Officers { .. } => CliError::verification_failed(
            what,
            "have other officers approve, and tell the administrator who is at fault",
        ),
        _ => CliError::verification_failed(
            what,
            "believe nothing of this, and tell the operator: the server may be forged",
        ),
    }
}

fn wrong_card(what: String, card: CardError) -> CliError {
    match card {
        CardError::Foreign => {
            CliError::denied(what, "the card that this hospital gave the patient")
        }
        CardError::Checksum => CliError::usage(
            what,
            "scan it, or compare it with the card letter by letter",
        ),
        _ => CliError::usage(what, "the text of the card's QR code: CAD1-...|64 digits"),
    }
}

fn wrong_document(what: String, fault: &FhirError) -> CliError {
    let what = match fault {
        FhirError::NotFhir { found: Some(kind) } => {
            format!("JSON, but not FHIR R4, which has no resource type {kind:?}")
        }
        FhirError::NotFhir { found: None } => {
            "JSON, but not FHIR R4: a resource has no resourceType".to_owned()
        }
        _ => what,
    };
    let todo = match fault {
        FhirError::TooLarge { .. } => "a part of it: one Bundle of at most 64 MiB a file",
        FhirError::NotJson { .. } => {
            "a FHIR R4 file in JSON, or --media-type for another kind of file"
        }
        FhirError::NotFhir { .. } => {
            "a FHIR R4 resource or Bundle, or --media-type for another kind of file"
        }
        FhirError::EmptyBundle => "a Bundle with at least one resource in it",
        FhirError::NoPatient => "a Bundle that holds its Patient",
        FhirError::SeveralPatients { .. } => "one Bundle a patient",
        FhirError::TooManyOwnTerms { .. } => "fewer --term words",
        _ => "a FHIR R4 Bundle in JSON",
    };
    CliError::usage(what, todo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::emergency::EmergencyKeyError;

    #[test]
    fn each_mistake_is_two_lines_with_its_code() {
        let denied = |rule: &str| WorkstationError::Denied {
            who: Who::Server,
            rule: rule.into(),
            detail: "no".into(),
        };
        let scheme = SchemeId::Peks;
        let fault = |fault: EmergencyFault| WorkstationError::Emergency(fault);
        let mistakes: [(WorkstationError, ExitCode); 31] = [
            (
                FhirError::NotJson { line: 1, column: 2 }.into(),
                ExitCode::Usage,
            ),
            (FhirError::NotFhir { found: None }.into(), ExitCode::Usage),
            (FhirError::EmptyBundle.into(), ExitCode::Usage),
            (
                FhirError::TooLarge {
                    limit: 64 << 20,
                    found: 65 << 20,
                }
                .into(),
                ExitCode::Usage,
            ),
            (CardError::Malformed.into(), ExitCode::Usage),
            (CardError::Checksum.into(), ExitCode::Usage),
            (CardError::Foreign.into(), ExitCode::Denied),
            (CardError::Substituted.into(), ExitCode::VerificationFailed),
            (
                WorkstationError::call(Who::Server, CallError::Timeout),
                ExitCode::Unreachable,
            ),
            (
                WorkstationError::call(Who::Server, CallError::Refused),
                ExitCode::Denied,
            ),
            (
                WorkstationError::Denied {
                    who: Who::Server,
                    rule: "card_unknown".into(),
                    detail: "no such card".into(),
                },
                ExitCode::NotFound,
            ),
            (denied("amend_unknown_record"), ExitCode::NotFound),
            (denied("amends_other_patient"), ExitCode::Denied),
            (denied("amend_already_replaced"), ExitCode::Denied),
            (denied("meta_index_key"), ExitCode::Denied),
            (denied("emergency_unknown"), ExitCode::NotFound),
            (denied("emergency_target_unknown"), ExitCode::NotFound),
            (denied("emergency_one_person"), ExitCode::Denied),
            (denied("emergency_too_few_officers"), ExitCode::Denied),
            (denied("emergency_wrap_missing"), ExitCode::Denied),
            (fault(EmergencyFault::Reason), ExitCode::Usage),
            (
                fault(EmergencyFault::NoShare { generation: 1 }),
                ExitCode::NotFound,
            ),
            (fault(EmergencyFault::NotOfficer), ExitCode::Denied),
            (
                fault(EmergencyFault::ShareFile { what: "no" }),
                ExitCode::VerificationFailed,
            ),
            (
                fault(EmergencyFault::Terms { what: "no" }),
                ExitCode::VerificationFailed,
            ),
            (
                DealError::Key(EmergencyKeyError::Generation).into(),
                ExitCode::Usage,
            ),
            (WorkstationError::NoIndexKey { scheme }, ExitCode::Usage),
            (SchemeKeyError::Missing { scheme }.into(), ExitCode::Usage),
            (
                SchemeKeyError::VisitKey { scheme }.into(),
                ExitCode::VerificationFailed,
            ),
            (
                WorkstationError::ForeignIndexKey {
                    scheme: SchemeId::Tags,
                },
                ExitCode::Usage,
            ),
            (
                WorkstationError::Receipt {
                    record: Hash::default(),
                    what: "signature",
                },
                ExitCode::VerificationFailed,
            ),
        ];
        for (mistake, code) in mistakes {
            let error = CliError::from(mistake);
            assert_eq!(error.exit, code, "{error}");
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
        }
    }

    #[test]
    fn a_refused_replacement_says_what_to_do() {
        let hint = |rule: &str| {
            CliError::from(WorkstationError::Denied {
                who: Who::Server,
                rule: rule.into(),
                detail: "no".into(),
            })
            .todo
        };
        assert_eq!(
            hint("amend_unknown_record"),
            "a record hash that hospital-server records lists"
        );
        assert_eq!(
            hint("amends_other_patient"),
            "the card of the patient whose record is to be replaced"
        );
        assert_eq!(
            hint("amend_already_replaced"),
            "the hash of its newest version: hospital-server records"
        );
        let error = CliError::from(WorkstationError::NoIndexKey {
            scheme: SchemeId::Paeks,
        });
        assert_eq!(
            error.to_string(),
            "error: the meta-address has no index key, and this network's index scheme, paeks, needs one\n\
             try: the meta-address that patient-client card shows in a home of this network"
        );
    }
}
