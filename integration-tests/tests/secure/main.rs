//! Clusters that are secured, each in its own way: what it takes to mirror between them, and what is said when it fails.
//!
//! These need a real Kafka: our own double speaks neither TLS nor SASL.

mod refusals;
mod rights;
mod secrets;

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use integration_tests::{
    Heliograph, Listener, MirrorProperties, PASSWORD, SecureKafka, TestRecord, TokenEndpoint, Topic, USER,
    assert_mirrored, kafka_dist, test_certificate, wait_until,
};
use kafka_wire::Compression;

/// Enough for a start, a discovery and a small copy on two busy cores.
const SOON: Duration = Duration::from_secs(90);
/// So short that a scenario lives through several.
const SESSION: Duration = Duration::from_secs(4);

struct Secured {
    source: SecureKafka,
    target: SecureKafka,
}

/// The pair of this test binary; who holds it is the only one to use it.
static PAIR: Mutex<Option<Secured>> = Mutex::new(None);

fn with_pair(body: impl FnOnce(&mut Secured)) {
    let Some(dist) = kafka_dist() else { return };
    let mut pair: MutexGuard<'_, _> = PAIR.lock().unwrap_or_else(|failed_before: PoisonError<_>| {
        PAIR.clear_poison();
        failed_before.into_inner()
    });
    body(pair.get_or_insert_with(|| Secured {
        source: SecureKafka::start(dist, "secure-source", SESSION),
        target: SecureKafka::start(dist, "secure-target", SESSION),
    }));
}

/// Client settings, without the cluster's alias in front.
type Settings = Vec<(&'static str, String)>;

fn tls_trust() -> Settings {
    vec![
        (
            "ssl.truststore.location",
            test_certificate("trust.jks").display().to_string(),
        ),
        ("ssl.truststore.password", "test-only".to_owned()),
    ]
}

fn tls() -> Settings {
    [vec![("security.protocol", "SSL".to_owned())], tls_trust()].concat()
}

fn mutual_tls() -> Settings {
    let keystore = vec![
        (
            "ssl.keystore.location",
            test_certificate("client.p12").display().to_string(),
        ),
        ("ssl.keystore.password", "test-only".to_owned()),
    ];
    [tls(), keystore].concat()
}

fn sasl(protocol: &str, mechanism: &str, module: &str, options: &str) -> Settings {
    vec![
        ("security.protocol", protocol.to_owned()),
        ("sasl.mechanism", mechanism.to_owned()),
        (
            "sasl.jaas.config",
            format!("org.apache.kafka.common.security.{module} required {options};"),
        ),
    ]
}

fn user(password: &str) -> String {
    format!("username=\"{USER}\" password=\"{password}\"")
}

fn scram(protocol: &str, bits: u32, options: &str) -> Settings {
    sasl(
        protocol,
        &format!("SCRAM-SHA-{bits}"),
        "scram.ScramLoginModule",
        options,
    )
}

fn plain(protocol: &str, options: &str) -> Settings {
    sasl(protocol, "PLAIN", "plain.PlainLoginModule", options)
}

fn oauth(protocol: &str, options: &str) -> Settings {
    sasl(protocol, "OAUTHBEARER", "oauthbearer.OAuthBearerLoginModule", options)
}

/// A flow between two listeners, each with its settings. The properties file is ISO-8859-1.
fn flow(pair: &Secured, alias: &str, source: (Listener, Settings), target: (Listener, Settings)) -> MirrorProperties {
    let servers = (
        pair.source.bootstrap_servers(source.0),
        pair.target.bootstrap_servers(target.0),
    );
    let mut properties = MirrorProperties::new((alias, &servers.0), ("backup", &servers.1), &format!("{alias}-topic"));
    for (cluster, settings) in [(alias, source.1), ("backup", target.1)] {
        for (key, value) in settings {
            properties = properties.set(&format!("{cluster}.{key}"), &value);
        }
    }
    properties
}

fn numbered(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("key-{n}"), n.to_string()))
        .collect()
}

/// Mirrors a topic with this flow, in two goes, with `meanwhile` between them; secrets must not show.
fn mirrors_with(
    pair: &mut Secured,
    alias: &str,
    properties: &MirrorProperties,
    meanwhile: impl FnOnce(&mut Secured, &mut Heliograph),
) {
    let (mut source, mut target) = (pair.source.client(), pair.target.client());
    let topic = format!("{alias}-topic");
    let copy = properties.mirrored(&topic);
    source.create_topic(Topic::new(&topic, 2));
    source.produce(&topic, 0, Compression::Lz4, &numbered(0..50));
    let mut mirror = Heliograph::mirror_maker_logging(alias, properties, "info,kafka_client=debug");
    assert_mirrored(&mut source, &mut target, &topic, &copy, SOON);
    meanwhile(pair, &mut mirror);
    source.produce(&topic, 1, Compression::None, &numbered(50..100));
    assert_mirrored(&mut source, &mut target, &topic, &copy, SOON);
    no_secret_shows(&mut mirror);
    mirror.stop();
}

fn mirrors(pair: &mut Secured, alias: &str, source: (Listener, Settings), target: (Listener, Settings)) {
    let properties = flow(pair, alias, source, target);
    mirrors_with(pair, alias, &properties, |_, _| {});
}

