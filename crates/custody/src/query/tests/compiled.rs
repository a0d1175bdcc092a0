//! Normal form.

use super::*;

/// A clause as `a|b` or `-a|b`.
fn shown(text: &str) -> Vec<String> {
    let clauses = read(text)
        .compile()
        .unwrap_or_else(|fault| panic!("{text}: {fault}"));
    clauses
        .iter()
        .map(|clause| {
            let words: Vec<&str> = clause
                .keywords
                .iter()
                .map(|word| word.as_str().trim_start_matches("term:"))
                .collect();
            format!(
                "{}{}",
                if clause.negative { "-" } else { "" },
                words.join("|")
            )
        })
        .collect()
}

fn keywords(words: &[&str]) -> Vec<Keyword> {
    words
        .iter()
        .map(|word| Keyword::term(word).unwrap())
        .collect()
}

#[test]
fn queries_become_clauses() {
    assert_eq!(shown("aa"), ["aa"]);
    assert_eq!(shown("aa bb"), ["aa", "bb"]);
    assert_eq!(shown("aa OR bb"), ["aa|bb"]);
    assert_eq!(shown("aa NOT bb"), ["aa", "-bb"]);
    assert_eq!(shown("aa NOT bb NOT cc"), ["aa", "-bb|cc"]);
    assert_eq!(shown("aa NOT (bb OR cc)"), ["aa", "-bb|cc"]);
    assert_eq!(shown("(aa bb) OR cc"), ["aa|cc", "bb|cc"]);
    assert_eq!(shown("NOT NOT aa"), ["aa"]);
    assert_eq!(
        shown("aa (aa OR bb)"),
        ["aa"],
        "what is implied is left out"
    );
    assert_eq!(
        shown("(aa OR bb) NOT bb"),
        ["aa", "-bb"],
        "what can't be is left out"
    );
    assert_eq!(shown("aa NOT (aa bb)"), ["aa", "-bb"]);
    assert_eq!(shown("aa (bb OR NOT aa)"), ["aa", "bb"]);
    assert_eq!(shown("cc (aa OR NOT aa)"), ["cc"]);
}

#[test]
fn what_no_search_can_say_is_refused() {
    use QueryCompileError as E;
    let refused = |text: &str| read(text).compile().unwrap_err();
    assert_eq!(refused("NOT aa"), E::NothingPositive);
    assert_eq!(refused("aa OR NOT aa"), E::NothingPositive);
    assert_eq!(
        refused("aa OR NOT bb"),
        E::MixedClause {
            present: keywords(&["aa"]),
            absent: keywords(&["bb"])
        }
    );
    assert_eq!(
        refused("cc NOT (aa bb)"),
        E::NegatedAnd {
            keywords: keywords(&["aa", "bb"])
        }
    );
    assert_eq!(refused("aa NOT aa"), E::NeverMatches);
    assert_eq!(refused("(aa OR bb) NOT aa NOT bb"), E::NeverMatches);
    assert_eq!(
        refused("aa bb cc dd ee ff gg hh ii"),
        E::TooManyClauses {
            limit: MAX_CLAUSES,
            found: 9
        }
    );
    let wide: Vec<String> = (10..75).map(|n| n.to_string()).collect();
    assert_eq!(
        refused(&wide.join(" OR ")),
        E::TooManyKeywords {
            limit: MAX_SLOTS,
            found: 65
        }
    );
    let blown: Vec<String> = (10..30).map(|n| format!("(a{n} b{n})")).collect();
    assert_eq!(refused(&blown.join(" OR ")), E::TooIntricate);
    assert_eq!(
        refused("aa OR bb OR NOT cc OR NOT dd").to_string(),
        "a search can't ask for term:aa OR term:bb OR NOT term:cc OR NOT term:dd"
    );
    assert_eq!(compile(None, None), Err(E::NothingPositive));
}

