use super::*;

#[test]
fn a_store_that_is_in_use_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let held = Store::open(&path).unwrap();
    assert!(Store::open(&path).is_err_and(|error| error.is_in_use()));
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    let opened = open_when_free(&path);
    holder.join().unwrap();
    assert!(opened.is_ok());
}
