//! `ssl.*` as typed settings, with Kafka's rules on what goes with what.

use std::path::PathBuf;

use config_def::{ConfigError, ConfigErrors, Password, Values};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// Where certificates or keys are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// In the configuration itself, as PEM.
    Inline {
        certificates: Password,
        key: Option<Password>,
    },
    /// In a PEM file.
    Pem(PathBuf),
    /// In a JKS or PKCS12 file. Java opens either under both names, and so do we.
    Store { path: PathBuf, password: Option<Password> },
}

/// Who is at the other end, for rules and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A Kafka broker.
    Broker,
    /// A Connect worker, or a client of its REST API.
    Worker,
}

/// `ssl.client.auth`: whether who connects has to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// It is not asked for one.
    None,
    /// It is asked for one, and may have none.
    Requested,
    /// It must have one.
    Required,
}

/// What a table with `ssl.*` says.
#[derive(Debug)]
pub struct TlsSettings {
    /// `None`: the CAs that the machine trusts.
    pub(crate) truststore: Option<Source>,
    pub(crate) keystore: Option<Source>,
    pub(crate) key_password: Option<Password>,
    pub(crate) verifies_host: bool,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    /// Empty: all.
    pub(crate) cipher_suites: Vec<String>,
    pub(crate) peer: Peer,
    pub(crate) client_auth: ClientAuth,
}

impl TlsSettings {
    /// For connections to brokers.
    pub fn of_client(values: &Values) -> Result<Self, ConfigErrors> {
        Self::from_values(values, Peer::Broker, ClientAuth::None)
    }

    /// For a worker's REST listeners, and its requests to other workers. Without a trust store, the key store says whom to
    /// trust, as Jetty has it: workers that share a key store trust each other.
    pub fn of_rest(values: &Values, client_auth: ClientAuth) -> Result<Self, ConfigErrors> {
        Self::from_values(values, Peer::Worker, client_auth)
    }

    fn from_values(values: &Values, peer: Peer, client_auth: ClientAuth) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        if let Some(class) = values.opt_class("ssl.engine.factory.class") {
            let why = "there is no JVM that could run a class; leave it out";
            errors
                .0
                .push(ConfigError::invalid("ssl.engine.factory.class", class, why));
        }
        let truststore = errors.collect(truststore(values)).flatten();
        let keystore = errors.collect(keystore(values)).flatten();
        let verifies_host = errors.collect(verifies_host(values)).unwrap_or(true);
        let versions = errors.collect(versions(values)).unwrap_or_default();
        let given = values.list("ssl.cipher.suites").iter();
        let cipher_suites = given.filter(|name| !name.is_empty()).cloned().collect();
        errors.into_result(Self {
            truststore,
            keystore,
            key_password: values.opt_password("ssl.key.password").cloned(),
            verifies_host,
            versions,
            cipher_suites,
            peer,
            client_auth,
        })
    }

    /// The files that the settings name.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let sources = [&self.truststore, &self.keystore].into_iter().flatten();
        sources
            .filter_map(|source| match source {
                Source::Inline { .. } => None,
                Source::Pem(path) | Source::Store { path, .. } => Some(path.clone()),
            })
            .collect()
    }
}

fn is_pem(values: &Values, key: &str) -> Result<bool, ConfigError> {
    match values.string(key) {
        kind if kind.eq_ignore_ascii_case("PEM") => Ok(true),
        kind if kind.eq_ignore_ascii_case("JKS") || kind.eq_ignore_ascii_case("PKCS12") => Ok(false),
        kind => Err(ConfigError::invalid(key, kind, "supported are JKS, PKCS12 and PEM")),
    }
}

