//! Changes of a validator set as people name them.

use caduceus_cli::CliError;
use caduceus_crypto::PublicKey;
use caduceus_ledger::{SetChangeError, Validator, ValidatorSet, check_set_change};
use clap::Args;
use serde::Serialize;

/// What is to be different from the present set.
#[derive(Clone, Debug, Default, Args)]
pub struct SetEdit {
    /// Add this validator, or give it another voting power [default power: 1]
    #[arg(long = "validator", value_name = "KEY[=POWER]")]
    with: Vec<String>,
    /// Take this validator out
    #[arg(long, value_name = "KEY")]
    without: Vec<String>,
}

/// A validator as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct ValidatorRow {
    /// Address, as certificates name it.
    pub validator: String,
    /// Key.
    pub key: String,
    /// Voting power.
    pub power: u64,
}

/// The rows of a set.
pub fn validator_rows(set: &ValidatorSet) -> Vec<ValidatorRow> {
    set.iter()
        .map(|validator| ValidatorRow {
            validator: validator.address().to_string(),
            key: validator.key.to_string(),
            power: validator.power,
        })
        .collect()
}

/// Reads a public key.
///
/// # Errors
/// Usage, naming the text.
pub fn public_key(text: &str) -> Result<PublicKey, CliError> {
    text.trim().parse().map_err(|_| {
        CliError::usage(
            format!("{text:?} is not a public key"),
            "66 hexadecimal digits, 02 or 03 first",
        )
    })
}

/// Reads `KEY` or `KEY=POWER`.
///
/// # Errors
/// Usage, naming the text.
pub fn validator(text: &str) -> Result<Validator, CliError> {
    let (key, power) = text.split_once('=').unwrap_or((text, "1"));
    let power = power.parse().map_err(|_| {
        CliError::usage(
            format!("{power:?} is not a voting power"),
            "a whole number from 1 on, as in KEY=2",
        )
    })?;
    Ok(Validator {
        key: public_key(key)?,
        power,
    })
}

impl SetEdit {
    /// The set after the change, which the chain's rules allow in one step.
    ///
    /// # Errors
    /// Usage, when the set cannot be made, or the change is too large for one step.
    pub fn apply(&self, now: &ValidatorSet) -> Result<ValidatorSet, CliError> {
        let mut members: Vec<Validator> = now.iter().cloned().collect();
        for text in &self.without {
            let key = public_key(text)?;
            let before = members.len();
            members.retain(|member| member.key != key);
            if members.len() == before {
                return Err(CliError::not_found(
                    format!("{key} is no validator"),
                    "one of those that members validators lists",
                ));
            }
        }
        for text in &self.with {
            let wanted = validator(text)?;
            members.retain(|member| member.key != wanted.key);
            members.push(wanted);
        }
        let next = ValidatorSet::new(members).map_err(|e| {
            CliError::usage(e.to_string(), "--validator KEY[=POWER], --without KEY")
        })?;
        match check_set_change(now, &next) {
            Ok(()) => Ok(next),
            Err(error @ SetChangeError::Same) => Err(CliError::usage(
                error.to_string(),
                "name what changes: --validator KEY[=POWER], --without KEY",
            )),
            Err(error) => Err(CliError::usage(
                format!("too much at once: {error}"),
                "go in steps: fewer validators at a time, or more power for those that stay, then equal power",
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::{SecretKey, domain};

    fn key(n: u8) -> PublicKey {
        SecretKey::derive(domain::VOTE, &[n], &[]).public()
    }

    fn edit(with: &[String], without: &[u8]) -> SetEdit {
        SetEdit {
            with: with.to_vec(),
            without: without.iter().map(|n| key(*n).to_string()).collect(),
        }
    }

    fn set(members: &[(u8, u64)]) -> ValidatorSet {
        let members = members.iter().map(|(n, power)| Validator {
            key: key(*n),
            power: *power,
        });
        ValidatorSet::new(members.collect()).unwrap()
    }

    #[test]
    fn sets_are_edited_step_by_step() {
        let now = set(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
        let named = |n: u8| key(n).to_string();
        let joined = edit(&[named(4)], &[]).apply(&now).unwrap();
        assert_eq!(joined, set(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]));
        let replaced = edit(&[named(4)], &[0]).apply(&now).unwrap();
        assert_eq!(replaced, set(&[(1, 1), (2, 1), (3, 1), (4, 1)]));
        let heavier = edit(&[format!("{}=2", named(1))], &[]).apply(&now).unwrap();
        assert_eq!(heavier, set(&[(0, 1), (1, 2), (2, 1), (3, 1)]));
        let cases = [
            (edit(&[], &[]), ExitCode::Usage),
            (edit(&[named(0)], &[]), ExitCode::Usage),
            (edit(&[], &[7]), ExitCode::NotFound),
            (edit(&[], &[0, 1]), ExitCode::Usage),
            (edit(&[format!("{}=0", named(4))], &[]), ExitCode::Usage),
            (edit(&["02".into()], &[]), ExitCode::Usage),
            (edit(&[format!("{}=x", named(4))], &[]), ExitCode::Usage),
        ];
        for (n, (edit, exit)) in cases.iter().enumerate() {
            assert_eq!(edit.apply(&now).unwrap_err().exit, *exit, "case {n}");
        }
    }
}
