//! `listeners.https.*` and `admin.listeners.https.*`: how REST listeners speak TLS, and how other workers are asked.

use std::sync::Arc;

use config_def::{ConfigDef, ConfigError, ConfigErrors, Props, security, with_prefix_stripped};
use connect_runtime::config::REST_CONFIG_DEF;
use tls_config::{ClientAuth, ClientTls, ServerTls, TlsSettings};

const LISTENERS: &str = "listeners.https.";
const ADMIN_LISTENERS: &str = "admin.listeners.https.";
const CLIENT_AUTH: &str = "ssl.client.auth";

static CONFIG_DEF: ConfigDef = ConfigDef::new(&[security::SSL]);

/// How the worker asks others over https, or why it cannot.
pub(crate) type OtherWorkersTls = Result<Arc<ClientTls>, Arc<str>>;

/// For `listeners`.
pub(crate) fn of_listeners(props: &Props) -> Result<ServerTls, ConfigErrors> {
    settings(props, LISTENERS).map(ServerTls::server)
}

/// For `admin.listeners`.
pub(crate) fn of_admin_listeners(props: &Props) -> Result<ServerTls, ConfigErrors> {
    settings(props, ADMIN_LISTENERS).map(ServerTls::server)
}

/// For requests to other workers. Settings that cannot be used matter only to whoever is asked over https (KAFKA-14816).
pub(crate) fn of_other_workers(props: &Props) -> OtherWorkersTls {
    match settings(props, LISTENERS) {
        Ok(settings) => Ok(Arc::new(ClientTls::client(settings))),
        Err(errors) => Err(errors.to_string().into()),
    }
}

/// Keys with the prefix, or the worker's own `ssl.*` if there are none at all: never both.
fn settings(props: &Props, prefix: &str) -> Result<TlsSettings, ConfigErrors> {
    let with_prefix = with_prefix_stripped(props, prefix);
    if with_prefix.is_empty() {
        return read(props);
    }
    let named = |error: ConfigError| {
        let message = format!("{} (all keys of this listener begin with {prefix})", error.message);
        ConfigError::new(format!("{prefix}{}", error.name), message)
    };
    read(&with_prefix).map_err(|errors| ConfigErrors(errors.0.into_iter().map(named).collect()))
}

fn read(props: &Props) -> Result<TlsSettings, ConfigErrors> {
    let client_auth = props
        .get(CLIENT_AUTH)
        .map(|value| (CLIENT_AUTH.to_owned(), value.clone()));
    let client_auth = REST_CONFIG_DEF.parse(&client_auth.into_iter().collect())?;
    let client_auth = match client_auth.string(CLIENT_AUTH) {
        "required" => ClientAuth::Required,
        "requested" => ClientAuth::Requested,
        _ => ClientAuth::None, // the table allows nothing else
    };
    TlsSettings::of_rest(&CONFIG_DEF.parse(props)?, client_auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(pairs: &[(&str, &str)]) -> String {
        let props = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        of_listeners(&props).map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    fn one_key_with_the_prefix_hides_all_without() {
        let bad = ("ssl.keystore.type", "BCFKS");
        assert!(errors(&[bad]).contains("Invalid value BCFKS for configuration ssl.keystore.type"));
        assert_eq!(errors(&[bad, ("listeners.https.ssl.keystore.type", "PEM")]), "");
        assert_eq!(errors(&[bad, ("listeners.https.anything", "x")]), "");
        let prefixed = errors(&[("listeners.https.ssl.client.auth", "maybe")]);
        assert!(
            prefixed.contains("maybe") && prefixed.contains("begin with listeners.https."),
            "{prefixed}"
        );
        assert!(errors(&[("ssl.client.auth", "maybe")]).contains("maybe"));
    }

    #[test]
    fn what_only_https_needs_does_not_stop_http() {
        let props = [("ssl.truststore.type".to_owned(), "BCFKS".to_owned())].into();
        assert!(of_other_workers(&props).is_err_and(|why| why.contains("BCFKS")));
    }
}
