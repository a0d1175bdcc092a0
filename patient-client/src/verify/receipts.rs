//! Receipts against what is linked (DESIGN 2.2, step 5): a promise kept, due, missed, or kept otherwise; and the
//! reports that prove the last two. Pure but for the key of a report.

use alliance_chain::{RecordRef, Report, ReportKind, ReportProof};
use caduceus_client::LinkedHistory;
use caduceus_crypto::evidence::{AnchorLeaf, Receipt};
use caduceus_crypto::{Hash, PublicKey, TimeMillis};

/// How long after its deadline a record is late, and no promise broken yet: a checkpoint or a block of the alliance
/// may be delayed, and a report stands for ever.
const GRACE_MILLIS: u64 = 30 * 60 * 1000;

/// What became of a hospital's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Linked as promised.
    Kept,
    /// Not linked, and the deadline is not past.
    Due,
    /// Not linked, and the deadline is past, but not by much.
    Late,
    /// Not linked, and the deadline is long past.
    Missed,
    /// Something else is linked under P of the promised pseudonym.
    Differs {
        at: RecordRef,
        record_hash: Hash,
        entries_hash: Hash,
        /// Whether R or the view tag is another.
        other_pseudonym: bool,
    },
}

/// Judges a receipt by what is linked under its pseudonym, if anything is, at a time of the alliance.
pub(super) fn judge(
    receipt: &Receipt,
    linked: Option<(RecordRef, &AnchorLeaf)>,
    now: TimeMillis,
) -> Verdict {
    let Some((at, leaf)) = linked else {
        let deadline = receipt.link_deadline;
        return if now <= deadline {
            Verdict::Due
        } else if now.0 <= deadline.0.saturating_add(GRACE_MILLIS) {
            Verdict::Late
        } else {
            Verdict::Missed
        };
    };
    let entries_hash = leaf.entries.hash();
    // The whole pseudonym: under another R, or another view tag, she does not recognise the record.
    let other_pseudonym = leaf.pseudonym != receipt.pseudonym;
    if leaf.record_hash == receipt.record_hash
        && entries_hash == receipt.entries_hash
        && !other_pseudonym
    {
        Verdict::Kept
    } else {
        Verdict::Differs {
            at,
            record_hash: leaf.record_hash,
            entries_hash,
            other_pseudonym,
        }
    }
}

/// What is linked under P of a receipt's pseudonym; no two records are.
pub(super) fn linked_under<'a>(
    history: &'a LinkedHistory,
    receipt: &Receipt,
) -> Option<(RecordRef, &'a AnchorLeaf)> {
    history
        .leaves()
        .find(|linked| linked.leaf.pseudonym.point == receipt.pseudonym.point)
        .map(|linked| (linked.at, linked.leaf))
}

