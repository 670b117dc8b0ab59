use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{
    dist::KafkaDist,
    process::{Process, output},
    properties::MirrorProperties,
    target_dir::{scratch_dir, target_dir},
};

/// An orderly stop ends well below this; Java waits up to 60 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The binary under test: `HELIOGRAPH_BIN`, or what cargo builds now in the profile of this test run.
///
/// Cargo tells a test where the binaries of its own package are and not those of others, so the first caller asks
/// cargo to build it; after `cargo test --workspace` that is little work.
pub fn heliograph_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("HELIOGRAPH_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let (profile_args, profile_dir): (&[&str], _) = if cfg!(debug_assertions) {
        (&[], "debug")
    } else {
        (&["--release"], "release")
    };
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("CARGO_TARGET_DIR", target_dir())
        .args(["build", "--locked", "--package", "connect-cli", "--bin", "heliograph"])
        .args(profile_args);
    let (status, _, err) = output(&mut command, "", Duration::from_secs(1200));
    assert!(status.success(), "heliograph does not build:\n{err}");
    target_dir().join(profile_dir).join("heliograph")
}

/// A running `heliograph`, killed when dropped.
#[derive(Debug)]
pub struct Heliograph {
    process: Process,
}

impl Heliograph {
    /// Starts `heliograph mirror-maker` on a file with these properties. `name` names its log and file.
    pub fn mirror_maker(name: &str, properties: &MirrorProperties) -> Self {
        Self::mirror_maker_with(name, properties, &[])
    }

    /// The same with more arguments.
    pub fn mirror_maker_with(name: &str, properties: &MirrorProperties, args: &[&str]) -> Self {
        let file = properties_file(name, properties);
        let mut command = Command::new(heliograph_binary());
        command.arg("mirror-maker").arg(&file).args(args);
        Self {
            process: Process::spawn(&unique(name), &mut command, file.parent()),
        }
    }

    /// The same with a log of its own kind: `HELIOGRAPH_LOG`.
    pub fn mirror_maker_logging(name: &str, properties: &MirrorProperties, filter: &str) -> Self {
        let file = properties_file(name, properties);
        let mut command = Command::new(heliograph_binary());
        command.arg("mirror-maker").arg(&file).env("HELIOGRAPH_LOG", filter);
        Self {
            process: Process::spawn(&unique(name), &mut command, file.parent()),
        }
    }

    /// Runs `heliograph` with these arguments to its end: how it ended, and both outputs.
    pub fn run(args: &[&str], within: Duration) -> (ExitStatus, String) {
        let (status, out, err) = output(Command::new(heliograph_binary()).args(args), "", within);
        (status, out + &err)
    }

    /// Its process: log, signals, memory.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGTERM. It must end in time, and as if it had been asked to: with 0, or with Java's 143.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        let status = self.process.wait_for_exit(STOP_TIMEOUT);
        assert!(
            matches!(status.code(), Some(0 | 143)),
            "after SIGTERM it ended with {status}"
        );
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.process.kill();
    }
}

/// The reference: Java's MirrorMaker 2 on the same properties.
#[derive(Debug)]
pub struct JavaMirrorMaker {
    process: Process,
}

impl JavaMirrorMaker {
    /// Starts it.
    pub fn start(dist: &KafkaDist, name: &str, properties: &MirrorProperties) -> Self {
        let file = properties_file(name, properties);
        let mut command = dist.java(384);
        command
            .arg("org.apache.kafka.connect.mirror.MirrorMaker")
            .arg(&file)
            .env("KAFKA_LOG_LEVEL", "INFO");
        Self {
            process: Process::spawn(&unique(name), &mut command, file.parent()),
        }
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        self.process.wait_for_exit(Duration::from_secs(90));
    }
}

/// Writes the properties where the process finds them.
fn properties_file(name: &str, properties: &MirrorProperties) -> PathBuf {
    let dir = scratch_dir(&unique(name));
    fs::create_dir_all(&dir).expect("the scratch directory can be written");
    let file = dir.join("mm2.properties");
    properties.write(&file);
    file
}

/// Restarts of one name keep their logs apart.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
