//! A member in debt waits behind the others, and nobody's links wait. Small here; `sim run free-rider` is the long one.

use sim::run::free_rider::{FreeRiderOptions, measure};

#[tokio::test(flavor = "multi_thread")]
async fn a_free_rider_waits_behind_the_others_and_its_links_do_not() {
    let report = measure(&FreeRiderOptions { seconds: 4 }).await.unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
    let (debt, control) = (&report.in_debt, &report.control);
    assert!(debt.free_rider_balance.iter().all(|balance| *balance < 0));
    assert!(debt.others_balance >= 0 && control.free_rider_balance[1] >= 0);
    assert!(debt.others_searches > 0 && debt.links > 0 && control.links > 0);
    assert!(
        debt.ratio > control.ratio,
        "{} in debt, {} not",
        debt.ratio,
        control.ratio
    );
    assert_eq!(report.links_out_of_order, 0);
}
