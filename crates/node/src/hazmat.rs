//! What breaks promises on purpose, for the controls of tests. Only with the feature `risky-no-guard`.

use std::sync::atomic::{AtomicBool, Ordering};

static UNGUARDED: AtomicBool = AtomicBool::new(false);

/// Lets nodes of this process that have the option `risky_no_guard` sign without the last-signed guard. Cargo builds
/// the feature into every program that is built together with one that asks for it, so the feature alone allows
/// nothing: a program must call this too.
pub fn allow_no_guard_for_testing_only() {
    UNGUARDED.store(true, Ordering::SeqCst);
}

pub(crate) fn unguarded_is_allowed() -> bool {
    UNGUARDED.load(Ordering::SeqCst)
}
