//! A data user asks, the patient grants, what was not granted is refused, and a revocation ends it.

use super::Narrator;
use super::summary::Summary;
use super::world::World;
use alliance_chain::tx::Purpose;
use anyhow::Context;
use caduceus_client::{Alliance, ClientError, ConnectOptions};
use caduceus_crypto::record::SealedView;
use caduceus_crypto::{Hash, PublicKey, SecretKey, TimeMillis, domain};
use caduceus_ledger::light::MAX_HEAD_AGE_MILLIS;
use data_user_client::{DataUser, DataUserKeys, Ticket};
use patient_client::{FoundRecord, GrantSpec};
use rand_core::{OsRng, RngCore};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn random_seed() -> [u8; 32] {
    let mut seed = [0u8; 32];
    OsRng.fill_bytes(&mut seed);
    seed
}

async fn data_user(world: &World, keys: DataUserKeys) -> anyhow::Result<DataUser> {
    let options = ConnectOptions {
        key: Some(keys.signing().clone()),
        ..ConnectOptions::default()
    };
    Ok(DataUser::connect(
        &world.layout.network,
        world.layout.genesis.clone(),
        keys,
        options,
    )
    .await?)
}

async fn admit(
    world: &World,
    hospital: usize,
    keys: &DataUserKeys,
    label: &str,
) -> anyhow::Result<()> {
    let admin = &world.desks[hospital].admin;
    admin
        .admit_data_user(&world.alliance, keys.id(), keys.receiving_public(), label)
        .await?;
    Ok(())
}

/// Records of one patient, as she found them.
fn records_of(world: &World, patient: usize) -> Vec<FoundRecord> {
    let own = world.records.iter().filter(|r| r.oracle.patient == patient);
    own.filter_map(|r| world.found.get(&r.record_hash).cloned())
        .collect()
}

fn source<'w>(world: &'w World, hash: &Hash) -> Option<&'w [u8]> {
    world
        .records
        .iter()
        .find(|r| r.record_hash == *hash)
        .map(|r| r.oracle.json.as_slice())
}

pub async fn run(
    world: &mut World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let institute_keys = DataUserKeys::from_seed(&random_seed());
    admit(world, 0, &institute_keys, "Institute of Epidemiology").await?;
    let institute = data_user(world, institute_keys).await?;
    institute
        .request(
            Purpose::Research,
            "conditions and observations of adults",
            30,
        )
        .await?;
    let owner = world.records.first().context("no records")?.oracle.patient;
    let seen = world.people[owner].patient.requests().await?;
    anyhow::ensure!(!seen.is_empty(), "the patient sees no request");
    narrator.tell(format!(
        "{} sees the institute's request",
        world.people[owner].name
    ));

    let own = records_of(world, owner);
    let spec = GrantSpec {
        records: own.iter().take(2).cloned().collect(),
        data_user: institute.keys().id(),
        days: 30,
        purpose: Purpose::Research,
        threshold: None,
    };
    let granted = world.people[owner].patient.grant(&spec).await?;
    let first = granted.first().context("nothing was granted")?;
    summary.grant.threshold = first.threshold;
    summary.grant.proxies = first.proxies;
    summary.grant.records = granted.len();
    anyhow::ensure!(
        granted.iter().all(patient_client::Granted::is_usable),
        "too few proxies keep a fragment"
    );
    narrator.tell(format!(
        "she grants {} records, {} of {} proxies needed",
        granted.len(),
        first.threshold,
        first.proxies
    ));

    refusals(
        world,
        &institute,
        &granted.iter().map(|g| g.id).collect::<Vec<_>>(),
        summary,
    )
    .await?;

    let mut same = true;
    for grant in &granted {
        let fetched = institute.fetch(&grant.id).await?;
        same &= source(world, &grant.record.record_hash)
            .is_some_and(|json| json == fetched.opened.plaintext);
        summary.grant.opened_by_data_user += 1;
    }
    summary.grant.match_source = same;
    narrator.tell(format!(
        "the institute opened {} granted records",
        summary.grant.opened_by_data_user
    ));

    doctor_elsewhere(world, narrator, owner, &own, summary).await?;
    stale_head(world, narrator, summary).await?;

    // Revocation: no new ticket, and the old one gets no more fragments.
    let old = institute.access(&first.id).await?;
    let capsule = capsule_of(&institute.ciphertext(&old).await?)?;
    let before = institute
        .fragments(&old, &capsule, &old.grant.proxies)
        .await
        .good
        .len();
    world.people[owner].patient.revoke(&first.id).await?;
    let no_ticket = institute.access(&first.id).await.is_err();
    let begun = Instant::now();
    let no_fragments = loop {
        if ask_each(&institute, &old, &capsule, &old.grant.proxies).await == 0 {
            break true;
        }
        // A proxy that lags by a block may answer once more.
        if begun.elapsed() > Duration::from_secs(10) {
            break false;
        }
    };
    summary.refused.after_revoke = before >= first.threshold && no_ticket && no_fragments;
    narrator.tell(format!(
        "after her revocation nothing is answered: {}",
        summary.refused.after_revoke
    ));
    institute.close().await;
    Ok(())
}

fn capsule_of(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(SealedView::parse(bytes)?.wrap.capsule)
}

