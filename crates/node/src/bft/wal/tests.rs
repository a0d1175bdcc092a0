use super::file::{ENTRY_OVERHEAD, HEADER};
use super::*;

const NEXT: u64 = 7;

/// An entry of the tests: a byte that tells whose it is, then round, step and value.
fn entry(own: Own) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(own.height.to_le_bytes());
    bytes.extend(own.round.to_le_bytes());
    bytes.push(own.step as u8);
    bytes.extend(own.value.as_bytes());
    bytes
}

fn peers_entry(n: u8) -> Vec<u8> {
    vec![0, n, n, n]
}

fn read(bytes: &[u8]) -> io::Result<Option<Own>> {
    if bytes[0] == 0 {
        return Ok(None);
    }
    Ok(Some(Own {
        height: u64::from_le_bytes(bytes[1..9].try_into().unwrap()),
        round: u32::from_le_bytes(bytes[9..13].try_into().unwrap()),
        step: [Step::Proposal, Step::Prevote, Step::Precommit][usize::from(bytes[13])],
        value: Hash(bytes[14..46].try_into().unwrap()),
    }))
}

fn own(round: u32, step: Step, value: u8) -> Own {
    Own {
        height: NEXT,
        round,
        step,
        value: Hash([value; 32]),
    }
}

fn open(home: &Path, next: u64) -> (Journal, Verdict) {
    Journal::open(home, next, &read).unwrap()
}

/// Signs and publishes as the engine does.
fn vote(journal: &mut Journal, own: Own, published: &mut Vec<Own>) {
    journal.request(own).unwrap();
    journal.append(own.height, &entry(own), Some(own)).unwrap();
    journal.flush().unwrap();
    published.push(own);
}

/// A validator that voted at heights 6 and 7, with a lock in between; what it published at 7.
fn history(home: &Path) -> Vec<Own> {
    let (mut journal, verdict) = open(home, NEXT - 1);
    assert_eq!(verdict, Verdict::default());
    assert!(journal.start_height(NEXT - 1).unwrap().is_empty());
    let before = Own {
        height: NEXT - 1,
        ..own(0, Step::Prevote, 9)
    };
    vote(&mut journal, before, &mut Vec::new());
    assert!(journal.start_height(NEXT).unwrap().is_empty());
    let mut published = Vec::new();
    journal.append(NEXT, &peers_entry(1), None).unwrap();
    vote(&mut journal, own(0, Step::Prevote, 1), &mut published);
    journal.append(NEXT, &peers_entry(2), None).unwrap();
    vote(&mut journal, own(0, Step::Precommit, 1), &mut published);
    journal.append(NEXT, &peers_entry(3), None).unwrap();
    vote(&mut journal, own(1, Step::Prevote, 1), &mut published);
    published
}

/// What a start makes of a home, which must not allow a vote against a published one.
#[derive(Debug, PartialEq)]
enum Outcome {
    Observes,
    Votes { replayed: usize },
}

fn start(home: &Path, published: &[Own], what: &str) -> Outcome {
    let (mut journal, verdict) = open(home, NEXT);
    if verdict.observe_until >= NEXT {
        return Outcome::Observes;
    }
    let entries = journal.start_height(NEXT).unwrap();
    let replayed: Vec<Own> = entries.iter().filter_map(|e| read(e).unwrap()).collect();
    for own in published {
        assert!(replayed.contains(own), "{what}: {own:?} is not replayed");
        let other = Own {
            value: Hash([0xee; 32]),
            ..*own
        };
        let refused = journal.request(other);
        assert!(
            matches!(refused, Err(WalError::Guard(GuardError::Conflict { .. }))),
            "{what}: {other:?} may be signed: {refused:?}"
        );
        journal.request(*own).unwrap();
    }
    // What led to the last own vote is there too: the lock is.
    let last = entries.iter().rposition(|e| e[0] == 1);
    if !published.is_empty() {
        assert!(
            last >= Some(5),
            "{what}: entries before the last vote are lost"
        );
    }
    Outcome::Votes {
        replayed: entries.len(),
    }
}

