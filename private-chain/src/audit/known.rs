//! What is known of the keys and records that entries name: for people, never for proofs.

use super::entry::Actor;
use crate::state::StaffRecord;
use crate::tx::Role;
use caduceus_crypto::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_ledger::ChainId;
use std::collections::BTreeMap;

/// What the chain and the network file say beside the entries.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The chain, which statements are signed for.
    pub chain: ChainId,
    /// Staff as enrolled now.
    pub staff: BTreeMap<PublicKey, StaffRecord>,
    /// Other keys, and what they are: the server, a validator, another hospital's node.
    pub keys: BTreeMap<PublicKey, String>,
    /// Names of hospitals.
    pub organisations: BTreeMap<HospitalId, String>,
    /// Which version of a document a record is, from 1.
    pub versions: BTreeMap<Hash, u32>,
}

impl Known {
    /// The staff record of an actor.
    pub fn staff_of(&self, actor: &Actor) -> Option<&StaffRecord> {
        match actor {
            Actor::Key(key) => self.staff.get(key),
            Actor::Named(_) => None,
        }
    }

    /// A name for an actor: that of the enrolment, what its key is, or what the imported log says.
    pub fn label<'a>(&'a self, actor: &'a Actor) -> Option<&'a str> {
        match actor {
            Actor::Named(name) => Some(name),
            Actor::Key(key) => match self.staff.get(key) {
                Some(staff) => Some(&staff.label),
                None => self.keys.get(key).map(String::as_str),
            },
        }
    }

    /// The role that an entry names, or else that of the actor's enrolment.
    pub fn role(&self, named: Option<Role>, actor: &Actor) -> Option<Role> {
        named.or_else(|| self.staff_of(actor).map(|staff| staff.role))
    }

    /// A hospital's name.
    pub fn organisation(&self, id: &HospitalId) -> Option<&str> {
        self.organisations.get(id).map(String::as_str)
    }
}
