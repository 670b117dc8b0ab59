//! A real Kafka with a listener of every kind, and a place where OAuth tokens are to be had.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    client::TestClient,
    dist::KafkaDist,
    process::output,
    properties::escaped,
    real_kafka::{RealKafka, free_ports},
    target_dir::{remove_dir, scratch_dir},
};

/// The one user, for every mechanism.
pub const USER: &str = "mirror-user";
/// Nobody may ever log it.
pub const PASSWORD: &str = "geheim, =\u{e4}und \u{20ac}eigen";

/// How to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// TLS.
    Ssl,
    /// TLS, and the client must have a certificate.
    Mutual,
    /// TLS, with a certificate that has expired.
    Expired,
    /// A login over plain TCP.
    SaslPlaintext,
    /// A login over TLS.
    SaslSsl,
}

const LISTENERS: [Listener; 5] = [
    Listener::Ssl,
    Listener::Mutual,
    Listener::Expired,
    Listener::SaslPlaintext,
    Listener::SaslSsl,
];

/// One node of Apache's. The client that prepares a scenario uses a listener without security.
#[derive(Debug)]
pub struct SecureKafka {
    kafka: RealKafka,
    first_port: u16,
    dir: PathBuf,
}

/// One of the test certificates of `tls-config`, which keytool made: `ca.pem`, `client.p12` and so on.
pub fn test_certificate(name: &str) -> PathBuf {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/tls-config/testdata/security");
    Path::new(dir).join(format!("test-only-{name}"))
}

/// What gives a node of [`RealKafka`] a listener with TLS beside its plain one, and the port of that.
pub fn tls_listener() -> (u16, Vec<(&'static str, String)>) {
    let port = free_ports(1);
    let listeners = format!("PLAINTEXT://127.0.0.1:{{port}},TLS://127.0.0.1:{port}");
    let keystore = test_certificate("kafka.pem").display().to_string();
    let properties = vec![
        (
            "listeners",
            format!("{listeners},CONTROLLER://127.0.0.1:{{controller}}"),
        ),
        ("advertised.listeners", listeners),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL".to_owned(),
        ),
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", keystore),
    ];
    (port, properties)
}

/// What gives a node of [`RealKafka`] a listener where these users log in with PLAIN, their passwords being their names
/// with `-secret` behind, and its port. They may do what ACLs allow; without a login one may do everything.
pub fn guarded_listener(users: &[String]) -> (u16, Vec<(&'static str, String)>) {
    let port = free_ports(1);
    let listeners = format!("PLAINTEXT://127.0.0.1:{{port}},LOGIN://127.0.0.1:{port}");
    let users = users.iter().map(|user| format!(" user_{user}=\"{user}-secret\""));
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let properties = vec![
        (
            "listeners",
            format!("{listeners},CONTROLLER://127.0.0.1:{{controller}}"),
        ),
        ("advertised.listeners", listeners),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT".to_owned(),
        ),
        ("listener.name.login.sasl.enabled.mechanisms", "PLAIN".to_owned()),
        (
            "listener.name.login.plain.sasl.jaas.config",
            format!("{module}{};", users.collect::<String>()),
        ),
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        ),
        ("super.users", "User:ANONYMOUS".to_owned()),
        ("allow.everyone.if.no.acl.found", "false".to_owned()),
    ];
    (port, properties)
}

