//! The queries, and their answers in plain text.

use std::collections::BTreeSet;

use caduceus_crypto::index::Clause;
use rand::Rng;
use rand::seq::SliceRandom;

use super::corpus::{Corpus, Draw, stream};

/// Every so many queries ask for a keyword drawn from all instead of the patient's own.
const FOREIGN_EVERY: usize = 10;

/// Boolean queries, in turn, as clauses (negative, slots). Slots 0 and 1 are two keywords of one record if it
/// has two, 2 and 3 others of the patient.
const FORMS: [&[(bool, &[u8])]; 5] = [
    &[(false, &[0]), (false, &[1])],
    &[(false, &[0, 1])],
    &[(false, &[0]), (true, &[1])],
    &[(false, &[0, 1]), (true, &[2])],
    &[(false, &[0, 2]), (false, &[1, 3])],
];

/// A patient's query over all days, and the records that the plain text says it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Whose trapdoors, hence whose records.
    pub(super) patient: usize,
    /// One a slot.
    pub(super) keywords: Vec<u32>,
    /// Over the slots.
    pub(super) clauses: Vec<Clause>,
    /// Ascending.
    pub(super) answer: Vec<usize>,
}

/// What is asked in a bench.
#[derive(Debug)]
pub(super) struct Questions {
    /// The patients who ask.
    pub(super) patients: Vec<usize>,
    /// Queries for one keyword each.
    pub(super) singles: Vec<Asked>,
    /// Queries for several.
    pub(super) booleans: Vec<Asked>,
}

impl Questions {
    /// Queries of patients drawn from the corpus, as many patients as have `room` records together but one at
    /// least.
    pub(super) fn draw(
        corpus: &Corpus,
        seed: u64,
        room: usize,
        singles: usize,
        booleans: usize,
    ) -> Self {
        let rng = &mut stream(seed, Draw::Queries, 0);
        let mut order: Vec<usize> = (0..corpus.patients.len()).collect();
        order.shuffle(rng);
        let mut records = 0;
        let mut patients: Vec<usize> = Vec::new();
        for patient in order {
            let more = corpus.patients[patient].len();
            if patients.len() == singles.max(1) {
                break;
            }
            if patients.is_empty() || records + more <= room {
                records += more;
                patients.push(patient);
            }
        }
        let singles = single_queries(rng, corpus, &patients, singles);
        let booleans = if corpus.keywords.len() < 4 {
            Vec::new()
        } else {
            (0..booleans)
                .map(|nth| {
                    let patient = patients[nth % patients.len()];
                    Asked::form(rng, corpus, patient, FORMS[nth % FORMS.len()])
                })
                .collect()
        };
        Self {
            patients,
            singles,
            booleans,
        }
    }
}

/// So many queries for one keyword, of these patients in turn.
pub(super) fn single_queries(
    rng: &mut impl Rng,
    corpus: &Corpus,
    patients: &[usize],
    count: usize,
) -> Vec<Asked> {
    (0..count)
        .map(|nth| {
            let patient = patients[nth % patients.len()];
            let own = corpus.keywords_of(patient);
            let foreign = nth % FOREIGN_EVERY == FOREIGN_EVERY - 1;
            let keyword = match own.choose(rng) {
                Some(keyword) if !foreign => *keyword,
                _ => any_keyword(rng, corpus),
            };
            let clauses = clauses(&[(false, &[0])]);
            Asked::new(corpus, patient, vec![keyword], clauses)
        })
        .collect()
}

fn any_keyword(rng: &mut impl Rng, corpus: &Corpus) -> u32 {
    let count = u32::try_from(corpus.keywords.len()).expect("keywords are numbered in 32 bits");
    rng.gen_range(0..count)
}

fn clauses(form: &[(bool, &[u8])]) -> Vec<Clause> {
    form.iter()
        .map(|(negative, slots)| Clause {
            negative: *negative,
            slots: slots.to_vec(),
        })
        .collect()
}

