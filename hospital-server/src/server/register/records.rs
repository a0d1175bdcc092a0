//! Records: what a finished upload became, so that asking again gets the same answer.

use super::{CardNo, POINTS, PSEUDONYMS, RECORDS, REQUESTS, Register, RegisterError, SUPERSEDED};
use crate::database::decode;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, Pseudonym, PublicKey, encode};
use private_chain::policy::RecordState;
use redb::ReadableTable;

/// A request to store a record.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct RequestRow {
    /// Who asked.
    pub(crate) caller: PublicKey,
    /// The record.
    pub(crate) record_hash: Hash,
    /// Whether the record is stored, anchored and logged.
    pub(crate) done: bool,
}

/// A record that is stored and anchored.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct RecordRow {
    /// Hash of its card.
    pub(crate) card: Hash,
    /// Whose it is.
    pub(crate) pseudonym: Pseudonym,
    /// Height of the private block with its anchor.
    pub(crate) height: u64,
    /// Position among that block's anchors.
    pub(crate) position: u32,
    /// Hash of that block.
    pub(crate) block_hash: Hash,
    /// Bytes of the sealed record.
    pub(crate) stored_bytes: u64,
    /// The encoded receipt.
    pub(crate) receipt: Vec<u8>,
}

impl Register {
    /// A request that was made before.
    pub(crate) fn request(&self, id: &[u8; 16]) -> Result<Option<RequestRow>, RegisterError> {
        match self.value(REQUESTS, id)? {
            None => Ok(None),
            Some(bytes) => Ok(Some(decode(&bytes, "request")?)),
        }
    }

    /// A stored record.
    pub(crate) fn record(&self, hash: &Hash) -> Result<Option<RecordRow>, RegisterError> {
        match self.value(RECORDS, hash.as_bytes())? {
            None => Ok(None),
            Some(bytes) => Ok(Some(decode(&bytes, "record")?)),
        }
    }

    /// What became of a record, as policies judge it.
    pub(crate) fn state(&self, hash: &Hash) -> Result<RecordState, RegisterError> {
        if self.value(RECORDS, hash.as_bytes())?.is_none() {
            return Ok(RecordState::Absent);
        }
        Ok(match self.value(SUPERSEDED, hash.as_bytes())? {
            Some(_) => RecordState::Superseded,
            None => RecordState::Current,
        })
    }

    /// Notes that the chain has taken a record in place of another.
    pub(crate) fn supersede(&self, old: &Hash, new: &Hash) -> Result<(), RegisterError> {
        let txn = self.db.begin_write()?;
        txn.open_table(SUPERSEDED)?
            .insert(&old.as_bytes()[..], &new.as_bytes()[..])?;
        txn.commit()?;
        Ok(())
    }

    /// Whether a record with this pseudonym is stored, anchored and logged here.
    pub(crate) fn knows_pseudonym(&self, point: &PublicKey) -> Result<bool, RegisterError> {
        Ok(self.value(POINTS, point.as_bytes())?.is_some())
    }

    /// Notes that a record is about to be anchored. It promises nothing, and says nothing of the card: the chain has
    /// not judged the record yet.
    pub(crate) fn intend(&self, id: &[u8; 16], wanted: RequestRow) -> Result<(), RegisterError> {
        let txn = self.db.begin_write()?;
        {
            let mut requests = txn.open_table(REQUESTS)?;
            let found = requests.get(&id[..])?.map(|value| value.value().to_vec());
            let mut row = wanted;
            if let Some(bytes) = found {
                let known: RequestRow = decode(&bytes, "request")?;
                if known.caller != row.caller
                    || (known.done && known.record_hash != row.record_hash)
                {
                    return Err(RegisterError::RequestReused);
                }
                row.done = known.done;
            }
            requests.insert(&id[..], encode(&row).as_slice())?;
        }
        txn.commit()?;
        Ok(())
    }

    /// Notes that a record is stored, anchored and logged, and that the card's patient stands in the log under
    /// its pseudonym too: from now on, not before, because the chain refuses a pseudonym that another record has.
    /// Gives what is stored: the row of the first time if the record comes again, so that there is one receipt.
    pub(crate) fn finish(
        &self,
        id: &[u8; 16],
        card: &CardNo,
        record_hash: &Hash,
        record: &RecordRow,
    ) -> Result<RecordRow, RegisterError> {
        let point = record.pseudonym.point;
        let txn = self.db.begin_write()?;
        let mut kept = record.clone();
        {
            let mut points = txn.open_table(POINTS)?;
            let mut records = txn.open_table(RECORDS)?;
            let owner = points
                .get(&point.as_bytes()[..])?
                .map(|value| value.value().to_vec());
            if owner.is_some_and(|owner| owner != record_hash.as_bytes()[..]) {
                return Err(RegisterError::PseudonymTaken);
            }
            let known = records
                .get(&record_hash.as_bytes()[..])?
                .map(|value| value.value().to_vec());
            if let Some(bytes) = known {
                let known: RecordRow = decode(&bytes, "record")?;
                if (known.card, known.pseudonym) != (record.card, record.pseudonym) {
                    return Err(RegisterError::PseudonymTaken);
                }
                kept = known;
            }
            let mut requests = txn.open_table(REQUESTS)?;
            let found = requests.get(&id[..])?.map(|value| value.value().to_vec());
            if let Some(bytes) = found {
                let mut row: RequestRow = decode(&bytes, "request")?;
                row.done = true;
                requests.insert(&id[..], encode(&row).as_slice())?;
            }
            records.insert(&record_hash.as_bytes()[..], encode(&kept).as_slice())?;
            points.insert(&point.as_bytes()[..], &record_hash.as_bytes()[..])?;
            let subject = [&card[..], &point.as_bytes()[..]].concat();
            txn.open_table(PSEUDONYMS)?
                .insert(subject.as_slice(), b"".as_slice())?;
        }
        txn.commit()?;
        Ok(kept)
    }
}
