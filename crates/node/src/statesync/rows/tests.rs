#![allow(clippy::unwrap_used)]

use super::*;

/// Chunks and sections of these rows.
fn cut(rows: &[(Space, Row)]) -> (Vec<Vec<u8>>, [Section; 3]) {
    let mut cutter = Cutter::default();
    let mut chunks = Vec::new();
    for (space, (key, value)) in rows {
        chunks.extend(cutter.push(*space, key, value).unwrap());
    }
    let (last, sections) = cutter.finish();
    chunks.extend(last);
    (chunks, sections)
}

fn row(space: Space, n: u32, bytes: usize) -> (Space, Row) {
    let mut key = vec![0; INDEX_KEY_BYTES];
    key[..4].copy_from_slice(&n.to_be_bytes());
    let length = if space == Space::Index {
        INDEX_VALUE_BYTES
    } else {
        bytes
    };
    (space, (key, vec![n as u8; length]))
}

#[test]
fn rows_come_back_as_they_were_from_chunks_of_one_space_each() {
    let mut rows: Vec<_> = (0..3).map(|n| row(Space::Auth, n, 5)).collect();
    rows.extend((0..5).map(|n| row(Space::Bulk, n, 400 * 1024)));
    rows.extend((0..40_000).map(|n| row(Space::Index, n, 0)));
    let (chunks, [auth, bulk, index]) = cut(&rows);
    assert_eq!((auth.chunks, bulk.chunks, index.chunks), (1, 3, 2));
    assert_eq!((auth.rows, bulk.rows, index.rows), (3, 5, 40_000));
    assert_eq!(
        auth.bytes + bulk.bytes + index.bytes,
        chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>()
    );
    let mut back = Vec::new();
    for chunk in &chunks {
        assert!(chunk.len() <= CHUNK_BYTES);
        let (space, of_one) = read(chunk).unwrap();
        back.extend(of_one.into_iter().map(|row| (space, row)));
    }
    assert_eq!(back, rows);
}

#[test]
fn nothing_gives_no_chunk() {
    assert_eq!(cut(&[]), (Vec::new(), [Section::default(); 3]));
}

#[test]
fn a_row_longer_than_a_chunk_has_one_of_its_own_and_one_beyond_all_bounds_is_refused() {
    let rows = [
        row(Space::Bulk, 0, 1),
        row(Space::Bulk, 1, 2 * CHUNK_BYTES),
        row(Space::Bulk, 2, 1),
    ];
    let (chunks, sections) = cut(&rows);
    assert_eq!((chunks.len(), sections[1].chunks), (3, 3));
    let mut cutter = Cutter::default();
    let longest = MAX_SNAPSHOT_CHUNK_BYTES - 9 - 1;
    assert!(cutter.push(Space::Bulk, b"k", &vec![0; longest]).is_ok());
    assert!(
        cutter
            .push(Space::Bulk, b"l", &vec![0; longest + 1])
            .is_err()
    );
}

#[test]
fn what_the_cutter_does_not_make_is_refused() {
    let (chunks, _) = cut(&[row(Space::Auth, 1, 3), row(Space::Auth, 2, 3)]);
    let good = &chunks[0];
    let mut cases = 0;
    for length in 0..good.len() {
        // A cut between two rows is a shorter chunk, not a malformed one: the manifest's hash tells.
        let whole_row = 1 + 8 + INDEX_KEY_BYTES + 3;
        if length != whole_row {
            assert_eq!(read(&good[..length]), Err(BadChunk::Malformed), "{length}");
            cases += 1;
        }
    }
    let mut swapped = good.clone();
    swapped[0] = 3;
    assert_eq!(read(&swapped), Err(BadChunk::Malformed));
    let (second, _) = cut(&[row(Space::Auth, 2, 3), row(Space::Auth, 1, 3)]);
    assert_eq!(read(&second[0]), Err(BadChunk::Unordered));
    let (twice, _) = cut(&[row(Space::Auth, 2, 3), row(Space::Auth, 2, 3)]);
    assert_eq!(read(&twice[0]), Err(BadChunk::Unordered));
    println!("{cases} cut chunks refused");
}
