use integration_tests::TestRecord;

/// What is easily lost, short.
pub(crate) fn awkward() -> Vec<TestRecord> {
    let null_key = TestRecord {
        key: None,
        ..TestRecord::new("", "null key")
    };
    let null_value = TestRecord {
        value: None,
        ..TestRecord::new("null value", "")
    };
    vec![
        TestRecord::new("plain", "record"),
        null_key,
        null_value,
        TestRecord::new("", ""),
        TestRecord::new("repeated", "headers")
            .header("h", Some(b"1"))
            .header("h", None)
            .header("h", Some(b"")),
        TestRecord::new("binary", vec![0, 255, 128]).header("h", Some(b"\x00\xff")),
        TestRecord::new("time", "goes back").at(1_600_000_000_000),
        TestRecord::new("long", "x".repeat(20_000)),
    ]
}

/// Records that every format can hold.
pub(crate) fn plain(range: std::ops::Range<i64>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("key-{n}"), format!("value-{n}")).at(1_700_000_000_000 + n))
        .collect()
}
