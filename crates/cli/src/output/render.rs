//! The text of each format.

use crate::args::OutputFormat;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// The text of records.
pub(super) fn rows<T: Serialize>(format: OutputFormat, rows: &[T]) -> Result<String, String> {
    let values = rows
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<Value>, serde_json::Error>>()
        .map_err(|error| error.to_string())?;
    match format {
        OutputFormat::Json => pretty(&Value::Array(values)),
        OutputFormat::Ndjson => Ok(values.iter().map(|value| format!("{value}\n")).collect()),
        OutputFormat::Csv => csv(&values),
        OutputFormat::Table => Ok(table(&values)),
    }
}

/// The text of one object.
pub(super) fn object<T: Serialize>(format: OutputFormat, object: &T) -> Result<String, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    match format {
        OutputFormat::Json => pretty(&value),
        OutputFormat::Ndjson => Ok(format!("{value}\n")),
        OutputFormat::Csv => csv(&[value]),
        OutputFormat::Table => Ok(fields(&value)),
    }
}

fn pretty(value: &Value) -> Result<String, String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

/// All fields of all records in the order they first appear; one nameless column for values that are no
/// objects.
fn columns(values: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for value in values {
        match value {
            Value::Object(map) => {
                for name in map.keys() {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
            _ => {
                if !names.iter().any(|name| name == "value") {
                    names.push("value".to_owned());
                }
            }
        }
    }
    names
}

fn cells(names: &[String], value: &Value) -> Vec<String> {
    names
        .iter()
        .map(|name| match value {
            Value::Object(map) => map.get(name).map(cell).unwrap_or_default(),
            other if name == "value" => cell(other),
            _ => String::new(),
        })
        .collect()
}

/// Text as it is, nothing for null, JSON for what has parts.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Control characters become visible: foreign text must not act on a terminal.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn new_table() -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn table(values: &[Value]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let names = columns(values);
    let mut table = new_table();
    let header: Vec<String> = names.iter().map(|name| printable(&title(name))).collect();
    table.set_header(header);
    for value in values {
        let row: Vec<String> = cells(&names, value)
            .iter()
            .map(|text| printable(text))
            .collect();
        table.add_row(row);
    }
    format!("{table}\n")
}

fn fields(value: &Value) -> String {
    let Value::Object(map) = value else {
        return format!("{}\n", printable(&cell(value)));
    };
    let mut table = new_table();
    for (name, value) in map {
        table.add_row(vec![printable(&title(name)), printable(&cell(value))]);
    }
    format!("{table}\n")
}

fn title(name: &str) -> String {
    name.replace('_', " ")
}

fn csv(values: &[Value]) -> Result<String, String> {
    if values.is_empty() {
        return Ok(String::new());
    }
    let names = columns(values);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(&names)
        .map_err(|error| error.to_string())?;
    for value in values {
        writer
            .write_record(cells(&names, value))
            .map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Serialize)]
    struct Row {
        block_height: u64,
        name: &'static str,
        note: Option<&'static str>,
        tags: Vec<u8>,
    }

    fn sample() -> Vec<Row> {
        vec![
            Row {
                block_height: 1,
                name: "one, \"quoted\"",
                note: None,
                tags: vec![1, 2],
            },
            Row {
                block_height: 22,
                name: "zwei\u{1b}[2J",
                note: Some("second"),
                tags: Vec::new(),
            },
        ]
    }

    #[test]
    fn json_is_an_array_and_ndjson_a_line_each() {
        let json = rows(OutputFormat::Json, &sample()).unwrap();
        let parsed: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 2);
        assert_eq!(parsed[1]["block_height"], 22);
        let lines = rows(OutputFormat::Ndjson, &sample()).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.starts_with("{\"block_height\":1,\"name\":"));
        for line in lines.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }

    #[test]
    fn csv_has_a_header_in_field_order_and_quotes() {
        let text = rows(OutputFormat::Csv, &sample()).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("block_height,name,note,tags"));
        assert_eq!(lines.next(), Some("1,\"one, \"\"quoted\"\"\",,\"[1,2]\""));
        assert_eq!(lines.next(), Some("22,zwei\u{1b}[2J,second,[]"));
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn a_table_shows_all_and_disarms_control_characters() {
        let text = rows(OutputFormat::Table, &sample()).unwrap();
        for part in ["block height", "one, \"quoted\"", "second", "[1,2]", "22"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("\\u{1b}"));
    }

    #[test]
    fn nothing_is_nothing_but_an_empty_array() {
        let none: [Row; 0] = [];
        assert_eq!(rows(OutputFormat::Json, &none).unwrap(), "[]\n");
        for format in [OutputFormat::Table, OutputFormat::Ndjson, OutputFormat::Csv] {
            assert_eq!(rows(format, &none).unwrap(), "");
        }
    }

    #[test]
    fn one_object_in_each_format() {
        let one = &sample()[0];
        let json = object(OutputFormat::Json, one).unwrap();
        let parsed: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["name"], "one, \"quoted\"");
        assert_eq!(
            object(OutputFormat::Ndjson, one).unwrap().lines().count(),
            1
        );
        assert_eq!(object(OutputFormat::Csv, one).unwrap().lines().count(), 2);
        let table = object(OutputFormat::Table, one).unwrap();
        assert!(table.contains("block height") && table.contains("[1,2]"));
        assert_eq!(object(OutputFormat::Table, &"text").unwrap(), "text\n");
        assert_eq!(object(OutputFormat::Csv, &7).unwrap(), "value\n7\n");
    }

    #[test]
    fn records_of_different_shape_share_the_columns() {
        let mixed = [
            serde_json::json!({"a": 1}),
            serde_json::json!({"b": true, "a": null}),
        ];
        assert_eq!(rows(OutputFormat::Csv, &mixed).unwrap(), "a,b\n1,\n,true\n");
    }
}