fn truststore(values: &Values) -> Result<Option<Source>, ConfigError> {
    let is_pem = is_pem(values, "ssl.truststore.type")?;
    let kind = values.string("ssl.truststore.type");
    let inline = values.opt_password("ssl.truststore.certificates");
    let path = values.opt_string("ssl.truststore.location").map(PathBuf::from);
    let password = values.opt_password("ssl.truststore.password").cloned();
    let wrong = |key: &str, why: &str| Err(ConfigError::new(key, why));
    match (inline, path) {
        (Some(_), _) if !is_pem => {
            let why = format!("SSL trust store certs can be specified only for PEM, but trust store type is {kind}.");
            wrong("ssl.truststore.type", &why)
        }
        (Some(_), Some(_)) => wrong(
            "ssl.truststore.location",
            "Both SSL trust store location and separate trust certificates are specified.",
        ),
        _ if is_pem && password.is_some() => wrong(
            "ssl.truststore.password",
            "SSL trust store password cannot be specified for PEM format.",
        ),
        (Some(certificates), None) => Ok(Some(Source::Inline {
            certificates: certificates.clone(),
            key: None,
        })),
        (None, Some(path)) if is_pem => Ok(Some(Source::Pem(path))),
        (None, Some(path)) => Ok(Some(Source::Store { path, password })),
        (None, None) if password.is_some() => wrong(
            "ssl.truststore.password",
            "SSL trust store is not specified, but trust store password is specified.",
        ),
        (None, None) => Ok(None),
    }
}

fn keystore(values: &Values) -> Result<Option<Source>, ConfigError> {
    let is_pem = is_pem(values, "ssl.keystore.type")?;
    let kind = values.string("ssl.keystore.type");
    let key = values.opt_password("ssl.keystore.key").cloned();
    let chain = values.opt_password("ssl.keystore.certificate.chain").cloned();
    let path = values.opt_string("ssl.keystore.location").map(PathBuf::from);
    let password = values.opt_password("ssl.keystore.password").cloned();
    let wrong = |key: &str, why: &str| Err(ConfigError::new(key, why));
    if (key.is_some() || chain.is_some()) && !is_pem {
        let why = format!("SSL private key can be specified only for PEM, but key store type is {kind}.");
        return wrong("ssl.keystore.type", &why);
    }
    match (key, chain, path) {
        (Some(_), _, Some(_)) => wrong(
            "ssl.keystore.location",
            "Both SSL key store location and separate private key are specified.",
        ),
        (Some(_), None, None) => wrong(
            "ssl.keystore.certificate.chain",
            "SSL private key is specified, but certificate chain is not specified.",
        ),
        (None, Some(_), _) => wrong(
            "ssl.keystore.key",
            "SSL certificate chain is specified, but private key is not specified",
        ),
        _ if is_pem && password.is_some() => wrong(
            "ssl.keystore.password",
            "SSL key store password cannot be specified with PEM format, only key password may be specified.",
        ),
        (Some(key), Some(certificates), None) => Ok(Some(Source::Inline {
            certificates,
            key: Some(key),
        })),
        (None, None, Some(path)) if is_pem => Ok(Some(Source::Pem(path))),
        (None, None, Some(_)) if password.is_none() => wrong(
            "ssl.keystore.password",
            "SSL key store is specified, but key store password is not specified.",
        ),
        (None, None, Some(path)) => Ok(Some(Source::Store { path, password })),
        (None, None, None) if password.is_some() => wrong(
            "ssl.keystore.password",
            "SSL key store is not specified, but key store password is specified.",
        ),
        (None, None, None) => Ok(None),
    }
}

fn verifies_host(values: &Values) -> Result<bool, ConfigError> {
    let key = "ssl.endpoint.identification.algorithm";
    match values.opt_string(key).unwrap_or_default() {
        "" => Ok(false),
        name if name.eq_ignore_ascii_case("https") => Ok(true),
        other => Err(ConfigError::invalid(key, other, "supported are https and nothing")),
    }
}

/// `ssl.protocol` names a version for Java's context; what is spoken is in `ssl.enabled.protocols`.
fn versions(values: &Values) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let key = "ssl.enabled.protocols";
    let mut versions = Vec::new();
    for name in values.list(key) {
        match name.as_str() {
            "TLSv1.3" => versions.push(&TLS13),
            "TLSv1.2" => versions.push(&TLS12),
            other => tracing::warn!("{key} names {other}, which is not supported and not offered"),
        }
    }
    match versions.is_empty() && !values.list(key).is_empty() {
        true => {
            let names = values.list(key).join(",");
            Err(ConfigError::invalid(key, names, "supported are TLSv1.2 and TLSv1.3"))
        }
        false if versions.is_empty() => Ok(vec![&TLS13, &TLS12]),
        false => Ok(versions),
    }
}