/// Asks all proxies at once; returns how many gave a fragment.
async fn ask_each(
    user: &DataUser,
    ticket: &Ticket,
    capsule: &[u8],
    proxies: &[PublicKey],
) -> usize {
    let asked = proxies
        .iter()
        .map(|proxy| user.fragments(ticket, capsule, std::slice::from_ref(proxy)));
    futures::future::join_all(asked)
        .await
        .iter()
        .map(|answer| answer.good.len())
        .sum()
}

/// Every way round the grant fails, beside a control that succeeds.
async fn refusals(
    world: &World,
    institute: &DataUser,
    grants: &[Hash],
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let id = grants.first().context("nothing was granted")?;
    let record = institute.grant(id).await?;
    let proxies: Vec<PublicKey> = record.grant.proxies.clone();
    let threshold = usize::from(record.grant.threshold);
    let invented = Ticket {
        access: Hash(random_seed()),
        grant_id: *id,
        grant: record.grant.clone(),
        time: TimeMillis(institute.alliance().now().0),
    };
    // The capsule is only known with the ciphertext; any valid one serves to be refused.
    let ticket = institute.access(id).await?;
    let bytes = institute.ciphertext(&ticket).await?;
    let capsule = capsule_of(&bytes)?;
    let without = ask_each(institute, &invented, &capsule, &proxies).await;
    let with = institute.fragments(&ticket, &capsule, &proxies).await;
    let works =
        with.good.len() >= threshold && institute.open(&ticket, &bytes, &with.bytes()).is_ok();
    summary.refused.before_access = works && without == 0;

    let all = with.bytes();
    let mut below = works;
    for left_out in 0..all.len() {
        for second in 0..all.len() {
            let few: Vec<Vec<u8>> = all
                .iter()
                .enumerate()
                .filter(|(n, _)| *n != left_out && *n != second)
                .map(|(_, fragment)| fragment.clone())
                .take(threshold - 1)
                .collect();
            below &= institute.open(&ticket, &bytes, &few).is_err();
        }
    }
    summary.refused.below_threshold = below;

    if let Some(other) = grants.get(1) {
        let ticket_b = institute.access(other).await?;
        let bytes_b = institute.ciphertext(&ticket_b).await?;
        let crossed = institute.open(&ticket_b, &bytes_b, &all).is_err();
        summary.refused.other_record =
            works && crossed && institute.open(&ticket, &bytes_b, &all).is_err();
    }

    let stranger = data_user(world, DataUserKeys::from_seed(&random_seed())).await?;
    let theirs = ask_each(&stranger, &ticket, &capsule, &proxies).await;
    let fetched = stranger.ciphertext(&ticket).await;
    summary.refused.stranger =
        works && theirs == 0 && fetched.is_err() && stranger.access(id).await.is_err();
    stranger.close().await;
    Ok(())
}

/// A doctor of another hospital is a data user with a short grant.
async fn doctor_elsewhere(
    world: &mut World,
    narrator: &Narrator,
    owner: usize,
    own: &[FoundRecord],
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let shared = *own.last().context("no records")?;
    let home = world
        .layout
        .hospitals
        .iter()
        .position(|h| h.id == shared.hospital)
        .context("a known hospital")?;
    let elsewhere = (home + 1) % world.layout.hospitals.len();
    let signing = world.desks[elsewhere].doctor_key.clone();
    let receiving = SecretKey::derive(domain::RECEIVING_KEY, &signing.to_bytes()[..], &[]);
    let keys = DataUserKeys::new(signing, receiving);
    admit(world, elsewhere, &keys, "Physician").await?;
    let doctor = data_user(world, keys).await?;
    let spec = GrantSpec {
        records: vec![shared],
        data_user: doctor.keys().id(),
        days: 1,
        purpose: Purpose::Treatment,
        threshold: None,
    };
    let granted = world.people[owner].patient.grant(&spec).await?;
    let grant = granted.first().context("nothing was granted")?;
    let fetched = doctor.fetch(&grant.id).await?;
    summary.grant.opened_by_doctor_elsewhere =
        source(world, &shared.record_hash).is_some_and(|json| json == fetched.opened.plaintext);
    narrator.tell(format!(
        "a physician at {} opened a record of {}",
        world.layout.hospitals[elsewhere].name, world.layout.hospitals[home].name
    ));
    doctor.close().await;
    Ok(())
}

/// A node whose chain stands still is refused once its head is older than three heartbeats.
async fn stale_head(
    world: &World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    // The second node; with one sequencer, the only one.
    let n = 1.min(world.layout.alliance.len() - 1);
    let paused = world
        .chains
        .alliance(n)
        .context("the second alliance node runs here")?;
    paused.node.stop().await;
    let nodes = vec![world.alliance.nodes()[n].clone()];
    let fresh = Alliance::open(
        nodes.clone(),
        &world.layout.genesis,
        ConnectOptions::default(),
    )
    .await?;
    let control = fresh.head().await.is_ok();
    let real = world.alliance.clock().clone();
    let options = ConnectOptions {
        clock: Arc::new(move || TimeMillis(real().0 + MAX_HEAD_AGE_MILLIS + 1000)),
        ..ConnectOptions::default()
    };
    let later = Alliance::open(nodes, &world.layout.genesis, options).await?;
    let refused = matches!(later.head().await, Err(ClientError::Stale { .. }));
    summary.refused.stale_head = control && refused;
    fresh.close().await;
    later.close().await;
    paused.node.start_engine();
    narrator.tell(format!(
        "a paused node's head is refused 91 s later: {}",
        summary.refused.stale_head
    ));
    Ok(())
}
