//! The hospital's own chain has a second header at a height: the hospital says so itself (DESIGN 6.2).

use super::Linker;
use super::plan::Batch;
use alliance_chain::tx::MAX_DETAIL_BYTES;
use alliance_chain::{Report, ReportKind, ReportProof, Tx};

/// Reports headers that the alliance refused, or that do not follow what is on record. Tried each time; it is taken
/// once.
pub(super) async fn report(linker: &Linker, batch: &Batch, why: &str) {
    let detail = why.chars().take(MAX_DETAIL_BYTES / 4).collect();
    let report = Report {
        reporter: linker.identity.public(),
        kind: ReportKind::Fork,
        hospital: linker.hospital,
        record: None,
        detail,
        proof: ReportProof::Fork {
            recorded: None,
            second: batch.headers(),
            certificate: batch.last().certificate.clone(),
        },
    };
    let tx = Tx::Report(report.sign(&linker.alliance.chain(), &linker.identity));
    if let Err(error) = linker.alliance.hand_in(&tx.encode()).await {
        tracing::info!(%error, "the fork was not reported: another may have been first");
    }
}
