//! Proxies collude with the data user: t re-encryption key fragments and the grantee's secret give the delegating
//! secret d by interpolation. That is known of Umbral, and why a record has a delegating key of its own (DESIGN
//! 3.2): d opens the record that was granted, and must open nothing else and lead to no other key, even together
//! with what the record's author knows.
//!
//! Notation: s, S spend key; p = s + z, P the pseudonym; r, R the author's ephemeral key; d, D the delegating key of
//! one record; b, B the data user's receiving key.

mod algebra;
mod interpolate;
mod scene;

use self::algebra::combinations;
use self::interpolate::{delegating_secret, without_the_grantee};
use self::scene::{Granted, decrypts, opens_with};
use super::report::{AttackReport, Bound, Counted, Finding, Kind};
use super::world::rng;
use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_custody::delegate::{default_threshold, delegate};
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::seed::PatientSeed;
use caduceus_custody::shared::{SharedError, open_shared};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// Options of `attack collude`.
#[derive(Clone, Debug, clap::Args)]
pub struct ColludeOptions {
    /// Records granted, one grant each
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub grants: u32,
    /// Proxies of a grant; its threshold is more than half of them
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=16))]
    pub proxies: u32,
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Which secret delegates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    /// d, of this record alone.
    Separate,
    /// p itself: the design that this one replaces.
    #[cfg(test)]
    Pseudonym,
}

/// Runs the attack.
#[must_use]
pub fn run(options: &ColludeOptions) -> AttackReport {
    attack(options, Design::Separate)
}

fn attack(options: &ColludeOptions, design: Design) -> AttackReport {
    let proxies = options.proxies as usize;
    let threshold = default_threshold(proxies);
    let mut rng = rng(options.seed, 1);
    let patient = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
    // One patient, one grantee: the setting in which most would follow, if anything did.
    let grantee = SecretKey::generate(&mut rng);
    let granted: Vec<Granted> = (0..options.grants)
        .map(|number| Granted::new(&mut rng, &patient, &grantee, number, (threshold, proxies)))
        .collect();

    let recovered: Vec<Option<SecretKey>> = granted
        .iter()
        .map(|grant| delegating_secret(&grant.fragments[..threshold], &grantee))
        .collect();
    let mut findings = recovery(&granted, &recovered);
    findings.extend(other_records(
        &mut rng, &grantee, &granted, &recovered, threshold,
    ));
    findings.extend(other_keys(
        options, design, &patient, &grantee, &granted, &recovered,
    ));
    findings.extend(too_few(&mut rng, &grantee, &granted, threshold));
    let notes = vec![format!(
        "{} grants of one patient to one data user, {threshold} of {proxies} proxies each; what the colluders get is \
         what the grant gave the data user anyway, and they keep it after a revocation",
        options.grants
    )];
    AttackReport::new("collude", None, options.seed, findings, notes)
}

const COLLUDERS: &str = "t key fragments and the grantee's secret";

/// What t proxies and the data user get: d, and with it the record that was granted.
fn recovery(granted: &[Granted], recovered: &[Option<SecretKey>]) -> Vec<Finding> {
    let both = || granted.iter().zip(recovered);
    let found = Counted::of(both().map(|(grant, d)| {
        d.as_ref()
            .is_some_and(|d| d.public() == grant.sealed.header.delegating)
    }));
    let opened = Counted::of(both().map(|(grant, d)| {
        let opened = d.as_ref().and_then(|d| opens_with(d, &grant.sealed.bytes));
        opened.as_ref() == Some(&grant.plaintext)
    }));
    vec![
        Finding::rate(Kind::Control, "t proxies interpolate d", found, 0.0)
            .given(COLLUDERS)
            .judged(Bound::SuccessAtLeast(1.0)),
        Finding::rate(
            Kind::Control,
            "d opens the record that was granted",
            opened,
            0.0,
        )
        .given(COLLUDERS)
        .judged(Bound::SuccessAtLeast(1.0)),
        Finding::rate(
            Kind::StatedLeakage,
            "t proxies with the data user get d",
            found,
            0.0,
        )
        .given(COLLUDERS),
    ]
}

