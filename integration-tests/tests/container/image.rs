//! The image, made by carrying out the Dockerfile's last stage, and containers of it: without a Docker daemon.
//!
//! What stands in for what: the base's files are this machine's shell, coreutils and libraries, `apt-get install curl`
//! is this machine's curl, and the first stage's binary is the one under test. All other steps are done as they stand.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use integration_tests::{Process, heliograph_binary, output, remove_dir, scratch_dir, wait_until};

use crate::dockerfile::{self, Stage, Step};

/// What the base image has and the steps and scripts need. `/usr/bin` of Debian, as far as it goes.
const BASE_COMMANDS: [&str; 18] = [
    "bash", "cat", "chmod", "chown", "env", "grep", "head", "id", "ln", "ls", "mkdir", "nohup", "readlink", "rm",
    "sed", "sh", "sleep", "dirname",
];
/// Packages, each with what this machine has of it.
const PACKAGES: [(&str, &str); 2] = [
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ("curl", "/usr/bin/curl"),
];
/// The libraries of the base that our binary may need.
const BASE_LIBRARIES: [&str; 5] = [
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
];
const SHORT: Duration = Duration::from_secs(30);

/// The repository: the build's context.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A root folder and what Docker remembers besides it.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) root: PathBuf,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) work_dir: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) health_check: Vec<String>,
    pub(crate) entry_point: Vec<String>,
}

impl Image {
    /// Carries out `docker/Dockerfile`.
    pub(crate) fn build(name: &str) -> Self {
        let stages = dockerfile::read(&repository().join("docker/Dockerfile"));
        let [build, runtime] = &stages[..] else {
            panic!(
                "a stage that builds and one that is the image, and not {}",
                stages.len()
            );
        };
        let mut image = Self {
            root: scratch_dir(name),
            env: BTreeMap::new(),
            user: "0:0".to_owned(),
            work_dir: "/".to_owned(),
            ports: Vec::new(),
            health_check: Vec::new(),
            entry_point: Vec::new(),
        };
        assert_eq!(runtime.base, "debian:bookworm-slim", "the base that is stood in for");
        image.lay_base();
        for step in &runtime.steps {
            image.carry_out(step, build);
        }
        image
    }

    fn carry_out(&mut self, step: &Step, build: &Stage) {
        match step {
            Step::Run(script) => match script.strip_prefix("apt-get update && ") {
                Some(install) => self.install(install),
                None => self.run_step(script),
            },
            Step::Copy { from, sources, target } => {
                for source in sources {
                    let source = match from {
                        Some(stage) => built(build, stage, source),
                        None => repository().join(source),
                    };
                    self.copy(&source, target);
                }
            }
            Step::Env(name, value) => {
                self.env.insert(name.clone(), value.clone());
            }
            Step::User(user) => user.clone_into(&mut self.user),
            Step::WorkDir(dir) => {
                fs::create_dir_all(self.path(dir)).expect("the root can be written");
                dir.clone_into(&mut self.work_dir);
            }
            Step::Expose(port) => self.ports.push(*port),
            Step::HealthCheck(command) => command.clone_into(&mut self.health_check),
            Step::EntryPoint(command) => command.clone_into(&mut self.entry_point),
        }
    }

    /// Debian's folders, and the commands above.
    fn lay_base(&self) {
        for dir in [
            "dev",
            "etc",
            "home",
            "proc",
            "root",
            "tmp",
            "usr/bin",
            "usr/lib",
            "usr/lib64",
            "usr/sbin",
            "var/lib",
            "var/log",
        ] {
            fs::create_dir_all(self.root.join(dir)).expect("the root can be written");
        }
        for dir in ["bin", "lib", "lib64", "sbin"] {
            symlink(format!("usr/{dir}"), self.root.join(dir)).expect("the root can be written");
        }
        let sticky = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(self.root.join("tmp"), sticky).expect("the root is ours");
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        self.write("etc/group", "root:x:0:\n");
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
        self.write("etc/hosts", "127.0.0.1 localhost\n");
        for command in BASE_COMMANDS {
            self.copy_with_libraries(&on_path(command));
        }
        for library in libraries(heliograph_binary()).iter().filter(|path| is_in_base(path)) {
            copy_file(library, &self.path(&library.display().to_string()));
        }
    }

