//! TLS to a broker: settings into a rustls configuration, and a handshake whose failure a person understands.

mod certificate;
mod jks;
mod pem;
mod settings;
mod stores;
#[cfg(test)]
pub(crate) mod tests;
mod verify;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use config_def::{ConfigErrors, Values};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio_rustls::TlsConnector;

use self::settings::TlsSettings;
use self::verify::{Distrust, Verifier};
use crate::dial::Stream;
use crate::error::Error;

/// How to put TLS over connections to one cluster.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: Arc<TlsSettings>,
    loaded: Mutex<Option<Loaded>>,
}

/// What the files held when they were last read.
#[derive(Debug)]
struct Loaded {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// When a file was changed and how long it is; `None` if it cannot be seen.
type Stamp = Option<(SystemTime, u64)>;

impl Tls {
    /// Reads what a table with `ssl.*` has parsed. Files are looked at when a connection is made.
    pub(crate) fn from_values(values: &Values) -> Result<Self, ConfigErrors> {
        Ok(Self {
            settings: Arc::new(TlsSettings::from_values(values)?),
            loaded: Mutex::default(),
        })
    }

    /// Shakes hands over `stream`.
    pub(crate) async fn connect(
        &self,
        stream: Stream,
        host: &str,
        port: u16,
        within: Duration,
    ) -> Result<Stream, Error> {
        let address = || -> Arc<str> { format!("{host}:{port}").into() };
        let failed = |problem: String| Error::Tls {
            address: address(),
            problem: problem.into(),
        };
        let name = host.trim_matches(['[', ']']);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| failed(format!("{name} is no name that a certificate could be for")))?;
        let config = self.config().await.map_err(failed)?;
        let handshake = TlsConnector::from(config).connect(server_name, stream);
        match tokio::time::timeout(within, handshake).await {
            Ok(Ok(stream)) => Ok(Stream::from_io(stream)),
            Ok(Err(error)) => Err(match explain(&error) {
                Some(problem) => failed(problem),
                None => Error::ClosedInHandshake {
                    broker: address(),
                    source: Arc::new(error),
                },
            }),
            Err(_elapsed) => Err(failed(format!(
                "it did not answer within {} ms; check that this is the port of a TLS listener",
                within.as_millis()
            ))),
        }
    }

    /// The configuration in force. Files that have changed since are read again; if they cannot be used, what was read
    /// before stays in force.
    async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let gone = |_| "the client is shutting down".to_owned();
        let settings = self.settings.clone();
        let stamps = tokio::task::spawn_blocking(move || stamps(&settings.files()))
            .await
            .map_err(gone)?;
        if let Some(loaded) = self.loaded().as_ref().filter(|loaded| loaded.stamps == stamps) {
            return Ok(loaded.config.clone());
        }
        let settings = self.settings.clone();
        let result = tokio::task::spawn_blocking(move || load(&settings))
            .await
            .map_err(gone)?;
        let mut loaded = self.loaded();
        let config = match (result, loaded.as_ref()) {
            (Ok(config), None) => Arc::new(config),
            (Ok(config), Some(_)) => {
                tracing::info!("certificates have changed and were read again");
                Arc::new(config)
            }
            (Err(problem), Some(old)) => {
                tracing::warn!(
                    problem,
                    "certificates have changed and cannot be used; those read before stay in force"
                );
                old.config.clone()
            }
            (Err(problem), None) => return Err(problem),
        };
        *loaded = Some(Loaded {
            stamps,
            config: config.clone(),
        });
        Ok(config)
    }

    fn loaded(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let seen = std::fs::metadata(path).ok()?;
        Some((seen.modified().ok()?, seen.len()))
    };
    files.iter().map(stamp).collect()
}

fn load(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let mut provider = provider()?;
    if !settings.cipher_suites.is_empty() {
        choose_suites(&mut provider, &settings.cipher_suites)?;
    }
    let verifier = Verifier {
        trust: stores::trust(settings)?,
        verifies_host: settings.verifies_host,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&settings.versions)
        .map_err(|error| format!("ssl.enabled.protocols and ssl.cipher.suites leave nothing to speak: {error}"))?
        .dangerous() // as rustls calls any verifier but its own
        .with_custom_certificate_verifier(Arc::new(verifier));
    match stores::identity(settings)? {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|error| {
                format!("our private key or certificate cannot be used: {error}; see ssl.keystore.location")
            }),
    }
}

/// Java's names are those of IANA; rustls writes those of TLS 1.3 with `TLS13_`.
fn choose_suites(provider: &mut CryptoProvider, wanted: &[String]) -> Result<(), String> {
    let java_name = |suite: &rustls::SupportedCipherSuite| {
        let name = suite.suite().as_str().unwrap_or_default();
        name.replacen("TLS13_", "TLS_", 1)
    };
    for name in wanted {
        if !provider.cipher_suites.iter().any(|suite| java_name(suite) == *name) {
            tracing::warn!("ssl.cipher.suites names {name}, which is not supported and not offered");
        }
    }
    let known: Vec<String> = provider.cipher_suites.iter().map(java_name).collect();
    provider
        .cipher_suites
        .retain(|suite| wanted.contains(&java_name(suite)));
    match provider.cipher_suites.is_empty() {
        true => Err(format!(
            "none of ssl.cipher.suites is supported; there are {}",
            known.join(", ")
        )),
        false => Ok(()),
    }
}

/// The cryptography: graviola where the CPU can run it.
fn provider() -> Result<CryptoProvider, String> {
    match graviola_runs() {
        true => Ok(rustls_graviola::default_provider()),
        #[cfg(feature = "tls-ring")]
        false => Ok(rustls::crypto::ring::default_provider()),
        #[cfg(not(feature = "tls-ring"))]
        false => Err(
            "this CPU lacks instructions that TLS needs here (x86-64: AES, PCLMULQDQ, AVX2, BMI1, ADX; ARM: NEON, AES, PMULL, SHA2); \
             a build with the feature tls-ring does without"
                .into(),
        ),
    }
}

/// What graviola demands; it panics otherwise.
fn graviola_runs() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("aes")
            && std::is_x86_feature_detected!("pclmulqdq")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("adx")
            && std::is_x86_feature_detected!("avx")
            && std::is_x86_feature_detected!("avx2")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull")
            && std::arch::is_aarch64_feature_detected!("sha2")
    }
}

/// What a TLS error means; `None` if it is none, but trouble with the connection.
pub(crate) fn explain(error: &io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))
            if other.0.downcast_ref::<Distrust>().is_some() =>
        {
            other.0.to_string()
        }
        rustls::Error::AlertReceived(alert) => explain_alert(*alert),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS; check the port, or set security.protocol to PLAINTEXT or SASL_PLAINTEXT".into()
        }
        rustls::Error::PeerIncompatible(why) => {
            format!("it speaks no TLS that we speak ({why:?}); see ssl.enabled.protocols and ssl.cipher.suites")
        }
        other => other.to_string(),
    })
}

fn explain_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of ours and got none; set ssl.keystore.location".into()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => format!(
            "it does not take our certificate ({alert:?}), or wants one and got none; see ssl.keystore.location, and the broker's \
             ssl.truststore.location and ssl.client.auth"
        ),
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => {
            format!(
                "it ended the handshake ({alert:?}): no TLS version or cipher suite in common, or it wants a certificate of ours; \
                 see ssl.enabled.protocols, ssl.cipher.suites and ssl.keystore.location"
            )
        }
        other => format!("it ended the handshake ({other:?})"),
    }
}
