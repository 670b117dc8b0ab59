//! Logging in over a scripted connection: what goes over the wire, and what must not.

use config_def::Props;
use kafka_protocol::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::ErrorCode;
use proptest::prelude::*;

use super::*;
use crate::config::ClientConfig;

const HANDSHAKE: i16 = ApiKey::SaslHandshake as i16;
const AUTHENTICATE: i16 = ApiKey::SaslAuthenticate as i16;
const PLAIN: &str = r#"plain.PlainLoginModule required username="alice" password="geheim";"#;

fn login_options(mechanism: &str, jaas: &str) -> ConnectionOptions {
    let jaas = format!("org.apache.kafka.common.security.{jaas}");
    let settings = [
        ("bootstrap.servers", "kafka:9092"),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", mechanism),
        ("sasl.jaas.config", &jaas),
    ];
    let props: Props = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    ConnectionOptions {
        security: ClientConfig::parse(&props).expect("it is valid").security,
        ..options()
    }
}

fn handshake_answer(code: ErrorCode) -> Bytes {
    let mut body = BytesMut::new();
    SaslHandshakeResponse::default()
        .with_error_code(code.0)
        .with_mechanisms(vec![StrBytes::from_static_str("SCRAM-SHA-256")])
        .encode(&mut body, 1)
        .expect("it is valid");
    body.freeze()
}

/// With the tagged fields of its flexible header.
fn authenticate_answer(code: ErrorCode, bytes: &[u8], session_ms: i64) -> Bytes {
    let mut body = BytesMut::from(&[0][..]);
    SaslAuthenticateResponse::default()
        .with_error_code(code.0)
        .with_error_message(Some(StrBytes::from_static_str("Authentication failed: so it is")))
        .with_auth_bytes(Bytes::copy_from_slice(bytes))
        .with_session_lifetime_ms(session_ms)
        .encode(&mut body, 2)
        .expect("it is valid");
    body.freeze()
}

impl Peer {
    async fn answer(&mut self, api_key: i16, body: &[u8]) {
        let request = self.receive().await;
        assert_eq!(request.api_key, api_key);
        self.send(request.correlation_id, body).await;
    }
}

