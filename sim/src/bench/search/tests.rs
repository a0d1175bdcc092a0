//! The whole bench over a small corpus, and its command line.
#![allow(clippy::unwrap_used)]

use clap::{CommandFactory, Parser};

use super::*;

fn small() -> (Corpus, Options) {
    let options = Options {
        schemes: SchemeId::ALL.to_vec(),
        seed: 1,
        sample: 40,
        queries: 12,
        booleans: 10,
        scan_queries: 2,
        checks: 3,
        rounds: 3,
        growth_to: Some(1_000),
    };
    (generate::corpus(1, 300, 3650), options)
}

#[test]
fn every_scheme_gives_the_answers_of_the_plain_text() {
    let (corpus, options) = small();
    let report = bench(&corpus, &options, &quiet()).unwrap();
    assert!(report.same_answers);
    let schemes: Vec<SchemeId> = report.results.iter().map(|one| one.scheme).collect();
    assert_eq!(schemes, SchemeId::ALL);

    let [tags, peks, paeks] = report.results.as_slice() else {
        panic!("three results");
    };
    assert!(tags.matches > 0);
    assert_eq!((peks.matches, paeks.matches), (tags.matches, tags.matches));
    assert_eq!((tags.queries, tags.boolean.queries), (12, 10));
    assert_eq!((peks.queries, peks.boolean.queries), (2, 3));
    assert_eq!((tags.answers_compared, peks.answers_compared), (22, 8));
    assert!(!tags.extrapolated && peks.extrapolated && paeks.extrapolated);
    assert!(tags.probes_p50 > 3650, "a look-up for each day");
    assert!((40..300).contains(&peks.sampled_records));
    assert!(peks.search_ms_p50 > peks.measured_ms_p50);
    assert!((80.0..82.0).contains(&peks.index_bytes_per_tag));
    assert!((96.0..98.0).contains(&paeks.index_bytes_per_tag));
    assert!(tags.index_bytes_per_tag >= 32.0);
    assert!(report.ratio_peks_over_tags.unwrap() > 1.0);
    assert!(report.ratio_paeks_over_tags.unwrap() > 1.0);

    let sizes: Vec<usize> = report.growth.iter().map(|row| row.records).collect();
    assert_eq!(sizes.last(), Some(&1_000));
    assert!(sizes.contains(&300));
    let first = &report.growth[0];
    for row in &report.growth {
        assert_eq!(
            row.matches, first.matches,
            "the same queries of the same records"
        );
        assert!(row.matches > 0);
        assert_eq!(
            row.records_with_random_tags,
            row.records.saturating_sub(300)
        );
    }
}

#[test]
fn the_report_has_the_fields_that_others_read() {
    let (corpus, mut options) = small();
    options.schemes = vec![SchemeId::Tags];
    options.growth_to = None;
    let report = bench(&corpus, &options, &quiet()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["corpus"]["records"], 300);
    assert_eq!(json["corpus"]["days"], 3650);
    assert_eq!(json["results"][0]["scheme"], "tags");
    for field in [
        "search_ms_p50",
        "search_ms_p99",
        "matches",
        "index_bytes_per_tag",
        "trapdoor_bytes",
    ] {
        assert!(json["results"][0][field].as_f64().unwrap() > 0.0, "{field}");
    }
    assert_eq!(json["results"][0]["extrapolated"], false);
    assert_eq!(json["same_answers"], true);
    assert!(json["ratio_peks_over_tags"].is_null());
    assert_eq!(json["results"][0]["queries"], 12);
    for format in [
        caduceus_cli::OutputFormat::Table,
        caduceus_cli::OutputFormat::Csv,
    ] {
        report.print(&Output::new(format)).unwrap();
    }
}

#[test]
fn a_wrong_answer_is_none_of_the_plain_text() {
    let (corpus, options) = small();
    let questions = Questions::draw(&corpus, 1, 40, options.queries, 0);
    let right: Vec<Vec<usize>> = questions
        .singles
        .iter()
        .map(|asked| asked.answer.clone())
        .collect();
    let says =
        |answers: &[Vec<usize>]| agree(&questions.singles, answers.iter().map(Vec::as_slice));
    assert!(says(&right));
    assert!(!says(&right[1..]), "one is missing");
    for change in 0..3 {
        let mut wrong = right.clone();
        match change {
            0 => wrong[3].push(299),
            1 => wrong[0].clear(),
            _ => wrong.push(Vec::new()),
        }
        assert!(!says(&wrong), "change {change}");
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    search: SearchBenchArgs,
}

#[test]
fn the_command_line_is_read() {
    Line::command().debug_assert();
    let read = |words: &[&str]| {
        let words = std::iter::once(&"search").chain(words);
        Line::try_parse_from(words).map(|line| line.search)
    };
    let plain = read(&[]).unwrap();
    assert_eq!(plain.schemes, SchemeId::ALL);
    assert_eq!(
        (plain.days, plain.sample, plain.records),
        (3650, 2_000, None)
    );
    let given = read(&["--schemes", "paeks,tags", "--growth", "--records", "100000"]).unwrap();
    let options = given.options();
    assert_eq!(options.schemes, [SchemeId::Tags, SchemeId::Paeks]);
    assert_eq!(options.growth_to, Some(1_000_000));
    assert_eq!(options.compared(), 3);
    let alone = read(&["--schemes", "tags"]).unwrap().options();
    assert_eq!(alone.compared(), 200);
    for wrong in [
        ["--schemes", "tags,rsa"],
        ["--sample", "1999"],
        ["--days", "0"],
        ["--days", "4501"],
        ["--records", "0"],
    ] {
        assert!(read(&wrong).is_err(), "{wrong:?}");
    }
}
