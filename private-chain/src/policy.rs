//! Who may do what: a Cedar policy set decides, on the chain and at the hospital's server (DESIGN 5.2, ADR 0018).
//!
//! A [`Question`] says who asks for which [`Operation`] on what and how; a [`PolicySet`] answers it with a
//! [`Decision`] that names the policies which made it. What no policy permits is denied. The words of a policy are
//! those of [`SCHEMA`]; [`DEFAULT_TEXT`] holds on a chain that has no policy of its own, [`ALWAYS_TEXT`] on all.
//!
//! Deterministic: validators ask the same questions and must get the same answers. Texts are bounded in depth as
//! well as in size, so that no answer depends on how much stack a thread has left.
//!
//! # Correctness
//! [`DEFAULT_TEXT`] and [`ALWAYS_TEXT`] judge transactions when a chain is executed again: a change of what they say
//! of `anchor`, `amend`, `staff-enrol` or `policy-propose` is a change of the chain's rules.

mod bounds;
mod decide;
mod facts;
pub mod params;
mod text;
mod version;

pub use bounds::{MAX_DEPTH, MAX_OPERATORS, MAX_POLICIES, MAX_TOKENS};
pub use decide::{Decision, explain};
pub use facts::{
    Circumstances, Duty, Operation, Principal, Question, RecordState, Relation, Resource, Unknown,
};
pub use params::{Limits, MAX_SLOT_MILLIS, ParamsError, Retention};
pub use text::{
    ALWAYS_TEXT, DEFAULT_TEXT, MAX_TEXT_BYTES, PolicyProblems, PolicySet, Problem, SCHEMA,
    check_text, in_force_by_default, parsed,
};
pub use version::{PolicyRecord, PolicyVersion};

#[cfg(test)]
mod tests;
