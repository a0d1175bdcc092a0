//! What a fork's proof must show: that recorded voters of the hospital's private chain certified two headers at one
//! height. Whether they meant it does not matter: a private chain never forks.

use super::{Failure, ReportError, ensure, refuse};
use crate::query::{self, Conflict};
use crate::state::{self, MemberRecord};
use crate::tx::MAX_CHECKPOINT_HEADERS;
use caduceus_crypto::Hash;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{Certificate, CertifiedHeader, Header, Height, Overlay};

/// The proof, borrowed from its report.
pub(super) struct Proof<'a> {
    /// The header that stands at the height, certified, where the reporter has it.
    pub recorded: Option<&'a CertifiedHeader>,
    /// Headers that contradict it.
    pub second: &'a [Header],
    /// Certificate on the last of them.
    pub certificate: &'a Certificate,
}

impl Proof<'_> {
    /// Where the two headers are: at a height on record, or at that of the first certified header that came along.
    pub(super) fn conflict(
        &self,
        known: &MemberRecord,
        state: &Overlay<'_>,
    ) -> Result<Conflict, Failure> {
        let hospital = known.member.hospital;
        check_form(self.second, known)?;
        if let Some(conflict) = query::conflict(state, &hospital, self.second)? {
            return Ok(conflict);
        }
        let beyond = self.recorded.and_then(|recorded| {
            let (height, hash) = (recorded.header.height, recorded.header.hash());
            query::hashes(self.second)
                .find(|(at, found)| *at == height && *found != hash)
                .map(|(_, found)| Conflict {
                    height,
                    recorded: hash,
                    found,
                })
        });
        match beyond {
            Some(conflict) => Ok(conflict),
            None => refuse(ReportError::NoFork),
        }
    }

    /// Both headers are certified by voters on record; by the present ones, where nothing at that height is on record
    /// yet. Up to there it is not known who voted when, so that former voters are held to what they certify.
    pub(super) fn check(&self, known: &MemberRecord, state: &Overlay<'_>) -> Result<(), Failure> {
        let conflict = self.conflict(known, state)?;
        let head = state::head(&known.member.hospital).get(state)?;
        let beyond = head.is_none_or(|head| conflict.height > head.height);
        let voters = if beyond {
            Voters::Present
        } else {
            Voters::OnRecord
        };
        if let Some(recorded) = self.recorded {
            let (height, found) = (recorded.header.height, recorded.header.hash());
            let is_the_one = height == conflict.height && found == conflict.recorded;
            ensure(is_the_one, || ReportError::ForkRecorded {
                height: conflict.height,
                recorded: conflict.recorded,
                found,
            })?;
            check_certified(recorded, voters, known, state)?;
        }
        let Some(last) = self.second.last() else {
            return refuse(ReportError::NoFork);
        };
        let second = CertifiedHeader {
            header: last.clone(),
            certificate: self.certificate.clone(),
        };
        check_certified(&second, voters, known, state)
    }
}

/// Who may certify a header that is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voters {
    /// Those that the alliance has on record now.
    Present,
    /// Those that it has, or had, on record.
    OnRecord,
}

/// Some headers of the hospital's chain, each the parent of the next.
fn check_form(second: &[Header], known: &MemberRecord) -> Result<(), Failure> {
    let (limit, found) = (MAX_CHECKPOINT_HEADERS, second.len());
    ensure((1..=limit).contains(&found), || ReportError::ForkCount {
        limit,
        found,
    })?;
    let mut before: Option<(Height, Hash)> = None;
    for header in second {
        let height = header.height;
        let follows = before.is_none_or(|(at, hash)| {
            height.0.checked_sub(1) == Some(at.0) && header.parent == hash
        });
        let ours = header.chain == known.member.private_chain;
        ensure(follows && ours, || ReportError::ForkBroken { height })?;
        before = Some((height, header.hash()));
    }
    Ok(())
}

/// Voters who may do so certified the header.
fn check_certified(
    certified: &CertifiedHeader,
    voters: Voters,
    known: &MemberRecord,
    state: &Overlay<'_>,
) -> Result<(), Failure> {
    let header = &certified.header;
    let hospital: HospitalId = known.member.hospital;
    let Some(set) = state::validators(&hospital, &header.validators).get(state)? else {
        return refuse(ReportError::ForkVoters {
            height: header.height,
        });
    };
    let present = known.member.private_validators.hash();
    ensure(
        voters == Voters::OnRecord || header.validators == present,
        || ReportError::ForkFormerVoters {
            height: header.height,
        },
    )?;
    certified
        .verify(&known.member.private_chain, &set)
        .or_else(|source| refuse(ReportError::ForkCertificate(source)))
}

#[cfg(test)]
mod tests;