/// The report that proves a verdict, by a reporter who is nobody; none where there is nothing to report.
pub(super) fn report(
    receipt: &Receipt,
    verdict: &Verdict,
    history: &LinkedHistory,
    reporter: PublicKey,
) -> Option<Report> {
    let (kind, record, detail, proof) = match verdict {
        Verdict::Kept | Verdict::Due | Verdict::Late => return None,
        Verdict::Missed => (
            ReportKind::Unlinked,
            None,
            format!("promised to be linked by {}", receipt.link_deadline),
            ReportProof::MissedDeadline {
                receipt: receipt.clone(),
            },
        ),
        Verdict::Differs { at, .. } => {
            let (_, leaf) = linked_under(history, receipt)?;
            let (_, proof) = history.prove(at)?;
            (
                ReportKind::MisIndexed,
                Some(*at),
                "linked otherwise than promised".to_owned(),
                ReportProof::EntriesDiffer {
                    receipt: receipt.clone(),
                    leaf: leaf.clone(),
                    proof,
                },
            )
        }
    };
    Some(Report {
        reporter,
        kind,
        hospital: receipt.hospital,
        record,
        detail,
        proof,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{history, leaf};
    use caduceus_crypto::pseudonym::Pseudonym;
    use caduceus_crypto::{HospitalId, SecretKey};
    use rand_core::OsRng;

    const DEADLINE: TimeMillis = TimeMillis(5_000);

    fn receipt(leaf: &AnchorLeaf) -> Receipt {
        Receipt::sign(
            &SecretKey::generate(&mut OsRng),
            HospitalId([1; 32]),
            leaf.record_hash,
            leaf.entries.hash(),
            leaf.pseudonym,
            DEADLINE,
        )
    }

    #[test]
    fn a_promise_is_kept_due_missed_or_broken() {
        let (promised, other) = (leaf(1), leaf(2));
        let receipt = receipt(&promised);
        let at = RecordRef {
            height: 3,
            position: 0,
        };
        for now in [TimeMillis(1), DEADLINE, TimeMillis(9_000)] {
            assert_eq!(judge(&receipt, Some((at, &promised)), now), Verdict::Kept);
        }
        let last_grace = DEADLINE.0 + GRACE_MILLIS;
        for (now, verdict) in [
            (DEADLINE.0, Verdict::Due),
            (DEADLINE.0 + 1, Verdict::Late),
            (last_grace, Verdict::Late),
            (last_grace + 1, Verdict::Missed),
        ] {
            assert_eq!(judge(&receipt, None, TimeMillis(now)), verdict, "{now}");
        }
        let broken: [AnchorLeaf; 4] = [
            AnchorLeaf {
                entries: other.entries.clone(),
                ..promised.clone()
            },
            AnchorLeaf {
                record_hash: other.record_hash,
                ..promised.clone()
            },
            // P is hers; she would not find the record by these.
            AnchorLeaf {
                pseudonym: Pseudonym {
                    ephemeral: other.pseudonym.ephemeral,
                    ..promised.pseudonym
                },
                ..promised.clone()
            },
            AnchorLeaf {
                pseudonym: Pseudonym {
                    view_tag: !promised.pseudonym.view_tag,
                    ..promised.pseudonym
                },
                ..promised.clone()
            },
        ];
        for linked in &broken {
            let expected = Verdict::Differs {
                at,
                record_hash: linked.record_hash,
                entries_hash: linked.entries.hash(),
                other_pseudonym: linked.pseudonym != promised.pseudonym,
            };
            // A broken promise is broken before its deadline too.
            assert_eq!(judge(&receipt, Some((at, linked)), TimeMillis(1)), expected);
        }
    }

    #[test]
    fn reports_carry_what_proves_them() {
        let (mine, other) = (leaf(1), leaf(2));
        let reporter = SecretKey::generate(&mut OsRng).public();
        let receipt = receipt(&mine);

        let without = history(vec![vec![other.clone()]]);
        assert_eq!(linked_under(&without, &receipt), None);
        for verdict in [Verdict::Kept, Verdict::Due, Verdict::Late] {
            assert_eq!(report(&receipt, &verdict, &without, reporter), None);
        }
        let missed = report(&receipt, &Verdict::Missed, &without, reporter).unwrap();
        assert_eq!(missed.kind, ReportKind::Unlinked);
        assert_eq!((missed.record, missed.reporter), (None, reporter));
        assert_eq!(missed.proof.proves(), Some(missed.kind));
        assert_eq!(missed.proof.receipt(), Some(&receipt));

        let other_entries = AnchorLeaf {
            entries: other.entries.clone(),
            ..mine.clone()
        };
        let other_ephemeral = AnchorLeaf {
            pseudonym: Pseudonym {
                ephemeral: other.pseudonym.ephemeral,
                ..mine.pseudonym
            },
            ..mine.clone()
        };
        for linked in [other_entries, other_ephemeral] {
            differing(&receipt, &other, &linked, reporter);
        }
    }

    /// The report of a leaf that is not as promised proves it.
    fn differing(receipt: &Receipt, other: &AnchorLeaf, linked: &AnchorLeaf, reporter: PublicKey) {
        let other = || other.clone();
        let with = history(vec![vec![other()], vec![other(), linked.clone()]]);
        let (at, found) = linked_under(&with, receipt).unwrap();
        assert_eq!(found, linked);
        let verdict = judge(receipt, Some((at, found)), DEADLINE);
        let differs = report(receipt, &verdict, &with, reporter).unwrap();
        assert_eq!(
            (differs.kind, differs.record),
            (ReportKind::MisIndexed, Some(at))
        );
        assert_eq!(differs.proof.proves(), Some(differs.kind));
        let ReportProof::EntriesDiffer { leaf, proof, .. } = differs.proof else {
            panic!("another proof");
        };
        let (root, _) = with.prove(&at).unwrap();
        assert!(proof.verify(&root, &leaf.to_bytes()).is_ok());
    }
}
