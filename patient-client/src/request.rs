//! What data users ask for, as the alliance chain has it (DESIGN 2.4).

use crate::error::PatientError;
use crate::patient::Patient;
use alliance_chain::RequestRecord;
use alliance_chain::state;
use caduceus_crypto::Hash;

/// A request that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// The `Request` transaction.
    pub id: Hash,
    /// The request, proved.
    pub record: RequestRecord,
    /// What the data user's account says, proved.
    pub label: String,
    /// The member that vouches for the data user, by name; none if there is no account.
    pub vouched_by: Option<String>,
}

impl Patient {
    /// All requests that have not ended, newest first; proved, and proved complete.
    ///
    /// # Errors
    /// Those of `Alliance::get`.
    pub async fn requests(&self) -> Result<Vec<RequestView>, PatientError> {
        let now = self.alliance.now();
        let mut views = Vec::new();
        for id in self
            .alliance
            .items(&state::requests())
            .await?
            .into_iter()
            .rev()
        {
            let Some(record) = self.alliance.get(&state::request(&id)).await? else {
                continue;
            };
            if record.request.until <= now {
                continue;
            }
            let account = self
                .alliance
                .get(&state::account(&record.request.data_user))
                .await?;
            let vouched_by = account
                .as_ref()
                .map(|known| self.name_of(&known.account.member));
            let label = account.map_or_else(String::new, |known| known.account.label);
            views.push(RequestView {
                id,
                record,
                label,
                vouched_by,
            });
        }
        Ok(views)
    }
}
