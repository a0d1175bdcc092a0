//! A recursive-descent parser.
//!
//! ```text
//! or      = and { OR and }
//! and     = unary { [ AND ] unary }
//! unary   = NOT unary | primary
//! primary = "(" or ")" | text | field
//! ```
//! Each rule gives `None` for an operand without an indexed word: a conjunction passes over it ("vitamin D
//! deficiency"), elsewhere it is an error.

use super::lexer::{Field, Token, TokenKind, tokens};
use super::{QueryExpr, QuerySyntaxError};
use crate::fhir::ClinicalDate;
use crate::keyword::Keyword;

/// Longest query, in bytes of UTF-8.
pub const MAX_QUERY_BYTES: usize = 4096;

/// Deepest nesting of parentheses and NOTs together.
pub const MAX_DEPTH: usize = 32;

/// Short names of code systems, and the URLs FHIR gives them.
const SYSTEMS: &[(&str, &str)] = &[
    ("snomed", "http://snomed.info/sct"),
    ("snomedct", "http://snomed.info/sct"),
    ("sct", "http://snomed.info/sct"),
    ("loinc", "http://loinc.org"),
    ("rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("cvx", "http://hl7.org/fhir/sid/cvx"),
    ("atc", "http://www.whocc.no/atc"),
    ("icd10", "http://hl7.org/fhir/sid/icd-10"),
    ("icd10cm", "http://hl7.org/fhir/sid/icd-10-cm"),
];

type Parsed = Result<Option<QueryExpr>, QuerySyntaxError>;

/// Reads a query; the language is told in [`crate::query`].
///
/// # Errors
/// A [`QuerySyntaxError`] that says where.
pub fn parse(text: &str) -> Result<QueryExpr, QuerySyntaxError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QuerySyntaxError::TooLong {
            limit: MAX_QUERY_BYTES,
            found: text.len(),
        });
    }
    let tokens = tokens(text)?;
    let Some(first) = tokens.first().map(|token| token.position) else {
        return Err(QuerySyntaxError::Empty);
    };
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end: text.chars().count(),
    };
    let expression = parser.or(0)?;
    if parser.next < tokens.len() {
        // Only a closing parenthesis stops a disjunction before the end.
        return Err(QuerySyntaxError::UnopenedParenthesis {
            position: parser.position(),
        });
    }
    expression.ok_or(QuerySyntaxError::NoWord { position: first })
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    /// The position after the last character.
    end: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.end, |token| token.position)
    }

    /// Whether an operand can start here.
    fn expects_operand(&self) -> Result<(), QuerySyntaxError> {
        match self.peek() {
            None | Some(TokenKind::Close | TokenKind::And | TokenKind::Or) => {
                Err(QuerySyntaxError::MissingOperand {
                    position: self.position(),
                })
            }
            Some(_) => Ok(()),
        }
    }

    fn or(&mut self, depth: usize) -> Parsed {
        let mut position = self.position();
        let first = self.and(depth)?;
        if self.peek() != Some(&TokenKind::Or) {
            return Ok(first);
        }
        let mut parts = vec![first.ok_or(QuerySyntaxError::NoWord { position })?];
        while self.peek() == Some(&TokenKind::Or) {
            self.next += 1;
            position = self.position();
            let part = self.and(depth)?;
            parts.push(part.ok_or(QuerySyntaxError::NoWord { position })?);
        }
        Ok(Some(QueryExpr::Or(parts)))
    }

    fn and(&mut self, depth: usize) -> Parsed {
        self.expects_operand()?;
        let mut parts = Vec::new();
        loop {
            parts.extend(self.unary(depth)?);
            match self.peek() {
                None | Some(TokenKind::Close | TokenKind::Or) => break,
                Some(TokenKind::And) => {
                    self.next += 1;
                    self.expects_operand()?;
                }
                Some(_) => {}
            }
        }
        Ok(QueryExpr::all_of(parts))
    }

    fn unary(&mut self, depth: usize) -> Parsed {
        if self.peek() != Some(&TokenKind::Not) {
            return self.primary(depth);
        }
        self.check_depth(depth)?;
        self.next += 1;
        self.expects_operand()?;
        let position = self.position();
        let operand = self.unary(depth + 1)?;
        let operand = operand.ok_or(QuerySyntaxError::NoWord { position })?;
        Ok(Some(QueryExpr::Not(Box::new(operand))))
    }

    fn primary(&mut self, depth: usize) -> Parsed {
        let position = self.position();
        match self.peek() {
            Some(TokenKind::Open) => {
                self.check_depth(depth)?;
                self.next += 1;
                let inside = self.or(depth + 1)?;
                if self.peek() != Some(&TokenKind::Close) {
                    return Err(QuerySyntaxError::UnclosedParenthesis { position });
                }
                self.next += 1;
                Ok(inside)
            }
            Some(TokenKind::Text(text)) => {
                self.next += 1;
                Ok(all_words(text))
            }
            Some(TokenKind::Field(field, value)) => {
                self.next += 1;
                field_value(*field, value, position).map(Some)
            }
            // An operator or a closing parenthesis: the callers look ahead, so this isn't reached.
            _ => Err(QuerySyntaxError::MissingOperand { position }),
        }
    }

    fn check_depth(&self, depth: usize) -> Result<(), QuerySyntaxError> {
        if depth >= MAX_DEPTH {
            return Err(QuerySyntaxError::TooDeep {
                position: self.position(),
                limit: MAX_DEPTH,
            });
        }
        Ok(())
    }
}

