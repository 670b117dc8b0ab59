//! Tokens from files and from an endpoint over HTTPS, and when they are replaced.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config_def::{ConfigDef, Props, security};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::security::tls::tests::{file, server};

static SASL: ConfigDef = ConfigDef::new(&[security::SASL]);
const HANDLER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";

fn source(settings: &[(&str, &str)], options: &str) -> Result<TokenSource, String> {
    let settings = settings
        .iter()
        .map(|(key, value)| (format!("sasl.{key}"), (*value).to_owned()));
    let props: Props = settings.collect();
    let values = SASL.parse(&props).map_err(|errors| errors.to_string())?;
    let jaas = Jaas::parse(&format!("m required {options};"))?;
    TokenSource::from_values(&values, &jaas).map_err(|error| error.to_string())
}

/// A token that ends so many seconds from now.
fn jwt(seconds: i64) -> String {
    let end = clock::now_ms() / 1000 + seconds;
    let claims = format!("{{\"sub\": \"alice\", \"exp\": {end}}}");
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

async fn token_of(source: &TokenSource) -> Result<String, String> {
    match source.credentials().await {
        Ok(Credentials::Token { token, .. }) => Ok(token.reveal().to_owned()),
        Ok(Credentials::Configured) => Err("no token is needed".into()),
        Err(error) => Err(error.chain()),
    }
}

#[tokio::test]
async fn a_file_is_read_again_when_its_token_grows_old_or_is_refused() {
    let dir = tempfile::tempdir().expect("there is room");
    let path = dir.path().join("token");
    let url = format!("file://{}", path.display());
    let settings = [
        ("login.callback.handler.class", HANDLER),
        ("oauthbearer.token.endpoint.url", &url),
    ];
    let source = source(&settings, "").expect("it is good");
    let missing = token_of(&source).await.expect_err("there is no file");
    assert!(
        missing.contains("no OAuth token from /") && missing.contains("cannot be read"),
        "{missing}"
    );
    let write = |text: &str| std::fs::write(&path, text).expect("there is room");
    let (long, short, other) = (jwt(7200), jwt(3), jwt(3600));
    write(&format!("{long}\n"));
    assert_eq!(token_of(&source).await, Ok(long.clone()));
    write(&short);
    assert_eq!(token_of(&source).await, Ok(long), "it is good for long");
    source.forget().await;
    assert_eq!(token_of(&source).await, Ok(short.clone()), "the other was refused");
    // When it grows old and there is no other, it is used to its end.
    write("nonsense");
    source
        .held
        .lock()
        .await
        .as_mut()
        .expect("a token is held")
        .refresh_at_ms = 0;
    assert_eq!(token_of(&source).await, Ok(short));
    write(&other);
    source
        .held
        .lock()
        .await
        .as_mut()
        .expect("a token is held")
        .refresh_at_ms = 0;
    assert_eq!(token_of(&source).await, Ok(other));
    source.forget().await;
    write(&jwt(-1));
    assert!(
        token_of(&source)
            .await
            .is_err_and(|error| error.contains("the token has expired"))
    );
}

/// Answers one request over TLS with `status` and `body`; gives the request.
async fn answer_once(listener: &TcpListener, status: &str, body: &str) -> String {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut stream = server("kafka.pem", false).accept(stream).await.expect("a handshake");
    let mut request = Vec::new();
    while !request.ends_with(b"grant_type=client_credentials&scope=a+b") {
        let count = stream.read_buf(&mut request).await.expect("a request");
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&request));
    }
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("it is read");
    stream.flush().await.expect("it is read");
    let _ = stream.shutdown().await;
    String::from_utf8(request).expect("it is text")
}

