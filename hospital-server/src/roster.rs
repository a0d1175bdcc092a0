//! Who is staff, as the private chain proves it; remembered for two seconds.

use crate::chain::{ChainClient, ChainError};
use caduceus_crypto::{PublicKey, TimeMillis};
use private_chain::{Role, StaffRecord, state};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer of the chain counts: a suspension is effective within it.
const MEMORY: Duration = Duration::from_secs(2);

/// Keys remembered at once.
const MAX_REMEMBERED: usize = 4096;

/// What a key is at this hospital now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Enrolled and in good standing.
    Active(Role),
    /// Enrolled once, but suspended.
    Suspended(Role),
    /// Enrolled, but not for now.
    NotValid(Role),
    /// Not enrolled.
    Stranger,
}

impl Standing {
    fn of(record: Option<&StaffRecord>, now: TimeMillis) -> Self {
        match record {
            None => Self::Stranger,
            Some(staff) if staff.suspended_at.is_some() => Self::Suspended(staff.role),
            Some(staff) if !staff.covers(now) => Self::NotValid(staff.role),
            Some(staff) => Self::Active(staff.role),
        }
    }
}

type Remembered = HashMap<PublicKey, (Instant, Option<StaffRecord>)>;

/// Asks the private chain about keys; clones share the memory.
#[derive(Clone)]
pub(crate) struct Roster {
    chain: ChainClient,
    remembered: Arc<Mutex<Remembered>>,
}

impl Roster {
    pub(crate) fn new(chain: ChainClient) -> Self {
        Self {
            chain,
            remembered: Arc::new(Mutex::new(HashMap::new())),
        }
    }

    /// What the key is at this time.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`] when no node gives an answer that verifies.
    pub(crate) async fn standing(
        &self,
        key: &PublicKey,
        now: TimeMillis,
    ) -> Result<Standing, ChainError> {
        if let Some(record) = self.recall(key) {
            return Ok(Standing::of(record.as_ref(), now));
        }
        let asked = Instant::now();
        let place = state::staff(key);
        let record = match self.chain.state(place.bytes()).await? {
            None => None,
            Some(bytes) => Some(
                place
                    .decode(&bytes)
                    .map_err(|error| ChainError::Unavailable {
                        detail: error.to_string(),
                    })?,
            ),
        };
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(*key, (asked, record.clone()));
        drop(remembered);
        Ok(Standing::of(record.as_ref(), now))
    }

    fn recall(&self, key: &PublicKey) -> Option<Option<StaffRecord>> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (asked, record) = remembered.get(key)?;
        (asked.elapsed() < MEMORY).then(|| record.clone())
    }
}
