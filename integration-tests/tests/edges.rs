//! The layering of the workspace, as `cargo metadata` sees it. Adding an edge means editing this table.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Who may depend on whom among our own crates. Dev-dependencies are free.
const ALLOWED: &[(&str, &[&str])] = &[
    ("config-def", &["java-pattern"]),
    ("kafka-wire", &[]),
    ("java-pattern", &[]),
    // `ssl.*` for brokers and for REST alike; opens no socket.
    ("tls-config", &["config-def"]),
    ("kafka-client", &["kafka-wire", "config-def", "tls-config"]),
    // A second opinion on the client, not its mirror image.
    ("kafka-embedded", &["kafka-wire"]),
    ("connect-api", &["kafka-wire", "config-def"]),
    // Between a task and its producer: knows records and topics, no worker.
    (
        "connect-transforms",
        &["connect-api", "java-pattern", "kafka-wire", "config-def"],
    ),
    // What there is to run, and whether a configuration is good for it; runs nothing.
    (
        "connect-plugins",
        &["connect-api", "connect-transforms", "java-pattern", "config-def"],
    ),
    // The workers' group: knows how work is shared out, not what it is.
    ("connect-group", &["kafka-client", "kafka-wire"]),
    // These siblings never see each other.
    (
        "connect-mirror",
        &[
            "connect-api",
            "java-pattern",
            "kafka-client",
            "kafka-wire",
            "config-def",
        ],
    ),
    (
        "connect-runtime",
        &[
            "connect-api",
            "connect-group",
            "connect-transforms",
            "kafka-client",
            "kafka-wire",
            "config-def",
            "java-pattern",
        ],
    ),
    // HTTP can change without touching the herder.
    (
        "connect-rest",
        &[
            "connect-runtime",
            "connect-plugins",
            "connect-api",
            "config-def",
            "java-pattern",
            "tls-config",
        ],
    ),
    // Reads what the others count; nobody else sees both sides.
    (
        "connect-metrics",
        &[
            "connect-mirror",
            "connect-plugins",
            "connect-runtime",
            "kafka-client",
            "kafka-wire",
        ],
    ),
    (
        "connect-cli",
        &[
            "connect-api",
            "config-def",
            "kafka-wire",
            "kafka-client",
            "kafka-embedded",
            "connect-mirror",
            "connect-runtime",
            "connect-rest",
            "connect-metrics",
            "connect-plugins",
            "connect-transforms",
        ],
    ),
    // Knows what a user knows: Kafka's protocol and the binary.
    ("integration-tests", &["kafka-wire", "kafka-embedded"]),
];

/// Crates that compile C, or look for a native library, when they are built.
const C_BUILDERS: &[&str] = &["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "autotools", "nasm-rs"];

#[test]
fn our_crates_depend_on_each_other_only_as_allowed() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps"])).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().map(|package| text(&package["name"])).collect();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    assert_eq!(
        ours,
        allowed.keys().copied().collect(),
        "the table must name exactly the members of the workspace"
    );

    let mut forbidden = Vec::new();
    for package in packages {
        let name = text(&package["name"]);
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let (target, is_dev) = (text(&dependency["name"]), dependency["kind"] == "dev");
            if !is_dev && ours.contains(target) && !allowed[name].contains(&target) {
                forbidden.push(format!("{name} -> {target}"));
            }
        }
    }
    assert!(forbidden.is_empty(), "these edges are not in the table: {forbidden:#?}");
}

#[test]
fn nothing_that_is_shipped_compiles_c() {
    let tree = cargo(&[
        "tree",
        "--package",
        "connect-cli",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ]);
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains("tokio"), "the tree is not what it was:\n{tree}");
    let found: Vec<&str> = names
        .into_iter()
        .filter(|name| C_BUILDERS.contains(name) || name.ends_with("-sys"))
        .collect();
    // windows-sys and linux-raw-sys are tables of constants.
    let found: Vec<&&str> = found
        .iter()
        .filter(|name| !matches!(**name, "windows-sys" | "linux-raw-sys"))
        .collect();
    assert!(
        found.is_empty(),
        "these need a C compiler or a native library: {found:?}"
    );
}

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let (command, rest) = args.split_first().expect("a subcommand");
    let mut run = Command::new(cargo);
    run.arg(command)
        .args(["--offline", "--locked", "--manifest-path", manifest])
        .args(rest);
    let output = run.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
