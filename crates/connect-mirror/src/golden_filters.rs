//! Answers of Kafka 4.3.1's own filters, for the tests of ours.

use config_def::Props;
use serde_json::{Map, Value};

/// One configuration and what Kafka's filter said of some names.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) props: Props,
    pub(crate) error: Option<String>,
    result: Map<String, Value>,
}

/// The vectors of one filter, at least one.
pub(crate) fn vectors(filter: &str) -> Vec<Vector> {
    let golden: Value = serde_json::from_str(include_str!("../testdata/golden-filters.json")).expect("valid JSON");
    let of_filter = golden["vectors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|vector| vector["filter"] == filter);
    let vectors: Vec<Vector> = of_filter
        .map(|vector| Vector {
            props: serde_json::from_value(vector["config"].clone()).expect("a map of texts"),
            error: vector["error"].as_str().map(str::to_owned),
            result: vector["result"].as_object().expect("a map").clone(),
        })
        .collect();
    assert!(!vectors.is_empty(), "{filter}");
    vectors
}

pub(crate) fn expect_same_answers(vector: &Vector, answer: impl Fn(&str) -> Value) {
    for (name, expected) in &vector.result {
        assert_eq!(answer(name), *expected, "{name:?} with {:?}", vector.props);
    }
}
