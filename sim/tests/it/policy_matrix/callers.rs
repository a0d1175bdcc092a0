//! Who asks, and what there is to ask for.

use super::World;
use super::requests::Ask;
use caduceus_client::ConnectOptions;
use caduceus_crypto::{Hash, MetaAddress, PublicKey, SecretKey, TimeMillis, domain};
use caduceus_custody::fhir;
use caduceus_custody::keystore::KeystoreParams;
use caduceus_custody::secret_box::seal_to;
use caduceus_custody::seed::PatientSeed;
use caduceus_network::exchange::{Register, RegisterRequest, Reply, pair_secret_context};
use caduceus_network::{Limits, Service, ServiceConfig};
use caduceus_node::NodeHome;
use hospital_server::system_clock;
use hospital_server::workstation::{UploadInput, Workstation, WorkstationConfig};
use patient_client::{Patient, Wallet};
use private_chain::{Enrol, Role, Suspend, Tx};
use rand_core::OsRng;
use sim::generator;
use std::time::Duration;

/// What a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Active(Role),
    Suspended(Role),
    /// Enrolled from tomorrow on.
    NotValid(Role),
    Stranger,
    AllianceNode,
    /// Asks under her audit key, from a peer of nobody.
    Patient,
}

/// Somebody with a connection.
pub struct Caller {
    pub kind: Kind,
    pub key: SecretKey,
    pub service: Service,
    /// A patient's audit key.
    pub audit: Option<SecretKey>,
}

impl Caller {
    async fn of(kind: Kind, key: SecretKey) -> Self {
        let service = Service::start(ServiceConfig {
            key: &key,
            listen: Vec::new(),
            limits: Limits::default(),
        })
        .await
        .unwrap();
        Self {
            kind,
            key,
            service,
            audit: None,
        }
    }

    /// Under which key the entry of a request stands.
    pub fn actor(&self, ask: Ask) -> PublicKey {
        match &self.audit {
            Some(audit) if ask.is_a_patients() => audit.public(),
            _ => self.key.public(),
        }
    }
}

/// All callers, and what they ask for.
pub struct Ward {
    pub callers: Vec<Caller>,
    /// The card of the patient with records.
    pub card: [u8; 16],
    /// The card of the patient among the callers, its desk code and its holder.
    pub her_card: [u8; 16],
    pub her_code: [u8; 5],
    pub her_meta: MetaAddress,
    pub superseded: Hash,
    pub current: Hash,
}

fn fresh() -> SecretKey {
    SecretKey::generate(&mut OsRng)
}

pub fn meta() -> MetaAddress {
    MetaAddress::new(fresh().public(), fresh().public())
}

pub fn now() -> TimeMillis {
    (system_clock())()
}

impl Ward {
    pub async fn make(world: &World) -> Self {
        let mut callers = Vec::new();
        for role in Role::ALL {
            for kind in [
                Kind::Active(role),
                Kind::Suspended(role),
                Kind::NotValid(role),
            ] {
                let key = fresh();
                enrol(world, &key, role, kind).await;
                callers.push(Caller::of(kind, key).await);
            }
        }
        let find = |role| {
            let active = |caller: &&Caller| caller.kind == Kind::Active(role);
            callers.iter().find(active).unwrap()
        };
        let (doctor, registrar) = (find(Role::Physician), find(Role::Registrar));
        let (card, superseded, current) = records(world, doctor, registrar).await;
        let (patient, her_card, her_code, her_meta) = patient(world, registrar).await;
        callers.push(patient);
        callers.push(Caller::of(Kind::Stranger, fresh()).await);
        let node = NodeHome::load(&world.layout.alliance[0]).unwrap();
        callers.push(Caller::of(Kind::AllianceNode, node.key).await);
        Self {
            callers,
            card,
            her_card,
            her_code,
            her_meta,
            superseded,
            current,
        }
    }

    pub async fn close(&self) {
        for caller in &self.callers {
            caller.service.shutdown().await;
        }
    }
}

