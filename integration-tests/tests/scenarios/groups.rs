//! Consumer groups cross to the other cluster: the first record that a group reads there is the next one.

use integration_tests::{
    Heliograph, Isolation, JavaMirrorMaker, MirrorProperties, Pair, TestClient, TestRecord, Topic,
    TransactionalProducer, assert_mirrored, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(
    order_processors_go_on_with_the_next_order,
    a_group_in_use_on_the_target_is_left_alone,
    an_idle_group_on_a_transactional_topic_has_no_lag,
    groups_follow_a_copy_that_is_made_again,
);

integration_tests::real_scenarios!(groups_stay_right_from_java_to_us_and_back);

fn orders(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("order-{n}"), format!("{n}")))
        .collect()
}

pub(crate) fn with_groups(properties: MirrorProperties) -> MirrorProperties {
    properties
        .set("sync.group.offsets.enabled", "true")
        .set("sync.group.offsets.interval.seconds", "1")
        .set("refresh.groups.interval.seconds", "1")
        .set("consumer.poll.timeout.ms", "100")
}

/// Group, partition, source offset and target offset of every checkpoint about `copy`, in order.
pub(crate) fn checkpoints(target: &mut TestClient, alias: &str, copy: &str) -> Vec<(String, i32, i64, i64)> {
    let topic = format!("{alias}.checkpoints.internal");
    if target.partition_count(&topic).is_none() {
        return Vec::new();
    }
    let number = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    let parse = |record: TestRecord| {
        let (key, value) = (record.key.expect("a key"), record.value.expect("a value"));
        let group_end = 2 + usize::from(u16::from_be_bytes([key[0], key[1]]));
        let group = String::from_utf8(key[2..group_end].to_vec()).expect("text");
        let topic = &key[group_end + 2..key.len() - 4];
        let partition = i32::from_be_bytes(key[key.len() - 4..].try_into().expect("four bytes"));
        (topic == copy.as_bytes()).then(|| (group, partition, number(&value[2..10]), number(&value[10..18])))
    };
    target.records(&topic, 0).into_iter().filter_map(parse).collect()
}

/// Waits for a checkpoint of `group` that says of this partition that its `upstream` is `downstream` in the copy. It is
/// written beside the offset of an idle group, and may come after it.
pub(crate) fn expect_checkpoint(target: &mut TestClient, alias: &str, copy: &str, group: &str, at: (i32, i64, i64)) {
    let expected = (group.to_owned(), at.0, at.1, at.2);
    wait_until(&format!("a checkpoint {expected:?} of {copy}"), SOON, || {
        checkpoints(target, alias, copy).contains(&expected).then_some(())
    });
}

/// Waits until `group` is on the target where the next record after source offset `position` is.
pub(crate) fn expect_next(
    source: &mut TestClient,
    target: &mut TestClient,
    group: &str,
    topic: &str,
    copy: &str,
    at: (i32, i64),
) {
    let (partition, position) = at;
    let next = source
        .records(topic, partition)
        .into_iter()
        .find(|record| record.offset >= position);
    let what = format!("{group} to stand at the next record of {copy}-{partition} after {position}");
    wait_until(&what, SOON, || {
        let offset = target.committed_offset(group, copy, partition)?;
        let end = target.log_end(copy, partition, Isolation::ReadUncommitted);
        assert!(offset <= end, "{offset} is past the end {end}");
        let found = target
            .records_from(copy, partition, offset, Isolation::ReadUncommitted)
            .into_iter()
            .next();
        match (&next, found) {
            (Some(next), Some(found)) => (found.offset == offset && found.same_as(next)).then_some(()),
            (None, None) => (offset == end).then_some(()),
            _ => None,
        }
    });
}

