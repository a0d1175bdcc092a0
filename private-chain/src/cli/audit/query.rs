//! `audit query`: entries that fit, in the form that is wanted.

use super::options::FilterArgs;
use super::source::{MAX_ROWS, RowSource, some};
use caduceus_cli::{CliError, Output, OutputFormat};
use clap::Args;
use private_chain::audit::{
    AuditRow, BundleKind, Columns, Known, Order, Page, ShortColumns, bundle,
};
use serde_json::Value;
use std::cmp::Ordering;

/// What is asked for.
#[derive(Debug, Args)]
pub(in crate::cli) struct QueryArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Newest first
    #[arg(long)]
    newest: bool,
    /// Sort what is returned by a column, as --output json names it
    #[arg(long, value_name = "COLUMN[:desc]")]
    sort: Option<String>,
    /// At most so many entries
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Go on from here, as the query before said
    #[arg(long, value_name = "SEQUENCE")]
    cursor: Option<u64>,
    /// All entries that fit
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    form: FormArgs,
}

/// A form beside those of --output.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct FormArgs {
    /// Print a FHIR R4 Bundle of AuditEvents
    #[arg(long)]
    pub fhir: bool,
}

/// Asks and prints.
pub(super) async fn run(
    source: &impl RowSource,
    known: &Known,
    args: &QueryArgs,
    output: &Output,
) -> Result<(), CliError> {
    let order = if args.newest {
        Order::NewestFirst
    } else {
        Order::OldestFirst
    };
    let limit = if args.all {
        MAX_ROWS
    } else {
        usize::try_from(args.limit).unwrap_or(MAX_ROWS)
    };
    let Page { mut rows, next } =
        some(source, &args.filter.filter()?, order, args.cursor, limit).await?;
    if let Some(by) = &args.sort {
        sort(&mut rows, known, by)?;
    }
    print(&rows, known, args.form, output)?;
    if let Some(next) = next {
        // On standard error in every format: whoever reads the data must know that it goes on.
        eprintln!("more: --cursor {next}");
    }
    Ok(())
}

/// Prints rows: the telling columns for people, all of them for programs.
pub(super) fn print(
    rows: &[AuditRow],
    known: &Known,
    form: FormArgs,
    output: &Output,
) -> Result<(), CliError> {
    if form.fhir {
        let text = format!("{:#}\n", bundle(rows, known, &BundleKind::Collection));
        return output.raw(text.as_bytes());
    }
    if output.format() == OutputFormat::Table {
        let short: Vec<ShortColumns> = rows.iter().map(|r| ShortColumns::of(r, known)).collect();
        return output.rows(&short);
    }
    let columns: Vec<Columns> = rows.iter().map(|row| Columns::of(row, known)).collect();
    output.rows(&columns)
}

/// Sorts by a column; rows without a value come last, and rows that are alike stay as they were.
fn sort(rows: &mut [AuditRow], known: &Known, by: &str) -> Result<(), CliError> {
    let (name, descending) = match by.split_once(':') {
        None => (by, false),
        Some((name, "desc")) => (name, true),
        Some((name, "asc")) => (name, false),
        Some((_, other)) => {
            return Err(CliError::usage(
                format!("{other:?} is no order"),
                "--sort COLUMN, COLUMN:asc or COLUMN:desc",
            ));
        }
    };
    let column = |row: &AuditRow| {
        let columns = serde_json::to_value(Columns::of(row, known)).unwrap_or(Value::Null);
        columns.get(name).cloned()
    };
    if rows.first().is_some_and(|row| column(row).is_none()) {
        return Err(CliError::usage(
            format!("{name:?} is no column"),
            "--sort with a column as --output json names it: time, actor, action, outcome, ...",
        ));
    }
    rows.sort_by_cached_key(|row| Sorted {
        value: column(row).unwrap_or(Value::Null),
        descending,
    });
    Ok(())
}

#[derive(PartialEq, Eq)]
struct Sorted {
    value: Value,
    descending: bool,
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_value = match (&self.value, &other.value) {
            (Value::Null, Value::Null) => return Ordering::Equal,
            (Value::Null, _) => return Ordering::Greater,
            (_, Value::Null) => return Ordering::Less,
            (Value::Number(a), Value::Number(b)) => a.as_u64().cmp(&b.as_u64()),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (a, b) => a.to_string().cmp(&b.to_string()),
        };
        if self.descending {
            by_value.reverse()
        } else {
            by_value
        }
    }
}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
