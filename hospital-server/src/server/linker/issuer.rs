//! Makes the hospital's token key known to the alliance, once: searches are admitted by tokens under it.

use super::{Linker, LinkerError};
use crate::chain::ChainError;
use alliance_chain::{Issuer, Tx, state};

/// Has the key recorded unless it is.
pub(super) async fn announce(linker: &Linker) -> Result<(), LinkerError> {
    let place = state::issuer(&linker.hospital);
    if let Some(bytes) = linker.alliance.state(place.bytes()).await? {
        let record = place
            .decode(&bytes)
            .map_err(|error| LinkerError::State(error.to_string()))?;
        if record.keys.contains(&linker.token_key) {
            return Ok(());
        }
    }
    let body = Issuer {
        member: linker.hospital,
        key: linker.token_key.clone(),
    };
    let tx = Tx::Issuer(body.sign(&linker.alliance.chain(), &linker.identity));
    match linker.alliance.submit(&tx.encode()).await {
        Ok(_) => Ok(()),
        Err(ChainError::Rejected { rule, .. }) if rule == "issuer_key_known" => Ok(()),
        Err(error) => Err(error.into()),
    }
}
