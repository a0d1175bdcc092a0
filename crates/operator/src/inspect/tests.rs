use super::*;
use crate::validate::tests::{genesis, key, store, tx};
use caduceus_cli::ExitCode;
use caduceus_crypto::TimeMillis;
use caduceus_ledger::{Address, DifficultyRule, Header, Puzzle, ValidatorSet, tx_id};
use serde::Serialize;
use serde_json::json;

const WORDS: ChainWords = ChainWords {
    tx: |bytes| {
        Ok(TxWords {
            kind: "enrol",
            fields: fields(json!({ "length": bytes.len() })),
        })
    },
    block: |block| fields(json!({ "own": block.header.height.0 * 10 })),
};

/// Three blocks of one transaction each.
fn snapshot() -> Snapshot {
    store(|_, _| ()).snapshot().unwrap()
}

fn value<T: Serialize>(row: T) -> Value {
    serde_json::to_value(row).unwrap()
}

fn refused<T>(outcome: Result<T, CliError>) -> (ExitCode, String) {
    match outcome {
        Ok(_) => panic!("it was shown"),
        Err(error) => (error.exit, error.to_string()),
    }
}

#[test]
fn a_block_is_shown_with_what_decided_it() {
    let me = Address::of(&key(3).public()).to_string();
    let shown = value(block::row(&snapshot(), Some(Height(2)), &WORDS).unwrap());
    assert_eq!((&shown["height"], &shown["own"]), (&json!(2), &json!(20)));
    assert_eq!(shown["transaction_ids"], json!([tx_id(&tx(2)).to_string()]));
    assert_eq!(
        shown["certificate"],
        json!({ "round": 0, "signers": [me], "signed_power": 1, "total_power": 1 })
    );
    assert_eq!(shown["seal"], Value::Null);
    let tip = value(block::row(&snapshot(), None, &WORDS).unwrap());
    assert_eq!(
        (&tip["height"], &tip["parent"]),
        (&json!(3), &shown["hash"])
    );
    let genesis = value(block::row(&snapshot(), Some(Height::GENESIS), &WORDS).unwrap());
    assert_eq!(genesis["certificate"], Value::Null);
    assert_eq!(
        refused(block::row(&snapshot(), Some(Height(4)), &WORDS)),
        (
            ExitCode::NotFound,
            "error: there is no block 4\ntry: a height from 0 to 3".to_owned()
        )
    );
}

