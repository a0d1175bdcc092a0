//! A small home of a real private node, with something in every file, and what can be read from it.

use super::look::Known;
use super::scratch;
use crate::chaos::pack::{Pack, journaled};
use crate::layout::HospitalLayout;
use caduceus_crypto::evidence::{Anchor, AnchorBody, sign_vault_receipt};
use caduceus_crypto::index::{IndexEntries, Tag};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::{Hash, SecretKey, TimeMillis};
use caduceus_network::exchange::{Submit, SubmitReply, SubmitRequest};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::bft::{JOURNAL_FILE, SignJournal};
use caduceus_node::{Clock, NodeHome, Store, SystemClock};
use private_chain::audit::{Action, ActionClass, AuditEntry, DraftBatch, Outcome};
use private_chain::{Enrol, Role, Tx};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use std::path::{Path, PathBuf};
use std::time::Duration;
use umbral_pre::DefaultSerialize;

/// Anchors in the chain, half of them in the index's own file.
const ANCHORS: usize = 24;
/// Audit transactions, among the anchors.
const ENTRIES: usize = 16;
/// Longest that a start or a block may take.
const BLOCK: Duration = Duration::from_secs(20);
/// Kills until one falls between a signature and its block.
const CATCHES: usize = 60;

/// Makes the home, and returns its folder with what is known of it. Its genesis lies beside its `node.toml`. The node
/// was killed while it worked on a height, so log, guard and pending blocks tell of that height.
///
/// # Errors
/// When the node does not run, or cannot be caught in the middle of a height.
pub(super) async fn make(root: &Path, rng: &mut ChaCha20Rng) -> anyhow::Result<(PathBuf, Known)> {
    let mut pack = Pack::create(&root.join("network"), 1, &journaled()).await?;
    let home = pack.homes()[0].clone();
    settle_in(&home)?;
    let service = Service::start(ServiceConfig {
        key: &pack.hospital().server,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await?;
    let author = SecretKey::generate(rng);
    let mut txs = vec![enrol(pack.hospital(), &author)];
    for n in 0..ANCHORS.max(ENTRIES) {
        if n < ANCHORS {
            txs.push(anchor(pack.hospital(), &author, rng));
        }
        if n < ENTRIES {
            txs.push(audit(pack.hospital(), rng));
        }
    }
    let half = txs.len() / 2;
    commit(&mut pack, &service, &txs[..half]).await?;
    pack.kill(0);
    // What is flushed now is in the index's file; the rest stays in the chain's.
    Store::open(&home.join("chain.redb"))?.index().flush()?;
    commit(&mut pack, &service, &txs[half..]).await?;
    let copy = root.join("caught");
    for _ in 0..CATCHES {
        // The first one makes the connection.
        let first = audit(pack.hospital(), rng);
        commit(&mut pack, &service, &[first]).await?;
        let tx = audit(pack.hospital(), rng);
        let sending = submit(&service, &pack.addresses()[0], tx);
        let wait = Duration::from_micros(rng.gen_range(0..25_000));
        // Whoever is first: the block or the kill.
        let _ = tokio::time::timeout(wait, sending).await;
        pack.kill(0);
        scratch::copy(&home, &copy)?;
        let signed = SignJournal::read(&copy)?;
        if let Some(known) = Known::read(&copy, signed)? {
            service.shutdown().await;
            std::fs::remove_file(home.join(JOURNAL_FILE))?;
            std::fs::remove_file(home.join("node.log"))?;
            return Ok((home, known));
        }
    }
    anyhow::bail!("the node was not caught in the middle of a height in {CATCHES} kills")
}

/// Puts the genesis into the home.
fn settle_in(home: &Path) -> anyhow::Result<()> {
    let mut file = NodeHome::load(home)?.file;
    std::fs::copy(home.join(&file.genesis), home.join("chain.genesis"))?;
    file.genesis = "chain.genesis".into();
    std::fs::write(home.join("node.toml"), toml::to_string_pretty(&file)?)?;
    Ok(())
}

/// Starts the node and has all of these committed, one block each.
async fn commit(pack: &mut Pack, service: &Service, txs: &[Vec<u8>]) -> anyhow::Result<()> {
    pack.spawn_all()?;
    pack.all_serve(BLOCK).await?;
    for tx in txs {
        submit(service, &pack.addresses()[0], tx.clone()).await?;
    }
    Ok(())
}

async fn submit(service: &Service, to: &PeerAddr, tx: Vec<u8>) -> anyhow::Result<()> {
    match service
        .call::<Submit>(to, SubmitRequest { tx, wait: true })
        .await?
    {
        SubmitReply::Committed { .. } => Ok(()),
        other => anyhow::bail!("a transaction was not committed: {other:?}"),
    }
}

fn now() -> TimeMillis {
    SystemClock.now()
}

fn enrol(hospital: &HospitalLayout, author: &SecretKey) -> Vec<u8> {
    let body = Enrol {
        staff: author.public(),
        role: Role::Physician,
        label: "author".to_owned(),
        not_before: TimeMillis(0),
        not_after: TimeMillis(now().0 + 86_400_000),
    };
    Tx::Enrol(body.sign(&hospital.genesis.chain_id(), &hospital.identity)).encode()
}

fn audit(hospital: &HospitalLayout, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let entry = AuditEntry {
        time: now(),
        actor: hospital.server.public().into(),
        role: None,
        organisation: hospital.id,
        action: Action::Read,
        subtype: "flips".into(),
        outcome: Outcome::Success,
        reason: "".into(),
        patient: None,
        resource: None,
        purpose: "".into(),
        grant: None,
        source: "sim".into(),
        request: hex::encode(rng.r#gen::<[u8; 16]>()).into(),
        reference: "".into(),
        statement: None,
    };
    let mut draft = DraftBatch::new(rng);
    draft
        .push(&[7; 32], ActionClass::ClinicalRead, entry.time, &entry)
        .expect("a short entry can be sealed");
    Tx::audit(draft.sign(&hospital.genesis.chain_id(), &hospital.server)).encode()
}

/// The anchor of a record that nobody has: the chain judges the evidence alone.
fn anchor(hospital: &HospitalLayout, author: &SecretKey, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let delegating = umbral_pre::SecretKey::random_with_rng(&mut *rng).public_key();
    let (capsule, _) = umbral_pre::encrypt_with_rng(&mut *rng, &delegating, b"data key")
        .expect("a short text can be encrypted");
    let mut tags: Vec<Tag> = (0..8).map(|_| Tag(rng.r#gen())).collect();
    tags.sort_unstable();
    let [point, ephemeral, delegating] = std::array::from_fn(|_| SecretKey::generate(rng).public());
    let body = AnchorBody {
        hospital: hospital.id,
        pseudonym: Pseudonym {
            point,
            ephemeral,
            view_tag: rng.r#gen(),
        },
        record_hash: Hash(rng.r#gen()),
        header_hash: Hash(rng.r#gen()),
        entries: IndexEntries::Tags(tags),
        capsule: capsule
            .to_bytes()
            .expect("a capsule has an encoding")
            .into_vec(),
        delegating,
        visit: Hash::ZERO,
        epoch: now().epoch(),
        authored_at: now(),
    };
    let stored_bytes = 20_000;
    let anchor = Anchor {
        author: author.public(),
        author_signature: body.sign(author),
        stored_bytes,
        vault: hospital.server.public(),
        vault_signature: sign_vault_receipt(&hospital.server, &body.record_hash, stored_bytes),
        body,
    };
    Tx::anchor(anchor, rng.r#gen()).encode()
}
