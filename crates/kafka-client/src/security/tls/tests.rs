//! Handshakes with a server of rustls's, over certificates that `make.sh` of `tls-config` made with keytool.

use std::path::{Path, PathBuf};

use config_def::{ConfigDef, Props, security};
use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;

static SSL: ConfigDef = ConfigDef::new(&[security::SSL]);
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tls-config/testdata/security")
        .join(format!("test-only-{name}"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).expect("it was made by make.sh")
}

/// `a=b, c=FILE:d`: the second value is the path of a test file.
fn tls(settings: &[(&str, &str)]) -> Result<Tls, ConfigErrors> {
    let value = |value: &str| match value.strip_prefix("FILE:") {
        Some(name) => file(name).display().to_string(),
        None => value.to_owned(),
    };
    let props: Props = settings
        .iter()
        .map(|(key, text)| (format!("ssl.{key}"), value(text)))
        .collect();
    Tls::from_values(&SSL.parse(&props)?)
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("it is PEM")
}

/// A server with the key and certificates of a PEM file; `wants_certificate`: from clients, signed by the test CA.
pub(crate) fn server(name: &str, wants_certificate: bool) -> TlsAcceptor {
    let text = text(name);
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).expect("it is PEM");
    let provider = Arc::new(rustls_graviola::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().expect("they go together");
    let builder = match wants_certificate {
        false => builder.with_no_client_auth(),
        true => {
            let mut roots = RootCertStore::empty();
            roots.add(certificates(&self::text("ca.pem")).remove(0)).expect("a CA");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("it has a root"))
        }
    };
    let config = builder
        .with_single_cert(certificates(&text), key)
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

/// Connects to a server and has a line sent back. The error is the whole chain.
async fn try_connect(tls: &Tls, host: &str, acceptor: TlsAcceptor) -> Result<(), String> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serve = async move {
        let Ok(mut stream) = acceptor.accept(theirs).await else {
            return;
        };
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_ok() {
            let _ = stream.write_all(&byte).await;
            let _ = stream.shutdown().await;
        }
    };
    let connect = async {
        let stream = tls.connect(Stream::from_io(ours), host, 9093, SOON).await;
        let mut stream = stream.map_err(|error| error.chain())?;
        let mut byte = [7];
        let exchange = async {
            stream.write_all(&byte).await?;
            stream.flush().await?;
            stream.read_exact(&mut byte).await
        };
        // In TLS 1.3 a certificate is refused after the handshake.
        exchange
            .await
            .map(drop)
            .map_err(|error| explain(&error).unwrap_or_else(|| error.to_string()))
    };
    tokio::join!(connect, serve).0
}

const TRUST: (&str, &str) = ("truststore.location", "FILE:trust.jks");
const TRUST_PASSWORD: (&str, &str) = ("truststore.password", "test-only");

