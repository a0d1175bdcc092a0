//! Cuts a query into tokens.

use super::QuerySyntaxError;

/// A token and the character it starts at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) position: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A bare word or the inside of a quotation.
    Text(String),
    /// `field:value`.
    Field(Field, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Term,
    Code,
    Type,
    Year,
    Month,
    Day,
    Decade,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "term" => Some(Self::Term),
            "code" => Some(Self::Code),
            "type" => Some(Self::Type),
            "year" => Some(Self::Year),
            "month" => Some(Self::Month),
            "day" => Some(Self::Day),
            "decade" => Some(Self::Decade),
            _ => None,
        }
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QuerySyntaxError> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(character) = characters.get(at).copied() {
        let position = at;
        if character.is_whitespace() {
            at += 1;
            continue;
        }
        let kind = if character == '(' {
            at += 1;
            TokenKind::Open
        } else if character == ')' {
            at += 1;
            TokenKind::Close
        } else if is_quote(character) {
            TokenKind::Text(quotation(&characters, &mut at)?)
        } else if character == '-' && starts_operand(characters.get(at + 1).copied()) {
            at += 1;
            TokenKind::Not
        } else {
            let run = bare(&characters, &mut at);
            let field = run.strip_suffix(':').and_then(Field::named);
            match field {
                // code:"E 11"
                Some(field) if characters.get(at).copied().is_some_and(is_quote) => {
                    TokenKind::Field(field, quotation(&characters, &mut at)?)
                }
                _ => classified(run, position)?,
            }
        };
        tokens.push(Token { kind, position });
    }
    Ok(tokens)
}

/// People copy queries out of word processors, which curl the marks.
fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

fn starts_operand(next: Option<char>) -> bool {
    next.is_some_and(|next| !next.is_whitespace() && next != ')')
}

fn quotation(characters: &[char], at: &mut usize) -> Result<String, QuerySyntaxError> {
    let position = *at;
    let inside: String = characters[position + 1..]
        .iter()
        .take_while(|next| !is_quote(**next))
        .collect();
    let end = position + 1 + inside.chars().count();
    if end >= characters.len() {
        return Err(QuerySyntaxError::UnclosedQuote { position });
    }
    *at = end + 1;
    Ok(inside)
}

fn bare(characters: &[char], at: &mut usize) -> String {
    let run: String = characters[*at..]
        .iter()
        .take_while(|next| {
            !next.is_whitespace() && !matches!(**next, '(' | ')') && !is_quote(**next)
        })
        .collect();
    *at += run.chars().count();
    run
}

fn classified(run: String, position: usize) -> Result<TokenKind, QuerySyntaxError> {
    match run.to_ascii_uppercase().as_str() {
        "AND" => return Ok(TokenKind::And),
        "OR" => return Ok(TokenKind::Or),
        "NOT" => return Ok(TokenKind::Not),
        _ => {}
    }
    let Some((before, after)) = run.split_once(':') else {
        // snomed|38341003
        let field = run.contains('|');
        return Ok(if field {
            TokenKind::Field(Field::Code, run)
        } else {
            TokenKind::Text(run)
        });
    };
    if let Some(field) = Field::named(before) {
        return Ok(TokenKind::Field(field, after.to_owned()));
    }
    // http://snomed.info/sct|38341003
    if run.contains('|') {
        return Ok(TokenKind::Field(Field::Code, run));
    }
    let is_name = !before.is_empty() && before.chars().all(|letter| letter.is_ascii_alphabetic());
    if is_name && !after.starts_with("//") {
        return Err(QuerySyntaxError::UnknownField {
            position,
            field: before.to_owned(),
        });
    }
    // A ratio such as 1:2, or an address: words like any.
    Ok(TokenKind::Text(run))
}
