//! How connections to one cluster are secured: TLS, SASL, both or neither, as its settings say.
//!
//! [`Security`] belongs to a [`crate::ClientConfig`], so that clusters keep their certificates and logins apart. Callers do
//! nothing: a connection is secured before anybody gets it. Files are read when a connection is made, not when the
//! configuration is, and read again when they have changed.

mod oauth;
pub(crate) mod sasl;
pub(crate) mod tls;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use config_def::{ConfigErrors, Values};

use self::sasl::Sasl;
use self::tls::Tls;
use crate::dial::Stream;
use crate::error::Error;

/// `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// TCP as it is.
    Plaintext,
    /// TLS; who we are is told by a certificate, if at all.
    Ssl,
    /// TCP as it is, with a login.
    SaslPlaintext,
    /// TLS with a login.
    SaslSsl,
}

/// What a client knows of its cluster's security.
#[derive(Debug)]
pub struct Security {
    protocol: SecurityProtocol,
    tls: Option<Tls>,
    sasl: Option<Sasl>,
}

/// Keys that have an effect, given the right `security.protocol`.
pub(crate) const KEYS_WITH_EFFECT: &[&str] = &[
    "sasl.client.callback.handler.class", // refused by name
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class", // refused by name
    "sasl.login.connect.timeout.ms",
    "sasl.login.read.timeout.ms",
    "sasl.login.refresh.buffer.seconds",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.refresh.window.factor",
    "sasl.login.refresh.window.jitter",
    "sasl.login.retry.backoff.max.ms",
    "sasl.login.retry.backoff.ms",
    "sasl.mechanism",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.header.urlencode",
    "sasl.oauthbearer.jwt.retriever.class",
    "sasl.oauthbearer.jwt.validator.class",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.sub.claim.name",
    "sasl.oauthbearer.token.endpoint.url",
    "security.protocol",
    "ssl.cipher.suites",
    "ssl.enabled.protocols",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.factory.class", // refused by name
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.protocol",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

impl Security {
    /// Plain TCP.
    pub(crate) fn plaintext() -> Self {
        Self {
            protocol: SecurityProtocol::Plaintext,
            tls: None,
            sasl: None,
        }
    }

    /// Reads what a client's table has parsed. Settings that `security.protocol` has no use for are not looked at.
    pub(crate) fn from_values(values: &Values) -> Result<Self, ConfigErrors> {
        let protocol = match values.string("security.protocol").to_ascii_uppercase().as_str() {
            "SSL" => SecurityProtocol::Ssl,
            "SASL_PLAINTEXT" => SecurityProtocol::SaslPlaintext,
            "SASL_SSL" => SecurityProtocol::SaslSsl,
            _ => SecurityProtocol::Plaintext, // the table allows nothing else
        };
        let has_tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl);
        let has_sasl = matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl);
        let tls = has_tls.then(|| Tls::from_values(values)).transpose();
        let sasl = has_sasl.then(|| Sasl::from_values(values)).transpose();
        match (tls, sasl) {
            (Ok(tls), Ok(sasl)) => Ok(Self { protocol, tls, sasl }),
            (tls, sasl) => {
                let found = tls.err().into_iter().chain(sasl.err());
                Err(ConfigErrors(found.flat_map(|errors| errors.0).collect()))
            }
        }
    }

    /// `security.protocol`.
    pub fn protocol(&self) -> SecurityProtocol {
        self.protocol
    }

    /// The user that we log in as, if the settings say it.
    pub fn login_name(&self) -> Option<&str> {
        self.sasl.as_ref()?.user()
    }

    /// Puts TLS over a fresh stream, if it is to be.
    pub async fn secure(&self, stream: Stream, host: &str, port: u16, within: Duration) -> Result<Stream, Error> {
        match &self.tls {
            None => Ok(stream),
            Some(tls) => tls.connect(stream, host, port, within).await,
        }
    }

    /// How to log in, if we are to.
    pub(crate) fn sasl(&self) -> Option<&Sasl> {
        self.sasl.as_ref()
    }
}

/// Reads a small text file; errors name it.
fn read_text(path: &Path, max_bytes: u64) -> Result<String, String> {
    let bytes = read_bytes(path, max_bytes)?;
    String::from_utf8(bytes).map_err(|_| format!("{} is no text", path.display()))
}

fn read_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(format!("{} is larger than {max_bytes} bytes", path.display())),
        false => Ok(bytes),
    }
}
