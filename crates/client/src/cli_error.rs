//! A client's error in two lines and an exit code (DESIGN 8).

use crate::error::ClientError;
use caduceus_cli::CliError;

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let what = error.to_string();
        match error {
            ClientError::WrongGenesis { .. }
            | ClientError::Genesis(_)
            | ClientError::WrongScheme { .. } => CliError::verification_failed(
                what,
                "get the network file and its genesis again from whoever runs the network",
            ),
            ClientError::NoNodes | ClientError::BadAddress { .. } => CliError::usage(
                what,
                "get the network file again from whoever runs the network",
            ),
            ClientError::Start(_) => CliError::failure(
                what,
                "check that this machine has a network, then try again",
            ),
            ClientError::Unreachable { .. } => CliError::unreachable(
                what,
                "check the connection and the network file, then the same command again: nothing was done",
            ),
            ClientError::NoQuorum { .. } => CliError::unreachable(
                format!("{what}; it is not known to be committed"),
                "the same command again later, which is safe: what was not committed leaves nothing behind",
            ),
            ClientError::Rejected { .. } => CliError::denied(
                what,
                "correct what the rule names, then the same command again",
            ),
            ClientError::Unverified { .. } => CliError::verification_failed(
                what,
                "the same command again: another node is asked first; tell the alliance if it stays so",
            ),
            ClientError::Stale { .. } => CliError::unreachable(
                what,
                "check this machine's clock, then try again: the alliance may have stopped making blocks",
            ),
            ClientError::Tampered { .. } => CliError::verification_failed(
                what,
                "tell the hospital and the alliance; the anchored hash proves what it should be",
            ),
            ClientError::Withheld { .. } => CliError::unreachable(
                what,
                "try again later; the alliance's chain proves that the hospital owes the record",
            ),
            ClientError::Denied { .. } => CliError::denied(
                what,
                "correct what the rule names, or ask at the hospital's desk",
            ),
            ClientError::Refused { .. } => CliError::denied(
                what,
                "check that it exists and that you have a right to it; too many requests are refused too",
            ),
            ClientError::Later { .. } => {
                CliError::unreachable(what, "the same command again later: nothing was done")
            }
            ClientError::NotFound { .. } => CliError::not_found(
                what,
                "check the number or hash; a fresh transaction may take a moment",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::index::SchemeId;

    #[test]
    fn errors_have_the_codes_of_the_design() {
        let who = || "x".to_owned();
        let cases = [
            (
                ClientError::NoQuorum {
                    waited_millis: 1,
                    detail: who(),
                },
                ExitCode::Unreachable,
            ),
            (
                ClientError::Unreachable {
                    who: who(),
                    reason: who(),
                },
                ExitCode::Unreachable,
            ),
            (
                ClientError::Unverified {
                    node: who(),
                    reason: who(),
                },
                ExitCode::VerificationFailed,
            ),
            (
                ClientError::Rejected {
                    rule: who(),
                    detail: who(),
                },
                ExitCode::Denied,
            ),
            (ClientError::NotFound { what: who() }, ExitCode::NotFound),
            (ClientError::NoNodes, ExitCode::Usage),
            (
                ClientError::WrongScheme {
                    expected: SchemeId::Tags,
                    found: SchemeId::Peks,
                },
                ExitCode::VerificationFailed,
            ),
        ];
        for (error, exit) in cases {
            let shown = CliError::from(error);
            assert_eq!(shown.exit, exit);
            assert_eq!(shown.to_string().lines().count(), 2);
        }
    }
}
