//! Receipts judged, and broken promises reported.

use super::fault::{Fault, Reported};
use super::outcome::{HospitalVerified, VerifyOutcome};
use super::receipts::{self, Verdict};
use super::warning::Caution;
use crate::error::PatientError;
use crate::patient::Patient;
use crate::state::OwnReport;
use alliance_chain::Tx;
use caduceus_client::{ClientError, Hospital, LinkedHistory};
use caduceus_crypto::SecretKey;
use caduceus_crypto::evidence::Receipt;
use rand_core::OsRng;

impl Patient {
    /// Judges her receipts of a hospital, and reports those that were not kept.
    pub(super) async fn check_receipts(
        &mut self,
        site: &Hospital,
        history: &LinkedHistory,
        summary: &mut HospitalVerified,
        outcome: &mut VerifyOutcome,
    ) -> Result<(), PatientError> {
        let promised: Vec<Receipt> = self
            .state()
            .receipts
            .iter()
            .filter(|receipt| receipt.hospital == site.id)
            .cloned()
            .collect();
        for receipt in promised {
            self.check_receipt(site, &receipt, history, summary, outcome)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn check_receipt(
        &mut self,
        site: &Hospital,
        receipt: &Receipt,
        history: &LinkedHistory,
        summary: &mut HospitalVerified,
        outcome: &mut VerifyOutcome,
    ) -> Result<(), PatientError> {
        summary.receipts += 1;
        let linked = receipts::linked_under(history, receipt);
        let verdict = receipts::judge(receipt, linked, history.head.header.time);
        let deadline = receipt.link_deadline;
        let fault = match verdict {
            Verdict::Kept => return Ok(()),
            Verdict::Due => {
                summary.due += 1;
                return Ok(());
            }
            Verdict::Late => {
                outcome.warn(site, receipt.record_hash, Caution::Late { deadline });
                return Ok(());
            }
            Verdict::Missed => Fault::MissedDeadline { deadline },
            Verdict::Differs {
                at,
                record_hash,
                entries_hash,
                other_pseudonym,
            } => Fault::NotAsPromised {
                at,
                record_hash,
                entries_hash,
                other_pseudonym,
            },
        };
        let reported = self.report(receipt, &verdict, history).await?;
        outcome.find(site, receipt.record_hash, fault, reported);
        Ok(())
    }

    /// Reports a broken promise, once: under a key and from a peer identifier of its own, and through a random node,
    /// so that nobody can link two reports of hers by these.
    async fn report(
        &mut self,
        receipt: &Receipt,
        verdict: &Verdict,
        history: &LinkedHistory,
    ) -> Result<Reported, PatientError> {
        let key = SecretKey::generate(&mut OsRng);
        let Some(report) = receipts::report(receipt, verdict, history, key.public()) else {
            return Ok(Reported::Unprovable);
        };
        let kind = report.kind;
        if let Some(id) = self.state().report_of(receipt, kind) {
            return Ok(Reported::As(id));
        }
        let session = match self.alliance.apart().await {
            Ok(session) => session,
            Err(error) => return Ok(Reported::Failed(error.to_string())),
        };
        let tx = Tx::Report(report.sign(&session.chain(), &key));
        let submitted = session.submit(&tx).await;
        session.close().await;
        match submitted {
            Ok(proved) => {
                let made = OwnReport {
                    id: proved.id,
                    hospital: receipt.hospital,
                    record_hash: receipt.record_hash,
                    pseudonym: receipt.pseudonym.point,
                    kind,
                };
                self.wallet.update(|state| state.reports.push(made))?;
                Ok(Reported::As(proved.id))
            }
            Err(ClientError::Rejected { rule, .. }) if rule == "report_repeated" => {
                Ok(Reported::Already)
            }
            Err(error) => Ok(Reported::Failed(error.to_string())),
        }
    }
}