struct Home {
    dir: tempfile::TempDir,
    log: Vec<u8>,
    guard: Vec<u8>,
    published: Vec<Own>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let published = history(dir.path());
        let log = std::fs::read(dir.path().join("wal/votes.log")).unwrap();
        let guard = std::fs::read(dir.path().join("last-signed")).unwrap();
        Self {
            dir,
            log,
            guard,
            published,
        }
    }

    fn start_with(&self, log: Option<&[u8]>, guard: Option<&[u8]>, what: &str) -> Outcome {
        let home = self.dir.path();
        std::fs::remove_dir_all(home.join("wal")).unwrap();
        std::fs::create_dir(home.join("wal")).unwrap();
        for (path, bytes) in [("wal/votes.log", log), ("last-signed", guard)] {
            let path = home.join(path);
            match bytes {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
        let first = start(home, &self.published, what);
        // A second start finds what the first one left, and is no less careful.
        let second = start(home, &self.published, what);
        if first == Outcome::Observes {
            assert_eq!(second, Outcome::Observes, "{what}: the second start");
        }
        first
    }
}

#[test]
fn an_undamaged_home_goes_on_with_all_its_entries() {
    let home = Home::new();
    let outcome = home.start_with(Some(&home.log), Some(&home.guard), "untouched");
    assert_eq!(outcome, Outcome::Votes { replayed: 6 });
}

#[test]
fn no_flipped_bit_allows_a_second_vote() {
    let home = Home::new();
    let (mut votes, mut observes) = (0, 0);
    let mut count = |outcome| match outcome {
        Outcome::Observes => observes += 1,
        Outcome::Votes { .. } => votes += 1,
    };
    for at in 0..home.log.len() {
        for bit in 0..8 {
            let mut log = home.log.clone();
            log[at] ^= 1 << bit;
            let what = format!("bit {bit} of byte {at} of the log");
            let outcome = home.start_with(Some(&log), Some(&home.guard), &what);
            // No entry is unimportant here: the last one is an own vote.
            assert_eq!(outcome, Outcome::Observes, "{what}");
            count(outcome);
        }
    }
    for at in 0..home.guard.len() {
        for bit in 0..8 {
            let mut guard = home.guard.clone();
            guard[at] ^= 1 << bit;
            let what = format!("bit {bit} of byte {at} of the guard");
            let outcome = home.start_with(Some(&home.log), Some(&guard), &what);
            // The undamaged log tells all that was signed.
            assert_eq!(outcome, Outcome::Votes { replayed: 6 }, "{what}");
            count(outcome);
        }
    }
    println!(
        "{} bits flipped: {observes} starts observe, {votes} go on, 0 allow a second vote",
        (home.log.len() + home.guard.len()) * 8
    );
}

#[test]
fn no_cut_nor_zeroed_tail_allows_a_second_vote() {
    let home = Home::new();
    let mut cases = 0;
    for length in 0..home.log.len() {
        let cut = &home.log[..length];
        let mut zeroed = home.log.clone();
        zeroed[length..].fill(0);
        let mut longer = cut.to_vec();
        longer.resize(home.log.len() + 4096, 0);
        for log in [cut, &zeroed, &longer] {
            let what = format!("log of {length} bytes, then {} others", log.len() - length);
            let outcome = home.start_with(Some(log), Some(&home.guard), &what);
            assert_eq!(outcome, Outcome::Observes, "{what}");
            cases += 1;
        }
    }
    let mut longer = home.log.clone();
    longer.resize(home.log.len() + 4096, 0);
    let outcome = home.start_with(Some(&longer), Some(&home.guard), "zeros behind a whole log");
    assert_eq!(outcome, Outcome::Votes { replayed: 6 });
    for length in 0..home.guard.len() {
        let cut = &home.guard[..length];
        let mut zeroed = home.guard.clone();
        zeroed[length..].fill(0);
        for guard in [cut, &zeroed] {
            let what = format!(
                "guard of {length} bytes, then {} others",
                guard.len() - length
            );
            let outcome = home.start_with(Some(&home.log), Some(guard), &what);
            assert_eq!(outcome, Outcome::Votes { replayed: 6 }, "{what}");
            cases += 1;
        }
    }
    assert_eq!(
        home.start_with(None, Some(&home.guard), "no log"),
        Outcome::Observes
    );
    assert_eq!(
        home.start_with(Some(&home.log), None, "no guard"),
        Outcome::Votes { replayed: 6 }
    );
    println!("{} cuts and zeroed tails: 0 allow a second vote", cases + 3);
}

#[test]
fn log_and_guard_damaged_at_once_allow_no_second_vote() {
    let home = Home::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    let mut observes = 0;
    for case in 0..2_000 {
        let (mut log, mut guard) = (home.log.clone(), home.guard.clone());
        log[random(home.log.len())] ^= 1 << random(8);
        guard[random(home.guard.len())] ^= 1 << random(8);
        let outcome = home.start_with(Some(&log), Some(&guard), &format!("pair {case}"));
        observes += usize::from(outcome == Outcome::Observes);
        // And once the heights that the damaged entry may be about have passed it votes again.
        let later = NEXT + 2;
        let (mut journal, verdict) = open(home.dir.path(), later);
        assert_eq!(verdict.observe_until, 0, "pair {case}");
        journal.start_height(later).unwrap();
        let own = Own {
            height: later,
            ..own(0, Step::Prevote, 1)
        };
        vote(&mut journal, own, &mut Vec::new());
    }
    assert_eq!(observes, 2_000);
    println!("2000 pairs of flipped bits: {observes} starts observe, 0 allow a second vote");
}

/// The control: a start that trusts a damaged log, as one without a guard has to, does vote twice.
#[test]
fn without_the_guard_a_cut_log_would_allow_a_second_vote() {
    let home = Home::new();
    let cut = &home.log[..home.log.len() - 1];
    let folder = home.dir.path();
    std::fs::write(folder.join("wal/votes.log"), cut).unwrap();
    std::fs::remove_file(folder.join("last-signed")).unwrap();
    let (mut journal, verdict) = open(folder, NEXT);
    assert_eq!(verdict.observe_until, 0);
    journal.start_height(NEXT).unwrap();
    journal.request(own(1, Step::Prevote, 2)).unwrap();
}

#[test]
fn a_crash_at_any_write_leaves_a_home_that_goes_on_by_itself() {
    // Byte by byte, as far as a crash may let the two files get: the guard only after the log.
    let home = Home::new();
    let last = home.published.len() - 1;
    let whole = home.log.len();
    let without_last = whole - ENTRY_OVERHEAD - entry(home.published[last]).len();
    let guard_before = home.guard.len() - 77;
    let mut published = home.published.clone();
    published.pop();
    let mut cases = 0;
    for (log, guard) in (without_last..=whole)
        .map(|log| (log, guard_before))
        .chain((guard_before..home.guard.len()).map(|guard| (whole, guard)))
    {
        let folder = home.dir.path();
        std::fs::write(folder.join("wal/votes.log"), &home.log[..log]).unwrap();
        std::fs::write(folder.join("last-signed"), &home.guard[..guard]).unwrap();
        let (mut journal, verdict) = open(folder, NEXT);
        assert_eq!(verdict, Verdict::default(), "log {log}, guard {guard}");
        let entries = journal.start_height(NEXT).unwrap();
        let replayed: Vec<Own> = entries.iter().filter_map(|e| read(e).unwrap()).collect();
        assert!(published.iter().all(|own| replayed.contains(own)));
        // A vote that the log has is not signed otherwise; one that nobody has may be.
        let other = Own {
            value: Hash([0xee; 32]),
            ..home.published[last]
        };
        assert_eq!(journal.request(other).is_ok(), log < whole, "log {log}");
        cases += 1;
    }
    println!(
        "{cases} crashes between the first byte of the log's entry and the last of the guard's: all go on"
    );
}

#[test]
fn what_is_signed_during_replay_is_there_after_the_next_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut published = history(dir.path());
    for round in 2..5 {
        let (mut journal, verdict) = open(dir.path(), NEXT);
        assert_eq!(verdict, Verdict::default());
        assert_eq!(
            journal.start_height(NEXT).unwrap().len(),
            3 + published.len()
        );
        assert!(journal.is_replaying());
        let fresh = own(round, Step::Prevote, 4);
        journal.request(fresh).unwrap();
        journal.append(NEXT, &entry(fresh), Some(fresh)).unwrap();
        published.push(fresh);
        // The engine's own append, should it come, adds nothing.
        let before = std::fs::read(dir.path().join("wal/votes.log")).unwrap();
        journal.engine_appends();
        journal.append(NEXT, &entry(fresh), Some(fresh)).unwrap();
        let after = std::fs::read(dir.path().join("wal/votes.log")).unwrap();
        assert_eq!(before, after);
        start(dir.path(), &published, "after a replay");
    }
}

