//! The list of run files: up to where each bucket's entries are in files, and in which. `runs.list`, mode 0600: nonce
//! (12) | AES-256-GCM of borsh([`List`]) under the node's own key, with the chain identifier as associated data.
//!
//! Without it, or when it does not open, the index begins anew from the chain.

use super::run::RunId;
use crate::audit::{Bucket, SecretBytes};
use crate::audit_log::keys::file::publish;
use aes_gcm::aead::{Aead, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec;
use caduceus_ledger::ChainId;
use rand_core::{OsRng, RngCore};
use std::fs;
use std::io;
use std::path::Path;

const NONCE_BYTES: usize = 12;
const MAX_BYTES: usize = 64 << 20;

/// The runs of one bucket.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Listed {
    pub(super) bucket: Bucket,
    /// Sequence number of the first batch with an entry of this bucket.
    pub(super) from: u64,
    /// Before this number every entry of the bucket is in the runs or among the unopened.
    pub(super) filed_to: u64,
    /// Sequence numbers of entries that do not open under the bucket's key.
    pub(super) unopened: Vec<u64>,
    /// The runs, in order.
    pub(super) runs: Vec<RunId>,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct List {
    /// Before this number every entry was looked at.
    pub(super) head: u64,
    pub(super) buckets: Vec<Listed>,
}

impl List {
    /// Reads the list; none if there is none or it is not what was written.
    pub(super) fn read(
        path: &Path,
        key: &SecretBytes,
        chain: &ChainId,
    ) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let opened = bytes
            .split_at_checked(NONCE_BYTES)
            .and_then(|(nonce, sealed)| {
                let payload = Payload {
                    msg: sealed,
                    aad: chain.0.as_bytes(),
                };
                let plain = cipher(key)
                    .decrypt(Nonce::<Aes256Gcm>::from_slice(nonce), payload)
                    .ok()?;
                codec::decode_exact(&plain, MAX_BYTES).ok()
            });
        if opened.is_none() {
            tracing::warn!(path = %path.display(), "the list of the audit index is damaged: it is made anew");
        }
        Ok(opened)
    }

    /// Writes the list, durably.
    pub(super) fn write(&self, path: &Path, key: &SecretBytes, chain: &ChainId) -> io::Result<()> {
        let mut nonce = [0u8; NONCE_BYTES];
        OsRng.fill_bytes(&mut nonce);
        let plain = codec::encode(self);
        let payload = Payload {
            msg: &plain[..],
            aad: chain.0.as_bytes(),
        };
        let sealed = cipher(key)
            .encrypt(&nonce.into(), payload)
            .expect("AES-GCM takes messages of this size");
        publish(path, &[&nonce[..], &sealed].concat())
    }
}

fn cipher(key: &SecretBytes) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(&key[..]).expect("AES-256 takes 32 bytes")
}
