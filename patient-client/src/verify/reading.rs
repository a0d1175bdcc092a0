//! Her records, fetched and opened, and what they should be found by.

use super::expected;
use super::fault::is_their_fault;
use super::indexing::Expected;
use super::outcome::VerifyOutcome;
use crate::error::PatientError;
use crate::local::OwnRecord;
use crate::patient::Patient;
use crate::search::replacement;
use crate::state::FoundRecord;
use caduceus_client::{Hospital, shuffle};
use caduceus_custody::amend;
use caduceus_custody::open::Opened;
use rand_core::OsRng;
use zeroize::Zeroizing;

/// A record of hers that opened.
pub(super) struct Read {
    pub(super) expected: Expected,
    pub(super) data_key: Option<Zeroizing<[u8; 32]>>,
}

/// A record of hers that can't be compared.
#[derive(Debug)]
struct Unread {
    /// The record, by its place among her records.
    own: usize,
    /// Whether that is the hospital's or the author's fault.
    is_fault: bool,
    reason: String,
}

/// What a record should be found by, with its sealed bytes.
fn look(
    own: usize,
    fetched: Result<(Vec<u8>, Opened), PatientError>,
) -> Result<(Vec<u8>, Expected), Unread> {
    let (bytes, opened) = fetched.map_err(|error| Unread {
        own,
        is_fault: is_their_fault(&error),
        reason: error.to_string(),
    })?;
    // A workstation refuses to make a record that calls itself FHIR and is not.
    let keywords = expected::keywords_of(&opened).map_err(|error| Unread {
        own,
        is_fault: true,
        reason: format!("it calls itself FHIR, and is not: {error}"),
    })?;
    let day = opened.header.epoch;
    Ok((bytes, Expected { own, day, keywords }))
}

impl Patient {
    /// Fetches and opens her records of a hospital, and recomputes their keywords. In random order, each from a
    /// random node by a peer identifier of its own: in the order of the chain from one node they would show that all
    /// of them are one patient's.
    pub(super) async fn read_all(
        &mut self,
        site: &Hospital,
        own: &[OwnRecord],
        disclose: bool,
        outcome: &mut VerifyOutcome,
    ) -> Result<Vec<Read>, PatientError> {
        let mut order: Vec<usize> = (0..own.len()).collect();
        shuffle(&mut OsRng, &mut order);
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        let mut learned = Vec::new();
        for index in order {
            let found = own[index].found;
            let fetched = self.fetch_and_open(&found).await;
            if let Ok((_, opened)) = &fetched {
                learned.extend(replacement(&found, amend::replaced(opened)));
            }
            match look(index, fetched) {
                Ok((bytes, expected)) => {
                    let data_key = if disclose {
                        Some(self.keys().data_key(&bytes)?)
                    } else {
                        None
                    };
                    read.push(Read { expected, data_key });
                }
                Err(why) => unread.push(why),
            }
        }
        self.learn(&learned)?;
        // What is told is told in the order of the chain.
        read.sort_by_key(|each| each.expected.own);
        unread.sort_by_key(|each| each.own);
        for each in unread {
            let found = own[each.own].found;
            if each.is_fault {
                outcome.find_unusable(site, found, each.reason);
            } else {
                outcome.unchecked.push((found, each.reason));
            }
        }
        Ok(read)
    }

    async fn fetch_and_open(&self, found: &FoundRecord) -> Result<(Vec<u8>, Opened), PatientError> {
        let bytes = self.fetch_at_random(found).await?;
        let opened = self.open_fetched(found, &bytes)?;
        Ok((bytes, opened))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_client::ClientError;
    use caduceus_crypto::HospitalId;
    use caduceus_crypto::time::Epoch;
    use caduceus_custody::patient::PatientKeys;
    use caduceus_custody::seal::{SealRequest, seal};
    use caduceus_custody::seed::PatientSeed;

    const JSON: &str = "application/fhir+json";

    fn opened(media_type: &str, plaintext: &[u8]) -> (Vec<u8>, Opened) {
        let keys = PatientKeys::from_seed(&PatientSeed::generate(&mut OsRng));
        let request = SealRequest {
            hospital: HospitalId([1; 32]),
            meta: keys.meta(),
            epoch: Epoch(20_777),
            media_type,
            plaintext,
            visit: None,
        };
        let bytes = seal(&mut OsRng, request).unwrap().bytes;
        let opened = keys.open(&bytes).unwrap();
        (bytes, opened)
    }

    #[test]
    fn what_calls_itself_fhir_and_is_not_is_its_authors_fault() {
        for wrong in [&b"not json"[..], b"{}", br#"{"resourceType":"Gout"}"#] {
            let unread = look(3, Ok(opened(JSON, wrong))).err().unwrap();
            assert!(unread.is_fault && unread.own == 3);
            assert!(unread.reason.contains("FHIR"));
            // Another file may say what it likes.
            assert!(look(3, Ok(opened("text/plain", wrong))).is_ok());
        }
        let right = br#"{"resourceType":"Condition","code":{"text":"Gout"}}"#;
        let (_, expected) = look(3, Ok(opened(JSON, right))).ok().unwrap();
        assert_eq!((expected.day, expected.keywords.len()), (Epoch(20_777), 2));
    }

    #[test]
    fn what_could_not_be_fetched_is_not_compared() {
        let error = ClientError::Unreachable {
            who: "the alliance".to_owned(),
            reason: "no node answers".to_owned(),
        };
        let unread = look(0, Err(error.into())).err().unwrap();
        assert!(!unread.is_fault);
        assert!(
            look(0, Err(PatientError::OtherRecord))
                .err()
                .unwrap()
                .is_fault
        );
    }
}
