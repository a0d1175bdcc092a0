//! A client's view of one chain: what it trusts now, and who voted at the heights that it knows.

use super::step::Period;
use super::{
    Bisection, LightBlock, LightError, MAX_HEAD_AGE_MILLIS, Trusted, check_fresh,
    step::check_period,
};
use crate::block::Genesis;
use crate::certificate::CertifiedHeader;
use crate::types::{ChainId, Height, ValidatorSet};
use caduceus_crypto::{Hash, TimeMillis};
use std::collections::BTreeMap;

/// Most points in the memory of who voted when. Beyond it an old one is forgotten and asked for again when needed.
const MAX_POINTS: usize = 128;

/// What a client trusts of a chain.
#[derive(Clone, Debug)]
pub struct LightClient {
    /// Where it began: from here old headers are reached whose voters are not known.
    base: Trusted,
    trusted: Trusted,
    highest: Height,
    /// Who votes at a height, as proved: first and last known height of each run of equal sets.
    points: BTreeMap<Height, ValidatorSet>,
}

impl LightClient {
    /// Trusts a genesis.
    pub fn from_genesis(genesis: &Genesis) -> Self {
        Self::from_trusted(Trusted::from_genesis(genesis))
    }

    /// Trusts a chain identifier and a set of voters, as recorded elsewhere (a hospital's, on the alliance). Without a
    /// time it is beyond the trusting period: it judges headers of this set and follows no change.
    pub fn trusting(chain: ChainId, validators: ValidatorSet) -> Self {
        Self::from_trusted(Trusted::recorded(
            chain,
            Height::GENESIS,
            TimeMillis(0),
            validators,
        ))
    }

    /// Goes on from one trusted point.
    pub fn from_trusted(trusted: Trusted) -> Self {
        let mut client = Self {
            base: trusted.clone(),
            highest: trusted.height(),
            points: BTreeMap::new(),
            trusted: trusted.clone(),
        };
        client.learn(&trusted);
        client
    }

    /// Trusts a genesis, and goes on from a head that was accepted before.
    ///
    /// # Errors
    /// [`LightError::OtherChain`].
    pub fn resume(genesis: &Genesis, kept: Trusted) -> Result<Self, LightError> {
        let mut client = Self::from_genesis(genesis);
        if kept.chain() != client.chain() {
            return Err(LightError::OtherChain {
                expected: client.chain(),
                found: kept.chain(),
            });
        }
        client.learn(&kept);
        client.raise(kept);
        Ok(client)
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.base.chain()
    }

    /// The voters of the height after the trusted one.
    pub fn validators(&self) -> &ValidatorSet {
        self.trusted.next_validators()
    }

    /// A set by its hash, if it was proved to vote at some height that is remembered.
    pub fn known_set(&self, hash: &Hash) -> Option<&ValidatorSet> {
        std::iter::once(self.trusted.next_validators())
            .chain(self.points.values())
            .find(|set| set.hash() == *hash)
    }

    /// The highest head accepted so far.
    pub fn highest(&self) -> Height {
        self.highest
    }

    /// What is trusted now: to be kept for the next run.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// Whether what is trusted is inside of the trusting period.
    ///
    /// # Errors
    /// [`LightError::Expired`]: two heads that agree are needed ([`LightClient::beyond_period`]).
    pub fn check_period(&self, now: TimeMillis) -> Result<(), LightError> {
        check_period(&self.trusted, now)
    }

    /// Checks that a header is final on this chain: certified by a set that is known to vote at its height. Above the
    /// trusted height that is the set trusted now; below, one that was proved at heights around it.
    ///
    /// # Errors
    /// [`LightError::UnknownValidators`] if the height's voters are not known; [`LightError::Fork`] for a
    /// certified header that contradicts the trusted one; otherwise the check that failed.
    pub fn verify_header(&self, head: &CertifiedHeader) -> Result<(), LightError> {
        let header = &head.header;
        if header.chain != self.chain() {
            return Err(LightError::OtherChain {
                expected: self.chain(),
                found: header.chain,
            });
        }
        let Some(set) = self.voters(header.height, &header.validators) else {
            return Err(LightError::UnknownValidators {
                height: header.height,
            });
        };
        head.verify(&self.chain(), set)?;
        self.check_agrees(head)
    }

    /// The set of this hash, if it is known to vote at the height.
    fn voters(&self, height: Height, hash: &Hash) -> Option<&ValidatorSet> {
        if height > self.trusted.height() {
            return Some(self.trusted.next_validators()).filter(|set| set.hash() == *hash);
        }
        let below = self.points.range(..=height).next_back()?;
        let above = self.points.range(height..).next()?;
        let known = below.1.hash() == *hash && above.1.hash() == *hash;
        known.then_some(below.1)
    }

