//! A corpus from FHIR bundles: records and keywords as a workstation makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use caduceus_custody::fhir;

use super::corpus::{Corpus, Draw, PlainRecord, stream};
use super::generate::days_of;

/// The records of every `*.json` in a folder, a patient a bundle, anchored over so many days. Where more records
/// are wanted than there are, the histories are used again, each time for a new patient with days of her own.
pub(super) fn corpus(
    folder: &Path,
    seed: u64,
    records: Option<usize>,
    days: u32,
) -> anyhow::Result<Corpus> {
    let (keywords, histories) = read(folder)?;
    let held: usize = histories.iter().map(Vec::len).sum();
    anyhow::ensure!(held > 0, "{} holds no bundle", folder.display());
    let wanted = records.unwrap_or(held);
    let source = format!(
        "{}: {held} records of {} bundles{}",
        folder.display(),
        histories.len(),
        if wanted > held {
            ", used again for further patients"
        } else {
            ""
        }
    );
    let mut corpus = Corpus::empty(keywords, days, source);
    for (nth, history) in histories.iter().cycle().enumerate() {
        let left = wanted - corpus.records.len();
        if left == 0 {
            break;
        }
        let taken = &history[..history.len().min(left)];
        let rng = &mut stream(seed, Draw::History, nth);
        let records = days_of(rng, taken.len(), corpus.first, days)
            .into_iter()
            .zip(taken)
            .map(|(day, keywords)| PlainRecord {
                day,
                keywords: keywords.clone(),
            })
            .collect();
        corpus.push(records);
    }
    Ok(corpus)
}

/// The records of one patient, each the ascending numbers of its keywords.
type History = Vec<Vec<u32>>;

fn read(folder: &Path) -> anyhow::Result<(Vec<String>, Vec<History>)> {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut histories = Vec::new();
    for path in files(folder)? {
        let name = path.display();
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {name}"))?;
        let split = fhir::split(&bytes).with_context(|| name.to_string())?;
        let mut history = History::new();
        for encounter in &split.encounters {
            let plan = fhir::plan(&encounter.bundle_json, &[]).with_context(|| name.to_string())?;
            let mut keywords: Vec<u32> = Vec::with_capacity(plan.kept.len());
            for keyword in &plan.kept {
                let next = u32::try_from(numbers.len()).context("too many keywords")?;
                let number = *numbers.entry(keyword.as_str().to_owned()).or_insert(next);
                keywords.push(number);
            }
            keywords.sort_unstable();
            history.push(keywords);
        }
        histories.push(history);
    }
    let mut keywords = vec![String::new(); numbers.len()];
    for (keyword, number) in numbers {
        keywords[number as usize] = keyword;
    }
    Ok((keywords, histories))
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        if path.extension().is_some_and(|end| end == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::generator::patients;

    fn folder(count: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (nth, bundle) in patients(5, count, 2..=4, &["Hilltop"]).iter().enumerate() {
            std::fs::write(folder.path().join(format!("{nth}.json")), bundle).unwrap();
        }
        std::fs::write(folder.path().join("note.txt"), "not a bundle").unwrap();
        folder
    }

    #[test]
    fn bundles_become_records_with_their_keywords() {
        let folder = folder(3);
        let corpus = corpus(folder.path(), 1, None, 100).unwrap();
        assert_eq!(corpus.patients.len(), 3);
        assert!((6..=12).contains(&corpus.records.len()));
        let types = corpus
            .keywords
            .iter()
            .position(|keyword| keyword == "type:Encounter")
            .unwrap();
        let types = u32::try_from(types).unwrap();
        for record in &corpus.records {
            assert!(record.keywords.contains(&types));
            assert!(record.keywords.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(corpus.first <= record.day && record.day <= corpus.today);
        }
    }

    #[test]
    fn histories_are_used_again_for_new_patients() {
        let folder = folder(2);
        let whole = corpus(folder.path(), 1, None, 100).unwrap();
        let more = corpus(folder.path(), 1, Some(25), 100).unwrap();
        assert_eq!(more.records.len(), 25);
        assert!(more.patients.len() > whole.patients.len());
        assert_eq!(more.keywords, whole.keywords);
        let few = corpus(folder.path(), 1, Some(1), 100).unwrap();
        assert_eq!((few.records.len(), few.patients.len()), (1, 1));
    }

    #[test]
    fn a_folder_without_bundles_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        assert!(corpus(empty.path(), 1, None, 100).is_err());
        std::fs::write(empty.path().join("x.json"), "{}").unwrap();
        assert!(corpus(empty.path(), 1, None, 100).is_err());
    }
}
