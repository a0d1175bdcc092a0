//! Why an action of a patient was not done, and how she is told.

use caduceus_cli::CliError;
use caduceus_client::ClientError;
use caduceus_crypto::card::CardError;
use caduceus_crypto::index::QueryError;
use caduceus_crypto::time::Epoch;
use caduceus_crypto::token::TokenError;
use caduceus_crypto::{Hash, PublicKey};
use caduceus_custody::keystore::KeystoreError;
use caduceus_custody::open::OpenError;
use caduceus_custody::query::{DateRangeError, QueryCompileError, QuerySyntaxError};
use std::path::PathBuf;

use crate::state::StateFileError;

/// Why an action was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatientError {
    /// The network, the alliance or a server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file of the home.
    #[error("{}", .0.what)]
    File(CliError),
    /// There is no keystore in the home.
    #[error("there is no keystore in {}", .home.display())]
    NoKeystore {
        /// The home.
        home: PathBuf,
    },
    /// The keystore does not open.
    #[error("{0}")]
    Keystore(#[from] KeystoreError),
    /// The state file does not open.
    #[error("the state file: {0}")]
    State(#[from] StateFileError),
    /// Another process uses the home.
    #[error("{} is in use by another process", .home.display())]
    InUse {
        /// The home.
        home: PathBuf,
    },
    /// The card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The server takes neither the card nor a reason to say.
    #[error("{who} does not accept this card with your keys")]
    CardRefused {
        /// Who refuses.
        who: String,
    },
    /// No card of this hospital.
    #[error("you have no card of {hospital}")]
    NoCard {
        /// The hospital's name.
        hospital: String,
    },
    /// No card at all.
    #[error("you have no card yet")]
    NoCards,
    /// The network file does not name the hospital.
    #[error("the network has no hospital {name}")]
    UnknownHospital {
        /// Its name or identifier.
        name: String,
    },
    /// The query's text.
    #[error("the query: {0}")]
    Query(#[from] QuerySyntaxError),
    /// The query can't be put as one search.
    #[error("{0}")]
    Compile(#[from] QueryCompileError),
    /// The range of clinical dates.
    #[error("{0}")]
    Dates(#[from] DateRangeError),
    /// The range of anchoring days is empty.
    #[error("no record can be anchored since {since} and until {until}")]
    AnchoredRange {
        /// First day.
        since: Epoch,
        /// Last day.
        until: Epoch,
    },
    /// The search breaks a bound of the alliance.
    #[error("the search: {0}")]
    Bounds(#[from] QueryError),
    /// A token could not be made.
    #[error("the search token: {0}")]
    Token(#[from] TokenError),
    /// The record does not open.
    #[error("the record does not open: {0}")]
    Open(#[from] OpenError),
    /// The record is not the one that was found.
    #[error("the record fetched has another pseudonym or hospital than the one found")]
    OtherRecord,
    /// No such record among those found or received.
    #[error("no record {what} is known here")]
    UnknownRecord {
        /// What was named.
        what: String,
    },
    /// Nothing to be granted.
    #[error("no record was named")]
    NoRecords,
    /// No such grant of hers.
    #[error("no grant {what} of yours is known")]
    UnknownGrant {
        /// What was named.
        what: String,
    },
    /// No member vouches for the data user.
    #[error("no account of data user {key} is on the alliance chain")]
    UnknownDataUser {
        /// The key.
        key: PublicKey,
    },
    /// More fragments needed than there are proxies, or none.
    #[error(
        "a threshold of {threshold} is not between 1 and the number of the alliance's proxies, {proxies}"
    )]
    Threshold {
        /// Threshold asked for.
        threshold: usize,
        /// Proxies there are.
        proxies: usize,
    },
    /// A grant of no days, or of too many.
    #[error("a grant lasts 1 to {limit} days, not {days}")]
    Days {
        /// Days asked for.
        days: u64,
        /// Most days.
        limit: u64,
    },
    /// The grant was sent and not committed in time. It may still be; but its fragments were given to nobody, so
    /// that nothing can be opened with it.
    #[error(
        "the alliance did not commit grant {grant} within {waited_millis} ms; it is not known to be committed"
    )]
    GrantUnsettled {
        /// The `Grant` transaction.
        grant: Hash,
        /// How long we waited, in milliseconds.
        waited_millis: u64,
    },
    /// A receipt that does not hold.
    #[error("the receipt does not hold: {what}")]
    Receipt {
        /// What is wrong.
        what: &'static str,
    },
}

impl From<CliError> for PatientError {
    fn from(error: CliError) -> Self {
        PatientError::File(error)
    }
}

impl From<PatientError> for CliError {
    fn from(error: PatientError) -> Self {
        let what = error.to_string();
        match error {
            PatientError::Client(error) => client(what, error),
            PatientError::File(error) => error,
            PatientError::NoKeystore { .. } => CliError::not_found(
                what,
                "patient-client init (or restore, with your 24 words), or name the right home with --home DIR",
            ),
            PatientError::Keystore(error) => keystore(what, error),
            PatientError::State(_) => CliError::verification_failed(
                what,
                "restore a copy of the file, or move it away and add your cards again: card --add CARD",
            ),
            PatientError::InUse { .. } => {
                CliError::locked(what, "the same command again when the other is done")
            }
            PatientError::Card(error) => card(what, error),
            PatientError::CardRefused { .. } => CliError::denied(
                what,
                "compare the card with what you typed, check this machine's clock, or ask at the desk",
            ),
            PatientError::NoCard { .. } | PatientError::NoCards => CliError::not_found(
                what,
                "ask at the hospital's desk for a card, then: patient-client register CARD --desk-code CODE",
            ),
            PatientError::UnknownHospital { .. } => {
                CliError::not_found(what, "a name of the network file, or a newer network file")
            }
            PatientError::Query(_) | PatientError::Compile(_) => CliError::usage(
                what,
                "words with AND, OR, NOT and parentheses; code:38341003, type:Condition, year:2024",
            ),
            PatientError::Dates(_) => CliError::usage(
                what,
                "--from with the earlier date and --to with the later one, as 2024-05-17",
            ),
            PatientError::AnchoredRange { .. } => CliError::usage(
                what,
                "--anchored-since with the earlier day and --anchored-until with the later one, not in the future",
            ),
            PatientError::Bounds(_) => {
                CliError::usage(what, "fewer words, or a shorter range of days")
            }
            PatientError::Token(_) => CliError::verification_failed(
                what,
                "the same command again; tell the hospital if it stays so: its token key may be wrong",
            ),
            PatientError::Open(_) | PatientError::OtherRecord => CliError::verification_failed(
                what,
                "tell the hospital: whoever sealed this record did not follow the protocol",
            ),
            PatientError::UnknownRecord { .. } => CliError::not_found(
                what,
                "search for it first, then name its number or its hash",
            ),
            PatientError::NoRecords => CliError::usage(
                what,
                "the numbers of hits, or --all-of-last-search after a search",
            ),
            PatientError::UnknownGrant { .. } => CliError::not_found(
                what,
                "patient-client grants lists your grants and their numbers",
            ),
            PatientError::UnknownDataUser { .. } => CliError::not_found(
                what,
                "check the key with the data user; a hospital of the alliance must vouch for it first",
            ),
            PatientError::Threshold { proxies, .. } => CliError::usage(
                what,
                format!("--threshold with a number from 1 to {proxies}, or leave it out"),
            ),
            PatientError::Days { limit, .. } => {
                CliError::usage(what, format!("--days with a number from 1 to {limit}"))
            }
            PatientError::GrantUnsettled { .. } => CliError::unreachable(
                what,
                "grant again later; if patient-client grants then shows this one too, revoke it: it opens nothing",
            ),
            PatientError::Receipt { .. } => CliError::verification_failed(
                what,
                "ask the hospital for the right receipt of your record",
            ),
        }
    }
}

/// Refusals of a hospital's server that a patient can do something about.
fn client(what: String, error: ClientError) -> CliError {
    let rule = match &error {
        ClientError::Denied { rule, .. } => rule.clone(),
        _ => return error.into(),
    };
    if rule.starts_with("desk_code") {
        CliError::denied(
            what,
            "check the code, or get a new one at the desk: each works once",
        )
    } else if rule == "card_unknown" {
        CliError::not_found(
            what,
            "compare the card with what you typed, or ask at the desk",
        )
    } else if rule.contains("tokens_used_up") {
        CliError::denied(
            what,
            "try again tomorrow: a card gets a number of search tokens a day",
        )
    } else {
        error.into()
    }
}

fn keystore(what: String, error: KeystoreError) -> CliError {
    match error {
        KeystoreError::WrongPassphrase => {
            CliError::locked(what, "the passphrase again; capitals count")
        }
        KeystoreError::UnsupportedVersion => {
            CliError::failure(what, "a newer version of this program")
        }
        _ => CliError::verification_failed(
            what,
            "restore a copy of the file, or: patient-client restore, with your 24 words, into another home",
        ),
    }
}

fn card(what: String, error: CardError) -> CliError {
    match error {
        CardError::Foreign => CliError::denied(
            what,
            "check the card; a hospital that is new needs a newer network file",
        ),
        CardError::Substituted => CliError::verification_failed(
            what,
            "this card was made for other keys than yours: show your meta-address at the desk again",
        ),
        CardError::Checksum => CliError::usage(what, "compare it with the card, letter by letter"),
        _ => CliError::usage(
            what,
            "the whole number with its beginning, CAD1-...; hyphens do not matter",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    #[test]
    fn mistakes_have_their_codes_and_two_lines() {
        let cases = [
            (PatientError::Card(CardError::Malformed), ExitCode::Usage),
            (PatientError::Card(CardError::Checksum), ExitCode::Usage),
            (PatientError::Card(CardError::Foreign), ExitCode::Denied),
            (
                PatientError::Threshold {
                    threshold: 5,
                    proxies: 4,
                },
                ExitCode::Usage,
            ),
            (
                PatientError::Days {
                    days: 91,
                    limit: 90,
                },
                ExitCode::Usage,
            ),
            (
                PatientError::Keystore(KeystoreError::WrongPassphrase),
                ExitCode::Locked,
            ),
            (
                PatientError::Keystore(KeystoreError::Altered),
                ExitCode::VerificationFailed,
            ),
            (PatientError::NoRecords, ExitCode::Usage),
            (
                PatientError::GrantUnsettled {
                    grant: Hash::default(),
                    waited_millis: 9,
                },
                ExitCode::Unreachable,
            ),
            (
                PatientError::UnknownRecord {
                    what: "7".to_owned(),
                },
                ExitCode::NotFound,
            ),
            (
                PatientError::Client(ClientError::NoQuorum {
                    waited_millis: 9,
                    detail: String::new(),
                }),
                ExitCode::Unreachable,
            ),
        ];
        for (error, exit) in cases {
            let shown = CliError::from(error);
            assert_eq!(shown.exit, exit, "{shown}");
            assert_eq!(shown.to_string().lines().count(), 2);
        }
    }
}
