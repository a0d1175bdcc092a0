#![allow(clippy::unwrap_used)]

use crate::genesis::MAX_PROXIES;
use crate::query;
use crate::state;
use crate::testing::{self, Chain, hospital, identity, server, voters};
use crate::tx::{Change, Governance, SignedGovernance, Tx};
use caduceus_ledger::validators;

fn signed_by(members: &[u8], generation: u64, change: Change) -> Tx {
    let body = Governance { generation, change };
    let approvals = members
        .iter()
        .map(|i| (hospital(*i), body.approve(&testing::chain(), &identity(*i))))
        .collect();
    Tx::Member(body.with_approvals(approvals))
}

fn admit() -> Change {
    Change::Admit(testing::member(3))
}

/// Member 0 and 1 approve: two thirds of three.
fn approved(chain: &Chain, change: Change) -> Tx {
    Tx::Member(chain.approved(change))
}

#[test]
fn a_hospital_is_admitted() {
    let mut chain = Chain::new();
    assert!(chain.accept(&signed_by(&[0, 2], 0, admit())).is_empty());
    assert_eq!(
        query::member(&chain, &hospital(3)).unwrap().unwrap().member,
        testing::member(3)
    );
    let set = testing::private_set(3);
    assert_eq!(
        state::validators(&hospital(3), &set.hash())
            .get(&chain)
            .unwrap(),
        Some(set)
    );
    assert_eq!(state::generation().get(&chain).unwrap(), Some(1));
}

#[test]
fn hospitals_are_numbered_in_the_order_of_admission() {
    let mut chain = Chain::new();
    chain.accept(&approved(&chain, Change::Remove(hospital(2))));
    chain.accept(&signed_by(&[0, 1], 1, admit()));
    let ordinals: Vec<_> = [0, 1, 2, 3, 9]
        .map(|i| state::ordinal(&hospital(i)).get(&chain).unwrap())
        .into();
    assert_eq!(ordinals, [Some(0), Some(1), Some(2), Some(3), None]);
    assert_eq!(state::ordinals().get(&chain).unwrap(), Some(4));
}

#[test]
fn a_hospital_is_removed_and_remembered() {
    let mut chain = Chain::new();
    chain.accept(&signed_by(&[0, 1, 2], 0, Change::Remove(hospital(2))));
    let record = query::member(&chain, &hospital(2)).unwrap().unwrap();
    assert_eq!(record.removed, Some(chain.height));
    assert_eq!(query::members(&chain).unwrap().len(), 2);
    assert_eq!(query::members_ever(&chain).unwrap().len(), 3);
}

#[test]
fn a_hospital_rotates_its_keys_and_keeps_its_name() {
    let mut chain = Chain::new();
    let change = Change::Rotate {
        hospital: hospital(0),
        identity: testing::secret(201).public(),
        server: testing::secret(202).public(),
    };
    chain.accept(&approved(&chain, change));
    let member = query::member(&chain, &hospital(0)).unwrap().unwrap().member;
    assert_eq!(
        (member.hospital, member.identity),
        (hospital(0), testing::secret(201).public())
    );
    // The old key approves nothing any more.
    chain.refuse(&signed_by(&[0, 1], 1, admit()), "member_not_signed");
}

#[test]
fn proxies_are_replaced() {
    let mut chain = Chain::new();
    let one = vec![testing::alliance_genesis().proxies[0]];
    chain.accept(&approved(&chain, Change::Proxies(one.clone())));
    assert_eq!(query::proxies(&chain).unwrap(), one);
}

#[test]
fn an_approval_counts_once() {
    let mut chain = Chain::new();
    let tx = signed_by(&[0, 1, 2], 0, Change::Proxies(Vec::new()));
    chain.accept(&tx);
    // The same approvals, one left out: another transaction, the same decision.
    chain.refuse(
        &signed_by(&[0, 1], 0, Change::Proxies(Vec::new())),
        "member_generation",
    );
}

#[test]
fn only_members_approve() {
    Chain::new().refuse(
        &signed_by(&[0, 1, 9], 0, admit()),
        "member_approver_unknown",
    );
}

#[test]
fn a_member_approves_once() {
    Chain::new().refuse(&signed_by(&[0, 0], 0, admit()), "member_approver_repeated");
}

#[test]
fn approvals_are_signed_for_this_chain() {
    let body = Governance {
        generation: 0,
        change: admit(),
    };
    let elsewhere = body.approve(&testing::other_chain(), &identity(0));
    let by_server = body.approve(&testing::chain(), &server(0));
    let good = (hospital(1), body.approve(&testing::chain(), &identity(1)));
    for bad in [elsewhere, by_server] {
        let approvals = vec![(hospital(0), bad), good];
        let tx = Tx::Member(SignedGovernance {
            body: body.clone(),
            approvals,
        });
        Chain::new().refuse(&tx, "member_not_signed");
    }
}

