//! Blocks and transactions of the alliance chain in words.

use alliance_chain::{Change, Tx};
use caduceus_crypto::codec::DecodeError;
use caduceus_ledger::{Block, ValidatorSet};
use caduceus_operator::{ChainWords, Fields, TxWords, fields};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// For the commands that both chains share.
pub(super) const WORDS: ChainWords = ChainWords { tx, block };

/// How many transactions of each kind a block has.
fn block(block: &Block) -> Fields {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for bytes in &block.txs {
        let kind = tx(bytes).map_or("undecodable", |said| said.kind);
        *kinds.entry(kind).or_default() += 1;
    }
    fields(json!({ "kinds": kinds }))
}

fn tx(bytes: &[u8]) -> Result<TxWords, DecodeError> {
    let (kind, said) = match Tx::decode(bytes)? {
        Tx::Member(signed) => {
            let approvals = signed.approvals.iter();
            let approvals: Vec<String> = approvals.map(|(member, _)| member.to_string()).collect();
            let mut said = fields(change(&signed.body.change));
            said.insert("generation".to_owned(), json!(signed.body.generation));
            said.insert("approvals".to_owned(), json!(approvals));
            ("member", Value::Object(said))
        }
        Tx::Acknowledge(signed) => {
            let body = signed.body;
            let said = json!({
                "access": body.access.to_string(),
                "proxies": body.proxies,
                "on_time": body.on_time,
            });
            ("acknowledge", said)
        }
        Tx::Issuer(signed) => {
            let body = signed.body;
            let said = json!({
                "member": body.member.to_string(),
                "issuer": body.key.id().to_string(),
            });
            ("issuer", said)
        }
        Tx::Account(signed) => {
            let body = signed.body;
            let said = json!({
                "data_user": body.data_user.to_string(),
                "receiving_key": body.receiving.to_string(),
                "label": body.label,
                "member": body.member.to_string(),
            });
            ("account", said)
        }
        Tx::Checkpoint(checkpoint) => {
            let (first, last) = (checkpoint.headers.first(), checkpoint.headers.last());
            let said = json!({
                "hospital": checkpoint.hospital.to_string(),
                "first_height": first.map(|header| header.height.0),
                "last_height": last.map(|header| header.height.0),
                "last_hash": last.map(|header| header.hash().to_string()),
                "signers": checkpoint.certificate.signatures.len(),
                "changes_validators": checkpoint.next_validators.is_some(),
            });
            ("checkpoint", said)
        }
        Tx::Link(link) => {
            let entries: usize = link.leaves.iter().map(|leaf| leaf.entries.len()).sum();
            let said = json!({
                "hospital": link.hospital.to_string(),
                "private_height": link.height.0,
                "records": link.leaves.len(),
                "index_entries": entries,
            });
            ("link", said)
        }
        Tx::Search(signed) => {
            let body = signed.body;
            let said = json!({
                "hospital": body.hospital.to_string(),
                "clauses": body.query.clauses.len(),
                "trapdoors": body.query.slots.len(),
                "index_scheme": body.query.slots.scheme().as_str(),
                "expires_height": body.expires.0,
                "token_issuer": body.issuer.to_string(),
                "token": body.token.id().to_string(),
            });
            ("search", said)
        }
        Tx::Request(signed) => {
            let body = signed.body;
            let said = json!({
                "data_user": body.data_user.to_string(),
                "purpose": body.purpose.code(),
                "sought": body.sought,
                "until_ms": body.until.0,
            });
            ("request", said)
        }
        Tx::Grant(signed) => {
            let body = signed.body;
            let said = json!({
                "data_user": body.data_user.to_string(),
                "hospital": body.hospital.to_string(),
                "record": body.record.to_string(),
                "record_hash": body.record_hash.to_string(),
                "pseudonym": body.pseudonym.to_string(),
                "expires_ms": body.expires.0,
                "threshold": body.threshold,
                "proxies": texts(&body.proxies),
            });
            ("grant", said)
        }
        Tx::Access(signed) => ("access", json!({ "grant": signed.body.grant.to_string() })),
        Tx::Revoke(signed) => ("revoke", json!({ "grant": signed.body.grant.to_string() })),
        Tx::Report(signed) => {
            let body = signed.body;
            let said = json!({
                "hospital": body.hospital.to_string(),
                "kind_of_misbehaviour": body.kind.as_str(),
                "proved": body.proof.proves().is_some(),
                "reporter": body.reporter.to_string(),
                "record": body.record.map(|record| record.to_string()),
                "detail": body.detail,
            });
            ("report", said)
        }
    };
    Ok(TxWords {
        kind,
        fields: fields(said),
    })
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn voters(set: &ValidatorSet) -> Vec<Value> {
    set.iter()
        .map(|validator| json!({ "key": validator.key.to_string(), "power": validator.power }))
        .collect()
}

/// What the members decided.
fn change(change: &Change) -> Value {
    match change {
        Change::Admit(member) => json!({
            "change": "admit",
            "hospital": member.hospital.to_string(),
            "name": member.name,
            "private_chain": member.private_chain.to_string(),
            "private_validators": member.private_validators.count(),
        }),
        Change::Remove(hospital) => json!({
            "change": "remove",
            "hospital": hospital.to_string(),
        }),
        Change::Rotate {
            hospital,
            identity,
            server,
        } => json!({
            "change": "rotate",
            "hospital": hospital.to_string(),
            "identity": identity.to_string(),
            "server": server.to_string(),
        }),
        Change::Proxies(proxies) => {
            let keys: Vec<String> = proxies.iter().map(|proxy| proxy.key.to_string()).collect();
            json!({ "change": "proxies", "proxies": keys })
        }
        Change::Operators(operators) => {
            let said: Vec<Value> = operators
                .iter()
                .map(|operator| {
                    json!({
                        "validator": operator.validator.to_string(),
                        "hospital": operator.hospital.to_string(),
                    })
                })
                .collect();
            json!({ "change": "operators", "operators": said })
        }
        Change::Credits(policy) => json!({
            "change": "credits",
            "opening": policy.opening,
            "block": policy.block,
            "reencryption": policy.reencryption,
            "record": policy.record,
            "search": policy.search,
            "account": policy.account,
            "request": policy.request,
        }),
        Change::Validators(set) => json!({
            "change": "validators",
            "validators": voters(set),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alliance_chain::{Access, Account, Governance, Purpose, Request, Revoke};
    use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis};
    use caduceus_ledger::ChainId;

    const CHAIN: ChainId = ChainId(Hash([1; 32]));

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&[seed; 32]).unwrap()
    }

    #[test]
    fn transactions_are_told_in_words() {
        let (grant, hospital) = (Hash([5; 32]), HospitalId([6; 32]));
        let governance = Governance {
            generation: 3,
            change: Change::Remove(hospital),
        };
        let approval = governance.approve(&CHAIN, &key(1));
        let access = Access {
            grant,
            nonce: [0; 32],
        };
        let account = Account {
            data_user: key(2).public(),
            receiving: key(3).public(),
            label: "Institute".into(),
            member: hospital,
        };
        let request = Request {
            data_user: key(2).public(),
            purpose: Purpose::Research,
            sought: "asthma".into(),
            until: TimeMillis(9),
        };
        let cases = [
            (
                Tx::Member(governance.with_approvals(vec![(hospital, approval)])),
                "member",
                json!({
                    "change": "remove",
                    "hospital": hospital.to_string(),
                    "generation": 3,
                    "approvals": [hospital.to_string()],
                }),
            ),
            (
                Tx::Account(account.sign(&CHAIN, &key(1))),
                "account",
                json!({
                    "data_user": key(2).public().to_string(),
                    "receiving_key": key(3).public().to_string(),
                    "label": "Institute",
                    "member": hospital.to_string(),
                }),
            ),
            (
                Tx::Request(request.sign(&CHAIN, &key(2))),
                "request",
                json!({
                    "data_user": key(2).public().to_string(),
                    "purpose": "HRESCH",
                    "sought": "asthma",
                    "until_ms": 9,
                }),
            ),
            (
                Tx::Access(access.sign(&CHAIN, &key(2))),
                "access",
                json!({ "grant": grant.to_string() }),
            ),
            (
                Tx::Revoke(Revoke { grant }.sign(&CHAIN, &key(4))),
                "revoke",
                json!({ "grant": grant.to_string() }),
            ),
        ];
        for (given, kind, said) in &cases {
            let words = tx(&given.encode()).unwrap();
            assert_eq!(
                (words.kind, Value::Object(words.fields)),
                (*kind, said.clone())
            );
        }
        assert!(tx(&[255; 40]).is_err());
        println!("{} kinds", cases.len());
    }
}