    fn install(&self, script: &str) {
        let packages = script
            .strip_prefix("apt-get install --yes --no-install-recommends ")
            .and_then(|rest| rest.strip_suffix(" && rm -rf /var/lib/apt/lists/*"))
            .unwrap_or_else(|| panic!("packages are installed in one way, and not with: {script}"));
        for package in packages.split(' ') {
            let (_, file) = PACKAGES
                .iter()
                .find(|(name, _)| *name == package)
                .unwrap_or_else(|| panic!("nothing stands in for the package {package}"));
            match Path::new(file) {
                // Nothing here asks for it.
                data if !data.starts_with("/usr/bin") && !data.exists() => {}
                program => self.copy_with_libraries(program),
            }
        }
    }

    fn run_step(&self, script: &str) {
        let mut command = Command::new("chroot");
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        command
            .arg(&self.root)
            .args(["/usr/bin/env", "-i", path, "/bin/sh", "-c", script]);
        let (status, out, err) = output(&mut command, "", SHORT);
        assert!(status.success(), "RUN {script}: {status}\n{out}{err}");
    }

    fn copy(&self, source: &Path, target: &str) {
        let to = self.path(target);
        if source.is_dir() {
            fs::create_dir_all(&to).expect("the root can be written");
            for entry in fs::read_dir(source).expect("a folder of the context") {
                let entry = entry.expect("a folder of the context");
                copy_file(&entry.path(), &to.join(entry.file_name()));
            }
        } else if target.ends_with('/') {
            copy_file(source, &to.join(source.file_name().expect("a file")));
        } else {
            copy_file(source, &to);
        }
    }

    fn copy_with_libraries(&self, file: &Path) {
        for file in libraries(file).iter().map(PathBuf::as_path).chain([file]) {
            copy_file(file, &self.path(&file.display().to_string()));
        }
    }

    /// A path of the image on this machine.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Writes a file of the image, such as a volume would bring.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("below the root")).expect("the root can be written");
        fs::write(path, text).expect("the root can be written");
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        remove_dir(&self.root);
    }
}

/// What the first stage makes is the binary under test, if that stage makes it at all.
fn built(build: &Stage, stage: &str, source: &str) -> PathBuf {
    assert_eq!(build.name.as_deref(), Some(stage));
    let work_dir = build.steps.iter().find_map(|step| match step {
        Step::WorkDir(dir) => Some(dir.as_str()),
        _ => None,
    });
    let work_dir = work_dir.expect("it works somewhere");
    assert_eq!(source, format!("{work_dir}/target/release/heliograph"));
    let makes_it = Step::Run("cargo build --locked --release --package connect-cli".to_owned());
    assert_eq!(build.steps.last(), Some(&makes_it));
    let foreign: Vec<PathBuf> = libraries(heliograph_binary())
        .into_iter()
        .filter(|library| !is_in_base(library))
        .collect();
    assert!(foreign.is_empty(), "the base image has no {foreign:?}");
    heliograph_binary().to_owned()
}

fn is_in_base(library: &Path) -> bool {
    BASE_LIBRARIES.iter().any(|known| library.ends_with(known))
}

/// The libraries that a program is linked with.
fn libraries(program: &Path) -> Vec<PathBuf> {
    // It fails for what is no program, and for static ones.
    let (_, out, _) = output(Command::new("ldd").arg(program), "", SHORT);
    let paths = out
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'));
    paths.map(PathBuf::from).collect()
}

fn on_path(command: &str) -> PathBuf {
    let dirs = ["/usr/bin", "/bin", "/usr/sbin"];
    let found = dirs
        .iter()
        .map(|dir| Path::new(dir).join(command))
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("this machine has no {command}"))
}

fn copy_file(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("below the root")).expect("the root can be written");
    // Never a link: what a step does to it must not reach this machine's own.
    fs::copy(from, to).unwrap_or_else(|error| panic!("{} to {}: {error}", from.display(), to.display()));
}

