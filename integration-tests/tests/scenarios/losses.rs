//! What goes away while it is mirrored, or before it could be: said, counted, and no reason to stop.

use integration_tests::{
    Backend, Heliograph, Pair, TestRecord, Topic, assert_mirrored, compare, run_cluster_scenario, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow, stored_offset};

integration_tests::scenarios!(
    what_the_source_removed_before_it_was_copied_is_counted_and_said,
    a_topic_made_again_at_the_source_is_copied_from_its_start,
    a_topic_made_again_longer_than_it_was_is_copied_from_its_start,
    a_loss_ends_the_task_if_it_is_to,
    a_copy_that_is_deleted_is_made_again,
    a_copy_that_is_deleted_is_made_again_long_before_the_next_refresh,
);

mod real_cluster {
    use super::*;

    #[test]
    fn an_unclean_election_is_counted_and_followed() {
        run_cluster_scenario(Backend::Real, super::an_unclean_election_is_counted_and_followed);
    }
}

fn numbered(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("key-{n}"), n.to_string()))
        .collect()
}

fn what_the_source_removed_before_it_was_copied_is_counted_and_said(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "cut", "shortened");
    let copy = properties.mirrored("shortened");
    source.create_topic(Topic::new("shortened", 2));
    for partition in 0..2 {
        source.produce("shortened", partition, Compression::None, &numbered(0..10));
    }
    let mirror = Heliograph::mirror_maker("cut", &properties);
    assert_mirrored(&mut source, &mut target, "shortened", &copy, SOON);
    mirror.stop();

    for partition in 0..2 {
        source.produce("shortened", partition, Compression::None, &numbered(10..20));
        source.produce("shortened", partition, Compression::None, &numbered(20..30));
    }
    source.delete_records("shortened", 0, 17);
    let mut mirror = Heliograph::mirror_maker("cut", &properties);
    let says = [
        "WARN",
        "removed records before",
        "shortened-0",
        "from=10",
        "to=17",
        "offsets_lost=7",
    ];
    mirror.process().wait_for_line_with(&says, SOON);
    // What was there is all there; the hole is where it was cut.
    for (partition, expected) in [(0, [numbered(0..10), numbered(17..30)].concat()), (1, numbered(0..30))] {
        let found = wait_until("what is left", SOON, || {
            let found = target.records(&copy, partition);
            (found.len() >= expected.len()).then_some(found)
        });
        assert_eq!(compare(&expected, &found).first_difference, None);
        assert_eq!(found.len(), expected.len());
    }
    let said = mirror.process().log().matches("removed records before").count();
    assert_eq!(said, 1, "once, and not of the other partition");
    mirror.stop();
}

fn a_topic_made_again_at_the_source_is_copied_from_its_start(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "again", "phoenix");
    let copy = properties.mirrored("phoenix");
    source.create_topic(Topic::new("phoenix", 1));
    source.produce("phoenix", 0, Compression::None, &numbered(0..20));
    let mut mirror = Heliograph::mirror_maker("again", &properties);
    assert_mirrored(&mut source, &mut target, "phoenix", &copy, SOON);
    wait_until("the offset to be stored", SOON, || {
        (stored_offset(&mut target, &properties.offsets_topic(), "again", "phoenix", 0) == Some(19)).then_some(())
    });

    source.delete_topic("phoenix");
    mirror.process().wait_for_line("no longer at the source", SOON);
    source.create_topic(Topic::new("phoenix", 1));
    // Fewer than before: an offset alone would tell, too.
    source.produce("phoenix", 0, Compression::None, &numbered(100..110));
    let expected = [numbered(0..20), numbered(100..110)].concat();
    let found = wait_until("the records of the new topic behind those of the old", SOON, || {
        let found = target.records(&copy, 0);
        (found.len() >= expected.len()).then_some(found)
    });
    assert_eq!(compare(&expected, &found).first_difference, None);
    wait_until("the new offset to be stored", SOON, || {
        (stored_offset(&mut target, &properties.offsets_topic(), "again", "phoenix", 0) == Some(9)).then_some(())
    });
    mirror.stop();
    assert_eq!(target.records(&copy, 0).len(), expected.len(), "nothing twice");
}

fn a_topic_made_again_longer_than_it_was_is_copied_from_its_start(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "longer", "regrown");
    let copy = properties.mirrored("regrown");
    source.create_topic(Topic::new("regrown", 1));
    source.produce("regrown", 0, Compression::None, &numbered(0..5));
    let mut mirror = Heliograph::mirror_maker("longer", &properties);
    assert_mirrored(&mut source, &mut target, "regrown", &copy, SOON);

    source.delete_topic("regrown");
    mirror.process().wait_for_line("no longer at the source", SOON);
    source.create_topic(Topic::new("regrown", 1));
    // An offset alone would not tell: the new topic has one there.
    source.produce("regrown", 0, Compression::None, &numbered(100..110));
    let expected = [numbered(0..5), numbered(100..110)].concat();
    let found = wait_until("the records of the new topic behind those of the old", SOON, || {
        let found = target.records(&copy, 0);
        (found.len() >= expected.len()).then_some(found)
    });
    assert_eq!(compare(&expected, &found).first_difference, None);
    mirror.stop();
}

