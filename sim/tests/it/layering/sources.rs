//! What pure code names: no clock, socket, file, thread or OS randomness.
//!
//! The packages that a crate reaches do not show this, because all of it is in the standard library or one
//! import away. So the modules of each pure crate are read, from `lib.rs` on, as a pure build compiles them:
//! without comments, tests, and what stands behind the features `log` and `node`.

use super::resolve::workspace;
use std::path::Path;

/// Folders of the pure crates and of the chains, which are pure without their nodes.
const PURE: &[&str] = &[
    "crates/crypto",
    "crates/custody",
    "crates/ledger",
    "private-chain",
    "alliance-chain",
];

/// What pure code may not name. A grouped import of `std` would hide what is imported.
const FORBIDDEN: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::{",
    "SystemTime",
    "Instant::now",
    "OsRng",
    "thread_rng",
    "from_entropy()",
];

/// Attributes of items that a pure build leaves out.
const GATES: &[&str] = &[
    "#[cfg(test)]",
    "#[cfg(feature = \"log\")]",
    "#[cfg(feature = \"node\")]",
];

/// The lines that a pure build compiles, with their numbers from 1. Expects the layout of rustfmt: an item
/// ends with the first line at its own indent that begins with a closing brace.
fn pure_lines(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let code = line.trim_start();
        if GATES.iter().any(|gate| code.starts_with(gate)) {
            skip_item(&mut lines, line.len() - code.len());
        } else if !code.starts_with("//") {
            kept.push((at + 1, line));
        }
    }
    kept
}

/// Passes over the item that a gate belongs to.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, indent: usize) {
    let mut inside = false;
    for (_, line) in lines {
        let code = line.trim();
        let depth = line.len() - line.trim_start().len();
        if inside {
            if depth == indent && code.starts_with('}') {
                return;
            }
        } else if code.starts_with("#[") || code.starts_with("//") {
            // Belongs to the item.
        } else if code.ends_with('{') {
            inside = true;
        } else if code.ends_with(';') || code.ends_with('}') {
            return;
        }
    }
}

/// The name in `mod name;`, whatever its visibility.
fn declared_module(line: &str) -> Option<&str> {
    let (visibility, name) = line.trim().strip_suffix(';')?.split_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name)
}

/// Forbidden words in a text, one line each.
fn findings(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in pure_lines(text) {
        for word in FORBIDDEN {
            if line.contains(word) {
                found.push(format!("{file}:{number}: {word}"));
            }
        }
    }
    found
}

/// Reads a module file and those below it; gives the number of files read.
fn read_modules(file: &Path, below: &Path, found: &mut Vec<String>) -> usize {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    found.extend(findings(&name, &text));
    let mut files = 1;
    for (_, line) in pure_lines(&text) {
        if let Some(child) = declared_module(line) {
            let path = below.join(format!("{child}.rs"));
            files += read_modules(&path, &below.join(child), found);
        }
    }
    files
}

#[test]
fn pure_code_names_no_clock_socket_file_thread_or_os_randomness() {
    let mut found = Vec::new();
    let mut files = 0;
    for folder in PURE {
        let source = workspace().join(folder).join("src");
        let read = read_modules(&source.join("lib.rs"), &source, &mut found);
        println!("{folder}: {read} modules read");
        assert!(read >= 8, "{folder}: {read} modules only");
        files += read;
    }
    println!("{files} modules read for {} words", FORBIDDEN.len());
    assert!(files >= 80, "{files} modules only");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The control: each word is found where it is compiled, and nowhere else.
#[test]
fn a_planted_word_is_found_and_a_gated_one_is_not() {
    for word in FORBIDDEN {
        let planted = format!("fn pure() {{\n    let it = {word};\n}}\n");
        let expected = format!("planted.rs:2: {word}");
        assert_eq!(findings("planted.rs", &planted), [expected]);

        let gated = format!(
            "// {word}\n#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests {{\n    use {word};\n    \
             fn test() {{\n        {word}\n    }}\n}}\n\n#[cfg(feature = \"node\")]\nuse {word};\n"
        );
        assert_eq!(findings("gated.rs", &gated), Vec::<String>::new());

        let after = format!("{gated}use {word};\n");
        assert_eq!(
            findings("after.rs", &after).len(),
            1,
            "the gate ends with its item"
        );
    }
}

#[test]
fn gated_modules_are_not_followed() {
    let text = "pub mod rules;\n#[cfg(feature = \"node\")]\npub mod node;\nmod list;\n#[cfg(test)]\nmod tests;\npub use list::List;\n";
    let followed: Vec<&str> = pure_lines(text)
        .into_iter()
        .filter_map(|(_, line)| declared_module(line))
        .collect();
    assert_eq!(followed, ["rules", "list"]);
}
