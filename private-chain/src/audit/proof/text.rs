//! The text form, written and read.

use super::verify::{ClearEntry, open};
use super::{AllianceProof, EntryProof, ProofFile};
use crate::rules::AuditReceipt;
use base64ct::{Base64, Encoding};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::domain;
use caduceus_crypto::hash::hash;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::HeaderTree;
use caduceus_ledger::light::{MAX_LIGHT_BLOCK_BYTES, MAX_STEPS};
use std::fmt::Write;

/// Longest text, in bytes.
pub const MAX_PROOF_BYTES: usize = 32 * 1024 * 1024;
/// Most entries in one file.
pub const MAX_PROVED: usize = 4096;

/// First line of every proof.
const MAGIC: &str = "caduceus/audit-proof@v1";
/// What the last line begins with.
const DIGEST: &str = "\u{2014} sha3-256 ";
/// Longest path: 40 levels.
const MAX_PATH: usize = 40;
const MAX_SEALED_BYTES: usize = 7 + super::super::sealed::MAX_CIPHERTEXT_BYTES;
const MAX_HEADER_BYTES: usize = 512;
const MAX_GENESIS_BYTES: usize = 1024 * 1024;
const MAX_STATE_PROOF_BYTES: usize = 16 * 1024;

/// A text that is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Writes the text. Entries that do not open have no clear part; such a file does not verify.
pub(super) fn render(file: &ProofFile) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        out.push_str(name);
        if !value.is_empty() {
            out.push(' ');
            out.push_str(value);
        }
        out.push('\n');
    };
    line(MAGIC, "");
    line("alliance", &file.alliance.genesis.chain_id().to_string());
    line("hospital", &file.hospital.to_string());
    line("entries", &file.entries.len().to_string());
    for entry in &file.entries {
        line("", "");
        if let Ok(clear) = open(entry) {
            for (name, value) in clear_lines(&clear) {
                line(name, &value);
            }
        }
        line("batch", &hex::encode(entry.batch));
        line("index", &entry.index.to_string());
        line("key", &Base64::encode_string(&entry.key));
        line("sealed", &encoded(&entry.sealed));
        line("in-batch", &path(&entry.in_batch));
        line("receipt", &encoded(&entry.receipt));
        line("in-results", &path(&entry.in_results));
        line("sides", &entry.sides.to_string());
        line("header", &encoded(&entry.header));
        line("in-headers", &path(&entry.in_headers));
    }
    line("", "");
    let alliance = &file.alliance;
    line("genesis", &encoded(&alliance.genesis));
    for block in &alliance.blocks {
        line("light", &encoded(block));
    }
    line("record", &Base64::encode_string(&alliance.record));
    line("in-state", &Base64::encode_string(&alliance.in_state));
    line("", "");
    let digest = digest(&out);
    out.push_str(DIGEST);
    out.push_str(&digest);
    out.push('\n');
    out
}

fn encoded(value: &impl BorshSerialize) -> String {
    Base64::encode_string(&codec::encode(value))
}

fn path(hashes: &[Hash]) -> String {
    let parts: Vec<String> = hashes.iter().map(|h| Base64::encode_string(&h.0)).collect();
    parts.join(" ")
}

fn digest(text: &str) -> String {
    Base64::encode_string(&hash(domain::AUDIT_PROOF, &[text.as_bytes()]).0)
}

