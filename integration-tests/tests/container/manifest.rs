//! YAML as those read it that run containers: into the values of JSON.

use std::{fs, path::Path};

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Every document of a file.
pub(crate) fn read(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let events = Parser::new_from_str(&text).map(|event| match event {
        Ok((event, _)) => event,
        Err(error) => panic!("{}: {error}", file.display()),
    });
    let mut events = events.peekable();
    let mut documents = Vec::new();
    while let Some(event) = events.next() {
        if let Event::DocumentStart(_) = event {
            let first = events.next().expect("a document has a node");
            documents.push(node(first, &mut events));
        }
    }
    documents
}

fn node<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, style, ..) => scalar(&text, style),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            loop {
                match events.next().expect("lists end") {
                    Event::SequenceEnd => return Value::Array(list),
                    item => list.push(node(item, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                let key = match events.next().expect("maps end") {
                    Event::MappingEnd => return Value::Object(map),
                    Event::Scalar(key, ..) => key.into_owned(),
                    other => panic!("{other:?} is no key"),
                };
                let first = events.next().expect("a key has a value");
                let value = node(first, events);
                assert!(map.insert(key.clone(), value).is_none(), "{key} is there twice");
            }
        }
        other => panic!("{other:?} is not used here"),
    }
}

/// Words without quotes may be something else than text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
        (ScalarStyle::Plain, "true") => Value::Bool(true),
        (ScalarStyle::Plain, "false") => Value::Bool(false),
        (ScalarStyle::Plain, text) => match text.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(text),
        },
        (_, text) => Value::from(text),
    }
}