fn a_loss_ends_the_task_if_it_is_to(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    // From the first start on: the second begins with the configuration that the first has stored.
    let properties = flow(kafka, "strict", "strict-topic").set("heliograph.source.loss.policy", "fail");
    let (topic, copy) = ("strict-topic", properties.mirrored("strict-topic"));
    source.create_topic(Topic::new(topic, 1));
    source.produce(topic, 0, Compression::None, &numbered(0..10));
    let mirror = Heliograph::mirror_maker("strict", &properties);
    assert_mirrored(&mut source, &mut target, topic, &copy, SOON);
    mirror.stop();
    source.produce(topic, 0, Compression::None, &numbered(10..20));
    source.produce(topic, 0, Compression::None, &numbered(20..30));
    source.delete_records(topic, 0, 17);

    let mut mirror = Heliograph::mirror_maker("strict", &properties);
    let lost = "the source removed 7 offsets of strict-topic-0, 10 to 16, before they were mirrored";
    let says = ["ERROR", lost, "heliograph.source.loss.policy"];
    mirror.process().wait_for_line_with(&says, SOON);
    mirror.stop();
    assert_eq!(target.records(&copy, 0).len(), 10, "nothing behind the gap is copied");

    // A person has decided.
    let properties = properties.set("heliograph.source.loss.policy", "report");
    let mirror = Heliograph::mirror_maker("strict", &properties);
    let expected = [numbered(0..10), numbered(17..30)].concat();
    let found = wait_until("what is left", SOON, || {
        let found = target.records(&copy, 0);
        (found.len() >= expected.len()).then_some(found)
    });
    assert_eq!(compare(&expected, &found).first_difference, None);
    mirror.stop();
}

/// The follower is away, the leader takes records and dies, the follower comes back and leads: those records are gone.
fn an_unclean_election_is_counted_and_followed(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "unclean", "parted").replicas(3);
    let copy = properties.mirrored("parted");
    let topic = Topic::new("parted", 1)
        .replicas(2)
        .config("min.insync.replicas", "1")
        .config("unclean.leader.election.enable", "true");
    source.create_topic(topic);
    source.produce("parted", 0, Compression::None, &numbered(0..10));
    let mut mirror = Heliograph::mirror_maker("unclean", &properties);
    assert_mirrored(&mut source, &mut target, "parted", &copy, SOON);

    let (leader, in_sync) = source.replicas("parted").remove(0);
    let follower = in_sync.into_iter().find(|id| *id != leader).expect("two replicas");
    let node = |id: i32| usize::try_from(id - 1).expect("ids begin with 1");
    kafka.source.stop_node(node(follower));
    wait_until("the leader to be alone", SOON, || {
        (source.replicas("parted")[0] == (leader, vec![leader])).then_some(())
    });
    source.produce("parted", 0, Compression::None, &numbered(10..20));
    assert_mirrored(&mut source, &mut target, "parted", &copy, SOON);
    kafka.source.kill_node(node(leader));
    kafka.source.start_node(node(follower));
    wait_until("the follower to lead", 2 * SOON, || {
        (source.replicas("parted")[0].0 == follower).then_some(())
    });
    source.produce("parted", 0, Compression::None, &numbered(100..105));

    let ends = "ends before the stored position";
    let says = ["WARN", ends, "parted-0", "wanted=20", "to=10", "only_on_target=10"];
    mirror.process().wait_for_line_with(&says, SOON);
    let expected = [numbered(0..20), numbered(100..105)].concat();
    let found = wait_until("what the new leader has", SOON, || {
        let found = target.records(&copy, 0);
        (found.len() >= expected.len()).then_some(found)
    });
    assert_eq!(compare(&expected, &found).first_difference, None);
    kafka.source.start_node(node(leader));
    mirror.stop();
}

/// By default a refresh comes every ten minutes. The retention is longer than the records of tests are old.
fn a_copy_that_is_deleted_is_made_again_long_before_the_next_refresh(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "watched", "watched-copy").without("refresh.topics.interval.seconds");
    let copy = properties.mirrored("watched-copy");
    source.create_topic(Topic::new("watched-copy", 1).config("retention.ms", "777777777777"));
    source.produce("watched-copy", 0, Compression::None, &numbered(0..10));
    let mut mirror = Heliograph::mirror_maker("watched", &properties);
    assert_mirrored(&mut source, &mut target, "watched-copy", &copy, SOON);
    target.delete_topic(&copy);
    source.produce("watched-copy", 0, Compression::None, &numbered(10..20));
    let says = ["remote topic was deleted on the target", &copy];
    mirror.process().wait_for_line_with(&says, SOON);
    wait_until("what came since", SOON, || {
        target.partition_count(&copy)?;
        (target.records(&copy, 0).len() == 10).then_some(())
    });
    assert_eq!(target.configs(&copy)["retention.ms"], "777777777777");
    mirror.stop();
}

fn a_copy_that_is_deleted_is_made_again(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "copied", "lost-copy, kept-copy");
    let copy = properties.mirrored("lost-copy");
    for topic in ["lost-copy", "kept-copy"] {
        source.create_topic(Topic::new(topic, 2));
        source.produce(topic, 0, Compression::None, &numbered(0..10));
    }
    let mirror = Heliograph::mirror_maker("copied", &properties);
    assert_mirrored(&mut source, &mut target, "lost-copy", &copy, SOON);
    target.delete_topic(&copy);
    source.produce("lost-copy", 1, Compression::None, &numbered(10..20));
    // History is not sent again: that is Kafka's rule, too.
    wait_until("the copy to be there again, with what came since", SOON, || {
        (target.partition_count(&copy)? == 2 && target.records(&copy, 1).len() == 10).then_some(())
    });
    source.produce("lost-copy", 0, Compression::None, &numbered(20..30));
    source.produce("kept-copy", 1, Compression::None, &numbered(20..30));
    wait_until("what came later", SOON, || {
        (target.records(&copy, 0).len() == 10).then_some(())
    });
    assert_eq!(
        compare(&numbered(20..30), &target.records(&copy, 0)).first_difference,
        None
    );
    assert_mirrored(
        &mut source,
        &mut target,
        "kept-copy",
        &properties.mirrored("kept-copy"),
        SOON,
    );
    mirror.stop();
}
