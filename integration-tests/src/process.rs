use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::{deadline::wait_until, target_dir::log_file};

/// A child process with its log, that never outlives the test run: not even if that is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    reaper: Child,
    log: PathBuf,
    exited: Option<ExitStatus>,
}

impl Process {
    /// Starts it, both its outputs going to `target/scenario-logs/<name>.log`. `scratch` is removed if the test run dies.
    pub fn spawn(name: &str, command: &mut Command, scratch: Option<&Path>) -> Self {
        let log = log_file(name);
        let out = File::create(&log).expect("the log directory was just made");
        let err = out.try_clone().expect("a file handle can be doubled");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let reaper = reaper(child.id(), scratch);
        Self {
            name: name.to_owned(),
            child,
            reaper,
            log,
            exited: None,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).expect("the log was made at the start");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.try_wait().is_none()
    }

    /// Waits for a line of the log that contains `text`, and gives that line.
    pub fn wait_for_line(&mut self, text: &str, within: Duration) -> String {
        self.wait_for_line_with(&[text], within)
    }

    /// Waits until a line of its log has all of `texts`.
    pub fn wait_for_line_with(&mut self, texts: &[&str], within: Duration) -> String {
        let what = format!("a line with {texts:?} in {}", self.log.display());
        wait_until(&what, within, || {
            let has_all = |line: &&str| texts.iter().all(|text| line.contains(text));
            let found = self.log().lines().find(has_all).map(str::to_owned);
            if found.is_none() {
                assert!(
                    self.is_running(),
                    "{} ended ({:?}) without {what}",
                    self.name,
                    self.exited
                );
            }
            found
        })
    }

    /// Waits for its end.
    pub fn wait_for_exit(&mut self, within: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_until(&what, within, || self.try_wait())
    }

    /// Sends a signal by its name without SIG: `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let script = format!("kill -{signal} {}", self.pid());
        let status = Command::new("sh")
            .args(["-c", &script])
            .stderr(Stdio::null())
            .status()
            .expect("sh starts");
        assert!(
            status.success() || signal == "CONT",
            "{} (pid {}) took no {signal}",
            self.name,
            self.pid()
        );
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it was started by us");
        self.exited = Some(self.child.wait().expect("it was started by us"));
    }

    /// Resident memory, now.
    pub fn memory_bytes(&self) -> u64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("a running process has VmRSS");
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("VmRSS is in kB");
        kib * 1024
    }

    /// CPU time used so far, user and system.
    pub fn cpu_time(&self) -> Duration {
        const TICKS_PER_SECOND: u64 = 100; // USER_HZ, fixed in Linux' interface to user space
        let stat = self.proc("stat");
        let (_, after_name) = stat.rsplit_once(')').expect("the name is in brackets");
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: u64 = [11, 12]
            .iter()
            .map(|&i| fields[i].parse::<u64>().expect("utime and stime"))
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.pid());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{} is gone: {path}: {error}", self.name))
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().expect("it was started by us");
        }
        self.exited
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(30)..].join("\n  ");
            report(&format!("the end of {}:\n  {tail}", self.log.display()));
        }
        // The reaper first: afterwards the id may belong to someone else.
        let _ = self.reaper.kill();
        let _ = self.reaper.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell that kills `pid` when this test run is gone, however it went: then its end of the pipe closes.
fn reaper(pid: u32, scratch: Option<&Path>) -> Child {
    let script = r#"read -r _; kill -9 "$0" 2>/dev/null; [ -z "$1" ] || rm -rf "$1""#;
    Command::new("sh")
        .args(["-c", script, &pid.to_string()])
        .arg(scratch.unwrap_or(Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts")
}

/// Runs a short-lived command to its end and gives what it printed on both outputs, apart.
pub fn output(command: &mut Command, input: &str, within: Duration) -> (ExitStatus, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let (mut stdout, mut stderr) = (
        child.stdout.take().expect("it is piped"),
        child.stderr.take().expect("it is piped"),
    );
    thread::scope(|scope| {
        // A tool may end before it has read everything: then the rest is not wanted.
        scope.spawn(move || stdin.write_all(input.as_bytes()).ok());
        let out = scope.spawn(move || read_all(&mut stdout));
        let err = scope.spawn(move || read_all(&mut stderr));
        let what = format!("the end of {command:?}");
        let deadline = crate::Deadline::after(within);
        let status = loop {
            if let Some(status) = child.try_wait().expect("it was started by us") {
                break status;
            }
            if deadline.passed() {
                let _ = child.kill();
                let _ = child.wait();
                panic!("after {within:?} still waiting for {what}");
            }
            crate::pause(Duration::from_millis(20));
        };
        (
            status,
            out.join().expect("reading does not panic"),
            err.join().expect("reading does not panic"),
        )
    })
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Says something to the person who runs the tests. Goes past the test runner's capture: a skip must be seen.
pub fn report(message: &str) {
    let _ = std::io::stderr().write_all(format!("{message}\n").as_bytes());
}
