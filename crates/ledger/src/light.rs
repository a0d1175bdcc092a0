//! The light client: pure checks from a trusted genesis or head (DESIGN 4.5), after the Tendermint light client
//! (arXiv:2010.07031).
//!
//! What is assumed: of the voters of a header that is trusted, more than two thirds of the power stay honest for
//! [`TRUSTING_PERIOD_MILLIS`] after its time. Then
//! - a header that more than 2/3 of *its own* set certified, in whose certificate more than 1/3 of the *trusted*
//!   set's power signed, has at least one honest voter of the trusted set behind it ([`step`], skipping);
//! - the header right after the trusted one needs no overlap: the trusted header names its voters.
//!
//! Where the overlap is too small, a header in between is asked for ([`Bisection`]).

mod bisection;
mod block;
mod client;
mod error;
mod step;
mod trusted;

pub use bisection::{Bisection, MAX_STEPS, Progress};
pub use block::{LightBlock, MAX_LIGHT_BLOCK_BYTES};
pub use client::LightClient;
pub use error::LightError;
pub use step::{Step, step};
pub use trusted::{MAX_TRUSTED_BYTES, Trusted, TrustedError};

use crate::block::Header;
use caduceus_crypto::TimeMillis;

/// Drift allowed between the client's clock and block time.
pub const MAX_AHEAD_MILLIS: u64 = 30_000;
/// A head older than three heartbeats is refused (DESIGN 4.5).
pub const MAX_HEAD_AGE_MILLIS: u64 = 90_000;
/// How long the voters of a trusted header answer for what they sign: 30 days (DESIGN 4.5). The bound itself is
/// still inside.
pub const TRUSTING_PERIOD_MILLIS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// Checks a header's age against the caller's clock.
///
/// # Errors
/// [`LightError::Stale`] or [`LightError::Future`].
pub fn check_fresh(header: &Header, now: TimeMillis, limit_millis: u64) -> Result<(), LightError> {
    check_not_ahead(header, now)?;
    let age_millis = now.0.saturating_sub(header.time.0);
    if age_millis > limit_millis {
        return Err(LightError::Stale {
            age_millis,
            limit_millis,
        });
    }
    Ok(())
}

fn check_not_ahead(header: &Header, now: TimeMillis) -> Result<(), LightError> {
    let ahead_millis = header.time.0.saturating_sub(now.0);
    if ahead_millis > MAX_AHEAD_MILLIS {
        return Err(LightError::Future { ahead_millis });
    }
    Ok(())
}
