//! Groups behind a mirror that writes in transactions: markers lie between the copies, and behind the last one.

use integration_tests::{Heliograph, Isolation, Pair, TestClient, TestRecord, Topic, pause, wait_until};
use kafka_wire::Compression;

use crate::{
    SOON,
    drill::ask,
    exactly_once::exactly_once,
    flow,
    groups::{checkpoints, expect_checkpoint, with_groups},
};

integration_tests::scenarios!(an_idle_group_behind_an_exactly_once_mirror_has_no_lag);

const TOPIC: &str = "marked-orders";

fn orders(range: std::ops::Range<i64>) -> Vec<TestRecord> {
    range.map(|n| TestRecord::new("k", n.to_string())).collect()
}

/// Waits for all records `0..count` in the copy.
fn copied(target: &mut TestClient, copy: &str, count: i64) -> Vec<TestRecord> {
    wait_until("all of the copy", SOON, || {
        target.partition_count(copy)?;
        let records = target.records_from(copy, 0, 0, Isolation::ReadCommitted);
        (records.len() as i64 == count).then_some(records)
    })
}

/// The group `marked-<at>` is at offset `at` of the source.
fn group(at: i64) -> String {
    format!("marked-{at}")
}

/// Groups stand right before the next record, and the one at the end at the end.
fn expect_next(target: &mut TestClient, copy: &str, copied: &[TestRecord], positions: &[i64]) {
    for at in positions {
        let what = format!("the group at {at}");
        let found = wait_until(&what, SOON, || {
            let found = target.committed_offset(&group(*at), copy, 0)?;
            let next = copied.get(*at as usize).map(|record| record.offset);
            if let Some(next) = next {
                assert!(found <= next, "{what}: {found} is past {next}");
                // Between it and the next record are only markers.
                let before = copied[..*at as usize].last().map_or(-1, |record| record.offset);
                return (found > before).then_some(found);
            }
            let end = target.log_end(copy, 0, Isolation::ReadUncommitted);
            assert!(found <= end, "{what}: {found} is past the end {end}");
            (found == end).then_some(found)
        });
        let next = target.records_from(copy, 0, found, Isolation::ReadCommitted);
        assert_eq!(next.len(), copied.len() - *at as usize, "{what} at {found}");
    }
}

fn an_idle_group_behind_an_exactly_once_mirror_has_no_lag(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(exactly_once(flow(kafka, "marked", TOPIC), "marked")).set("groups", "marked-.*");
    let copy = properties.mirrored(TOPIC);
    source.create_topic(Topic::new(TOPIC, 1));
    // A single transaction: nothing but its end tells that there are markers.
    source.produce(TOPIC, 0, Compression::None, &orders(0..20));
    source.commit_offsets(&group(20), &[(TOPIC, 0, 20)]);
    let mirror = Heliograph::mirror_maker("marked", &properties);
    let found = copied(&mut target, &copy, 20);
    let end = target.log_end(&copy, 0, Isolation::ReadUncommitted);
    assert!(end > found.last().expect("20 records").offset + 1, "there is a marker");
    expect_next(&mut target, &copy, &found, &[20]);
    expect_checkpoint(&mut target, "marked", &copy, &group(20), (0, 20, end));

    // Many transactions, groups anywhere.
    for n in 2..12 {
        source.produce(TOPIC, 0, Compression::None, &orders(n * 10..n * 10 + 10));
        pause(std::time::Duration::from_millis(200));
    }
    let positions: Vec<i64> = (0..=120).step_by(7).chain([20, 30, 50, 119, 120]).collect();
    for at in &positions {
        source.commit_offsets(&group(*at), &[(TOPIC, 0, *at)]);
    }
    let found = copied(&mut target, &copy, 120);
    let end = target.log_end(&copy, 0, Isolation::ReadUncommitted);
    assert!(end > 122, "several transactions: {end}");
    expect_next(&mut target, &copy, &found, &positions);

    // So say the commands.
    let (_, plan) = ask(&properties, &["failover", "plan"], &["--group", "marked-120"]);
    let to = &plan["groups"][0]["partitions"][0];
    assert_eq!(
        (&to["to"]["offset"], &to["step"]),
        (&end.into(), &"nothing".into()),
        "{plan}"
    );
    mirror.stop();

    // The next life neither goes back nor forgets.
    let before = checkpoints(&mut target, "marked", &copy).len();
    let mirror = Heliograph::mirror_maker("marked", &properties);
    source.produce(TOPIC, 0, Compression::None, &orders(120..125));
    source.commit_offsets(&group(125), &[(TOPIC, 0, 125)]);
    let found = copied(&mut target, &copy, 125);
    expect_next(&mut target, &copy, &found, &[120, 125]);
    let made = checkpoints(&mut target, "marked", &copy).split_off(before);
    let idle = group(120);
    assert!(
        made.iter().all(|(group, _, _, to)| *group != idle || *to >= end),
        "{made:?}"
    );
    mirror.stop();
}
