//! Who is staff, as the private chain proves it; remembered for two seconds.

use crate::chain::{ChainClient, ChainError};
use caduceus_crypto::{PublicKey, TimeMillis};
use private_chain::policy::Principal;
use private_chain::{Role, StaffRecord, state};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer of the chain counts: a suspension is effective within it.
const MEMORY: Duration = Duration::from_secs(2);

/// Keys remembered at once.
const MAX_REMEMBERED: usize = 4096;

/// What a key is at this hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The key.
    pub(crate) key: PublicKey,
    /// Its role, suspended or not valid as it may be; none if it was never enrolled.
    pub(crate) role: Option<Role>,
    /// What policies judge: a member of staff, or a stranger.
    pub(crate) principal: Principal,
}

impl Known {
    fn of(key: &PublicKey, record: Option<&StaffRecord>, now: TimeMillis) -> Self {
        Self {
            key: *key,
            role: record.map(|staff| staff.role),
            principal: match record {
                Some(staff) => Principal::staff(key, staff, now),
                None => Principal::Stranger {
                    id: key.to_string(),
                },
            },
        }
    }

    /// Whether she was never enrolled here.
    pub(crate) fn is_stranger(&self) -> bool {
        self.role.is_none()
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
    pub(crate) async fn who(&self, key: &PublicKey, now: TimeMillis) -> Result<Known, ChainError> {
        if let Some(record) = self.recall(key) {
            return Ok(Known::of(key, record.as_ref(), now));
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
        Ok(Known::of(key, record.as_ref(), now))
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
