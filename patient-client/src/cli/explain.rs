//! `search --explain`: slots, covers and bytes, and what they would tell.

use super::context::Context;
use caduceus_cli::{CliError, OutputFormat};
use patient_client::{ExplainedClause, ExplainedSlot, Explanation};
use serde::Serialize;

#[derive(Serialize)]
struct SlotRow {
    hospital: String,
    stored_from: String,
    stored_to: String,
    slot: usize,
    keyword: String,
    clauses: String,
    quarters: usize,
    nodes: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct WindowRow {
    hospital: String,
    stored_from: String,
    stored_to: String,
    days: u64,
    slots: usize,
    leaves: u64,
    query_bytes: usize,
    transaction_bytes: usize,
    tokens: usize,
}

#[derive(Serialize)]
struct ClauseView<'a> {
    negative: bool,
    keywords: &'a [String],
}

#[derive(Serialize)]
struct SlotView<'a> {
    slot: usize,
    keyword: &'a str,
    clauses: &'a [usize],
    quarters: usize,
    nodes: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct WindowView<'a> {
    stored_from: String,
    stored_to: String,
    days: u64,
    leaves: u64,
    query_bytes: usize,
    transaction_bytes: usize,
    slots: Vec<SlotView<'a>>,
}

#[derive(Serialize)]
struct HospitalView<'a> {
    hospital: &'a str,
    tokens_needed: usize,
    tokens_held: usize,
    windows: Vec<WindowView<'a>>,
    members_would_learn: &'a [String],
}

#[derive(Serialize)]
struct ExplainView<'a> {
    sent: bool,
    scheme: &'static str,
    searches: usize,
    transaction_bytes: usize,
    clauses: Vec<ClauseView<'a>>,
    hospitals: Vec<HospitalView<'a>>,
}

/// Shows an explanation: two tables for people, one document in JSON, the slots for other programs.
pub(super) fn show(
    context: &Context,
    explanation: &Explanation,
    versions: bool,
) -> Result<(), CliError> {
    let output = &context.output;
    match output.format() {
        OutputFormat::Json => output.object(&view(explanation)),
        OutputFormat::Table => {
            output.rows(&slot_rows(explanation))?;
            output.rows(&window_rows(explanation))?;
            tell(context, explanation, versions);
            Ok(())
        }
        OutputFormat::Ndjson | OutputFormat::Csv => output.rows(&slot_rows(explanation)),
    }
}

fn tell(context: &Context, explanation: &Explanation, versions: bool) {
    let output = &context.output;
    for each in &explanation.hospitals {
        output.note(&format!(
            "{}: {} of {} tokens at hand; every member of the alliance would learn for ever:",
            each.name,
            each.tokens_held.min(each.windows.len()),
            each.windows.len()
        ));
        for sentence in &each.disclosed {
            output.note(&format!("  - {sentence}"));
        }
    }
    if versions {
        output.note(
            "for each 64 hits of a hospital and known versions of them one more search would look for newer ones \
             (--no-versions leaves that out)",
        );
    }
    output.note(&format!(
        "indexed by {}: {} searches, {} bytes; nothing of this was sent",
        explanation.scheme,
        explanation.searches(),
        explanation.transaction_bytes()
    ));
}

fn slot_rows(explanation: &Explanation) -> Vec<SlotRow> {
    let mut rows = Vec::new();
    for hospital in &explanation.hospitals {
        for window in &hospital.windows {
            for slot in &window.slots {
                rows.push(SlotRow {
                    hospital: hospital.name.clone(),
                    stored_from: window.from.to_string(),
                    stored_to: window.to.to_string(),
                    slot: slot.slot,
                    keyword: slot.keyword.clone(),
                    clauses: clauses_of(slot, &explanation.clauses),
                    quarters: slot.quarters,
                    nodes: slot.nodes,
                    bytes: slot.bytes,
                });
            }
        }
    }
    rows
}

/// The clauses of a slot, as `1, not 3`.
fn clauses_of(slot: &ExplainedSlot, clauses: &[ExplainedClause]) -> String {
    let texts: Vec<String> = slot
        .clauses
        .iter()
        .map(|number| {
            let clause = number.checked_sub(1).and_then(|index| clauses.get(index));
            match clause {
                Some(clause) if clause.negative => format!("not {number}"),
                _ => number.to_string(),
            }
        })
        .collect();
    texts.join(", ")
}