impl Asked {
    fn new(corpus: &Corpus, patient: usize, keywords: Vec<u32>, clauses: Vec<Clause>) -> Self {
        let answer = corpus.patients[patient]
            .clone()
            .filter(|record| matches(&clauses, &keywords, &corpus.records[*record].keywords))
            .collect();
        Self {
            patient,
            keywords,
            clauses,
            answer,
        }
    }

    fn form(rng: &mut impl Rng, corpus: &Corpus, patient: usize, form: &[(bool, &[u8])]) -> Self {
        let records = &corpus.records[corpus.patients[patient].clone()];
        let mut together = records
            .choose(rng)
            .map(|record| record.keywords.clone())
            .unwrap_or_default();
        together.shuffle(rng);
        together.truncate(2);
        let mut own = corpus.keywords_of(patient);
        own.shuffle(rng);
        let mut keywords = Vec::with_capacity(4);
        let mut candidates = together.into_iter().chain(own);
        while keywords.len() < 4 {
            let keyword = candidates
                .next()
                .unwrap_or_else(|| any_keyword(rng, corpus));
            if !keywords.contains(&keyword) {
                keywords.push(keyword);
            }
        }
        let used: BTreeSet<u8> = form
            .iter()
            .flat_map(|(_, slots)| slots.iter().copied())
            .collect();
        keywords.truncate(used.len());
        Self::new(corpus, patient, keywords, clauses(form))
    }
}

/// Whether a record with these keywords is an answer.
fn matches(clauses: &[Clause], slots: &[u32], record: &[u32]) -> bool {
    clauses.iter().all(|clause| {
        let any = clause
            .slots
            .iter()
            .any(|slot| record.binary_search(&slots[usize::from(*slot)]).is_ok());
        any != clause.negative
    })
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::*;

    #[test]
    fn forms_use_their_slots_from_the_first_on() {
        for form in FORMS {
            let used: BTreeSet<u8> = form
                .iter()
                .flat_map(|(_, slots)| slots.iter().copied())
                .collect();
            let last = used.len() as u8;
            assert_eq!(used, (0..last).collect());
        }
    }

    #[test]
    fn questions_are_of_few_patients_and_have_answers() {
        let corpus = generate::corpus(1, 2_000, 3650);
        let questions = Questions::draw(&corpus, 1, 300, 100, 50);
        let records: usize = questions
            .patients
            .iter()
            .map(|patient| corpus.patients[*patient].len())
            .sum();
        assert!(records <= 300 && records > 200, "{records}");
        assert_eq!(
            (questions.singles.len(), questions.booleans.len()),
            (100, 50)
        );
        let answered = questions
            .singles
            .iter()
            .filter(|asked| !asked.answer.is_empty())
            .count();
        assert!((90..100).contains(&answered), "{answered}");
        let boolean = questions
            .booleans
            .iter()
            .filter(|asked| !asked.answer.is_empty())
            .count();
        assert!(boolean >= 30, "{boolean}");
        let one = Questions::draw(&corpus, 1, 0, 5, 0);
        assert_eq!(one.patients.len(), 1);
    }

    #[test]
    fn answers_follow_the_definition() {
        let mut corpus = generate::corpus(1, 9, 3650);
        let contents: [&[u32]; 3] = [&[1, 2], &[2, 3], &[3]];
        for (record, keywords) in corpus.records.iter_mut().zip(contents.iter().cycle()) {
            record.keywords = keywords.to_vec();
        }
        let answer = |slots: &[u32], form: &[(bool, &[u8])]| {
            Asked::new(&corpus, 0, slots.to_vec(), clauses(form)).answer
        };
        assert_eq!(answer(&[2], &[(false, &[0])]), [0, 1, 3, 4, 6, 7]);
        assert_eq!(answer(&[2, 3], FORMS[0]), [1, 4, 7]);
        assert_eq!(answer(&[2, 3], FORMS[2]), [0, 3, 6]);
        assert_eq!(answer(&[1, 2, 3], FORMS[3]), [0, 3, 6]);
        assert_eq!(answer(&[9], &[(false, &[0])]), [0usize; 0]);
    }
}
