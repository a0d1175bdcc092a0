//! The values of the service credits (DESIGN 6.4).

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::keys::HospitalId;

/// A member's service credits. Sums stop at the ends of their types instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreditRecord {
    /// What it had when it joined, plus all earned, less all spent. Negative: the member is in debt.
    pub balance: i64,
    /// Earned.
    pub earned: Earned,
    /// Spent.
    pub spent: Spent,
}

/// Credits earned, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Earned {
    /// For blocks proposed.
    pub blocks: u64,
    /// For fragments that served accesses.
    pub reencryptions: u64,
    /// For records served in time.
    pub records: u64,
}

/// Credits spent, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Spent {
    /// On searches under its tokens.
    pub searches: u64,
    /// On vouching for data users.
    pub accounts: u64,
    /// On its data users' requests.
    pub requests: u64,
    /// On its data users' accesses.
    pub accesses: u64,
}

/// A service that earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A block proposed.
    Block,
    /// A fragment that served an access.
    Reencryption,
    /// A record served in time.
    Record,
}

/// A use that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A search.
    Search,
    /// A data user's account.
    Account,
    /// A data user's request.
    Request,
    /// A data user's access.
    Access,
}

impl CreditRecord {
    /// Of a member that joins.
    pub fn opening(credits: u32) -> Self {
        Self {
            balance: credits.into(),
            ..Self::default()
        }
    }

    /// Whether it spent more than it had.
    pub fn is_in_debt(&self) -> bool {
        self.balance < 0
    }

    /// Adds what a service earned.
    pub fn earn(&mut self, service: Service, credits: u64) {
        let kind = match service {
            Service::Block => &mut self.earned.blocks,
            Service::Reencryption => &mut self.earned.reencryptions,
            Service::Record => &mut self.earned.records,
        };
        *kind = kind.saturating_add(credits);
        self.balance = self.balance.saturating_add_unsigned(credits);
    }

    /// Takes what a use costs.
    pub fn spend(&mut self, use_of: Use, credits: u64) {
        let kind = match use_of {
            Use::Search => &mut self.spent.searches,
            Use::Account => &mut self.spent.accounts,
            Use::Request => &mut self.spent.requests,
            Use::Access => &mut self.spent.accesses,
        };
        *kind = kind.saturating_add(credits);
        self.balance = self.balance.saturating_sub_unsigned(credits);
    }
}

/// What an access paid, to be handed on to those who served it. The prices are those of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Deposit {
    /// Who paid.
    pub payer: HospitalId,
    /// For the record, if it came in time.
    pub record: u32,
    /// For each fragment.
    pub reencryption: u32,
    /// Whether it was handed on.
    pub settled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_the_opening_plus_earned_less_spent() {
        let mut record = CreditRecord::opening(10);
        record.earn(Service::Block, 1);
        record.earn(Service::Reencryption, 2);
        record.earn(Service::Record, 5);
        record.spend(Use::Search, 3);
        record.spend(Use::Account, 4);
        record.spend(Use::Request, 6);
        record.spend(Use::Access, 5);
        let earned = record.earned.blocks + record.earned.reencryptions + record.earned.records;
        let spent = record.spent.searches
            + record.spent.accounts
            + record.spent.requests
            + record.spent.accesses;
        assert_eq!((earned, spent, record.balance), (8, 18, 0));
        assert!(!record.is_in_debt(), "nothing left is no debt");
        record.spend(Use::Search, 1);
        assert_eq!(record.balance, -1);
        assert!(record.is_in_debt());
    }

    #[test]
    fn sums_stop_at_their_ends() {
        let mut record = CreditRecord::opening(u32::MAX);
        record.earn(Service::Block, u64::MAX);
        record.earn(Service::Block, u64::MAX);
        assert_eq!((record.balance, record.earned.blocks), (i64::MAX, u64::MAX));
        for _ in 0..3 {
            record.spend(Use::Access, u64::MAX);
        }
        assert_eq!(
            (record.balance, record.spent.accesses),
            (i64::MIN, u64::MAX)
        );
        assert!(record.is_in_debt());
    }
}
