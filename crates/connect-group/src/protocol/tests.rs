use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::work::{TaskId, Work};

const LEADER: &str = "connect-10.0.0.1:8083-aaaa";
const URL: &str = "http://10.0.0.1:8083/";

fn goldens() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/golden-group-protocol.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the file is there")).expect("JSON")
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("a string")
}

fn hex(case: &Value) -> Bytes {
    let digits = text(case, "hex");
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn work(connectors: &[&str], tasks: &[(&str, i32)]) -> Work {
    Work {
        connectors: connectors.iter().map(|name| (*name).into()).collect(),
        tasks: tasks.iter().map(|(name, task)| TaskId::new(*name, *task)).collect(),
    }
}

fn some_work() -> Work {
    work(&["c1"], &[("c1", 0), ("c2", 1)])
}

fn assignment(assigned: Work) -> Assignment {
    Assignment {
        leader: LEADER.into(),
        leader_url: URL.into(),
        config_offset: 42,
        assigned,
        ..Assignment::default()
    }
}

/// What the Java classes made the golden bytes of.
fn golden_assignment(case: &str) -> (ConnectProtocol, Assignment) {
    let mismatch = Assignment {
        error: Some(AssignmentError::ConfigMismatch),
        config_offset: 99,
        ..assignment(Work::new())
    };
    let moving = Assignment {
        revoked: work(&["c3"], &[("c3", 0)]),
        delay_ms: 300_000,
        ..assignment(some_work())
    };
    match case {
        "V0 ok" => (ConnectProtocol::Eager, assignment(some_work())),
        "V0 CONFIG_MISMATCH offset 99" => (ConnectProtocol::Eager, mismatch),
        "V1: +c1,+c1-0,+c2-1,-c3,-c3-0, delay 300000" => (ConnectProtocol::Compatible, moving),
        "V2: same content" => (ConnectProtocol::Sessioned, moving),
        "V2: nothing new, nothing revoked, delay 0" => (ConnectProtocol::Sessioned, assignment(Work::new())),
        "V2: CONFIG_MISMATCH offset 99" => (ConnectProtocol::Sessioned, mismatch),
        other => panic!("a new golden case: {other}"),
    }
}

#[test]
fn every_golden_case_reads_and_writes_as_the_java_classes_do() {
    for case in goldens() {
        let name = text(&case, "case");
        match text(&case, "what") {
            "subscription" => check_subscription(&case, name),
            "assignment" => {
                let (protocol, expected) = golden_assignment(name);
                assert_eq!(Assignment::decode(hex(&case)).expect(name), expected, "{name}");
                assert_eq!(expected.encode(protocol), hex(&case), "{name}");
            }
            "decode check" => check_odd_bytes(name, text(&case, "result")),
            what => {
                let setting = what.rsplit_once('=').expect("a setting").1;
                let setting: ConnectProtocol = setting.parse().expect("a protocol");
                let offered: Vec<&str> = setting.offered().map(ConnectProtocol::group_name).collect();
                assert_eq!(serde_json::json!(offered), case["protocols"], "{what}");
            }
        }
    }
}

fn check_subscription(case: &Value, name: &str) {
    let protocol = ConnectProtocol::from_group_name(text(case, "protocol")).expect("a protocol");
    assert_eq!(i64::from(protocol.version()), case["version"]);
    let holds = name.starts_with("worker holding");
    let mut expected = Subscription {
        url: text(case, "url").into(),
        config_offset: case["config_offset"].as_i64().expect("a number"),
        allocation: holds.then(|| assignment(some_work())),
    };
    assert_eq!(expected.encode(protocol), hex(case), "{name} {protocol}");
    if !protocol.is_incremental() {
        expected.allocation = None;
    }
    assert_eq!(Subscription::decode(hex(case)).expect(name), expected, "{name}");
}

fn check_odd_bytes(name: &str, java: &str) {
    let mut bytes = BytesMut::from(&assignment(Work::new()).encode(ConnectProtocol::Sessioned)[..]);
    match name {
        // Java workers trip over these, so we read them and never write them.
        name if name.contains("null (-1)") => {
            assert!(java.contains("UnsupportedOperationException"));
            let fixed = bytes.len() - 12;
            assert_eq!(
                &bytes[fixed..],
                [0; 12],
                "empty arrays and no delay are zeros, never -1"
            );
            bytes.truncate(fixed);
            bytes.put_i32(-1);
            bytes.put_i32(-1);
            bytes.put_i32(0);
        }
        name if name.contains("truncated after config-offset") => {
            assert!(java.starts_with("ok"));
            bytes.truncate(bytes.len() - 12);
        }
        name => panic!("a new golden case: {name}"),
    }
    assert_eq!(Assignment::decode(bytes.freeze()).expect(name), assignment(Work::new()));
}

#[test]
fn what_is_missing_or_wrong_is_an_error_and_no_panic() {
    let whole = assignment(some_work()).encode(ConnectProtocol::Eager);
    let last_task = whole.len() - 4;
    for (bytes, reason) in [
        (Bytes::new(), "it ends too early"),
        (Bytes::from_static(&[0xff, 0xff]), "its version is negative"),
        (whole.slice(..last_task), "it ends too early"),
        (whole.slice(..7), "it ends too early"),
    ] {
        assert_eq!(Assignment::decode(bytes).expect_err(reason).reason, reason);
    }
    let null_url = Bytes::from_static(&[0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let error = Subscription::decode(null_url).expect_err("a URL is not nullable");
    assert_eq!(error.reason, "a string is null");
}

#[test]
fn a_count_beyond_the_bytes_ends_at_the_bytes() {
    let mut bytes = BytesMut::from(&assignment(Work::new()).encode(ConnectProtocol::Eager)[..]);
    bytes.truncate(bytes.len() - 4);
    bytes.put_i32(i32::MAX);
    bytes.put_slice(&[0, 1, b'c']);
    bytes.put_i32(i32::MAX);
    assert!(Assignment::decode(bytes.freeze()).is_err());
}

#[test]
fn the_elected_name_is_read_in_any_case() {
    assert_eq!(
        ConnectProtocol::from_group_name("Sessioned"),
        Some(ConnectProtocol::Sessioned)
    );
    assert_eq!(
        ConnectProtocol::from_group_name("DEFAULT"),
        Some(ConnectProtocol::Eager)
    );
    assert_eq!(ConnectProtocol::from_group_name("range"), None);
    assert!("cooperative".parse::<ConnectProtocol>().is_err());
}

fn any_work() -> impl Strategy<Value = Work> {
    let name = "[a-zé-]{1,6}";
    let connectors = prop::collection::btree_set(name.prop_map(|name| name.into()), 0..4);
    let tasks = prop::collection::btree_set((name, 0..9).prop_map(|(name, task)| TaskId::new(name, task)), 0..6);
    (connectors, tasks).prop_map(|(connectors, tasks)| Work { connectors, tasks })
}

fn any_assignment() -> impl Strategy<Value = Assignment> {
    let error = prop_oneof![
        Just(None),
        Just(Some(AssignmentError::ConfigMismatch)),
        (2..9i16).prop_map(|code| Some(AssignmentError::Unknown(code)))
    ];
    let numbers = (any::<i64>(), any::<i32>());
    (error, "\\PC{0,20}", "\\PC{0,20}", numbers, any_work(), any_work()).prop_map(
        |(error, leader, leader_url, (config_offset, delay_ms), assigned, revoked)| Assignment {
            error,
            leader: leader.into(),
            leader_url: leader_url.into(),
            config_offset,
            assigned,
            revoked,
            delay_ms,
        },
    )
}

fn any_protocol() -> impl Strategy<Value = ConnectProtocol> {
    prop::sample::select(ConnectProtocol::Sessioned.offered().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn an_assignment_survives_as_far_as_its_version_carries_it(
        protocol in any_protocol(), mut assignment in any_assignment(),
    ) {
        let decoded = Assignment::decode(assignment.encode(protocol)).expect("ours");
        if !protocol.is_incremental() {
            assignment.revoked = Work::new();
            assignment.delay_ms = 0;
        }
        prop_assert_eq!(decoded, assignment);
    }

    #[test]
    fn a_subscription_survives_as_far_as_its_version_carries_it(
        protocol in any_protocol(), url in "\\PC{0,20}", config_offset in any::<i64>(),
        allocation in prop::option::of(any_assignment()),
    ) {
        let mut subscription = Subscription { url: url.into(), config_offset, allocation };
        let decoded = Subscription::decode(subscription.encode(protocol)).expect("ours");
        if !protocol.is_incremental() {
            subscription.allocation = None;
        }
        prop_assert_eq!(decoded, subscription);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        drop(Assignment::decode(bytes.clone()));
        drop(Subscription::decode(bytes));
    }

    #[test]
    fn no_damage_panics(assignment in any_assignment(), at in any::<prop::sample::Index>(), byte: u8, end in any::<prop::sample::Index>()) {
        let mut bytes = BytesMut::from(&assignment.encode(ConnectProtocol::Sessioned)[..]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(end.index(bytes.len()));
        drop(Assignment::decode(bytes.freeze()));
    }
}
