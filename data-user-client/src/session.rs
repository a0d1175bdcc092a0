//! A data user's session with the alliance: requests, grants, tickets.

use alliance_chain::state;
use alliance_chain::{
    Access, AccountRecord, Grant, GrantRecord, GrantStatus, Purpose, Request, RequestRecord, Tx,
};
use caduceus_cli::NetworkFile;
use caduceus_client::{Alliance, ConnectOptions, Proved};
use caduceus_crypto::hash::Hash;
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use caduceus_ledger::{Genesis, Height};
use rand_core::{OsRng, RngCore};

use crate::error::DataUserError;
use crate::keys::DataUserKeys;

/// Most requests that one listing looks at.
const MAX_LISTED: u16 = 1024;

/// A data user in a session with the alliance. Clones share the session.
#[derive(Clone)]
pub struct DataUser {
    keys: DataUserKeys,
    alliance: Alliance,
}

/// A request that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its identifier.
    pub id: Hash,
    /// When it ends.
    pub until: TimeMillis,
    /// Alliance height of its block.
    pub height: Height,
}

/// One of this data user's requests, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEntry {
    /// Its identifier.
    pub id: Hash,
    /// The request.
    pub record: RequestRecord,
}

/// How a grant stands by the session's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither revoked nor expired.
    Active,
    /// Revoked by the patient.
    Revoked {
        /// When, by block time.
        at: TimeMillis,
    },
    /// Ended by itself.
    Expired,
}

/// A grant to this data user, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantEntry {
    /// Its identifier.
    pub id: Hash,
    /// The grant.
    pub record: GrantRecord,
    /// How it stands now.
    pub standing: Standing,
}

/// A committed access: what proxies and the hospital answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The `Access` transaction.
    pub access: Hash,
    /// The grant's identifier.
    pub grant_id: Hash,
    /// The grant, proved. That the record is linked with this hash and pseudonym was a rule of its own.
    pub grant: Grant,
    /// When the access was committed, by block time.
    pub time: TimeMillis,
}

impl DataUser {
    /// Takes a session that is open already. It must be one under the signing key
    /// (`ConnectOptions::key`): proxies answer to nobody else.
    #[must_use]
    pub fn new(keys: DataUserKeys, alliance: Alliance) -> Self {
        Self { keys, alliance }
    }

