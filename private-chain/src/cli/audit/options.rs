//! Options that say which entries are meant.

use caduceus_cli::CliError;
use caduceus_crypto::{Hash, PublicKey, TimeMillis};
use clap::Args;
use private_chain::audit::{Filter, parse_time};
use private_chain::{Action, ActionClass, Actor, Outcome, Resource, Role, Subject};

/// Entries that fit everything that is given.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct FilterArgs {
    /// Who acted: a key, or a name in an imported log
    #[arg(long, value_name = "KEY|NAME", value_parser = actor)]
    pub actor: Option<Actor>,
    /// Role of who acted
    #[arg(long)]
    pub role: Option<Role>,
    /// What was done: an action, an action and its kind, or a kind: read, read/fetch-record, upload
    #[arg(long, value_name = "ACTION[/KIND]")]
    pub action: Option<String>,
    /// How it ended: success, denied, failed or unknown
    #[arg(long, value_parser = outcome)]
    pub outcome: Option<Outcome>,
    /// The patient: the hash of a card, a pseudonym, or a name in an imported log; repeat for any of several
    #[arg(long = "patient", value_name = "CARD|PSEUDONYM|NAME", value_parser = subject)]
    pub patients: Vec<Subject>,
    /// The record
    #[arg(long, value_name = "HASH", conflicts_with = "resource")]
    pub record: Option<Hash>,
    /// What else was acted on, by its name
    #[arg(long, value_name = "NAME")]
    pub resource: Option<String>,
    /// The grant acted under
    #[arg(long, value_name = "HASH")]
    pub grant: Option<Hash>,
    /// The request
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// The entry's identifier in an imported log
    #[arg(long, value_name = "ID")]
    pub reference: Option<String>,
    /// Workstation or network address
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Purpose of use
    #[arg(long, value_name = "CODE")]
    pub purpose: Option<String>,
    /// Retention class: clinical-write, clinical-read, administration, audit-read or emergency
    #[arg(long)]
    pub class: Option<ActionClass>,
    #[command(flatten)]
    pub span: SpanArgs,
}

/// A span of time.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SpanArgs {
    /// Not before this date or time (RFC 3339), UTC if it says nothing else
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<TimeMillis>,
    /// Before this date or time
    #[arg(long, visible_alias = "to", value_name = "TIME", value_parser = parse_time)]
    pub until: Option<TimeMillis>,
}

/// Before a name that could be taken for something else.
const NAME: &str = "name:";

/// A key, or a name.
pub(super) fn actor(text: &str) -> Result<Actor, String> {
    if let Some(name) = text.strip_prefix(NAME) {
        return Ok(Actor::Named(name.into()));
    }
    Ok(match text.parse::<PublicKey>() {
        Ok(key) => Actor::Key(key),
        Err(_) => Actor::Named(text.into()),
    })
}

/// A card's hash, a pseudonym, or a name.
pub(super) fn subject(text: &str) -> Result<Subject, String> {
    if let Some(name) = text.strip_prefix(NAME) {
        return Ok(Subject::Named(name.into()));
    }
    if let Ok(card) = text.parse::<Hash>() {
        return Ok(Subject::Card(card));
    }
    Ok(match text.parse::<PublicKey>() {
        Ok(point) => Subject::Pseudonym(point),
        Err(_) => Subject::Named(text.into()),
    })
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.as_str() == text)
        .ok_or_else(|| "success, denied, failed or unknown expected".to_owned())
}

fn action(text: &str) -> Option<Action> {
    Action::ALL
        .into_iter()
        .find(|action| action.as_str() == text)
}

impl SpanArgs {
    /// Checks that it begins before it ends.
    pub(super) fn check(&self) -> Result<(), CliError> {
        match (self.from, self.until) {
            (Some(from), Some(until)) if from >= until => Err(CliError::usage(
                format!("nothing is from {from} until {until}"),
                "--from TIME before --until TIME",
            )),
            _ => Ok(()),
        }
    }

    /// A filter of this span.
    pub(super) fn filter(&self) -> Result<Filter, CliError> {
        self.check()?;
        Ok(Filter {
            from: self.from,
            until: self.until,
            ..Filter::default()
        })
    }
}

impl FilterArgs {
    /// The filter.
    pub(super) fn filter(&self) -> Result<Filter, CliError> {
        let text = |value: &Option<String>| value.as_deref().map(Into::into);
        let (done, kind) = match self
            .action
            .as_deref()
            .map(|name| name.split_once('/').ok_or(name))
        {
            None => (None, None),
            Some(Ok((name, kind))) => {
                let known = action(name).ok_or_else(|| {
                    CliError::usage(
                        format!("{name:?} is no action"),
                        "--action create, read, update, delete, search or execute, with /KIND or without",
                    )
                })?;
                (Some(known), Some(kind))
            }
            Some(Err(name)) => match action(name) {
                Some(known) => (Some(known), None),
                None => (None, Some(name)),
            },
        };
        let record = self.record.map(Resource::Record);
        let named = self
            .resource
            .as_deref()
            .map(|name| Resource::Named(name.into()));
        Ok(Filter {
            actor: self.actor.clone(),
            role: self.role,
            action: done,
            subtype: kind.map(Into::into),
            outcome: self.outcome,
            patients: self.patients.clone(),
            resource: record.or(named),
            grant: self.grant,
            request: text(&self.request),
            reference: text(&self.reference),
            source: text(&self.source),
            purpose: text(&self.purpose),
            class: self.class,
            ..self.span.filter()?
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_name_a_kind_or_both() {
        let of = |text: &str| {
            let args = FilterArgs {
                action: Some(text.to_owned()),
                ..FilterArgs::default()
            };
            args.filter()
                .map(|f| (f.action, f.subtype.map(|s| s.to_string())))
        };
        assert_eq!(of("read").unwrap(), (Some(Action::Read), None));
        let both = (Some(Action::Read), Some("fetch-record".to_owned()));
        assert_eq!(of("read/fetch-record").unwrap(), both);
        assert_eq!(
            of("FILE_ACCESS").unwrap(),
            (None, Some("FILE_ACCESS".to_owned()))
        );
        assert!(of("walk/by").is_err());
    }

    #[test]
    fn who_and_whom_are_told_by_their_form() {
        let key = caduceus_crypto::SecretKey::from_bytes(&[7; 32])
            .unwrap()
            .public();
        assert_eq!(actor(&key.to_string()), Ok(Actor::Key(key)));
        assert_eq!(actor("8"), Ok(Actor::Named("8".into())));
        assert_eq!(
            actor(&format!("name:{key}")),
            Ok(Actor::Named(key.to_string().as_str().into()))
        );
        assert_eq!(subject(&key.to_string()), Ok(Subject::Pseudonym(key)));
        assert_eq!(
            subject(&Hash([5; 32]).to_string()),
            Ok(Subject::Card(Hash([5; 32])))
        );
        assert_eq!(subject("p-17"), Ok(Subject::Named("p-17".into())));
    }

    #[test]
    fn a_span_begins_before_it_ends() {
        let span = |from, until| SpanArgs {
            from: Some(TimeMillis(from)),
            until: Some(TimeMillis(until)),
        };
        assert!(span(1, 2).filter().is_ok());
        assert!(span(2, 2).filter().is_err());
    }
}
