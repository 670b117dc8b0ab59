//! What a certificate says of itself, for people.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What messages tell of a certificate.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// The common name, if there is one.
    pub(crate) common_name: Option<String>,
    /// The names and addresses that it is for.
    pub(crate) alternative_names: Vec<String>,
    /// Whether one of them is a DNS name.
    pub(crate) has_dns_name: bool,
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    /// 1 or 3, as people count.
    pub(crate) version: u32,
}

/// More is not worth a line in a log.
const MAX_NAMES: usize = 20;

/// Reads a certificate; `None` if it is none.
pub(crate) fn facts(der: &[u8]) -> Option<Facts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut facts = Facts {
        subject: printable(&certificate.subject().to_string()),
        issuer: printable(&certificate.issuer().to_string()),
        common_name: certificate
            .subject()
            .iter_common_name()
            .last()
            .and_then(|name| name.as_str().ok())
            .map(str::to_owned),
        not_before: certificate.validity().not_before.to_string(),
        not_after: certificate.validity().not_after.to_string(),
        version: certificate.version().0.saturating_add(1),
        ..Facts::default()
    };
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in extension.value.general_names.iter() {
            match name {
                GeneralName::DNSName(name) => {
                    facts.has_dns_name = true;
                    facts.alternative_names.push(printable(name));
                }
                GeneralName::IPAddress(bytes) => facts.alternative_names.push(address(bytes)),
                _ => {}
            }
        }
    }
    facts.alternative_names.truncate(MAX_NAMES);
    Some(facts)
}

/// The subject, or that there is none to be read.
pub(crate) fn describe(der: &[u8]) -> String {
    facts(der).map_or_else(|| "(unreadable)".into(), |facts| facts.subject)
}

fn address(bytes: &[u8]) -> String {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => std::net::Ipv4Addr::from(v4).to_string(),
        (_, Ok(v6)) => std::net::Ipv6Addr::from(v6).to_string(),
        _ => "(an unreadable address)".into(),
    }
}

/// Text from a peer, fit for a log line.
fn printable(text: &str) -> String {
    const ENOUGH: usize = 200;
    text.chars()
        .take(ENOUGH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = super::facts(&bytes);
        }
    }
}
