//! Where passwords, keys and tokens must not show: logs at the finest level, every answer of REST, metrics, internal topics
//! on both clusters, and whatever is said when a login fails.
//!
//! Kafka itself stores connectors' configurations as they were given, and answers them: there, and nowhere else, what was
//! written out is found again. What stands behind a variable is found nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use integration_tests::{
    ConnectWorker, Heliograph, Listener, MirrorProperties, PASSWORD, Process, Rest, TestClient, Topic, USER,
    WorkerGroup, assert_mirrored, kafka_dist, target_dir, test_certificate, wait_until,
};
use kafka_wire::Compression;
use serde_json::{Value, json};

use crate::{SOON, Settings, flow, numbered, scram, user, with_pair};

const TRUST_PASSWORD: &str = "trust-9f31c7aa";
const KEY_PASSWORD: &str = "keys-5be02d4c";

/// What is looked for, and what it is.
const SECRETS: &[(&str, &str)] = &[
    ("the password of the trust store", TRUST_PASSWORD),
    ("the password of the key store", KEY_PASSWORD),
    // The whole one has characters that each place writes in its own way.
    ("the user's password", "geheim"),
    ("a SCRAM proof", ",p="),
    ("a private key", "PRIVATE KEY"),
];

/// The secrets that some bytes hold.
fn secrets_in(bytes: &[u8]) -> Vec<&'static str> {
    let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    let found = SECRETS.iter().filter(|(_, secret)| holds(secret));
    found.map(|(what, _)| *what).collect()
}

fn nothing_in(place: &str, bytes: &[u8]) {
    let found = secrets_in(bytes);
    assert!(found.is_empty(), "{place} shows {found:?}");
}

/// Stores with passwords that stand nowhere else.
fn stores(dir: &Path) -> (PathBuf, PathBuf) {
    let (trust, keys) = (dir.join("trust.p12"), dir.join("keys.p12"));
    let keytool = |args: &[&str]| {
        let done = Command::new("keytool").args(args).output().expect("Java has a keytool");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    };
    let path = |path: &Path| path.display().to_string();
    let ca = test_certificate("ca.pem");
    keytool(&[
        "-importcert",
        "-noprompt",
        "-alias",
        "ca",
        "-storetype",
        "PKCS12",
        "-file",
        &path(&ca),
        "-keystore",
        &path(&trust),
        "-storepass",
        TRUST_PASSWORD,
    ]);
    let client = test_certificate("client.p12");
    keytool(&[
        "-importkeystore",
        "-noprompt",
        "-srckeystore",
        &path(&client),
        "-srcstorepass",
        "test-only",
        "-destkeystore",
        &path(&keys),
        "-deststoretype",
        "PKCS12",
        "-deststorepass",
        KEY_PASSWORD,
    ]);
    (trust, keys)
}

fn scratch(name: &str) -> PathBuf {
    let dir = target_dir()
        .join("scenario-scratch")
        .join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("the target directory can be written");
    dir
}

/// Settings of both clusters: mutual TLS, and SCRAM over TLS.
fn settings(dir: &Path) -> (Settings, Settings) {
    let (trust, keys) = stores(dir);
    let trust: Settings = vec![
        ("ssl.truststore.location", trust.display().to_string()),
        ("ssl.truststore.password", TRUST_PASSWORD.to_owned()),
    ];
    let keys: Settings = vec![
        ("ssl.keystore.location", keys.display().to_string()),
        ("ssl.keystore.password", KEY_PASSWORD.to_owned()),
    ];
    let source = [vec![("security.protocol", "SSL".to_owned())], trust.clone(), keys].concat();
    let target = [scram("SASL_SSL", 512, &user(PASSWORD)), trust].concat();
    (source, target)
}

/// Every record of every internal topic, but for those whose topic and key are allowed to hold what they were given.
fn nothing_in_topics(client: &mut TestClient, cluster: &str, allowed: impl Fn(&str, &str) -> bool) -> usize {
    let mut looked_at = 0;
    for topic in client.topics() {
        // Other scenarios on these brokers have their passwords written out, and their flows' configurations say so.
        let is_others = topic.starts_with("mm2-configs.") && topic != "mm2-configs.hidden.internal";
        let is_internal = topic.contains("internal") || topic.starts_with("secret") || topic.starts_with("heartbeats");
        let is_ours = is_internal && !is_others;
        for record in client.all_records(&topic).into_iter().flatten().filter(|_| is_ours) {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            let place = format!("{cluster}: {topic}: {key}");
            nothing_in(&place, key.as_bytes());
            looked_at += 1;
            if !allowed(&topic, &key) {
                nothing_in(&place, record.value.as_deref().unwrap_or_default());
            }
        }
    }
    looked_at
}

