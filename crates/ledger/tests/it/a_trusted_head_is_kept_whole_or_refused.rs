use crate::support::{START, flipped, genesis, light_chain, trusting_first};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::light::{MAX_TRUSTED_BYTES, TrustedError};
use caduceus_ledger::{ChainId, Height, LightClient, LightError, Trusted};

fn kept() -> Trusted {
    let sets = vec![vec![0, 1, 2], vec![0, 1, 2, 3], vec![1, 2, 3]];
    let mut client = LightClient::from_trusted(trusting_first(&sets));
    for block in light_chain(&sets) {
        let mut way = client.toward(block, TimeMillis(START.0 + 9_000)).unwrap();
        way.advance().unwrap();
        client.adopt(&way);
    }
    client.trusted().clone()
}

#[test]
fn what_is_written_is_read() {
    let chain = genesis().chain_id();
    for trusted in [kept(), Trusted::from_genesis(&genesis())] {
        assert_eq!(Trusted::from_disk(&trusted.to_disk(), &chain), Ok(trusted));
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let (chain, bytes) = (genesis().chain_id(), kept().to_disk());
    let mut tried = 0;
    for mask in [1, 0x80, 0xff] {
        for (at, copy) in flipped(&bytes, mask) {
            assert_eq!(
                Trusted::from_disk(&copy, &chain),
                Err(TrustedError::Damaged),
                "byte {at}"
            );
            tried += 1;
        }
    }
    for length in 0..bytes.len() {
        assert_eq!(
            Trusted::from_disk(&bytes[..length], &chain),
            Err(TrustedError::Damaged)
        );
        tried += 1;
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        Trusted::from_disk(&longer, &chain),
        Err(TrustedError::Damaged)
    );
    let huge = vec![0; MAX_TRUSTED_BYTES + 1];
    assert_eq!(
        Trusted::from_disk(&huge, &chain),
        Err(TrustedError::Damaged)
    );
    println!("{tried} damaged files");
    assert!(tried > 2_000);
}

#[test]
fn another_chains_head_is_refused() {
    let other = ChainId(Hash([9; 32]));
    assert_eq!(
        Trusted::from_disk(&kept().to_disk(), &other),
        Err(TrustedError::OtherChain {
            expected: other,
            found: genesis().chain_id()
        })
    );
    let mut renamed = genesis();
    renamed.name.push('2');
    assert_eq!(
        LightClient::resume(&renamed, kept()).unwrap_err(),
        LightError::OtherChain {
            expected: renamed.chain_id(),
            found: genesis().chain_id()
        }
    );
}

#[test]
fn a_resumed_client_refuses_heads_below_what_it_kept() {
    let kept = kept();
    let client = LightClient::resume(&genesis(), kept.clone()).unwrap();
    assert_eq!(client.trusted(), &kept);
    assert_eq!(client.highest(), Height(3));
    assert_eq!(client.verify_header(kept.head().unwrap()), Ok(()));
}
