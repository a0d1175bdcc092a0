//! Which policy set is in force, as the private chain proves it; remembered for two seconds.

use crate::chain::{ChainClient, ChainError};
use private_chain::policy::{Decision, Limits, PolicyRecord, Question, explain};
use private_chain::state;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long an answer of the chain counts: a new policy is effective within it.
const MEMORY: Duration = Duration::from_secs(2);

/// How often the bounds are asked for while no node tells them.
const RETRY: Duration = Duration::from_millis(500);

/// What a denied question is called where rules have names.
pub(crate) const RULE: &str = "policy";

/// Asks the private chain for its policies, and them for decisions; clones share the memory.
#[derive(Clone)]
pub(crate) struct Policies {
    chain: ChainClient,
    remembered: Arc<Mutex<Option<(Instant, Arc<PolicyRecord>)>>>,
    limits: watch::Sender<Option<Limits>>,
}

impl Policies {
    pub(crate) fn new(chain: ChainClient) -> Self {
        Self {
            chain,
            remembered: Arc::new(Mutex::new(None)),
            limits: watch::channel(None).0,
        }
    }

    /// The bounds of the audit log by the policy of the newest decision; unknown before the first. Each action is
    /// decided before it is entered, so an entry is counted by bounds that are at most [`MEMORY`] old.
    pub(crate) fn limits(&self) -> watch::Receiver<Option<Limits>> {
        self.limits.subscribe()
    }

    /// Makes the bounds known, as soon as a node tells them.
    pub(crate) async fn learn_limits(&self) {
        while self.limits.borrow().is_none() {
            match self.record().await {
                Ok(record) => self.publish(&record),
                Err(error) => {
                    tracing::info!(%error, "the bounds of the audit log are not known yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn publish(&self, record: &PolicyRecord) {
        let limits = Some(record.limits_at(self.chain.height().next()));
        self.limits.send_if_modified(|before| {
            let differs = *before != limits;
            if differs {
                *before = limits;
            }
            differs
        });
    }

    /// Answers a question by the policy that the next block is judged by.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`] when no node proves which one that is, or it is none for this program.
    pub(crate) async fn decide(&self, question: &Question) -> Result<Decision, ChainError> {
        let record = self.record().await?;
        let set = record.set_at(self.chain.height().next());
        let set = set.map_err(|error| ChainError::Unavailable {
            detail: format!("the policy on the chain: {error}"),
        })?;
        self.publish(&record);
        Ok(set.decide(question))
    }

    /// Why a question is denied; none if it is not.
    ///
    /// # Errors
    /// Those of [`Self::decide`].
    pub(crate) async fn denial(&self, question: &Question) -> Result<Option<String>, ChainError> {
        let decision = self.decide(question).await?;
        Ok((!decision.allowed).then(|| explain(question, &decision)))
    }

    /// The policies as the chain has them.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    pub(crate) async fn record(&self) -> Result<Arc<PolicyRecord>, ChainError> {
        if let Some(record) = self.recall() {
            return Ok(record);
        }
        let asked = Instant::now();
        let place = state::policy();
        let record = match self.chain.state(place.bytes()).await? {
            None => PolicyRecord::default(),
            Some(bytes) => place
                .decode(&bytes)
                .map_err(|error| ChainError::Unavailable {
                    detail: error.to_string(),
                })?,
        };
        let mut record = Arc::new(record);
        let mut remembered = self.lock();
        // A slower node may tell what was before: proposals are numbered.
        if let Some((_, newer)) = remembered
            .as_ref()
            .filter(|(_, known)| known.generation > record.generation)
        {
            record = Arc::clone(newer);
        }
        *remembered = Some((asked, Arc::clone(&record)));
        Ok(record)
    }

    fn recall(&self) -> Option<Arc<PolicyRecord>> {
        let remembered = self.lock();
        let (asked, record) = remembered.as_ref()?;
        (asked.elapsed() < MEMORY).then(|| Arc::clone(record))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<PolicyRecord>)>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
