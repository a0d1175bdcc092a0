//! Rules of `Report`: the word of members and proxies, and proofs by anybody.

mod fork;
mod proof;

use super::{Failure, ensure, refuse};
use crate::query;
use crate::state::{self, Daily, Key, MemberRecord, RecordRef, ReportRecord};
use crate::tx::{MAX_DETAIL_BYTES, Report, ReportKind, ReportProof, SignedReport};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::merkle::BadProof;
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_ledger::{BlockContext, CertificateError, Height, Overlay, StateError, StateView};

/// Fork reports about one hospital a day. Who rewrites a chain makes one at every height, and a few tell it all.
const MAX_FORKS_A_DAY: u32 = 16;

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
    /// The reporter is neither a member nor a proxy, and proves nothing.
    #[error("{reporter} is neither a member's key nor a proxy's, and there is no proof")]
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
    #[error("this was reported today already")]
    Repeated,
    /// The same was proved before.
    #[error("report {by} proved this already")]
    Proved {
        /// The report.
        by: Hash,
    },
    /// Not signed by the reporter.
    #[error("the report is not signed with the reporter's key")]
    NotSigned,
    /// The proof is for another kind of report.
    #[error("a {found} report with the proof of a {proved} one")]
    ProofKind {
        /// What the proof is for.
        proved: ReportKind,
        /// The report's kind.
        found: ReportKind,
    },
    /// The hospital left the alliance: it may not link any more, so that nothing is linked in time shows nothing.
    #[error("{hospital} is a member no longer")]
    NotAMember {
        /// The hospital.
        hospital: HospitalId,
    },
    /// A receipt names no chain: this promise was due before this one began, hence made for another.
    #[error("the record was to be linked by {deadline}, this alliance begins on {first}")]
    BeforeAlliance {
        /// The deadline.
        deadline: TimeMillis,
        /// First day of the alliance.
        first: Epoch,
    },
    /// The receipt is another hospital's.
    #[error("the receipt is of {found}, the report is about {expected}")]
    ReceiptElsewhere {
        /// The hospital reported.
        expected: HospitalId,
        /// The hospital of the receipt.
        found: HospitalId,
    },
    /// The hospital did not sign the receipt.
    #[error("the receipt is not signed with the identity key of {hospital}")]
    ReceiptForged {
        /// The hospital.
        hospital: HospitalId,
    },
    /// A record is named where the proof is that none is linked.
    #[error("the report names record {record}, its proof is that nothing is linked")]
    RecordNamed {
        /// The record named.
        record: RecordRef,
    },
    /// The deadline has not passed.
    #[error("the record is to be linked by {deadline}, this is {now}")]
    NotLate {
        /// The deadline.
        deadline: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// Something is linked under the receipt's pseudonym.
    #[error("record {at} is linked under the receipt's pseudonym")]
    Linked {
        /// Where.
        at: RecordRef,
    },
    /// The leaf and the receipt are about two pseudonyms.
    #[error("the receipt is for {expected}, the leaf is under {found}")]
    OtherPseudonym {
        /// The receipt's pseudonym P.
        expected: PublicKey,
        /// The leaf's.
        found: PublicKey,
    },
    /// The proof is for another position, or a block with another number of anchors.
    #[error("the proof is for leaf {index} of {size}, not for record {record}")]
    OtherPosition {
        /// The record reported.
        record: RecordRef,
        /// Index proved.
        index: u64,
        /// Number of leaves claimed.
        size: u64,
    },
    /// The leaf is not under the checkpointed anchors root.
    #[error("the leaf is not the one of record {record}: {source}")]
    NotIncluded {
        /// The record reported.
        record: RecordRef,
        /// What is wrong with the proof.
        source: BadProof,
    },
    /// What is linked is what was promised.
    #[error("record {record} is linked just as its receipt says")]
    AsPromised {
        /// The record reported.
        record: RecordRef,
    },
    /// No second header, or too many.
    #[error("{found} headers as a second branch, 1 to {limit} allowed")]
    ForkCount {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// A header of another chain, or one that does not follow the one before it.
    #[error("header {height} is not of the hospital's chain, or does not follow the one before it")]
    ForkBroken {
        /// Height of the header.
        height: Height,
    },
    /// Nothing contradicts what is on record or was shown.
    #[error("no two headers at one height are shown")]
    NoFork,
    /// The first header that was shown is not the one that stands at the height.
    #[error("{recorded} stands at private height {height}, the header shown is {found}")]
    ForkRecorded {
        /// The height.
        height: Height,
        /// Hash of the header there.
        recorded: Hash,
        /// Hash of the header shown.
        found: Hash,
    },
    /// A header whose voters never were on record.
    #[error("the voters of header {height} never were on record")]
    ForkVoters {
        /// Height of the header.
        height: Height,
    },
    /// Above the newest header on record only the present voters certify.
    #[error("the voters of header {height}, above what is on record, are not the present ones")]
    ForkFormerVoters {
        /// Height of the header.
        height: Height,
    },
    /// So many forks of the private chain were proved today.
    #[error("{limit} forks of the chain of {hospital} were reported today, no more are taken")]
    ForksADay {
        /// The hospital.
        hospital: HospitalId,
        /// The limit.
        limit: u32,
    },
    /// A certificate does not hold.
    #[error("certificate: {0}")]
    ForkCertificate(#[source] CertificateError),
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
            ReportError::Repeated | ReportError::Proved { .. } => "report_repeated",
            ReportError::NotSigned => "report_not_signed",
            ReportError::ProofKind { .. } => "report_proof_kind",
            ReportError::NotAMember { .. } => "report_not_a_member",
            ReportError::BeforeAlliance { .. } => "report_before_alliance",
            ReportError::ReceiptElsewhere { .. } => "report_receipt_elsewhere",
            ReportError::ReceiptForged { .. } => "report_receipt_forged",
            ReportError::RecordNamed { .. } => "report_record_named",
            ReportError::NotLate { .. } => "report_not_late",
            ReportError::Linked { .. } => "report_linked",
            ReportError::OtherPseudonym { .. } => "report_other_pseudonym",
            ReportError::OtherPosition { .. } => "report_other_position",
            ReportError::NotIncluded { .. } => "report_not_included",
            ReportError::AsPromised { .. } => "report_as_promised",
            ReportError::ForkCount { .. } => "report_fork_count",
            ReportError::ForkBroken { .. } => "report_fork_broken",
            ReportError::NoFork => "report_no_fork",
            ReportError::ForkRecorded { .. } => "report_fork_recorded",
            ReportError::ForkVoters { .. } => "report_fork_voters",
            ReportError::ForkFormerVoters { .. } => "report_fork_former_voters",
            ReportError::ForksADay { .. } => "report_forks_a_day",
            ReportError::ForkCertificate(_) => "report_fork_certificate",
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
    let Some(known) = state::member(&hospital).get(state)? else {
        return refuse(ReportError::HospitalUnknown { hospital });
    };
    match body.proof.proves() {
        Some(proved) => ensure(body.kind == proved, || ReportError::ProofKind {
            proved,
            found: body.kind,
        })?,
        None => {
            let reporter = body.reporter;
            ensure(may_report(state, &reporter)?, || {
                ReportError::ReporterUnknown { reporter }
            })?;
        }
    }
    if body.kind.names_linked_record() {
        let Some(record) = body.record else {
            return refuse(ReportError::RecordMissing { kind: body.kind });
        };
        let linked = state::record(&hospital, &record).is_set(state)?;
        ensure(linked, || ReportError::RecordUnknown { record })?;
    }
    let once = Once::of(body, &known, ctx.time.epoch(), state)?;
    once.check(state)?;
    let is_fork = matches!(body.proof, ReportProof::Fork { .. });
    let forks = state::daily(Daily::Forks, &hospital.0, ctx.time.epoch());
    let (limit, used) = (MAX_FORKS_A_DAY, forks.get(state)?.unwrap_or(0));
    ensure(!is_fork || used < limit, || ReportError::ForksADay {
        hospital,
        limit,
    })?;
    proof::check(body, &known, ctx.time, state)?;
    ensure(tx.is_signed(&ctx.chain), || ReportError::NotSigned)?;
    once.put(state, &id);
    if is_fork {
        forks.put(state, &(used + 1));
    }
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

/// Where it is noted that something was said, so that it is not said over and over.
enum Once {
    /// Somebody's word: once a day by one reporter of which kind, about which hospital and record.
    ADay(Key<u32>),
    /// A proof, which stays true: once for ever, whoever brings it, since the key of who does is anybody's.
    ForEver(Key<Hash>),
}

impl Once {
    fn of(
        body: &Report,
        known: &MemberRecord,
        day: Epoch,
        state: &Overlay<'_>,
    ) -> Result<Self, Failure> {
        let hospital = &body.hospital;
        Ok(match &body.proof {
            ReportProof::None => {
                let about = codec::encode(&(body.reporter, body.kind, hospital, body.record));
                Self::ADay(state::daily(Daily::Reports, &about, day))
            }
            ReportProof::MissedDeadline { receipt }
            | ReportProof::EntriesDiffer { receipt, .. } => {
                let point = &receipt.pseudonym.point;
                Self::ForEver(state::proved(hospital, body.kind, point))
            }
            ReportProof::Fork {
                recorded,
                second,
                certificate,
            } => {
                let proof = fork::Proof {
                    recorded: recorded.as_ref(),
                    second,
                    certificate,
                };
                let height = proof.conflict(known, state)?.height;
                Self::ForEver(state::forked(hospital, height))
            }
        })
    }

    fn check(&self, state: &Overlay<'_>) -> Result<(), Failure> {
        match self {
            Self::ADay(said) => ensure(!said.is_set(state)?, || ReportError::Repeated),
            Self::ForEver(proved) => match proved.get(state)? {
                Some(by) => refuse(ReportError::Proved { by }),
                None => Ok(()),
            },
        }
    }

    fn put(&self, state: &mut Overlay<'_>, id: &Hash) {
        match self {
            Self::ADay(said) => said.put(state, &1),
            Self::ForEver(proved) => proved.put(state, id),
        }
    }
}

/// Members, with either key, and proxies. Patients report through a node, which checks what they say, or prove it.
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
mod tests;
