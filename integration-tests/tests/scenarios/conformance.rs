//! The recorded session of a real worker's REST API, played to ours.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use integration_tests::{Answer, ConnectWorker, Deadline, Pair, Rest, TestRecord, Topic, WorkerGroup, pause};
use kafka_wire::Compression;
use serde::Deserialize;
use serde_json::{Value, json};

integration_tests::scenarios!(our_rest_api_answers_as_the_recorded_worker);

/// How long a step waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(30);
/// The topic that the session mirrors.
const TOPIC: &str = "rest-golden";

#[derive(Deserialize)]
struct Step {
    id: String,
    method: String,
    path: String,
    body: Option<Value>,
    raw: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Asked again until these places of `{status, body}` have these values.
    #[serde(default)]
    until: BTreeMap<String, Value>,
    /// Places that may differ.
    #[serde(default)]
    ignore: Vec<String>,
    /// Lists without an order.
    #[serde(default)]
    unordered: Vec<String>,
    #[serde(default)]
    status_only: bool,
    /// Only the members are compared, and the types of their values.
    #[serde(default)]
    keys_only: bool,
    /// Statuses that are better than Kafka's own, with an error body.
    #[serde(default)]
    better: Vec<u16>,
    /// What the body's list has to have, among others.
    must_include: Option<Vec<Value>>,
}

fn our_rest_api_answers_as_the_recorded_worker(kafka: &mut Pair) {
    let mut source = kafka.source.client();
    source.create_topic(Topic::new(TOPIC, 3));
    for n in 0..15 {
        let record = TestRecord::new(format!("k{n}"), format!("v{n}"));
        source.produce(TOPIC, n % 3, Compression::None, &[record]);
    }
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "conformance");
    let mut worker = ConnectWorker::heliograph("conformance", &group);
    worker.wait_until_ready();

    let places = [
        ("${SRC}", kafka.source.bootstrap_servers()),
        ("${DST}", kafka.target.bootstrap_servers()),
        ("${WORKER}", worker.id().to_owned()),
    ];
    let fill = |text: &str| {
        places
            .iter()
            .fold(text.to_owned(), |text, (name, at)| text.replace(name, at))
    };
    let unfill = |text: &str| {
        places
            .iter()
            .fold(text.to_owned(), |text, (name, at)| text.replace(at, name))
    };
    let steps: Vec<Step> =
        serde_json::from_str(&fill(include_str!("../../testdata/rest/scenario.json"))).expect("the scenario is JSON");
    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("../../testdata/rest/kafka-4.3.1.json")).expect("JSON");
    let recorded: BTreeMap<&str, &Value> = recorded
        .iter()
        .map(|answer| (answer["id"].as_str().expect("an id"), answer))
        .collect();
    let mut differences = String::new();
    for step in &steps {
        let Answer {
            status,
            content_type,
            location,
            body,
        } = play(&worker.rest(), step);
        let is_error = body["error_code"] == status && body["message"].is_string();
        if step.better.contains(&status) && is_error {
            continue;
        }
        let body = match body {
            // As it is recorded.
            Value::Null => json!(""),
            body => serde_json::from_str(&unfill(&body.to_string())).expect("it was JSON before"),
        };
        let answer = json!({
            "status": status, "type": content_type, "location": location.as_deref().map(unfill), "body": body,
        });
        let wanted = without_names(recorded[step.id.as_str()]);
        for difference in compare(step, wanted, answer) {
            writeln!(differences, "{} {} {}: {difference}", step.id, step.method, step.path)
                .expect("a string takes all");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(steps.len(), 158);
    worker.stop();
}

fn play(rest: &Rest, step: &Step) -> Answer {
    let body = match (&step.raw, &step.body) {
        (Some(raw), _) => Some(raw.clone()),
        (None, Some(body)) => Some(body.to_string()),
        (None, None) => None,
    };
    let mut headers: Vec<(&str, &str)> = step.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    if body.is_some() && !step.headers.contains_key("Content-Type") {
        headers.push(("Content-Type", "application/json"));
    }
    let deadline = Deadline::after(PATIENCE);
    loop {
        let answer = rest.request_with(&step.method, &step.path, &headers, body.as_deref().unwrap_or_default());
        let answer = answer.unwrap_or_else(|error| panic!("{} {}: {error}", step.method, step.path));
        let seen = json!({ "status": answer.status, "body": answer.body });
        let is_there = step.until.iter().all(|(path, value)| at(&seen, path) == value);
        if is_there || deadline.passed() {
            return answer;
        }
        pause(Duration::from_millis(100));
    }
}

fn without_names(recorded: &Value) -> Value {
    let mut answer = recorded.clone();
    let members = answer.as_object_mut().expect("an object");
    members.remove("id");
    members.remove("request");
    answer
}

/// What differs, of all that may not.
fn compare(step: &Step, mut wanted: Value, mut answer: Value) -> Vec<String> {
    if step.status_only {
        (wanted, answer) = (wanted["status"].clone(), answer["status"].clone());
    } else if let Some(items) = &step.must_include {
        let has = answer["body"].as_array().cloned().unwrap_or_default();
        answer["body"] = json!(items.iter().filter(|item| has.contains(item)).collect::<Vec<_>>());
        wanted["body"] = json!(items);
        (wanted, answer) = (
            json!([wanted["status"], wanted["body"]]),
            json!([answer["status"], answer["body"]]),
        );
    } else if step.keys_only {
        let shapes = |answer: &Value| json!([answer["status"], shape(&answer["body"])]);
        (wanted, answer) = (shapes(&wanted), shapes(&answer));
    }
    for side in [&mut wanted, &mut answer] {
        scrub(side);
        step.ignore.iter().for_each(|path| remove(side, path));
        for path in &step.unordered {
            if let Value::Array(list) = at_mut(side, path) {
                list.sort_by_key(Value::to_string);
            }
        }
    }
    let mut differences = Vec::new();
    differ(&wanted, &answer, "", &mut differences);
    differences
}

/// Values that no two runs have in common.
fn scrub(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(scrub),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let varies = match name.as_str() {
                    "trace" | "kafka_cluster_id" | "commit" => value.is_string(),
                    "documentation" => value.as_str().is_some_and(|text| !text.is_empty()),
                    "last_modified" => value.is_number(),
                    _ => false,
                };
                match varies || value.as_str().is_some_and(|text| text.starts_with('<')) {
                    true => *value = Value::String("<varies>".to_owned()),
                    false => scrub(value),
                }
            }
        }
        _ => {}
    }
}