#[test]
fn dates_are_one_more_clause() {
    let range = DateRange::parse("2019", "2020-02-01").unwrap();
    let only = compile(None, Some(&range)).unwrap();
    let dates = KeywordClause {
        negative: false,
        keywords: sorted(date_keywords(&range)),
    };
    assert_eq!(only, [dates.clone()]);

    let unwanted = compile(Some(&read("NOT smoker")), Some(&range)).unwrap();
    let smoker = KeywordClause {
        negative: true,
        keywords: keywords(&["smoker"]),
    };
    assert_eq!(unwanted, [dates, smoker]);

    // A query that takes 60 slots leaves four.
    let wide: Vec<String> = (10..70).map(|n| n.to_string()).collect();
    let awkward = DateRange::parse("2001-02-03", "2028-11-12").unwrap();
    let clauses = compile(Some(&read(&wide.join(" OR "))), Some(&awkward)).unwrap();
    assert_eq!(clauses[0].keywords.len(), 60);
    assert_eq!(clauses[1].keywords.len(), 3, "three decades");
    let full: Vec<String> = (10..74).map(|n| n.to_string()).collect();
    assert_eq!(
        compile(Some(&read(&full.join(" OR "))), Some(&awkward)),
        Err(QueryCompileError::TooManyKeywords {
            limit: MAX_SLOTS,
            found: 65
        })
    );
}

fn sorted(mut keywords: Vec<Keyword>) -> Vec<Keyword> {
    keywords.sort();
    keywords
}

const LETTERS: [&str; 5] = ["aa", "bb", "cc", "dd", "ee"];

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn expression(&mut self, depth: usize) -> QueryExpr {
        match self.below(if depth == 0 { 1 } else { 4 }) {
            0 => word(LETTERS[self.below(LETTERS.len())]),
            1 => not(self.expression(depth - 1)),
            2 => QueryExpr::And(self.parts(depth)),
            _ => QueryExpr::Or(self.parts(depth)),
        }
    }

    fn parts(&mut self, depth: usize) -> Vec<QueryExpr> {
        let count = 2 + self.below(2);
        (0..count).map(|_| self.expression(depth - 1)).collect()
    }
}

/// Every set of the five words.
fn records() -> Vec<BTreeSet<Keyword>> {
    (0_u32..32)
        .map(|bits| {
            let held = LETTERS
                .iter()
                .enumerate()
                .filter(|(at, _)| (bits >> at) & 1 == 1);
            held.map(|(_, word)| Keyword::term(word).unwrap()).collect()
        })
        .collect()
}

fn written(expression: &QueryExpr) -> String {
    let join = |parts: &[QueryExpr], by: &str| {
        let parts: Vec<String> = parts
            .iter()
            .map(|part| format!("({})", written(part)))
            .collect();
        parts.join(by)
    };
    match expression {
        QueryExpr::Has(keyword) => keyword.as_str().trim_start_matches("term:").to_owned(),
        QueryExpr::Not(part) => format!("NOT ({})", written(part)),
        QueryExpr::And(parts) => join(parts, " AND "),
        QueryExpr::Or(parts) => join(parts, " OR "),
    }
}

#[test]
fn clauses_find_exactly_what_was_meant() {
    let records = records();
    let mut compiled = 0;
    for seed in 0..5_000 {
        let meant = Draw(seed).expression(3);
        let text = written(&meant);
        assert_eq!(read(&text), meant, "{text}");
        let found = |record: &BTreeSet<Keyword>| meant.matches(record);
        match meant.compile() {
            Ok(clauses) => {
                compiled += 1;
                for record in &records {
                    assert_eq!(matches(&clauses, record), found(record), "{text}");
                }
                let negative = clauses.iter().filter(|clause| clause.negative).count();
                assert!(negative <= 1 && clauses.len() > negative, "{text}");
                assert!(clauses.len() <= MAX_CLAUSES, "{text}");
            }
            Err(QueryCompileError::NeverMatches) => assert!(!records.iter().any(found), "{text}"),
            Err(QueryCompileError::NothingPositive) => {
                assert!(
                    meant.matches(&BTreeSet::new()),
                    "{text}: nothing at all must do"
                );
            }
            Err(_) => {}
        }
    }
    assert!(
        compiled > 1_000,
        "only {compiled} of the drawn queries could be put"
    );
}