impl SecureKafka {
    /// Starts it. Sessions end after `session`: whoever stays must log in again.
    pub fn start(dist: &'static KafkaDist, name: &str, session: Duration) -> Self {
        let dir = scratch_dir(&format!("{name}-certificates"));
        let first_port = free_ports(LISTENERS.len());
        let mut listeners = "PLAINTEXT://127.0.0.1:{port}".to_owned();
        for (listener, port) in LISTENERS.iter().zip(first_port..) {
            listeners.push_str(&format!(",{}://127.0.0.1:{port}", listener.name()));
        }
        let session = session.as_millis().to_string();
        let keystore = dir.join("kafka.pem").display().to_string();
        let truststore = dir.join("clients.pem").display().to_string();
        let expired = test_certificate("expired.pem").display().to_string();
        let password = escaped(PASSWORD);
        let module = "org.apache.kafka.common.security";
        let plain = format!("{module}.plain.PlainLoginModule required user_{USER}=\"{password}\";");
        let scram = format!("{module}.scram.ScramLoginModule required;");
        let oauth =
            format!("{module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";");
        let all = format!("{listeners},CONTROLLER://127.0.0.1:{{controller}}");
        let mut properties = vec![
            ("listeners".to_owned(), all),
            ("advertised.listeners".to_owned(), listeners),
            (
                "listener.security.protocol.map".to_owned(),
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,EXPIRED:SSL,LOGIN:SASL_PLAINTEXT,TLSLOGIN:SASL_SSL".to_owned(),
            ),
            ("ssl.keystore.type".to_owned(), "PEM".to_owned()),
            ("ssl.keystore.location".to_owned(), keystore),
            ("ssl.truststore.type".to_owned(), "PEM".to_owned()),
            ("ssl.truststore.location".to_owned(), truststore),
            ("listener.name.mutual.ssl.client.auth".to_owned(), "required".to_owned()),
            ("listener.name.expired.ssl.keystore.location".to_owned(), expired),
            ("delegation.token.secret.key".to_owned(), "test-only".to_owned()),
            ("connections.max.reauth.ms".to_owned(), session),
        ];
        for listener in ["login", "tlslogin"] {
            let key = |rest: &str| format!("listener.name.{listener}.{rest}");
            let mechanisms = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER";
            properties.push((key("sasl.enabled.mechanisms"), mechanisms.to_owned()));
            for (mechanism, jaas) in [
                ("plain", &plain),
                ("scram-sha-256", &scram),
                ("scram-sha-512", &scram),
                ("oauthbearer", &oauth),
            ] {
                properties.push((key(&format!("{mechanism}.sasl.jaas.config")), jaas.clone()));
            }
        }
        let properties: Vec<(&str, &str)> = properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        install(&dir, "kafka.pem", "ca.pem");
        let kafka = RealKafka::start(dist, name, 1, &properties);
        let mut secure = Self { kafka, first_port, dir };
        secure.set_scram_password(PASSWORD);
        secure
    }

    /// `host:port` of a listener. The host is one that the certificates are for.
    pub fn bootstrap_servers(&self, listener: Listener) -> String {
        format!("127.0.0.1:{}", self.port(listener))
    }

    /// The port of a listener.
    pub fn port(&self, listener: Listener) -> u16 {
        let index = LISTENERS
            .iter()
            .position(|known| *known == listener)
            .expect("all are listed");
        self.first_port + index as u16
    }

    /// A client without security.
    pub fn client(&self) -> TestClient {
        TestClient::new(&self.kafka.bootstrap_servers())
    }

    /// Gives the user this password for both SCRAM mechanisms.
    pub fn set_scram_password(&mut self, password: &str) {
        let (servers, password) = (self.kafka.bootstrap_servers(), escaped(password));
        // Two in one request are refused.
        for (mechanism, iterations) in [("SCRAM-SHA-256", 4096), ("SCRAM-SHA-512", 8192)] {
            let file = self.dir.join("scram.properties");
            let config = format!("{mechanism}=iterations={iterations},password={password}\n");
            fs::write(&file, config).expect("the scratch directory can be written");
            let file = file.display().to_string();
            let mut args = vec!["--bootstrap-server", &servers, "--alter", "--add-config-file", &file];
            args.extend(["--entity-type", "users", "--entity-name", USER]);
            self.kafka.dist().run_tool("configs", &args, "");
        }
    }

    /// A delegation token of the user: its id and HMAC.
    pub fn delegation_token(&mut self) -> (String, String) {
        let config = self.dir.join("token.properties");
        let jaas = format!(
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{USER}\" password=\"{PASSWORD}\";"
        );
        let jaas = escaped(&jaas);
        let text = format!("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config={jaas}\n");
        fs::write(&config, text).expect("the scratch directory can be written");
        let mut command = self.kafka.dist().java(128);
        command
            .arg("org.apache.kafka.tools.DelegationTokenCommand")
            .args(["--create", "--max-life-time-period", "-1", "--bootstrap-server"])
            .arg(self.bootstrap_servers(Listener::SaslPlaintext))
            .arg("--command-config")
            .arg(config)
            .env("KAFKA_LOG_LEVEL", "ERROR");
        let (status, out, err) = output(&mut command, "", Duration::from_secs(60));
        assert!(status.success(), "no delegation token:\n{out}{err}");
        let last = out.lines().rfind(|line| !line.trim().is_empty()).expect("a table");
        let mut columns = last.split_whitespace();
        let mut column = || columns.next().expect("a column").to_owned();
        (column(), column())
    }

    /// Stops the broker, gives it a certificate and clients' CA of another authority, and starts it again.
    pub fn rotate_certificates(&mut self) {
        self.kafka.stop_node(0);
        install(&self.dir, "rotated-kafka.pem", "other-ca.pem");
        self.kafka.start_node(0);
    }
}

fn install(dir: &Path, certificate: &str, clients: &str) {
    for (from, to) in [(certificate, "kafka.pem"), (clients, "clients.pem")] {
        fs::copy(test_certificate(from), dir.join(to)).expect("the scratch directory can be written");
    }
}

impl Drop for SecureKafka {
    fn drop(&mut self) {
        remove_dir(&self.dir);
    }
}

impl Listener {
    fn name(self) -> &'static str {
        match self {
            Self::Ssl => "TLS",
            Self::Mutual => "MUTUAL",
            Self::Expired => "EXPIRED",
            Self::SaslPlaintext => "LOGIN",
            Self::SaslSsl => "TLSLOGIN",
        }
    }
}

/// An HTTP server that gives unsigned tokens for the client credentials grant. Ends with the test run.
#[derive(Debug)]
pub struct TokenEndpoint {
    port: u16,
    served: Arc<AtomicUsize>,
}

impl TokenEndpoint {
    /// Tokens are for [`USER`] and good for `lifetime`.
    pub fn start(lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let served = Arc::new(AtomicUsize::new(0));
        let count = served.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serve_token(stream, lifetime).is_some() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { port, served }
    }

    /// `sasl.oauthbearer.token.endpoint.url`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    /// How many tokens were given.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

/// Answers one request; `None` unless it got a token.
fn serve_token(mut stream: TcpStream, lifetime: Duration) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut length, mut authorized) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (name, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.trim().parse().ok()?,
            // client:secret
            "authorization" => authorized = value.trim() == "Basic Y2xpZW50OnNlY3JldA==",
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let good = authorized && body == b"grant_type=client_credentials&scope=mirror";
    let (status, body) = match good {
        true => (
            "200 OK",
            format!("{{\"access_token\": \"{}\"}}", unsigned_token(lifetime)),
        ),
        false => ("401 Unauthorized", "{\"error\": \"invalid_client\"}".to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).ok()?;
    good.then_some(())
}

fn unsigned_token(lifetime: Duration) -> String {
    #[expect(clippy::disallowed_methods, reason = "a token ends at a time of the wall clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let claims = format!(
        "{{\"sub\": \"{USER}\", \"iat\": {}, \"exp\": {}}}",
        now.as_secs_f64(),
        (now + lifetime).as_secs_f64()
    );
    format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"),
        URL_SAFE_NO_PAD.encode(claims)
    )
}