#[tokio::test]
async fn a_broker_is_believed_or_told_why_not() {
    let jks = &[TRUST, TRUST_PASSWORD][..];
    let any_name = &[TRUST, ("endpoint.identification.algorithm", "")][..];
    let self_signed = &[("truststore.type", "PEM"), ("truststore.location", "FILE:self.pem")][..];
    let other_ca = &[("truststore.type", "PEM"), ("truststore.location", "FILE:other-ca.pem")][..];
    for (settings, server_name, host, refusals) in [
        (jks, "kafka.pem", "kafka.test", &[][..]),
        (jks, "kafka.pem", "127.0.0.1", &[]),
        (any_name, "kafka.pem", "elsewhere.test", &[]),
        (jks, "common-name.pem", "kafka.test", &[]),
        (self_signed, "self.pem", "kafka.test", &[]),
        (
            jks,
            "kafka.pem",
            "elsewhere.test",
            &[
                "TLS with elsewhere.test:9093 failed",
                "CN=kafka is for kafka.test, 127.0.0.1 and not for elsewhere.test",
            ],
        ),
        (
            jks,
            "common-name.pem",
            "127.0.0.1",
            &["CN=kafka.test has no subject alternative name and not for 127.0.0.1"],
        ),
        (
            jks,
            "self.pem",
            "kafka.test",
            &["CN=kafka.test was signed by CN=kafka.test, which is not trusted"],
        ),
        (
            other_ca,
            "kafka.pem",
            "kafka.test",
            &[
                "CN=kafka was signed by CN=Test Only CA, which is not trusted",
                "the 1 certificates of",
                "other-ca.pem",
            ],
        ),
        (
            jks,
            "expired.pem",
            "kafka.test",
            &["CN=expired, or one that signed it, has expired", "Jan  2"],
        ),
        (any_name, "expired.pem", "kafka.test", &["has expired"]),
        (any_name, "self.pem", "kafka.test", &["not trusted"]),
        (jks, "future.pem", "kafka.test", &["CN=future", "is not valid yet"]),
    ] {
        let tls = tls(settings).expect("the settings are good");
        let result = try_connect(&tls, host, server(server_name, false)).await;
        match result {
            Ok(()) => assert!(refusals.is_empty(), "{server_name} at {host} was believed"),
            Err(error) => {
                assert!(!refusals.is_empty(), "{server_name} at {host}: {error}");
                for words in refusals {
                    assert!(error.contains(words), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn our_certificate_is_read_from_every_format() {
    let chain = text("client.pem");
    let key_end = chain.find("-----BEGIN CERT").expect("the key comes first");
    for keystore in [
        &[
            ("keystore.location", "FILE:client.jks"),
            ("keystore.password", "test-only"),
            ("key.password", "key-test-only"),
        ][..],
        &[
            ("keystore.location", "FILE:client.p12"),
            ("keystore.password", "test-only"),
        ],
        &[
            ("keystore.type", "PKCS12"),
            ("keystore.location", "FILE:client.p12"),
            ("keystore.password", "test-only"),
        ],
        &[("keystore.type", "PEM"), ("keystore.location", "FILE:client.pem")],
        &[("keystore.type", "PEM"), ("keystore.location", "FILE:client-sec1.pem")],
        &[
            ("keystore.type", "PEM"),
            ("keystore.location", "FILE:client-encrypted.pem"),
            ("key.password", "key-test-only"),
        ],
        &[
            ("keystore.type", "PEM"),
            ("keystore.key", &chain[..key_end]),
            ("keystore.certificate.chain", &chain[key_end..]),
        ],
    ] {
        for trust in [
            &[TRUST][..],
            &[TRUST, TRUST_PASSWORD],
            &[("truststore.location", "FILE:trust.p12"), TRUST_PASSWORD],
            &[("truststore.type", "PEM"), ("truststore.location", "FILE:ca.pem")],
            &[("truststore.type", "PEM"), ("truststore.certificates", &text("ca.pem"))],
        ] {
            for versions in ["TLSv1.2", "TLSv1.3", "TLSv1.2,TLSv1.3"] {
                let settings = [keystore, trust, &[("enabled.protocols", versions)]].concat();
                let tls = tls(&settings).expect("the settings are good");
                let result = try_connect(&tls, "kafka.test", server("kafka.pem", true)).await;
                assert_eq!(result, Ok(()), "{keystore:?}");
            }
        }
    }
    let without = tls(&[TRUST]).expect("the settings are good");
    let refused = try_connect(&without, "kafka.test", server("kafka.pem", true)).await;
    assert!(
        refused
            .as_ref()
            .is_err_and(|error| error.contains("set ssl.keystore.location")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_the_setting() {
    let wrong_password = ("truststore.password", "geheim");
    let p12 = ("truststore.location", "FILE:trust.p12");
    let keystore = |file| [TRUST, ("keystore.location", file), ("keystore.password", "test-only")];
    for (settings, words) in [
        (
            &[("truststore.location", "/nowhere/x.jks")][..],
            "ssl.truststore.location: /nowhere/x.jks cannot be read: No such file",
        ),
        (
            &[TRUST, wrong_password],
            "test-only-trust.jks: the password is wrong, or the JKS file is damaged; see ssl.truststore.password",
        ),
        (
            &[p12, wrong_password],
            "test-only-trust.p12: the password is wrong, or the PKCS12 file is damaged; see ssl.truststore.password",
        ),
        (&[p12], "cannot be opened without ssl.truststore.password"),
        (
            &[("truststore.location", "FILE:ca.pem")],
            "for PEM set the store's type to PEM",
        ),
        (
            &[("truststore.type", "PEM"), ("truststore.location", "FILE:trust.jks")],
            "is no text",
        ),
        (
            &[("truststore.type", "PEM"), ("truststore.certificates", "x")],
            "ssl.truststore.certificates: it has no PEM certificate",
        ),
        (
            &[("truststore.location", "FILE:client.jks")],
            "has no certificate to trust",
        ),
        (
            &keystore("FILE:client.jks"),
            "the password of key client is wrong; set ssl.key.password",
        ),
        (&keystore("FILE:client.jceks"), "JCEKS file, which is not supported"),
        (&keystore("FILE:trust.jks"), "it has no private key"),
        (
            &[
                TRUST,
                ("keystore.type", "PEM"),
                ("keystore.location", "FILE:client-encrypted.pem"),
            ],
            "its private key is encrypted; set ssl.key.password",
        ),
        (
            &[
                TRUST,
                ("keystore.type", "PEM"),
                ("keystore.location", "FILE:client-encrypted.pem"),
                ("key.password", "geheim"),
            ],
            "ssl.key.password does not open its private key",
        ),
        (
            &[TRUST, ("cipher.suites", "TLS_NONE")],
            "none of ssl.cipher.suites is supported; there are TLS_",
        ),
    ] {
        let tls = tls(settings).expect("the settings look good");
        let error = try_connect(&tls, "kafka.test", server("kafka.pem", false))
            .await
            .expect_err(words);
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused_in_kafkas_words() {
    for (settings, words) in [
        (
            &[("truststore.password", "x")][..],
            "SSL trust store is not specified, but trust store password is specified.",
        ),
        (
            &[("keystore.location", "x")],
            "SSL key store is specified, but key store password is not specified.",
        ),
        (
            &[("keystore.type", "PEM"), ("keystore.key", "x")],
            "SSL private key is specified, but certificate chain is not",
        ),
        (
            &[("truststore.certificates", "x")],
            "can be specified only for PEM, but trust store type is JKS.",
        ),
        (&[("truststore.type", "BCFKS")], "supported are JKS, PKCS12 and PEM"),
        (&[("enabled.protocols", "TLSv1.1")], "supported are TLSv1.2 and TLSv1.3"),
        (&[("engine.factory.class", "a.B")], "no JVM"),
        (
            &[("endpoint.identification.algorithm", "ldaps")],
            "supported are https and nothing",
        ),
    ] {
        let error = tls(settings).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn suites_are_chosen_by_javas_names() {
    for suite in [
        "TLS_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_UNKNOWN,TLS_AES_128_GCM_SHA256",
    ] {
        let tls = tls(&[TRUST, ("cipher.suites", suite)]).expect("the settings are good");
        let result = try_connect(&tls, "kafka.test", server("kafka.pem", false)).await;
        assert_eq!(result, Ok(()), "{suite}");
    }
}

#[tokio::test]
async fn changed_files_are_read_again_and_broken_ones_are_not() {
    let dir = tempfile::tempdir().expect("there is room");
    let path = dir.path().join("trust.pem");
    let write = |text: &str| std::fs::write(&path, text).expect("there is room");
    write(&text("other-ca.pem"));
    let place = path.display().to_string();
    let tls = tls(&[("truststore.type", "PEM"), ("truststore.location", &place)]).expect("the settings are good");
    let connect = async || try_connect(&tls, "kafka.test", server("kafka.pem", false)).await;
    assert!(connect().await.is_err_and(|error| error.contains("not trusted")));
    write(&format!("{}{}", text("other-ca.pem"), text("ca.pem")));
    assert_eq!(connect().await, Ok(()));
    write("nonsense");
    assert_eq!(connect().await, Ok(()), "what was read before stays in force");
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(connect().await, Ok(()));
    write(&text("other-ca.pem"));
    assert!(connect().await.is_err());
}

#[tokio::test]
async fn peers_that_speak_no_tls_are_told() {
    let tls = tls(&[TRUST]).expect("the settings are good");
    for (bytes, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it does not speak TLS"),
        (&[0, 0, 0, 10, 0, 0, 0, 0, 0, 35, 0, 0, 0, 0], "it does not speak TLS"),
        (&[], "closed the connection during the handshake"),
    ] {
        let peer = tokio::io::join(bytes, tokio::io::sink());
        let result = tls.connect(Stream::from_io(peer), "kafka.test", 9093, SOON).await;
        let error = result.expect_err("it is no TLS").chain();
        assert!(error.contains(words), "{error}");
    }
    let (silent, _theirs) = tokio::io::duplex(64 * 1024);
    let error = tls
        .connect(Stream::from_io(silent), "kafka.test", 9093, Duration::from_millis(50))
        .await;
    let error = error.expect_err("it says nothing").chain();
    assert!(error.contains("did not answer within 50 ms"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_from_a_peer_make_a_handshake_panic(
        record in prop_oneof![Just(vec![]), Just(vec![22, 3, 3, 0, 100, 2, 0, 0, 96, 3, 3]), Just(vec![21, 3, 3, 0, 2])],
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let tls = tls(&[("truststore.type", "PEM"), ("truststore.certificates", &text("ca.pem"))]).expect("the settings are good");
        let wire = [record, bytes].concat();
        let peer = tokio::io::join(std::io::Cursor::new(wire), tokio::io::sink());
        let result = runtime.block_on(tls.connect(Stream::from_io(peer), "kafka.test", 9093, SOON));
        prop_assert!(result.is_err());
    }
}
