//! What is linked and searched under each index scheme, and what proves that it was done wrongly.

use super::*;
use alliance_chain::{LinkPlace, LinkedBlock, LinkedHead, ScanRecord};
use caduceus_crypto::index::{PaeksEntry, PaeksTrapdoor, PeksEntry, PeksTrapdoor, Scan, SchemeId};
use caduceus_crypto::{InclusionProof, Receipt};

/// No points, which only the rules would notice.
fn peks_entries() -> IndexEntries {
    IndexEntries::Peks((0..8u8).map(|n| PeksEntry([n; 80])).collect())
}

fn paeks_entries() -> IndexEntries {
    IndexEntries::Paeks((0..8u8).map(|n| PaeksEntry([n; 96])).collect())
}

fn receipt() -> Receipt {
    Receipt::sign(
        &identity(0),
        hospital(0),
        Hash([0x11; 32]),
        Hash([0x12; 32]),
        pseudonym(),
        NOW,
    )
}

fn proved(kind: ReportKind, record: Option<RecordRef>, proof: ReportProof) -> Tx {
    let report = Report {
        kind,
        hospital: hospital(0),
        record,
        detail: String::new(),
        proof,
        ..report()
    };
    Tx::Report(report.sign(&CHAIN, &key(20)))
}

#[test]
fn a_transaction_that_links_peks_entries() {
    let link = Link {
        hospital: hospital(0),
        height: Height(12),
        leaves: vec![AnchorLeaf {
            entries: peks_entries(),
            ..leaf()
        }],
    };
    check("tx_link_peks", &Tx::Link(link));
}

#[test]
fn a_transaction_that_links_paeks_entries() {
    let link = Link {
        hospital: hospital(0),
        height: Height(12),
        leaves: vec![AnchorLeaf {
            entries: paeks_entries(),
            ..leaf()
        }],
    };
    check("tx_link_paeks", &Tx::Link(link));
}

#[test]
fn a_transaction_that_searches_peks_entries() {
    let scan = Scan {
        first: Epoch(19_840),
        last: Epoch(19_849),
        trapdoors: vec![PeksTrapdoor([8; 96])],
    };
    check("tx_search_peks", &search(Slots::Peks(scan)));
}

#[test]
fn a_transaction_that_searches_paeks_entries() {
    let scan = Scan {
        first: Epoch(19_840),
        last: Epoch(19_849),
        trapdoors: vec![PaeksTrapdoor {
            token: [9; 288],
            receiver: [10; 96],
        }],
    };
    check("tx_search_paeks", &search(Slots::Paeks(scan)));
}

#[test]
fn a_transaction_that_proves_a_missed_deadline() {
    let proof = ReportProof::MissedDeadline { receipt: receipt() };
    let tx = proved(ReportKind::Unlinked, None, proof);
    check("tx_report_missed_deadline", &tx);
}

#[test]
fn a_transaction_that_proves_other_entries() {
    let proof = ReportProof::EntriesDiffer {
        receipt: receipt(),
        leaf: leaf(),
        proof: InclusionProof {
            index: 3,
            size: 5,
            path: (0..3u8).map(|n| Hash([n; 32])).collect(),
        },
    };
    let tx = proved(ReportKind::MisIndexed, Some(PLACE), proof);
    check("tx_report_entries_differ", &tx);
}

#[test]
fn the_parameters_of_a_scheme_that_scans() {
    let params = Params::of_scheme(SchemeId::Paeks, Epoch(18_262));
    check("params_paeks", &params);
}

#[test]
fn a_linked_head() {
    let head = LinkedHead {
        height: Height(12),
        records: 40,
        digest: Hash([0x51; 32]),
    };
    check("linked_head", &head);
}

#[test]
fn the_place_of_a_link() {
    let place = LinkPlace {
        height: Height(12),
        tx: Hash([0x52; 32]),
    };
    check("link_place", &place);
}

#[test]
fn a_record_to_scan() {
    let record = ScanRecord {
        record: PLACE,
        day: Epoch(19_849),
        entries: peks_entries(),
    };
    check("scan_record", &record);
}

#[test]
fn linked_blocks() {
    let block = LinkedBlock {
        height: Height(12),
        time: NOW,
        leaves: vec![leaf()],
    };
    check("linked_blocks", &vec![block]);
}
