//! The demo's summary: what `--output json` prints, and what must hold in it.

use super::DemoOptions;
use super::random::RandomSummary;
use super::versions::Versions;
use super::world::World;
use serde::Serialize;

/// Milliseconds of a set of operations.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
}

impl Percentiles {
    /// Of these times, in milliseconds; zeros if there are none.
    pub fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(index).copied().unwrap_or(0)
        };
        Self {
            p50: at(50),
            p99: at(99),
        }
    }
}

/// One search.
#[derive(Clone, Debug, Serialize)]
pub struct SearchRow {
    /// What the patient typed.
    pub query: String,
    /// The hospitals searched.
    pub hospitals: Vec<String>,
    /// Records that the plaintext has, by the oracle.
    pub expected: usize,
    /// Records found.
    pub found: usize,
    /// Whether these are the same records.
    pub same_records: bool,
    /// Whether every answer was proved against a certified block.
    pub verified: bool,
    /// Milliseconds from the query to the verified answer.
    pub ms: u64,
}

/// The grant to the data user.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GrantSummary {
    /// Fragments needed.
    pub threshold: usize,
    /// Proxies.
    pub proxies: usize,
    /// Records granted.
    pub records: usize,
    /// Records that the data user opened.
    pub opened_by_data_user: usize,
    /// Whether they are the uploaded ones, byte for byte.
    pub match_source: bool,
    /// Whether a doctor of another hospital opened the record shared with her.
    pub opened_by_doctor_elsewhere: bool,
}

/// What was refused. Each is true if the attempt was made and failed, and its control succeeded.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Refused {
    /// Fragments without a committed access.
    pub before_access: bool,
    /// Opening with fewer fragments than the threshold.
    pub below_threshold: bool,
    /// Fragments of one record on another.
    pub other_record: bool,
    /// A head 91 s old.
    pub stale_head: bool,
    /// Anything after the revocation.
    pub after_revoke: bool,
    /// Another data user with the same ticket.
    pub stranger: bool,
}

/// What was altered, and whether it was noticed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tamper {
    /// A byte of a ciphertext in the vault.
    pub ciphertext_altered: String,
    /// A private block, certified again by all its validators.
    pub private_block_rewritten: String,
    /// A patient's keys, swapped by the server.
    pub meta_address_substituted: String,
}

/// The audit logs of all hospitals.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Audit {
    /// Entries on the private chains.
    pub entries: u64,
    /// Actions counted at the servers without a committed entry.
    pub unlogged_actions: usize,
    /// Actions counted.
    pub actions: usize,
    /// Entries that the first patient sees about herself.
    pub patient_access_log_entries: usize,
}

/// The chains at the end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChainsSummary {
    /// Height of the alliance chain.
    pub alliance_height: u64,
    /// Heights of the private chains.
    pub private_heights: Vec<u64>,
    /// Whether all validators of each chain hold the same blocks.
    pub validators_agree: bool,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Hospitals.
    pub hospitals: usize,
    /// Validators of the alliance.
    pub alliance_validators: usize,
    /// Validators of each private chain.
    pub private_validators_per_hospital: usize,
    /// The engine.
    pub engine: &'static str,
    /// How records are indexed.
    pub scheme: &'static str,
    /// Patients.
    pub patients: usize,
    /// Records uploaded.
    pub records: usize,
    /// Index tags of all records, padding included.
    pub index_tags: usize,
    /// From sealing to the receipt.
    pub upload_ms: Percentiles,
    /// The searches.
    pub searches: Vec<SearchRow>,
    /// Random queries, if any were asked for.
    pub random_queries: Option<RandomSummary>,
    /// Records that their patients opened.
    pub records_opened: usize,
    /// Whether each is the uploaded one, byte for byte.
    pub opened_match_source: bool,
    /// Versions, local searches, verification.
    pub versions: Versions,
    /// The grant.
    pub grant: GrantSummary,
    /// What was refused.
    pub refused: Refused,
    /// What was altered.
    pub tamper: Tamper,
    /// The audit logs.
    pub audit: Audit,
    /// The chains.
    pub chains: ChainsSummary,
    /// Validators killed (SIGKILL) in the middle.
    pub killed: usize,
    /// Of these, those back at their chain's height at the end.
    pub killed_and_rejoined: usize,
    /// Seconds in all.
    pub wall_s: f64,
    /// Peak memory of all processes, MiB.
    pub peak_rss_mib: u64,
}