fn all_words(text: &str) -> Option<QueryExpr> {
    QueryExpr::all_of(
        Keyword::terms(text)
            .into_iter()
            .map(QueryExpr::Has)
            .collect(),
    )
}

fn field_value(field: Field, value: &str, position: usize) -> Result<QueryExpr, QuerySyntaxError> {
    let value = value.trim();
    if value.is_empty() {
        return Err(QuerySyntaxError::MissingOperand { position });
    }
    let keyword = match field {
        Field::Term => {
            return all_words(value).ok_or(QuerySyntaxError::NoWord { position });
        }
        Field::Code => code(value, position)?,
        Field::Type => {
            Keyword::resource_type(value).ok_or_else(|| QuerySyntaxError::UnknownType {
                position,
                found: value.to_owned(),
            })?
        }
        Field::Year => Keyword::year(date(value, 4, ("year", "2024"), position)?),
        Field::Decade => {
            let year = value.strip_suffix('s').unwrap_or(value);
            Keyword::decade(date(year, 4, ("decade", "2020"), position)?)
        }
        Field::Month => Keyword::month(date(value, 7, ("month", "2024-05"), position)?),
        Field::Day => Keyword::day(date(value, 10, ("day", "2024-05-17"), position)?),
    };
    Ok(QueryExpr::Has(keyword))
}

fn code(value: &str, position: usize) -> Result<Keyword, QuerySyntaxError> {
    let blank = QuerySyntaxError::MissingOperand { position };
    let Some((system, code)) = value.rsplit_once('|') else {
        return Keyword::code(value).ok_or(blank);
    };
    let system = system.trim();
    if system.is_empty() {
        return Keyword::code(code).ok_or(blank);
    }
    let short = system.to_ascii_lowercase();
    let url = match SYSTEMS.iter().find(|(name, _)| *name == short) {
        Some((_, url)) => *url,
        // An absolute URI has a scheme.
        None if system.contains(':') => system,
        None => {
            return Err(QuerySyntaxError::UnknownSystem {
                position,
                found: system.to_owned(),
            });
        }
    };
    Keyword::coding(url, code).ok_or(blank)
}

/// A date of exactly `length` characters.
fn date(
    value: &str,
    length: usize,
    (field, example): (&'static str, &'static str),
    position: usize,
) -> Result<ClinicalDate, QuerySyntaxError> {
    let found = if value.len() == length {
        ClinicalDate::parse(value)
    } else {
        None
    };
    found.ok_or_else(|| QuerySyntaxError::BadDate {
        position,
        field,
        example,
        found: value.to_owned(),
    })
}
