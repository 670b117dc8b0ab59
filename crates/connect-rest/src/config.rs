//! What the server is told by the worker's properties (`RestServerConfig`).

use std::sync::Arc;

use config_def::{ConfigDef, ConfigError, ConfigErrors, Props};
use connect_runtime::config::{HeaderRule, REST_CONFIG_DEF, REST_OWN_KEYS, header_rules};
use tls_config::ServerTls;

use crate::{
    cors::Cors,
    listener::{Listener, Protocol},
    login::BASIC_AUTH_EXTENSION,
    tls::{self, OtherWorkersTls},
};

pub(crate) const EXTENSION_CLASSES: &str = "rest.extension.classes";

static OWN_CONFIG_DEF: ConfigDef = ConfigDef::new(&[REST_OWN_KEYS]);

/// The REST server's settings.
#[derive(Debug)]
pub(crate) struct RestConfig {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) admin: Admin,
    pub(crate) advertised_host: Option<String>,
    pub(crate) advertised_port: Option<u16>,
    pub(crate) advertised_protocol: Option<Protocol>,
    pub(crate) cors: Option<Cors>,
    pub(crate) header_rules: Vec<HeaderRule>,
    /// There is one if any of the listeners speaks https.
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) admin_tls: Option<Arc<ServerTls>>,
    pub(crate) other_workers_tls: OtherWorkersTls,
    /// Whether users have to say who they are.
    pub(crate) has_login: bool,
    pub(crate) masks_secrets: bool,
    /// Whether other work is to wait while it is asked.
    pub(crate) goes_first: bool,
}

/// Where the endpoints under `/admin` are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    /// Where all others are.
    Beside,
    /// At listeners of their own. None: nowhere.
    Alone(Vec<Listener>),
}

impl RestConfig {
    /// Reads the settings, or says everything that is wrong with them.
    pub(crate) fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = REST_CONFIG_DEF.parse(props)?;
        let own = OWN_CONFIG_DEF.parse(props)?;
        let mut errors = ConfigErrors::default();
        let listeners = listeners("listeners", values.list("listeners"), &mut errors);
        let admin = match values.opt_list("admin.listeners") {
            None => Admin::Beside,
            Some(urls) => Admin::Alone(self::listeners("admin.listeners", urls, &mut errors)),
        };
        let advertised_protocol = values
            .opt_string("rest.advertised.listener")
            .and_then(|name| match name {
                "http" => Some(Protocol::Http),
                "https" => Some(Protocol::Https),
                _ => {
                    let why = "Must be either http or https.";
                    errors
                        .0
                        .push(ConfigError::invalid("rest.advertised.listener", name, why));
                    None
                }
            });
        if let Some(protocol) = advertised_protocol
            && !listeners.iter().any(|listener| listener.protocol == protocol)
        {
            let why = "There is no listener of this protocol";
            errors
                .0
                .push(ConfigError::invalid("rest.advertised.listener", protocol, why));
        }
        let advertised_port = values.opt_int("rest.advertised.port").and_then(|port| {
            let checked = u16::try_from(port)
                .map_err(|_| ConfigError::invalid("rest.advertised.port", port, "It must be from 0 to 65535"));
            errors.collect(checked)
        });
        let mut has_login = false;
        for class in values.list(EXTENSION_CLASSES) {
            if BASIC_AUTH_EXTENSION.contains(&class.as_str()) {
                has_login = true;
                continue;
            }
            let why = format!(
                "Java extensions of the REST server are not supported, but for {}",
                BASIC_AUTH_EXTENSION[0]
            );
            errors.0.push(ConfigError::invalid(EXTENSION_CLASSES, class, why));
        }
        let speaks_https = |listener: &Listener| listener.protocol == Protocol::Https;
        let tls = listeners.iter().any(speaks_https).then(|| tls::of_listeners(props));
        let admin_urls = match &admin {
            Admin::Beside => &[][..],
            Admin::Alone(listeners) => listeners,
        };
        let admin_tls = admin_urls
            .iter()
            .any(speaks_https)
            .then(|| tls::of_admin_listeners(props));
        let mut usable = |tls: Option<Result<ServerTls, ConfigErrors>>| match tls? {
            Ok(tls) => Some(Arc::new(tls)),
            Err(found) => {
                errors.0.extend(found.0);
                None
            }
        };
        let (tls, admin_tls) = (usable(tls), usable(admin_tls));
        let cors = Cors::parse(
            values.opt_string("access.control.allow.origin").unwrap_or_default(),
            values.opt_string("access.control.allow.methods").unwrap_or_default(),
        );
        let cors = errors.collect(cors).flatten();
        let rules = values.opt_string("response.http.headers.config").unwrap_or_default();
        let header_rules = header_rules(rules).expect("the table's validator has read them");
        errors.into_result(Self {
            listeners,
            admin,
            advertised_host: values
                .opt_string("rest.advertised.host.name")
                .filter(|host| !host.is_empty())
                .map(str::to_owned),
            advertised_port,
            advertised_protocol,
            cors,
            header_rules,
            tls,
            admin_tls,
            other_workers_tls: tls::of_other_workers(props),
            has_login,
            masks_secrets: own.boolean("heliograph.rest.mask.secrets"),
            goes_first: own.boolean("heliograph.rest.priority.enabled"),
        })
    }
}

fn listeners(key: &str, urls: &[String], errors: &mut ConfigErrors) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for url in urls {
        match Listener::parse(url) {
            Ok(listener) => listeners.push(listener),
            Err(why) => errors.0.push(ConfigError::invalid(key, url, why)),
        }
    }
    listeners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<RestConfig, String> {
        let props = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        RestConfig::parse(&props).map_err(|errors| errors.to_string())
    }

    #[test]
    fn without_settings_it_listens_on_8083() {
        let config = parse(&[]).expect("defaults");
        assert_eq!(config.listeners, [Listener::parse("http://:8083").expect("a URL")]);
        assert_eq!(config.admin, Admin::Beside);
        assert!(config.cors.is_none() && config.header_rules.is_empty());
    }

    #[test]
    fn no_admin_listeners_is_not_the_same_as_an_empty_list() {
        let config = parse(&[("admin.listeners", "")]).expect("good");
        assert_eq!(config.admin, Admin::Alone(Vec::new()));
    }

    #[test]
    fn every_fault_names_key_and_value() {
        let faults = [
            ("listeners", "gopher://:8443"),
            ("admin.listeners", "http://localhost"),
            ("rest.advertised.listener", "gopher"),
            ("rest.advertised.port", "70000"),
            ("access.control.allow.origin", "http://("),
            (EXTENSION_CLASSES, "com.example.Auth"),
        ];
        let message = parse(&faults).expect_err("all bad");
        for (key, value) in faults {
            assert!(message.contains(key) && message.contains(value), "{key} in {message}");
        }
        assert!(parse(&[("response.http.headers.config", "set x")]).is_err());
        assert!(
            parse(&[("rest.advertised.listener", "https")])
                .expect_err("none")
                .contains("rest.advertised.listener")
        );
    }
}
