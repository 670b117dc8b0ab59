//! What goes away while it is mirrored, or before it could be: said, counted, and no reason to stop.

use integration_tests::{Heliograph, Pair, TestRecord, Topic, assert_mirrored, compare, wait_until};
use kafka_wire::Compression;

use crate::{SOON, flow, stored_offset};

integration_tests::scenarios!(
    what_the_source_removed_before_it_was_copied_is_counted_and_said,
    a_topic_made_again_at_the_source_is_copied_from_its_start,
    a_copy_that_is_deleted_is_made_again,
);

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
    let line = mirror.process().wait_for_line("removed records before", SOON);
    let says = ["WARN", "shortened-0", "from=10", "to=17", "offsets_lost=7"];
    assert!(says.iter().all(|word| line.contains(word)), "{line}");
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
