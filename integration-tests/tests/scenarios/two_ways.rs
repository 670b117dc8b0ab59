//! Both directions at once.

use integration_tests::{Heliograph, Pair, TestRecord, Topic, assert_mirrored, wait_until};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(active_active_has_no_loops, heartbeats_arrive_on_the_other_side);

fn active_active_has_no_loops(kafka: &mut Pair) {
    let (mut east, mut west) = (kafka.source.client(), kafka.target.client());
    // Everything is asked for, the copies too: only the cycle rule keeps them from going round.
    let properties = flow(kafka, "east", ".*both")
        .set("backup->east.enabled", "true")
        .set("backup->east.topics", ".*both");
    east.create_topic(Topic::new("both", 1));
    west.create_topic(Topic::new("both", 1));
    east.produce("both", 0, Compression::None, &[TestRecord::new("k", "from the east")]);
    west.produce("both", 0, Compression::None, &[TestRecord::new("k", "from the west")]);
    let mirror = Heliograph::mirror_maker("both-ways", &properties);
    assert_mirrored(&mut east, &mut west, "both", "east.both", SOON);
    assert_mirrored(&mut west, &mut east, "both", "backup.both", SOON);

    // A topic made now is found by the next refresh of either side: by then a loop would have shown, too.
    for (client, name) in [(&mut east, "late-both"), (&mut west, "later-both")] {
        client.create_topic(Topic::new(name, 1));
        client.produce(name, 0, Compression::None, &[TestRecord::new("k", "late")]);
    }
    assert_mirrored(&mut east, &mut west, "late-both", "east.late-both", SOON);
    assert_mirrored(&mut west, &mut east, "later-both", "backup.later-both", SOON);
    let both = |names: Vec<String>| {
        names
            .into_iter()
            .filter(|name| name.ends_with("both"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        both(east.topics()),
        ["backup.both", "backup.later-both", "both", "late-both"]
    );
    assert_eq!(
        both(west.topics()),
        ["both", "east.both", "east.late-both", "later-both"]
    );
    assert_eq!(east.records("both", 0).len(), 1);
    assert_eq!(west.records("both", 0).len(), 1);
    mirror.stop();
}

fn heartbeats_arrive_on_the_other_side(kafka: &mut Pair) {
    let mut target = kafka.target.client();
    // A flow emits heartbeats on its target, and mirrors those of its source: with both ways on, both can be seen.
    let properties = flow(kafka, "pulse", "nothing-at-all").set("backup->pulse.emit.heartbeats.enabled", "true");
    let mirror = Heliograph::mirror_maker("pulse", &properties);
    let expected_key = [&[0, 5][..], b"pulse", &[0, 6], b"backup"].concat();
    let value = wait_until("a heartbeat of this flow", SOON, || {
        target.partition_count("heartbeats")?;
        let mut beats = target.records("heartbeats", 0).into_iter();
        let beat = beats.rfind(|beat| beat.key.as_deref() == Some(&expected_key))?;
        Some((beat.timestamp, beat.value?))
    });
    // Version 0, then the time that is also the record's.
    assert_eq!(value.1, [&[0, 0][..], &value.0.to_be_bytes()].concat());
    wait_until("the heartbeats of the source", SOON, || {
        target.partition_count("pulse.heartbeats")
    });
    mirror.stop();
}
