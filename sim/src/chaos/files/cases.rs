//! What is done to the folder of a node that was killed.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Where a case finds what it needs.
pub(super) struct Scene {
    /// The folder of the killed node.
    pub(super) home: PathBuf,
    /// The same folder as it was many heights ago.
    pub(super) older: PathBuf,
}

/// Two outcomes are right; a case says which of them is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The node mends it by itself, whatever it takes.
    Works,
    /// It cannot know better than its operator: it refuses, and its cure is to remove this file. None: what was
    /// changed is put back.
    Refuses(Option<&'static str>),
}

/// One way to damage a folder. False: there is nothing to damage.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) asked: Asked,
    pub(super) damage: fn(&Scene) -> anyhow::Result<bool>,
}

const CHAIN: &str = "chain.redb";
const INDEX: &str = "index.redb";
const GUARD: &str = "last-signed";
const LOG: &str = "wal";
const PENDING: &str = "pending";

const fn case(
    name: &'static str,
    asked: Asked,
    damage: fn(&Scene) -> anyhow::Result<bool>,
) -> Case {
    Case {
        name,
        asked,
        damage,
    }
}

/// Every case, in the order in which they are tried on one node.
pub(super) static CASES: [Case; 25] = [
    case("log: zeros appended", Asked::Works, |s| {
        each(&s.home.join(LOG), |bytes| bytes.extend([0; 4096]))
    }),
    case("log: second half zeroed", Asked::Works, |s| {
        each(&s.home.join(LOG), |bytes| {
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
        })
    }),
    case("log: cut in half", Asked::Works, |s| {
        each(&s.home.join(LOG), |bytes| bytes.truncate(bytes.len() / 2))
    }),
    case("log: a byte in its middle flipped", Asked::Works, |s| {
        each(&s.home.join(LOG), |bytes| flip_middle(bytes))
    }),
    case("log: noise", Asked::Works, |s| {
        each(&s.home.join(LOG), |bytes| noise(bytes))
    }),
    case("log: removed", Asked::Works, |s| remove(&s.home.join(LOG))),
    case("guard: last entry cut", Asked::Works, |s| {
        edit(&s.home.join(GUARD), |bytes| {
            bytes.truncate(bytes.len().saturating_sub(30))
        })
    }),
    case("guard: last byte flipped", Asked::Works, |s| {
        edit(&s.home.join(GUARD), |bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        })
    }),
    case("guard: first byte flipped", Asked::Works, |s| {
        edit(&s.home.join(GUARD), |bytes| {
            if let Some(first) = bytes.first_mut() {
                *first ^= 1;
            }
        })
    }),
    case("guard: removed", Asked::Works, |s| {
        remove(&s.home.join(GUARD))
    }),
    case("guard and log: removed", Asked::Works, |s| {
        Ok(remove(&s.home.join(GUARD))? | remove(&s.home.join(LOG))?)
    }),
    case("guard: an older copy", Asked::Works, |s| older(s, &[GUARD])),
    case("chain: an older copy", Asked::Works, |s| older(s, &[CHAIN])),
    case("chain: cut in half", Asked::Refuses(Some(CHAIN)), |s| {
        edit(&s.home.join(CHAIN), |bytes| bytes.truncate(bytes.len() / 2))
    }),
    case(
        "chain: some bytes of every page changed",
        Asked::Refuses(Some(CHAIN)),
        |s| edit(&s.home.join(CHAIN), |bytes| overwrite_pages(bytes)),
    ),
    case("chain: noise", Asked::Refuses(Some(CHAIN)), |s| {
        edit(&s.home.join(CHAIN), |bytes| noise(bytes))
    }),
    case("chain: removed", Asked::Works, |s| {
        remove(&s.home.join(CHAIN))
    }),
    case("index: removed", Asked::Works, |s| {
        remove(&s.home.join(INDEX))
    }),
    case("index: an older copy", Asked::Works, |s| older(s, &[INDEX])),
    case("index: noise", Asked::Works, |s| {
        edit(&s.home.join(INDEX), |bytes| noise(bytes))
    }),
    case("pending: emptied", Asked::Works, |s| {
        remove(&s.home.join(PENDING))
    }),
    case("pending: every block flipped", Asked::Works, |s| {
        each(&s.home.join(PENDING), |bytes| flip_middle(bytes))
    }),
    case("folder: an older copy of all of it", Asked::Works, |s| {
        older(s, &[CHAIN, INDEX, GUARD, LOG, PENDING])
    }),
    case("key: a digit changed", Asked::Refuses(None), |s| {
        edit(&s.home.join("node.key"), |bytes| {
            bytes[5] = if bytes[5] == b'0' { b'1' } else { b'0' };
        })
    }),
    case("genesis: of another chain", Asked::Refuses(None), |s| {
        edit(&s.home.join("node.toml"), |bytes| {
            let text = String::from_utf8_lossy(bytes).replace("chaos.genesis", "alliance.genesis");
            *bytes = text.into_bytes();
        })
    }),
];

fn edit(path: &Path, change: impl Fn(&mut Vec<u8>)) -> anyhow::Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let before = std::fs::read(path)?;
    let mut bytes = before.clone();
    change(&mut bytes);
    std::fs::write(path, &bytes)?;
    Ok(bytes != before)
}

/// Changes every file of a folder.
fn each(folder: &Path, change: impl Fn(&mut Vec<u8>)) -> anyhow::Result<bool> {
    let mut changed = false;
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            changed |= edit(&entry?.path(), &change)?;
        }
    }
    Ok(changed)
}

fn remove(path: &Path) -> anyhow::Result<bool> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)?;
    } else if path.exists() {
        std::fs::remove_file(path)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn older(scene: &Scene, names: &[&str]) -> anyhow::Result<bool> {
    for name in names {
        let (from, to) = (scene.older.join(name), scene.home.join(name));
        remove(&to)?;
        put(&from, &to)?;
    }
    Ok(true)
}

/// Copies a file, or a folder of files.
pub(super) fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            put(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if from.exists() {
        std::fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

fn flip_middle(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x10;
    }
}

/// The same for every file of a length, so that a run can be repeated.
fn noise(bytes: &mut [u8]) {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for byte in bytes.iter_mut() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
}

/// Changes sixteen bytes in the middle of every page that is not empty, those in use among them.
fn overwrite_pages(bytes: &mut [u8]) {
    const PAGE: usize = 4096;
    for page in bytes.chunks_exact_mut(PAGE).skip(1) {
        if page.iter().any(|byte| *byte != 0) {
            for byte in &mut page[PAGE / 2..PAGE / 2 + 16] {
                *byte ^= 0xff;
            }
        }
    }
}
