//! Conjunctive normal form, within the bounds of a search (DESIGN 3.4).

use std::collections::BTreeSet;

use super::dates::{MAX_DATE_KEYWORDS, date_keywords_at_most};
use super::{DateRange, QueryExpr};
use crate::keyword::Keyword;

/// Most clauses of a search.
pub const MAX_CLAUSES: usize = 8;

/// Most distinct keywords of a search: each takes a slot.
pub const MAX_SLOTS: usize = 64;

/// Most clauses on the way, before what they imply is used. Distribution can blow up exponentially.
const MAX_CLAUSES_ON_THE_WAY: usize = 256;

/// Most literals on the way, over all clauses.
const MAX_LITERALS_ON_THE_WAY: usize = 16_384;

/// One clause of a search. Records match it when they have any of its keywords; a negative clause takes them
/// away when they have any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordClause {
    /// Whether matching records are taken away.
    pub negative: bool,
    /// Distinct, in order, at least one.
    pub keywords: Vec<Keyword>,
}

/// Why a query can't be put as one search.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryCompileError {
    /// The query only says what a record lacks, or says nothing.
    #[error("the query must ask for something to be present, not only for something to be absent")]
    NothingPositive,
    /// One thing present or another absent.
    #[error("a search can't ask for {} OR NOT {}", joined(.present, " OR "), joined(.absent, " OR NOT "))]
    MixedClause {
        /// What may be present.
        present: Vec<Keyword>,
        /// What may be absent.
        absent: Vec<Keyword>,
    },
    /// Not all of several things together, while each alone is allowed.
    #[error("a search can't ask for NOT ({}); it can ask for NOT of each", joined(.keywords, " AND "))]
    NegatedAnd {
        /// What mustn't be present together.
        keywords: Vec<Keyword>,
    },
    /// No record can match.
    #[error("the query contradicts itself: no record can match")]
    NeverMatches,
    /// Too many clauses.
    #[error("the query needs {found} clauses, a search can carry {limit}")]
    TooManyClauses {
        /// Most clauses of a search.
        limit: usize,
        /// Clauses needed.
        found: usize,
    },
    /// Too many distinct keywords, those of the dates included.
    #[error("the query needs {found} keywords, a search can carry {limit}")]
    TooManyKeywords {
        /// Most keywords of a search.
        limit: usize,
        /// Keywords needed.
        found: usize,
    },
    /// Bringing the query to normal form takes too many clauses.
    #[error("the query is too intricate: simplify it, or search in parts")]
    TooIntricate,
}

fn joined(keywords: &[Keyword], by: &str) -> String {
    let words: Vec<&str> = keywords.iter().map(Keyword::as_str).collect();
    words.join(by)
}

/// A disjunction; a literal is (keyword, negated).
type Disjunction = BTreeSet<(Keyword, bool)>;

/// The clauses of a search for an expression, for a range of clinical days, or for both. Positive clauses come
/// first; at most one negative clause follows. The dates take at most [`MAX_DATE_KEYWORDS`] keywords and no
/// more than the expression leaves, and may cover more than the range: after opening, drop what
/// [`DateRange::admits`] doesn't.
///
/// # Errors
/// A [`QueryCompileError`].
pub fn compile(
    expression: Option<&QueryExpr>,
    dates: Option<&DateRange>,
) -> Result<Vec<KeywordClause>, QueryCompileError> {
    let mut form = match expression {
        Some(expression) => normal_form(expression, false)?,
        None => Vec::new(),
    };
    if let Some(range) = dates {
        let taken = expression.map_or(0, |expression| expression.keywords().len());
        let room = MAX_DATE_KEYWORDS.min(MAX_SLOTS.saturating_sub(taken));
        let keywords =
            date_keywords_at_most(range, room).ok_or(QueryCompileError::TooManyKeywords {
                limit: MAX_SLOTS,
                found: taken.saturating_add(1),
            })?;
        form.push(
            keywords
                .into_iter()
                .map(|keyword| (keyword, false))
                .collect(),
        );
    }
    into_clauses(propagated(form)?)
}

/// Whether a record with these keywords is a hit: what the nodes compute over tags, computed over keywords.
#[must_use]
pub fn matches(clauses: &[KeywordClause], keywords: &BTreeSet<Keyword>) -> bool {
    clauses.iter().all(|clause| {
        let any = clause
            .keywords
            .iter()
            .any(|keyword| keywords.contains(keyword));
        any != clause.negative
    })
}

