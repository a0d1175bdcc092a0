//! Rules of `Enrol`.

use super::{Failure, ensure, judge, refuse};
use crate::policy::{Operation, Principal, Question, Resource};
use crate::state::{self, StaffRecord};
use crate::tx::{MAX_LABEL_BYTES, SignedEnrol};
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};

/// Why an enrolment is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The label is empty or too long.
    #[error("a staff label of {found} bytes, 1 to {limit} allowed")]
    Label {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The validity ends before it begins.
    #[error("the enrolment ends at {not_after}, not after its start {not_before}")]
    EmptyValidity {
        /// Start of the validity.
        not_before: TimeMillis,
        /// End of the validity.
        not_after: TimeMillis,
    },
    /// The validity is over already.
    #[error("the enrolment ended at {not_after}, block time is {now}")]
    Past {
        /// End of the validity.
        not_after: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// The hospital's identity or server key can't be a person's.
    #[error("{staff} is a key of the hospital itself")]
    HospitalKey {
        /// The key.
        staff: PublicKey,
    },
    /// A suspended key stays suspended: the person enrols a fresh one.
    #[error("{staff} was suspended at {since}; enrol a fresh key")]
    Suspended {
        /// The key.
        staff: PublicKey,
        /// Block time of the suspension.
        since: TimeMillis,
    },
    /// A renewal must end later than what it renews, so that an old enrolment can't be played again.
    #[error("the key is enrolled until {recorded} already, the renewal ends at {found}")]
    NotLater {
        /// End on record.
        recorded: TimeMillis,
        /// End in the transaction.
        found: TimeMillis,
    },
    /// Not signed by the hospital's identity key.
    #[error("the enrolment is not signed by the hospital's identity key")]
    NotSigned,
    /// The policy in force does not let the hospital enrol this role.
    #[error("the policy in force: {why}")]
    Policy {
        /// Which policy forbids it, or that none permits it.
        why: String,
    },
}

impl EnrolError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            EnrolError::Label { .. } => "enrol_label",
            EnrolError::EmptyValidity { .. } => "enrol_empty_validity",
            EnrolError::Past { .. } => "enrol_past",
            EnrolError::HospitalKey { .. } => "enrol_hospital_key",
            EnrolError::Suspended { .. } => "enrol_suspended",
            EnrolError::NotLater { .. } => "enrol_not_later",
            EnrolError::NotSigned => "enrol_not_signed",
            EnrolError::Policy { .. } => "enrol_policy",
        }
    }
}

/// Applies an enrolment. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedEnrol,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let found = body.label.len();
    ensure((1..=MAX_LABEL_BYTES).contains(&found), || {
        EnrolError::Label {
            limit: MAX_LABEL_BYTES,
            found,
        }
    })?;
    ensure(body.not_before < body.not_after, || {
        EnrolError::EmptyValidity {
            not_before: body.not_before,
            not_after: body.not_after,
        }
    })?;
    ensure(ctx.time < body.not_after, || EnrolError::Past {
        not_after: body.not_after,
        now: ctx.time,
    })?;
    let keys = state::hospital_keys().require(state)?;
    ensure(!keys.is_own(&body.staff, ctx.time), || {
        EnrolError::HospitalKey { staff: body.staff }
    })?;
    let key = state::staff(&body.staff);
    if let Some(known) = key.get(state)? {
        if let Some(since) = known.suspended_at {
            return refuse(EnrolError::Suspended {
                staff: body.staff,
                since,
            });
        }
        ensure(known.not_after < body.not_after, || EnrolError::NotLater {
            recorded: known.not_after,
            found: body.not_after,
        })?;
    }
    ensure(tx.is_signed_by(&ctx.chain, &keys.identity), || {
        EnrolError::NotSigned
    })?;
    let question = Question::new(
        Principal::identity(keys.identity),
        Operation::StaffEnrol,
        Resource::staff_register(body.role),
    );
    if let Some(why) = judge::denied(ctx, &question, state)? {
        return refuse(EnrolError::Policy { why });
    }
    key.put(
        state,
        &StaffRecord {
            role: body.role,
            label: body.label.clone(),
            not_before: body.not_before,
            not_after: body.not_after,
            enrolled_at: ctx.time,
            suspended_at: None,
        },
    );
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, NOW, later};
    use crate::tx::{Enrol, Role, Tx};

    fn body() -> Enrol {
        Enrol {
            staff: testing::secret(20).public(),
            role: Role::Nurse,
            label: "N-20".into(),
            not_before: NOW,
            not_after: later(1_000_000),
        }
    }

    fn signed(body: Enrol) -> Tx {
        Tx::Enrol(body.sign(&testing::chain(), &testing::identity()))
    }

    #[test]
    fn the_hospital_enrols_and_renews() {
        let mut chain = Chain::new();
        assert!(chain.accept(&signed(body())).is_empty());
        let record = state::staff(&body().staff).get(&chain).unwrap().unwrap();
        assert_eq!(
            (record.role, record.enrolled_at, record.suspended_at),
            (Role::Nurse, NOW, None)
        );
        chain.accept(&signed(Enrol {
            not_after: later(2_000_000),
            ..body()
        }));
        let renewed = state::staff(&body().staff).get(&chain).unwrap().unwrap();
        assert_eq!(renewed.not_after, later(2_000_000));
    }

    #[test]
    fn label_must_be_present_and_short() {
        let mut chain = Chain::new();
        chain.refuse(
            &signed(Enrol {
                label: String::new(),
                ..body()
            }),
            "enrol_label",
        );
        let long = "x".repeat(MAX_LABEL_BYTES + 1);
        chain.refuse(
            &signed(Enrol {
                label: long,
                ..body()
            }),
            "enrol_label",
        );
    }

    #[test]
    fn validity_must_be_an_interval() {
        let empty = Enrol {
            not_before: later(5),
            not_after: later(5),
            ..body()
        };
        Chain::new().refuse(&signed(empty), "enrol_empty_validity");
    }

    #[test]
    fn validity_must_not_be_over() {
        let past = Enrol {
            not_before: TimeMillis(1),
            not_after: NOW,
            ..body()
        };
        Chain::new().refuse(&signed(past), "enrol_past");
    }

    #[test]
    fn hospital_keys_are_no_staff() {
        for key in [testing::identity(), testing::server()] {
            Chain::new().refuse(
                &signed(Enrol {
                    staff: key.public(),
                    ..body()
                }),
                "enrol_hospital_key",
            );
        }
    }

    #[test]
    fn a_suspended_key_stays_suspended() {
        let mut chain = Chain::new();
        chain.enrol(&testing::secret(20), Role::Nurse);
        chain.suspend(&testing::secret(20));
        chain.refuse(
            &signed(Enrol {
                not_after: later(u64::from(u32::MAX)),
                ..body()
            }),
            "enrol_suspended",
        );
    }

    #[test]
    fn a_renewal_ends_later() {
        let mut chain = Chain::new();
        chain.accept(&signed(Enrol {
            not_after: later(2_000_000),
            ..body()
        }));
        chain.refuse(&signed(body()), "enrol_not_later");
    }

    #[test]
    fn only_the_identity_key_enrols_and_only_on_this_chain() {
        let mut chain = Chain::new();
        let by_server = Tx::Enrol(body().sign(&testing::chain(), &testing::server()));
        chain.refuse(&by_server, "enrol_not_signed");
        let elsewhere = Tx::Enrol(body().sign(&testing::other_chain(), &testing::identity()));
        chain.refuse(&elsewhere, "enrol_not_signed");
    }
}
