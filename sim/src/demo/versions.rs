//! An amendment and its search, local searches, verification of an honest network, and a broken promise.

use super::Narrator;
use super::summary::Summary;
use super::world::{PATIENCE, World};
use alliance_chain::{query, state::RecordRef};
use anyhow::Context;
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_custody::author::make_pseudonym;
use hospital_server::workstation::UploadInput;
use patient_client::{Fault, Reported, SearchSpec, VerifySpec};
use rand_core::OsRng;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The word that stands in the amended record only.
const AMENDED_TERM: &str = "amendment";
/// How long ago the broken promise ran out, milliseconds: past the half hour in which a client only warns.
const LATE_MILLIS: u64 = 40 * 60_000;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Versions {
    /// A search that matches an amended record shows the newest version, and says that an earlier one exists.
    pub newest_version_shown: bool,
    /// A search for what only the new version says shows it too.
    pub new_words_found: bool,
    /// Searches asked again locally, without a trapdoor.
    pub local_searches: usize,
    /// Those with the same answer.
    pub local_searches_equal: usize,
    /// Records opened and compared with their index entries.
    pub records_verified: usize,
    /// What the patients' verification found wrong on the honest network.
    pub false_findings: usize,
    /// A receipt whose record was never linked became a report on the alliance chain.
    pub broken_promise_reported: bool,
}

/// Runs it.
pub async fn run(
    world: &mut World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let mut outcome = Versions::default();
    local(world, &mut outcome).await?;
    narrator.tell(format!(
        "{} searches asked again locally: {} have the same answer",
        outcome.local_searches, outcome.local_searches_equal
    ));
    amend(world, &mut outcome).await?;
    narrator.tell(format!(
        "a record was amended: the search shows the newest version: {}",
        outcome.newest_version_shown && outcome.new_words_found
    ));
    verify(world, &mut outcome).await?;
    narrator.tell(format!(
        "the patients verified {} records: {} findings on an honest network",
        outcome.records_verified, outcome.false_findings
    ));
    broken_promise(world, &mut outcome).await?;
    narrator.tell(format!(
        "a receipt that the hospital did not keep became a report: {}",
        outcome.broken_promise_reported
    ));
    summary.versions = outcome;
    Ok(())
}

/// Each patient asks three things twice.
async fn local(world: &mut World, outcome: &mut Versions) -> anyhow::Result<()> {
    for person in &mut world.people {
        for text in [
            "type:Encounter",
            "type:Condition OR type:Observation",
            "type:Encounter NOT type:Condition",
        ] {
            let mut answers: Vec<BTreeSet<Hash>> = Vec::new();
            for local in [false, true] {
                let spec = SearchSpec {
                    local,
                    ..SearchSpec::text(text)
                };
                let found = person.patient.search(&spec).await?;
                answers.push(found.records.iter().map(|r| r.record_hash).collect());
            }
            outcome.local_searches += 1;
            outcome.local_searches_equal += usize::from(answers[0] == answers[1]);
        }
    }
    Ok(())
}

/// The first record gets a newer version that says one word more.
async fn amend(world: &mut World, outcome: &mut Versions) -> anyhow::Result<()> {
    let first = world.records.first().context("a record")?;
    let (number, hospital) = (first.oracle.patient, first.oracle.hospital);
    let (old, json) = (first.record_hash, first.oracle.json.clone());
    let own_terms = first.oracle.own_terms.clone();
    let person = &mut world.people[number];
    let card = person
        .cards
        .get(&hospital)
        .context("she has a card there")?;
    let mut visit = world.desks[hospital].doctor.visit(card).await?;
    let uploaded = visit
        .upload(UploadInput {
            amends: Some(old),
            bytes: json,
            media_type: "application/fhir+json".to_owned(),
            own_terms: [own_terms, vec![AMENDED_TERM.to_owned()]].concat(),
        })
        .await?;
    person.patient.add_receipt(uploaded.receipt.clone())?;
    let place = RecordRef {
        height: uploaded.height,
        position: uploaded.position,
    };
    wait_until_linked(world, hospital, place).await?;
    let new = uploaded.record_hash;
    let patient = &mut world.people[number].patient;
    let all = patient.search(&SearchSpec::text("type:Encounter")).await?;
    let shown: BTreeSet<Hash> = all.records.iter().map(|r| r.record_hash).collect();
    let told = all.earlier.iter().any(|(newest, earlier)| {
        newest.record_hash == new && earlier.iter().any(|each| each.record_hash == old)
    });
    outcome.newest_version_shown = told && shown.contains(&new) && !shown.contains(&old);
    let only_new = patient.search(&SearchSpec::text(AMENDED_TERM)).await?;
    outcome.new_words_found = only_new.records.len() == 1 && only_new.records[0].record_hash == new;
    Ok(())
}

async fn wait_until_linked(world: &World, hospital: usize, place: RecordRef) -> anyhow::Result<()> {
    let begun = Instant::now();
    let node = world.chains.alliance(0).context("an alliance node")?;
    let hospital = world.layout.hospitals[hospital].id;
    loop {
        let snapshot = node.node.chain().snapshot()?;
        if query::linked_record(&snapshot, &hospital, &place)?.is_some() {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "the amendment is not linked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn verify(world: &mut World, outcome: &mut Versions) -> anyhow::Result<()> {
    for person in &mut world.people {
        let verified = person.patient.verify(&VerifySpec::default()).await?;
        for finding in &verified.findings {
            tracing::error!(name = person.name, %finding.fault, "found on an honest network");
        }
        for (found, reason) in &verified.unchecked {
            tracing::error!(name = person.name, record = %found.record_hash, reason, "not verified");
        }
        outcome.false_findings += verified.findings.len() + verified.unchecked.len();
        outcome.records_verified += verified.hospitals.iter().map(|h| h.compared).sum::<usize>();
    }
    Ok(())
}

/// A hospital signs a receipt and anchors nothing: her client makes it known.
async fn broken_promise(world: &mut World, outcome: &mut Versions) -> anyhow::Result<()> {
    let person = &mut world.people[0];
    let (number, _) = person.cards.iter().next().context("she has a card")?;
    let hospital = &world.layout.hospitals[*number];
    let meta = person.patient.wallet().meta();
    let promised = make_pseudonym(&mut OsRng, &hospital.id, &meta).pseudonym;
    let receipt = Receipt::sign(
        &hospital.identity,
        hospital.id,
        Hash([0xab; 32]),
        Hash([0xcd; 32]),
        promised,
        TimeMillis(person.patient.alliance().now().0 - LATE_MILLIS),
    );
    let verified = person
        .patient
        .verify(&VerifySpec {
            hospitals: vec![hospital.id],
            receipts: vec![receipt],
            disclose: false,
        })
        .await?;
    let [finding] = verified.findings.as_slice() else {
        return Ok(());
    };
    let Reported::As(id) = finding.reported else {
        return Ok(());
    };
    let on_chain = world
        .alliance
        .get(&alliance_chain::state::report(&id))
        .await?;
    outcome.broken_promise_reported =
        matches!(finding.fault, Fault::MissedDeadline { .. }) && on_chain.is_some();
    Ok(())
}