#[test]
fn two_thirds_are_needed() {
    Chain::new().refuse(&signed_by(&[0], 0, admit()), "member_too_few_approvals");
    let mut chain = Chain::new();
    chain.accept(&signed_by(&[0, 1], 0, admit()));
    // Two of four are too few.
    chain.refuse(
        &signed_by(&[0, 3], 1, Change::Remove(hospital(2))),
        "member_too_few_approvals",
    );
    chain.accept(&signed_by(&[0, 1, 3], 1, Change::Remove(hospital(2))));
}

#[test]
fn a_new_member_is_well_formed() {
    let mut member = testing::member(3);
    member.hospital = hospital(4);
    Chain::new().refuse(&signed_by(&[0, 1], 0, Change::Admit(member)), "member_form");
}

#[test]
fn a_hospital_is_admitted_once() {
    let mut chain = Chain::new();
    chain.refuse(
        &approved(&chain, Change::Admit(testing::member(2))),
        "member_known",
    );
    chain.govern(Change::Remove(hospital(2)));
    let tx = approved(&chain, Change::Admit(testing::member(2)));
    chain.refuse(&tx, "member_known");
}

#[test]
fn a_private_chain_has_one_owner() {
    let mut member = testing::member(3);
    member.private_chain = testing::private_chain(0);
    Chain::new().refuse(
        &signed_by(&[0, 1], 0, Change::Admit(member)),
        "member_chain_taken",
    );
}

#[test]
fn a_key_has_one_owner() {
    let mut member = testing::member(3);
    member.server = server(0).public();
    Chain::new().refuse(
        &signed_by(&[0, 1], 0, Change::Admit(member)),
        "member_key_taken",
    );
    let change = Change::Rotate {
        hospital: hospital(0),
        identity: identity(1).public(),
        server: server(0).public(),
    };
    Chain::new().refuse(&signed_by(&[0, 1], 0, change), "member_key_taken");
}

#[test]
fn the_alliance_has_room_for_so_many() {
    let mut chain = Chain::new();
    // Straight into the state: admitting 125 hospitals by vote would only be slow.
    chain.fill_members();
    let members = query::members(&chain).unwrap();
    assert_eq!(members.len(), crate::genesis::MAX_MEMBERS);
    let body = Governance {
        generation: 0,
        change: admit(),
    };
    let approvals = members
        .iter()
        .map(|m| {
            (
                m.hospital,
                body.approve(&testing::chain(), &testing::filled_identity(&m.hospital)),
            )
        })
        .collect();
    chain.refuse(&Tx::Member(body.with_approvals(approvals)), "member_full");
}

#[test]
fn only_members_are_removed_or_rotated() {
    Chain::new().refuse(
        &signed_by(&[0, 1], 0, Change::Remove(hospital(9))),
        "member_not_a_member",
    );
    let change = Change::Rotate {
        hospital: hospital(9),
        identity: testing::secret(201).public(),
        server: testing::secret(202).public(),
    };
    Chain::new().refuse(&signed_by(&[0, 1], 0, change), "member_not_a_member");
}

#[test]
fn the_last_member_stays() {
    let mut chain = Chain::new();
    chain.accept(&signed_by(&[0, 1], 0, Change::Remove(hospital(2))));
    chain.accept(&signed_by(&[0, 1], 1, Change::Remove(hospital(1))));
    chain.refuse(
        &signed_by(&[0], 2, Change::Remove(hospital(0))),
        "member_last",
    );
}

#[test]
fn rotation_needs_two_keys() {
    let key = testing::secret(201).public();
    let change = Change::Rotate {
        hospital: hospital(0),
        identity: key,
        server: key,
    };
    Chain::new().refuse(&signed_by(&[0, 1], 0, change), "member_one_key");
}

#[test]
fn proxies_are_a_valid_list() {
    let one = testing::alliance_genesis().proxies[0];
    for bad in [vec![one; 2], vec![one; MAX_PROXIES + 1]] {
        Chain::new().refuse(
            &signed_by(&[0, 1], 0, Change::Proxies(bad)),
            "member_proxies",
        );
    }
}

#[test]
fn the_voters_change_step_by_step() {
    let four = [(0, 1), (1, 1), (2, 1), (3, 1)];
    let cases: [(&[(u8, u64)], Option<&str>); 6] = [
        (&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)], None),
        (&[(1, 1), (2, 1), (3, 1)], None),
        (&[(0, 1), (1, 1), (2, 1), (4, 1)], None),
        (&four, Some("member_validators_same")),
        (
            &[(0, 1), (1, 1), (4, 1), (5, 1)],
            Some("member_validators_step"),
        ),
        (
            &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 2)],
            Some("member_validators_step"),
        ),
    ];
    for (next, refused) in cases {
        let mut chain = Chain::new();
        let tx = approved(&chain, Change::Validators(voters(next)));
        match refused {
            Some(rule) => {
                chain.refuse(&tx, rule);
                assert_eq!(validators(&chain).unwrap(), voters(&four));
            }
            None => {
                assert!(chain.accept(&tx).is_empty());
                assert_eq!(validators(&chain).unwrap(), voters(next));
                assert_eq!(state::generation().get(&chain).unwrap(), Some(1));
            }
        }
    }
    println!("{} changes of the voters", cases.len());
}

