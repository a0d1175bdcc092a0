//! Skipping verification without I/O: says which height it wants next, until the target is trusted.

use super::step::{Period, check_period, step_within};
use super::{LightBlock, LightError, Step, Trusted};
use crate::types::Height;
use caduceus_crypto::TimeMillis;

/// Most light blocks that one bisection takes, the target among them. A set that changes slowly needs a handful; a
/// node can't keep a client busy for longer.
pub const MAX_STEPS: usize = 512;

/// What a bisection needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A light block of this height, from whichever node.
    Want(Height),
    /// The target is trusted.
    Done(Box<Trusted>),
}

/// A way from a trusted point to a target. Blocks in between that were verified stay verified, also when a later
/// answer is refused: the same height can be had from another node.
#[derive(Clone, Debug)]
pub struct Bisection {
    trusted: Trusted,
    target: LightBlock,
    /// Blocks between the trusted height and the target, the next one on top.
    pending: Vec<LightBlock>,
    passed: Vec<Trusted>,
    refused: Option<LightError>,
    now: TimeMillis,
    period: Period,
    taken: usize,
}

impl Bisection {
    /// Starts toward a target inside of the trusting period.
    ///
    /// # Errors
    /// As [`super::step`], for the target.
    pub fn start(
        trusted: &Trusted,
        target: LightBlock,
        now: TimeMillis,
    ) -> Result<Self, LightError> {
        check_period(trusted, now)?;
        Self::within(trusted, target, now, Period::Binds)
    }

    /// Starts toward a head beyond the trusting period. `a` and `b` are answers of two nodes that the caller holds
    /// for independent of each other; they must be one block, and it is verified step by step like any other.
    ///
    /// # Correctness
    /// This protects from one node that lies or is cut off, and from a head that the voters of old never signed. It
    /// does not protect from a long-range attack: former voters who together held more than 2/3 of the power (or
    /// whoever has their keys by now) can certify another history from then on, and if they also answer for both
    /// nodes, they are believed. Who was away for longer than the period and wants to be sure gets the
    /// newest header's hash from a hospital.
    ///
    /// # Errors
    /// [`LightError::HeadsDiffer`]; else as [`Bisection::start`], without [`LightError::Expired`].
    pub fn beyond_period(
        trusted: &Trusted,
        a: LightBlock,
        b: &LightBlock,
        now: TimeMillis,
    ) -> Result<Self, LightError> {
        b.check(&trusted.chain())?;
        let (a_hash, b_hash) = (a.hash(), b.hash());
        if a.height() != b.height() || a_hash != b_hash {
            return Err(LightError::HeadsDiffer {
                a_height: a.height(),
                a: a_hash,
                b_height: b.height(),
                b: b_hash,
            });
        }
        Self::within(trusted, a, now, Period::Waived)
    }

    pub(super) fn within(
        trusted: &Trusted,
        target: LightBlock,
        now: TimeMillis,
        period: Period,
    ) -> Result<Self, LightError> {
        // A target that can't be stepped to at all is refused before anything is asked for.
        step_within(trusted, &target, now, period)?;
        Ok(Self {
            trusted: trusted.clone(),
            target,
            pending: Vec::new(),
            passed: Vec::new(),
            refused: None,
            now,
            period,
            taken: 1,
        })
    }

    /// Goes as far as the blocks at hand lead.
    ///
    /// # Errors
    /// The check that a block fails which was taken before. What is trusted is right, so that block is at fault: it
    /// is dropped. Another node may have the right one, unless it was the target ([`Bisection::is_over`]).
    /// [`LightError::TooManySteps`].
    pub fn advance(&mut self) -> Result<Progress, LightError> {
        loop {
            if let Some(error) = &self.refused {
                return Err(error.clone());
            }
            let block = self.pending.last().unwrap_or(&self.target);
            match step_within(&self.trusted, block, self.now, self.period) {
                Ok(Step::Accepted(trusted)) => {
                    self.trusted = *trusted;
                    self.passed.push(self.trusted.clone());
                    if self.pending.pop().is_none() {
                        return Ok(Progress::Done(Box::new(self.trusted.clone())));
                    }
                }
                Ok(Step::Bisect) if self.taken >= MAX_STEPS => {
                    return Err(LightError::TooManySteps {
                        limit: MAX_STEPS,
                        reached: self.trusted.height(),
                    });
                }
                Ok(Step::Bisect) => return Ok(Progress::Want(self.between(block.height()))),
                Err(error) => {
                    if self.pending.pop().is_none() {
                        self.refused = Some(error.clone());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Whether the target itself was refused, so that no further block helps.
    pub fn is_over(&self) -> bool {
        self.refused.is_some()
    }

    /// A height strictly between the trusted one and this one, which is not right after it.
    fn between(&self, above: Height) -> Height {
        let below = self.trusted.height().0;
        Height(below + above.0.saturating_sub(below) / 2)
    }

    /// Takes the block that was asked for.
    ///
    /// # Errors
    /// As [`super::step`] for this block; the bisection is unchanged then, and another node's answer may do.
    pub fn offer(&mut self, block: LightBlock) -> Result<(), LightError> {
        let above = self.pending.last().unwrap_or(&self.target).height();
        let expected = self.between(above);
        if block.height() != expected {
            return Err(LightError::OtherHeight {
                expected,
                found: block.height(),
            });
        }
        step_within(&self.trusted, &block, self.now, self.period)?;
        self.pending.push(block);
        self.taken += 1;
        Ok(())
    }

    /// Every point that was reached, lowest first.
    pub fn passed(&self) -> &[Trusted] {
        &self.passed
    }
}
