//! TLS at the beginning of a connection to an https listener.

use tls_config::ServerTls;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Duration, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use super::{LINGER, linger};

/// Who speaks HTTP to an https listener is told so, instead of getting bytes that no HTTP client understands.
const SPEAKS_HTTPS: &str =
    r#"{"error_code":400,"message":"This port speaks https: use a URL that begins with https://"}"#;

/// Shakes hands. Who does something else, or nothing, is left within `limit`.
pub(super) async fn shake_hands(socket: TcpStream, tls: &ServerTls, limit: Duration) -> Option<TlsStream<TcpStream>> {
    match timeout(limit, try_to(socket, tls)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(problem)) => {
            debug!(problem, "a TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            debug!("a client took too long to shake hands");
            None
        }
    }
}

async fn try_to(socket: TcpStream, tls: &ServerTls) -> Result<TlsStream<TcpStream>, String> {
    let mut first = [0];
    let seen = socket.peek(&mut first).await;
    // A handshake begins with 22, HTTP with a method.
    if seen.is_ok_and(|count| count == 1) && first[0].is_ascii_alphabetic() {
        tell(socket).await;
        return Err("the client speaks HTTP".to_owned());
    }
    let config = tls.current().await?;
    let shaken = TlsAcceptor::from(config).accept(socket).await;
    shaken.map_err(|error| error.to_string())
}

async fn tell(mut socket: TcpStream) {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{SPEAKS_HTTPS}",
        SPEAKS_HTTPS.len()
    );
    if socket.write_all(answer.as_bytes()).await.is_ok() {
        let _ = timeout(LINGER.0, linger(socket)).await;
    }
}