fn order_processors_go_on_with_the_next_order(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "source", "orders"));
    let copy = properties.mirrored("orders");
    source.create_topic(Topic::new("orders", 3));
    for partition in 0..3 {
        for chunk in orders(0..400).chunks(40) {
            source.produce("orders", partition, Compression::Lz4, chunk);
        }
    }
    let positions = [(0, 0), (1, 123), (2, 400)];
    let group = "order-processors";
    source.commit_offsets(
        group,
        &positions.map(|(partition, offset)| ("orders", partition, offset)),
    );

    let mirror = Heliograph::mirror_maker("drill", &properties);
    assert_mirrored(&mut source, &mut target, "orders", &copy, SOON);
    for at in positions {
        expect_next(&mut source, &mut target, group, "orders", &copy, at);
    }
    for (partition, offset) in positions {
        expect_checkpoint(&mut target, "source", &copy, group, (partition, offset, offset));
    }

    // They consume on, more orders come, and the mirror is started anew.
    source.commit_offsets(group, &[("orders", 1, 250)]);
    expect_next(&mut source, &mut target, group, "orders", &copy, (1, 250));
    mirror.stop();
    for partition in 0..3 {
        source.produce("orders", partition, Compression::None, &orders(400..500));
    }
    source.commit_offsets(group, &[("orders", 0, 77), ("orders", 1, 460), ("orders", 2, 500)]);
    let mirror = Heliograph::mirror_maker("drill", &properties);
    for at in [(0, 77), (1, 460), (2, 500)] {
        expect_next(&mut source, &mut target, group, "orders", &copy, at);
    }

    // They go back to where they were: a checkpoint says so, while their offset on the target never goes back.
    source.commit_offsets(group, &[("orders", 1, 10)]);
    expect_checkpoint(&mut target, "source", &copy, group, (1, 10, 10));
    assert_eq!(target.committed_offset(group, &copy, 1), Some(460));
    mirror.stop();
}

fn a_group_in_use_on_the_target_is_left_alone(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "in-use", "used-orders"));
    let copy = properties.mirrored("used-orders");
    source.create_topic(Topic::new("used-orders", 1));
    source.produce("used-orders", 0, Compression::None, &orders(0..100));
    source.commit_offsets("moved", &[("used-orders", 0, 40)]);
    source.commit_offsets("quiet", &[("used-orders", 0, 40)]);
    let mut mirror = Heliograph::mirror_maker("in-use", &properties);
    expect_next(&mut source, &mut target, "moved", "used-orders", &copy, (0, 40));

    let member = target.join_group("moved");
    source.commit_offsets("moved", &[("used-orders", 0, 60)]);
    source.commit_offsets("quiet", &[("used-orders", 0, 60)]);
    expect_next(&mut source, &mut target, "quiet", "used-orders", &copy, (0, 60));
    mirror.process().wait_for_line("groups are in use on the target", SOON);
    assert_eq!(target.committed_offset("moved", &copy, 0), Some(40));
    target.leave_group(member);
    expect_next(&mut source, &mut target, "moved", "used-orders", &copy, (0, 60));
    mirror.stop();
}

fn an_idle_group_on_a_transactional_topic_has_no_lag(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties =
        with_groups(flow(kafka, "paid", "payments-tx").set("paid.consumer.isolation.level", "read_committed"));
    let copy = properties.mirrored("payments-tx");
    source.create_topic(Topic::new("payments-tx", 1));
    let mut producer = TransactionalProducer::new(&mut source, "payer");
    for n in 0..60 {
        producer.send(&mut source, "payments-tx", 0, &orders(n * 3..n * 3 + 3));
        if n % 7 == 3 {
            producer.abort(&mut source);
        } else {
            producer.commit(&mut source);
        }
    }
    let end = source.log_end("payments-tx", 0, Isolation::ReadCommitted);
    let groups: Vec<(String, i64)> = (0..=end)
        .step_by(11)
        .chain([end])
        .map(|at| (format!("tx-{at}"), at))
        .collect();
    for (group, at) in &groups {
        source.commit_offsets(group, &[("payments-tx", 0, *at)]);
    }
    let mirror = Heliograph::mirror_maker("paid", &properties);
    let committed: Vec<TestRecord> = source.records_from("payments-tx", 0, 0, Isolation::ReadCommitted);
    for (group, at) in &groups {
        let copied = committed
            .iter()
            .position(|record| record.offset >= *at)
            .unwrap_or(committed.len()) as i64;
        let what = format!("{group} at {copied}");
        wait_until(&what, SOON, || {
            let found = target.committed_offset(group, &copy, 0)?;
            assert!(found <= copied, "{group}: {found} is past {copied}");
            (found == copied).then_some(())
        });
    }
    let last = target.committed_offset(&format!("tx-{end}"), &copy, 0);
    assert_eq!(
        last,
        Some(target.log_end(&copy, 0, Isolation::ReadUncommitted)),
        "no lag"
    );
    mirror.stop();
}