fn shape(value: &Value) -> Value {
    let kind = match value {
        Value::Object(members) => {
            return members
                .iter()
                .map(|(name, value)| (name.clone(), shape(value)))
                .collect();
        }
        Value::Array(_) => "list",
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    Value::String(kind.to_owned())
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, part| match value {
        Value::Array(list) => part
            .parse()
            .ok()
            .and_then(|index: usize| list.get(index))
            .unwrap_or(&Value::Null),
        value => &value[part],
    })
}

fn at_mut<'a>(value: &'a mut Value, path: &str) -> &'a mut Value {
    value
        .pointer_mut(&format!("/{}", path.replace('.', "/")))
        .expect("the scenario names a list that is there")
}

fn remove(value: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer = match parent {
        "" => String::new(),
        parent => format!("/{}", parent.replace('.', "/")),
    };
    match value.pointer_mut(&pointer) {
        Some(Value::Object(members)) => drop(members.remove(name)),
        Some(Value::Array(list)) => {
            for item in list.iter_mut().filter_map(Value::as_object_mut) {
                item.remove(name);
            }
        }
        _ => {}
    }
}

fn differ(wanted: &Value, found: &Value, path: &str, differences: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let names: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
            for name in names {
                let path = format!("{path}.{name}");
                match (wanted.get(name), found.get(name)) {
                    (Some(wanted), Some(found)) => differ(wanted, found, &path, differences),
                    (wanted, found) => differences.push(format!("{path}: wanted {wanted:?}, found {found:?}")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                differ(wanted, found, &format!("{path}[{index}]"), differences);
            }
        }
        (wanted, found) if wanted != found => differences.push(format!("{path}: wanted {wanted}, found {found}")),
        _ => {}
    }
}
