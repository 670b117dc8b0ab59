//! `listeners` and `admin.listeners`: where the server can be reached.

use std::{fmt, io, net::IpAddr};

/// How a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Https,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// `proto://[host]:port`; no host means every address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) protocol: Protocol,
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
}

impl Listener {
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        let (protocol, address) = url.split_once("://").ok_or("it is not <protocol>://[host]:<port>")?;
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "http" => Protocol::Http,
            "https" => Protocol::Https,
            _ => return Err("listeners speak http or https"),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or("it has no port")?;
        let port = port.parse().map_err(|_| "its port is not a number from 0 to 65535")?;
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = in_brackets.unwrap_or(host);
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if in_brackets.is_none() && !host.bytes().all(is_host) {
            return Err("its host is not a host name or an address");
        }
        let host = Some(host).filter(|host| !host.is_empty()).map(str::to_owned);
        Ok(Self { protocol, host, port })
    }

    /// Listens.
    pub(crate) async fn bind(&self) -> io::Result<tokio::net::TcpListener> {
        if let Some(host) = &self.host {
            return tokio::net::TcpListener::bind((host.as_str(), self.port)).await;
        }
        // Takes IPv4 too, where there is IPv6 at all.
        match tokio::net::TcpListener::bind(("::", self.port)).await {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            Err(_) => tokio::net::TcpListener::bind(("0.0.0.0", self.port)).await,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().map(in_url).unwrap_or_default();
        write!(f, "{}://{host}:{}", self.protocol, self.port)
    }
}

/// A host as it stands in a URL.
pub(crate) fn in_url(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

/// An address of this machine for others (`InetAddress.getLocalHost`): what its own name resolves to, or what it would
/// speak to the outside from.
pub(crate) async fn local_address() -> String {
    let name = tokio::fs::read_to_string("/proc/sys/kernel/hostname")
        .await
        .unwrap_or_default();
    if let Ok(mut addresses) = tokio::net::lookup_host((name.trim(), 0)).await
        && let Some(address) = addresses.find(|address| !address.ip().is_unspecified())
    {
        return address.ip().to_string();
    }
    outgoing_address()
        .await
        .map_or_else(|_| "127.0.0.1".to_owned(), |address| address.to_string())
}

/// Asks the kernel which address it would send from; connecting a datagram socket sends nothing.
async fn outgoing_address() -> io::Result<IpAddr> {
    let socket = tokio::net::UdpSocket::bind(("0.0.0.0", 0)).await?;
    socket.connect(("192.0.2.1", 9)).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, host: Option<&str>, port: u16) {
        let listener = Listener::parse(url).expect(url);
        assert_eq!((listener.host.as_deref(), listener.port), (host, port));
    }

    #[test]
    fn listeners_are_urls() {
        check("http://:8083", None, 8083);
        check("HTTP://localhost:0", Some("localhost"), 0);
        check("http://[::1]:8083", Some("::1"), 8083);
        check("http://0.0.0.0:8083/", Some("0.0.0.0"), 8083);
        for bad in [
            "",
            ":8083",
            "http://localhost",
            "http://localhost:x",
            "http://localhost:65536",
            "ftp://localhost:1",
            "http://a/b:1",
            "http://::1:8083",
        ] {
            assert!(Listener::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Listener::parse("http://[::1]:80").expect("good").to_string(),
            "http://[::1]:80"
        );
    }
}