#[test]
fn blocks_are_shown_from_one_height_to_another() {
    let heights = |from, to| -> Vec<u64> {
        let rows = blocks::rows(&snapshot(), from, to, &WORDS).unwrap();
        let heights = rows.iter().map(|row| value(row)["height"].as_u64());
        heights.map(Option::unwrap).collect()
    };
    assert_eq!(heights(None, None), [0, 1, 2, 3]);
    assert_eq!(heights(Some(2), None), [2, 3]);
    assert_eq!(heights(None, Some(1)), [0, 1]);
    assert_eq!(heights(Some(3), Some(3)), [3]);
    let cases = [
        (
            Some(3),
            Some(2),
            ExitCode::Usage,
            "--from 3 is above --to 2",
        ),
        (Some(2), Some(4), ExitCode::NotFound, "there is no block 4"),
        (
            Some(0),
            Some(1_000),
            ExitCode::Usage,
            "1001 blocks, at most 1000",
        ),
        (
            Some(0),
            Some(u64::MAX),
            ExitCode::Usage,
            "at most 1000 at once",
        ),
    ];
    for (from, to, exit, says) in cases {
        let (code, text) = refused(blocks::rows(&snapshot(), from, to, &WORDS));
        assert_eq!(code, exit, "{text}");
        assert!(text.contains(says), "{text}");
    }
    let nothing = Store::scratch().unwrap().snapshot().unwrap();
    assert!(
        blocks::rows(&nothing, None, None, &WORDS)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_transaction_is_found_by_its_identifier() {
    let id = tx_id(&tx(3));
    let shown = value(transaction::row(&snapshot(), &id, &WORDS).unwrap());
    assert_eq!((&shown["height"], &shown["index"]), (&json!(3), &json!(0)));
    assert_eq!(
        (&shown["kind"], &shown["length"]),
        (&json!("enrol"), &json!(tx(3).len()))
    );
    let (code, text) = refused(transaction::row(&snapshot(), &Hash([9; 32]), &WORDS));
    assert_eq!(code, ExitCode::NotFound);
    assert!(text.contains("is not committed on this chain"), "{text}");
}

#[test]
fn the_validators_are_shown_with_their_powers() {
    let shown = value(validators::rows(&snapshot()).unwrap());
    let me = key(3).public();
    assert_eq!(
        shown,
        json!([{
            "address": Address::of(&me).to_string(),
            "key": me.to_string(),
            "power": 1,
            "signed_last": true,
            "proposed_last": true,
        }])
    );
}

#[test]
fn the_state_is_shown_by_the_keys_that_validate_prints() {
    let staff = [b"staff/".as_slice(), key(101).public().as_bytes()].concat();
    let escaped = staff.escape_ascii().to_string();
    let row = |text: &str| state::row(&snapshot(), &text.parse().unwrap());
    let shown = value(row(&escaped).unwrap());
    assert_eq!(
        (&shown["key"], &shown["space"]),
        (&json!(escaped), &json!("auth"))
    );
    assert_eq!(
        shown,
        value(row(&format!("0x{}", hex::encode(&staff))).unwrap())
    );
    let tip = snapshot().tip().unwrap().unwrap().header;
    assert_eq!(shown["state_root"], tip.state_root.to_string());
    let (code, text) = refused(row("nothing"));
    assert_eq!(code, ExitCode::NotFound);
    assert!(
        text.contains("height 3 holds nothing under nothing"),
        "{text}"
    );
}

#[test]
fn a_key_is_read_back_from_its_escaped_form() {
    let all: Vec<u8> = (0..=255).collect();
    let text = all.escape_ascii().to_string();
    let read: StateKey = text.parse().unwrap();
    assert_eq!(read, format!("0x{}", hex::encode(&all)).parse().unwrap());
    for bad in [
        "", "\\", "\\x", "\\x1", "\\xzz", "\\q", "0x", "0xabc", "0xzz",
    ] {
        assert!(bad.parse::<StateKey>().is_err(), "{bad}");
    }
    assert!("k".repeat(1_024).parse::<StateKey>().is_ok());
    assert!("k".repeat(1_025).parse::<StateKey>().is_err());
}

#[test]
fn a_seal_is_printed_as_in_the_paper() {
    let header = Header {
        chain: genesis().chain_id(),
        height: Height(1),
        time: TimeMillis(1_539_866_031_047),
        proposer: Address::default(),
        parent: Hash::ZERO,
        txs_root: Hash::ZERO,
        results_root: Hash::ZERO,
        state_root: Hash::ZERO,
        validators: ValidatorSet::hash(&genesis().validators),
        next_validators: Hash::ZERO,
        extra: Vec::new(),
    };
    let first = Puzzle::new(&header, None, DifficultyRule::DEFAULT).seal(9, 76_384_756, 99);
    assert_eq!(
        seal_text(&first),
        format!(
            "Block:\nCreated by miner # 9\nId: 1\nTimestamp: 1539866031047\nMagic number: 76384756\n\
             Hash of the previous block:\n0\nHash of the block:\n{}\nBlock was generating for 0 seconds\n\
             N was increased to 1\n",
            first.hash
        )
    );
    let after = |took| {
        let seal = Puzzle::new(&header, Some(&first), DifficultyRule::DEFAULT).seal(1, 2, took);
        seal_text(&seal)
    };
    assert!(after(500).ends_with("for 0 seconds\nN stays the same\n"));
    assert!(after(61_000).ends_with("for 61 seconds\nN was decreased by 1\n"));
    assert!(after(500).contains(&format!("previous block:\n{}\n", first.hash)));
}
