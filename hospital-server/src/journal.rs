//! An independent account of what a server did, for whoever checks that everything done was logged.

#[cfg(any(feature = "serve", feature = "keys"))]
use std::sync::Arc;

/// Counts what is done, apart from the audit log: a scenario joins both by request identifier.
pub trait ActionJournal: Send + Sync + 'static {
    /// The vault is read or written for a request; `what` is `put`, `get` or `range`.
    fn vault_call(&self, request_id: [u8; 16], what: &str);

    /// A reply that rests on an audit entry is about to leave; `exchange` is its protocol name.
    fn replied(&self, request_id: [u8; 16], exchange: &str);
}

/// A journal or none.
#[derive(Clone, Default)]
#[cfg(any(feature = "serve", feature = "keys"))]
pub(crate) struct Journal(pub(crate) Option<Arc<dyn ActionJournal>>);

#[cfg(any(feature = "serve", feature = "keys"))]
impl Journal {
    /// See [`ActionJournal::vault_call`].
    #[cfg(feature = "serve")]
    pub(crate) fn vault_call(&self, request_id: [u8; 16], what: &str) {
        if let Some(journal) = &self.0 {
            journal.vault_call(request_id, what);
        }
    }

    /// See [`ActionJournal::replied`].
    pub(crate) fn replied(&self, request_id: [u8; 16], exchange: &str) {
        if let Some(journal) = &self.0 {
            journal.replied(request_id, exchange);
        }
    }
}
