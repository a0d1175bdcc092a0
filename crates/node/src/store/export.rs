//! All rows of one height, in the order of a snapshot: space by space, each in key order.

use super::{Snapshot, StoreError};
use caduceus_ledger::Space;

impl Snapshot {
    /// Hands over every row of the state, in order, until told to stop by an error.
    ///
    /// # Errors
    /// When the database fails, and whatever `take` returns.
    pub(crate) fn export<E: From<StoreError>>(
        &self,
        mut take: impl FnMut(Space, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (space, table) in [(Space::Auth, &self.auth), (Space::Bulk, &self.bulk)] {
            for row in table.range::<&[u8]>(..).map_err(StoreError::from)? {
                let (key, value) = row.map_err(StoreError::from)?;
                take(space, key.value(), value.value())?;
            }
        }
        self.index
            .each_in_order(|key, value| take(Space::Index, key, value))
    }
}
