use crate::support::{address, certified, genesis, header, set};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::light::check_fresh;
use caduceus_ledger::{
    CertificateError, CertifiedHeader, ChainId, Height, LightClient, LightError, ValidatorSet,
};

fn voters() -> ValidatorSet {
    genesis().validators
}

fn client() -> LightClient {
    LightClient::from_genesis(&genesis())
}

/// A certified header of the genesis's voters, who stay.
fn head(height: u64) -> CertifiedHeader {
    certified(&header(height, &voters(), &voters()), &[0, 1, 2])
}

fn after(head: &CertifiedHeader, millis: u64) -> TimeMillis {
    TimeMillis(head.header.time.0 + millis)
}

fn before(head: &CertifiedHeader, millis: u64) -> TimeMillis {
    TimeMillis(head.header.time.0 - millis)
}

#[test]
fn a_client_trusts_what_its_genesis_says() {
    let client = client();
    assert_eq!(client.chain(), genesis().chain_id());
    assert_eq!(client.validators(), &voters());
    assert_eq!(client.highest(), Height::GENESIS);
    for height in [1, 2, 1_000] {
        assert_eq!(client.verify_header(&head(height)), Ok(()));
    }
    let recorded = LightClient::trusting(genesis().chain_id(), voters());
    assert_eq!(recorded.verify_header(&head(5)), Ok(()));
    assert_eq!(recorded.highest(), Height::GENESIS);
}

#[test]
fn a_header_of_another_chain_is_refused() {
    let mut foreign = header(1, &voters(), &voters());
    foreign.chain = ChainId(Hash([9; 32]));
    let expected = LightError::OtherChain {
        expected: genesis().chain_id(),
        found: foreign.chain,
    };
    let head = certified(&foreign, &[0, 1, 2]);
    assert_eq!(client().verify_header(&head), Err(expected));
}

#[test]
fn a_chain_of_the_same_voters_and_another_name_is_another_chain() {
    let mut renamed = genesis();
    renamed.name.push('2');
    let client = LightClient::from_genesis(&renamed);
    assert!(matches!(
        client.verify_header(&head(1)),
        Err(LightError::OtherChain { .. })
    ));
}

#[test]
fn a_header_that_names_unknown_validators_is_refused() {
    let usurpers = set(&[1, 1]);
    let head = certified(&header(4, &usurpers, &usurpers), &[0, 1]);
    assert_eq!(
        client().verify_header(&head),
        Err(LightError::UnknownValidators { height: Height(4) })
    );
}

#[test]
fn the_certificate_is_checked() {
    let header = header(4, &voters(), &voters());
    for (signers, error) in [
        (
            vec![0, 1],
            CertificateError::NoQuorum { power: 6, total: 9 },
        ),
        (
            vec![0, 1, 9],
            CertificateError::Stranger { signer: address(9) },
        ),
        (
            vec![0, 1, 1],
            CertificateError::Repeated { signer: address(1) },
        ),
    ] {
        assert_eq!(
            client().verify_header(&certified(&header, &signers)),
            Err(LightError::Certificate(error))
        );
    }
    let mut altered = head(4);
    altered.header.txs_root = Hash([9; 32]);
    assert!(matches!(
        client().verify_header(&altered),
        Err(LightError::Certificate(CertificateError::OtherBlock { .. }))
    ));
}

#[test]
fn a_head_of_90_000_ms_is_accepted_and_one_of_90_001_is_stale() {
    let head = head(3);
    let mut client = client();
    assert_eq!(
        client.accept_head(&head, after(&head, 90_001)),
        Err(LightError::Stale {
            age_millis: 90_001,
            limit_millis: 90_000
        })
    );
    assert_eq!(client.highest(), Height::GENESIS);
    assert_eq!(client.accept_head(&head, after(&head, 90_000)), Ok(()));
    assert_eq!(client.highest(), Height(3));
}

#[test]
fn a_head_may_be_30_000_ms_in_the_future_and_no_more() {
    let head = head(3);
    let mut client = client();
    assert_eq!(
        client.accept_head(&head, before(&head, 30_001)),
        Err(LightError::Future {
            ahead_millis: 30_001
        })
    );
    assert_eq!(client.highest(), Height::GENESIS);
    assert_eq!(client.accept_head(&head, before(&head, 30_000)), Ok(()));
    assert_eq!(client.highest(), Height(3));
}

#[test]
fn freshness_has_the_callers_limit() {
    let head = head(3);
    let header = &head.header;
    assert_eq!(check_fresh(header, after(&head, 45_000), 45_000), Ok(()));
    assert_eq!(
        check_fresh(header, after(&head, 45_001), 45_000),
        Err(LightError::Stale {
            age_millis: 45_001,
            limit_millis: 45_000
        })
    );
    assert_eq!(check_fresh(header, after(&head, 0), 0), Ok(()));
    assert_eq!(
        check_fresh(header, TimeMillis(0), u64::MAX),
        Err(LightError::Future {
            ahead_millis: header.time.0
        })
    );
    assert_eq!(check_fresh(header, TimeMillis(u64::MAX), u64::MAX), Ok(()));
}

#[test]
fn a_head_below_one_seen_before_is_a_rollback() {
    let mut client = client();
    // Not the height right below: that one's hash would have to be the newest one's parent.
    let (lower, newest) = (head(3), head(5));
    let now = after(&newest, 0);
    assert_eq!(client.accept_head(&newest, now), Ok(()));
    assert_eq!(
        client.accept_head(&lower, now),
        Err(LightError::Rollback {
            seen: Height(5),
            found: Height(3)
        })
    );
    assert_eq!(client.highest(), Height(5));
    // The same head again is no rollback, and an old header may still be proved against.
    assert_eq!(client.accept_head(&newest, now), Ok(()));
    assert_eq!(client.verify_header(&lower), Ok(()));
}

#[test]
fn a_head_that_does_not_verify_changes_nothing() {
    let mut client = client();
    let mut forged = head(8);
    forged.header.time = after(&forged, 1);
    let now = after(&forged, 0);
    assert!(matches!(
        client.accept_head(&forged, now),
        Err(LightError::Certificate(CertificateError::OtherBlock { .. }))
    ));
    assert_eq!(client.highest(), Height::GENESIS);
}
