//! A request with its records and keys, verified.

use std::collections::BTreeMap;
use std::sync::Arc;

use caduceus_crypto::Hash;
use caduceus_crypto::codec::decode_exact;
use caduceus_crypto::emergency::{
    CheckedEmergencyKey, EmergencyExcerpt, MAX_EXCERPT_BYTES, VerifiedWrap,
};
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_network::exchange::{EmergencyDocument, EmergencyRequest, EmergencyTarget};

use super::{EmergencyFault, hospitals_key};
use crate::network_map::HospitalMap;

/// One record of a case.
#[derive(Clone, Debug)]
pub struct EmergencyRecord {
    /// Header and wrap, proved to be the record's.
    pub excerpt: EmergencyExcerpt,
    /// The wrap, checked.
    pub wrap: VerifiedWrap,
    /// The key that it is wrapped under, signed by the hospital.
    pub key: Arc<CheckedEmergencyKey>,
}

impl EmergencyRecord {
    /// P and record hash: what an entry about it names.
    pub(super) fn names(&self) -> (PublicKey, Hash) {
        (
            self.excerpt.header.pseudonym.point,
            self.excerpt.record_hash,
        )
    }
}

/// What somebody asks for in an emergency. Everything in it was checked, but that the records are all of the card's
/// newest, which only the server knows.
#[derive(Clone, Debug)]
pub struct EmergencyCase {
    request: EmergencyRequest,
    until: TimeMillis,
    records: Vec<EmergencyRecord>,
    left_out: u32,
}

impl EmergencyCase {
    pub(super) fn verify(
        map: &HospitalMap,
        asked: &Hash,
        document: EmergencyDocument,
    ) -> Result<Self, EmergencyFault> {
        let wrong = |what: &str| EmergencyFault::Document {
            what: what.to_owned(),
        };
        let request = document.request;
        if request.id() != *asked || request.hospital != map.hospital {
            return Err(wrong("it is about another request"));
        }
        if request.check().is_err() {
            return Err(wrong("the requester did not sign the request"));
        }
        let mut keys: BTreeMap<u32, Arc<CheckedEmergencyKey>> = BTreeMap::new();
        for bytes in &document.keys {
            let (_, key) = hospitals_key(map, bytes).map_err(wrong)?;
            keys.insert(key.generation(), Arc::new(key));
        }
        let mut records = Vec::with_capacity(document.excerpts.len());
        for bytes in &document.excerpts {
            let excerpt: EmergencyExcerpt = decode_exact(bytes, MAX_EXCERPT_BYTES)
                .map_err(|_| wrong("an excerpt does not decode"))?;
            let key = keys
                .get(&excerpt.wrap.generation)
                .ok_or_else(|| wrong("a key is missing"))?;
            let wrap = excerpt
                .verify(key)
                .map_err(|error| wrong(&error.to_string()))?;
            if excerpt.header.hospital != map.hospital {
                return Err(wrong("a record is another hospital's"));
            }
            let key = Arc::clone(key);
            records.push(EmergencyRecord { excerpt, wrap, key });
        }
        if let EmergencyTarget::Record(record) = &request.target
            && (records.len() != 1 || records[0].excerpt.record_hash != *record)
        {
            return Err(wrong("it shows another record than the one asked for"));
        }
        if records.is_empty() {
            return Err(wrong("it shows no record"));
        }
        Ok(Self {
            request,
            until: document.until,
            records,
            left_out: document.left_out,
        })
    }

    /// Its identifier: what the requester tells the officers.
    pub fn id(&self) -> Hash {
        self.request.id()
    }

    /// Who asks for what, and why; the signature was checked.
    pub fn request(&self) -> &EmergencyRequest {
        &self.request
    }

    /// Until when it can be approved and opened, by the server's clock.
    pub fn until(&self) -> TimeMillis {
        self.until
    }

    /// The records.
    pub fn records(&self) -> &[EmergencyRecord] {
        &self.records
    }

    /// Records of the card that found no room.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Officers whom it takes: the most that any of the records needs.
    pub fn threshold(&self) -> usize {
        let needed = self.records.iter().map(|record| record.key.threshold());
        needed.max().unwrap_or(0)
    }
}