async fn open(options: &ConnectionOptions, script: impl AsyncFnOnce(&mut Peer)) -> (Result<Connection, Error>, Peer) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let mut peer = Peer { stream: theirs };
    let opened = tokio::join!(
        Connection::open(Stream::from_io(ours), "kafka:9092".into(), options),
        async {
            peer.answer_api_versions().await;
            script(&mut peer).await;
        }
    );
    (opened.0, peer)
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_on_its_connection_and_nothing_gets_between() {
    let (connection, mut peer) = open(&login_options("PLAIN", PLAIN), async |peer| {
        peer.answer(HANDSHAKE, &handshake_answer(ErrorCode::NONE)).await;
        peer.answer(AUTHENTICATE, &authenticate_answer(ErrorCode::NONE, b"", 100_000))
            .await;
    })
    .await;
    let connection = connection.expect("it is let in");
    let opened = Instant::now();
    for round in 1..=3u32 {
        tokio::time::sleep(Duration::from_secs(80)).await;
        let first = connection.submit(frame(b"before"));
        let before = peer.receive().await;
        let handshake = peer.receive().await;
        assert_eq!(handshake.api_key, HANDSHAKE);
        let share = opened.elapsed().as_secs_f64() / f64::from(round);
        assert!((85.0..=95.5).contains(&share), "after {share} s each");
        let between = connection.submit(frame(b"between"));
        peer.send(before.correlation_id, b"answer").await;
        assert_eq!(&first.await.expect("an answer")[..], b"answer");
        peer.send(handshake.correlation_id, &handshake_answer(ErrorCode::NONE))
            .await;
        peer.answer(AUTHENTICATE, &authenticate_answer(ErrorCode::NONE, b"", 100_000))
            .await;
        let after = peer.receive().await;
        assert_eq!(
            after.api_key,
            ApiKey::Heartbeat as i16,
            "what waited goes out after the login"
        );
        peer.send(after.correlation_id, b"late").await;
        assert_eq!(&between.await.expect("an answer")[..], b"late");
    }
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn renewals_do_not_keep_an_idle_connection_open() {
    let options = ConnectionOptions {
        max_idle: Some(Duration::from_secs(150)),
        ..login_options("PLAIN", PLAIN)
    };
    let (connection, mut peer) = open(&options, async |peer| {
        peer.answer(HANDSHAKE, &handshake_answer(ErrorCode::NONE)).await;
        peer.answer(AUTHENTICATE, &authenticate_answer(ErrorCode::NONE, b"", 100_000))
            .await;
    })
    .await;
    let connection = connection.expect("it is let in");
    let opened = Instant::now();
    peer.answer(HANDSHAKE, &handshake_answer(ErrorCode::NONE)).await;
    peer.answer(AUTHENTICATE, &authenticate_answer(ErrorCode::NONE, b"", 100_000))
        .await;
    let error = connection.closed().await.to_string();
    assert!(error.contains("connections.max.idle.ms"), "{error}");
    assert!(
        (150.0..151.0).contains(&opened.elapsed().as_secs_f64()),
        "{:?}",
        opened.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_ends_the_connection() {
    let (connection, mut peer) = open(&login_options("PLAIN", PLAIN), async |peer| {
        peer.answer(HANDSHAKE, &handshake_answer(ErrorCode::NONE)).await;
        peer.answer(AUTHENTICATE, &authenticate_answer(ErrorCode::NONE, b"", 100_000))
            .await;
    })
    .await;
    let connection = connection.expect("it is let in");
    peer.answer(HANDSHAKE, &handshake_answer(ErrorCode::NONE)).await;
    let waiting = connection.submit(frame(b"waiting"));
    let refusal = authenticate_answer(ErrorCode::SASL_AUTHENTICATION_FAILED, b"", 0);
    peer.answer(AUTHENTICATE, &refusal).await;
    let error = waiting.await.expect_err("it was never sent");
    assert!(matches!(error, Error::Authentication { .. }), "{}", error.chain());
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_hears_why_and_no_secret() {
    for (handshake, authenticate, words) in [
        (
            ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            None,
            "kafka:9092 refused to log in user alice with PLAIN: its listener does not take PLAIN but SCRAM-SHA-256; set sasl.mechanism",
        ),
        (ErrorCode::ILLEGAL_SASL_STATE, None, "its listener expects no login"),
        (
            ErrorCode::NONE,
            Some(ErrorCode::SASL_AUTHENTICATION_FAILED),
            "Authentication failed: so it is; check username and password in sasl.jaas.config",
        ),
    ] {
        let (result, _peer) = open(&login_options("PLAIN", PLAIN), async |peer| {
            peer.answer(HANDSHAKE, &handshake_answer(handshake)).await;
            if let Some(code) = authenticate {
                peer.answer(AUTHENTICATE, &authenticate_answer(code, b"", 0)).await;
            }
        })
        .await;
        let error = result.expect_err("it is refused");
        assert!(
            error.is_security() && error.chain().contains(words),
            "{}",
            error.chain()
        );
        assert!(!format!("{error:?}{}", error.chain()).contains("geheim"));
    }
    assert!(!format!("{:?}", login_options("PLAIN", PLAIN)).contains("geheim"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_acknowledged_and_told() {
    let jaas = r#"oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";"#;
    let (result, _peer) = open(&login_options("OAUTHBEARER", jaas), async |peer| {
        peer.answer(HANDSHAKE, &handshake_answer(ErrorCode::NONE)).await;
        let challenge = br#"{"status":"invalid_token"}"#;
        peer.answer(AUTHENTICATE, &authenticate_answer(ErrorCode::NONE, challenge, 0))
            .await;
        let refusal = authenticate_answer(ErrorCode::SASL_AUTHENTICATION_FAILED, b"", 0);
        peer.answer(AUTHENTICATE, &refusal).await;
    })
    .await;
    let error = result.expect_err("it is refused");
    assert!(
        error.chain().contains("so it is; check the token's lifetime"),
        "{}",
        error.chain()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_a_broker_answers_to_a_login_it_ends(
        wild in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 4),
        nonce in "[rsive=,a-z0-9+/]{0,40}",
        is_wild in 0usize..5,
        mechanism in 0usize..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let options = match mechanism {
            0 => login_options("PLAIN", PLAIN),
            1 => login_options("SCRAM-SHA-512", r#"scram.ScramLoginModule required username="a" password="b";"#),
            _ => login_options("OAUTHBEARER", r#"oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="a";"#),
        };
        runtime.expect("a runtime").block_on(async {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let mut peer = Peer { stream: theirs };
            let script = async {
                peer.answer_api_versions().await;
                let sane = [
                    handshake_answer(ErrorCode::NONE),
                    authenticate_answer(ErrorCode::NONE, nonce.as_bytes(), 0),
                    authenticate_answer(ErrorCode::NONE, nonce.as_bytes(), 0),
                    authenticate_answer(ErrorCode::NONE, b"", 0),
                ];
                for (index, sane) in sane.iter().enumerate() {
                    let body = if index == is_wild { &wild[index] } else { &sane[..] };
                    peer.send(1 + index as i32, body).await;
                }
                peer
            };
            let opened = Connection::open(Stream::from_io(ours), "kafka:9092".into(), &options);
            let _ = tokio::join!(opened, script); // within the request timeout at the latest
        });
    }
}