/// Asks for all of these, and looks through what is answered. Those that are allowed to show it must be right in that.
fn nothing_in_answers(rest: &Rest, paths: &[&str], allowed: &[&str]) {
    for path in paths {
        let answer = rest.get(path).expect("it answers");
        assert!(answer.status < 500, "{path}: {answer:?}");
        let text = answer
            .body
            .as_str()
            .map_or_else(|| answer.body.to_string(), str::to_owned);
        if !allowed.contains(path) {
            nothing_in(path, text.as_bytes());
        }
    }
}

fn listeners(process: &mut Process, count: usize) -> Vec<Rest> {
    wait_until("the REST listeners", SOON, || {
        let log = process.log();
        let ports = log.lines().filter_map(|line| {
            let rest = line
                .split_once("the REST server is ready")?
                .1
                .split_once("127.0.0.1:")?
                .1;
            Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        });
        let found: Vec<Rest> = ports.map(|port| Rest::new(&format!("127.0.0.1:{port}"))).collect();
        (found.len() == count).then_some(found)
    })
}

#[test]
fn what_stands_behind_variables_shows_nowhere_in_dedicated_mode() {
    if kafka_dist().is_none() {
        return;
    }
    with_pair(|pair| {
        let dir = scratch("secrets-dedicated");
        let (source_settings, target_settings) = settings(&dir);
        let (mut source, mut target) = (pair.source.client(), pair.target.client());
        let mut file = String::new();
        let mut properties = flow(
            pair,
            "hidden",
            (Listener::Mutual, Vec::new()),
            (Listener::SaslSsl, Vec::new()),
        )
        .set("config.providers", "file")
        .set(
            "config.providers.file.class",
            "org.apache.kafka.common.config.provider.FileConfigProvider",
        )
        .set("heliograph.rest.listeners", "http://127.0.0.1:0")
        .set("heliograph.metrics.listener", "http://127.0.0.1:0");
        let secrets = dir.join("secrets.properties");
        for (cluster, settings) in [("hidden", source_settings), ("backup", target_settings)] {
            for (key, value) in settings {
                let is_secret = key.ends_with("password") || key == "sasl.jaas.config";
                let name = format!("{cluster}.{key}");
                let given = match is_secret {
                    true => format!("${{file:{}:{name}}}", secrets.display()),
                    false => value.clone(),
                };
                if is_secret {
                    let escaped: String = value
                        .encode_utf16()
                        .map(|unit| match u8::try_from(unit) {
                            Ok(b'\\') => "\\\\".to_owned(),
                            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                            _ => format!("\\u{unit:04x}"),
                        })
                        .collect();
                    file += &format!("{name}={escaped}\n");
                }
                properties = properties.set(&name, &given);
            }
        }
        fs::write(&secrets, file).expect("the scratch directory can be written");
        source.create_topic(Topic::new("hidden-topic", 1));
        source.produce("hidden-topic", 0, Compression::None, &numbered(0..20));
        let mut mirror = Heliograph::mirror_maker_logging("hidden", &properties, "trace");
        assert_mirrored(&mut source, &mut target, "hidden-topic", "hidden.hidden-topic", SOON);
        for rest in listeners(mirror.process(), 2) {
            let mut paths = vec!["/".to_owned(), "/metrics".to_owned()];
            for connector in [
                "MirrorSourceConnector",
                "MirrorCheckpointConnector",
                "MirrorHeartbeatConnector",
            ] {
                let path = format!("/hidden/backup/connectors/{connector}");
                let parts = [
                    "",
                    "/config",
                    "/status",
                    "/tasks",
                    "/tasks/0/status",
                    "/topics",
                    "/offsets",
                ];
                paths.extend(parts.map(|part| format!("{path}{part}")));
            }
            paths.push("/hidden/backup/connectors?expand=info&expand=status".to_owned());
            paths.push("/hidden/backup/health".to_owned());
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            nothing_in_answers(&rest, &paths, &[]);
        }
        let looked_at = nothing_in_topics(&mut source, "source", |_, _| false)
            + nothing_in_topics(&mut target, "target", |topic, _| topic.starts_with("secret"));
        assert!(looked_at > 20, "{looked_at}");
        let log = mirror.process().log();
        assert!(log.contains("TRACE"), "the log has everything");
        nothing_in("the log", log.as_bytes());
        mirror.stop();
        a_wrong_password_is_not_repeated(&properties, &secrets);
        let _ = fs::remove_dir_all(&dir);
    });
}

/// The same flow with passwords that open nothing.
fn a_wrong_password_is_not_repeated(properties: &MirrorProperties, secrets: &Path) {
    let right = fs::read_to_string(secrets).expect("it was written");
    for (from, to, said) in [
        ("geheim", "geheimer", "refused to log in"),
        (KEY_PASSWORD, "keys-5be02d4cX", "password is wrong"),
    ] {
        fs::write(secrets, right.replace(from, to)).expect("the scratch directory can be written");
        let mut mirror = Heliograph::mirror_maker_logging("hidden-wrong", properties, "trace");
        mirror.process().wait_for_line(said, SOON);
        nothing_in("the log of a login that fails", mirror.process().log().as_bytes());
        mirror.stop();
    }
    fs::write(secrets, right).expect("the scratch directory can be written");
}

