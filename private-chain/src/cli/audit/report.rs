//! `audit report`: the questions that are asked again and again.

use super::options::{SpanArgs, actor, subject};
use super::query::{FormArgs, print};
use super::source::{RowSource, all};
use caduceus_cli::{CliError, Output};
use clap::{Args, Subcommand};
use private_chain::audit::report::{self, Bulk, Hours};
use private_chain::audit::{AuditRow, Filter, Known, parse_offset};
use private_chain::{ActionClass, Actor, Outcome, Subject};

/// Which report, and over what time.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReportArgs {
    #[command(subcommand)]
    which: Report,
}

#[derive(Debug, Subcommand)]
enum Report {
    /// What was given out of one patient's data.
    Disclosures {
        /// The patient: the hash of a card, a pseudonym, or a name in an imported log; repeat for all that are hers
        #[arg(long = "patient", value_name = "CARD|PSEUDONYM|NAME", value_parser = subject, required = true)]
        patients: Vec<Subject>,
        #[command(flatten)]
        span: Span,
    },
    /// What one user did and tried.
    Actions {
        /// The user: a key, or a name in an imported log
        #[arg(long, value_name = "KEY|NAME", value_parser = actor)]
        actor: Actor,
        #[command(flatten)]
        span: Span,
    },
    /// What was refused.
    Denied {
        #[command(flatten)]
        span: Span,
    },
    /// What people did outside of their hours.
    AfterHours {
        /// Hours of work; the second before the first is that of the next day
        #[arg(long, value_name = "HH:MM-HH:MM", default_value = "07:00-19:00", value_parser = hours)]
        hours: (u32, u32),
        /// Offset of local time from UTC
        #[arg(long, value_name = "+HH:MM", default_value = "Z", allow_hyphen_values = true, value_parser = parse_offset)]
        utc_offset: i32,
        /// Saturdays and Sundays are days of rest
        #[arg(long)]
        weekends_off: bool,
        #[command(flatten)]
        span: Span,
    },
    /// Who reached unusually many patients or records within a short time.
    Bulk {
        /// More distinct patients, or more distinct records, than this
        #[arg(long, default_value_t = 20)]
        more_than: usize,
        /// Within this time: 30s, 15m, 1h or 1d
        #[arg(long, default_value = "1h", value_parser = duration)]
        window: u64,
        #[command(flatten)]
        span: Span,
    },
    /// What staff did and tried after the suspension.
    Suspended {
        #[command(flatten)]
        span: Span,
    },
    /// Emergency access and what belongs to it.
    Emergency {
        #[command(flatten)]
        span: Span,
    },
}

#[derive(Debug, Args)]
struct Span {
    #[command(flatten)]
    span: SpanArgs,
    #[command(flatten)]
    form: FormArgs,
}

/// Reads a length of time: a number with s, m, h or d.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no length of time: 30s, 15m, 1h or 1d expected");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let millis: u64 = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    // Every unit is one byte.
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number
        .checked_mul(millis)
        .filter(|length| *length > 0)
        .ok_or_else(wrong)
}

fn hours(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{text:?} is no span of hours: 07:00-19:00 expected");
    let minute = |text: &str| -> Option<u32> {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    let (opens, closes) = text.split_once('-').ok_or_else(wrong)?;
    let (opens, closes) = (
        minute(opens).ok_or_else(wrong)?,
        minute(closes).ok_or_else(wrong)?,
    );
    if opens == closes {
        return Err(wrong());
    }
    Ok((opens, closes))
}

/// Makes it and prints it.
pub(super) async fn run(
    source: &impl RowSource,
    known: &Known,
    args: &ReportArgs,
    output: &Output,
) -> Result<(), CliError> {
    match &args.which {
        Report::Bulk {
            more_than,
            window,
            span,
        } => {
            let rows = all(source, &span.span.filter()?).await?;
            let wanted = Bulk {
                more_than: *more_than,
                window_millis: *window,
            };
            let found = report::bulk(&rows, &wanted, known);
            if span.form.fhir {
                return Err(CliError::usage(
                    "a report of bulk access is no list of entries, so there is no Bundle of it",
                    "audit query --fhir --actor KEY --from TIME --until TIME, as the report names them",
                ));
            }
            output.rows(&found)
        }
        which => {
            let (rows, form) = entries(source, known, which).await?;
            print(&rows, known, form, output)
        }
    }
}

/// The entries of a report: the node is asked for as few as can be, and the report picks its own.
async fn entries(
    source: &impl RowSource,
    known: &Known,
    which: &Report,
) -> Result<(Vec<AuditRow>, FormArgs), CliError> {
    let (rows, span) = match which {
        Report::Disclosures { patients, span } => {
            let filter = Filter {
                patients: patients.clone(),
                ..span.span.filter()?
            };
            (
                report::disclosures(&all(source, &filter).await?, patients),
                span,
            )
        }
        Report::Actions { actor, span } => {
            let filter = Filter {
                actor: Some(actor.clone()),
                ..span.span.filter()?
            };
            (report::actions(&all(source, &filter).await?, actor), span)
        }
        Report::Denied { span } => {
            let filter = Filter {
                outcome: Some(Outcome::Denied),
                ..span.span.filter()?
            };
            (report::denied(&all(source, &filter).await?), span)
        }
        Report::Emergency { span } => {
            let filter = Filter {
                class: Some(ActionClass::Emergency),
                ..span.span.filter()?
            };
            (report::emergency(&all(source, &filter).await?), span)
        }
        Report::Suspended { span } => {
            let suspended = known.staff.iter().filter(|(_, s)| s.suspended_at.is_some());
            let mut rows = Vec::new();
            for (key, _) in suspended {
                let filter = Filter {
                    actor: Some(Actor::Key(*key)),
                    ..span.span.filter()?
                };
                rows.extend(all(source, &filter).await?);
            }
            rows.sort_by_key(|row| row.sequence);
            (report::suspended(&rows, known), span)
        }
        Report::AfterHours {
            hours: (opens, closes),
            utc_offset,
            weekends_off,
            span,
        } => {
            let hours = Hours {
                opens: *opens,
                closes: *closes,
                offset_minutes: *utc_offset,
                weekends_off: *weekends_off,
            };
            let rows = all(source, &span.span.filter()?).await?;
            (report::after_hours(&rows, &hours, known), span)
        }
        Report::Bulk { span, .. } => (all(source, &span.span.filter()?).await?, span),
    };
    Ok((rows, span.form))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("30s"), Ok(30_000));
        assert_eq!(duration("15m"), Ok(900_000));
        assert_eq!(duration("1h"), Ok(3_600_000));
        assert_eq!(duration("2d"), Ok(172_800_000));
        for wrong in [
            "",
            "h",
            "1",
            "0h",
            "-1h",
            "1w",
            "99999999999999999d",
            "1\u{e9}",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hours_of_work() {
        assert_eq!(hours("07:00-19:30"), Ok((420, 1170)));
        assert_eq!(hours("22:00-06:00"), Ok((1320, 360)));
        for wrong in [
            "",
            "7-19",
            "07:00",
            "07:00-24:00",
            "07:60-19:00",
            "08:00-08:00",
        ] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }
}
