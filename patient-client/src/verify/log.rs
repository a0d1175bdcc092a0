//! The hospital's own log against what it linked.

use super::outcome::{HospitalVerified, VerifyOutcome};
use super::told;
use super::warning::Caution;
use crate::error::PatientError;
use crate::patient::Patient;
use caduceus_client::{Hospital, LinkedHistory, ephemeral_service, fetch_receipt};
use caduceus_crypto::Hash;
use caduceus_crypto::evidence::Receipt;
use std::collections::BTreeSet;

/// Receipts that are asked for at one hospital. Servers count how many strangers get in a minute.
const MAX_ASKED: usize = 16;

impl Patient {
    /// Compares what the hospital's own log says it stored of hers with what it linked. For what is not linked the
    /// receipt is asked for: with one, it is judged as a promise; without, there may have been no record.
    pub(super) async fn check_log(
        &mut self,
        site: &Hospital,
        history: &LinkedHistory,
        summary: &mut HospitalVerified,
        outcome: &mut VerifyOutcome,
    ) -> Result<(), PatientError> {
        if self.state().card(&site.id).is_none() {
            return Ok(());
        }
        let log = self.uploads_in_log(&site.id).await?;
        if let Some(problem) = log.problem {
            outcome.unread_logs.push((site.name.clone(), problem));
        }
        let linked: BTreeSet<Hash> = history
            .leaves()
            .map(|linked| linked.leaf.record_hash)
            .collect();
        let promised: BTreeSet<Hash> = self
            .state()
            .receipts
            .iter()
            .filter(|receipt| receipt.hospital == site.id)
            .map(|receipt| receipt.record_hash)
            .collect();
        let now = history.head.header.time;
        let mut stored = told::stored_not_linked(&log.entries, &linked, &promised, now);
        // Newest first: of those that are too many to be asked for, the older ones were asked for before.
        stored.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        for (asked, (record, stored)) in stored.into_iter().enumerate() {
            let receipt = if asked < MAX_ASKED {
                self.receipt_of(site, record).await
            } else {
                Err(format!("only {MAX_ASKED} are asked for at once"))
            };
            match receipt {
                Ok(receipt) => {
                    self.check_receipt(site, &receipt, history, summary, outcome)
                        .await?;
                }
                Err(reason) => {
                    outcome.warn(site, record, Caution::Unconfirmed { stored, reason });
                }
            }
        }
        Ok(())
    }

    /// The hospital's receipt of a record of hers, which is kept; or why there is none. Each is asked for by a peer
    /// identifier of its own.
    async fn receipt_of(&mut self, site: &Hospital, record: Hash) -> Result<Receipt, String> {
        let service = ephemeral_service()
            .await
            .map_err(|error| error.to_string())?;
        let who = format!("the server of {}", site.name);
        let fetched = fetch_receipt(&service, &who, &site.server, record).await;
        service.shutdown().await;
        let receipt = fetched.map_err(|error| error.to_string())?;
        if receipt.record_hash != record || receipt.hospital != site.id {
            return Err("the hospital gave the receipt of another record".to_owned());
        }
        self.add_receipt(receipt.clone())
            .map_err(|error| error.to_string())?;
        Ok(receipt)
    }
}