#[tokio::test]
async fn an_endpoint_is_asked_over_https_with_a_trust_store_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let url = format!("https://127.0.0.1:{port}/token?tenant=1");
    let settings = [
        ("login.callback.handler.class", HANDLER),
        ("oauthbearer.token.endpoint.url", &url),
        ("oauthbearer.client.credentials.client.secret", "geheim"),
        ("login.retry.backoff.max.ms", "1000"),
    ];
    let options = format!(
        "clientId=\"us\" clientSecret=\"not this\" scope=\"a b\" extension_logicalCluster=\"lkc\" \
         ssl.truststore.type=\"PEM\" ssl.truststore.location=\"{}\"",
        file("ca.pem").display()
    );
    let source = source(&settings, &options).expect("it is good");
    assert!(!format!("{source:?}").contains("geheim"));
    assert_eq!(&*source.extensions, [("logicalCluster".to_owned(), "lkc".to_owned())]);

    let refused = r#"{"error":"invalid_client"}"#;
    let (token, _) = tokio::join!(token_of(&source), answer_once(&listener, "401 Unauthorized", refused));
    let expected = format!("no OAuth token from https://127.0.0.1:{port}/token: HTTP status 401, invalid_client");
    assert!(
        token.as_ref().is_err_and(|error| error.starts_with(&expected)),
        "{token:?}"
    );

    // What may pass is tried again.
    let good = jwt(3600);
    let answers = async {
        answer_once(&listener, "503 Service Unavailable", "").await;
        answer_once(&listener, "200 OK", &format!("{{\"access_token\": \"{good}\"}}")).await
    };
    let (token, request) = tokio::join!(token_of(&source), answers);
    assert_eq!(token, Ok(good));
    let request = request.to_ascii_lowercase();
    assert!(request.starts_with("post /token?tenant=1 http/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: basic dxm6z2vozwlt\r\n"),
        "us:geheim; {request}"
    );
    assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let url = ("oauthbearer.token.endpoint.url", "https://idp.example/token");
    let handler = ("login.callback.handler.class", HANDLER);
    let jwt_bearer = "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever";
    for (settings, options, words) in [
        (&[][..], "", "unsecuredLoginStringClaim_sub is missing"),
        (&[("login.callback.handler.class", "a.B")], "", "Invalid value a.B"),
        (&[handler], "", "sasl.oauthbearer.token.endpoint.url"),
        (&[handler, url], "", "sasl.oauthbearer.client.credentials.client.id"),
        (
            &[handler, url],
            "clientId=\"a\"",
            "sasl.oauthbearer.client.credentials.client.secret",
        ),
        (
            &[handler, ("oauthbearer.token.endpoint.url", "ldap://x")],
            "",
            "it must begin with https:",
        ),
        (
            &[handler, url, ("oauthbearer.jwt.retriever.class", jwt_bearer)],
            "",
            "supported are DefaultJwtRetriever",
        ),
        (
            &[handler, url, ("oauthbearer.jwt.validator.class", "a.B")],
            "",
            "DefaultJwtValidator",
        ),
        (
            &[],
            "unsecuredLoginStringClaim_sub=\"a\" unsecuredLoginExtension_auth=\"x\"",
            "extension auth is not allowed",
        ),
    ] {
        let error = source(settings, options).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

fn token(issued_ms: Option<i64>, expires_ms: i64) -> Token {
    Token {
        text: Password::new("t"),
        issued_ms,
        expires_ms,
    }
}

#[test]
fn tokens_are_replaced_when_java_replaces_them() {
    let defaults = Refresh {
        window_factor: 0.8,
        window_jitter: 0.05,
        min_period_ms: 60_000,
        buffer_ms: 300_000,
    };
    let hour = 3_600_000;
    assert_eq!(defaults.at(&token(Some(0), hour), 0, 0.0), hour * 8 / 10);
    assert_eq!(defaults.at(&token(Some(0), hour), 0, 1.0), hour * 85 / 100);
    // The buffer comes first: five minutes before the end of a quarter of an hour.
    assert_eq!(defaults.at(&token(Some(0), 900_000), 0, 0.0), 600_000);
    // A token that was issued long ago is replaced after the minimal period.
    assert_eq!(defaults.at(&token(Some(0), hour), 3_200_000, 0.0), 3_260_000);
    // Too short for both: they do not count.
    assert_eq!(defaults.at(&token(Some(0), 100_000), 0, 0.0), 80_000);
    assert_eq!(defaults.at(&token(None, 10_000), 5_000, 0.0), 9_000);
}