/// The entry for people: a line for each field that says something.
fn clear_lines(clear: &ClearEntry) -> Vec<(&'static str, String)> {
    let entry = &clear.entry;
    let optional = |text: Option<String>| text.unwrap_or_default();
    let patient = entry.patient.as_ref();
    let lines = [
        ("entry", clear.sequence.to_string()),
        ("time", entry.time.to_string()),
        ("block", format!("{} {}", clear.height, clear.block_hash)),
        ("block-time", clear.block_time.to_string()),
        ("chain", clear.chain.to_string()),
        ("actor", shown(&entry.actor.to_string())),
        ("role", optional(entry.role.map(|role| role.to_string()))),
        ("organisation", entry.organisation.to_string()),
        ("action", shown(&entry.action_name())),
        ("outcome", entry.outcome.as_str().to_owned()),
        ("reason", shown(&entry.reason)),
        (
            "patient",
            optional(
                patient.map(|p| shown(&format!("{} {p}", super::super::columns::subject_kind(p)))),
            ),
        ),
        (
            if entry.record().is_some() {
                "record"
            } else {
                "resource"
            },
            optional(entry.resource.as_ref().map(|r| shown(&r.to_string()))),
        ),
        ("purpose", shown(&entry.purpose)),
        (
            "grant",
            optional(entry.grant.map(|grant| grant.to_string())),
        ),
        ("source", shown(&entry.source)),
        ("request", shown(&entry.request)),
        ("reference", shown(&entry.reference)),
        (
            "statement",
            entry.statement_check(&clear.chain).as_str().to_owned(),
        ),
        ("class", clear.class.as_str().to_owned()),
    ];
    lines
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// One line, which acts on no terminal.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || c == '\\' {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The lines, one after the other.
pub(super) struct Lines<'a> {
    lines: std::str::Split<'a, char>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn wrong(&self, what: impl Into<String>) -> ParseError {
        ParseError {
            line: self.number,
            what: what.into(),
        }
    }

    fn next(&mut self) -> Result<&'a str, ParseError> {
        self.number += 1;
        match self.lines.next() {
            Some(line) => Ok(line),
            None => Err(self.wrong("the text ends too early")),
        }
    }

    /// The value of the next line, which must have this name.
    fn value(&mut self, name: &str) -> Result<&'a str, ParseError> {
        let line = self.next()?;
        self.named(line, name)
    }

    fn named(&self, line: &'a str, name: &str) -> Result<&'a str, ParseError> {
        let rest = line.strip_prefix(name).and_then(|rest| {
            if rest.is_empty() {
                Some(rest)
            } else {
                rest.strip_prefix(' ')
            }
        });
        rest.ok_or_else(|| self.wrong(format!("a line {name} is expected")))
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, ParseError> {
        let value = self.value(name)?;
        value.parse().map_err(|_| self.wrong("not a number"))
    }

    fn bytes(&self, text: &str, limit: usize) -> Result<Vec<u8>, ParseError> {
        if text.len() > limit.div_ceil(3) * 4 {
            return Err(self.wrong("longer than it may be"));
        }
        let bytes = Base64::decode_vec(text).map_err(|_| self.wrong("not base64"))?;
        if bytes.len() > limit {
            return Err(self.wrong("longer than it may be"));
        }
        Ok(bytes)
    }

    fn array(&self, text: &str) -> Result<[u8; 32], ParseError> {
        let bytes = self.bytes(text, 32)?;
        bytes.try_into().map_err(|_| self.wrong("not 32 bytes"))
    }

    fn decoded<T: BorshDeserialize + BorshSerialize>(
        &mut self,
        name: &str,
        limit: usize,
    ) -> Result<T, ParseError> {
        let value = self.value(name)?;
        self.decode(value, limit)
    }

    fn decode<T: BorshDeserialize + BorshSerialize>(
        &self,
        value: &str,
        limit: usize,
    ) -> Result<T, ParseError> {
        let bytes = self.bytes(value, limit)?;
        codec::decode_exact(&bytes, limit).map_err(|e| self.wrong(e.to_string()))
    }

    fn path(&mut self, name: &str) -> Result<Vec<Hash>, ParseError> {
        let value = self.value(name)?;
        if value.is_empty() {
            return Ok(Vec::new());
        }
        let parts: Vec<&str> = value.split(' ').take(MAX_PATH + 1).collect();
        if parts.len() > MAX_PATH {
            return Err(self.wrong("longer than it may be"));
        }
        parts
            .iter()
            .map(|part| Ok(Hash(self.array(part)?)))
            .collect()
    }

    fn empty(&mut self) -> Result<(), ParseError> {
        if self.next()?.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("an empty line is expected"))
        }
    }
}

