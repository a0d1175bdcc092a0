//! Bounds on a policy text beyond its length, checked before Cedar sees it.
//!
//! Cedar parses, validates and evaluates by recursion and gives up when the thread's stack runs low. A validator with
//! less stack left would then judge otherwise than the rest. With these bounds a text needs so little stack that
//! every thread has it.

use super::text::Problem;

/// Most policies in a text.
pub const MAX_POLICIES: usize = 256;
/// Most words, numbers, strings and signs in one policy.
pub const MAX_TOKENS: usize = 512;
/// Most signs of operators (`&&` and `==` have two, a dot is one) in one policy: each may be a level of recursion.
pub const MAX_OPERATORS: usize = 128;
/// Deepest nesting of brackets, and most branches (`if`, `then`, `else`), in one policy.
pub const MAX_DEPTH: usize = 12;

/// What is counted of one policy.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Line of its first token.
    first: u32,
    tokens: usize,
    depth: usize,
    deepest: usize,
    branches: usize,
    operators: usize,
}

/// Checks the bounds. Text that is no policy at all passes: Cedar says what is wrong with it.
pub(super) fn check(text: &str) -> Result<(), Problem> {
    let counted = statements(text);
    counted.iter().try_for_each(Counts::check)?;
    let policies = counted.len();
    if policies > MAX_POLICIES {
        return Err(Problem::new(
            None,
            format!("{policies} policies, at most {MAX_POLICIES}"),
        ));
    }
    Ok(())
}

/// The lines where the policies of a text begin, from 1.
pub(super) fn first_lines(text: &str) -> impl Iterator<Item = u32> {
    statements(text).into_iter().map(|counts| counts.first)
}

/// What stands between semicolons, counted.
fn statements(text: &str) -> Vec<Counts> {
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    let (mut found, mut counts) = (Vec::new(), Counts::default());
    while at < bytes.len() {
        let byte = bytes[at];
        let end = token_end(bytes, at);
        let token = &bytes[at..end];
        if !byte.is_ascii_whitespace() && !token.starts_with(b"//") {
            if counts.tokens == 0 {
                counts.first = line;
            }
            counts.tokens += 1;
            match byte {
                b'(' | b'[' | b'{' => counts.depth += 1,
                b')' | b']' | b'}' => counts.depth = counts.depth.saturating_sub(1),
                b'&' | b'|' | b'!' | b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'.' => {
                    counts.operators += 1;
                }
                _ => {}
            }
            counts.deepest = counts.deepest.max(counts.depth);
            counts.branches += usize::from(token == b"if");
        }
        line += u32::try_from(token.iter().filter(|b| **b == b'\n').count()).unwrap_or(0);
        at = end;
        if (byte == b';' || at == bytes.len()) && counts.tokens > 0 {
            found.push(std::mem::take(&mut counts));
        }
    }
    found
}

impl Counts {
    fn check(&self) -> Result<(), Problem> {
        let over = |what: &str, found: usize, limit: usize| {
            Err(Problem::new(
                Some(self.first),
                format!("a policy with {found} {what}, at most {limit}: make several of it"),
            ))
        };
        if self.tokens > MAX_TOKENS {
            return over("words and signs", self.tokens, MAX_TOKENS);
        }
        if self.deepest > MAX_DEPTH {
            return over("levels of brackets", self.deepest, MAX_DEPTH);
        }
        if self.operators > MAX_OPERATORS {
            return over("signs of operators", self.operators, MAX_OPERATORS);
        }
        if self.branches > MAX_DEPTH {
            return over("branches", self.branches, MAX_DEPTH);
        }
        Ok(())
    }
}

/// Where what begins at `at` ends: a comment, a string, a word, or one byte.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii();
    let rest = &bytes[at..];
    let length = match rest[0] {
        b'/' if rest.get(1) == Some(&b'/') => {
            rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        }
        b'"' => {
            let mut length = 1;
            while length < rest.len() && rest[length] != b'"' {
                length += 1 + usize::from(rest[length] == b'\\');
            }
            (length + 1).min(rest.len())
        }
        b if is_word(&b) => rest.iter().position(|b| !is_word(b)).unwrap_or(rest.len()),
        _ => 1,
    };
    at + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Option<u32> {
        check(text).err().and_then(|problem| problem.line)
    }

    #[test]
    fn strings_and_comments_hide_what_is_in_them() {
        assert_eq!(check("// ((((((((((((((((((((((\npermit"), Ok(()));
        let hidden = format!("permit(principal == Staff::\"\\\"{}\");", "(".repeat(40));
        assert_eq!(check(&hidden), Ok(()));
        assert_eq!(check("\"an open string \\"), Ok(()));
        assert_eq!(check(""), Ok(()));
    }

    #[test]
    fn each_bound_names_the_line_where_its_policy_begins() {
        let nested = |n: usize| format!("permit;\n// a\n\n{}1{};", "(".repeat(n), ")".repeat(n));
        assert_eq!(broken(&nested(MAX_DEPTH)), None);
        assert_eq!(broken(&nested(MAX_DEPTH + 1)), Some(4));
        let long = |n: usize| format!("\n{};", "a ".repeat(n - 1));
        assert_eq!(broken(&long(MAX_TOKENS)), None);
        assert_eq!(broken(&long(MAX_TOKENS + 1)), Some(2));
        let signs = |n: usize| format!("{};", "+1".repeat(n));
        assert_eq!(broken(&signs(MAX_OPERATORS)), None);
        assert_eq!(broken(&signs(MAX_OPERATORS + 1)), Some(1));
        let branches = |n: usize| "if a then b else ".repeat(n);
        assert_eq!(broken(&branches(MAX_DEPTH)), None);
        assert_eq!(broken(&branches(MAX_DEPTH + 1)), Some(1));
        assert_eq!(check(&"permit;".repeat(MAX_POLICIES)), Ok(()));
        assert!(check(&"permit;".repeat(MAX_POLICIES + 1)).is_err());
    }
}