    /// A certified header and the trusted one are of one chain, as far as the two tell.
    fn check_agrees(&self, head: &CertifiedHeader) -> Result<(), LightError> {
        let Some(ours) = self.trusted.head() else {
            return Ok(());
        };
        let (our, their) = (&ours.header, &head.header);
        let agrees = if their.height == our.height {
            their.hash() == our.hash()
        } else if their.height == our.height.next() {
            their.parent == our.hash()
        } else if their.height.next() == our.height {
            our.parent == their.hash()
        } else {
            true
        };
        if agrees {
            Ok(())
        } else {
            Err(LightError::Fork {
                ours: Box::new(ours.clone()),
                theirs: Box::new(head.clone()),
            })
        }
    }

    /// Accepts a head as the newest state of the chain: final, inside of the trusting period, fresh, and not below
    /// one seen before. A head that changes the voters is accepted but not yet trusted: the next one needs its
    /// light block ([`LightClient::toward`]).
    ///
    /// # Errors
    /// [`LightError`] names the check that failed; nothing changes then.
    pub fn accept_head(
        &mut self,
        head: &CertifiedHeader,
        now: TimeMillis,
    ) -> Result<(), LightError> {
        self.check_period(now)?;
        self.verify_header(head)?;
        let header = &head.header;
        check_fresh(header, now, MAX_HEAD_AGE_MILLIS)?;
        if header.height < self.highest {
            return Err(LightError::Rollback {
                seen: self.highest,
                found: header.height,
            });
        }
        if header.next_validators == header.validators && header.height > self.trusted.height() {
            let set = self.trusted.next_validators().clone();
            self.take(Trusted::accepting(LightBlock {
                head: head.clone(),
                validators: set.clone(),
                next_validators: set,
            }));
        }
        self.highest = self.highest.max(header.height);
        Ok(())
    }

    /// The way to a light block: above the trusted height from there, inside of the trusting period; below it from
    /// the nearest height whose voters are known.
    ///
    /// A block below the trusted height moves no trust, it tells who voted then. The trusting period does
    /// not bind there: that an old block is the chain's rests on 2/3 of its own voters, at any age.
    ///
    /// # Errors
    /// As [`Bisection::start`].
    pub fn toward(&self, target: LightBlock, now: TimeMillis) -> Result<Bisection, LightError> {
        if target.height() >= self.trusted.height() {
            return Bisection::start(&self.trusted, target, now);
        }
        Bisection::within(&self.below(target.height()), target, now, Period::Waived)
    }

    /// [`LightClient::toward`] beyond the trusting period, with two nodes' answers that agree: see
    /// [`Bisection::beyond_period`].
    ///
    /// # Errors
    /// As there.
    pub fn beyond_period(
        &self,
        a: LightBlock,
        b: &LightBlock,
        now: TimeMillis,
    ) -> Result<Bisection, LightError> {
        Bisection::beyond_period(&self.trusted, a, b, now)
    }

    /// The nearest point below a height from which it can be reached.
    fn below(&self, height: Height) -> Trusted {
        match self.points.range(..=height).next_back() {
            Some((at, set)) if at.0 > self.base.height().0 + 1 => Trusted::recorded(
                self.chain(),
                Height(at.0 - 1),
                self.base.time(),
                set.clone(),
            ),
            _ => self.base.clone(),
        }
    }

    /// Takes over what a bisection of this client reached, be it done or not.
    pub fn adopt(&mut self, way: &Bisection) {
        for point in way.passed() {
            self.take(point.clone());
        }
    }

    fn take(&mut self, point: Trusted) {
        self.learn(&point);
        self.raise(point);
    }

    fn raise(&mut self, point: Trusted) {
        if point.height() > self.trusted.height() {
            self.highest = self.highest.max(point.height());
            self.trusted = point;
        }
    }

    /// Notes who votes at the point's height and the next.
    fn learn(&mut self, point: &Trusted) {
        if let Some(set) = point.validators() {
            self.note(point.height(), set.clone());
        }
        self.note(point.height().next(), point.next_validators().clone());
        while self.points.len() > MAX_POINTS {
            // The lowest stays: it is where the client began.
            let Some(second) = self.points.keys().nth(1).copied() else {
                return;
            };
            self.points.remove(&second);
        }
    }

    fn note(&mut self, height: Height, set: ValidatorSet) {
        self.points.insert(height, set);
        // Of a run of equal sets the ends say all.
        let mut inside: Vec<Height> = self
            .points
            .range(..height)
            .next_back()
            .map(|(at, _)| *at)
            .into_iter()
            .collect();
        inside.push(height);
        inside.extend(self.points.range(height.next()..).next().map(|(at, _)| *at));
        for at in inside {
            let before = self.points.range(..at).next_back();
            let after = self.points.range(at.next()..).next();
            let own = self.points.get(&at);
            if let (Some((_, before)), Some(own), Some((_, after))) = (before, own, after)
                && before == own
                && own == after
            {
                self.points.remove(&at);
            }
        }
    }
}
