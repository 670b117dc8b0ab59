//! What `GET /connectors?expand=…` says of each connector: hundreds are asked for at once and few of them change.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use connect_runtime::herder::{ConnectorInfo, ConnectorStateInfo};
use serde::Serialize;

/// What there is to be told of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expansion {
    Info,
    Status,
}

impl Expansion {
    /// In the order that was asked for. Unknown ones are passed over.
    pub(super) fn asked<'a>(given: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut asked = Vec::new();
        for name in given {
            let expansion = match name {
                "info" => Self::Info,
                "status" => Self::Status,
                _ => continue,
            };
            if !asked.contains(&expansion) {
                asked.push(expansion);
            }
        }
        asked
    }

    fn member(self) -> &'static [u8] {
        match self {
            Self::Info => b"\"info\":",
            Self::Status => b"\"status\":",
        }
    }
}

/// The JSON of what was told last.
#[derive(Debug, Default)]
pub(crate) struct Expansions {
    pub(super) infos: Written<ConnectorInfo>,
    pub(super) statuses: Written<ConnectorStateInfo>,
}

/// Values as JSON, by a connector's name. It is written anew for a value that differs from the last one: comparing is
/// cheap, as what has not changed is shared with the herder.
pub(super) struct Written<T>(Mutex<HashMap<String, (T, Bytes)>>);

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

impl<T: PartialEq + Clone> Written<T> {
    /// The JSON of all there is, by name; what is known of others is forgotten.
    pub(super) fn json<'a, E: Serialize>(
        &self,
        all: &'a [T],
        name: impl Fn(&T) -> &str,
        entity: impl Fn(&T) -> E,
    ) -> HashMap<&'a str, Bytes> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = HashMap::with_capacity(all.len());
        for value in all {
            let json = match known.get(name(value)) {
                Some((same, json)) if same == value => json.clone(),
                _ => {
                    let json = serde_json::to_vec(&entity(value)).expect("entities have texts for keys");
                    let json = Bytes::from(json);
                    known.insert(name(value).to_owned(), (value.clone(), json.clone()));
                    json
                }
            };
            written.insert(name(value), json);
        }
        if known.len() > written.len() {
            known.retain(|name, _| written.contains_key(name.as_str()));
        }
        written
    }
}

/// An object with a member for each connector, whose value has the expansions that were asked for.
pub(super) fn object(connectors: &[(&str, Vec<(Expansion, Bytes)>)]) -> Bytes {
    // Room for a few more bytes around each.
    let told_of = |(name, told): &(&str, Vec<(Expansion, Bytes)>)| {
        let told = told.iter().map(|(_, json)| json.len() + 16);
        name.len() + 16 + told.sum::<usize>()
    };
    let mut body = Vec::with_capacity(2 + connectors.iter().map(told_of).sum::<usize>());
    body.push(b'{');
    for (number, (name, told)) in connectors.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, name).expect("a text is JSON");
        body.extend_from_slice(b":{");
        for (number, (expansion, json)) in told.iter().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(expansion.member());
            body.extend_from_slice(json);
        }
        body.push(b'}');
    }
    body.push(b'}');
    body.into()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What is told of these connectors, and how many of them had to be written.
    fn told(written: &Written<(&'static str, u8)>, all: &[(&'static str, u8)]) -> (String, usize) {
        let count = Cell::new(0);
        let entity = |value: &(&str, u8)| {
            count.set(count.get() + 1);
            value.1
        };
        let json = written.json(all, |value| value.0, entity);
        let told = |(name, _): &(&'static str, u8)| (*name, vec![(Expansion::Info, json[name].clone())]);
        let connectors: Vec<_> = all.iter().map(told).collect();
        let object = String::from_utf8(object(&connectors).to_vec()).expect("JSON is UTF-8");
        (object, count.get())
    }

    #[test]
    fn only_what_differs_is_written_anew() {
        let written = Written::default();
        assert_eq!(told(&written, &[]), ("{}".to_owned(), 0));
        let both = r#"{"a":{"info":1},"b":{"info":2}}"#.to_owned();
        assert_eq!(told(&written, &[("a", 1), ("b", 2)]), (both.clone(), 2));
        assert_eq!(told(&written, &[("a", 1), ("b", 2)]), (both, 0));
        let changed = r#"{"a":{"info":1},"b":{"info":3}}"#.to_owned();
        assert_eq!(told(&written, &[("a", 1), ("b", 3)]), (changed, 1));
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let written = Written::default();
        told(&written, &[("a", 1), ("b", 2)]);
        assert_eq!(told(&written, &[("c", 1)]), (r#"{"c":{"info":1}}"#.to_owned(), 1));
        assert_eq!(written.0.lock().expect("no panic").len(), 1);
        // Deleted and made again, it is another one.
        assert_eq!(told(&written, &[("a", 9)]), (r#"{"a":{"info":9}}"#.to_owned(), 1));
    }

    #[test]
    fn names_are_escaped() {
        let (object, _) = told(&Written::default(), &[("odd \"é\"\n", 1)]);
        assert_eq!(object, r#"{"odd \"é\"\n":{"info":1}}"#);
    }

    #[test]
    fn expansions_come_as_they_are_asked_for() {
        let asked = |given: &[&'static str]| Expansion::asked(given.iter().copied());
        assert_eq!(
            asked(&["status", "x", "info", "status"]),
            [Expansion::Status, Expansion::Info]
        );
        let told = [("c", Vec::new())];
        assert_eq!(object(&told), r#"{"c":{}}"#);
    }
}
