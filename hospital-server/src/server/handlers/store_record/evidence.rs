//! What an upload's end claims, checked against the caller and the bytes. The chain checks the rest.

use crate::roster::Known;
use caduceus_crypto::record::SealedView;
use caduceus_crypto::{AnchorBody, HospitalId, TimeMillis, decode_exact, domain, encode};
use caduceus_network::exchange::Finish;
use private_chain::rules::anchor::MAX_EPOCH_DRIFT_DAYS;

/// Largest anchor body, bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A broken rule: its name, and what it says.
type Broken = (&'static str, String);

/// What the upload's end claims, unverified.
pub(super) fn body_of(finish: &Finish) -> Result<AnchorBody, Broken> {
    decode_exact(&finish.anchor_body, MAX_BODY_BYTES)
        .map_err(|error| ("anchor_malformed", error.to_string()))
}

/// The author's statement: decodes, is for this hospital, and is signed by the caller.
pub(super) fn statement(
    finish: &Finish,
    staff: &Known,
    hospital: HospitalId,
) -> Result<AnchorBody, Broken> {
    let body = body_of(finish)?;
    if body.hospital != hospital {
        return Err((
            "anchor_other_hospital",
            "the anchor is for another hospital".to_owned(),
        ));
    }
    staff
        .key
        .verify(domain::ANCHOR, &encode(&body), &finish.author_signature)
        .map_err(|error| ("author_signature", error.to_string()))?;
    Ok(body)
}

/// The statement is of today, give or take what the chain allows: else the chain would refuse it in the end.
pub(super) fn is_of_today(body: &AnchorBody, now: TimeMillis) -> Result<(), Broken> {
    let today = now.epoch();
    if body.epoch.0.abs_diff(today.0) > MAX_EPOCH_DRIFT_DAYS {
        return Err((
            "anchor_epoch_drift",
            format!("the anchor is of {}, today is {today}", body.epoch),
        ));
    }
    Ok(())
}

/// The statement is about these bytes.
pub(super) fn matches(body: &AnchorBody, bytes: &[u8]) -> Result<(), Broken> {
    let view = SealedView::parse(bytes).map_err(|error| ("record_form", error.to_string()))?;
    let differs = |what: &str| {
        Err((
            "record_differs",
            format!("the anchor's {what} is not the record's"),
        ))
    };
    if view.record_hash() != body.record_hash {
        return differs("record hash");
    }
    if view.header_hash() != body.header_hash {
        return differs("header hash");
    }
    let header = &view.header;
    if header.hospital != body.hospital {
        return differs("hospital");
    }
    if header.pseudonym != body.pseudonym {
        return differs("pseudonym");
    }
    if header.delegating != body.delegating {
        return differs("delegating key");
    }
    if header.epoch != body.epoch {
        return differs("epoch");
    }
    if view.wrap.capsule != body.capsule {
        return differs("capsule");
    }
    Ok(())
}
