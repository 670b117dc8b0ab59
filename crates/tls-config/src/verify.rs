//! Whether a peer is who it should be: rustls's checks, with what Java allows besides.
//!
//! Java trusts a certificate that stands in the trust store itself, whatever kind it is; it takes the common name where a
//! certificate has no DNS names; and `ssl.endpoint.identification.algorithm=` takes any name. The chain is always checked.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use crate::certificate::{Facts, facts};
use crate::{
    settings::{ClientAuth, Peer},
    stores::Trust,
};

#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) trust: Trust,
    pub(crate) verifies_host: bool,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    pub(crate) peer: Peer,
}

/// Why a certificate was not taken, and what to do.
#[derive(Debug)]
pub(crate) struct Distrust(pub(crate) String);

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Distrust {}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, server_name, now)
            .map_err(|error| {
                let facts = facts(end_entity).unwrap_or_default();
                let text = self.explain(&error, &facts, &server_name.to_str());
                CertificateError::Other(OtherError(Arc::new(Distrust(text)))).into()
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Peer {
    fn noun(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Worker => "worker",
        }
    }

    fn where_its_name_is_set(self) -> &'static str {
        match self {
            Self::Broker => "bootstrap.servers, the broker's advertised.listeners",
            Self::Worker => "the worker's rest.advertised.host.name",
        }
    }
}

impl Verifier {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        if !self.trust.certificates.iter().any(|trusted| trusted == end_entity) {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.trust.roots, intermediates, now, algorithms)?;
        }
        if self.verifies_host {
            verify_server_name(&parsed, server_name).or_else(|error| {
                match common_name_matches(end_entity, server_name) {
                    true => Ok(()),
                    false => Err(error),
                }
            })?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn explain(&self, error: &Error, facts: &Facts, host: &str) -> String {
        let Facts {
            subject,
            issuer,
            alternative_names,
            not_before,
            not_after,
            version,
            ..
        } = facts;
        let peer = self.peer.noun();
        let Error::InvalidCertificate(problem) = error else {
            return format!("the {peer}'s certificate {subject} is not taken: {error}");
        };
        let is_unknown = match problem {
            CertificateError::UnknownIssuer => true,
            // Signed by itself and marked as a CA, which may not be a server unless it stands in the trust store.
            CertificateError::Other(_) => *version >= 3 && subject == issuer,
            _ => false,
        };
        match problem {
            _ if is_unknown => format!(
                "the {peer}'s certificate {subject} was signed by {issuer}, which is not trusted: it is not among the {} \
                 certificates of {}; add that CA, see ssl.truststore.location",
                self.trust.roots.len(),
                self.trust.place
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the {peer}'s certificate {subject}, or one that signed it, has expired (its own end: {not_after}); renew \
                 it there, and check this machine's clock"
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the {peer}'s certificate {subject}, or one that signed it, is not valid yet (its own start: {not_before}); \
                 check this machine's clock"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                let names = match alternative_names.is_empty() {
                    true => "has no subject alternative name".to_owned(),
                    false => format!("is for {}", alternative_names.join(", ")),
                };
                format!(
                    "the {peer}'s certificate {subject} {names} and not for {host}; connect by a name that it has \
                     ({}), give it the subject alternative name {host}, or \
                     set ssl.endpoint.identification.algorithm to nothing",
                    self.peer.where_its_name_is_set()
                )
            }
            _ if *version < 3 => format!(
                "the {peer}'s certificate {subject} is X.509 version {version}, which is not supported; sign it again as \
                 version 3, as with `openssl x509 -req … -extfile` and a subjectAltName"
            ),
            other => format!("the {peer}'s certificate {subject}, signed by {issuer}, is not taken: {other}"),
        }
    }
}

/// Java's `HostnameChecker`: where there is no DNS name among the alternative names, the common name counts, for host names.
fn common_name_matches(certificate: &CertificateDer<'_>, server_name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(host) = server_name else {
        return false;
    };
    let Some(facts) = facts(certificate).filter(|facts| !facts.has_dns_name) else {
        return false;
    };
    let Some(pattern) = facts.common_name else { return false };
    name_matches(&pattern, host.as_ref())
}

/// A wildcard stands for the whole first label.
fn name_matches(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((_first, rest))) => domain.contains('.') && domain.eq_ignore_ascii_case(rest),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(host),
    }
}

/// Whether clients are who they say. A certificate that stands in the trust store itself is taken whatever kind it is, as in
/// Java.
pub(crate) fn client_verifier(
    trust: Trust,
    wanted: ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let place = trust.place;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(trust.roots), provider);
    let builder = match wanted {
        ClientAuth::Required => builder,
        ClientAuth::Requested | ClientAuth::None => builder.allow_unauthenticated(),
    };
    let by_roots = builder
        .build()
        .map_err(|error| format!("{place} cannot be used to check clients: {error}"))?;
    Ok(Arc::new(ClientVerifier {
        certificates: trust.certificates,
        by_roots,
    }))
}

#[derive(Debug)]
struct ClientVerifier {
    certificates: Vec<CertificateDer<'static>>,
    by_roots: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.by_roots.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.by_roots.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.certificates.iter().any(|trusted| trusted == end_entity) {
            true => Ok(ClientCertVerified::assertion()),
            false => self.by_roots.verify_client_cert(end_entity, intermediates, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_match_whole_labels() {
        for (pattern, host, matches) in [
            ("kafka-1", "kafka-1", true),
            ("Kafka-1.Example.com", "kafka-1.example.com", true),
            ("*.example.com", "kafka-1.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", false),
            ("*", "kafka", false),
            ("kafka", "kafka-1", false),
        ] {
            assert_eq!(name_matches(pattern, host), matches, "{pattern} and {host}");
        }
    }
}
