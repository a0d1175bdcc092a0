//! Blocks and transactions of a private chain in words.

use caduceus_crypto::codec::DecodeError;
use caduceus_crypto::evidence::Anchor;
use caduceus_ledger::Block;
use caduceus_operator::{ChainWords, Fields, TxWords, fields};
use private_chain::{AnchorTx, AnchorsExtra, AuditBatch, Tx};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// For the commands that both chains share.
pub(super) const WORDS: ChainWords = ChainWords { tx, block };

/// How many anchors a block has, and how many of them replace an earlier record.
fn block(block: &Block) -> Fields {
    let anchors = AnchorsExtra::parse(&block.header.extra).map_or(0, |extra| extra.count);
    fields(json!({ "anchors": anchors, "amendments": amendments(&block.txs) }))
}

fn amendments(txs: &[Vec<u8>]) -> usize {
    txs.iter()
        .filter(|tx| matches!(Tx::decode(tx), Ok(Tx::Amend(_))))
        .count()
}

fn tx(bytes: &[u8]) -> Result<TxWords, DecodeError> {
    let (kind, said) = match Tx::decode(bytes)? {
        Tx::Enrol(signed) => {
            let body = signed.body;
            let said = json!({
                "staff": body.staff.to_string(),
                "role": body.role.as_str(),
                "label": body.label,
                "not_before_ms": body.not_before.0,
                "not_after_ms": body.not_after.0,
            });
            ("enrol", said)
        }
        Tx::Suspend(signed) => {
            let body = signed.body;
            let said = json!({ "staff": body.staff.to_string(), "reason": body.reason });
            ("suspend", said)
        }
        Tx::Anchor(anchored) => ("anchor", anchor_of(&anchored)),
        Tx::Audit(batch) => ("audit", audit(&batch)),
        Tx::Retire(tx) => ("retire", json!({ "bucket": tx.bucket.to_string() })),
        Tx::Destroyed(tx) => (
            "destroyed",
            json!({ "bucket": tx.bucket.to_string(), "validator": tx.validator.to_string() }),
        ),
        Tx::Amend(amended) => {
            let mut said = fields(anchor_of(&amended.anchor));
            said.insert("replaces".to_owned(), json!(amended.replaces.to_string()));
            ("amend", Value::Object(said))
        }
        Tx::Validators(signed) => {
            let voters: Vec<Value> = signed
                .body
                .set
                .iter()
                .map(|v| json!({ "key": v.key.to_string(), "power": v.power }))
                .collect();
            let said = json!({ "generation": signed.body.generation, "validators": voters });
            ("validators", said)
        }
        Tx::Rotate(signed) => {
            let body = signed.body;
            let said = json!({
                "generation": body.generation,
                "identity": body.identity.to_string(),
                "server": body.server.to_string(),
                "grace_ms": body.grace_millis,
            });
            ("rotate", said)
        }
        Tx::Policy(signed) => {
            let body = signed.body;
            let said = json!({
                "generation": body.generation,
                "applies_at": body.applies_at.0,
                "text_bytes": body.text.len(),
                "actions_limited": body.limits.per_action.len(),
                "classes_retained": body.retention.months.len(),
            });
            ("policy", said)
        }
        Tx::EmergencyKey(signed) => {
            let body = signed.body;
            let officers: Vec<String> = body.officers.iter().map(ToString::to_string).collect();
            let said = json!({
                "generation": body.generation,
                "threshold": body.commitments.len(),
                "officers": officers,
            });
            ("emergency_key", said)
        }
    };
    Ok(TxWords {
        kind,
        fields: fields(said),
    })
}

fn anchor_of(anchored: &AnchorTx) -> Value {
    let mut said = anchor(&anchored.anchor);
    let request = anchored
        .request_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    said.insert("request_id".to_owned(), json!(request));
    Value::Object(said)
}

/// What an anchor says.
pub(super) fn anchor(anchor: &Anchor) -> Fields {
    let body = &anchor.body;
    fields(json!({
        "record_hash": body.record_hash.to_string(),
        "pseudonym": body.pseudonym.point.to_string(),
        "delegating_key": body.delegating.to_string(),
        "author": anchor.author.to_string(),
        "authored_at_ms": body.authored_at.0,
        "day": body.epoch.to_string(),
        "index_scheme": body.entries.scheme().as_str(),
        "index_entries": body.entries.len(),
        "attested": body.visit != caduceus_crypto::Hash::ZERO,
        "stored_bytes": anchor.stored_bytes,
        "vault": anchor.vault.to_string(),
    }))
}

/// Entries are sealed: what shows is how many there are of each class, and who signed.
fn audit(batch: &AuditBatch) -> Value {
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &batch.entries {
        *classes.entry(entry.class.as_str()).or_default() += 1;
    }
    json!({
        "entries": batch.entries.len(),
        "classes": classes,
        "batch": hex::encode(batch.id),
        "signer": batch.signer.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{Hash, SecretKey, TimeMillis};
    use caduceus_ledger::ChainId;
    use private_chain::{Enrol, Role, Suspend};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&[seed; 32]).unwrap()
    }

    fn batch() -> AuditBatch {
        private_chain::DraftBatch::new(&mut rand_core::OsRng).sign(&ChainId(Hash([1; 32])), &key(2))
    }

    #[test]
    fn only_amendments_are_counted() {
        let audit = Tx::audit(batch()).encode();
        assert_eq!(amendments(&[audit, vec![255; 8], Vec::new()]), 0);
    }

    #[test]
    fn transactions_are_told_in_words() {
        let chain = ChainId(Hash([1; 32]));
        let staff = key(7).public();
        let enrol = Enrol {
            staff,
            role: Role::Nurse,
            label: "N-7".into(),
            not_before: TimeMillis(5),
            not_after: TimeMillis(9),
        };
        let said = tx(&Tx::Enrol(enrol.sign(&chain, &key(1))).encode()).unwrap();
        assert_eq!(said.kind, "enrol");
        assert_eq!(said.fields["role"], "nurse");
        assert_eq!(said.fields["staff"], staff.to_string());
        assert_eq!(said.fields["not_after_ms"], 9);
        let suspend = Suspend {
            staff,
            reason: "left".into(),
        };
        let said = tx(&Tx::Suspend(suspend.sign(&chain, &key(1))).encode()).unwrap();
        assert_eq!(
            (said.kind, &said.fields["reason"]),
            ("suspend", &json!("left"))
        );
        let said = tx(&Tx::audit(batch()).encode()).unwrap();
        assert_eq!((said.kind, &said.fields["entries"]), ("audit", &json!(0)));
        assert_eq!(said.fields["signer"], key(2).public().to_string());
        assert!(tx(&[255; 8]).is_err());
    }
}
