//! The evidence of a fork as a file: both certified headers, to be shown to whoever runs the chain.
//!
//! JSON. `ours` and `theirs` each have height, hash, time, the signers' addresses, and `certified_header`: the borsh
//! of the ledger's `CertifiedHeader` in hexadecimal, from which anybody checks both certificates again.

use caduceus_cli::{create_private_dir, write_private};
use caduceus_crypto::codec;
use caduceus_ledger::CertifiedHeader;
use std::path::{Path, PathBuf};

/// Writes the file and gives its path.
pub(super) fn write(
    folder: &Path,
    ours: &CertifiedHeader,
    theirs: &CertifiedHeader,
) -> Option<PathBuf> {
    let name = format!(
        "fork-{}-{}.json",
        theirs.header.height,
        theirs.header.hash().short()
    );
    let path = folder.join(name);
    let written = create_private_dir(folder)
        .and_then(|()| write_private(&path, document(ours, theirs).as_bytes()));
    match written {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::error!(%error, "the evidence of a fork is not written");
            None
        }
    }
}

/// Every value is a number or hexadecimal, so nothing is to be escaped.
fn document(ours: &CertifiedHeader, theirs: &CertifiedHeader) -> String {
    format!(
        "{{\n  \"evidence\": \"fork\",\n  \"chain\": \"{}\",\n  \"ours\": {},\n  \"theirs\": {}\n}}\n",
        ours.header.chain,
        side(ours),
        side(theirs)
    )
}

fn side(head: &CertifiedHeader) -> String {
    let signers: Vec<String> = head
        .certificate
        .signatures
        .iter()
        .map(|(signer, _)| format!("\"{signer}\""))
        .collect();
    format!(
        "{{\"height\": {}, \"hash\": \"{}\", \"time_millis\": {}, \"round\": {}, \"signers\": [{}], \"certified_header\": \"{}\"}}",
        head.header.height,
        head.header.hash(),
        head.header.time.0,
        head.certificate.round,
        signers.join(", "),
        hex::encode(codec::encode(head))
    )
}
