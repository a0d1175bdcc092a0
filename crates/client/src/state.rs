//! Reads of the alliance's state: proved values and absences, complete lists, unproved hints.

use crate::error::ClientError;
use crate::head::document;
use crate::session::{Alliance, Doubt};
use alliance_chain::Key;
use alliance_chain::state::{self, List};
use alliance_chain::{Params, ProxyInfo};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_ledger::{CertifiedHeader, StateProofAt};
use caduceus_network::exchange::{Query, QueryRequest};

/// Keys and values as a listing brings them.
pub type Listing = Vec<(Vec<u8>, Vec<u8>)>;

impl Alliance {
    /// The value under a key of the authenticated state at a fresh head; none is proved absence.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::Stale`], [`ClientError::Unverified`].
    pub async fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.state_at(key).await?.0)
    }

    /// [`Alliance::state`] with the head under which the value, or its absence, is proved.
    async fn state_at(
        &self,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, CertifiedHeader), ClientError> {
        let floor = self.trust().highest();
        self.ask::<Query, (Option<Vec<u8>>, CertifiedHeader)>(
            || QueryRequest::State { key: key.to_vec() },
            |reply| {
                let proved: StateProofAt = document(reply, "a state proof")?;
                let value = self.trust().state(&proved, key, self.now(), floor)?;
                Ok((value, proved.head))
            },
        )
        .await
    }

    /// The proved value under a typed key.
    ///
    /// # Errors
    /// As [`Alliance::state`]; [`ClientError::Unverified`] also for proved bytes that do not decode.
    pub async fn get<T>(&self, key: &Key<T>) -> Result<Option<T>, ClientError>
    where
        T: BorshSerialize + BorshDeserialize,
    {
        Ok(self.get_at(key).await?.0)
    }

    /// The proved value under a typed key, and the head under which it is proved.
    ///
    /// # Errors
    /// As [`Alliance::get`].
    pub async fn get_at<T>(&self, key: &Key<T>) -> Result<(Option<T>, CertifiedHeader), ClientError>
    where
        T: BorshSerialize + BorshDeserialize,
    {
        let (bytes, head) = self.state_at(key.bytes()).await?;
        let value = bytes.map(|bytes| key.decode(&bytes)).transpose();
        let value = value.map_err(|error| ClientError::Unverified {
            node: "all nodes alike".to_owned(),
            reason: error.to_string(),
        })?;
        Ok((value, head))
    }

    /// All items of a list, proved complete up to the head at which its length was read.
    ///
    /// # Errors
    /// As [`Alliance::get`].
    pub async fn items(&self, list: &List) -> Result<Vec<Hash>, ClientError> {
        let count: u32 = self.get(&list.count_key()).await?.unwrap_or(0);
        let mut items = Vec::new();
        for index in 0..count {
            let item = self.get(&list.item_key(index)).await?;
            items.push(item.ok_or_else(|| ClientError::Unverified {
                node: "all nodes alike".to_owned(),
                reason: format!("item {index} of {count} is proved absent"),
            })?);
        }
        Ok(items)
    }

    /// The alliance's bounds now, proved.
    ///
    /// # Errors
    /// As [`Alliance::get`].
    pub async fn params(&self) -> Result<Params, ClientError> {
        Ok(self
            .get(&state::params())
            .await?
            .unwrap_or(self.genesis().params))
    }

    /// The re-encryption proxies now, proved.
    ///
    /// # Errors
    /// As [`Alliance::get`].
    pub async fn proxies(&self) -> Result<Vec<ProxyInfo>, ClientError> {
        Ok(self.get(&state::proxies()).await?.unwrap_or_default())
    }

    /// Entries of the authenticated state under a prefix, in key order: a hint without proof.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::Unverified`] for a malformed answer.
    pub async fn list(&self, prefix: &[u8], limit: u16) -> Result<Listing, ClientError> {
        self.ask::<Query, Listing>(
            || QueryRequest::List {
                prefix: prefix.to_vec(),
                limit,
            },
            |reply| {
                let found: Listing = document(reply, "a listing")?;
                if found.iter().all(|(key, _)| key.starts_with(prefix)) {
                    Ok(found)
                } else {
                    Err(Doubt::Unverified(
                        "a listing has a key outside of its prefix".to_owned(),
                    ))
                }
            },
        )
        .await
    }
}
