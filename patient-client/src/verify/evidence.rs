//! Evidence of a wrongly indexed or hidden record, for whoever judges it: what is linked, with its proof, and what
//! should be. It names keywords, which are health data, so it is a file of hers alone.

use super::indexing::Misindexed;
use crate::local::OwnRecord;
use caduceus_cli::{CliError, create_private_dir, write_private};
use caduceus_client::{Hospital, LinkedHistory};
use caduceus_crypto::index::{SchemeId, Tag};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Names the shape of an evidence file.
const FORMAT: &str = "caduceus-misindexed/1";

/// Evidence about one record. Hashes, keys and bytes are hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// `caduceus-misindexed/1`.
    pub format: &'static str,
    /// The hospital's identifier.
    pub hospital: String,
    /// Its name.
    pub hospital_name: String,
    /// How the network's records are indexed.
    pub scheme: SchemeId,
    /// The record's hash.
    pub record_hash: String,
    /// Its place on the private chain.
    pub place: String,
    /// UTC day of its index tags.
    pub day: String,
    /// Keywords that it should be found by and is not.
    pub missing: Vec<MissingEvidence>,
    /// Numbers left out before it.
    pub gaps: Vec<GapEvidence>,
    /// Hash of its index entries, as a receipt names it.
    pub entries_hash: String,
    /// Borsh of what is linked of it (`AnchorLeaf`).
    pub leaf: String,
    /// Time of its private block.
    pub private_time: String,
    /// Root over the anchors of its private block, which the checkpointed header names.
    pub anchors_root: String,
    /// That the leaf is under that root.
    pub inclusion: InclusionEvidence,
    /// The alliance's head under which the hospital's links are proved.
    pub alliance: AllianceEvidence,
    /// The key that opens the record's body, and nothing else; only if she chose to disclose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_key: Option<String>,
}

/// A keyword that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingEvidence {
    /// The keyword.
    pub keyword: String,
    /// The number at which a search for it on that day stops; none where the scheme scans.
    pub counter: Option<u32>,
    /// The tag of that number, which the hospital's key service can recompute.
    pub expected_tag: Option<Tag>,
}

/// A gap before the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapEvidence {
    /// The keyword.
    pub keyword: String,
    /// The day.
    pub day: String,
    /// The first number that no linked record carries.
    pub first_missing: u32,
    /// Its tag.
    pub expected_tag: Tag,
    /// How many are missing.
    pub missing: u32,
    /// Hash of her record with the number before.
    pub before: Option<String>,
}

/// An inclusion proof (RFC 6962).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InclusionEvidence {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// Siblings, lowest first.
    pub path: Vec<String>,
}

/// Where the hospital's links are proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AllianceEvidence {
    /// The alliance chain.
    pub chain: String,
    /// Height of the head.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// Its time.
    pub time: String,
    /// The newest linked private height.
    pub linked_height: u64,
    /// Records linked up to there.
    pub linked_records: u64,
    /// The running digest over the links up to there.
    pub linked_digest: String,
}

impl Evidence {
    /// Evidence about a record of hers; none if the history does not hold it.
    pub(super) fn of(
        scheme: SchemeId,
        site: &Hospital,
        history: &LinkedHistory,
        own: &OwnRecord,
        wrong: &Misindexed,
        data_key: Option<&[u8; 32]>,
    ) -> Option<Self> {
        let at = own.found.record;
        let (root, proof) = history.prove(&at)?;
        let linked = history.linked?;
        let block = history
            .blocks
            .iter()
            .find(|block| block.height.0 == at.height)?;
        let header = &history.head.header;
        Some(Self {
            format: FORMAT,
            hospital: site.id.to_string(),
            hospital_name: site.name.clone(),
            scheme,
            record_hash: own.found.record_hash.to_string(),
            place: at.to_string(),
            day: wrong.day.to_string(),
            missing: wrong
                .missing
                .iter()
                .map(|each| MissingEvidence {
                    keyword: each.keyword.to_string(),
                    counter: each.stop.map(|stop| stop.counter),
                    expected_tag: each.stop.map(|stop| stop.tag),
                })
                .collect(),
            gaps: wrong
                .gaps
                .iter()
                .map(|(gap, tag)| GapEvidence {
                    keyword: gap.keyword.to_string(),
                    day: gap.day.to_string(),
                    first_missing: gap.first_missing,
                    expected_tag: *tag,
                    missing: gap.missing,
                    before: gap.before.map(|record| record.record_hash.to_string()),
                })
                .collect(),
            entries_hash: own.leaf.entries.hash().to_string(),
            leaf: hex::encode(own.leaf.to_bytes()),
            private_time: block.time.to_string(),
            anchors_root: root.to_string(),
            inclusion: InclusionEvidence {
                index: proof.index,
                size: proof.size,
                path: proof.path.iter().map(ToString::to_string).collect(),
            },
            alliance: AllianceEvidence {
                chain: header.chain.to_string(),
                height: header.height.0,
                hash: header.hash().to_string(),
                time: header.time.to_string(),
                linked_height: linked.height.0,
                linked_records: linked.records,
                linked_digest: linked.digest.to_string(),
            },
            data_key: data_key.map(hex::encode),
        })
    }

