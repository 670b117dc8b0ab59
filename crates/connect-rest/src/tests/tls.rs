//! The server behind TLS, with certificates that `make.sh` of `tls-config` made.

use std::{net::SocketAddr, path::Path, time::Duration};

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use config_def::{ConfigDef, Props, security};
use proptest::prelude::*;
use tls_config::{ClientAuth, ClientTls, TlsSettings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    server::{Running, body_of, exchange, props, request, run, status_of},
    support::Mood,
};
use crate::{client::Client, server::Server, tls::of_other_workers};

const PATIENCE: Duration = Duration::from_secs(60);

fn file(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls-config/testdata/security");
    dir.join(format!("test-only-{name}")).display().to_string()
}

/// `FILE:name` is the path of a test file.
fn with_files(pairs: &[(&str, &str)]) -> Props {
    let value = |value: &str| value.strip_prefix("FILE:").map_or_else(|| value.to_owned(), file);
    pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), value(text)))
        .collect()
}

/// The certificate is for `kafka.test` and 127.0.0.1.
const SERVER: &[(&str, &str)] = &[
    ("ssl.keystore.type", "PEM"),
    ("ssl.keystore.location", "FILE:kafka.pem"),
    ("ssl.truststore.type", "PEM"),
    ("ssl.truststore.location", "FILE:ca.pem"),
];
const CLIENT: &[(&str, &str)] = &[
    ("ssl.keystore.type", "PEM"),
    ("ssl.keystore.location", "FILE:client.pem"),
    ("ssl.truststore.type", "PEM"),
    ("ssl.truststore.location", "FILE:ca.pem"),
];