#[test]
fn an_older_or_newer_store_than_the_log_signs_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let published = history(dir.path());
    // The store was put back: the node is at height 3 again, log and guard are not.
    let (_, verdict) = open(dir.path(), 3);
    assert_eq!(verdict.observe_until, NEXT);
    // The store went on without this node: its old height is of no interest.
    let (mut journal, verdict) = open(dir.path(), NEXT + 5);
    assert_eq!(verdict, Verdict::default());
    assert!(journal.start_height(NEXT + 5).unwrap().is_empty());
    let past = journal.request(published[0]);
    journal
        .request(Own {
            height: NEXT + 5,
            ..published[0]
        })
        .unwrap();
    assert!(past.is_ok() || matches!(past, Err(WalError::Guard(_))));
    assert!(matches!(
        journal.append(NEXT, &entry(published[0]), Some(published[0])),
        Err(WalError::OtherHeight { .. })
    ));
}

#[test]
fn a_closed_journal_signs_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), NEXT);
    journal.start_height(NEXT).unwrap();
    journal.close();
    let vote = own(0, Step::Prevote, 1);
    assert!(matches!(journal.request(vote), Err(WalError::Closed)));
    let appended = journal.append(NEXT, &entry(vote), Some(vote));
    assert!(matches!(appended, Err(WalError::Closed)));
    assert!(matches!(journal.flush(), Err(WalError::Closed)));
}

