//! The policy in force, asked through the real server: every kind of caller sends every kind of request to a running
//! hospital, and what became of it is read from the log on the chain. A caller's entry says whether the policy denied
//! it; what it should have said is written down here a second time, from DESIGN 5.2.

mod callers;
mod requests;

use caduceus_network::PeerAddr;
use caduceus_node::Node;
use callers::{Caller, Kind};
use hospital_server::server::ROUTES;
use private_chain::policy::Operation;
use private_chain::{Actor, AuditEntry, Outcome, PrivateMachine, query};
use requests::{Ask, Told};
use sim::layout::Layout;
use sim::loopback::{Chains, Prober};
use sim::servers::{CountingJournal, Servers};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// What strangers ask for in a minute before it is summed up: the server has 60, and some are not counted here.
const STRANGERS_A_MINUTE: usize = 50;

struct World {
    _folder: tempfile::TempDir,
    layout: Layout,
    chains: Chains,
    servers: Servers,
    private: Arc<Node<PrivateMachine>>,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = crate::one_hospital();
        let layout = Layout::create(&folder.path().join("network"), &spec).unwrap();
        let chains = Chains::start(&layout, &[]).await.unwrap();
        let nodes = layout
            .network
            .alliance
            .nodes
            .iter()
            .chain(&layout.network.hospitals[0].nodes);
        let addresses: Vec<PeerAddr> = nodes.map(|node| node.service.parse().unwrap()).collect();
        let prober = Prober::start().await.unwrap();
        prober.all_answer(&addresses, PATIENCE).await.unwrap();
        prober.service().shutdown().await;
        let servers = Servers::start(&layout, Arc::new(CountingJournal::default()))
            .await
            .unwrap();
        let mut tip = chains.alliance(0).unwrap().node.chain().watch_tip();
        let first = tip.wait_for(|tip| tip.height.0 > 0);
        tokio::time::timeout(PATIENCE, first)
            .await
            .unwrap()
            .unwrap();
        let private = chains.private_here(0).next().unwrap().node.clone();
        Self {
            _folder: folder,
            layout,
            chains,
            servers,
            private,
        }
    }

    fn entries_so_far(&self) -> u64 {
        query::audit_count(&self.private.chain().snapshot().unwrap()).unwrap()
    }

    /// The entries from a sequence number on, opened.
    fn entries_since(&self, from: u64) -> Vec<AuditEntry> {
        let snapshot = self.private.chain().snapshot().unwrap();
        let count = query::audit_count(&snapshot).unwrap();
        let (mut first, mut found) = (from, Vec::new());
        while first < count {
            for (start, place, batch) in query::audit_batches(&snapshot, first, 100).unwrap() {
                first = start + u64::from(place.count);
                for (index, sealed) in (0u32..).zip(&batch.entries) {
                    if start + u64::from(index) < from {
                        continue;
                    }
                    let key = self.chains.bucket_key(0, &sealed.bucket()).unwrap();
                    found.push(batch.open(index, &key).unwrap());
                }
            }
        }
        found
    }
}

/// DESIGN 5.2 and section 2, of what can be asked of a server: may this caller have it?
fn may(kind: Kind, ask: Ask) -> bool {
    use private_chain::Role::{Administrator, Auditor, Nurse, Physician, Registrar};
    let receipt = matches!(ask, Ask::Receipt(Told::Current | Told::Superseded));
    let Kind::Active(role) = kind else {
        return match (kind, ask) {
            (Kind::Suspended(_) | Kind::NotValid(_), _) => false,
            (Kind::AllianceNode, Ask::Relay(_)) => true,
            (Kind::Patient, Ask::Tokens | Ask::Register | Ask::LogOfPatient) => true,
            _ => receipt,
        };
    };
    match ask {
        Ask::RegisterPatient => matches!(role, Registrar | Administrator),
        Ask::MetaLookup => true,
        Ask::IndexKey | Ask::Upload | Ask::Amend(_) => matches!(role, Physician | Nurse),
        Ask::LogOwnAction | Ask::EmergencyReview => true,
        Ask::EmergencyRequest => role == Physician,
        Ask::WholeLog | Ask::LogOfOneself => matches!(role, Auditor | Administrator),
        Ask::LogOthersAction | Ask::Relay(_) => false,
        Ask::Tokens | Ask::Register | Ask::LogOfPatient => false,
        Ask::Receipt(_) => receipt,
    }
}

