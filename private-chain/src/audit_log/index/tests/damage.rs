//! Whatever byte of a file is altered: the rows come again from the chain, and no answer is wrong.

use super::*;
use std::fs;

fn log() -> (Log, Home) {
    let log = Log::random(21, 10, 30, 1);
    let home = Home::with_keys(&log);
    let index = home.open();
    log.feed(&index);
    index.flush().unwrap();
    (log, home)
}

/// Positions in every part of a file, and all of the first bytes.
fn positions(length: usize) -> impl Iterator<Item = usize> {
    (0..40)
        .chain((40..length).step_by(97))
        .chain(length - 17..length)
}

#[test]
fn an_altered_byte_of_any_file_is_noticed_at_the_next_start_or_read() {
    let (log, home) = log();
    let mut tried = 0;
    for path in home.files() {
        let good = fs::read(&path).unwrap();
        for position in positions(good.len()) {
            let mut bad = good.clone();
            bad[position] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let index = home.open();
            log.feed(&index);
            // A body is read by the first query that needs it.
            for _ in 0..2 {
                if let Err(error) = index.query(&Filter::default(), Order::OldestFirst, None, 9999)
                {
                    assert!(matches!(error, IndexError::Rebuilding { .. }), "{error}");
                    assert!(index.indexed_up_to() < log.end());
                    log.feed(&index);
                }
            }
            log.compare_many(&index, position as u64, 2);
            index.flush().unwrap();
            drop(index);
            let index = home.open();
            assert_eq!(index.indexed_up_to(), log.end(), "it is whole again");
            log.compare_many(&index, position as u64, 1);
            tried += 1;
            if !path.exists() {
                // It was replaced by another; the next round alters that one.
                break;
            }
        }
    }
    println!("{tried} altered bytes");
    assert!(tried > 30, "{tried} only");
}

#[test]
fn every_region_of_one_run_is_checked() {
    let (log, home) = log();
    let path = &home.runs()[0];
    let good = fs::read(path).unwrap();
    let list = fs::read(home.path().join("audit/runs.list")).unwrap();
    let restore = |bytes: &[u8]| {
        // The other runs are as they were: only the state of this moment counts.
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        fs::write(home.path().join("audit/runs.list"), &list).unwrap();
    };
    let others: Vec<(PathBuf, Vec<u8>)> = home
        .runs()
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    let mut cases: Vec<Vec<u8>> = positions(good.len())
        .map(|position| {
            let mut bad = good.clone();
            bad[position] ^= 1;
            bad
        })
        .collect();
    cases.extend([0, 1, 31, 32, 33, good.len() - 1].map(|length| good[..length].to_vec()));
    cases.push([&good[..], b"x"].concat());
    cases.push(others.last().unwrap().1.clone());
    let mut noticed = 0;
    for bad in &cases {
        for (path, bytes) in &others {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        restore(bad);
        let index = home.open();
        if index.indexed_up_to() < log.end() {
            noticed += 1;
        }
        log.feed(&index);
        let all = index.query(&Filter::default(), Order::OldestFirst, None, 9999);
        if matches!(all, Err(IndexError::Rebuilding { .. })) {
            noticed += 1;
            log.feed(&index);
        }
        log.compare_many(&index, 1, 2);
    }
    assert_eq!(noticed, cases.len());
}

#[test]
fn lost_files_and_strangers_do_no_harm() {
    let (log, home) = log();
    for lost in [home.runs()[0].clone(), home.path().join("audit/runs.list")] {
        fs::remove_file(&lost).unwrap();
        let index = home.open();
        assert!(index.indexed_up_to() < log.end());
        log.feed(&index);
        log.compare_many(&index, 2, 4);
        index.flush().unwrap();
    }
    let stranger = home.runs()[0].with_file_name("00.run");
    fs::write(&stranger, b"stranger").unwrap();
    let index = home.open();
    assert!(!stranger.exists());
    assert_eq!(index.indexed_up_to(), log.end());
}

#[test]
fn altered_columns_are_refused_or_rows() {
    let log = Log::random(22, 1, 40, 1);
    let home = Home::with_keys(&log);
    let index = home.open();
    log.feed(&index);
    let rows = index
        .query(&Filter::default(), Order::OldestFirst, None, 99)
        .unwrap()
        .rows;
    let columns = columns::Columns::build(&rows);
    let good = codec::encode(&columns);
    // So few rows are not packed; more are.
    let (length, raw) = good.split_first_chunk::<4>().unwrap();
    let length = u32::from_le_bytes(*length) & !(1 << 31);
    assert_eq!((good[3] & 0x80, length as usize), (0x80, raw.len()));
    let packed = |raw: &[u8]| {
        let mut packed = length.to_le_bytes().to_vec();
        packed.extend(zstd::bulk::compress(raw, 1).unwrap());
        packed
    };
    assert_eq!(unpack_rows(&packed(raw), rows.len()).unwrap(), rows);
    let longer = [&good[..], &[0]].concat();
    assert!(codec::decode(&longer, rows.len()).is_err());
    let none = codec::encode(&columns::Columns::build(&[]));
    assert_eq!(unpack_rows(&none, 6).unwrap(), []);
    let again = codec::decode(&good, rows.len()).unwrap();
    assert_eq!(
        (0..again.len()).map(|at| again.row(at)).collect::<Vec<_>>(),
        rows
    );
    assert!(codec::decode(&good, rows.len() - 1).is_err());
    let mut refused = 0;
    for position in 0..raw.len() {
        for flip in [1, 0x80] {
            let mut bad = raw.to_vec();
            bad[position] ^= flip;
            match codec::decode(&packed(&bad), 1_000) {
                Err(_) => refused += 1,
                // Another text or number: whole rows all the same.
                Ok(columns) => (0..columns.len()).for_each(|at| drop(columns.row(at))),
            }
        }
    }
    println!("{refused} of {} alterations refused", raw.len() * 2);
    for whole in [&good, &packed(raw)] {
        for length in 0..whole.len() {
            assert!(codec::decode(&whole[..length], 1_000).is_err());
        }
    }
}
