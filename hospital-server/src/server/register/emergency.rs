//! Emergencies: which cards opted in, and what was asked for and agreed to. Requests are kept: they are what the
//! persons signed, and the audit entries name them by their hash.

use super::{CardNo, EMERGENCY_CARDS, EMERGENCY_REQUESTS, POINTS, Register, RegisterError};
use crate::database::decode;
use crate::server::register::RecordRow;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::emergency::EmergencyConsent;
use caduceus_crypto::{Hash, TimeMillis, encode};
use caduceus_network::exchange::{EmergencyApproval, EmergencyRequest};
use redb::ReadableTable;

/// A request to open records.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct EmergencyRow {
    /// What the requester signed.
    pub(crate) request: EmergencyRequest,
    /// Hash of the card.
    pub(crate) card: Hash,
    /// Until when it can be approved and opened.
    pub(crate) until: TimeMillis,
    /// The records.
    pub(crate) records: Vec<Hash>,
    /// Records of the card that found no room.
    pub(crate) left_out: u32,
    /// Officers' words, one an officer.
    pub(crate) approvals: Vec<EmergencyApproval>,
}

impl Register {
    /// What the patient last said of emergencies, by the card's hash.
    pub(crate) fn consent(&self, card: &Hash) -> Result<Option<EmergencyConsent>, RegisterError> {
        match self.value(EMERGENCY_CARDS, card.as_bytes())? {
            None => Ok(None),
            Some(bytes) => Ok(Some(decode(&bytes, "emergency consent")?)),
        }
    }

    /// Keeps what the patient says, if it is newer than what she said.
    pub(crate) fn keep_consent(&self, consent: &EmergencyConsent) -> Result<(), RegisterError> {
        let card = consent.card.as_bytes();
        let txn = self.db.begin_write()?;
        {
            let mut cards = txn.open_table(EMERGENCY_CARDS)?;
            let found = cards.get(&card[..])?.map(|value| value.value().to_vec());
            if let Some(bytes) = found {
                let known: EmergencyConsent = decode(&bytes, "emergency consent")?;
                if known == *consent {
                    return Ok(());
                }
                if known.at >= consent.at {
                    return Err(RegisterError::ConsentOlder);
                }
            }
            cards.insert(&card[..], encode(consent).as_slice())?;
        }
        txn.commit()?;
        Ok(())
    }

    /// Records of a card, newest first.
    pub(crate) fn records_of(
        &self,
        card: &CardNo,
    ) -> Result<Vec<(Hash, RecordRow)>, RegisterError> {
        let mut found = Vec::new();
        for point in self.pseudonyms(card)? {
            let Some(bytes) = self.value(POINTS, point.as_bytes())? else {
                continue;
            };
            let record: Hash = decode(&bytes, "record hash")?;
            if let Some(row) = self.record(&record)? {
                found.push((record, row));
            }
        }
        found.sort_by_key(|(_, row)| std::cmp::Reverse((row.height, row.position)));
        Ok(found)
    }

    /// Keeps a request. The same request again changes nothing.
    pub(crate) fn add_emergency(&self, id: &Hash, row: &EmergencyRow) -> Result<(), RegisterError> {
        let txn = self.db.begin_write()?;
        {
            let mut requests = txn.open_table(EMERGENCY_REQUESTS)?;
            let known = requests.get(&id.as_bytes()[..])?.is_some();
            if !known {
                requests.insert(&id.as_bytes()[..], encode(row).as_slice())?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    /// A request.
    pub(crate) fn emergency(&self, id: &Hash) -> Result<Option<EmergencyRow>, RegisterError> {
        match self.value(EMERGENCY_REQUESTS, id.as_bytes())? {
            None => Ok(None),
            Some(bytes) => Ok(Some(decode(&bytes, "emergency request")?)),
        }
    }

    /// Keeps an officer's word, in place of an earlier one of hers. Gives how many officers approved.
    pub(crate) fn approve(&self, approval: &EmergencyApproval) -> Result<u32, RegisterError> {
        let id = approval.request.as_bytes();
        let txn = self.db.begin_write()?;
        let count;
        {
            let mut requests = txn.open_table(EMERGENCY_REQUESTS)?;
            let found = requests.get(&id[..])?.map(|value| value.value().to_vec());
            let bytes = found.ok_or(RegisterError::EmergencyUnknown)?;
            let mut row: EmergencyRow = decode(&bytes, "emergency request")?;
            row.approvals
                .retain(|known| known.officer != approval.officer);
            row.approvals.push(approval.clone());
            count = u32::try_from(row.approvals.len()).unwrap_or(u32::MAX);
            requests.insert(&id[..], encode(&row).as_slice())?;
        }
        txn.commit()?;
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{HospitalId, SecretKey, Signature};
    use caduceus_network::exchange::EmergencyTarget;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn consent(wanted: bool, at: u64) -> EmergencyConsent {
        let (hospital, card) = (HospitalId([1; 32]), Hash([2; 32]));
        EmergencyConsent::sign(&key(3), hospital, card, wanted, TimeMillis(at))
    }

    fn approval(request: Hash, officer: u8, at: u64) -> EmergencyApproval {
        EmergencyApproval {
            hospital: HospitalId([1; 32]),
            request,
            officer: key(officer).public(),
            sealed: vec![officer],
            statements: Vec::new(),
            at: TimeMillis(at),
            signature: Signature([0; 64]),
        }
    }

    #[test]
    fn the_newest_word_of_the_patient_counts() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(&folder.path().join("register.redb")).unwrap();
        let card = Hash([2; 32]);
        assert_eq!(register.consent(&card).unwrap(), None);
        register.keep_consent(&consent(true, 5)).unwrap();
        register.keep_consent(&consent(true, 5)).unwrap();
        for older in [consent(false, 4), consent(false, 5)] {
            assert!(matches!(
                register.keep_consent(&older),
                Err(RegisterError::ConsentOlder)
            ));
        }
        register.keep_consent(&consent(false, 6)).unwrap();
        assert_eq!(register.consent(&card).unwrap(), Some(consent(false, 6)));
    }

    #[test]
    fn an_officer_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(&folder.path().join("register.redb")).unwrap();
        let request = EmergencyRequest {
            hospital: HospitalId([1; 32]),
            requester: key(4).public(),
            target: EmergencyTarget::Card(Hash([2; 32])),
            reason: "unconscious".into(),
            at: TimeMillis(7),
            nonce: [8; 16],
            signature: Signature([0; 64]),
        };
        let id = request.id();
        assert!(matches!(
            register.approve(&approval(id, 5, 1)),
            Err(RegisterError::EmergencyUnknown)
        ));
        let row = EmergencyRow {
            request,
            card: Hash([2; 32]),
            until: TimeMillis(9),
            records: vec![Hash([6; 32])],
            left_out: 0,
            approvals: Vec::new(),
        };
        register.add_emergency(&id, &row).unwrap();
        assert_eq!(register.approve(&approval(id, 5, 1)).unwrap(), 1);
        assert_eq!(register.approve(&approval(id, 5, 2)).unwrap(), 1);
        assert_eq!(register.approve(&approval(id, 6, 3)).unwrap(), 2);
        // Asked again, it keeps what was agreed to.
        register.add_emergency(&id, &row).unwrap();
        let kept = register.emergency(&id).unwrap().unwrap();
        assert_eq!(kept.approvals, [approval(id, 5, 2), approval(id, 6, 3)]);
    }
}
