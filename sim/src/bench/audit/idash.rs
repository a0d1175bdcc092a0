//! The audit log of the iDASH 2018 competition, track 1, and its queries.
//!
//! Rows are tab separated: timestamp in milliseconds, node, id, ref-id, user, activity, resource. The queries are
//! lists of pairs of a field and a value, in the notation of Python.

use anyhow::{Context, bail, ensure};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A row of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) timestamp: u64,
    pub(super) node: u32,
    pub(super) id: u32,
    pub(super) ref_id: u32,
    pub(super) user: u32,
    pub(super) activity: String,
    pub(super) resource: String,
}

/// A conjunction of what is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) timestamp: Option<u64>,
    pub(super) node: Option<u32>,
    pub(super) id: Option<u32>,
    pub(super) ref_id: Option<u32>,
    pub(super) user: Option<u32>,
    pub(super) activity: Option<String>,
    pub(super) resource: Option<String>,
    /// Not before.
    pub(super) start: Option<u64>,
    /// Not after.
    pub(super) end: Option<u64>,
}

impl Query {
    /// Whether a row fits.
    pub(super) fn fits(&self, row: &Row) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        }
        is(&self.timestamp, &row.timestamp)
            && is(&self.node, &row.node)
            && is(&self.id, &row.id)
            && is(&self.ref_id, &row.ref_id)
            && is(&self.user, &row.user)
            && is(&self.activity, &row.activity)
            && is(&self.resource, &row.resource)
            && self.start.is_none_or(|start| start <= row.timestamp)
            && self.end.is_none_or(|end| row.timestamp <= end)
    }
}

/// The rows of the four nodes, `test0.txt.gz` to `test3.txt.gz`, node by node.
pub(super) fn rows(folder: &Path) -> anyhow::Result<Vec<Vec<Row>>> {
    (0..4)
        .map(|n| {
            let path = folder.join(format!("test{n}.txt.gz"));
            let file = File::open(&path).with_context(|| format!("{}", path.display()))?;
            BufReader::new(GzDecoder::new(file))
                .lines()
                .enumerate()
                .map(|(number, line)| {
                    let line = line?;
                    row(&line).with_context(|| format!("{}, line {}", path.display(), number + 1))
                })
                .collect()
        })
        .collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [timestamp, node, id, ref_id, user, activity, resource] = fields[..] else {
        bail!("{} fields, 7 expected", fields.len());
    };
    Ok(Row {
        timestamp: timestamp.parse()?,
        node: node.parse()?,
        id: id.parse()?,
        ref_id: ref_id.parse()?,
        user: user.parse()?,
        activity: activity.to_owned(),
        resource: resource.to_owned(),
    })
}

/// The competition's 100 queries.
pub(super) fn queries(folder: &Path) -> anyhow::Result<Vec<Query>> {
    let path = folder.join("gerstein-100-queries.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| query(line).with_context(|| format!("query {line}")))
        .collect()
}

fn query(line: &str) -> anyhow::Result<Query> {
    let list = line
        .trim()
        .strip_prefix('[')
        .and_then(|l| l.strip_suffix(']'));
    let list = list.context("no list")?;
    let mut query = Query::default();
    for pair in list.split("), (") {
        let pair = pair.trim_start_matches('(').trim_end_matches(')');
        let (field, value) = pair.split_once(", ").context("no pair")?;
        let number = || value.parse::<u64>().context("no number");
        let small = || value.parse::<u32>().context("no number");
        let text = || {
            let text = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''));
            text.map(str::to_owned).context("no text")
        };
        match field.trim_matches('\'') {
            "TIMESTAMP" => query.timestamp = Some(number()?),
            "STARTTIME" => query.start = Some(number()?),
            "ENDTIME" => query.end = Some(number()?),
            "NODE" => query.node = Some(small()?),
            "ID" => query.id = Some(small()?),
            "REFID" => query.ref_id = Some(small()?),
            "USER" => query.user = Some(small()?),
            "ACTIVITY" => query.activity = Some(text()?),
            "RESOURCE" => query.resource = Some(text()?),
            other => bail!("unknown field {other}"),
        }
    }
    ensure!(query != Query::default(), "it asks for nothing");
    Ok(query)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_and_queries_are_read() {
        let row = row("1522000002801\t1\t7\t3\t6\tREQ_RESOURCE\tMOD_FlyBase").unwrap();
        assert_eq!((row.timestamp, row.node, row.id), (1_522_000_002_801, 1, 7));
        let query =
            query("[('REFID', 3), ('RESOURCE', 'MOD_FlyBase'), ('ENDTIME', 1522000002801)]");
        let query = query.unwrap();
        assert_eq!(
            (query.ref_id, query.end),
            (Some(3), Some(1_522_000_002_801))
        );
        assert!(query.fits(&row));
        let other = Row { ref_id: 4, ..row };
        assert!(!query.fits(&other));
        for wrong in [
            "",
            "[]",
            "[('ID', x)]",
            "[('SHOE', 3)]",
            "[('ACTIVITY', 3)]",
        ] {
            assert!(super::query(wrong).is_err(), "{wrong}");
        }
        assert!(super::row("1\t2\t3").is_err());
    }
}