fn window_rows(explanation: &Explanation) -> Vec<WindowRow> {
    let mut rows = Vec::new();
    for hospital in &explanation.hospitals {
        for window in &hospital.windows {
            rows.push(WindowRow {
                hospital: hospital.name.clone(),
                stored_from: window.from.to_string(),
                stored_to: window.to.to_string(),
                days: window.days,
                slots: window.slots.len(),
                leaves: window.leaves,
                query_bytes: window.query_bytes,
                transaction_bytes: window.transaction_bytes,
                tokens: 1,
            });
        }
    }
    rows
}

fn view(explanation: &Explanation) -> ExplainView<'_> {
    let hospitals = explanation.hospitals.iter().map(|hospital| {
        let windows = hospital.windows.iter().map(|window| {
            let slots = window.slots.iter().map(|slot| SlotView {
                slot: slot.slot,
                keyword: &slot.keyword,
                clauses: &slot.clauses,
                quarters: slot.quarters,
                nodes: slot.nodes,
                bytes: slot.bytes,
            });
            WindowView {
                stored_from: window.from.to_string(),
                stored_to: window.to.to_string(),
                days: window.days,
                leaves: window.leaves,
                query_bytes: window.query_bytes,
                transaction_bytes: window.transaction_bytes,
                slots: slots.collect(),
            }
        });
        HospitalView {
            hospital: &hospital.name,
            tokens_needed: hospital.windows.len(),
            tokens_held: hospital.tokens_held,
            windows: windows.collect(),
            members_would_learn: &hospital.disclosed,
        }
    });
    let clauses = explanation.clauses.iter().map(|clause| ClauseView {
        negative: clause.negative,
        keywords: &clause.keywords,
    });
    ExplainView {
        sent: false,
        scheme: explanation.scheme.as_str(),
        searches: explanation.searches(),
        transaction_bytes: explanation.transaction_bytes(),
        clauses: clauses.collect(),
        hospitals: hospitals.collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::index::SchemeId;
    use caduceus_crypto::{Epoch, HospitalId};
    use patient_client::{ExplainedHospital, ExplainedWindow};

    fn explanation() -> Explanation {
        let clause = |negative: bool, keyword: &str| ExplainedClause {
            negative,
            keywords: vec![keyword.to_owned()],
        };
        let slot = |slot: usize, keyword: &str, clauses: &[usize]| ExplainedSlot {
            slot,
            keyword: keyword.to_owned(),
            clauses: clauses.to_vec(),
            quarters: 4,
            nodes: 14,
            bytes: 344,
        };
        let window = ExplainedWindow {
            from: Epoch::from_ymd(2026, 2, 3).unwrap(),
            to: Epoch::from_ymd(2026, 11, 20).unwrap(),
            days: 291,
            slots: vec![
                slot(1, "term:asthma", &[1]),
                slot(2, "term:cough", &[1, 2]),
                slot(3, "term:gout", &[3]),
            ],
            leaves: 873,
            query_bytes: 1_100,
            transaction_bytes: 1_600,
        };
        Explanation {
            scheme: SchemeId::Tags,
            clauses: vec![
                clause(false, "term:asthma"),
                clause(false, "term:cough"),
                clause(true, "term:gout"),
            ],
            hospitals: vec![ExplainedHospital {
                hospital: HospitalId([1; 32]),
                name: "North".to_owned(),
                windows: vec![window.clone(), window],
                tokens_held: 1,
                disclosed: vec!["something".to_owned()],
            }],
        }
    }

    #[test]
    fn there_is_a_row_for_each_slot_and_each_search() {
        let explanation = explanation();
        let slots = slot_rows(&explanation);
        assert_eq!(slots.len(), 6);
        let clauses: Vec<&str> = slots[..3].iter().map(|row| row.clauses.as_str()).collect();
        assert_eq!(clauses, ["1", "1, 2", "not 3"]);
        let windows = window_rows(&explanation);
        assert_eq!(windows.len(), 2);
        assert_eq!((windows[0].slots, windows[0].leaves), (3, 873));
    }

    #[test]
    fn the_document_says_that_nothing_was_sent() {
        let explanation = explanation();
        let json = serde_json::to_value(view(&explanation)).unwrap();
        assert_eq!(json["sent"], false);
        assert_eq!(json["scheme"], "tags");
        assert_eq!(json["searches"], 2);
        assert_eq!(json["transaction_bytes"], 3_200);
        assert_eq!(json["clauses"][2]["negative"], true);
        let north = &json["hospitals"][0];
        assert_eq!(north["tokens_needed"], 2);
        assert_eq!(north["tokens_held"], 1);
        assert_eq!(north["windows"][0]["slots"][1]["keyword"], "term:cough");
        assert_eq!(north["windows"][0]["stored_to"], "2026-11-20");
        assert_eq!(north["members_would_learn"][0], "something");
    }
}
