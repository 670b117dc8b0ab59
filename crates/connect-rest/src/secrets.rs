//! `heliograph.rest.mask.secrets`: answers show `[hidden]` instead of secrets, and a configuration that comes back with it
//! keeps what is stored.

use std::{collections::BTreeMap, sync::Arc};

use config_def::{Type, security};
use connect_runtime::{herder::RequestError, storage::config::RawConfig};
use serde_json::value::RawValue;

use crate::{
    error::RestError,
    resources::{Answer, Api, Call},
};

/// What Kafka shows instead of a password.
const HIDDEN: &str = "[hidden]";
/// Parts of a key's last word that tell a secret where no table knows the key.
const SECRET_WORDS: [&str; 5] = ["password", "passphrase", "secret", "credential", "token"];
const SECRET_ENDINGS: [&str; 4] = ["access.key", "api.key", "private.key", "jaas.config"];

/// Where in a request's body the configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigAt {
    /// It is the body.
    Body,
    /// It is the member `config`.
    Member,
}

/// Whether the value of `key` is a secret, whatever prefixes the key has.
fn is_secret(key: &str) -> bool {
    let is_password = |kind| matches!(kind, Type::Password);
    let mut passwords = security::SSL
        .iter()
        .chain(security::SASL)
        .filter(|known| is_password(known.kind));
    if passwords.any(|known| ends_with(key, known.name)) {
        return true;
    }
    let key = key.to_ascii_lowercase();
    let last = key.rsplit('.').next().unwrap_or_default();
    SECRET_WORDS.iter().any(|word| last.contains(word)) || SECRET_ENDINGS.iter().any(|ending| ends_with(&key, ending))
}

/// Whether `key` is `name`, or is it below a prefix.
fn ends_with(key: &str, name: &str) -> bool {
    key.strip_suffix(name)
        .is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// A variable and nothing else says where a secret is, and not what it is.
fn is_reference(value: &str) -> bool {
    let inside = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains(['$', '{', '}']))
}

fn is_shown(key: &str, value: &str) -> bool {
    value.is_empty() || is_reference(value) || !is_secret(key)
}

/// A configuration as it is shown.
pub(crate) fn mask(mut config: RawConfig) -> RawConfig {
    for (key, value) in &mut config {
        if let Some(value) = value
            && !is_shown(key, value)
        {
            HIDDEN.clone_into(value);
        }
    }
    config
}

/// Likewise, in what another worker has answered of a connector.
pub(crate) fn mask_answer(answer: Answer) -> Answer {
    let body = answer.body.as_ref();
    let Some(mut info) = body.and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok()) else {
        return answer;
    };
    for (key, value) in info["config"].as_object_mut().into_iter().flatten() {
        if value.as_str().is_some_and(|value| !is_shown(key, value)) {
            *value = HIDDEN.into();
        }
    }
    answer.with_body(info.to_string().into())
}

/// The secrets that a request has kept: they must not be shown in what is wrong with it either.
#[derive(Default)]
pub(crate) struct Kept(Vec<String>);

impl Kept {
    pub(crate) fn hide(&self, mut error: RestError) -> RestError {
        for secret in &self.0 {
            if error.message.contains(secret) {
                error.message = error.message.replace(secret, HIDDEN).into();
            }
        }
        error
    }
}

type Members = BTreeMap<String, Box<RawValue>>;

/// Puts what is stored where a request's body has [`HIDDEN`]. Values that are not touched stay as they are written; a body
/// that cannot be read is left to whoever says what is wrong with it.
pub(crate) async fn restore(api: &Api, place: ConfigAt, call: &mut Call) -> Result<Kept, RestError> {
    let Ok(mut body) = serde_json::from_slice::<Members>(&call.body) else {
        return Ok(Kept::default());
    };
    let config = match place {
        ConfigAt::Body => Some(body.clone()),
        ConfigAt::Member => body.get("config").and_then(|raw| serde_json::from_str(raw.get()).ok()),
    };
    let Some(mut config) = config else {
        return Ok(Kept::default());
    };
    let is_hidden = |key: &str, value: &RawValue| is_secret(key) && text(value).as_deref() == Some(HIDDEN);
    let hidden = config.iter().filter(|(key, value)| is_hidden(key, value));
    let hidden: Vec<String> = hidden.map(|(key, _)| key.clone()).collect();
    if hidden.is_empty() {
        return Ok(Kept::default());
    }
    let name = match place {
        ConfigAt::Member => body.get("name").and_then(|raw| text(raw)),
        ConfigAt::Body => call
            .connector()
            .or_else(|| config.get("name").and_then(|raw| text(raw))),
    };
    let stored = stored(api, name.unwrap_or_default().trim()).await?;
    let mut kept = Kept::default();
    for key in hidden {
        let Some(Some(value)) = stored.get(&key) else {
            return Err(RestError::bad_request(format!(
                "The value of {key} is {HIDDEN}, and nothing is stored that it could stand for"
            )));
        };
        config.insert(key, raw(value));
        kept.0.push(value.clone());
    }
    // What is a piece of another must not spoil it.
    kept.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let written = match place {
        ConfigAt::Body => serde_json::to_vec(&config),
        ConfigAt::Member => {
            body.insert("config".to_owned(), raw(&config));
            serde_json::to_vec(&body)
        }
    };
    call.body = written.expect("the keys are texts").into();
    Ok(kept)
}

async fn stored(api: &Api, name: &str) -> Result<RawConfig, RestError> {
    match api.herder.connector_config(name).await {
        Ok(config) => Ok(Arc::unwrap_or_clone(config)),
        Err(RequestError::NotFound(_)) => Ok(RawConfig::new()),
        Err(error) => Err(RestError::of_request(&error, true)),
    }
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("the keys are texts")
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_keys() {
        for key in [
            "ssl.key.password",
            "source.cluster.ssl.truststore.password",
            "producer.override.sasl.jaas.config",
            "ssl.keystore.key",
            "target.cluster.sasl.oauthbearer.client.credentials.client.secret",
            "aws.secret.access.key",
            "connection.password",
            "API.KEY",
            "dbPassword",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "name",
            "topics",
            "key.converter",
            "ssl.keystore.location",
            "sasl.oauthbearer.token.endpoint.url",
            "sasl.mechanism",
            "ssl.keystore.type",
            "message.key",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn a_variable_alone_is_shown() {
        let config = [
            ("password", Some("geheim")),
            ("b.password", Some("${file:/x:y}")),
            ("c.password", Some("${file:/x:y}geheim")),
            ("d.password", Some("${a:b}${c:d}")),
            ("e.password", Some("")),
            ("f.password", None),
            ("topics", Some("geheim")),
        ];
        let config = config.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        let masked = mask(RawConfig::from(config));
        let shown: Vec<_> = masked.values().map(Option::as_deref).collect();
        assert_eq!(
            shown,
            [
                Some("${file:/x:y}"),
                Some("[hidden]"),
                Some("[hidden]"),
                Some(""),
                None,
                Some("[hidden]"),
                Some("geheim")
            ]
        );
    }

    #[test]
    fn what_was_kept_is_in_no_error() {
        let kept = Kept(vec!["geheimnis".to_owned(), "geheim".to_owned()]);
        let shown = kept.hide(RestError::bad_request("{a=geheimnis, b=geheim}"));
        assert_eq!(shown.message, "{a=[hidden], b=[hidden]}");
        assert_eq!(kept.hide(RestError::bad_request("b")).message, "b");
    }
}