    /// The file's name: `misindexed-`, the record's hash, `.json`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("misindexed-{}.json", self.record_hash)
    }

    /// Where [`Evidence::write`] puts the file.
    #[must_use]
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.file_name())
    }

    /// Writes the file into a directory, which is made if it is not there; both for her alone.
    ///
    /// # Errors
    /// Failure or denied, naming the file.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, CliError> {
        create_private_dir(dir)?;
        let path = self.path(dir);
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            CliError::failure(
                format!("the evidence has no JSON form: {error}"),
                "--output json shows the findings themselves",
            )
        })?;
        write_private(&path, &text)?;
        Ok(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::indexing::{Expected, inspect};
    use super::*;
    use crate::local::linked_entries;
    use crate::testing::Clinic;
    use caduceus_crypto::merkle::InclusionProof;
    use caduceus_crypto::time::Epoch;
    use caduceus_crypto::{Hash, SecretKey};
    use caduceus_custody::keyword::Keyword;
    use caduceus_custody::scheme::TagsScheme;
    use caduceus_ledger::ChainId;
    use caduceus_network::{PeerAddr, peer_id};
    use rand_core::OsRng;
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;

    fn site() -> Hospital {
        let key = SecretKey::generate(&mut OsRng).public();
        let address: PeerAddr = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", peer_id(&key))
            .parse()
            .unwrap();
        Hospital {
            name: "North".to_owned(),
            id: caduceus_crypto::HospitalId([1; 32]),
            identity: key,
            former_identities: Vec::new(),
            server: address.clone(),
            keys: address,
            index_key: key,
            chain: ChainId(Hash::ZERO),
        }
    }

    #[test]
    fn evidence_holds_what_proves_it_and_is_hers_alone() {
        let day = Epoch::from_ymd(2026, 11, 20).unwrap();
        let mut clinic = Clinic::<TagsScheme>::new(71);
        let own = [
            clinic.record_numbered(day, &[("term:asthma", 0)]),
            clinic.record_numbered(day, &[("term:asthma", 2)]),
        ];
        let history = clinic.history(&own);
        let expected = [Expected {
            own: 1,
            day,
            keywords: ["asthma", "gout"]
                .iter()
                .map(|word| Keyword::term(word).unwrap())
                .collect::<BTreeSet<Keyword>>(),
        }];
        let linked = linked_entries(&own, &history);
        let wrong = inspect(&clinic.with(), &own, &expected, &linked);
        assert_eq!(wrong.len(), 1);
        let evidence = |key: Option<&[u8; 32]>| {
            Evidence::of(SchemeId::Tags, &site(), &history, &own[1], &wrong[0], key).unwrap()
        };
        let closed = evidence(None);
        assert_eq!(closed.missing[0].keyword, "term:gout");
        assert_eq!(closed.gaps[0].first_missing, 1);
        let first = own[0].found.record_hash.to_string();
        assert_eq!(closed.gaps[0].before, Some(first));
        assert_eq!(closed.entries_hash, own[1].leaf.entries.hash().to_string());
        let proof = InclusionProof {
            index: closed.inclusion.index,
            size: closed.inclusion.size,
            path: closed
                .inclusion
                .path
                .iter()
                .map(|hash| hash.parse().unwrap())
                .collect(),
        };
        let root: Hash = closed.anchors_root.parse().unwrap();
        assert!(
            proof
                .verify(&root, &hex::decode(&closed.leaf).unwrap())
                .is_ok()
        );

        let folder = tempfile::tempdir().unwrap();
        let path = closed.write(&folder.path().join("report")).unwrap();
        assert_eq!(path, closed.path(&folder.path().join("report")));
        assert!(path.ends_with(closed.file_name()));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("caduceus-misindexed/1") && !text.contains("data_key"));
        let opened = evidence(Some(&[0xab; 32]));
        opened.write(&folder.path().join("report")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&"ab".repeat(32)));
    }
}
