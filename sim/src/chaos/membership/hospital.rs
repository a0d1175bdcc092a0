//! The hospital that joins: its private chain, what it anchors and logs, and how that gets onto the alliance chain.

use super::chain::{Chain, signs};
use super::until;
use crate::layout::{HospitalLayout, Layout, NetworkSpec};
use alliance_chain::node::AllianceNode;
use alliance_chain::{Checkpoint, Link, Member, query as alliance};
use anyhow::{Context, ensure};
use caduceus_cli::{HospitalEntry, NetworkFile};
use caduceus_crypto::evidence::{Anchor, AnchorBody, sign_vault_receipt};
use caduceus_crypto::index::{IndexEntries, Tag};
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::reencrypt::{serialize, umbral_key};
use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis};
use caduceus_ledger::{CertifiedHeader, Height, ValidatorSet, validators};
use caduceus_node::{Clock, NodeHome, Snapshot, SystemClock};
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::{
    Action, ActionClass, AuditEntry, DraftBatch, Enrol, Outcome, Role, Rotate, Tx, Validators,
    query, state,
};
use rand_core::{OsRng, RngCore};
use std::path::Path;
use std::sync::Arc;

const HOUR_MILLIS: u64 = 3_600_000;

/// See the module.
pub struct Newcomer {
    chain: Chain<PrivateNode>,
    layout: HospitalLayout,
    entry: HospitalEntry,
    first_identity: SecretKey,
    identity: SecretKey,
    server: SecretKey,
    author: SecretKey,
    sets: Vec<ValidatorSet>,
}