async fn enrol(world: &World, key: &SecretKey, role: Role, kind: Kind) {
    let (chain, identity) = (
        world.private.chain().id(),
        &world.layout.hospitals[0].identity,
    );
    let day = 86_400_000;
    let begins = match kind {
        Kind::NotValid(_) => now().0 + day,
        _ => now().0 - 60_000,
    };
    let body = Enrol {
        staff: key.public(),
        role,
        label: "somebody".into(),
        not_before: TimeMillis(begins),
        not_after: TimeMillis(now().0 + 2 * day),
    };
    let mut txs = vec![Tx::Enrol(body.sign(&chain, identity))];
    if matches!(kind, Kind::Suspended(_)) {
        let body = Suspend {
            staff: key.public(),
            reason: "lost".into(),
        };
        txs.push(Tx::Suspend(body.sign(&chain, identity)));
    }
    for tx in txs {
        let waiting = world
            .private
            .submit_and_wait(tx.encode(), Duration::from_secs(10));
        waiting.await.unwrap();
    }
}

async fn station(world: &World, staff: &Caller) -> Workstation {
    Workstation::open(WorkstationConfig {
        network: world.layout.network.clone(),
        hospital: "North".to_owned(),
        staff: staff.key.clone(),
        clock: system_clock(),
    })
    .await
    .unwrap()
}

/// A patient with a record and one that replaces it, both by the doctor: her card, then the two.
async fn records(world: &World, doctor: &Caller, registrar: &Caller) -> ([u8; 16], Hash, Hash) {
    let folder = world.layout.root.join("patient");
    let params = KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap();
    let seed = PatientSeed::generate(&mut OsRng);
    let wallet = Wallet::create(&folder, &seed, "a passphrase", params).unwrap();
    let mut patient = Patient::connect(
        wallet,
        &world.layout.network,
        world.layout.genesis.clone(),
        ConnectOptions::default(),
    )
    .await
    .unwrap();
    let desk = station(world, registrar).await;
    let made = desk
        .register_patient(&patient.wallet().meta())
        .await
        .unwrap();
    patient.register(&made.qr, &made.desk_code).await.unwrap();
    let bundle = &generator::patients(1, 1, 1..=1, &["North"])[0];
    let bytes = fhir::split(bundle)
        .unwrap()
        .encounters
        .remove(0)
        .bundle_json;
    let ward = station(world, doctor).await;
    let mut visit = ward.visit(&made.qr).await.unwrap();
    let mut hashes = Vec::new();
    for amends in [None, Some(())] {
        let input = UploadInput {
            amends: amends.map(|()| hashes[0]),
            bytes: bytes.clone(),
            media_type: "application/fhir+json".to_owned(),
            own_terms: Vec::new(),
        };
        hashes.push(visit.upload(input).await.unwrap().record_hash);
    }
    desk.close().await;
    ward.close().await;
    (made.qr.card.number, hashes[0], hashes[1])
}

/// A patient who asks for herself.
async fn patient(world: &World, registrar: &Caller) -> (Caller, [u8; 16], [u8; 5], MetaAddress) {
    let hospital = &world.layout.hospitals[0];
    let meta = meta();
    let desk = station(world, registrar).await;
    let made = desk.register_patient(&meta).await.unwrap();
    desk.close().await;
    let (card, code) = (made.qr.card.number, *made.desk_code.as_bytes());
    let audit = fresh();
    let mut caller = Caller::of(Kind::Patient, fresh()).await;
    let request = registration(world, &audit, card, code, meta);
    let registered = caller
        .service
        .call::<Register>(&hospital.server_address, request)
        .await
        .unwrap();
    assert!(matches!(registered, Reply::Done(_)), "{registered:?}");
    caller.audit = Some(audit);
    (caller, card, code, meta)
}

/// A registration with a card and its desk code.
pub fn registration(
    world: &World,
    audit: &SecretKey,
    card: [u8; 16],
    desk_code: [u8; 5],
    meta: MetaAddress,
) -> RegisterRequest {
    let hospital = &world.layout.hospitals[0];
    let sealed_pair_secret = seal_to(
        &mut OsRng,
        &hospital.keys.public(),
        domain::PAIR_SECRET_BOX,
        &pair_secret_context(&card),
        &[7; 32],
    );
    RegisterRequest {
        hospital: hospital.id,
        card,
        desk_code,
        meta,
        sealed_pair_secret,
        audit_key: audit.public(),
        at: now(),
        signature: caduceus_crypto::Signature([0; 64]),
    }
    .signed_for_registration(audit)
}
