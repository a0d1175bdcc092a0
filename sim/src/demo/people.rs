//! Registration and upload.

use super::queries::OWN_TERM;
use super::summary::{Percentiles, Summary};
use super::world::{UploadedRecord, World};
use super::{DemoOptions, Narrator, kill};
use crate::loopback::NodeName;
use crate::oracle::OracleRecord;
use alliance_chain::state::RecordRef;
use anyhow::Context;
use caduceus_crypto::TimeMillis;
use hospital_server::workstation::{UploadInput, Uploaded, Visit};
use std::collections::{BTreeMap, BTreeSet};

/// Every patient gets a card at each hospital of her history, and registers with it.
pub async fn register(world: &mut World, narrator: &Narrator) -> anyhow::Result<()> {
    for person in &mut world.people {
        let hospitals: BTreeSet<usize> = person
            .encounters
            .iter()
            .map(|(hospital, _)| *hospital)
            .collect();
        for hospital in hospitals {
            let meta = person.patient.wallet().meta();
            let made = world.desks[hospital]
                .registrar
                .register_patient(&meta)
                .await?;
            person.patient.register(&made.qr, &made.desk_code).await?;
            person.cards.insert(hospital, made.qr);
        }
    }
    let cards: usize = world.people.iter().map(|p| p.cards.len()).sum();
    narrator.tell(format!("{cards} cards handed out and registered"));
    Ok(())
}

/// The doctors upload every encounter; each patient keeps her receipts. With `kill_one`, one validator of each
/// tier dies halfway.
pub async fn upload(
    world: &mut World,
    options: &DemoOptions,
    narrator: &Narrator,
    killed: &mut Option<Vec<NodeName>>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let total: usize = world.people.iter().map(|p| p.encounters.len()).sum();
    let mut times = Vec::new();
    for number in 0..world.people.len() {
        let encounters = std::mem::take(&mut world.people[number].encounters);
        let mut visits: BTreeMap<usize, Visit> = BTreeMap::new();
        for (hospital, encounter) in encounters {
            if options.kill_one && killed.is_none() && world.records.len() >= total / 2 {
                *killed = Some(kill::strike(world, options.seed, narrator)?);
            }
            let mut visit = match visits.remove(&hospital) {
                Some(visit) => visit,
                None => visit(world, number, hospital).await?,
            };
            // One record gets a word of the doctor's own, with a letter outside ASCII.
            let own_terms = if world.records.len() == 1 {
                vec![OWN_TERM.to_owned()]
            } else {
                Vec::new()
            };
            let input = UploadInput {
                amends: None,
                bytes: encounter.bundle_json.clone(),
                media_type: "application/fhir+json".to_owned(),
                own_terms: own_terms.clone(),
            };
            let uploaded = visit.upload(input).await?;
            visits.insert(hospital, visit);
            times.push(uploaded.took.as_millis() as u64);
            summary.index_tags += uploaded.tags;
            keep(
                world,
                number,
                hospital,
                encounter.bundle_json,
                own_terms,
                uploaded,
            )?;
        }
        narrator.tell(format!(
            "{}: {} of {total} records uploaded",
            world.people[number].name,
            world.records.len()
        ));
    }
    summary.records = world.records.len();
    summary.upload_ms = Percentiles::of(times);
    Ok(())
}

/// A patient's visit at a hospital: she shows her card and says that she is there.
pub async fn visit(world: &mut World, patient: usize, hospital: usize) -> anyhow::Result<Visit> {
    let person = &mut world.people[patient];
    let card = person
        .cards
        .get(&hospital)
        .context("she has a card there")?;
    let mut visit = world.desks[hospital].doctor.visit(card).await?;
    let id = world.layout.hospitals[hospital].id;
    let today = TimeMillis(person.patient.alliance().now().0).epoch();
    visit.attest(person.patient.visit_token(&id, today)?)?;
    Ok(visit)
}

/// The patient keeps her receipt, the oracle the plaintext.
pub fn keep(
    world: &mut World,
    patient: usize,
    hospital: usize,
    json: Vec<u8>,
    own_terms: Vec<String>,
    uploaded: Uploaded,
) -> anyhow::Result<()> {
    let person = &mut world.people[patient];
    person.patient.add_receipt(uploaded.receipt)?;
    let id = world.records.len();
    world.records.push(UploadedRecord {
        oracle: OracleRecord {
            id,
            hospital,
            patient,
            json,
            own_terms,
        },
        record_hash: uploaded.record_hash,
        place: RecordRef {
            height: uploaded.height,
            position: uploaded.position,
        },
    });
    Ok(())
}