async fn bind(pairs: &[(&str, &str)]) -> Result<Server, String> {
    let mut all = props(&[("listeners", "https://127.0.0.1:0")]);
    all.extend(with_files(pairs));
    let bound = Server::bind(&all, &Props::new()).await;
    bound.map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

async fn start(pairs: &[(&str, &str)]) -> Running {
    run(bind(pairs).await.expect("it binds"), Mood::Usual, |_, _| {})
}

fn client(pairs: &[(&str, &str)]) -> ClientTls {
    static SSL: ConfigDef = ConfigDef::new(&[security::SSL]);
    let values = SSL.parse(&with_files(pairs)).expect("good settings");
    ClientTls::client(TlsSettings::of_rest(&values, ClientAuth::None).expect("good settings"))
}

/// [`exchange`] over TLS.
async fn exchange_over(tls: &ClientTls, address: SocketAddr, sent: &[u8]) -> Result<String, String> {
    let talk = async {
        let socket = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from("kafka.test").expect("a name");
        let config = tls.current().await?;
        let mut stream = TlsConnector::from(config)
            .connect(name, socket)
            .await
            .map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        // In TLS 1.3 a certificate is refused after the handshake.
        let talked = async {
            stream.write_all(sent).await?;
            stream.flush().await?;
            stream.read_to_end(&mut answer).await
        };
        talked.await.map_err(|error| error.to_string())?;
        String::from_utf8(answer).map_err(|error| error.to_string())
    };
    timeout(PATIENCE, talk).await.expect("it answers and closes")
}

fn get(path: &str) -> Vec<u8> {
    request(&format!("GET {path}"), "", "")
}

#[tokio::test]
async fn every_format_of_key_stores_serves_https() {
    let tls = client(&[CLIENT, &[("ssl.endpoint.identification.algorithm", "")]].concat());
    for keystore in [
        &[
            ("listeners.https.ssl.keystore.type", "PEM"),
            ("listeners.https.ssl.keystore.location", "FILE:kafka.pem"),
        ][..],
        &[
            ("listeners.https.ssl.keystore.location", "FILE:client.jks"),
            ("listeners.https.ssl.keystore.password", "test-only"),
            ("listeners.https.ssl.key.password", "key-test-only"),
        ],
        &[
            ("ssl.keystore.location", "FILE:client.p12"),
            ("ssl.keystore.password", "test-only"),
        ],
    ] {
        for versions in ["TLSv1.2", "TLSv1.3", "TLSv1.2,TLSv1.3"] {
            let prefix = if keystore[0].0.starts_with("listeners") {
                "listeners.https."
            } else {
                ""
            };
            let protocols = format!("{prefix}ssl.enabled.protocols");
            let server = start(&[keystore, &[(&protocols, versions)]].concat()).await;
            assert!(
                server.advertised.starts_with("https://127.0.0.1:"),
                "{}",
                server.advertised
            );
            let answer = exchange_over(&tls, server.address, &get("/connectors"))
                .await
                .expect("an answer");
            assert_eq!((status_of(&answer), body_of(&answer)), (200, "[\"c1\",\"gone\"]"));
        }
    }
}

#[tokio::test]
async fn what_is_created_over_https_is_there_over_https() {
    let server = start(SERVER).await;
    let post = request(
        "POST /connectors",
        "Content-Type: application/json\r\n",
        r#"{"name":"n","config":{}}"#,
    );
    let answer = exchange_over(&client(CLIENT), server.address, &post)
        .await
        .expect("an answer");
    assert_eq!(status_of(&answer), 201, "{answer}");
    assert!(
        answer.contains("location: https://localhost:1/connectors/n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn clients_show_certificates_if_they_are_to() {
    let stranger = &[
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", "FILE:ca.pem"),
    ][..];
    let foreign = &[
        &CLIENT[..1],
        &[("ssl.keystore.location", "FILE:rotated-client.pem")],
        &CLIENT[2..],
    ]
    .concat();
    let trusted_itself = &[
        &CLIENT[..1],
        &[("ssl.keystore.location", "FILE:self.pem")],
        &CLIENT[2..],
    ]
    .concat();
    for (auth, who, is_taken) in [
        ("none", stranger, true),
        ("none", CLIENT, true),
        ("requested", stranger, true),
        ("requested", CLIENT, true),
        ("requested", foreign, false),
        ("required", stranger, false),
        ("required", CLIENT, true),
        ("required", foreign, false),
        ("required", trusted_itself, false),
    ] {
        for versions in ["TLSv1.2", "TLSv1.3"] {
            let more = [("ssl.client.auth", auth), ("ssl.enabled.protocols", versions)];
            let server = start(&[SERVER, &more].concat()).await;
            let answer = exchange_over(&client(who), server.address, &get("/connectors")).await;
            assert_eq!(answer.is_ok(), is_taken, "{auth} {who:?} {versions}: {answer:?}");
        }
    }
    // One that stands in the trust store itself.
    let trusts_it = [
        ("ssl.truststore.location", "FILE:self.pem"),
        ("ssl.client.auth", "required"),
    ];
    let server = start(&[&SERVER[..3], &trusts_it].concat()).await;
    let answer = exchange_over(&client(trusted_itself), server.address, &get("/connectors")).await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn certificates_that_change_are_read_again() {
    let dir = tempfile::tempdir().expect("there is room");
    let place = dir.path().join("server.pem");
    let write = |name: &str| std::fs::copy(file(name), &place).map(drop).expect("there is room");
    write("kafka.pem");
    let path = place.display().to_string();
    let server = start(&[("ssl.keystore.type", "PEM"), ("ssl.keystore.location", &path)]).await;
    let (before, after) = (client(CLIENT), {
        let trust = [
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", "FILE:other-ca.pem"),
        ];
        client(&trust)
    });
    let ask = async |tls: &ClientTls| exchange_over(tls, server.address, &get("/connectors")).await.is_ok();
    assert_eq!((ask(&before).await, ask(&after).await), (true, false));
    write("rotated-kafka.pem");
    assert_eq!((ask(&before).await, ask(&after).await), (false, true));
    std::fs::write(&place, "nonsense").expect("there is room");
    assert_eq!(
        (ask(&before).await, ask(&after).await),
        (false, true),
        "what was read before stays"
    );
}

#[tokio::test]
async fn what_cannot_be_used_stops_the_start() {
    for (settings, words) in [
        (
            &[][..],
            "it needs a private key and a certificate; set ssl.keystore.location",
        ),
        (
            &[
                ("listeners.https.ssl.keystore.type", "PEM"),
                ("listeners.https.ssl.keystore.location", "/nowhere"),
            ],
            "(listeners, listeners.https.ssl.* or ssl.*): ssl.keystore.location: /nowhere cannot be read",
        ),
        (
            &[("listeners.https.ssl.keystore.location", "/x")],
            "key store password is not specified",
        ),
        (
            &[SERVER[0], SERVER[1], ("ssl.cipher.suites", "TLS_NONE")],
            "none of ssl.cipher.suites is supported",
        ),
        (
            &[
                SERVER[0],
                SERVER[1],
                ("admin.listeners", "https://127.0.0.1:0"),
                ("admin.listeners.https.x", "y"),
            ],
            "admin.listeners",
        ),
    ] {
        let error = bind(settings).await.expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn listeners_of_both_kinds_stand_side_by_side() {
    let both = [
        ("listeners", "https://127.0.0.1:0,http://127.0.0.1:0"),
        ("admin.listeners", "https://127.0.0.1:0"),
    ];
    let server = bind(&[SERVER, &both].concat()).await.expect("it binds");
    let (addresses, url) = (server.local_addrs(), server.advertised_url());
    assert_eq!(url, format!("http://{}/", addresses[1]), "http, unless told otherwise");
    let told = [
        both[0],
        both[1],
        ("rest.advertised.listener", "https"),
        ("rest.advertised.host.name", "kafka.test"),
    ];
    let https = bind(&[SERVER, &told].concat()).await.expect("it binds");
    assert_eq!(
        https.advertised_url(),
        format!("https://kafka.test:{}/", https.local_addrs()[0].port())
    );
    assert_eq!(
        https.worker_id(),
        format!("kafka.test:{}", https.local_addrs()[0].port())
    );

    let server = run(server, Mood::Usual, |_, _| {});
    let tls = client(CLIENT);
    let over_tls = exchange_over(&tls, addresses[0], &get("/connectors"))
        .await
        .expect("an answer");
    let plain = exchange(addresses[1], &get("/connectors")).await;
    assert_eq!(body_of(&over_tls), body_of(&plain));
    let admin = exchange_over(&tls, server.admin.expect("apart"), &get("/admin/loggers")).await;
    assert_eq!(status_of(&admin.expect("an answer")), 200);
}

#[tokio::test]
async fn listeners_apart_have_the_same_certificates() {
    for prefix in ["", "listeners.https."] {
        let settings: Vec<(String, &str)> = SERVER
            .iter()
            .map(|(key, value)| (format!("{prefix}{key}"), *value))
            .collect();
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let apart = Server::bind_apart("https://127.0.0.1:0", &with_files(&settings), &Props::new()).await;
        let server = run(apart.expect("it binds"), Mood::Usual, |_, _| {});
        let answer = exchange_over(&client(CLIENT), server.address, &get("/connectors")).await;
        assert_eq!(status_of(&answer.expect("an answer")), 200);
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_or_left() {
    let server = start(SERVER).await;
    for sent in [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /connectors HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    ] {
        let answer = exchange(server.address, sent.as_bytes()).await;
        assert_eq!(status_of(&answer), 400, "{answer}");
        assert!(body_of(&answer).contains("This port speaks https"), "{answer}");
    }
    for garbage in [
        &b"\0\0\0\x0a\0\0"[..],
        &[22, 3, 1, 255, 255, 1, 2],
        &[22, 3, 1, 0, 4, 9, 9, 9, 9],
        &[0x80, 0x2e, 1],
    ] {
        let mut socket = TcpStream::connect(server.address).await.expect("it listens");
        socket.write_all(garbage).await.expect("sent");
        socket.shutdown().await.expect("shut");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, socket.read_to_end(&mut answer))
            .await
            .expect("it closes");
        // An alert, or nothing.
        assert!(
            read.is_err() || answer.is_empty() || answer[0] == 21,
            "{garbage:?}: {answer:?}"
        );
    }
    let answer = exchange_over(&client(CLIENT), server.address, &get("/connectors")).await;
    assert_eq!(status_of(&answer.expect("the server goes on")), 200);
}

/// More than there are places, none of which says anything.
#[tokio::test]
async fn slow_handshakes_give_their_places_back() {
    let server = run(bind(SERVER).await.expect("it binds"), Mood::Usual, |server, _| {
        server.patience.handshake = Duration::from_millis(300);
        server.max_connections = 4;
    });
    let mut silent = Vec::new();
    for count in 0..9 {
        let mut socket = TcpStream::connect(server.address).await.expect("the kernel takes it");
        if count % 2 == 0 {
            socket.write_all(&[22, 3, 1]).await.expect("sent");
        }
        silent.push(socket);
    }
    let answer = exchange_over(&client(CLIENT), server.address, &get("/connectors")).await;
    assert_eq!(status_of(&answer.expect("a place")), 200);
    drop(silent);
}

#[tokio::test]
async fn other_workers_are_asked_over_https() {
    let ask = async |settings: &[(&str, &str)], url: &str| {
        let client = Client::new(of_other_workers(&with_files(settings)));
        let asked = client
            .ask(Method::GET, &format!("{url}connectors"), HeaderMap::new(), Bytes::new())
            .await;
        asked.map(|answer| answer.status).map_err(|error| error.to_string())
    };
    let leader = start(&[SERVER, &[("ssl.client.auth", "required")]].concat()).await;
    assert_eq!(
        ask(SERVER, &leader.advertised).await,
        Ok(200),
        "workers share their settings"
    );
    let prefixed: Vec<(String, &str)> = SERVER
        .iter()
        .map(|(key, value)| (format!("listeners.https.{key}"), *value))
        .collect();
    let prefixed: Vec<(&str, &str)> = prefixed.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(ask(&prefixed, &leader.advertised).await, Ok(200));
    let elsewhere = leader.advertised.replace("127.0.0.1", "localhost");
    let error = ask(SERVER, &elsewhere).await.expect_err("another name");
    assert!(
        error.contains("the worker's certificate CN=kafka is for kafka.test, 127.0.0.1 and not for localhost"),
        "{error}"
    );
    let any_name = [SERVER, &[("ssl.endpoint.identification.algorithm", "")]].concat();
    assert_eq!(ask(&any_name, &elsewhere).await, Ok(200));
    let error = ask(&SERVER[2..], &leader.advertised).await.expect_err("no certificate");
    assert!(
        error.contains(&leader.advertised["https://".len()..leader.advertised.len() - 1]),
        "{error}"
    );
    let stranger = [
        &SERVER[..2],
        &[SERVER[2], ("ssl.truststore.location", "FILE:other-ca.pem")],
    ]
    .concat();
    let error = ask(&stranger, &leader.advertised).await.expect_err("not trusted");
    assert!(
        error.contains("was signed by CN=Test Only CA, which is not trusted"),
        "{error}"
    );
    let error = ask(&[("ssl.keystore.type", "BCFKS")], &leader.advertised)
        .await
        .expect_err("not usable");
    assert!(
        error.contains("TLS with 127.0.0.1:") && error.contains("BCFKS"),
        "{error}"
    );

    // Without a trust store, workers with the same key store trust each other, as with Jetty.
    let shared = [("ssl.keystore.type", "PEM"), ("ssl.keystore.location", "FILE:self.pem")];
    let leader = start(&[&shared[..], &[("ssl.client.auth", "required")]].concat()).await;
    let any_name = [&shared[..], &[("ssl.endpoint.identification.algorithm", "")]].concat();
    assert_eq!(ask(&any_name, &leader.advertised).await, Ok(200));
}

#[tokio::test]
async fn a_follower_forwards_over_https() {
    let leader = start(SERVER).await;
    let url: &'static str = leader.advertised.clone().leak();
    let follower = run(bind(SERVER).await.expect("it binds"), Mood::Follower(url), |_, _| {});
    let put = request("PUT /connectors/x/config", "Content-Type: application/json\r\n", "{}");
    let answer = exchange_over(&client(CLIENT), follower.address, &put)
        .await
        .expect("an answer");
    assert_eq!(status_of(&answer), 201, "{answer}");
    assert_eq!(leader.api.puts.lock().expect("one thread")[0].0, "x");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_instead_of_a_handshake_stop_the_server(
        record in prop_oneof![Just(vec![]), Just(vec![22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3]), Just(vec![21, 3, 3, 0, 2])],
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = start(SERVER).await;
            let mut socket = TcpStream::connect(server.address).await.expect("it listens");
            let _ = socket.write_all(&[record, bytes].concat()).await;
            let _ = socket.shutdown().await;
            let _ = timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await.expect("it closes");
            let answer = exchange_over(&client(CLIENT), server.address, &get("/connectors")).await;
            assert_eq!(status_of(&answer.expect("the server goes on")), 200);
        });
    }
}

#[tokio::test]
async fn health_is_asked_with_the_worker_s_own_certificate() {
    let required = [SERVER, &[("ssl.client.auth", "required")]].concat();
    let server = start(&required).await;
    let settings = |more: &[(&str, &str)]| {
        let mut all = props(&[("listeners", &format!("https://127.0.0.1:{}", server.address.port()))]);
        all.extend(with_files(&required));
        all.extend(props(more));
        all
    };
    let said = crate::ask_health(&settings(&[]), &Props::new())
        .await
        .expect("it is healthy");
    assert!(said.contains("healthy"), "{said}");
    let by_name = settings(&[("rest.advertised.host.name", "kafka.test")]);
    crate::ask_health(&by_name, &Props::new())
        .await
        .expect("the name is the certificate's");
    let other_name = settings(&[("rest.advertised.host.name", "other.test")]);
    let error = crate::ask_health(&other_name, &Props::new())
        .await
        .expect_err("it is for another name");
    assert!(error.to_string().contains("https://other.test:"), "{error}");
}
