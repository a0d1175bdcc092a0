use crate::support::{
    address, certificate, certificate_over, certified, header, key, precommit, set,
};
use caduceus_crypto::{Hash, domain};
use caduceus_ledger::{
    Certificate, CertificateError, ChainId, Header, Height, ValidatorSet, Vote, VoteKind,
};
use proptest::prelude::*;

/// Total power 9: validators 0 and 1 have exactly two thirds.
fn voters() -> ValidatorSet {
    set(&[3, 3, 2, 1])
}

fn decided() -> Header {
    header(7, &voters(), &voters())
}

fn verify(certificate: &Certificate) -> Result<(), CertificateError> {
    certificate.verify(&decided().chain, &voters())
}

#[test]
fn a_quorum_in_any_order_is_enough() {
    let header = decided();
    for signers in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        assert_eq!(verify(&certificate(&header, &signers)), Ok(()));
        let head = certified(&header, &signers);
        assert_eq!(head.verify(&header.chain, &voters()), Ok(()));
    }
}

#[test]
fn exactly_two_thirds_are_refused_and_one_more_is_accepted() {
    let header = decided();
    let short: [(&[u8], u64); 4] = [(&[], 0), (&[0], 3), (&[0, 1], 6), (&[1, 2, 3], 6)];
    for (signers, power) in short {
        assert_eq!(
            verify(&certificate(&header, signers)),
            Err(CertificateError::NoQuorum { power, total: 9 })
        );
    }
    let enough: [&[u8]; 3] = [&[0, 1, 3], &[1, 0, 3], &[0, 1, 2]];
    for signers in enough {
        assert_eq!(verify(&certificate(&header, signers)), Ok(()));
    }
}

#[test]
fn a_stranger_spoils_a_quorum() {
    let certificate = certificate(&decided(), &[0, 1, 2, 9]);
    assert_eq!(
        verify(&certificate),
        Err(CertificateError::Stranger { signer: address(9) })
    );
}

#[test]
fn a_repeated_signer_is_refused() {
    let header = decided();
    let repeated = CertificateError::Repeated { signer: address(0) };
    assert_eq!(
        verify(&certificate(&header, &[0, 0, 0])),
        Err(repeated.clone())
    );
    assert_eq!(
        verify(&certificate(&header, &[0, 1, 2, 3, 0])),
        Err(repeated)
    );
}

#[test]
fn a_signature_on_anything_else_is_bad() {
    let header = decided();
    let vote = precommit(&header);
    let bad = Err(CertificateError::BadSignature { signer: address(0) });
    let others = [
        Vote {
            kind: VoteKind::Prevote,
            ..vote.clone()
        },
        Vote {
            height: Height(8),
            ..vote.clone()
        },
        Vote {
            round: 1,
            ..vote.clone()
        },
        Vote {
            block: None,
            ..vote.clone()
        },
        Vote {
            block: Some(Hash([9; 32])),
            ..vote.clone()
        },
        Vote {
            chain: ChainId(Hash([9; 32])),
            ..vote
        },
    ];
    for vote in others {
        let certificate = certificate_over(&vote, &header, &[0, 1, 2]);
        assert_eq!(verify(&certificate), bad, "{vote:?}");
    }
    // The certificate's own round is part of what was signed.
    let mut other_round = certificate(&header, &[0, 1, 2]);
    other_round.round = 1;
    assert_eq!(verify(&other_round), bad);
}

#[test]
fn one_bad_signature_spoils_a_quorum() {
    let header = decided();
    let good = certificate(&header, &[0, 1, 2, 3]);
    for at in 0..4u8 {
        let mut flipped = good.clone();
        flipped.signatures[usize::from(at)].1.0[63] ^= 1;
        assert_eq!(
            verify(&flipped),
            Err(CertificateError::BadSignature {
                signer: address(at)
            })
        );
    }
    // Another's signature under this name.
    let mut swapped = good.clone();
    swapped.signatures[0].1 = good.signatures[1].1;
    assert_eq!(
        verify(&swapped),
        Err(CertificateError::BadSignature { signer: address(0) })
    );
    // A signature for another purpose.
    let mut proposal = good;
    proposal.signatures[0].1 = key(0).sign(domain::PROPOSAL, &precommit(&header).sign_bytes());
    assert_eq!(
        verify(&proposal),
        Err(CertificateError::BadSignature { signer: address(0) })
    );
}

#[test]
fn a_certificate_is_about_its_own_block() {
    let (header, voters) = (decided(), voters());
    let mut head = certified(&header, &[0, 1, 2]);
    head.header.state_root = Hash([9; 32]);
    assert_eq!(
        head.verify(&header.chain, &voters),
        Err(CertificateError::OtherBlock {
            expected: head.header.hash(),
            found: header.hash(),
        })
    );
}

#[test]
fn a_certificate_is_about_its_own_height() {
    let (header, voters) = (decided(), voters());
    let mut head = certified(&header, &[0, 1, 2]);
    head.certificate.height = Height(8);
    assert_eq!(
        head.verify(&header.chain, &voters),
        Err(CertificateError::OtherHeight {
            expected: Height(7),
            found: Height(8),
        })
    );
}

#[test]
fn a_certificate_is_worth_nothing_on_another_chain() {
    let header = decided();
    let other = ChainId(Hash([9; 32]));
    let certificate = certificate(&header, &[0, 1, 2]);
    let bad = Err(CertificateError::BadSignature { signer: address(0) });
    assert_eq!(certificate.verify(&other, &voters()), bad);

    // The same voters on the other chain: their precommits there say nothing here.
    let mut elsewhere = header.clone();
    elsewhere.chain = other;
    let foreign = certified(&elsewhere, &[0, 1, 2]);
    assert_eq!(foreign.verify(&other, &voters()), Ok(()));
    assert_eq!(foreign.verify(&header.chain, &voters()), bad);
}

#[test]
fn a_certificate_is_judged_by_the_powers_of_its_set() {
    let header = decided();
    let certificate = certificate(&header, &[1, 2, 3]);
    let even = set(&[1, 1, 1, 1]);
    assert_eq!(certificate.verify(&header.chain, &even), Ok(()));
    let heavy = set(&[6, 1, 1, 1]);
    assert_eq!(
        certificate.verify(&header.chain, &heavy),
        Err(CertificateError::NoQuorum { power: 3, total: 9 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signatures_decide_exactly_above_two_thirds(
        powers in prop::collection::vec(1u64..10, 1..6),
        chosen in any::<u8>(),
    ) {
        let voters = set(&powers);
        let header = header(3, &voters, &voters);
        let signers: Vec<u8> = (0..powers.len() as u8).filter(|n| (chosen >> n) & 1 == 1).collect();
        let power: u64 = signers.iter().map(|n| powers[usize::from(*n)]).sum();
        let total: u64 = powers.iter().sum();
        let expected = if power * 3 > total * 2 {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { power, total })
        };
        let certificate = certificate(&header, &signers);
        prop_assert_eq!(certificate.verify(&header.chain, &voters), expected);
    }
}