/// Whether p, s or v follows from d and all that the author and the grantee know.
fn other_keys(
    options: &ColludeOptions,
    design: Design,
    patient: &PatientKeys,
    grantee: &SecretKey,
    granted: &[Granted],
    recovered: &[Option<SecretKey>],
) -> Vec<Finding> {
    let threshold = default_threshold(options.proxies as usize);
    let naive: Vec<Option<SecretKey>> = granted
        .par_iter()
        .map(|grant| {
            let mut rng = rng(options.seed, 1_000 + u64::from(grant.number));
            let p = patient.one_time(&grant.sealed.header.hospital, &grant.sealed.pseudonym);
            let p = p.expect("the record is hers").secret;
            let proxies = options.proxies as usize;
            let made = delegate(&mut rng, &p, &grantee.public(), threshold, proxies);
            let made = made.expect("the threshold fits the proxies");
            delegating_secret(&made.fragments[..threshold], grantee)
        })
        .collect();
    let secrets = match design {
        Design::Separate => recovered,
        #[cfg(test)]
        Design::Pseudonym => naive.as_slice(),
    };
    let ours = leads_to(patient, grantee, granted, secrets);
    let weaker = leads_to(patient, grantee, granted, &naive);

    let given = "t key fragments, the grantee's secret b, and the author's r and z";
    let tried = |what: &str, counted: Counted| {
        Finding::rate(Kind::Promise, what, counted, 0.0)
            .given(given)
            .judged(Bound::SuccessAtMost(0.0))
    };
    vec![
        tried("records whose d leads to p", ours.pseudonym),
        tried("records whose d leads to s", ours.spend),
        tried("records whose d leads to v", ours.view),
        Finding::rate(
            Kind::Control,
            "were p the delegating key, the same steps would lead to s",
            weaker.spend,
            0.0,
        )
        .given(given)
        .judged(Bound::SuccessAtLeast(1.0)),
    ]
}

/// For how many records a key follows.
#[derive(Default)]
struct Leads {
    pseudonym: Counted,
    spend: Counted,
    view: Counted,
}

/// Tries every combination of the colluders' secrets against the patient's public keys.
fn leads_to(
    patient: &PatientKeys,
    grantee: &SecretKey,
    granted: &[Granted],
    secrets: &[Option<SecretKey>],
) -> Leads {
    let meta = patient.meta();
    let reached: Vec<[bool; 3]> = granted
        .par_iter()
        .zip(secrets)
        .map(|(grant, secret)| {
            let Some(secret) = secret else {
                return [false; 3];
            };
            let known = [secret, &grant.author.r, &grant.author.z, grantee];
            let points: Vec<PublicKey> = combinations(&known);
            [grant.sealed.pseudonym.point, meta.spend, meta.view].map(|key| points.contains(&key))
        })
        .collect();
    let mut leads = Leads::default();
    for [pseudonym, spend, view] in reached {
        leads.pseudonym.note(pseudonym);
        leads.spend.note(spend);
        leads.view.note(view);
    }
    leads
}

/// Whether what was given for one record opens another.
fn other_records(
    rng: &mut ChaCha20Rng,
    grantee: &SecretKey,
    granted: &[Granted],
    recovered: &[Option<SecretKey>],
    threshold: usize,
) -> Vec<Finding> {
    let pairs: Vec<(usize, usize)> = (0..granted.len())
        .flat_map(|a| (0..granted.len()).map(move |b| (a, b)))
        .filter(|(a, b)| a != b)
        .collect();
    let by_secret: Vec<bool> = pairs
        .par_iter()
        .map(|(a, b)| {
            let other = &granted[*b].sealed.bytes;
            recovered[*a].as_ref().is_some_and(|d| decrypts(d, other))
        })
        .collect();
    // The proxies' way: apply A's fragments to the capsule of B, for one B each.
    let by_fragments = Counted::of(granted.iter().enumerate().map(|(a, grant)| {
        let other = &granted[(a + 1) % granted.len()];
        let cfrags = grant.reencrypted(rng, grantee, &other.sealed.capsule, threshold);
        let bytes = &other.sealed.bytes;
        [
            grant.sealed.header.delegating,
            other.sealed.header.delegating,
        ]
        .iter()
        .any(|named| open_shared(bytes, grantee, named, &grant.verifying, &cfrags).is_ok())
    }));
    // And the same hands open the record they were given for.
    let own = Counted::of(granted.iter().map(|grant| {
        let cfrags = grant.reencrypted(rng, grantee, &grant.sealed.capsule, threshold);
        let named = grant.sealed.header.delegating;
        open_shared(
            &grant.sealed.bytes,
            grantee,
            &named,
            &grant.verifying,
            &cfrags,
        )
        .is_ok_and(|opened| opened.plaintext == grant.plaintext)
    }));
    vec![
        Finding::rate(
            Kind::Promise,
            "other records of the patient opened with d",
            Counted::of(by_secret),
            0.0,
        )
        .given(COLLUDERS)
        .judged(Bound::SuccessAtMost(0.0)),
        Finding::rate(
            Kind::Promise,
            "other records of the patient opened with the fragments",
            by_fragments,
            0.0,
        )
        .given(COLLUDERS)
        .judged(Bound::SuccessAtMost(0.0)),
        Finding::rate(
            Kind::Control,
            "the granted record opened with the fragments",
            own,
            0.0,
        )
        .given("what a data user is given")
        .judged(Bound::SuccessAtLeast(1.0)),
    ]
}

