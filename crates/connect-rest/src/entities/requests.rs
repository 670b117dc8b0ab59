use std::{collections::BTreeMap, fmt};

use connect_runtime::{herder::JsonMap, storage::config::RawConfig, worker::TargetState};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::error::RestError;

/// Reads a body. Java's worker answers 500 to a body that it cannot read; here it is the client's mistake: 400.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, RestError> {
    if body.trim_ascii().is_empty() {
        return Err(RestError::bad_request("The request needs a body of JSON"));
    }
    serde_json::from_slice(body)
        .map_err(|error| RestError::bad_request(format!("The request's body cannot be read: {error}")))
}

/// `POST /connectors`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConnectorRequest {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    config: Option<ConnectorConfig>,
    #[serde(default)]
    initial_state: Text,
}

impl CreateConnectorRequest {
    /// The name without what Java's `trim` takes for blanks around it; empty if there is none.
    pub(crate) fn name(&self) -> &str {
        let is_blank = |letter: char| letter <= ' ';
        self.name.0.as_deref().unwrap_or_default().trim_matches(is_blank)
    }

    pub(crate) fn initial_state(&self) -> Result<Option<TargetState>, RestError> {
        let Some(state) = &self.initial_state.0 else {
            return Ok(None);
        };
        match state.to_uppercase().as_str() {
            "RUNNING" => Ok(Some(TargetState::Started)),
            "PAUSED" => Ok(Some(TargetState::Paused)),
            "STOPPED" => Ok(Some(TargetState::Stopped)),
            _ => Err(RestError::bad_request(format!(
                "initial_state is '{state}'; it has to be RUNNING, PAUSED or STOPPED"
            ))),
        }
    }

    pub(crate) fn into_config(self) -> Result<RawConfig, RestError> {
        let config = self
            .config
            .ok_or_else(|| RestError::bad_request("The request needs a 'config'"))?;
        Ok(config.0)
    }
}

/// A configuration: texts, numbers and booleans, which become texts as they are written, or null.
#[derive(Debug, Deserialize)]
pub(crate) struct ConnectorConfig(#[serde(deserialize_with = "config")] pub(crate) RawConfig);

/// `POST /connectors/{connector}/tasks`, from another worker.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskConfigs(pub(crate) Vec<ConnectorConfig>);

/// `PUT /admin/loggers/{logger}`; other members are passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct LoggerLevel(ConnectorConfig);

impl LoggerLevel {
    pub(crate) fn level(&self) -> Option<&str> {
        self.0.0.get("level")?.as_deref()
    }
}

/// `PATCH /connectors/{connector}/offsets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OffsetsRequest {
    #[serde(default)]
    offsets: Option<Vec<OffsetRequest>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetRequest {
    #[serde(default)]
    partition: Option<JsonMap>,
    #[serde(default)]
    offset: Option<JsonMap>,
}

impl OffsetsRequest {
    pub(crate) fn into_offsets(self) -> Result<Vec<(JsonMap, Option<JsonMap>)>, RestError> {
        let offsets = self.offsets.unwrap_or_default();
        if offsets.is_empty() {
            let why = "Partitions / offsets need to be provided for an alter offsets request";
            return Err(RestError::bad_request(why));
        }
        offsets
            .into_iter()
            .map(|one| {
                let partition = one.partition;
                let partition = partition.ok_or_else(|| RestError::bad_request("Every offset needs a 'partition'"))?;
                Ok((partition, one.offset))
            })
            .collect()
    }
}

/// A text; a number or a boolean is taken as it is written, as Java does.
#[derive(Debug, Default)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let json = raw.get().trim_ascii();
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json)
                .map(|text| Self(Some(text)))
                .map_err(D::Error::custom),
            Some(b'{') => Err(D::Error::custom(
                "expected a text, a number or a boolean, found an object",
            )),
            Some(b'[') => Err(D::Error::custom(
                "expected a text, a number or a boolean, found an array",
            )),
            _ if json == "null" => Ok(Self(None)),
            _ => Ok(Self(Some(json.to_owned()))),
        }
    }
}

