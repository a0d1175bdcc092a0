//! Run multi-hospital scenarios, demos, attacks and benches.

pub mod generator;
pub mod layout;
pub mod loopback;
pub mod oracle;
