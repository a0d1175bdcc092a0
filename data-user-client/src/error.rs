//! What can go wrong for a data user, and how people are told.

use caduceus_cli::CliError;
use caduceus_client::ClientError;
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::record::RecordError;
use caduceus_custody::shared::SharedError;

use crate::fragments::{Blame, Fault};

/// Why a data user did not get what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataUserError {
    /// The alliance.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The grant is proved not to exist.
    #[error("there is no grant {grant}")]
    NoGrant {
        /// The grant.
        grant: Hash,
    },
    /// The grant is for another receiving key, so nothing could be opened. No ticket was taken.
    #[error("grant {grant} is for receiving key {found}, this home has {expected}")]
    OtherReceivingKey {
        /// The grant.
        grant: Hash,
        /// This data user's key.
        expected: PublicKey,
        /// The grant's.
        found: PublicKey,
    },
    /// Fewer proxies than the threshold gave a fragment that verifies.
    #[error("{found} of {needed} capsule fragments: {}", blames(.blamed))]
    TooFewFragments {
        /// The grant's threshold.
        needed: usize,
        /// Valid fragments.
        found: usize,
        /// Which proxies failed, and how.
        blamed: Vec<Blame>,
    },
    /// The bytes are no sealed record.
    #[error("what was fetched is no sealed record: {0}")]
    Record(#[source] RecordError),
    /// The record does not open.
    #[error("the record does not open: {0}")]
    Open(#[from] SharedError),
    /// The record opened is not the one that was granted.
    #[error("the record is not the granted one: {what}")]
    OtherRecord {
        /// What differs.
        what: &'static str,
    },
}

fn blames(blamed: &[Blame]) -> String {
    if blamed.is_empty() {
        return "no other proxy is left to ask".to_owned();
    }
    let parts: Vec<String> = blamed.iter().map(Blame::to_string).collect();
    parts.join("; ")
}

impl From<DataUserError> for CliError {
    fn from(error: DataUserError) -> Self {
        let what = error.to_string();
        match error {
            DataUserError::Client(ClientError::Rejected { rule, .. }) => rejected(what, &rule),
            DataUserError::Client(error) => error.into(),
            DataUserError::NoGrant { .. } => CliError::not_found(
                what,
                "the grant's 64 digits, as data-user-client grants shows them",
            ),
            DataUserError::OtherReceivingKey { .. } => CliError::denied(
                what,
                "the home that the grant was made for, or ask the patient for a new grant",
            ),
            DataUserError::TooFewFragments { blamed, .. } => {
                if blamed
                    .iter()
                    .any(|blame| matches!(blame.fault, Fault::Invalid | Fault::Unsigned))
                {
                    CliError::verification_failed(
                        what,
                        "try again later, and tell the alliance whom to blame",
                    )
                } else if blamed
                    .iter()
                    .any(|blame| matches!(blame.fault, Fault::Denied { .. }))
                {
                    CliError::denied(what, "ask the patient whether the grant still holds")
                } else {
                    CliError::unreachable(what, "try again later: more proxies are needed")
                }
            }
            DataUserError::Record(_)
            | DataUserError::Open(_)
            | DataUserError::OtherRecord { .. } => CliError::verification_failed(
                what,
                "ask the patient to grant the record again; report the hospital",
            ),
        }
    }
}

fn rejected(what: String, rule: &str) -> CliError {
    match rule {
        "access_grant_unknown" => CliError::not_found(
            what,
            "the grant's 64 digits, as data-user-client grants shows them",
        ),
        "access_revoked" | "access_expired" => {
            CliError::denied(what, "ask the patient for a new grant")
        }
        "access_not_signed" => CliError::denied(what, "the home whose key the grant names"),
        "request_account_unknown" => CliError::denied(
            what,
            "ask a member hospital to vouch: hospital-server data-user admit KEY RECEIVING --label NAME",
        ),
        _ => CliError::denied(what, "correct what the rule names, then the command again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    fn rejection(rule: &str) -> DataUserError {
        ClientError::Rejected {
            rule: rule.to_owned(),
            detail: "x".to_owned(),
        }
        .into()
    }

    #[test]
    fn each_mistake_is_two_lines_with_its_code() {
        let too_few = |blamed| DataUserError::TooFewFragments {
            needed: 2,
            found: 1,
            blamed,
        };
        let mistakes = [
            (
                DataUserError::NoGrant {
                    grant: Hash::default(),
                },
                ExitCode::NotFound,
            ),
            (rejection("access_grant_unknown"), ExitCode::NotFound),
            (rejection("access_revoked"), ExitCode::Denied),
            (rejection("request_account_unknown"), ExitCode::Denied),
            (too_few(Vec::new()), ExitCode::Unreachable),
            (
                DataUserError::OtherRecord { what: "pseudonym" },
                ExitCode::VerificationFailed,
            ),
        ];
        for (mistake, code) in mistakes {
            let error = CliError::from(mistake);
            assert_eq!(error.exit, code, "{error}");
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
        }
    }
}
