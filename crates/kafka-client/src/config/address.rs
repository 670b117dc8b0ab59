//! `host:port`, as in `bootstrap.servers`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A name or an address; IPv6 without its brackets.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// An address from its parts.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Kafka's `Utils.HOST_PORT_PATTERN`: an optional `PROTOCOL://`, a name or a bracketed IPv6 address, a port.
impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || format!("Invalid url in bootstrap.servers: {text}");
        let address = text.split_once("://").map_or(text, |(_listener, address)| address);
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%' | ':');
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(invalid());
        }
        let port = port
            .parse()
            .map_err(|_| format!("Invalid port in bootstrap.servers: {text}"))?;
        Ok(Self::new(host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_kafka_reads_them() {
        let check = |text: &str, expected: Option<(&str, u16)>| {
            let read = text.parse::<HostPort>().ok();
            assert_eq!(read, expected.map(|(host, port)| HostPort::new(host, port)), "{text}");
        };
        check("kafka:9092", Some(("kafka", 9092)));
        check("[::1]:9092", Some(("::1", 9092)));
        check("PLAINTEXT://kafka_1:9092", Some(("kafka_1", 9092)));
        check("kafka", None);
        check("kafka:", None);
        check(":9092", None);
        check("kafka:99999", None);
        check("kaf ka:9092", None);
        assert_eq!(HostPort::new("::1", 9092).to_string(), "[::1]:9092");
    }
}
