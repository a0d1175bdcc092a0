//! A policy set from its text: parsed, validated strictly, and remembered.

use super::bounds;
use caduceus_crypto::{Hash, domain, hash};
use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Longest text of a policy set, bytes.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Longest identifier of a policy, bytes.
pub const MAX_ID_BYTES: usize = 64;
/// Beginning of the identifiers that no proposal may use.
const RESERVED: &str = "always-";
/// Problems told at once.
const MAX_PROBLEMS: usize = 16;
/// Policy sets remembered at once.
const MAX_REMEMBERED: usize = 8;

/// What a policy can speak of.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// The policy set of a chain that has none of its own.
pub const DEFAULT_TEXT: &str = include_str!("default.cedar");
/// In force beside every policy set.
pub const ALWAYS_TEXT: &str = include_str!("always.cedar");

/// The schema, parsed.
pub(super) static PARSED_SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA)
        .expect("the schema is a part of this program, and a test parses it");
    schema
});

static DEFAULT: LazyLock<Arc<PolicySet>> = LazyLock::new(|| {
    let set = check_text(DEFAULT_TEXT);
    Arc::new(set.expect("the default set is a part of this program, and a test checks it"))
});

/// One thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its line, from 1, where it has one.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    pub(super) fn new(line: Option<u32>, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a text is no policy set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblems {
    /// Too long.
    #[error("{found} bytes of policy, at most {limit}")]
    Size {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// It does not parse.
    #[error("{}", listed(.0))]
    Parse(Vec<Problem>),
    /// It parses, but says what the schema does not allow.
    #[error("{}", listed(.0))]
    Schema(Vec<Problem>),
}

impl PolicyProblems {
    /// What is wrong, in the order of the text.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Size { .. } => &[],
            Self::Parse(problems) | Self::Schema(problems) => problems,
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// Policies that parse and agree with the schema, those of [`ALWAYS_TEXT`] included.
#[derive(Clone, Debug)]
pub struct PolicySet {
    pub(super) cedar: cedar_policy::PolicySet,
    ids: BTreeSet<String>,
    warnings: Vec<Problem>,
}

impl PolicySet {
    /// Names of the policies, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// What the validator finds odd though not wrong: a policy that can never apply, for instance.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// Parses a text and validates it strictly against [`SCHEMA`]. Each policy needs an `@id`, by which decisions name it;
/// templates are not accepted.
///
/// # Errors
/// [`PolicyProblems`].
pub fn check_text(text: &str) -> Result<PolicySet, PolicyProblems> {
    let found = text.len();
    if found > MAX_TEXT_BYTES {
        return Err(PolicyProblems::Size {
            limit: MAX_TEXT_BYTES,
            found,
        });
    }
    bounds::check(text).map_err(|problem| PolicyProblems::Parse(vec![problem]))?;
    let own = policies(text).map_err(PolicyProblems::Parse)?;
    if let Some(problem) = own.iter().find_map(misnamed) {
        return Err(PolicyProblems::Parse(vec![problem]));
    }
    let always = policies(ALWAYS_TEXT).map_err(PolicyProblems::Parse)?;
    let mut ids = BTreeSet::new();
    let mut set = cedar_policy::PolicySet::new();
    for Named { line, id, policy } in own.into_iter().chain(always) {
        let refused =
            |detail: String| PolicyProblems::Parse(vec![Problem::new(Some(line), detail)]);
        if !ids.insert(id.clone()) {
            return Err(refused(format!("two policies have the id {id:?}")));
        }
        let policy = policy.new_id(PolicyId::new(&id));
        set.add(policy).map_err(|e| refused(e.to_string()))?;
    }
    let validator = Validator::new(PARSED_SCHEMA.clone());
    let result = validator.validate(&set, ValidationMode::Strict);
    let errors = sorted(result.validation_errors().map(|e| problem(text, e)));
    if !result.validation_passed() {
        return Err(PolicyProblems::Schema(errors));
    }
    let warnings = sorted(result.validation_warnings().map(|e| problem(text, e)));
    Ok(PolicySet {
        cedar: set,
        ids,
        warnings,
    })
}

/// A policy with its name and the line where it begins.
struct Named {
    line: u32,
    id: String,
    policy: Policy,
}

fn policies(text: &str) -> Result<Vec<Named>, Vec<Problem>> {
    let set: cedar_policy::PolicySet = match text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: &cedar_policy::ParseErrors = &errors;
            return Err(sorted(errors.iter().map(|error| problem(text, error))));
        }
    };
    if set.num_of_templates() > 0 {
        return Err(vec![Problem::new(
            None,
            "a template (?principal, ?resource): name whom it is about",
        )]);
    }
    let mut named: Vec<Named> = set
        .policies()
        .map(|policy| Named {
            line: 0,
            id: policy.annotation("id").unwrap_or_default().to_owned(),
            policy: policy.clone(),
        })
        .collect();
    // Cedar numbers them in the order of the text.
    named.sort_by_key(|named| {
        let name = named.policy.id().to_string();
        name.trim_start_matches("policy").parse::<usize>().ok()
    });
    for (named, line) in named.iter_mut().zip(bounds::first_lines(text)) {
        named.line = line;
    }
    Ok(named)
}

fn misnamed(named: &Named) -> Option<Problem> {
    let id = named.id.as_str();
    let told = |message: String| Some(Problem::new(Some(named.line), message));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if id.is_empty() {
        return told("a policy without a name: put @id(\"...\") before it".to_owned());
    }
    if id.len() > MAX_ID_BYTES || !id.chars().all(is_name) {
        return told(format!(
            "the id {id:?}: letters, digits, '-', '_' and '.', at most {MAX_ID_BYTES}"
        ));
    }
    if id.starts_with(RESERVED) {
        return told(format!(
            "the id {id:?}: names that begin with {RESERVED:?} are the system's own"
        ));
    }
    None
}

/// What Cedar says, with the line of its first label.
fn problem<E: Diagnostic>(text: &str, error: &E) -> Problem {
    let offset = error
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset());
    let line = offset.map(|offset| {
        let before = text.as_bytes().iter().take(offset);
        let lines = before.filter(|byte| **byte == b'\n').count();
        u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1)
    });
    let mut message = error.to_string();
    if let Some(help) = error.help() {
        message = format!("{message} ({help})");
    }
    Problem::new(line, message.replace('\n', " "))
}

fn sorted(problems: impl Iterator<Item = Problem>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = problems.collect();
    problems.sort_by(|a, b| (a.line, &a.message).cmp(&(b.line, &b.message)));
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// The set of [`DEFAULT_TEXT`].
pub fn in_force_by_default() -> Arc<PolicySet> {
    Arc::clone(&DEFAULT)
}

type Remembered = BTreeMap<Hash, Arc<PolicySet>>;

/// The same as [`check_text`], remembered by the text's hash: the set that a chain has in force is asked for with every
/// transaction.
///
/// # Errors
/// [`PolicyProblems`].
pub fn parsed(text: &str) -> Result<Arc<PolicySet>, PolicyProblems> {
    static REMEMBERED: Mutex<Remembered> = Mutex::new(BTreeMap::new());
    let name = hash(domain::POLICY_TEXT, &[text.as_bytes()]);
    let recall = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(set) = recall().get(&name) {
        return Ok(Arc::clone(set));
    }
    let set = Arc::new(check_text(text)?);
    let mut remembered = recall();
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
    remembered.insert(name, Arc::clone(&set));
    Ok(set)
}
