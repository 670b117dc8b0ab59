//! What reading and writing large frames costs, without a broker: `cargo run --release -p kafka-client --example connection_speed`.
//! A thread answers every request of the connection with a frame of the given size; shown are MB/s and CPU of this process
//! less the thread's own. With `-- tls` all of it goes over TLS.

#![allow(clippy::print_stdout, reason = "it is a program for people")]
#![allow(clippy::disallowed_methods, reason = "the peer is a plain blocking thread")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use config_def::Props;
use kafka_client::connection::ConnectionOptions;
use kafka_client::{ClientConfig, Connection, Dialer, RequestFrame};
use kafka_protocol::messages::ApiKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const IN_FLIGHT: usize = 3;
const TESTDATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tls-config/testdata/security/test-only-"
);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let over_tls = std::env::args().nth(1).is_some_and(|arg| arg == "tls");
    let mut props = Props::from([("bootstrap.servers".to_owned(), format!("127.0.0.1:{port}"))]);
    if over_tls {
        props.insert("security.protocol".into(), "SSL".into());
        props.insert("ssl.truststore.type".into(), "PEM".into());
        props.insert("ssl.truststore.location".into(), format!("{TESTDATA}ca.pem"));
    }
    let security = ClientConfig::parse(&props)?.security;
    let server = over_tls.then(server).transpose()?;
    std::thread::spawn(move || serve(&listener, server));
    for (direction, answer_bytes, request_bytes) in [
        ("read", 1 << 20, 32),
        ("read", 6 << 20, 32),
        ("read", 3 << 20, 32),
        ("read", 64 << 10, 32),
        ("read", 1 << 10, 32),
        ("write", 32, 1 << 20),
        ("write", 32, 4 << 20),
    ] {
        let stream = Dialer::tcp().dial("127.0.0.1", port).await?;
        let stream = security
            .secure(stream, "127.0.0.1", port, Duration::from_secs(10))
            .await?;
        let connection = Connection::open(stream, "peer".into(), &ConnectionOptions::default()).await?;
        let total = 2usize << 30;
        let size = answer_bytes.max(request_bytes);
        let requests = (total / size).min(200_000);
        let payload = Bytes::from(vec![7u8; request_bytes - 4]);
        let (started, cpu) = (Instant::now(), cpu_ms());
        let mut replies = std::collections::VecDeque::new();
        for _ in 0..requests {
            if replies.len() == IN_FLIGHT {
                let reply: kafka_client::Reply = replies.pop_front().expect("it has some");
                reply.await?;
            }
            let wanted = Bytes::copy_from_slice(&u32::try_from(answer_bytes)?.to_be_bytes());
            replies.push_back(connection.submit(RequestFrame {
                api_key: ApiKey::Heartbeat,
                version: 0,
                body: vec![wanted, payload.clone()],
                timeout: Duration::from_secs(30),
                expects_reply: true,
            }));
        }
        for reply in replies {
            reply.await?;
        }
        let bytes = (requests * size) as f64;
        let elapsed = started.elapsed().as_secs_f64();
        let cpu = (cpu_ms() - cpu) as f64;
        println!(
            "{direction} {size:>8} B: {:>6.0} MB/s, {:>8.0} requests/s, our thread {:>5.3} CPU s/GB, {:>5.1} us/request",
            bytes / elapsed / 1e6,
            requests as f64 / elapsed,
            cpu / 1000.0 / (bytes / 1e9),
            cpu * 1000.0 / requests as f64
        );
    }
    Ok(())
}

/// CPU time of this thread, from Linux's proc file: user and system ticks of 10 ms.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum::<u64>()
        * 10
}

fn server() -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
    let pem = std::fs::read(format!("{TESTDATA}kafka.pem"))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?;
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(&pem)?)?;
    Ok(Arc::new(config))
}

fn serve(listener: &TcpListener, tls: Option<Arc<ServerConfig>>) {
    for stream in listener.incoming().flatten() {
        let _ = stream.set_nodelay(true);
        let _ = match &tls {
            None => answer(stream),
            Some(config) => {
                let session = ServerConnection::new(config.clone()).expect("it was just made");
                answer(StreamOwned::new(session, stream))
            }
        };
    }
}

/// Answers ApiVersions with nothing on offer, and every other request with as many bytes as its body's first four say.
fn answer(mut stream: impl Read + Write) -> std::io::Result<()> {
    let mut frame = vec![0; 8 << 20];
    let answer = vec![0u8; 8 << 20];
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        stream.read_exact(&mut frame[..length])?;
        let word = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"));
        let is_api_versions = frame[..2] == [0, 18];
        let body = if is_api_versions { 16 } else { word(10) as usize };
        let mut header = (body as u32 + 4).to_be_bytes().to_vec();
        header.extend_from_slice(&frame[4..8]);
        if is_api_versions {
            header.extend_from_slice(&[0, 0, 1]); // no error, no keys
            header.extend_from_slice(&answer[..13]);
        } else {
            header.extend_from_slice(&answer[..body.min(64)]);
            stream.write_all(&header)?;
            stream.write_all(&answer[..body.saturating_sub(64)])?;
            continue;
        }
        stream.write_all(&header)?;
    }
}