fn normal_form(
    expression: &QueryExpr,
    negated: bool,
) -> Result<Vec<Disjunction>, QueryCompileError> {
    match (expression, negated) {
        (QueryExpr::Has(keyword), _) => Ok(vec![Disjunction::from([(keyword.clone(), negated)])]),
        (QueryExpr::Not(inside), _) => normal_form(inside, !negated),
        (QueryExpr::And(parts), false) | (QueryExpr::Or(parts), true) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(normal_form(part, negated)?);
                all = without_supersets(all);
                check_intricacy(&all)?;
            }
            Ok(all)
        }
        (QueryExpr::Or(parts), false) | (QueryExpr::And(parts), true) => {
            let mut any = vec![Disjunction::new()];
            for part in parts {
                any = distributed(&any, &normal_form(part, negated)?)?;
            }
            Ok(any)
        }
    }
}

/// (a AND b) OR (c AND d) = (a OR c) AND (a OR d) AND (b OR c) AND (b OR d); what is always true is left out.
fn distributed(
    left: &[Disjunction],
    right: &[Disjunction],
) -> Result<Vec<Disjunction>, QueryCompileError> {
    let mut product = Vec::new();
    for one in left {
        for other in right {
            let joined: Disjunction = one.union(other).cloned().collect();
            let always = joined
                .iter()
                .any(|(keyword, no)| joined.contains(&(keyword.clone(), !no)));
            if !always {
                product.push(joined);
            }
        }
        check_intricacy(&product)?;
    }
    Ok(without_supersets(product))
}

fn check_intricacy(form: &[Disjunction]) -> Result<(), QueryCompileError> {
    let literals: usize = form.iter().map(BTreeSet::len).sum();
    if form.len() > MAX_CLAUSES_ON_THE_WAY || literals > MAX_LITERALS_ON_THE_WAY {
        return Err(QueryCompileError::TooIntricate);
    }
    Ok(())
}

/// Drops each disjunction that another one implies.
fn without_supersets(form: Vec<Disjunction>) -> Vec<Disjunction> {
    let mut kept: Vec<Disjunction> = Vec::new();
    for candidate in form {
        if kept.iter().any(|known| known.is_subset(&candidate)) {
            continue;
        }
        kept.retain(|known| !candidate.is_subset(known));
        kept.push(candidate);
    }
    kept
}

/// Uses what single literals imply, until nothing changes: a literal that must hold makes every disjunction
/// with it superfluous, and its opposite impossible everywhere else.
fn propagated(mut form: Vec<Disjunction>) -> Result<Vec<Disjunction>, QueryCompileError> {
    loop {
        let certain: Disjunction = form
            .iter()
            .filter(|clause| clause.len() == 1)
            .flatten()
            .cloned()
            .collect();
        let impossible: Disjunction = certain
            .iter()
            .map(|(keyword, negated)| (keyword.clone(), !negated))
            .collect();
        let before = form.clone();
        for clause in &mut form {
            clause.retain(|literal| !impossible.contains(literal));
        }
        if form.iter().any(BTreeSet::is_empty) {
            return Err(QueryCompileError::NeverMatches);
        }
        form = without_supersets(form);
        if form == before {
            return Ok(form);
        }
    }
}

fn into_clauses(form: Vec<Disjunction>) -> Result<Vec<KeywordClause>, QueryCompileError> {
    let mut clauses = Vec::new();
    let mut unwanted: BTreeSet<Keyword> = BTreeSet::new();
    for disjunction in form {
        let single = disjunction.len() == 1;
        let mut present = Vec::new();
        let mut absent = Vec::new();
        for (keyword, negated) in disjunction {
            if negated {
                absent.push(keyword);
            } else {
                present.push(keyword);
            }
        }
        match (present.is_empty(), absent.is_empty()) {
            (_, true) => clauses.push(KeywordClause {
                negative: false,
                keywords: present,
            }),
            (true, false) if single => unwanted.extend(absent),
            (true, false) => return Err(QueryCompileError::NegatedAnd { keywords: absent }),
            (false, false) => return Err(QueryCompileError::MixedClause { present, absent }),
        }
    }
    if clauses.is_empty() {
        return Err(QueryCompileError::NothingPositive);
    }
    if !unwanted.is_empty() {
        clauses.push(KeywordClause {
            negative: true,
            keywords: unwanted.into_iter().collect(),
        });
    }
    if clauses.len() > MAX_CLAUSES {
        let found = clauses.len();
        return Err(QueryCompileError::TooManyClauses {
            limit: MAX_CLAUSES,
            found,
        });
    }
    let found = slots(&clauses);
    if found > MAX_SLOTS {
        return Err(QueryCompileError::TooManyKeywords {
            limit: MAX_SLOTS,
            found,
        });
    }
    Ok(clauses)
}

fn slots(clauses: &[KeywordClause]) -> usize {
    let distinct: BTreeSet<&Keyword> = clauses
        .iter()
        .flat_map(|clause| clause.keywords.iter())
        .collect();
    distinct.len()
}
