//! A request as its persons see it: what is asked, of which records, under which keys.

use super::terms::{checked, key_of};
use crate::database::blocking;
use crate::server::context::{Context, Turned};
use crate::server::register::EmergencyRow;
use caduceus_crypto::emergency::{CheckedEmergencyKey, EmergencyExcerpt};
use caduceus_crypto::record::SealedView;
use caduceus_crypto::{Hash, PublicKey, encode};
use caduceus_network::exchange::{EmergencyDocument, MAX_EMERGENCY_KEYS};
use private_chain::SignedEmergencyKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One record of a request.
pub(super) struct Item {
    /// Its header and wrap, with their proofs.
    pub(super) excerpt: EmergencyExcerpt,
    /// The key that it is wrapped under.
    pub(super) key: Arc<CheckedEmergencyKey>,
    /// Bytes of the sealed record.
    pub(super) total: u64,
}

impl Item {
    /// P and record hash: what an entry about it names.
    pub(super) fn names(&self) -> (PublicKey, Hash) {
        (
            self.excerpt.header.pseudonym.point,
            self.excerpt.record_hash,
        )
    }
}

/// Records of a request, and the keys that they are wrapped under.
#[derive(Default)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    signed: BTreeMap<u32, (SignedEmergencyKey, Arc<CheckedEmergencyKey>)>,
}

impl Items {
    /// Reads the records. Those that officers could not open are left out: without a wrap, with one that does not
    /// hold, or beyond what a document has room for.
    pub(super) async fn read(
        ctx: &Context,
        id: [u8; 16],
        records: &[Hash],
    ) -> Result<Self, Turned> {
        let mut all = Self::default();
        for record in records {
            ctx.vault_call(id, "get", record)?;
            let bytes = match ctx.vault.get(*record).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::error!(%error, "a record that is needed in an emergency cannot be read");
                    continue;
                }
            };
            let total = bytes.len() as u64;
            let excerpt = blocking(move || {
                let view = SealedView::parse(&bytes).ok()?;
                EmergencyExcerpt::of(&view)
            });
            let Some(excerpt) = excerpt.await else {
                continue;
            };
            let Some(key) = all.key(ctx, excerpt.wrap.generation).await? else {
                continue;
            };
            if excerpt.verify(&key).is_ok() {
                all.items.push(Item {
                    excerpt,
                    key,
                    total,
                });
            }
        }
        Ok(all)
    }

    async fn key(
        &mut self,
        ctx: &Context,
        generation: u32,
    ) -> Result<Option<Arc<CheckedEmergencyKey>>, Turned> {
        if let Some((_, key)) = self.signed.get(&generation) {
            return Ok(Some(Arc::clone(key)));
        }
        if self.signed.len() >= MAX_EMERGENCY_KEYS {
            return Ok(None);
        }
        let Some(signed) = key_of(ctx, generation).await.map_err(Turned::later)? else {
            return Ok(None);
        };
        let key = Arc::new(checked(&signed)?);
        self.signed.insert(generation, (signed, Arc::clone(&key)));
        Ok(Some(key))
    }

    /// Whether a member of staff is an officer for any of the records.
    pub(super) fn has_officer(&self, staff: &PublicKey) -> bool {
        self.items
            .iter()
            .any(|item| item.key.index_of(staff).is_some())
    }

    /// What travels.
    pub(super) fn document(&self, row: &EmergencyRow) -> EmergencyDocument {
        EmergencyDocument {
            request: row.request.clone(),
            until: row.until,
            excerpts: self
                .items
                .iter()
                .map(|item| encode(&item.excerpt))
                .collect(),
            keys: self.signed.values().map(|(key, _)| encode(key)).collect(),
            left_out: row.left_out,
        }
    }
}
