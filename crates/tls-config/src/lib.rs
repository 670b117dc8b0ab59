//! Kafka's `ssl.*` as configurations of rustls: for connections to brokers, for REST listeners, and for requests to other
//! workers.
//!
//! Settings are read at once ([`TlsSettings`]); the files that they name when a connection is made, and again when they
//! have changed ([`Reloaded`]). Key stores and trust stores may be JKS, PKCS12 or PEM. It opens no socket.

mod certificate;
mod jks;
mod pem;
mod provider;
mod reload;
mod settings;
mod stores;
mod trouble;
mod verify;

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use self::{
    provider::provider,
    verify::{Verifier, client_verifier},
};
pub use self::{
    reload::{ClientTls, Reloaded, ServerTls},
    settings::{ClientAuth, Peer, TlsSettings},
    trouble::explain,
};

const NOTHING_TO_SPEAK: &str = "ssl.enabled.protocols and ssl.cipher.suites leave nothing to speak";

/// Reads the files and says how to connect.
fn client(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = provider(&settings.cipher_suites)?;
    let verifier = Verifier {
        trust: stores::trust(settings)?,
        verifies_host: settings.verifies_host,
        algorithms: provider.signature_verification_algorithms,
        peer: settings.peer,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&settings.versions)
        .map_err(|error| format!("{NOTHING_TO_SPEAK}: {error}"))?
        .dangerous() // as rustls calls any verifier but its own
        .with_custom_certificate_verifier(Arc::new(verifier));
    match stores::identity(settings)? {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(unusable_identity),
    }
}

/// Reads the files and says how to be connected to.
fn server(settings: &TlsSettings) -> Result<ServerConfig, String> {
    let provider = Arc::new(provider(&settings.cipher_suites)?);
    let identity =
        stores::identity(settings)?.ok_or("it needs a private key and a certificate; set ssl.keystore.location")?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&settings.versions)
        .map_err(|error| format!("{NOTHING_TO_SPEAK}: {error}"))?;
    let builder = match settings.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        wanted => builder.with_client_cert_verifier(client_verifier(stores::trust(settings)?, wanted, provider)?),
    };
    builder
        .with_single_cert(identity.chain, identity.key)
        .map_err(unusable_identity)
}

fn unusable_identity(error: rustls::Error) -> String {
    format!("our private key or certificate cannot be used: {error}; see ssl.keystore.location")
}