/// Whether fewer than t proxies, or t without the data user, get anywhere.
fn too_few(
    rng: &mut ChaCha20Rng,
    grantee: &SecretKey,
    granted: &[Granted],
    threshold: usize,
) -> Vec<Finding> {
    let (mut interpolated, mut opened, mut alone) =
        (Counted::default(), Counted::default(), Counted::default());
    for grant in granted {
        let d = grant.sealed.header.delegating;
        let reaches = |secret: Option<SecretKey>| secret.is_some_and(|secret| secret.public() == d);
        for subset in subsets(grant.fragments.len(), threshold - 1) {
            let few: Vec<Vec<u8>> = subset
                .iter()
                .map(|at| grant.fragments[*at].clone())
                .collect();
            interpolated.note(reaches(delegating_secret(&few, grantee)));
        }
        let few = grant.reencrypted(rng, grantee, &grant.sealed.capsule, threshold - 1);
        let result = open_shared(&grant.sealed.bytes, grantee, &d, &grant.verifying, &few);
        // Anything but the one honest refusal counts as a success of the attacker.
        opened.note(!matches!(
            result,
            Err(SharedError::NotEnoughFragments { .. })
        ));
        alone.note(reaches(without_the_grantee(&grant.fragments)));
    }
    let rate = |what: &str, counted: Counted, given: &str| {
        Finding::rate(Kind::Promise, what, counted, 0.0)
            .given(given)
            .judged(Bound::SuccessAtMost(0.0))
    };
    let few = "t - 1 key fragments and the grantee's secret";
    vec![
        rate(
            "t - 1 proxies interpolate d, every subset",
            interpolated,
            few,
        ),
        rate("t - 1 proxies' answers open the record", opened, few),
        rate(
            "all proxies without the data user interpolate d",
            alone,
            "all n key fragments",
        ),
    ]
}

/// All sets of `size` numbers below `of`.
fn subsets(of: usize, size: usize) -> Vec<Vec<usize>> {
    (0_u32..1 << of)
        .filter(|bits| bits.count_ones() as usize == size)
        .map(|bits| (0..of).filter(|at| (bits >> at) & 1 == 1).collect())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    const SMALL: ColludeOptions = ColludeOptions {
        grants: 3,
        proxies: 3,
        seed: 1,
    };

    #[test]
    fn the_colluders_get_d_and_no_more() {
        let report = run(&SMALL);
        report.verdict().unwrap();
        for promise in &report.promises {
            assert!(promise.trials > 0 && promise.successes == 0, "{promise:?}");
        }
        for control in &report.controls {
            assert_eq!((control.trials, control.successes), (3, 3), "{control:?}");
        }
        assert_eq!(report.stated_leakage[0].successes, 3);
    }

    #[test]
    fn a_design_that_delegates_with_the_pseudonym_fails_the_command() {
        let report = attack(&SMALL, Design::Pseudonym);
        assert_eq!(
            report.verdict().unwrap_err().exit,
            ExitCode::VerificationFailed
        );
        let leads: Vec<u64> = report.promises[2..5]
            .iter()
            .map(|found| found.successes)
            .collect();
        assert_eq!(leads, [3, 3, 0], "p and s follow, v does not");
    }

    #[test]
    fn subsets_are_all_of_their_size() {
        assert_eq!(subsets(5, 2).len(), 10);
        assert_eq!(subsets(3, 0), vec![Vec::<usize>::new()]);
        assert!(subsets(4, 3).iter().all(|subset| subset.len() == 3));
    }
}