/// Whether the text begins as a proof does; gives what follows.
pub(super) fn check_kind(text: &str) -> Result<Lines<'_>, ParseError> {
    let mut lines = Lines {
        lines: text.split('\n'),
        number: 0,
    };
    if lines.next()? != MAGIC {
        return Err(lines.wrong(format!("not a proof: it does not begin with {MAGIC}")));
    }
    Ok(lines)
}

/// Reads the text, without its clear part: whoever verifies writes it anew and compares.
pub(super) fn parse(text: &str) -> Result<ProofFile, ParseError> {
    let mut lines = check_kind(text)?;
    if text.len() > MAX_PROOF_BYTES {
        return Err(lines.wrong("longer than a proof may be"));
    }
    lines.value("alliance")?;
    let hospital = lines.value("hospital")?;
    let hospital: HospitalId = hospital
        .parse()
        .map_err(|_| lines.wrong("not a hospital's identifier"))?;
    let count: usize = lines.number("entries")?;
    if !(1..=MAX_PROVED).contains(&count) {
        return Err(lines.wrong(format!("1 to {MAX_PROVED} entries")));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        lines.empty()?;
        entries.push(entry(&mut lines)?);
    }
    lines.empty()?;
    let alliance = alliance(&mut lines)?;
    lines.empty()?;
    lines.value("\u{2014}")?;
    if !lines.next()?.is_empty() || lines.lines.next().is_some() {
        return Err(lines.wrong("the text goes on after its last line"));
    }
    Ok(ProofFile {
        hospital,
        entries,
        alliance,
    })
}

fn entry(lines: &mut Lines<'_>) -> Result<EntryProof, ParseError> {
    // The clear part, which ends with the batch.
    let batch = loop {
        let line = lines.next()?;
        if line.is_empty() {
            return Err(lines.wrong("a line batch is expected"));
        }
        if let Some(batch) = line.strip_prefix("batch ") {
            break batch;
        }
    };
    let mut id = [0; 32];
    hex::decode_to_slice(batch, &mut id).map_err(|_| lines.wrong("not 64 digits"))?;
    Ok(EntryProof {
        batch: id,
        index: lines.number("index")?,
        key: {
            let value = lines.value("key")?;
            lines.array(value)?
        },
        sealed: lines.decoded("sealed", MAX_SEALED_BYTES)?,
        in_batch: lines.path("in-batch")?,
        receipt: lines.decoded("receipt", AuditReceipt::BYTES)?,
        in_results: lines.path("in-results")?,
        sides: lines.number("sides")?,
        header: lines.decoded("header", MAX_HEADER_BYTES)?,
        in_headers: lines.path("in-headers")?,
    })
}

fn alliance(lines: &mut Lines<'_>) -> Result<AllianceProof, ParseError> {
    let genesis = lines.decoded("genesis", MAX_GENESIS_BYTES)?;
    let mut blocks = Vec::new();
    let record = loop {
        let line = lines.next()?;
        let Some(block) = line.strip_prefix("light ") else {
            break lines.named(line, "record")?;
        };
        if blocks.len() == MAX_STEPS {
            return Err(lines.wrong(format!("at most {MAX_STEPS} light blocks")));
        }
        blocks.push(lines.decode(block, MAX_LIGHT_BLOCK_BYTES)?);
    };
    let record = lines.bytes(record, HeaderTree::MAX_BYTES)?;
    let in_state = lines.value("in-state")?;
    Ok(AllianceProof {
        genesis,
        blocks,
        record,
        in_state: lines.bytes(in_state, MAX_STATE_PROOF_BYTES)?,
    })
}

/// Whether the last line is the digest of all before it.
pub(super) fn is_whole(text: &str) -> bool {
    let Some(at) = text.rfind(DIGEST) else {
        return false;
    };
    let (before, last) = text.split_at(at);
    last.strip_prefix(DIGEST)
        .and_then(|last| last.strip_suffix('\n'))
        .is_some_and(|found| found == digest(before))
}