#[test]
fn the_bytes_of_the_log() {
    let home = Home::new();
    assert_eq!(HEADER, 52);
    let digest = caduceus_crypto::hash(caduceus_crypto::domain::GUARD, &[&home.log]);
    // A change of format: it takes a new version in the header.
    assert_eq!(
        hex::encode(&home.log[..20]),
        "4341 4456 4f54 4553 0100 0000 0700 0000 0000 0000".replace(' ', "")
    );
    assert_eq!(home.log.len(), HEADER + 6 * ENTRY_OVERHEAD + 3 * 46 + 3 * 4);
    assert_eq!(
        hex::encode(digest.as_bytes()),
        "aaad08508fb4258dedb488fe814189c0d8f92f163263c430e06b8f078973f724"
    );
}

#[test]
fn the_two_durable_writes_of_a_vote_cost() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), 1);
    let mut took = Vec::new();
    for height in 1..=100 {
        journal.start_height(height).unwrap();
        let begun = std::time::Instant::now();
        for step in [Step::Prevote, Step::Precommit] {
            let own = Own {
                height,
                ..own(0, step, 1)
            };
            vote(&mut journal, own, &mut Vec::new());
        }
        took.push(begun.elapsed());
    }
    took.sort();
    println!(
        "100 heights: both votes durable in log and guard in p50 {:?}, p99 {:?} a height",
        took[50], took[98]
    );
    let (journal, verdict) = open(dir.path(), 101);
    assert_eq!((journal.height(), verdict), (100, Verdict::default()));
}

#[test]
fn a_copy_taken_between_prevote_and_precommit_does_not_know_the_precommit() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut journal, _) = open(dir.path(), NEXT);
    journal.start_height(NEXT).unwrap();
    let (prevote, precommit) = (own(0, Step::Prevote, 1), own(0, Step::Precommit, 1));
    vote(&mut journal, prevote, &mut Vec::new());
    std::fs::create_dir(copy.path().join("wal")).unwrap();
    for file in ["wal/votes.log", "last-signed"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    vote(&mut journal, precommit, &mut Vec::new());
    assert!(journal.knows(&prevote) && journal.knows(&precommit));

    let (mut journal, verdict) = open(copy.path(), NEXT);
    assert_eq!(verdict, Verdict::default(), "nothing is wrong with it");
    assert!(journal.knows(&prevote));
    assert!(!journal.knows(&own(0, Step::Prevote, 2)), "another value");
    assert!(!journal.knows(&precommit));
    let of_before = Own {
        height: NEXT - 1,
        ..precommit
    };
    assert!(journal.knows(&of_before), "its height has passed");
    // Without a bar it would sign another one.
    journal.bar(NEXT).unwrap();
    for _ in 0..2 {
        let other = own(0, Step::Precommit, 2);
        let refused = journal.request(other);
        assert!(
            matches!(refused, Err(WalError::Guard(GuardError::Doubtful { .. }))),
            "{refused:?}"
        );
        assert!(journal.knows(&precommit), "no more is signed there");
        let (again, verdict) = open(copy.path(), NEXT);
        assert_eq!(verdict.observe_until, NEXT);
        journal = again;
    }
    let (mut journal, verdict) = open(copy.path(), NEXT + 1);
    assert_eq!(verdict.observe_until, 0);
    journal.start_height(NEXT + 1).unwrap();
    let later = Own {
        height: NEXT + 1,
        ..prevote
    };
    vote(&mut journal, later, &mut Vec::new());
}

#[test]
fn a_vote_that_peers_send_back_is_not_taken_for_a_memory_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), NEXT);
    journal.observe();
    journal.start_height(NEXT).unwrap();
    let lost = own(0, Step::Precommit, 1);
    journal.append(NEXT, &peers_entry(1), None).unwrap();
    journal.append(NEXT, &entry(lost), Some(lost)).unwrap();
    journal.flush().unwrap();
    assert!(!journal.knows(&lost));
    let (mut journal, _) = open(dir.path(), NEXT);
    assert!(!journal.knows(&lost));
    assert_eq!(journal.start_height(NEXT).unwrap(), vec![peers_entry(1)]);
}
