//! The deepest texts that the bounds let through need little stack: else a validator whose thread has less of it left
//! would judge otherwise.

use crate::policy::*;
use crate::tx::Role;

/// Half of what a thread has by default here.
const STACK_BYTES: usize = 1024 * 1024;

/// Judged on a thread with that much stack: whether it is a policy set, and what it says.
fn judged(text: &str) -> Result<Decision, PolicyProblems> {
    let text = text.to_owned();
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let principal = Principal::active("02aa", Role::Nurse);
            let question = Question::new(principal, Operation::Upload, Resource::new_record());
            check_text(&text).map(|set| set.decide(&question))
        })
        .unwrap()
        .join()
        .unwrap()
}

fn when(condition: &str) -> String {
    format!("@id(\"deep\") permit (principal is Staff, action, resource) when {{ {condition} }};")
}

/// `repeat` so often that the policy has as many tokens, or signs, as are allowed.
fn filled(begin: &str, repeat: &str, end: &str, tokens: usize) -> String {
    let around = 24 + begin.len() + end.len();
    let signs = repeat.matches(|c| "&|!=<>+-*.".contains(c)).count();
    // The condition may have some of its own at its ends.
    let times = ((MAX_TOKENS - around) / tokens)
        .min((MAX_OPERATORS - 4).checked_div(signs).unwrap_or(usize::MAX));
    when(&format!("{begin}{}{end}", repeat.repeat(times)))
}

#[test]
fn the_deepest_texts_need_little_stack() {
    let brackets = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    let lists = format!(
        "{}true{}.contains(true)",
        "[".repeat(MAX_DEPTH - 2),
        "]".repeat(MAX_DEPTH - 2)
    );
    let nested = (0..MAX_DEPTH - 2).fold("true".to_owned(), |inner, _| {
        format!("if true then ({inner}) else false")
    });
    let texts = [
        ("and", filled("true", " && true", "", 3)),
        ("or", filled("false", " || true", "", 3)),
        ("sum", filled("0", " + 1", " > 0", 2)),
        ("product", filled("0", " * 1", " < 1", 2)),
        ("members", filled("context", ".emergency", "", 2)),
        ("calls", filled("[true]", ".contains(true)", "", 5)),
        ("brackets", when(&brackets(MAX_DEPTH - 2))),
        ("lists", when(&lists)),
        ("branches", when(&nested)),
        ("not", filled("", "!", "true", 1)),
        ("minus", filled("0 > ", "-", "1", 1)),
        ("path", filled("", "A::", "\"x\" == principal", 3)),
        ("wide", filled("[true", ", true", "].contains(true)", 2)),
        (
            "and in brackets",
            filled(
                &"(".repeat(MAX_DEPTH - 2),
                "true && ",
                &format!("true{}", ")".repeat(MAX_DEPTH - 2)),
                3,
            ),
        ),
        ("has", filled("context has a", ".a", "", 2)),
    ];
    for (name, text) in texts {
        let outcome = judged(&text);
        if let Err(PolicyProblems::Parse(problems) | PolicyProblems::Schema(problems)) = &outcome {
            let told = problems[0].to_string();
            println!("{name}: {}", &told[..told.len().min(100)]);
            assert!(!told.contains("ecursion"), "{name}: {told}");
        } else {
            println!("{name}: {outcome:?}");
            assert_eq!(outcome.unwrap().errors, [""; 0], "{name}");
        }
    }
}
