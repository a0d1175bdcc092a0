//! What a search would send and what that would tell, before anything of it is sent (DESIGN 3.4).

use crate::error::PatientError;
use crate::patient::Patient;
use crate::search::{Plan, SearchSpec};
use crate::slots::{SlotKeys, compile_slots, distinct, windows};
use crate::state::CardEntry;
use alliance_chain::{Search, SignedSearch, Tx};
use caduceus_crypto::index::{Query, SchemeId, Slots};
use caduceus_crypto::time::Epoch;
use caduceus_crypto::token::{MIN_MODULUS_BITS, Token};
use caduceus_crypto::{HospitalId, SecretKey, Signature, encode};
use caduceus_custody::query::KeywordClause;
use rand_core::OsRng;

/// Bytes of a token's signature where no token is held whose length would tell: that of the usual modulus.
const USUAL_SIGNATURE_BYTES: usize = MIN_MODULUS_BITS / 8;

/// What a search would send, hospital by hospital. Newer versions of hits would be searched for after that: once
/// more for each 64 hits of a hospital and versions of them that are known, unless the search is told not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// How the network's records are indexed.
    pub scheme: SchemeId,
    /// The query in the form in which it is searched: all clauses hold. They are numbered from 1.
    pub clauses: Vec<ExplainedClause>,
    /// By hospital.
    pub hospitals: Vec<ExplainedHospital>,
}

/// One clause of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedClause {
    /// False: a record has one of the keywords. True: it has none of them.
    pub negative: bool,
    /// The keywords.
    pub keywords: Vec<String>,
}

/// The searches of one hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedHospital {
    /// The hospital.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// Its `Search` transactions, each of which takes a token. More follow where an answer holds more hits than fit.
    pub windows: Vec<ExplainedWindow>,
    /// Tokens of its issue that she holds; the others are fetched from it first.
    pub tokens_held: usize,
    /// What its members would learn, in sentences.
    pub disclosed: Vec<String>,
}

/// One `Search` transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedWindow {
    /// First day of anchoring that it covers.
    pub from: Epoch,
    /// Last day, included.
    pub to: Epoch,
    /// Days from the first to the last.
    pub days: u64,
    /// One trapdoor a keyword.
    pub slots: Vec<ExplainedSlot>,
    /// Days that all covers together expand to: what the search is charged for; 0 where the scheme scans.
    pub leaves: u64,
    /// Encoded query, bytes.
    pub query_bytes: usize,
    /// Whole transaction, bytes.
    pub transaction_bytes: usize,
}

/// One trapdoor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedSlot {
    /// Its number, from 1.
    pub slot: usize,
    /// The keyword, which stays here.
    pub keyword: String,
    /// The clauses that name it, by number.
    pub clauses: Vec<usize>,
    /// Quarters that its cover touches; 0 where the scheme scans.
    pub quarters: usize,
    /// Tree nodes of its cover; 0 where the scheme scans.
    pub nodes: usize,
    /// Encoded trapdoor, bytes.
    pub bytes: usize,
}

impl Explanation {
    /// `Search` transactions, hence tokens, over all hospitals.
    #[must_use]
    pub fn searches(&self) -> usize {
        self.hospitals.iter().map(|each| each.windows.len()).sum()
    }

    /// Bytes of all transactions.
    #[must_use]
    pub fn transaction_bytes(&self) -> usize {
        self.hospitals
            .iter()
            .flat_map(|each| &each.windows)
            .map(|window| window.transaction_bytes)
            .sum()
    }
}

impl Patient {
    /// What a search would send. Nothing of it leaves this machine: only the alliance's bounds and its newest
    /// header are asked for.
    ///
    /// # Errors
    /// Those of [`Patient::search`] that come before anything is sent.
    pub async fn explain(&self, spec: &SearchSpec) -> Result<Explanation, PatientError> {
        let plan = self.plan(spec).await?;
        let mut hospitals = Vec::new();
        for card in self.searched_cards(&spec.hospitals)? {
            hospitals.push(self.explain_hospital(&card, &plan)?);
        }
        Ok(Explanation {
            scheme: plan.scheme,
            clauses: explain_clauses(&plan.clauses),
            hospitals,
        })
    }

    fn explain_hospital(
        &self,
        card: &CardEntry,
        plan: &Plan,
    ) -> Result<ExplainedHospital, PatientError> {
        let with = self.slot_keys(plan.scheme, card);
        let frame = self.frame_bytes(card, plan);
        let mut explained = Vec::new();
        for (from, to) in windows(plan.scheme, &plan.clauses, plan.days.0, plan.days.1) {
            let window = explain_window(&with, &plan.clauses, (from, to), plan.searchable, frame)?;
            explained.push(window);
        }
        let name = self.name_of(&card.hospital);
        Ok(ExplainedHospital {
            hospital: card.hospital,
            disclosed: disclosures(&name, plan.scheme, &explained, plan.searchable.1),
            name,
            windows: explained,
            tokens_held: self.tokens(&card.hospital),
        })
    }

