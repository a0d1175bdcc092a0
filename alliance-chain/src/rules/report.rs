//! Rules of `Report`.

use super::{Failure, ensure, refuse};
use crate::query;
use crate::state::{self, Daily, RecordRef, ReportRecord};
use crate::tx::{MAX_DETAIL_BYTES, Report, ReportKind, SignedReport};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_ledger::{BlockContext, Overlay, StateError, StateView};

/// Why a report is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The detail is too long.
    #[error("a detail of {found} bytes, at most {limit}")]
    Detail {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The hospital is not and never was a member.
    #[error("{hospital} is not and never was a member")]
    HospitalUnknown {
        /// The hospital.
        hospital: HospitalId,
    },
    /// The reporter is neither a member nor a proxy.
    #[error("{reporter} is neither a member's key nor a proxy's")]
    ReporterUnknown {
        /// The reporter.
        reporter: PublicKey,
    },
    /// The kind is about a linked record and none is named.
    #[error("a {kind} report must name a record")]
    RecordMissing {
        /// The kind.
        kind: ReportKind,
    },
    /// The record is not linked.
    #[error("no record {record} is linked for this hospital")]
    RecordUnknown {
        /// Where it should be.
        record: RecordRef,
    },
    /// The reporter said the same today.
    #[error("this reporter reported this today already")]
    Repeated,
    /// Not signed by the reporter.
    #[error("the report is not signed with the reporter's key")]
    NotSigned,
}

impl ReportError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            ReportError::Detail { .. } => "report_detail",
            ReportError::HospitalUnknown { .. } => "report_hospital_unknown",
            ReportError::ReporterUnknown { .. } => "report_reporter_unknown",
            ReportError::RecordMissing { .. } => "report_record_missing",
            ReportError::RecordUnknown { .. } => "report_record_unknown",
            ReportError::Repeated => "report_repeated",
            ReportError::NotSigned => "report_not_signed",
        }
    }
}

/// Records a report under the transaction's identifier. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    id: Hash,
    tx: SignedReport,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let found = body.detail.len();
    ensure(found <= MAX_DETAIL_BYTES, || ReportError::Detail {
        limit: MAX_DETAIL_BYTES,
        found,
    })?;
    let hospital = body.hospital;
    ensure(state::member(&hospital).is_set(state)?, || {
        ReportError::HospitalUnknown { hospital }
    })?;
    let reporter = body.reporter;
    ensure(may_report(state, &reporter)?, || {
        ReportError::ReporterUnknown { reporter }
    })?;
    if body.kind.names_linked_record() {
        let Some(record) = body.record else {
            return refuse(ReportError::RecordMissing { kind: body.kind });
        };
        let linked = state::record(&hospital, &record).is_set(state)?;
        ensure(linked, || ReportError::RecordUnknown { record })?;
    }
    let daily = state::daily(Daily::Reports, &about(body), ctx.time.epoch());
    ensure(!daily.is_set(state)?, || ReportError::Repeated)?;
    ensure(tx.is_signed(&ctx.chain), || ReportError::NotSigned)?;
    daily.put(state, &1);
    state::reports_about(&hospital).push(state, &id)?;
    state::report(&id).put(
        state,
        &ReportRecord {
            report: tx.body,
            height: ctx.height,
            time: ctx.time,
        },
    );
    Ok(Vec::new())
}

/// What one reporter may say once a day: who, which kind, which hospital, which record.
fn about(body: &Report) -> Vec<u8> {
    codec::encode(&(body.reporter, body.kind, body.hospital, body.record))
}

/// Members, with either key, and proxies. Patients report through a node, which checks what they say.
fn may_report(view: &dyn StateView, reporter: &PublicKey) -> Result<bool, StateError> {
    if state::proxies()
        .require(view)?
        .iter()
        .any(|proxy| proxy.key == *reporter)
    {
        return Ok(true);
    }
    Ok(query::members(view)?
        .iter()
        .any(|m| m.identity == *reporter || m.server == *reporter))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, DAY, NOW, later};
    use crate::tx::Tx;
    use caduceus_crypto::keys::SecretKey;

    fn body() -> Report {
        Report {
            reporter: testing::server(1).public(),
            kind: ReportKind::Tampered,
            hospital: testing::hospital(0),
            record: Some(RecordRef {
                height: 1,
                position: 0,
            }),
            detail: "hash differs".into(),
        }
    }

    fn by(reporter: &SecretKey, body: Report) -> Tx {
        let body = Report {
            reporter: reporter.public(),
            ..body
        };
        Tx::Report(body.sign(&testing::chain(), reporter))
    }

    fn chain() -> Chain {
        let mut chain = Chain::new();
        chain.link_records();
        chain
    }

    #[test]
    fn members_and_proxies_report() {
        let mut chain = chain();
        let mut ids = Vec::new();
        for reporter in [testing::identity(1), testing::server(1), testing::proxy(0)] {
            let tx = by(&reporter, body());
            assert!(chain.accept(&tx).is_empty());
            ids.push(tx.id());
        }
        let fork = by(
            &testing::server(1),
            Report {
                kind: ReportKind::Fork,
                record: None,
                ..body()
            },
        );
        chain.accept(&fork);
        ids.push(fork.id());
        assert_eq!(
            state::reports_about(&testing::hospital(0))
                .page(&chain, 0, 10)
                .unwrap(),
            ids
        );
        let record = state::report(&ids[1]).get(&chain).unwrap().unwrap();
        assert_eq!(
            record,
            ReportRecord {
                report: body(),
                height: chain.height,
                time: NOW
            }
        );
    }

    #[test]
    fn detail_must_be_short() {
        let detail = "x".repeat(MAX_DETAIL_BYTES + 1);
        chain().refuse(
            &by(&testing::server(1), Report { detail, ..body() }),
            "report_detail",
        );
    }

    #[test]
    fn the_hospital_is_known() {
        let hospital = testing::hospital(9);
        chain().refuse(
            &by(&testing::server(1), Report { hospital, ..body() }),
            "report_hospital_unknown",
        );
    }

    #[test]
    fn strangers_do_not_report() {
        chain().refuse(
            &by(&testing::data_user(), body()),
            "report_reporter_unknown",
        );
    }

    #[test]
    fn the_record_is_named() {
        let nameless = Report {
            record: None,
            ..body()
        };
        chain().refuse(&by(&testing::server(1), nameless), "report_record_missing");
    }

    #[test]
    fn the_record_is_linked() {
        let elsewhere = Report {
            record: Some(RecordRef {
                height: 99,
                position: 0,
            }),
            ..body()
        };
        chain().refuse(&by(&testing::server(1), elsewhere), "report_record_unknown");
    }

    #[test]
    fn the_same_is_said_once_a_day() {
        let mut chain = chain();
        chain.accept(&by(&testing::server(1), body()));
        let again = by(
            &testing::server(1),
            Report {
                detail: "still".into(),
                ..body()
            },
        );
        chain.refuse(&again, "report_repeated");
        chain.time = later(DAY);
        chain.accept(&again);
    }

    #[test]
    fn the_reporter_signs_and_only_for_this_chain() {
        let forged = Tx::Report(body().sign(&testing::chain(), &testing::server(0)));
        chain().refuse(&forged, "report_not_signed");
        let elsewhere = Tx::Report(body().sign(&testing::other_chain(), &testing::server(1)));
        chain().refuse(&elsewhere, "report_not_signed");
    }
}
