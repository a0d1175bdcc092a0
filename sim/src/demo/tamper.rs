//! An insider alters a ciphertext, rewrites a private block with all keys, and swaps a patient's keys.

use super::Narrator;
use super::summary::Summary;
use super::world::World;
use alliance_chain::query;
use alliance_chain::tx::{Checkpoint, Tx};
use anyhow::Context;
use caduceus_client::ClientError;
use caduceus_crypto::card::CardError;
use caduceus_crypto::{Hash, MetaAddress, SecretKey, domain};
use caduceus_ledger::{Address, Certificate, Height, LightClient, Vote, VoteKind};
use caduceus_network::exchange::{CardHolder, MetaLookup, Reply};
use caduceus_network::{Limits, Service, ServiceConfig};
use caduceus_node::NodeHome;
use hospital_server::workstation::{Workstation, WorkstationConfig, WorkstationError};
use patient_client::PatientError;
use rand_core::OsRng;
use std::time::{Duration, Instant};

pub async fn run(
    world: &mut World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let altered = ciphertext(world).await?;
    summary.tamper.ciphertext_altered = Summary::verdict(altered);
    narrator.tell(format!(
        "one byte altered in a vault: {}",
        summary.tamper.ciphertext_altered
    ));
    let rewritten = private_block(world).await?;
    summary.tamper.private_block_rewritten = Summary::verdict(rewritten);
    narrator.tell(format!(
        "a private block rewritten with all keys: {}",
        summary.tamper.private_block_rewritten
    ));
    let substituted = meta_address(world).await?;
    summary.tamper.meta_address_substituted = Summary::verdict(substituted);
    narrator.tell(format!(
        "a patient's keys swapped by the server: {}",
        summary.tamper.meta_address_substituted
    ));
    Ok(())
}

/// The patient gets a typed error that names hospital and record, and the chain a report, within 30 s.
async fn ciphertext(world: &mut World) -> anyhow::Result<bool> {
    let record = world.records.first().context("no records")?;
    let (hash, hospital, owner) = (
        record.record_hash,
        record.oracle.hospital,
        record.oracle.patient,
    );
    let found = *world.found.get(&hash).context("it was found before")?;
    let path = world.servers.vault_path(&world.layout, hospital, &hash);
    let good =
        std::fs::read(&path).with_context(|| format!("the vault's file {}", path.display()))?;
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&path, &bad)?;
    let outcome = world.people[owner].patient.open(&found).await;
    std::fs::write(&path, &good)?;
    let id = world.layout.hospitals[hospital].id;
    let named = matches!(
        outcome,
        Err(PatientError::Client(ClientError::Tampered { hospital, record_hash, .. })) if hospital == id && record_hash == hash
    );
    let begun = Instant::now();
    let reported = loop {
        let node = world
            .chains
            .alliance(0)
            .context("the first alliance node runs here")?;
        let reports = query::reports_about(&node.node.chain().snapshot()?, &id, 0, 10)?;
        if !reports.is_empty() {
            break true;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // Control: with the byte restored it opens again.
    Ok(named && reported && world.people[owner].patient.open(&found).await.is_ok())
}

/// A hospital that holds all keys of its chain certifies another block at a height; the alliance refuses it.
async fn private_block(world: &World) -> anyhow::Result<bool> {
    let record = world.records.first().context("no records")?;
    let hospital = &world.layout.hospitals[record.oracle.hospital];
    let node = world
        .chains
        .private_here(record.oracle.hospital)
        .next()
        .context("a private node runs here")?;
    let snapshot = node.node.chain().snapshot()?;
    let certified = snapshot
        .certified(Height(record.place.height))?
        .context("its block is committed")?;
    let mut header = certified.header;
    header.state_root = Hash([0x66; 32]);
    let block = header.hash();
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(block),
    };
    let mut signatures = Vec::new();
    for home in &hospital.nodes {
        let key = NodeHome::load(home)?.key;
        signatures.push((
            Address::of(&key.public()),
            key.sign(domain::VOTE, &vote.sign_bytes()),
        ));
    }
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block,
        signatures,
    };
    // Control: by itself the forgery is perfect.
    let trusted = LightClient::trusting(header.chain, hospital.genesis.validators.clone());
    let forged = caduceus_ledger::CertifiedHeader {
        header: header.clone(),
        certificate: certificate.clone(),
    };
    anyhow::ensure!(
        trusted.verify_header(&forged).is_ok(),
        "the forged block must verify by itself"
    );
    let tx = Tx::Checkpoint(Checkpoint {
        hospital: hospital.id,
        headers: vec![header],
        certificate,
        next_validators: None,
    });
    Ok(matches!(
        world.alliance.submit(&tx).await,
        Err(ClientError::Rejected { rule, .. }) if rule == "checkpoint_header_conflict"
    ))
}

/// A server under its own key answers a card lookup with other keys; the workstation refuses to seal.
async fn meta_address(world: &World) -> anyhow::Result<bool> {
    let person = &world.people[0];
    let (h, card) = person.cards.iter().next().context("she has a card")?;
    let hospital = &world.layout.hospitals[*h];
    let thief = MetaAddress {
        view: SecretKey::generate(&mut OsRng).public(),
        spend: SecretKey::generate(&mut OsRng).public(),
        ..person.patient.wallet().meta()
    };
    let service = Service::start(ServiceConfig {
        key: &hospital.server,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        limits: Limits::default(),
    })
    .await?;
    let (id, index_key, now) = (hospital.id, hospital.index.public(), world.alliance.now());
    service.serve::<MetaLookup, _, _>(
        |_| true,
        move |_, _| async move {
            Ok(Reply::Done(CardHolder {
                hospital: id,
                meta: thief,
                index_key,
                audit_key: None,
                since: now,
                emergency: None,
            }))
        },
    );
    let mut network = world.layout.network.clone();
    network.hospitals[*h].server = service.peer_address().context("it listens")?.to_string();
    let workstation = Workstation::open(WorkstationConfig {
        network,
        hospital: hospital.name.clone(),
        staff: world.desks[*h].doctor_key.clone(),
        clock: hospital_server::system_clock(),
    })
    .await?;
    let refused = matches!(
        workstation.visit(card).await,
        Err(WorkstationError::CardSubstituted | WorkstationError::Card(CardError::Substituted))
    );
    workstation.close().await;
    service.shutdown().await;
    // Control: the real server's answer passes.
    Ok(refused && world.desks[*h].doctor.visit(card).await.is_ok())
}
