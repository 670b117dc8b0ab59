//! The README's proof: `heliograph quickstart`, with nothing installed.

use std::{process::Command, time::Duration};

use integration_tests::{Heliograph, Process, heliograph_binary};

const DEADLINE: Duration = Duration::from_secs(90);

#[test]
fn once_compares_every_record_and_ends() {
    let (status, output) = Heliograph::run(&["quickstart", "--once"], DEADLINE);
    assert!(status.success(), "{output}");
    for said in [
        "orders -> source.orders: 10000 records, every one equal",
        "payments -> source.payments: 5000 records, every one equal",
        "verified: 15000 records",
    ] {
        assert!(output.contains(said), "not said: {said}\n{output}");
    }
}

#[test]
fn it_shows_what_flows_and_ends_at_ctrl_c() {
    let mut quickstart = Process::spawn("quickstart", Command::new(heliograph_binary()).arg("quickstart"), None);
    let line = quickstart.wait_for_line("source.orders: ", DEADLINE);
    assert!(line.contains("source.payments: ") && line.contains("MB/s"), "{line}");
    quickstart.signal("INT");
    let status = quickstart.wait_for_exit(DEADLINE);
    assert!(status.success(), "{}", quickstart.log());
}