/// The copy is deleted on the target. What is copied from then on is all that it has.
fn groups_follow_a_copy_that_is_made_again(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "again", "again-orders")).set("groups", "again-.*");
    let copy = properties.mirrored("again-orders");
    source.create_topic(Topic::new("again-orders", 1));
    source.produce("again-orders", 0, Compression::None, &orders(0..100));
    source.commit_offsets("again-end", &[("again-orders", 0, 100)]);
    source.commit_offsets("again-midst", &[("again-orders", 0, 40)]);
    let mut mirror = Heliograph::mirror_maker("again", &properties);
    expect_next(&mut source, &mut target, "again-end", "again-orders", &copy, (0, 100));
    expect_next(&mut source, &mut target, "again-midst", "again-orders", &copy, (0, 40));

    target.delete_topic(&copy);
    mirror
        .process()
        .wait_for_line("what was copied before is not copied again", SOON);
    // Whoever would now be sent to 100 would pass over what comes.
    mirror.process().wait_for_line("past the end of the copy", SOON);
    source.produce("again-orders", 0, Compression::None, &orders(100..130));
    source.commit_offsets("again-end", &[("again-orders", 0, 110)]);
    expect_next(&mut source, &mut target, "again-end", "again-orders", &copy, (0, 110));
    wait_until("the other one to stand before all that there is", SOON, || {
        (target.committed_offset("again-midst", &copy, 0) == Some(0)).then_some(())
    });
    mirror.stop();
}

/// Java mirrors, we continue, Java continues: at each hand-over the groups stand where they should.
fn groups_stay_right_from_java_to_us_and_back(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "swapped", "swap-orders"));
    let copy = properties.mirrored("swap-orders");
    source.create_topic(Topic::new("swap-orders", 1));
    let produce = |source: &mut TestClient, range: std::ops::Range<u32>| {
        for chunk in orders(range).chunks(50) {
            source.produce("swap-orders", 0, Compression::None, chunk);
        }
    };
    produce(&mut source, 0..1000);
    source.commit_offsets("at-end", &[("swap-orders", 0, 1000)]);
    source.commit_offsets("far-behind", &[("swap-orders", 0, 137)]);
    let dist = kafka.target.dist().expect("a real Kafka has jars");

    let java = JavaMirrorMaker::start(dist, "swap-1", &properties);
    assert_mirrored(&mut source, &mut target, "swap-orders", &copy, SOON * 2);
    expect_next(&mut source, &mut target, "at-end", "swap-orders", &copy, (0, 1000));
    java.stop();

    // What Java wrote is enough to tell where the group far behind stands.
    produce(&mut source, 1000..1500);
    source.commit_offsets("at-end", &[("swap-orders", 0, 1500)]);
    let ours = Heliograph::mirror_maker("swap-2", &properties);
    expect_next(&mut source, &mut target, "at-end", "swap-orders", &copy, (0, 1500));
    expect_next(&mut source, &mut target, "far-behind", "swap-orders", &copy, (0, 137));
    source.commit_offsets("far-behind", &[("swap-orders", 0, 1234)]);
    expect_next(&mut source, &mut target, "far-behind", "swap-orders", &copy, (0, 1234));
    ours.stop();

    produce(&mut source, 1500..1600);
    source.commit_offsets("at-end", &[("swap-orders", 0, 1600)]);
    let java = JavaMirrorMaker::start(dist, "swap-3", &properties);
    expect_next(&mut source, &mut target, "at-end", "swap-orders", &copy, (0, 1600));
    assert_mirrored(&mut source, &mut target, "swap-orders", &copy, SOON);
    assert_eq!(
        target.committed_offset("far-behind", &copy, 0),
        Some(1234),
        "it was never moved back"
    );
    java.stop();
}