    /// Opens a session. Nodes see the signing key, whatever the options say: proxies answer to nobody else.
    ///
    /// # Errors
    /// As [`Alliance::connect`].
    ///
    /// # Leakage
    /// The nodes asked learn which data user is looking; the record itself is fetched from a fresh peer.
    pub async fn connect(
        network: &NetworkFile,
        genesis: Genesis,
        keys: DataUserKeys,
        options: ConnectOptions,
    ) -> Result<Self, DataUserError> {
        let options = ConnectOptions {
            key: Some(keys.signing().clone()),
            ..options
        };
        Ok(Self::new(
            keys,
            Alliance::connect(network, genesis, options).await?,
        ))
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &DataUserKeys {
        &self.keys
    }

    /// The session with the alliance.
    #[must_use]
    pub fn alliance(&self) -> &Alliance {
        &self.alliance
    }

    /// Closes the session's connections.
    pub async fn close(&self) {
        self.alliance.close().await;
    }

    /// This data user's account; none if no member has vouched yet.
    ///
    /// # Errors
    /// As [`Alliance::get`].
    pub async fn account(&self) -> Result<Option<AccountRecord>, DataUserError> {
        Ok(self.alliance.get(&state::account(&self.keys.id())).await?)
    }

    /// Posts a request that ends after so many days.
    ///
    /// # Errors
    /// [`caduceus_client::ClientError::Rejected`] by the rules of `Request`; otherwise as [`Alliance::submit`].
    ///
    /// # Leakage
    /// Every member reads who asks for what, and why.
    pub async fn request(
        &self,
        purpose: Purpose,
        sought: &str,
        days: u32,
    ) -> Result<Posted, DataUserError> {
        let life = u64::from(days).saturating_mul(MILLIS_PER_DAY);
        let until = TimeMillis(self.alliance.now().0.saturating_add(life));
        let body = Request {
            data_user: self.keys.id(),
            purpose,
            sought: sought.to_owned(),
            until,
        };
        let tx = Tx::Request(body.sign(&self.alliance.chain(), self.keys.signing()));
        let proved: Proved = self.alliance.submit(&tx).await?;
        Ok(Posted {
            id: proved.id,
            until,
            height: proved.height,
        })
    }

    /// This data user's requests, each proved. That none is missing is the node's word.
    ///
    /// # Errors
    /// As [`Alliance::get`].
    pub async fn requests(&self) -> Result<Vec<RequestEntry>, DataUserError> {
        let any = state::request(&Hash::default());
        let prefix = &any.bytes()[..any.bytes().len() - 32];
        let mut found = Vec::new();
        for (key, value) in self.alliance.list(prefix, MAX_LISTED).await? {
            let Some(id) = key
                .strip_prefix(prefix)
                .and_then(|tail| <[u8; 32]>::try_from(tail).ok())
            else {
                continue;
            };
            let mine = any
                .decode(&value)
                .is_ok_and(|hint| hint.request.data_user == self.keys.id());
            if !mine {
                continue;
            }
            let id = Hash(id);
            if let Some(record) = self.alliance.get(&state::request(&id)).await? {
                found.push(RequestEntry { id, record });
            }
        }
        found.sort_by_key(|entry| entry.record.posted);
        Ok(found)
    }

    /// All grants to this data user, oldest first, proved complete.
    ///
    /// # Errors
    /// As [`Alliance::items`].
    pub async fn grants(&self) -> Result<Vec<GrantEntry>, DataUserError> {
        let mut grants = Vec::new();
        for id in self
            .alliance
            .items(&state::grants_to(&self.keys.id()))
            .await?
        {
            let record = self.grant(&id).await?;
            let standing = standing(&record, self.alliance.now());
            grants.push(GrantEntry {
                id,
                record,
                standing,
            });
        }
        Ok(grants)
    }

    /// A grant, proved.
    ///
    /// # Errors
    /// [`DataUserError::NoGrant`] when it is proved absent; otherwise as [`Alliance::get`].
    pub async fn grant(&self, id: &Hash) -> Result<GrantRecord, DataUserError> {
        let found: Option<GrantRecord> = self.alliance.get(&state::grant(id)).await?;
        found.ok_or(DataUserError::NoGrant { grant: *id })
    }

    /// Takes a ticket for a grant: submits a fresh `Access` and waits until it is committed and proved. Whether
    /// the grant still holds is the chain's to judge.
    ///
    /// # Errors
    /// [`caduceus_client::ClientError::Rejected`] by the rules of `Access`; [`DataUserError::NoGrant`].
    ///
    /// # Leakage
    /// The ticket stands on the chain for ever: who accessed which grant, and when.
    pub async fn access(&self, grant: &Hash) -> Result<Ticket, DataUserError> {
        let record = self.grant(grant).await?;
        let mut nonce = [0u8; 32];
        OsRng.fill_bytes(&mut nonce);
        let body = Access {
            grant: *grant,
            nonce,
        };
        let tx = Tx::Access(body.sign(&self.alliance.chain(), self.keys.signing()));
        let proved: Proved = self.alliance.submit(&tx).await?;
        Ok(Ticket {
            access: proved.id,
            grant_id: *grant,
            grant: record.grant,
            time: proved.time,
        })
    }
}

fn standing(record: &GrantRecord, now: TimeMillis) -> Standing {
    match record.status {
        GrantStatus::Revoked { at } => Standing::Revoked { at },
        GrantStatus::Active if now >= record.grant.expires => Standing::Expired,
        GrantStatus::Active => Standing::Active,
    }
}