#[test]
fn the_voters_change_once_a_block() {
    let mut chain = Chain::new();
    let five = voters(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]);
    let six = voters(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    chain.govern(Change::Validators(five.clone()));
    let second = approved(&chain, Change::Validators(six.clone()));
    chain.refuse(&second, "member_validators_block");
    assert!(crate::is_transient("member_validators_block"));
    assert_eq!(validators(&chain).unwrap(), five);
    chain.finish_block();
    assert!(!state::block_validators().is_set(&chain).unwrap());
    chain.accept(&second);
    assert_eq!(validators(&chain).unwrap(), six);
}

#[test]
fn who_is_removed_runs_no_validator_any_more() {
    let mut chain = Chain::new();
    let both = [testing::operator(0), testing::operator(1)];
    assert_eq!(query::operators(&chain).unwrap(), both);
    chain.accept(&signed_by(&[1, 2], 0, Change::Remove(hospital(0))));
    assert_eq!(query::operators(&chain).unwrap(), both[1..]);
}

#[test]
fn the_voters_change_with_two_thirds_of_the_members() {
    let change = Change::Validators(voters(&[(0, 1), (1, 1), (2, 1)]));
    Chain::new().refuse(&signed_by(&[1], 0, change), "member_too_few_approvals");
}

fn rotated(identity: u8) -> Change {
    Change::Rotate {
        hospital: hospital(0),
        identity: testing::secret(identity).public(),
        server: testing::secret(202).public(),
    }
}

fn approved_by_1_and_2(chain: &Chain, change: Change) -> Tx {
    let generation = state::generation().get(chain).unwrap().unwrap();
    signed_by(&[1, 2], generation, change)
}

#[test]
fn former_identity_keys_are_remembered_and_do_not_come_back() {
    let mut chain = Chain::new();
    let former = |chain: &Chain| state::former_identities(&hospital(0)).get(chain).unwrap();
    assert_eq!(former(&chain), None);
    chain.accept(&approved_by_1_and_2(&chain, rotated(201)));
    assert_eq!(former(&chain), Some(vec![identity(0).public()]));
    // The same identity key with another server key gives nothing up.
    let server_only = Change::Rotate {
        hospital: hospital(0),
        identity: testing::secret(201).public(),
        server: testing::secret(204).public(),
    };
    chain.accept(&approved_by_1_and_2(&chain, server_only));
    chain.accept(&approved_by_1_and_2(&chain, rotated(203)));
    assert_eq!(
        former(&chain),
        Some(vec![testing::secret(201).public(), identity(0).public()])
    );
    let back = Change::Rotate {
        hospital: hospital(0),
        identity: identity(0).public(),
        server: testing::secret(202).public(),
    };
    chain.refuse(&approved_by_1_and_2(&chain, back), "member_former_key");
}

#[test]
fn so_many_identity_keys_are_remembered() {
    let mut chain = Chain::new();
    let many: Vec<_> = (0..state::MAX_FORMER_IDENTITIES)
        .map(|i| testing::secret(100 + i as u8).public())
        .collect();
    chain.edit(|state| crate::state::former_identities(&hospital(0)).put(state, &many));
    chain.refuse(
        &approved_by_1_and_2(&chain, rotated(201)),
        "member_rotated_often",
    );
}

#[test]
fn the_grants_that_a_leaving_proxy_touches_are_listed() {
    let mut chain = Chain::new();
    let grant = chain.add_grant();
    let of = |chain: &Chain, i: u8, now| {
        query::grants_with_proxy(chain, &testing::proxy(i).public(), now)
            .unwrap()
            .into_iter()
            .map(|(id, _)| id)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&chain, 1, testing::NOW), [grant]);
    assert!(of(&chain, 7, testing::NOW).is_empty());
    let expires = testing::grant().expires;
    assert!(of(&chain, 1, expires).is_empty());
    // The proxy leaves: the grant still names it, and new grants cannot.
    let left = testing::alliance_genesis().proxies[..1].to_vec();
    chain.govern(Change::Proxies(left));
    assert_eq!(of(&chain, 1, testing::NOW), [grant]);
    chain.revoke(grant);
    assert!(of(&chain, 1, testing::NOW).is_empty());
}