fn config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RawConfig, D::Error> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = RawConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of configuration keys and values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RawConfig, A::Error> {
            let mut config = BTreeMap::new();
            while let Some(key) = members.next_key::<String>()? {
                let Text(value) = members
                    .next_value()
                    .map_err(|error| A::Error::custom(format_args!("value of '{key}': {error}")))?;
                config.insert(key, value);
            }
            Ok(config)
        }
    }

    deserializer.deserialize_map(Members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(body: &str) -> Result<RawConfig, String> {
        read::<ConnectorConfig>(body.as_bytes())
            .map(|config| config.0)
            .map_err(|error| error.message.into_owned())
    }

    #[test]
    fn a_name_is_trimmed_as_java_does() {
        let check = |name: &str, expected: &str| {
            let body = serde_json::json!({ "name": name }).to_string();
            let request: CreateConnectorRequest = read(body.as_bytes()).expect("well-formed");
            assert_eq!(request.name(), expected, "{name:?}");
        };
        check(" a b\t", "a b");
        check("\u{1}a\u{1}", "a");
        check("a\u{1}b", "a\u{1}b");
        check("\u{a0}a", "\u{a0}a");
    }

    #[test]
    fn values_become_texts_as_they_are_written() {
        let body = r#"{"a":"x\n","b":1,"c":1.50,"d":-1e+3,"e":true,"f":null,"g":18446744073709551616, "a":"last"}"#;
        let expected = [
            ("a", Some("last")),
            ("b", Some("1")),
            ("c", Some("1.50")),
            ("d", Some("-1e+3")),
            ("e", Some("true")),
            ("f", None),
            ("g", Some("18446744073709551616")),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        assert_eq!(config(body), Ok(RawConfig::from(expected)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |body: &str, expected: &str| {
            let message = config(body).expect_err(body);
            assert!(message.contains(expected), "{message}");
        };
        check(
            r#"{"o":{"a":1}}"#,
            "value of 'o': expected a text, a number or a boolean, found an object",
        );
        check(r#"{"o":[]}"#, "found an array");
        check(
            "[1,2]",
            "expected an object of configuration keys and values at line 1 column",
        );
        check("{not json", "key must be a string at line 1 column 2");
        check("", "needs a body");
        check("null", "expected an object");
        check("{} x", "trailing characters");
        check(&"[".repeat(100_000), "invalid type");
        check(&format!(r#"{{"a":{}1"#, "[".repeat(100_000)), "value of 'a'");
    }

    #[test]
    fn a_create_request_is_checked_member_by_member() {
        let request = |body: &str| read::<CreateConnectorRequest>(body.as_bytes());
        let good = request(r#"{"name":" a b ","config":{},"initial_state":"stopped"}"#).expect("good");
        assert_eq!(good.name(), "a b");
        assert_eq!(good.initial_state(), Ok(Some(TargetState::Stopped)));
        let bare = request("{}").expect("members are checked later");
        assert_eq!((bare.name(), bare.initial_state()), ("", Ok(None)));
        assert!(bare.into_config().expect_err("none").message.contains("'config'"));
        let odd = request(r#"{"name":5,"initial_state":"DANCING"}"#).expect("a name");
        assert_eq!(odd.name(), "5");
        assert!(odd.initial_state().expect_err("no state").message.contains("DANCING"));
        assert!(
            request(r#"{"surprise":1}"#)
                .expect_err("unknown")
                .message
                .contains("surprise")
        );
    }

    #[test]
    fn offsets_need_partitions() {
        let offsets = |body: &str| read::<OffsetsRequest>(body.as_bytes()).and_then(OffsetsRequest::into_offsets);
        let given = offsets(r#"{"offsets":[{"partition":{"p":1},"offset":{"o":2}},{"partition":{}}]}"#).expect("good");
        assert_eq!((given.len(), given[1].1.is_none()), (2, true));
        for bad in [
            "{}",
            r#"{"offsets":[]}"#,
            r#"{"offsets":[{"offset":{}}]}"#,
            r#"{"offsets":[1]}"#,
            r#"{"offset":[]}"#,
        ] {
            assert_eq!(offsets(bad).expect_err(bad).status, 400);
        }
    }
}
