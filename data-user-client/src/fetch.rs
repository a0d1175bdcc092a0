//! From a grant to an opened record (DESIGN 2.4, steps 3 and 4).

use std::fmt;
use std::time::{Duration, Instant};

use alliance_chain::Grant;
use caduceus_client::RightKey;
use caduceus_crypto::hash::Hash;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::record::parse;
use caduceus_custody::open::Opened;
use caduceus_custody::shared::{SharedError, open_shared};

use crate::error::DataUserError;
use crate::fragments::{Blame, Fault, Fragments};
use crate::session::{DataUser, Ticket};

mod acknowledge;

/// An opened record and how it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The ticket.
    pub ticket: Ticket,
    /// The record's content.
    pub opened: Opened,
    /// The proxies whose fragments opened it.
    pub proxies: Vec<PublicKey>,
    /// Proxies that failed on the way.
    pub blamed: Vec<Blame>,
    /// What the data may be used for, as the patient said; checked against the grant's commitment.
    pub purpose: Option<String>,
    /// From the call to the opened record.
    pub took: Duration,
}

impl Fetched {
    /// The record's hash: that of the bytes fetched, of the grant, and of the linked record.
    #[must_use]
    pub fn record_hash(&self) -> Hash {
        self.ticket.grant.record_hash
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("access", &self.ticket.access)
            .field("opened", &self.opened)
            .field("proxies", &self.proxies.len())
            .field("blamed", &self.blamed)
            .finish_non_exhaustive()
    }
}

impl DataUser {
    /// Takes a ticket, fetches the ciphertext, gathers fragments until the threshold is met, opens, and acknowledges
    /// the service: those who served earn what the access paid.
    ///
    /// # Errors
    /// [`DataUserError::NoGrant`], [`DataUserError::OtherReceivingKey`] before anything is disclosed; the rules
    /// of `Access`; what [`caduceus_client::Alliance::fetch_record`] says of the hospital;
    /// [`DataUserError::TooFewFragments`], [`DataUserError::Open`], [`DataUserError::OtherRecord`].
    ///
    /// # Leakage
    /// The ticket is on the chain before anything is disclosed. Hospital, node and proxies learn which record
    /// is read under it.
    pub async fn fetch(&self, grant: &Hash) -> Result<Fetched, DataUserError> {
        let begun = Instant::now();
        let granted = self.grant(grant).await?.grant;
        let expected = self.keys().receiving_public();
        if granted.receiving != expected {
            return Err(DataUserError::OtherReceivingKey {
                grant: *grant,
                expected,
                found: granted.receiving,
            });
        }
        let ticket = self.access(grant).await?;
        let bytes = self.ciphertext(&ticket).await?;
        let capsule = parse(&bytes).map_err(DataUserError::Record)?.wrap.capsule;
        let (opened, found) = self.gather_and_open(&ticket, &bytes, &capsule).await?;
        let took = begun.elapsed();
        let proxies: Vec<PublicKey> = found.good.iter().map(|fragment| fragment.proxy).collect();
        self.acknowledge(&ticket, &proxies, took).await;
        Ok(Fetched {
            ticket,
            opened,
            proxies,
            blamed: found.blamed,
            purpose: found.purpose,
            took,
        })
    }

    /// Fetches the sealed record under a ticket. Its hash is that of the grant, hence of the linked record: the
    /// chain took the grant only so.
    ///
    /// # Errors
    /// As [`caduceus_client::Alliance::fetch_record`].
    pub async fn ciphertext(&self, ticket: &Ticket) -> Result<Vec<u8>, DataUserError> {
        let Grant {
            hospital,
            record,
            record_hash,
            ..
        } = ticket.grant;
        let right = RightKey::Ticket {
            access: ticket.access,
            key: self.keys().signing(),
        };
        Ok(self
            .alliance()
            .fetch_record(hospital, record, record_hash, &right)
            .await?)
    }

    /// Opens a sealed record with proxies' fragments, and checks that it is the granted one.
    ///
    /// # Errors
    /// [`DataUserError::Open`] names a bad fragment by its place; [`DataUserError::OtherRecord`].
    pub fn open(
        &self,
        ticket: &Ticket,
        bytes: &[u8],
        fragments: &[Vec<u8>],
    ) -> Result<Opened, DataUserError> {
        let grant = &ticket.grant;
        let view = parse(bytes).map_err(DataUserError::Record)?;
        if view.record_hash() != grant.record_hash {
            return Err(DataUserError::OtherRecord { what: "its hash" });
        }
        if view.header.hospital != grant.hospital {
            return Err(DataUserError::OtherRecord {
                what: "its hospital",
            });
        }
        if view.header.pseudonym.point != grant.pseudonym {
            return Err(DataUserError::OtherRecord {
                what: "its pseudonym",
            });
        }
        let receiving = self.keys().receiving();
        Ok(open_shared(
            bytes,
            receiving,
            &grant.delegating,
            &grant.verifying,
            fragments,
        )?)
    }

    /// Asks one proxy after the other, only as many as are needed.
    async fn gather_and_open(
        &self,
        ticket: &Ticket,
        bytes: &[u8],
        capsule: &[u8],
    ) -> Result<(Opened, Fragments), DataUserError> {
        let needed = usize::from(ticket.grant.threshold);
        let mut found = Fragments::default();
        for proxy in &ticket.grant.proxies {
            self.ask_proxy(ticket, capsule, proxy, &mut found).await;
            if found.good.len() < needed {
                continue;
            }
            match self.open(ticket, bytes, &found.bytes()) {
                Ok(opened) => return Ok((opened, found)),
                Err(DataUserError::Open(SharedError::RepeatedFragment { index, .. })) => {
                    let repeated = found.good.remove(index);
                    found.blamed.push(Blame {
                        proxy: repeated.proxy,
                        fault: Fault::Repeated,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(DataUserError::TooFewFragments {
            needed,
            found: found.good.len(),
            blamed: found.blamed,
        })
    }
}
