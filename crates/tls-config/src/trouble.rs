//! What went wrong in a handshake that we began, for people.

use std::io;

use rustls::AlertDescription;

use crate::{settings::Peer, verify::Distrust};

/// What a TLS error means; `None` if it is none, but trouble with the connection.
pub fn explain(error: &io::Error, peer: Peer) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))
            if other.0.downcast_ref::<Distrust>().is_some() =>
        {
            other.0.to_string()
        }
        rustls::Error::AlertReceived(alert) => explain_alert(*alert),
        rustls::Error::InvalidMessage(_) => match peer {
            Peer::Broker => {
                "it does not speak TLS; check the port, or set security.protocol to PLAINTEXT or SASL_PLAINTEXT".into()
            }
            Peer::Worker => "it does not speak TLS; check its listeners and rest.advertised.listener".into(),
        },
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
            "it does not take our certificate ({alert:?}), or wants one and got none; see ssl.keystore.location here, \
             ssl.truststore.location and ssl.client.auth there"
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
