//! Converters that a connector or its worker names and that convert nothing here.

use config_def::Props;

/// What a mirror's records are "converted" with. For headers it is what they stay as, too.
const BYTES: [&str; 3] = [
    "org.apache.kafka.connect.converters.ByteArrayConverter",
    "ByteArrayConverter",
    "ByteArray",
];
const KEYS: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// A converter that somebody asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unused<'a> {
    pub(super) key: &'static str,
    pub(super) class: &'a str,
    /// Whether it is the worker's, for all its connectors.
    pub(super) of_worker: bool,
}

/// The converters that count for a connector and have no effect: its records are bytes, and stay as they are.
pub(super) fn without_effect<'a>(connector: &'a Props, worker: &'a Props) -> Vec<Unused<'a>> {
    let counts = |key: &'static str| {
        let own = connector.get(key).map(|class| (class, false));
        let (class, of_worker) = own.or_else(|| worker.get(key).map(|class| (class, true)))?;
        let class = class.trim();
        (!class.is_empty() && !BYTES.contains(&class)).then_some(Unused { key, class, of_worker })
    };
    KEYS.into_iter().filter_map(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_converts_bytes_to_bytes_is_not_named() {
        let props = |pairs: &[(&str, &str)]| -> Props {
            let owned = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            owned.collect()
        };
        let worker = props(&[
            ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ]);
        let connector = props(&[
            ("key.converter", "ByteArrayConverter"),
            ("header.converter", " org.apache.kafka.connect.storage.StringConverter "),
        ]);
        let expected = [
            Unused {
                key: "value.converter",
                class: "org.apache.kafka.connect.json.JsonConverter",
                of_worker: true,
            },
            Unused {
                key: "header.converter",
                class: "org.apache.kafka.connect.storage.StringConverter",
                of_worker: false,
            },
        ];
        assert_eq!(without_effect(&connector, &worker), expected);
        assert_eq!(without_effect(&Props::new(), &Props::new()), []);
    }
}