/// What the log says of a request: whether it was let through, and why not.
fn judged(entries: &[AuditEntry], caller: &Caller, ask: Ask) -> (bool, String) {
    let hers: Vec<&AuditEntry> = entries
        .iter()
        .filter(|entry| entry.actor == Actor::Key(caller.actor(ask)))
        .collect();
    // Parts of an upload have no entry of their own, and a node's attempt ends with the claim that it carries.
    let Some(denied) = hers.iter().find(|entry| entry.outcome == Outcome::Denied) else {
        let logged = !hers.is_empty() || ask == Ask::Upload;
        assert!(
            logged,
            "{:?} {ask:?} has no entry: {entries:?}",
            caller.kind
        );
        return (true, String::new());
    };
    let reason = denied.reason.to_string();
    let by_policy = reason.starts_with("policy: ");
    let absent = reason == "no such record";
    let no_right = ask.is_a_patients() && caller.kind != Kind::Patient;
    let others = reason.starts_with("entry_actor");
    (!(by_policy || absent || no_right || others), reason)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_request_ends_as_the_policy_says_and_each_denial_is_in_the_log() {
    let mut world = World::start().await;
    let ward = callers::Ward::make(&world).await;
    let asked: BTreeSet<Operation> = Ask::ALL.iter().map(|ask| ask.operation()).collect();
    for (protocol, operations) in ROUTES {
        for operation in *operations {
            // A record is fetched under the patient's or a grant's signature; the node's own part is asked here.
            // A word on emergencies counts under the patient's own view key.
            let carried = matches!(
                operation,
                Operation::FetchRecord | Operation::EmergencyConsent
            );
            assert!(
                carried || asked.contains(operation),
                "{protocol}: {operation} is not asked"
            );
        }
    }
    let (mut cases, mut allowed, mut denials, mut by_policy) = (0, 0, 0, 0);
    let mut turned_away: VecDeque<Instant> = VecDeque::new();
    let mut wrong = Vec::new();
    for caller in &ward.callers {
        for ask in Ask::ALL {
            if *ask == Ask::LogOfPatient && caller.kind != Kind::Patient {
                continue;
            }
            // Whenever the server's minutes begin: no minute has more.
            while turned_away.len() >= STRANGERS_A_MINUTE {
                let oldest = turned_away.pop_front().unwrap();
                tokio::time::sleep(Duration::from_secs(61).saturating_sub(oldest.elapsed())).await;
            }
            let before = world.entries_so_far();
            requests::send(&world, &ward, caller, *ask).await;
            let entries = world.entries_since(before);
            let (let_through, reason) = judged(&entries, caller, *ask);
            cases += 1;
            allowed += usize::from(let_through);
            denials += usize::from(!let_through);
            by_policy += usize::from(reason.starts_with("policy: "));
            let known = matches!(
                caller.kind,
                Kind::Active(_) | Kind::Suspended(_) | Kind::NotValid(_)
            );
            if !known || (!let_through && !reason.starts_with("policy: ")) {
                turned_away.push_back(Instant::now());
            }
            if let_through != may(caller.kind, *ask) {
                wrong.push(format!("{:?} {ask:?}: {let_through} {reason}", caller.kind));
            }
        }
    }
    println!(
        "{cases} cases at the server, {allowed} allowed, {denials} denials in the log, {by_policy} by the policy, {} wrong",
        wrong.len()
    );
    ward.close().await;
    world.servers.stop().await;
    world.chains.stop().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        cases >= 300 && allowed >= 45 && by_policy >= 150,
        "{cases} {allowed} {by_policy}"
    );
}
