//! Staff and a patient at work, who remember what they were told.

use super::compare::Told;
use crate::ward::{Answer, Asked, Inpatient, Member, Ward};
use caduceus_crypto::Hash;
use hospital_server::workstation::{UploadInput, Uploaded, WorkstationError};
use private_chain::{Outcome, Role};
use rand::Rng;
use rand::seq::SliceRandom;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// Between two requests of one person.
const PAUSE: Duration = Duration::from_millis(40);

/// After a request without an answer.
const AFTER_SILENCE: Duration = Duration::from_millis(150);

/// Longest that a request is waited for: a killed server resets most of them at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Physicians who upload, and readers of what they uploaded.
const EACH: usize = 2;

/// Records among which readers choose.
const REMEMBERED: usize = 64;

struct Shared {
    told: Mutex<Vec<Told>>,
    unanswered: AtomicUsize,
    stored: Mutex<Vec<Uploaded>>,
    stop: AtomicBool,
    patient: Inpatient,
    registrar: Member,
    physicians: Vec<Member>,
}

/// Running people.
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Enrols staff, admits a patient, and sets them to work.
    ///
    /// # Errors
    /// When the hospital does not take them in.
    pub async fn start(ward: &Ward) -> anyhow::Result<Self> {
        let admin = ward.administrator().await?;
        let registrar = ward.member(&admin, Role::Registrar).await?;
        let mut physicians = Vec::new();
        for _ in 0..EACH {
            physicians.push(ward.member(&admin, Role::Physician).await?);
        }
        admin.close().await;
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            unanswered: AtomicUsize::new(0),
            stored: Mutex::default(),
            stop: AtomicBool::new(false),
            patient: Inpatient::arrive(&ward.layout, &registrar).await?,
            registrar,
            physicians,
        });
        let mut tasks = JoinSet::new();
        for n in 0..EACH {
            tasks.spawn(upload(shared.clone(), n));
            tasks.spawn(read(shared.clone()));
        }
        tasks.spawn(look_up(shared.clone()));
        tasks.spawn(overreach(shared.clone()));
        Ok(Self { shared, tasks })
    }

    /// What they were told.
    pub fn told(&self) -> Vec<Told> {
        let told = self.shared.told.lock();
        told.expect("no holder of this lock panics").clone()
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> usize {
        self.shared.unanswered.load(Ordering::SeqCst)
    }

    /// Lets everybody finish what they wait for.
    pub async fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Closes their connections.
    pub async fn close(self) {
        self.shared.patient.close().await;
        self.shared.registrar.close().await;
        for physician in &self.shared.physicians {
            physician.close().await;
        }
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn note(&self, told: Told) {
        let mut all = self.told.lock().expect("no holder of this lock panics");
        all.push(told);
    }

    async fn silence(&self) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(AFTER_SILENCE).await;
    }

    /// Notes what a request brought.
    async fn heard(&self, subtype: &'static str, record: Option<Hash>, asked: Option<Asked>) {
        let outcome = match &asked {
            Some((_, Answer::Done)) => Outcome::Success,
            Some((_, Answer::Denied(_))) => Outcome::Denied,
            _ => return self.silence().await,
        };
        let request = match (record, asked) {
            (None, Some((request, _))) => Some(hex::encode(request)),
            _ => None,
        };
        self.note(Told {
            request,
            subtype,
            record,
            outcome,
        });
        let pause = PAUSE.mul_f64(rand::thread_rng().gen_range(0.5..1.5));
        tokio::time::sleep(pause).await;
    }
}

async fn patiently<T>(asking: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, asking).await.ok()
}

/// Uploads one record after another, in visits that last until something goes wrong.
async fn upload(shared: Arc<Shared>, n: usize) {
    let station = shared.physicians[n].station();
    while !shared.is_stopped() {
        let Some(Ok(mut visit)) = patiently(station.visit(&shared.patient.card)).await else {
            shared.silence().await;
            continue;
        };
        while !shared.is_stopped() {
            let note: u64 = rand::thread_rng().r#gen();
            let input = UploadInput {
                bytes: format!("note {note:016x}").into_bytes(),
                media_type: "text/plain".to_owned(),
                own_terms: vec![format!("note{note:016x}")],
                amends: None,
            };
            match patiently(visit.upload(input)).await {
                Some(Ok(stored)) => {
                    let record = Some(stored.record_hash);
                    remember(&shared, stored);
                    let asked = Some(([0; 16], Answer::Done));
                    shared.heard("upload", record, asked).await;
                }
                Some(Err(WorkstationError::Denied { rule, .. })) => {
                    tracing::warn!(%rule, "an upload was denied");
                    break;
                }
                _ => {
                    shared.silence().await;
                    break;
                }
            }
        }
    }
}

fn remember(shared: &Shared, stored: Uploaded) {
    let mut all = shared.stored.lock().expect("no holder of this lock panics");
    if all.len() >= REMEMBERED {
        let oldest = rand::thread_rng().gen_range(0..REMEMBERED);
        all.swap_remove(oldest);
    }
    all.push(stored);
}

/// The patient fetches records of hers.
async fn read(shared: Arc<Shared>) {
    while !shared.is_stopped() {
        let chosen = {
            let all = shared.stored.lock().expect("no holder of this lock panics");
            all.choose(&mut rand::thread_rng()).cloned()
        };
        let Some(stored) = chosen else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let answer = patiently(shared.patient.fetch(&stored)).await;
        let asked = match answer {
            Some(Ok(answer)) => Some(([0; 16], answer)),
            _ => None,
        };
        let record = Some(stored.record_hash);
        shared.heard("fetch-record", record, asked).await;
    }
}

/// The registrar looks up the card.
async fn look_up(shared: Arc<Shared>) {
    while !shared.is_stopped() {
        let asked = patiently(shared.registrar.look_up(&shared.patient.card, None)).await;
        shared.heard("meta-lookup", None, asked).await;
    }
}

/// A physician tries to make cards, and the registrar asks for index keys.
async fn overreach(shared: Arc<Shared>) {
    let (physician, registrar) = (&shared.physicians[0], &shared.registrar);
    while !shared.is_stopped() {
        let meta = shared.patient.meta();
        let asked = patiently(physician.make_card(meta)).await;
        shared.heard("register-patient", None, asked).await;
        let asked = patiently(registrar.index_key(&shared.patient.card)).await;
        shared.heard("index-key", None, asked).await;
    }
}
