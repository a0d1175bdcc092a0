//! Whether a claim carries the right to a record: the node has checked it, the hospital checks it again.

use crate::chain::ChainError;
use crate::server::context::Context;
use crate::server::register::RecordRow;
use alliance_chain::{AccessRecord, GrantRecord, Key, state};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, PublicKey};
use caduceus_network::exchange::{FetchRecordRequest, RecordRight};
use private_chain::Role;
use private_chain::policy::Principal;

/// Why a right does not hold.
pub(super) enum Wrong {
    /// The alliance chain cannot be asked now.
    Unknown(ChainError),
    /// It does not hold.
    Broken(&'static str),
}

/// A right that holds.
pub(super) struct Right {
    /// Who has it.
    pub(super) claimant: Principal,
    /// Its key: the pseudonym of the record, or the data user's.
    pub(super) key: PublicKey,
    /// What the data user is at this hospital too, if it is staff.
    pub(super) role: Option<Role>,
    /// The grant that it comes from; none for the record's owner.
    pub(super) grant: Option<Hash>,
}

/// Checks the right.
pub(super) async fn check(
    ctx: &Context,
    request: &FetchRecordRequest,
    row: &RecordRow,
) -> Result<Right, Wrong> {
    let (claim, right) = (&request.claim, &request.right);
    match right {
        RecordRight::Owner { .. } => {
            let owner = claim.check(right, &row.pseudonym.point);
            owner.map_err(|_| Wrong::Broken("not signed by the record's owner"))?;
            Ok(Right {
                claimant: Principal::Patient {
                    id: row.pseudonym.point.to_string(),
                },
                key: row.pseudonym.point,
                role: None,
                grant: None,
            })
        }
        RecordRight::Ticket { access, .. } => {
            let ticket: AccessRecord = proved(ctx, &state::access(access)).await?;
            let signed = claim.check(right, &ticket.data_user);
            signed.map_err(|_| Wrong::Broken("not signed by the ticket's holder"))?;
            let record: GrantRecord = proved(ctx, &state::grant(&ticket.grant)).await?;
            let grant = &record.grant;
            if grant.hospital != claim.hospital || grant.record_hash != claim.record_hash {
                return Err(Wrong::Broken("the ticket is for another record"));
            }
            if grant.pseudonym != row.pseudonym.point {
                return Err(Wrong::Broken(
                    "the grant was not made by the record's owner",
                ));
            }
            if !record.is_active(ctx.now()) {
                return Err(Wrong::Broken("the grant has ended"));
            }
            let here = ctx.roster.who(&ticket.data_user, ctx.now()).await;
            let here = here.map_err(Wrong::Unknown)?;
            if let Principal::Staff {
                suspended, valid, ..
            } = here.principal
                && (suspended || !valid)
            {
                return Err(Wrong::Broken(
                    "the data user is staff here, and suspended or not enrolled any more",
                ));
            }
            Ok(Right {
                claimant: Principal::DataUser {
                    id: ticket.data_user.to_string(),
                },
                key: ticket.data_user,
                role: here.role,
                grant: Some(ticket.grant),
            })
        }
    }
}

/// What the alliance chain proves under a key.
async fn proved<T: BorshSerialize + BorshDeserialize>(
    ctx: &Context,
    key: &Key<T>,
) -> Result<T, Wrong> {
    match ctx.alliance.state(key.bytes()).await {
        Ok(Some(bytes)) => key
            .decode(&bytes)
            .map_err(|_| Wrong::Broken("the alliance's value does not decode")),
        Ok(None) => Err(Wrong::Broken("the alliance knows no such ticket or grant")),
        Err(error) => Err(Wrong::Unknown(error)),
    }
}