    /// Bytes of a search's transaction besides its query.
    fn frame_bytes(&self, card: &CardEntry, plan: &Plan) -> usize {
        let signature_bytes = self
            .state()
            .tokens
            .iter()
            .find(|token| token.issuer == card.hospital)
            .map_or(USUAL_SIGNATURE_BYTES, |stored| stored.token.signature.len());
        let empty = Query {
            clauses: Vec::new(),
            slots: Slots::Tags(Vec::new()),
        };
        let empty_bytes = encode(&empty).len();
        let search = Search {
            hospital: card.hospital,
            query: empty,
            nonce: [0; 32],
            expires: plan.expires,
            chain: self.alliance.chain(),
            issuer: card.hospital,
            token: Token {
                key: SecretKey::generate(&mut OsRng).public(),
                signature: vec![0; signature_bytes],
            },
        };
        let tx = Tx::Search(SignedSearch {
            body: search,
            signature: Signature([0; 64]),
        });
        tx.encode().len() - empty_bytes
    }
}

fn explain_clauses(clauses: &[KeywordClause]) -> Vec<ExplainedClause> {
    clauses
        .iter()
        .map(|clause| ExplainedClause {
            negative: clause.negative,
            keywords: clause
                .keywords
                .iter()
                .map(|keyword| keyword.as_str().to_owned())
                .collect(),
        })
        .collect()
}

/// One search, made as it would be sent, and checked as the nodes would check it.
fn explain_window(
    with: &SlotKeys<'_>,
    clauses: &[KeywordClause],
    (from, to): (Epoch, Epoch),
    searchable: (Epoch, Epoch),
    frame_bytes: usize,
) -> Result<ExplainedWindow, PatientError> {
    let query = compile_slots(with, clauses, from, to);
    let query_bytes = encode(&query).len();
    let sizes = slot_sizes(&query.slots);
    let slots = distinct(clauses)
        .iter()
        .zip(sizes)
        .enumerate()
        .map(|(index, (keyword, size))| ExplainedSlot {
            slot: index + 1,
            keyword: keyword.as_str().to_owned(),
            clauses: (1usize..)
                .zip(clauses)
                .filter(|(_, clause)| clause.keywords.contains(keyword))
                .map(|(number, _)| number)
                .collect(),
            quarters: size.quarters,
            nodes: size.nodes,
            bytes: size.bytes,
        })
        .collect();
    let checked = query.verify(with.scheme, searchable.0, searchable.1)?;
    Ok(ExplainedWindow {
        from,
        to,
        days: u64::from(to.0) + 1 - u64::from(from.0),
        slots,
        leaves: checked.leaves(),
        query_bytes,
        transaction_bytes: frame_bytes + query_bytes,
    })
}

struct SlotSize {
    quarters: usize,
    nodes: usize,
    bytes: usize,
}

fn slot_sizes(slots: &Slots) -> Vec<SlotSize> {
    let scanned = |bytes: usize| SlotSize {
        quarters: 0,
        nodes: 0,
        bytes,
    };
    match slots {
        Slots::Tags(covers) => covers
            .iter()
            .map(|cover| SlotSize {
                quarters: cover.quarters.len(),
                nodes: cover.quarters.iter().map(|each| each.nodes.len()).sum(),
                bytes: encode(cover).len(),
            })
            .collect(),
        Slots::Peks(scan) => {
            let sizes = scan.trapdoors.iter();
            sizes.map(|each| scanned(encode(each).len())).collect()
        }
        Slots::Paeks(scan) => {
            let sizes = scan.trapdoors.iter();
            sizes.map(|each| scanned(encode(each).len())).collect()
        }
    }
}

/// What every member of the alliance would learn of these searches, for ever.
fn disclosures(
    name: &str,
    scheme: SchemeId,
    windows: &[ExplainedWindow],
    today: Epoch,
) -> Vec<String> {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
        return Vec::new();
    };
    let trapdoors = first.slots.len();
    let mut told = vec![
        format!(
            "which records of {name}, stored from {} to {}, match which of {trapdoors} trapdoors; neither what \
             a trapdoor asks for nor who asks",
            first.from, last.to
        ),
        format!(
            "that these trapdoors belong together, in which clauses they stand, and which comes first{}",
            if windows.len() > 1 {
                "; by time, that the searches belong together"
            } else {
                ""
            }
        ),
    ];
    match scheme {
        SchemeId::Tags => {
            told.push(
                "that any other search for one of these keywords is for the same one, where its days meet these \
                 within a quarter"
                    .to_owned(),
            );
            if last.to == today {
                told.push(format!(
                    "which records match that {name} stores later today, as that day is not over"
                ));
            }
            told.push("nothing about records of any other day, before or after".to_owned());
        }
        SchemeId::Peks | SchemeId::Paeks => {
            told.push(
                "that any other search for one of these keywords is for the same one".to_owned(),
            );
            let reach = match scheme {
                // Her secret is one for all hospitals.
                SchemeId::Peks => "every hospital".to_owned(),
                _ => name.to_owned(),
            };
            told.push(format!(
                "a {scheme} trapdoor is bound to no day: whoever keeps it tests every record of {reach} with it, \
                 earlier and later ones too"
            ));
            told.push(match scheme {
                SchemeId::Peks => {
                    "whoever guesses a keyword can test the guess against the trapdoor".to_owned()
                }
                _ => format!(
                    "{name}'s key service and workstations hold the sender's secret and can test guessed keywords \
                     against the trapdoor; nobody else can"
                ),
            });
        }
    }
    told
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
