//! A client's error in two lines and an exit code (DESIGN 8).

use crate::error::ClientError;
use crate::trust::KeptError;
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
            ClientError::RolledBack { .. } => CliError::verification_failed(
                what,
                "try again later; if it stays so, tell the alliance that its nodes lost blocks",
            ),
            ClientError::Fork { evidence, .. } => CliError::verification_failed(
                what,
                match evidence {
                    Some(path) => format!(
                        "trust nothing newer, and report it: send {} to the members of the alliance",
                        path.display()
                    ),
                    None => {
                        "trust nothing newer, and report both hashes to the members of the alliance"
                            .to_owned()
                    }
                },
            ),
            ClientError::TwoNeeded { .. } => CliError::unreachable(
                what,
                "try again when another node of the network file can be reached",
            ),
            ClientError::Kept(KeptError::Content { path, .. }) => CliError::verification_failed(
                what,
                format!(
                    "remove {} to start from the genesis again: safe, but it forgets which heads were seen",
                    path.display()
                ),
            ),
            ClientError::Kept(KeptError::File { .. }) => CliError::failure(
                what,
                "make the file readable, or remove it to start from the genesis",
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
    use caduceus_crypto::Hash;
    use caduceus_crypto::index::SchemeId;
    use caduceus_ledger::Height;

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
            (
                ClientError::RolledBack {
                    node: who(),
                    seen: Height(9),
                    found: Height(8),
                },
                ExitCode::VerificationFailed,
            ),
            (
                ClientError::TwoNeeded { reason: who() },
                ExitCode::Unreachable,
            ),
            (
                ClientError::Kept(KeptError::File { detail: who() }),
                ExitCode::Failure,
            ),
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

    #[test]
    fn a_fork_names_heights_hashes_and_the_evidence() {
        let fork = |evidence| ClientError::Fork {
            our_height: Height(41),
            ours: Hash([0xaa; 32]),
            their_height: Height(41),
            theirs: Hash([0xbb; 32]),
            evidence,
        };
        let shown = CliError::from(fork(Some("/home/x/fork-41-bbbbbbbb.json".into())));
        assert_eq!(shown.exit, ExitCode::VerificationFailed);
        for part in [&"aa".repeat(32), &"bb".repeat(32), "height 41"] {
            assert!(shown.what.contains(part), "{}", shown.what);
        }
        assert!(shown.todo.contains("/home/x/fork-41-bbbbbbbb.json"));
        let without = CliError::from(fork(None));
        assert!(without.todo.contains("report both hashes"));
    }
}