#[test]
fn what_is_written_out_shows_only_where_kafka_shows_it() {
    if kafka_dist().is_none() {
        return;
    }
    with_pair(|pair| {
        let dir = scratch("secrets-distributed");
        let (source_settings, target_settings) = settings(&dir);
        let (mut source, mut target) = (pair.source.client(), pair.target.client());
        let servers = pair.target.bootstrap_servers(Listener::SaslSsl);
        let mut group = WorkerGroup::new(&servers, "secret");
        for (key, value) in &target_settings {
            for client in ["", "producer.", "consumer.", "admin."] {
                group = group.set(&format!("{client}{key}"), value);
            }
        }
        let mut worker = ConnectWorker::heliograph("secrets", &group);
        worker.wait_until_ready();
        worker.ask("PUT", "/admin/loggers/root", Some(&json!({"level": "TRACE"})));
        let mut config = json!({
            "connector.class": "MirrorSourceConnector",
            "source.cluster.alias": "shown",
            "target.cluster.alias": "backup",
            "source.cluster.bootstrap.servers": pair.source.bootstrap_servers(Listener::Mutual),
            "target.cluster.bootstrap.servers": servers,
            "topics": "shown-topic",
            "replication.factor": "1",
            "offset-syncs.topic.replication.factor": "1",
            "sync.topic.acls.enabled": "false",
        });
        for (side, settings) in [("source", source_settings), ("target", target_settings)] {
            for (key, value) in settings {
                config[format!("{side}.cluster.{key}")] = json!(value);
            }
        }
        source.create_topic(Topic::new("shown-topic", 1));
        source.produce("shown-topic", 0, Compression::None, &numbered(0..20));
        let path = "/connectors/shown/config";
        worker.ask("PUT", path, Some(&config));
        assert_mirrored(&mut source, &mut target, "shown-topic", "shown.shown-topic", SOON);
        worker.wait_until_running("shown", 1, &[worker.id()]);

        let rest = worker.rest();
        // As Kafka's worker: a connector's configuration as it was given.
        let allowed = [
            "/connectors/shown",
            "/connectors/shown/config",
            "/connectors/shown/tasks",
            "/connectors?expand=info&expand=status",
        ];
        let others = [
            "/",
            "/health",
            "/openapi.json",
            "/metrics",
            "/connectors",
            "/connectors?expand=status",
            "/connectors/shown/status",
            "/connectors/shown/tasks/0/status",
            "/connectors/shown/topics",
            "/connectors/shown/offsets",
            "/connector-plugins",
            "/connector-plugins/MirrorSourceConnector/config",
            "/admin/loggers",
            "/admin/loggers/root",
        ];
        nothing_in_answers(&rest, &[&allowed[..], &others].concat(), &allowed);
        let shown = rest.get(path).expect("it answers").body.to_string();
        assert!(
            secrets_in(shown.as_bytes()).contains(&"the password of the trust store"),
            "the search finds what is there"
        );

        // Settings that are wrong, and one that is wrong because of a secret.
        let refused = |change: (&str, Value)| {
            let mut wrong = config.clone();
            wrong[change.0] = change.1;
            let answer = worker.ask_any("PUT", path, Some(&wrong));
            assert_eq!(answer.status, 400, "{answer:?}");
            nothing_in("a refusal", answer.body.to_string().as_bytes());
            let path = "/connector-plugins/MirrorSourceConnector/config/validate";
            let validated = worker.ask_any("PUT", path, Some(&wrong));
            nothing_in("a validation", validated.body.to_string().as_bytes());
        };
        refused(("refresh.topics.enabled", json!("perhaps")));
        refused(("tasks.max", Value::Null));

        // A connector whose login fails says so in its status and its task's.
        let mut failing = config.clone();
        failing["source.cluster.ssl.keystore.password"] = json!(format!("{KEY_PASSWORD}X"));
        failing["topics"] = json!("shown-topic-2");
        worker.ask("PUT", "/connectors/failing/config", Some(&failing));
        worker.process().wait_for_line("password is wrong", SOON);
        let answers = ["/connectors/failing/status", "/connectors?expand=status", "/metrics"];
        nothing_in_answers(&worker.rest(), &answers, &[]);

        let given = |topic: &str, key: &str| {
            topic == "secret-configs" && (key.starts_with("connector-") || key.starts_with("task-"))
                // The key with which workers sign, as in Kafka; none of ours.
                || key == "session-key"
        };
        let looked_at =
            nothing_in_topics(&mut source, "source", given) + nothing_in_topics(&mut target, "target", given);
        assert!(looked_at > 5, "{looked_at}");
        let log = worker.process().log();
        assert!(log.contains("TRACE"), "the log has everything");
        nothing_in("the log", log.as_bytes());
        assert!(
            !log.contains(&format!("username=\"{USER}\"")),
            "nor the login module's options"
        );
        worker.stop();
        let _ = fs::remove_dir_all(&dir);
    });
}
