//! TLS to a broker: a handshake whose failure a person understands.

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use config_def::{ConfigErrors, Values};
use rustls::pki_types::ServerName;
use tls_config::{ClientTls, Peer, TlsSettings};
use tokio::io::BufReader;
use tokio_rustls::TlsConnector;

use crate::dial::Stream;
use crate::error::Error;

/// rustls asks for 4 KiB at a time. It gets them from here, where they come by the system call in larger pieces. Memory
/// that nothing was read into costs nothing.
const READ_AHEAD_BYTES: usize = 128 * 1024;

/// How to put TLS over connections to one cluster.
#[derive(Debug)]
pub(crate) struct Tls(ClientTls);

impl Tls {
    /// Reads what a table with `ssl.*` has parsed. Files are looked at when a connection is made.
    pub(crate) fn from_values(values: &Values) -> Result<Self, ConfigErrors> {
        Ok(Self(ClientTls::client(TlsSettings::of_client(values)?)))
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
        let config = self.0.current().await.map_err(failed)?;
        let stream = BufReader::with_capacity(READ_AHEAD_BYTES, stream);
        let handshake = TlsConnector::from(config).connect(server_name, stream);
        match tokio::time::timeout(within, handshake).await {
            // rustls's own limit of what waits to be written stays, 64 KiB: 256 cost a tenth more CPU time, glibc giving back
            // and fetching the same pages.
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
}

/// What a TLS error means; `None` if it is none, but trouble with the connection.
pub(crate) fn explain(error: &io::Error) -> Option<String> {
    tls_config::explain(error, Peer::Broker)
}