/// A network of its own, with nobody in it but us.
#[derive(Debug)]
pub(crate) struct Network {
    holder: Process,
}

impl Network {
    pub(crate) fn new(name: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && echo up && exec sleep infinity",
        ]);
        let mut holder = Process::spawn(&format!("{name}-network"), &mut command, None);
        holder.wait_for_line("up", SHORT);
        Self { holder }
    }

    /// The same command in this network.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.holder.pid()));
        inside.arg("--").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            inside.env(name, value.expect("nothing is taken away"));
        }
        inside
    }
}

/// How a container is to be run, besides what its image says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) env: Vec<(String, String)>,
    /// Instead of the image's; `docker run IMAGE COMMAND`.
    pub(crate) command: Vec<String>,
    pub(crate) is_read_only: bool,
}

impl Options {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }
}

/// `$1` is the root folder, `$2` says if it is for reading only; the rest is run in it, as process 1.
const ENTER: &str = r#"
set -e
root=$1 mode=$2
shift 2
mount --bind "$root" "$root"
[ "$mode" != ro ] || mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec "$@"
"#;

impl Image {
    /// `docker run`: the entry point and the command, to be started.
    pub(crate) fn command(&self, network: &Network, options: &Options) -> Command {
        let words: Vec<String> = self.entry_point.iter().chain(&options.command).cloned().collect();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter"]);
        command
            .arg(&self.root)
            .arg(if options.is_read_only { "ro" } else { "rw" });
        self.as_its_user(&mut command, &options.env, &words);
        network.inside(&command)
    }

    /// `docker exec`: whether it succeeded, and its outputs.
    pub(crate) fn exec(&self, container: &Container, words: &[&str]) -> (bool, String) {
        let (status, out, err) = output(self.command_in(container).args(words), "", SHORT);
        (status.success(), out + &err)
    }

    /// What words are put behind to be run in a container.
    pub(crate) fn command_in(&self, container: &Container) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &container.pid.to_string(),
            "--mount",
            "--pid",
            "--net",
            "--",
        ]);
        self.as_its_user(&mut command, &container.env, &[]);
        command
    }

    fn as_its_user(&self, command: &mut Command, env: &[(String, String)], words: &[String]) {
        command
            .arg("chroot")
            .arg(format!("--userspec={}", self.user))
            .arg(&self.root);
        command.args(["/usr/bin/env", "-i", &format!("--chdir={}", self.work_dir)]);
        let mut all = self.env.clone();
        all.extend(env.iter().cloned());
        command.args(all.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(words);
    }

    /// `docker run --detach`.
    pub(crate) fn start(&self, network: &Network, name: &str, options: &Options) -> Container {
        let process = Process::spawn(name, &mut self.command(network, options), None);
        let children = format!("/proc/{0}/task/{0}/children", process.pid());
        let pid = wait_until("the container's first process", SHORT, || {
            fs::read_to_string(&children).ok()?.trim().parse().ok()
        });
        let env = options.env.clone();
        Container { process, pid, env }
    }

    /// `docker run`, to its end: how it ended and what it said.
    pub(crate) fn run(&self, network: &Network, options: &Options) -> (Option<i32>, String) {
        let (status, out, err) = output(&mut self.command(network, options), "", SHORT);
        (status.code(), out + &err)
    }
}

/// A running container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) process: Process,
    /// Its process 1, as this machine counts.
    pub(crate) pid: u32,
    env: Vec<(String, String)>,
}

impl Container {
    /// `docker stop`: SIGTERM to process 1. Gives the exit code; it is gone within these ten seconds, or it is an error.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let (status, _, err) = output(Command::new("kill").args(["-TERM", &self.pid.to_string()]), "", SHORT);
        assert!(status.success(), "{err}");
        self.process.wait_for_exit(Duration::from_secs(10)).code()
    }
}

impl Drop for Container {
    /// `docker rm --force`. Whoever changes users, as `chroot` does for process 1, no longer ends with its parent.
    fn drop(&mut self) {
        if self.process.is_running() {
            let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
        }
    }
}
