//! States as earlier versions of the program wrote them. Version 1 ends before the replacements and the reports; in
//! version 2 a report does not say by which pseudonym it was made; version 3 ends before the trusted head.

use super::{
    CardEntry, FoundRecord, MAX_STATE_BYTES, OwnGrant, OwnReport, PatientState, Replacement,
    StoredToken,
};
use alliance_chain::ReportKind;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::{Hash, HospitalId};
use zeroize::Zeroizing;

/// What version 3 lacks of version 4: borsh of none.
pub(super) const NO_TRUSTED: [u8; 1] = [0];
/// The version that ends before the trusted head.
const THIRD: u8 = 3;
/// The first version.
pub(super) const FIRST: u8 = 1;
/// What it lacks of version 2: borsh of two empty lists.
pub(super) const LATER_LISTS: [u8; 8] = [0; 8];

/// The state of version 2.
#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct Second {
    pub(super) cards: Vec<CardEntry>,
    pub(super) tokens: Vec<StoredToken>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) grants: Vec<OwnGrant>,
    pub(super) known: Vec<FoundRecord>,
    pub(super) last_search: Vec<FoundRecord>,
    pub(super) replacements: Vec<Replacement>,
    pub(super) reports: Vec<SecondReport>,
}

/// A report of version 2.
#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct SecondReport {
    pub(super) id: Hash,
    pub(super) hospital: HospitalId,
    pub(super) record_hash: Hash,
    pub(super) kind: ReportKind,
}

/// Reads the content of a file of an earlier version.
pub(super) fn read(version: u8, plain: &[u8]) -> Result<PatientState, DecodeError> {
    if version == THIRD {
        return codec::decode_exact(&longer(plain, &NO_TRUSTED), MAX_STATE_BYTES);
    }
    if version > FIRST {
        return codec::decode_exact(plain, MAX_STATE_BYTES).map(Second::into_state);
    }
    codec::decode_exact(&longer(plain, &LATER_LISTS), MAX_STATE_BYTES).map(Second::into_state)
}

fn longer(plain: &[u8], lacking: &[u8]) -> Zeroizing<Vec<u8>> {
    // Reserved whole: growing would leave a copy of the secrets behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(plain.len() + lacking.len()));
    whole.extend_from_slice(plain);
    whole.extend_from_slice(lacking);
    whole
}

impl Second {
    /// Of one record there was one receipt then, which tells the pseudonym. A report without its receipt is
    /// forgotten: it is on the chain all the same.
    fn into_state(self) -> PatientState {
        let receipts = &self.receipts;
        let reports = self.reports.into_iter().filter_map(|report| {
            let receipt = receipts.iter().find(|receipt| {
                receipt.hospital == report.hospital && receipt.record_hash == report.record_hash
            })?;
            Some(OwnReport {
                id: report.id,
                hospital: report.hospital,
                record_hash: report.record_hash,
                pseudonym: receipt.pseudonym.point,
                kind: report.kind,
            })
        });
        let reports = reports.collect();
        PatientState {
            cards: self.cards,
            tokens: self.tokens,
            receipts: self.receipts,
            grants: self.grants,
            known: self.known,
            last_search: self.last_search,
            replacements: self.replacements,
            reports,
            trusted: None,
        }
    }
}