const DETECTED: &str = "detected";

impl Summary {
    /// Nothing done yet.
    pub fn new(world: &World, options: &DemoOptions) -> Self {
        Self {
            hospitals: world.layout.hospitals.len(),
            alliance_validators: world.layout.alliance.len(),
            private_validators_per_hospital: world
                .layout
                .hospitals
                .first()
                .map_or(0, |h| h.nodes.len()),
            engine: options.engine.as_str(),
            scheme: options.scheme.as_str(),
            patients: world.people.len(),
            records: 0,
            index_tags: 0,
            upload_ms: Percentiles::default(),
            searches: Vec::new(),
            random_queries: None,
            records_opened: 0,
            opened_match_source: false,
            versions: Versions::default(),
            grant: GrantSummary::default(),
            refused: Refused::default(),
            tamper: Tamper::default(),
            audit: Audit::default(),
            chains: ChainsSummary::default(),
            killed: 0,
            killed_and_rejoined: 0,
            wall_s: 0.0,
            peak_rss_mib: 0,
        }
    }

    /// Marks a tampering as noticed or not.
    pub fn verdict(noticed: bool) -> String {
        if noticed {
            DETECTED.to_owned()
        } else {
            "NOT DETECTED".to_owned()
        }
    }

    /// Every check by name, and whether it holds.
    pub fn checks(&self) -> Vec<(String, bool)> {
        let mut checks = vec![
            ("records were uploaded".to_owned(), self.records > 0),
            (
                "at least ten searches".to_owned(),
                self.searches.len() >= 10,
            ),
        ];
        for search in &self.searches {
            let same = search.expected == search.found && search.same_records && search.verified;
            checks.push((
                format!("search {:?} equals the plaintext", search.query),
                same,
            ));
        }
        if let Some(random) = &self.random_queries {
            checks.push((
                format!("{} random queries equal the plaintext", random.asked),
                random.asked > 0 && random.equal == random.asked && random.with_matches > 0,
            ));
        }
        let versions = &self.versions;
        let grant = &self.grant;
        let refused = &self.refused;
        let detected = |text: &str| text == DETECTED;
        checks.extend(
            [
                (
                    "every record was opened",
                    self.records_opened == self.records,
                ),
                (
                    "opened records are the uploaded ones",
                    self.opened_match_source,
                ),
                (
                    "a search shows the newest version and says that earlier ones exist",
                    versions.newest_version_shown && versions.new_words_found,
                ),
                (
                    "local searches have the same answers",
                    versions.local_searches > 0
                        && versions.local_searches_equal == versions.local_searches,
                ),
                (
                    "verification finds an honest network in order",
                    versions.records_verified > self.records && versions.false_findings == 0,
                ),
                (
                    "a broken promise becomes a report",
                    versions.broken_promise_reported,
                ),
                (
                    "the data user opened what was granted",
                    grant.records > 0 && grant.opened_by_data_user == grant.records,
                ),
                (
                    "what the data user opened is the uploaded one",
                    grant.match_source,
                ),
                (
                    "the doctor elsewhere opened what was shared",
                    grant.opened_by_doctor_elsewhere,
                ),
                ("refused before access", refused.before_access),
                ("refused below the threshold", refused.below_threshold),
                ("refused for another record", refused.other_record),
                ("refused: stale head", refused.stale_head),
                ("refused after revocation", refused.after_revoke),
                ("refused to a stranger", refused.stranger),
                (
                    "altered ciphertext detected",
                    detected(&self.tamper.ciphertext_altered),
                ),
                (
                    "rewritten private block detected",
                    detected(&self.tamper.private_block_rewritten),
                ),
                (
                    "substituted meta-address detected",
                    detected(&self.tamper.meta_address_substituted),
                ),
                ("the servers acted", self.audit.actions > 0),
                (
                    "no action without an entry",
                    self.audit.unlogged_actions == 0,
                ),
                (
                    "the patient sees her access log",
                    self.audit.patient_access_log_entries > 0,
                ),
                (
                    "killed validators are back",
                    self.killed == self.killed_and_rejoined,
                ),
                ("validators agree", self.chains.validators_agree),
            ]
            .map(|(name, holds)| (name.to_owned(), holds)),
        );
        checks
    }
}
