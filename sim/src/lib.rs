//! Run multi-hospital scenarios, demos, attacks and benches.

pub mod attack;
pub mod bench;
pub mod chaos;
pub mod demo;
pub mod devnet;
pub mod generator;
pub mod layout;
pub mod loopback;
pub mod oracle;
pub mod run;
pub mod servers;
pub mod ward;
