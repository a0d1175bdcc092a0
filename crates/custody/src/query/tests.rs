//! Reading, compiling, and the equivalence of both with what was meant.
#![allow(clippy::unwrap_used)]

mod compiled;
mod ranges;

use super::*;
use crate::fhir::ClinicalDate;

fn has(keyword: &str) -> QueryExpr {
    let keyword = match keyword.split_once(':') {
        Some(("term", word)) => Keyword::term(word),
        Some(("code", code)) => Keyword::code(code),
        Some(("type", name)) => Keyword::resource_type(name),
        _ => keyword
            .rsplit_once('|')
            .and_then(|(system, code)| Keyword::coding(system, code)),
    };
    QueryExpr::Has(keyword.unwrap())
}

fn word(word: &str) -> QueryExpr {
    QueryExpr::Has(Keyword::term(word).unwrap())
}

fn not(part: QueryExpr) -> QueryExpr {
    QueryExpr::Not(Box::new(part))
}

fn read(text: &str) -> QueryExpr {
    parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[test]
fn words_phrases_and_operators() {
    let both = QueryExpr::And(vec![word("asthma"), word("cough")]);
    for text in [
        "asthma cough",
        "Asthma AND cough",
        " asthma  and COUGH ",
        "\"asthma, cough\"",
        "asthma-cough",
        "(asthma) (cough)",
    ] {
        assert_eq!(read(text), both, "{text}");
    }
    assert_eq!(
        read("asthma OR copd"),
        QueryExpr::Or(vec![word("asthma"), word("copd")])
    );
    for text in [
        "asthma NOT smoker",
        "asthma -smoker",
        "asthma AND NOT smoker",
        "asthma not (smoker)",
    ] {
        assert_eq!(
            read(text),
            QueryExpr::And(vec![word("asthma"), not(word("smoker"))]),
            "{text}"
        );
    }
    // NOT, then AND, then OR.
    assert_eq!(
        read("aa OR bb cc OR NOT dd ee"),
        QueryExpr::Or(vec![
            word("aa"),
            QueryExpr::And(vec![word("bb"), word("cc")]),
            QueryExpr::And(vec![not(word("dd")), word("ee")]),
        ])
    );
    assert_eq!(
        read("\"not otherwise\""),
        QueryExpr::And(vec![word("not"), word("otherwise")])
    );
    assert_eq!(read("\u{201c}Sj\u{f6}gren\u{201d}"), word("sjogren"));
    assert_eq!(read("NOT NOT aa"), not(not(word("aa"))));
    assert_eq!(
        read("vitamin D"),
        word("vitamin"),
        "single letters aren't indexed"
    );
    assert_eq!(
        read("follow - up"),
        QueryExpr::And(vec![word("follow"), word("up")])
    );
}

#[test]
fn fields() {
    assert_eq!(read("code:38341003"), has("code:38341003"));
    assert_eq!(read("CODE:e11.9"), has("code:E11.9"));
    let hypertension = has("http://snomed.info/sct|38341003");
    for text in [
        "code:snomed|38341003",
        "SNOMED|38341003",
        "http://snomed.info/sct|38341003",
        "code:http://snomed.info/sct|38341003",
        "code:\"sct | 38341003\"",
    ] {
        assert_eq!(read(text), hypertension, "{text}");
    }
    assert_eq!(read("code:|8302-2"), has("code:8302-2"));
    assert_eq!(read("urn:oid:1.2.3|X"), has("urn:oid:1.2.3|X"));
    assert_eq!(read("type:condition"), has("type:Condition"));
    assert_eq!(read("term:and"), word("and"));
    let date = ClinicalDate::parse("2024-05-17").unwrap();
    assert_eq!(read("year:2024"), QueryExpr::Has(Keyword::year(date)));
    assert_eq!(read("month:2024-05"), QueryExpr::Has(Keyword::month(date)));
    assert_eq!(read("day:2024-05-17"), QueryExpr::Has(Keyword::day(date)));
    assert_eq!(read("decade:2020s"), QueryExpr::Has(Keyword::decade(date)));
    let ratio = QueryExpr::And(vec![word("10"), word("20")]);
    assert_eq!(
        read("ratio 10:20"),
        QueryExpr::And(vec![word("ratio"), ratio])
    );
}

#[test]
fn mistakes_are_placed() {
    use QuerySyntaxError as E;
    let cases = [
        ("", E::Empty),
        (" \t\n", E::Empty),
        ("aa \"bb", E::UnclosedQuote { position: 3 }),
        ("(aa", E::UnclosedParenthesis { position: 0 }),
        ("aa) bb", E::UnopenedParenthesis { position: 2 }),
        ("aa AND", E::MissingOperand { position: 6 }),
        ("OR aa", E::MissingOperand { position: 0 }),
        ("aa OR", E::MissingOperand { position: 5 }),
        ("aa AND OR bb", E::MissingOperand { position: 7 }),
        ("aa ()", E::MissingOperand { position: 4 }),
        ("NOT", E::MissingOperand { position: 3 }),
        ("code:", E::MissingOperand { position: 0 }),
        ("code:snomed|", E::MissingOperand { position: 0 }),
        ("aa OR x", E::NoWord { position: 6 }),
        ("NOT x", E::NoWord { position: 4 }),
        (
            "name:smith",
            E::UnknownField {
                position: 0,
                field: "name".into(),
            },
        ),
        (
            "aa type:Patient",
            E::UnknownType {
                position: 3,
                found: "Patient".into(),
            },
        ),
        (
            "code:snowmed|1",
            E::UnknownSystem {
                position: 0,
                found: "snowmed".into(),
            },
        ),
        (
            "day:2024-02-30",
            E::BadDate {
                position: 0,
                field: "day",
                example: "2024-05-17",
                found: "2024-02-30".into(),
            },
        ),
        (
            "month:2024",
            E::BadDate {
                position: 0,
                field: "month",
                example: "2024-05",
                found: "2024".into(),
            },
        ),
    ];
    for (text, fault) in cases {
        assert_eq!(parse(text), Err(fault), "{text}");
    }
    assert_eq!(parse(" x !"), Err(E::NoWord { position: 1 }));
}

#[test]
fn size_and_depth_are_bounded() {
    let long = "a".repeat(MAX_QUERY_BYTES + 1);
    let limit = MAX_QUERY_BYTES;
    assert_eq!(
        parse(&long),
        Err(QuerySyntaxError::TooLong {
            limit,
            found: limit + 1
        })
    );
    let nested = |depth: usize| format!("{}aa{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(read(&nested(MAX_DEPTH)), word("aa"));
    let too_deep = QuerySyntaxError::TooDeep {
        position: MAX_DEPTH,
        limit: MAX_DEPTH,
    };
    assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(too_deep));
    let negated = format!("{}aa", "NOT ".repeat(MAX_DEPTH + 1));
    assert!(matches!(
        parse(&negated),
        Err(QuerySyntaxError::TooDeep { .. })
    ));
    assert!(matches!(
        parse(&"(".repeat(4000)),
        Err(QuerySyntaxError::TooDeep { .. })
    ));
}
