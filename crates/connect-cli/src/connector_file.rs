//! A connector's configuration from a file, as Java's `connect-standalone.sh` reads it: a JSON object of settings, the
//! JSON body of a create request, or properties; tried in this order.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use config_def::properties;
use connect_runtime::{
    storage::config::{RawConfig, raw},
    worker::TargetState,
};
use serde_json::{Map, Value};

/// A connector that is to be created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConnectorFile {
    pub(crate) name: String,
    /// With `name` in it.
    pub(crate) config: RawConfig,
    pub(crate) initial_state: Option<TargetState>,
}

impl ConnectorFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let read = || Self::parse(&std::fs::read(path)?);
        read().with_context(|| format!("connector configuration {} cannot be used", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else {
            let file = properties::parse(bytes).context("it is neither JSON nor properties")?;
            return Self::of_settings(raw::from_props(&file.props()));
        };
        match settings(&object) {
            Ok(config) => Self::of_settings(config),
            Err(_) if object.contains_key("config") => Self::of_request(&object),
            Err(error) => Err(error),
        }
    }

    fn of_settings(config: RawConfig) -> Result<Self> {
        let name = config.get("name").cloned().flatten();
        Ok(Self {
            name: name.ok_or_else(|| anyhow!("it is missing the mandatory 'name' configuration"))?,
            config,
            initial_state: None,
        })
    }

    fn of_request(request: &Map<String, Value>) -> Result<Self> {
        let name = request.get("name").and_then(Value::as_str).map(str::trim);
        let name = name.context("it has a 'config' but no 'name'")?.to_owned();
        let Some(Value::Object(config)) = request.get("config") else {
            bail!("its 'config' is not an object of settings");
        };
        let mut config = settings(config)?;
        if config
            .entry("name".to_owned())
            .or_insert_with(|| Some(name.clone()))
            .as_ref()
            != Some(&name)
        {
            bail!("connector name configuration in 'config' doesn't match the one specified in 'name'");
        }
        let initial_state = request.get("initial_state").filter(|state| !state.is_null());
        Ok(Self {
            name,
            config,
            initial_state: initial_state.map(target_state).transpose()?,
        })
    }
}

/// Numbers and booleans become texts, as in REST.
fn settings(object: &Map<String, Value>) -> Result<RawConfig> {
    let text = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => bail!("the value of '{key}' is not a text"),
        };
        Ok((key.clone(), value))
    };
    object.iter().map(text).collect()
}

fn target_state(state: &Value) -> Result<TargetState> {
    match state.as_str().map(str::to_uppercase).as_deref() {
        Some("RUNNING") => Ok(TargetState::Started),
        Some("PAUSED") => Ok(TargetState::Paused),
        Some("STOPPED") => Ok(TargetState::Stopped),
        _ => bail!("its 'initial_state' {state} is none of RUNNING, PAUSED and STOPPED"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, Option<&str>)]) -> RawConfig {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
            .collect()
    }

    fn parse(text: &str) -> Result<ConnectorFile, String> {
        ConnectorFile::parse(text.as_bytes()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn all_three_forms_are_read() {
        let expected = |initial_state| {
            Ok(ConnectorFile {
                name: "hb".to_owned(),
                config: config(&[("name", Some("hb")), ("tasks.max", Some("2"))]),
                initial_state,
            })
        };
        assert_eq!(parse("# a comment\nname = hb\ntasks.max=2\n"), expected(None));
        assert_eq!(parse(r#"{"name":"hb","tasks.max":2}"#), expected(None));
        assert_eq!(parse(r#"{"name":"hb","config":{"tasks.max":"2"}}"#), expected(None));
        assert_eq!(
            parse(r#"{"name":" hb ","config":{"name":"hb","tasks.max":"2"},"initial_state":"paused","more":1}"#),
            expected(Some(TargetState::Paused))
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("tasks.max=2", "mandatory 'name'"),
            (r#"{"tasks.max":"2"}"#, "mandatory 'name'"),
            (r#"{"name":null}"#, "mandatory 'name'"),
            (r#"{"config":{}}"#, "no 'name'"),
            (r#"{"name":"a","config":{"name":"b"}}"#, "doesn't match"),
            (r#"{"name":"a","config":{"x":[]}}"#, "'x' is not a text"),
            (r#"{"name":"a","x":{}}"#, "'x' is not a text"),
            (r#"{"name":"a","config":{},"initial_state":"ASLEEP"}"#, "ASLEEP"),
            ("name=\\u12", "neither JSON nor properties"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
