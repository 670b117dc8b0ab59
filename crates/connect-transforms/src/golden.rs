//! What Kafka's own classes answered, for tests.

use serde_json::Value;

pub(crate) fn cases(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../testdata/golden-transforms.json")).expect("JSON");
    all[name].as_array().expect("a list").clone()
}

pub(crate) fn text<'a>(case: &'a Value, field: &str) -> Option<&'a str> {
    case[field].as_str()
}