fn no_secret_shows(mirror: &mut Heliograph) {
    let log = mirror.process().log();
    for secret in [PASSWORD, "geheim", "test-only\"", "Basic ", "eyJ"] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

/// Waits until connections to both clusters, or to one, have logged in again.
fn logged_in_again(mirror: &mut Heliograph, times: usize) {
    let process = mirror.process();
    wait_until("logins of connections that were logged in", SOON, || {
        let log = process.log();
        (log.matches("logged in again").count() >= times).then_some(())
    });
    let log = process.log();
    assert!(!log.contains("refused to log in"), "a login failed");
}

#[test]
fn tls_to_mutual_tls() {
    with_pair(|pair| mirrors(pair, "tls", (Listener::Ssl, tls()), (Listener::Mutual, mutual_tls())));
}

#[test]
fn any_host_name_will_do_if_it_is_so_set() {
    with_pair(|pair| {
        let any = [tls(), vec![("ssl.endpoint.identification.algorithm", String::new())]].concat();
        let properties = flow(
            pair,
            "anyname",
            (Listener::Ssl, any),
            (
                Listener::SaslSsl,
                [plain("SASL_SSL", &user(PASSWORD)), tls_trust()].concat(),
            ),
        );
        let servers = format!("localhost:{}", pair.source.port(Listener::Ssl));
        let properties = properties.set("anyname.bootstrap.servers", &servers);
        mirrors_with(pair, "anyname", &properties, |_, _| {});
    });
}

#[test]
fn scram_over_tcp_to_scram_over_tls_with_sessions_that_end() {
    with_pair(|pair| {
        let source = (Listener::SaslPlaintext, scram("SASL_PLAINTEXT", 256, &user(PASSWORD)));
        let target = (
            Listener::SaslSsl,
            [scram("SASL_SSL", 512, &user(PASSWORD)), tls_trust()].concat(),
        );
        let properties = flow(pair, "scram", source, target);
        mirrors_with(pair, "scram", &properties, |_, mirror| logged_in_again(mirror, 20));
    });
}

#[test]
fn plain_to_delegation_token() {
    with_pair(|pair| {
        let (id, hmac) = pair.target.delegation_token();
        let token = format!("username=\"{id}\" password=\"{hmac}\" tokenauth=\"true\"");
        let target = (
            Listener::SaslSsl,
            [scram("SASL_SSL", 256, &token), tls_trust()].concat(),
        );
        mirrors(
            pair,
            "token",
            (Listener::SaslPlaintext, plain("SASL_PLAINTEXT", &user(PASSWORD))),
            target,
        );
    });
}

#[test]
fn oauth_tokens_are_replaced_while_records_flow() {
    with_pair(|pair| {
        let endpoint = TokenEndpoint::start(Duration::from_secs(6));
        let handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
        let by_endpoint = vec![
            ("sasl.login.callback.handler.class", handler.to_owned()),
            ("sasl.oauthbearer.token.endpoint.url", endpoint.url()),
        ];
        let client = "clientId=\"client\" clientSecret=\"secret\" scope=\"mirror\"";
        let source = (
            Listener::SaslPlaintext,
            [oauth("SASL_PLAINTEXT", client), by_endpoint].concat(),
        );
        let unsecured = oauth(
            "SASL_SSL",
            &format!("unsecuredLoginStringClaim_sub=\"{USER}\" unsecuredLoginLifetimeSeconds=\"8\""),
        );
        let target = (Listener::SaslSsl, [unsecured, tls_trust()].concat());
        let properties = flow(pair, "oauth", source, target);
        mirrors_with(pair, "oauth", &properties, |_, mirror| {
            logged_in_again(mirror, 20);
            let before = endpoint.served();
            wait_until("newer tokens", SOON, || (endpoint.served() >= before + 3).then_some(()));
        });
    });
}

#[test]
fn certificates_are_rotated_while_records_flow() {
    let Some(dist) = kafka_dist() else { return };
    with_pair(|_| {
        // Of their own: they are changed for good.
        let mut pair = Secured {
            source: SecureKafka::start(dist, "rotated-source", SESSION),
            target: SecureKafka::start(dist, "rotated-target", SESSION),
        };
        let dir = integration_tests::target_dir().join(format!("scenario-scratch/rotation-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("the target directory can be written");
        let install = |from: &str, to: &str| {
            fs::copy(test_certificate(from), dir.join(to)).expect("the target directory can be written");
        };
        install("ca.pem", "trust.pem");
        install("client.pem", "client.pem");
        let pem = |name: &str| dir.join(name).display().to_string();
        let settings: Settings = vec![
            ("security.protocol", "SSL".to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", pem("trust.pem")),
            ("ssl.keystore.type", "PEM".to_owned()),
            ("ssl.keystore.location", pem("client.pem")),
        ];
        let properties = flow(
            &pair,
            "rotated",
            (Listener::Mutual, settings.clone()),
            (Listener::Mutual, settings),
        );
        mirrors_with(&mut pair, "rotated", &properties, |pair, _| {
            install("other-ca.pem", "trust.pem");
            install("rotated-client.pem", "client.pem");
            pair.source.rotate_certificates();
            pair.target.rotate_certificates();
        });
        let _ = fs::remove_dir_all(&dir);
    });
}