async fn start(home: &Path, network: &NetworkFile) -> anyhow::Result<PrivateNode> {
    let config =
        PrivateNodeConfig::from_home(NodeHome::load(home)?, network, Arc::new(SystemClock));
    Ok(PrivateNode::start(config).await?)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

impl Newcomer {
    /// Makes and starts a private chain of four, outside of the alliance, with one enrolled physician.
    pub async fn start(root: &Path, alliance: &Layout) -> anyhow::Result<Self> {
        let spec = NetworkSpec {
            hospitals: vec!["Harbour".to_owned()],
            alliance_validators: 1,
            ..NetworkSpec::default()
        };
        let mut made = Layout::create(root, &spec)?;
        // Its own alliance was only needed for the files: it is to join the one that runs.
        let network = NetworkFile {
            hospitals: made.network.hospitals.clone(),
            ..alliance.network.clone()
        };
        network.save(&made.network_path())?;
        let layout = made.hospitals.pop().context("the layout has a hospital")?;
        let entry = made.network.hospitals[0].clone();
        let mut chain = Chain::new(layout.nodes.clone(), layout.genesis.clone()).await?;
        for home in &layout.nodes {
            chain.nodes.push(start(home, &network).await?);
        }
        chain.submit_as(&layout.identity).await?;
        let newcomer = Self {
            chain,
            first_identity: layout.identity.clone(),
            identity: layout.identity.clone(),
            server: layout.server.clone(),
            author: SecretKey::generate(&mut OsRng),
            sets: vec![layout.genesis.validators.clone()],
            layout,
            entry,
        };
        let now = SystemClock.now();
        let enrol = Enrol {
            staff: newcomer.author.public(),
            role: Role::Physician,
            label: "physician".to_owned(),
            not_before: TimeMillis(now.0 - HOUR_MILLIS),
            not_after: TimeMillis(now.0 + HOUR_MILLIS),
        };
        let tx = Tx::Enrol(enrol.sign(&newcomer.chain.genesis.chain_id(), &newcomer.identity));
        newcomer.chain.submit(&tx.encode()).await?;
        Ok(newcomer)
    }

    /// Its identifier.
    pub fn id(&self) -> HospitalId {
        self.layout.id
    }

    /// Its identity key now.
    pub fn identity(&self) -> SecretKey {
        self.identity.clone()
    }

    /// Its server key now.
    pub fn server(&self) -> SecretKey {
        self.server.clone()
    }

    /// It as a member, with its first keys.
    pub fn member(&self) -> Member {
        Member {
            hospital: self.layout.id,
            name: self.layout.name.clone(),
            identity: self.first_identity.public(),
            server: self.layout.server.public(),
            private_chain: self.chain.genesis.chain_id(),
            private_validators: self.chain.genesis.validators.clone(),
        }
    }

    /// What the network file says of it.
    pub fn entry(&self) -> HospitalEntry {
        self.entry.clone()
    }

    /// The voters of its chain.
    pub fn voters(&self) -> anyhow::Result<ValidatorSet> {
        Ok(validators(&self.snapshot()?)?)
    }

    fn snapshot(&self) -> anyhow::Result<Snapshot> {
        Ok(self.chain.nodes[0].node.chain().snapshot()?)
    }

    /// Anchors a record of its physician, with a receipt of a vault under this server key.
    pub async fn anchor(&self, number: u8, server: &SecretKey) -> anyhow::Result<()> {
        let delegating = SecretKey::generate(&mut OsRng).public();
        let (capsule, _) =
            umbral_pre::encrypt_with_rng(&mut OsRng, &umbral_key(&delegating), &random::<32>())
                .map_err(|e| anyhow::anyhow!("encrypting: {e}"))?;
        let mut tags: Vec<Tag> = (0..8).map(|_| Tag(random())).collect();
        tags.sort();
        let now = SystemClock.now();
        let body = AnchorBody {
            hospital: self.layout.id,
            pseudonym: Pseudonym {
                point: SecretKey::generate(&mut OsRng).public(),
                ephemeral: SecretKey::generate(&mut OsRng).public(),
                view_tag: number,
            },
            record_hash: Hash(random()),
            header_hash: Hash(random()),
            entries: IndexEntries::Tags(tags),
            capsule: serialize(&capsule),
            delegating,
            visit: Hash::ZERO,
            epoch: now.epoch(),
            authored_at: now,
        };
        let stored_bytes = 20_000;
        let anchor = Anchor {
            author: self.author.public(),
            author_signature: body.sign(&self.author),
            stored_bytes,
            vault: server.public(),
            vault_signature: sign_vault_receipt(server, &body.record_hash, stored_bytes),
            body,
        };
        let tx = Tx::anchor(anchor, random());
        self.chain.submit(&tx.encode()).await?;
        Ok(())
    }

    /// Appends an audit entry signed with this server key.
    pub async fn audit(&self, number: u8, server: &SecretKey) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let entry = AuditEntry {
            time: now,
            actor: self.author.public().into(),
            role: Some(Role::Physician),
            organisation: self.layout.id,
            action: Action::Read,
            subtype: "open".into(),
            outcome: Outcome::Success,
            reason: format!("visit {number}").into(),
            patient: None,
            resource: None,
            purpose: "TREAT".into(),
            grant: None,
            source: "ward 3".into(),
            request: hex::encode(random::<16>()).into(),
            reference: "".into(),
            statement: None,
        };
        let mut draft = DraftBatch::new(&mut OsRng);
        draft
            .push(&random::<32>(), ActionClass::ClinicalRead, now, &entry)
            .map_err(|e| anyhow::anyhow!("sealing an entry: {e}"))?;
        let batch = draft.sign(&self.chain.genesis.chain_id(), server);
        self.chain.submit(&Tx::audit(batch).encode()).await?;
        Ok(())
    }

    fn generation(&self) -> anyhow::Result<u64> {
        Ok(query::hospital_keys(&self.snapshot()?)?.generation)
    }

    /// Starts a fifth node, waits until it has caught up, and makes it a validator. Gives whether it
    /// votes.
    pub async fn add_validator(&mut self, network: &NetworkFile) -> anyhow::Result<bool> {
        let home = self.chain.add_home()?;
        let node = start(&home, network).await?;
        self.chain.nodes.push(node);
        for (home, node) in self.chain.homes.iter().zip(&self.chain.nodes) {
            node.reload(&NodeHome::load(home)?, network);
        }
        let (first, fifth) = (
            self.chain.nodes[0].node.clone(),
            self.chain.nodes[4].node.clone(),
        );
        let tip = first.chain().tip().height;
        until("the private node catches up", || {
            Ok(fifth.chain().tip().height >= tip)
        })
        .await?;
        let set = self.chain.set_of(0..5)?;
        let body = Validators {
            generation: self.generation()?,
            set: set.clone(),
        };
        let tx = Tx::Validators(body.sign(&self.chain.genesis.chain_id(), &self.identity));
        self.chain.submit(&tx.encode()).await?;
        self.sets.push(set);
        let joined = self.chain.address(4)?;
        // An idle chain makes no block: entries show whether it votes.
        for number in 0..50 {
            if signs(&first, &joined)? {
                return Ok(true);
            }
            self.audit(number, &self.server).await?;
        }
        Ok(false)
    }

    /// Changes its keys on its own chain, with an hour of grace for the old server key.
    pub async fn rotate(&mut self, identity: SecretKey, server: SecretKey) -> anyhow::Result<()> {
        let body = Rotate {
            generation: self.generation()?,
            identity: identity.public(),
            server: server.public(),
            grace_millis: HOUR_MILLIS,
        };
        let id = self.chain.genesis.chain_id();
        let tx = Tx::Rotate(body.sign(&id, &self.identity, &identity, &server));
        self.chain.submit(&tx.encode()).await?;
        let keys = state::hospital_keys()
            .get(&self.snapshot()?)?
            .context("the chain has keys")?;
        ensure!(keys.identity == identity.public() && keys.server == server.public());
        (self.identity, self.server) = (identity, server);
        self.chain.submit_as(&self.identity).await
    }

    /// Puts every header and every anchor that is not on the alliance chain yet onto it; gives the number of records
    /// linked in all.
    pub async fn link(&self, target: &Chain<AllianceNode>) -> anyhow::Result<u64> {
        let tip = self.snapshot()?.newest_height()?;
        let recorded = target.nodes[1].node.chain().snapshot()?;
        let first = alliance::checkpoint_head(&recorded, &self.layout.id)?
            .map_or(1, |head| head.height.0 + 1);
        drop(recorded);
        let mut headers = Vec::new();
        for height in first..=tip {
            let head = self
                .snapshot()?
                .certified(Height(height))?
                .with_context(|| format!("private height {height} has no certificate"))?;
            let changes = head.header.next_validators != head.header.validators;
            headers.push(head.header.clone());
            // A change of the voters ends a checkpoint.
            if changes || height == tip {
                self.checkpoint(target, std::mem::take(&mut headers), head)
                    .await?;
            }
        }
        for height in first..=tip {
            let anchors = query::anchors_at(&self.snapshot()?, Height(height))?;
            if anchors.is_empty() {
                continue;
            }
            let link = Link {
                hospital: self.layout.id,
                height: Height(height),
                leaves: anchors.iter().map(Anchor::leaf).collect(),
            };
            target
                .submit(&alliance_chain::Tx::Link(link).encode())
                .await?;
        }
        let at = target.nodes[1].node.chain().clone();
        let mut records = 0;
        until("the links are on the chain", || {
            let snapshot = at.snapshot()?;
            let head = alliance_chain::state::linked(&self.layout.id).get(&snapshot)?;
            records = head.map_or(0, |head| head.records);
            Ok(alliance::linked_height(&snapshot, &self.layout.id)? >= tip)
        })
        .await?;
        Ok(records)
    }

    async fn checkpoint(
        &self,
        target: &Chain<AllianceNode>,
        headers: Vec<caduceus_ledger::Header>,
        last: CertifiedHeader,
    ) -> anyhow::Result<()> {
        let named = last.header.next_validators;
        let next_validators = if named == last.header.validators {
            None
        } else {
            let set = self.sets.iter().find(|set| set.hash() == named);
            Some(set.context("the private voters are known")?.clone())
        };
        let checkpoint = Checkpoint {
            hospital: self.layout.id,
            headers,
            certificate: last.certificate,
            next_validators,
        };
        target
            .submit(&alliance_chain::Tx::Checkpoint(checkpoint).encode())
            .await?;
        Ok(())
    }

    /// Stops its nodes.
    pub async fn stop(&mut self) {
        self.chain.close().await;
        for node in self.chain.nodes.drain(..) {
            node.stop().await;
        }
    }
}
