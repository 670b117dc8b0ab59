//! Keys of a worker's file that reach nothing. A misspelt key must not pass in silence.

use config_def::{ConfigDef, PropertiesFile, Type, key, nearest, security};
use kafka_client::config::tables::{ADMIN_CONFIG_DEF, CONSUMER_CONFIG_DEF, PRODUCER_CONFIG_DEF};

/// Of an https listener.
static LISTENER_CONFIG_DEF: ConfigDef = ConfigDef::new(&[
    security::SSL,
    &[key("ssl.client.auth", Type::String).doc("Whether clients are asked for a certificate.")],
]);

/// What keys may begin with, and the table of what may follow; without a table: anything.
static PREFIXES: [(&str, Option<&ConfigDef>); 14] = [
    ("producer.", Some(&PRODUCER_CONFIG_DEF)),
    ("consumer.", Some(&CONSUMER_CONFIG_DEF)),
    // Before what it begins with.
    ("admin.listeners.https.", Some(&LISTENER_CONFIG_DEF)),
    ("admin.", Some(&ADMIN_CONFIG_DEF)),
    // Settings of new topics, which only brokers know, and of plug-ins.
    ("config.storage.", None),
    ("offset.storage.", None),
    ("status.storage.", None),
    ("key.converter.", None),
    ("value.converter.", None),
    ("header.converter.", None),
    ("config.providers.", None),
    ("listeners.https.", Some(&LISTENER_CONFIG_DEF)),
    ("metrics.context.", None),
    ("connector.client.config.override.", None),
];

/// A warning for each key of `file` that `worker`, the worker's own table, does not know, and no client of it either.
pub(crate) fn warnings(file: &PropertiesFile, worker: &ConfigDef) -> Vec<String> {
    let clients = [&PRODUCER_CONFIG_DEF, &CONSUMER_CONFIG_DEF, &ADMIN_CONFIG_DEF];
    let props = file.props();
    let unknown = props.keys().filter(|key| {
        let is_own = worker.key(key).is_some() || clients.iter().any(|client| client.key(key).is_some());
        let has_prefix = PREFIXES.iter().any(|(prefix, table)| match key.strip_prefix(prefix) {
            Some(rest) => table.is_none_or(|table| table.key(rest).is_some()),
            None => false,
        });
        !is_own && !has_prefix
    });
    unknown
        .map(|key| {
            let line = file.line(key).map_or(String::new(), |line| format!("line {line}: "));
            match suggestion(key, worker) {
                Some(known) => format!("{line}Unknown key {key}: did you mean {known}?"),
                None => format!("{line}Unknown key {key}: it reaches nothing"),
            }
        })
        .collect()
}

fn suggestion(key: &str, worker: &ConfigDef) -> Option<String> {
    for (prefix, table) in &PREFIXES {
        if let (Some(rest), Some(table)) = (key.strip_prefix(prefix), table) {
            let known = nearest(rest, table.keys().map(|key| key.name))?;
            return Some(format!("{prefix}{known}"));
        }
    }
    nearest(key, worker.keys().map(|key| key.name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_nothing_is_named_with_what_was_meant() {
        let file = "group.id=g\ngroupid=h\nproducer.linger.ms=1\nproducer.lingre.ms=2\nlinger.ms=5\n\
                    config.storage.segment.bytes=1\nquite.another.thing=1\n\
                    listeners.https.ssl.client.auth=none\nadmin.listeners.https.ssl.keystore.pasword=x\n";
        let file = config_def::properties::parse(file.as_bytes()).unwrap();
        let expected = [
            "line 9: Unknown key admin.listeners.https.ssl.keystore.pasword: did you mean admin.listeners.https.ssl.keystore.password?",
            "line 2: Unknown key groupid: did you mean group.id?",
            "line 4: Unknown key producer.lingre.ms: did you mean producer.linger.ms?",
            "line 7: Unknown key quite.another.thing: it reaches nothing",
        ];
        assert_eq!(warnings(&file, &connect_runtime::config::CONFIG_DEF), expected);
    }
}
