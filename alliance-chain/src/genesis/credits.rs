//! Service credits as policy: what a service earns and what a use costs, and who runs which validator (DESIGN 6.4).

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{Address, ValidatorSet};
use std::collections::BTreeSet;

/// Most operators on record: as many as there may be validators.
pub const MAX_OPERATORS: usize = ValidatorSet::MAX;

/// Prices, in credits. A price of 0 switches its kind off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreditPolicy {
    /// What a member has when it joins.
    pub opening: u32,
    /// Earned by the operator of a validator whose block with transactions is decided. Nobody pays it: it is how
    /// credits come into being, so it is smaller than the cheapest use times the number of validators.
    pub block: u32,
    /// Earned by the operator of a proxy for a fragment that served an access, and paid by that access.
    pub reencryption: u32,
    /// Earned by a hospital for a record that served an access in time, and paid by that access.
    pub record: u32,
    /// Paid by the issuer of a search's token.
    pub search: u32,
    /// Paid by the member that vouches for a data user.
    pub account: u32,
    /// Paid, for a data user's request, by the member that vouched.
    pub request: u32,
}

impl CreditPolicy {
    /// 1,000 to begin with; 1 a block, 2 a fragment, 5 a record; 1 a search, 10 an account, 2 a request.
    pub const fn standard() -> Self {
        Self {
            opening: 1_000,
            block: 1,
            reencryption: 2,
            record: 5,
            search: 1,
            account: 10,
            request: 2,
        }
    }
}

/// Who runs a validator, and so the proxy beside it. Regulators' validators are run by nobody on this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Operator {
    /// The validator.
    pub validator: Address,
    /// The member that runs it.
    pub hospital: HospitalId,
}

/// Why a list of operators is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorsError {
    /// Too many.
    #[error("{found} operators, at most {limit}")]
    Count {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// One validator with two operators.
    #[error("validator {validator} appears twice")]
    Repeated {
        /// The validator.
        validator: Address,
    },
    /// Run by no member.
    #[error("validator {validator} is said to be run by {hospital}, which is no member")]
    NotAMember {
        /// The validator.
        validator: Address,
        /// Who is said to run it.
        hospital: HospitalId,
    },
}

/// Checks a list of operators; each must be one of these members.
///
/// # Errors
/// [`OperatorsError`] names the rule broken.
pub fn check_operators(
    operators: &[Operator],
    is_member: impl Fn(&HospitalId) -> bool,
) -> Result<(), OperatorsError> {
    let found = operators.len();
    if found > MAX_OPERATORS {
        return Err(OperatorsError::Count {
            limit: MAX_OPERATORS,
            found,
        });
    }
    let mut seen = BTreeSet::new();
    for operator in operators {
        let (validator, hospital) = (operator.validator, operator.hospital);
        if !seen.insert(validator) {
            return Err(OperatorsError::Repeated { validator });
        }
        if !is_member(&hospital) {
            return Err(OperatorsError::NotAMember {
                validator,
                hospital,
            });
        }
    }
    Ok(())
}
