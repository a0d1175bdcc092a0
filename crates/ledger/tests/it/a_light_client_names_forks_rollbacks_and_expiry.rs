use crate::support::{START, light_block, light_chain, set_of, trusting_first};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::light::{Bisection, Progress, Step, TRUSTING_PERIOD_MILLIS, step};
use caduceus_ledger::{
    CertificateError, ChainId, Height, LightBlock, LightClient, LightError, Trusted,
};

const NOW: TimeMillis = TimeMillis(START.0 + 60_000);

fn sets() -> Vec<Vec<u8>> {
    vec![
        vec![0, 1, 2, 3],
        vec![0, 1, 2, 3],
        vec![1, 2, 3, 4],
        vec![1, 2, 3, 4],
        vec![5, 6, 7, 8],
        vec![5, 6, 7, 8],
    ]
}

fn client_at(height: u64) -> (LightClient, Vec<LightBlock>) {
    let blocks = light_chain(&sets());
    let mut client = LightClient::from_trusted(trusting_first(&sets()));
    for block in &blocks[..height as usize] {
        let mut way = client.toward(block.clone(), NOW).unwrap();
        assert!(matches!(way.advance(), Ok(Progress::Done(_))));
        client.adopt(&way);
    }
    assert_eq!(client.trusted().height(), Height(height));
    (client, blocks)
}

fn fork(ours: &LightBlock, theirs: &LightBlock) -> LightError {
    LightError::Fork {
        ours: Box::new(ours.head.clone()),
        theirs: Box::new(theirs.head.clone()),
    }
}

#[test]
fn another_certified_header_at_the_trusted_height_is_a_fork() {
    let (client, blocks) = client_at(4);
    let ours = &blocks[3];
    let voters = set_of(&[1, 2, 3, 4]);
    let theirs = light_block(4, Hash([7; 32]), &[1, 2, 3], &voters, &voters);
    let expected = fork(ours, &theirs);
    assert_eq!(step(client.trusted(), &theirs, NOW), Err(expected.clone()));
    assert_eq!(client.verify_header(&theirs.head), Err(expected.clone()));
    assert_eq!(client.toward(theirs, NOW).unwrap_err(), expected);
    // The text names the height and both hashes.
    let text = expected.to_string();
    assert!(
        text.contains(&ours.hash().to_string()) && text.contains("height 4"),
        "{text}"
    );
}

#[test]
fn a_neighbour_that_does_not_link_is_a_fork() {
    let (client, blocks) = client_at(4);
    let (below, above) = (set_of(&[1, 2, 3, 4]), set_of(&[5, 6, 7, 8]));
    let before = light_block(3, Hash([7; 32]), &[1, 2, 3], &below, &below);
    assert_eq!(
        client.verify_header(&before.head),
        Err(fork(&blocks[3], &before))
    );
    let after = light_block(5, Hash([7; 32]), &[5, 6, 7], &above, &above);
    assert_eq!(
        step(client.trusted(), &after, NOW),
        Err(fork(&blocks[3], &after))
    );
}

#[test]
fn what_is_not_certified_by_the_heights_voters_is_no_fork() {
    let (client, _) = client_at(4);
    let voters = set_of(&[1, 2, 3, 4]);
    let weak = light_block(4, Hash([7; 32]), &[1, 2], &voters, &voters);
    let no_quorum = LightError::Certificate(CertificateError::NoQuorum { power: 2, total: 4 });
    assert_eq!(client.verify_header(&weak.head), Err(no_quorum.clone()));
    assert_eq!(step(client.trusted(), &weak, NOW), Err(no_quorum));
    // The founders are not the voters of height 4.
    let founders = set_of(&[0, 1, 2, 3]);
    let foreign = light_block(4, Hash([7; 32]), &[0, 1, 2], &founders, &founders);
    let unknown = LightError::UnknownValidators { height: Height(4) };
    assert_eq!(step(client.trusted(), &foreign, NOW), Err(unknown.clone()));
    assert_eq!(client.verify_header(&foreign.head), Err(unknown));
}

#[test]
fn the_trusted_block_itself_is_accepted_again() {
    let (client, blocks) = client_at(4);
    assert_eq!(
        step(client.trusted(), &blocks[3], NOW),
        Ok(Step::Accepted(Box::new(client.trusted().clone())))
    );
    assert_eq!(client.verify_header(&blocks[3].head), Ok(()));
}

#[test]
fn a_step_below_the_trusted_height_is_a_rollback() {
    let (client, blocks) = client_at(4);
    assert_eq!(
        step(client.trusted(), &blocks[2], NOW),
        Err(LightError::Rollback {
            seen: Height(4),
            found: Height(3)
        })
    );
    let mut resumed = client.clone();
    assert_eq!(
        resumed.accept_head(&blocks[2].head, NOW),
        Err(LightError::Rollback {
            seen: Height(4),
            found: Height(3)
        })
    );
}

