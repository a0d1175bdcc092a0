//! Give patients search, open, grant, revoke and the access log.