#[test]
fn a_block_of_another_chain_or_of_the_past_or_of_the_future_is_refused() {
    let (client, blocks) = client_at(1);
    let mut foreign = blocks[1].clone();
    foreign.head.header.chain = ChainId(Hash([9; 32]));
    assert!(matches!(
        step(client.trusted(), &foreign, NOW),
        Err(LightError::OtherChain { .. })
    ));
    let future = TimeMillis(blocks[1].head.header.time.0 - 30_001);
    assert_eq!(
        step(client.trusted(), &blocks[1], future),
        Err(LightError::Future {
            ahead_millis: 30_001
        })
    );
    let late = Trusted::recorded(
        client.chain(),
        Height(1),
        blocks[1].head.header.time,
        client.validators().clone(),
    );
    assert_eq!(
        step(&late, &blocks[1], NOW),
        Err(LightError::TimeNotIncreasing { height: Height(2) })
    );
}

#[test]
fn the_trusting_period_is_thirty_days_to_the_millisecond() {
    let (mut client, blocks) = client_at(1);
    let day_30 = TimeMillis(blocks[0].head.header.time.0 + TRUSTING_PERIOD_MILLIS);
    assert_eq!(TRUSTING_PERIOD_MILLIS, 2_592_000_000);
    assert!(matches!(
        step(client.trusted(), &blocks[1], day_30),
        Ok(Step::Accepted(_))
    ));
    let after = TimeMillis(day_30.0 + 1);
    let expired = LightError::Expired {
        age_millis: 2_592_000_001,
        limit_millis: 2_592_000_000,
    };
    assert_eq!(
        step(client.trusted(), &blocks[1], after),
        Err(expired.clone())
    );
    assert_eq!(
        client.toward(blocks[1].clone(), after).unwrap_err(),
        expired.clone()
    );
    assert_eq!(
        client.accept_head(&blocks[1].head, after),
        Err(expired.clone())
    );
    assert_eq!(client.check_period(after), Err(expired));
    assert_eq!(client.check_period(day_30), Ok(()));
}

#[test]
fn beyond_the_period_two_equal_heads_are_followed() {
    let late = TimeMillis(START.0 + 2 * TRUSTING_PERIOD_MILLIS);
    let (mut client, blocks) = client_at(1);
    let head = &blocks[5];
    // The voters of height 6 are all new: there is a way to go all the same.
    let mut way = client.beyond_period(head.clone(), head, late).unwrap();
    let mut asked = 0;
    let trusted = loop {
        match way.advance().unwrap() {
            Progress::Done(trusted) => break trusted,
            Progress::Want(height) => {
                asked += 1;
                way.offer(blocks[height.0 as usize - 1].clone()).unwrap();
            }
        }
    };
    assert_eq!((trusted.hash(), asked), (Some(head.hash()), 2));
    client.adopt(&way);
    assert_eq!(client.trusted().height(), Height(6));
}

#[test]
fn beyond_the_period_heads_that_differ_or_do_not_verify_are_refused() {
    let late = TimeMillis(START.0 + 2 * TRUSTING_PERIOD_MILLIS);
    let (client, blocks) = client_at(1);
    let differ = Bisection::beyond_period(client.trusted(), blocks[5].clone(), &blocks[4], late);
    assert_eq!(
        differ.unwrap_err(),
        LightError::HeadsDiffer {
            a_height: Height(6),
            a: blocks[5].hash(),
            b_height: Height(5),
            b: blocks[4].hash(),
        }
    );
    let voters = set_of(&[5, 6, 7, 8]);
    let weak = light_block(6, blocks[4].hash(), &[5, 6], &voters, &voters);
    assert!(matches!(
        client.beyond_period(weak.clone(), &weak, late),
        Err(LightError::Certificate(CertificateError::NoQuorum { .. }))
    ));
    // One answer whose certificate was cut does not count as the second.
    let mut cut = blocks[5].clone();
    cut.head.certificate.signatures.truncate(2);
    assert!(client.beyond_period(blocks[5].clone(), &cut, late).is_err());
    // Two nodes that agree on a head of strangers convince nobody who asks for the heights in between.
    let strangers = set_of(&[90, 91]);
    let forged = light_block(7, Hash([1; 32]), &[90, 91], &strangers, &strangers);
    let mut way = client.beyond_period(forged.clone(), &forged, late).unwrap();
    let outcome = loop {
        match way.advance() {
            Ok(Progress::Want(height)) => {
                way.offer(blocks[height.0 as usize - 1].clone()).unwrap();
            }
            other => break other,
        }
    };
    assert_eq!(
        outcome,
        Err(LightError::UnknownValidators { height: Height(7) })
    );
}
