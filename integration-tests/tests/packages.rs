//! What `scripts/package` makes: archives with everything in its place, of the binary under test.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use integration_tests::{heliograph_binary, output, remove_dir, report, scratch_dir};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(300);

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs a command that must succeed; gives its standard output.
fn run(command: &mut Command) -> String {
    let (status, out, err) = output(command.current_dir(repository()), "", PATIENCE);
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    out
}

/// Whether this machine has a tool; says so if it does not.
fn has(tool: &str) -> bool {
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(tool).is_file());
    if !found {
        report(&format!("skipped: needs {tool}"));
    }
    found
}

/// The same, for what packages cannot be made without.
fn has_what_is_needed() -> bool {
    let found = ["python3", "objdump", "dpkg-deb", "dpkg"].into_iter().all(has);
    let required = env::var("HELIOGRAPH_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
    assert!(
        found || !required,
        "HELIOGRAPH_REQUIRE_KAFKA=1, and packages cannot be made here"
    );
    found
}

#[test]
fn archives_have_everything_in_its_place() {
    if !has_what_is_needed() {
        return;
    }
    let out = scratch_dir("packages");
    let mut package = Command::new("scripts/package");
    package.arg("--binary").arg(heliograph_binary()).arg("--out").arg(&out);
    // The binary under test is large: it need not become small.
    package.env("DPKG_DEB_COMPRESSOR_TYPE", "none").env("GZIP", "-1");
    let made = run(&mut package);
    let [tarball, debian] = made
        .lines()
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .expect("two archives");
    let version = run(Command::new(heliograph_binary()).arg("--version"));
    let version = version
        .trim()
        .strip_prefix("heliograph ")
        .expect("a version")
        .to_owned();

    check_debian(&debian, &version, &out.join("deb"));
    check_tarball(&tarball, &version, &out.join("tar"));
    remove_dir(&out);
}

fn check_debian(package: &Path, version: &str, root: &Path) {
    let field = |name: &str| {
        run(Command::new("dpkg-deb").arg("-f").arg(package).arg(name))
            .trim()
            .to_owned()
    };
    assert_eq!(field("Package"), "heliograph");
    assert_eq!(field("Version"), version);
    assert!(field("Depends").contains("libc6 (>= 2."), "{}", field("Depends"));
    let listed = run(Command::new("dpkg-deb").arg("-c").arg(package));
    let is_listed = |mode: &str, path: &str| {
        listed
            .lines()
            .any(|line| line.starts_with(&format!("{mode} root/root")) && line.ends_with(&format!(" .{path}")))
    };
    for program in [
        "/usr/bin/heliograph",
        "/usr/share/heliograph/bin/connect-mirror-maker.sh",
        "/usr/share/heliograph/bin/connect-distributed.sh",
        "/usr/share/heliograph/bin/connect-standalone.sh",
        "/usr/share/heliograph/bin/heliograph-run.sh",
    ] {
        assert!(is_listed("-rwxr-xr-x", program), "{program}\n{listed}");
    }
    for file in [
        "/etc/heliograph/mirrormaker2.properties.example",
        "/etc/heliograph/connect-distributed.properties.example",
        "/usr/lib/systemd/system/heliograph-mirror-maker.service",
        "/usr/lib/systemd/system/heliograph-connect.service",
        "/usr/lib/sysusers.d/heliograph.conf",
        "/usr/share/bash-completion/completions/heliograph",
        "/usr/share/zsh/vendor-completions/_heliograph",
        "/usr/share/fish/vendor_completions.d/heliograph.fish",
        "/usr/share/man/man1/heliograph.1.gz",
        "/usr/share/man/man1/heliograph-mirror-maker.1.gz",
        "/usr/share/doc/heliograph/copyright",
        "/usr/share/doc/heliograph/changelog.gz",
        "/usr/share/doc/heliograph/DEPLOYMENT.md",
        "/usr/share/doc/heliograph/heliograph.cdx.json",
    ] {
        assert!(is_listed("-rw-r--r--", file), "{file}\n{listed}");
    }

    check_installation(package, version, &root.with_extension("installed"));
    run(Command::new("dpkg-deb").arg("-R").args([package, root]));
    let conffiles = fs::read_to_string(root.join("DEBIAN/conffiles")).expect("it is there");
    let expected =
        "/etc/heliograph/connect-distributed.properties.example\n/etc/heliograph/mirrormaker2.properties.example\n";
    assert_eq!(conffiles, expected);
    check_bill_of_materials(&root.join("usr/share/doc/heliograph/heliograph.cdx.json"), version);
    check_completions(root);
    check_manual(root);
    check_units(root);
}

/// dpkg takes it, and what it puts there runs. Configuring it would want a whole system around it: its script runs in the root.
fn check_installation(package: &Path, version: &str, root: &Path) {
    let database = root.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(database.join(folder)).expect("it can be written");
    }
    fs::write(database.join("status"), "").expect("it can be written");
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display()));
    // What it depends on is not in this root.
    run(dpkg
        .args(["--force-not-root", "--force-depends", "--log=/dev/null", "--unpack"])
        .arg(package));
    let status = fs::read_to_string(database.join("status")).expect("dpkg has written it");
    assert!(status.contains("Status: install ok unpacked"), "{status}");
    let said = run(Command::new(root.join("usr/bin/heliograph")).arg("--version"));
    assert_eq!(said.trim(), format!("heliograph {version}"));
    for script in ["postinst", "postrm"] {
        let script = database.join("info").join(format!("heliograph.{script}"));
        run(Command::new("sh").arg("-n").arg(script));
    }
}

/// Pages that a formatter takes without a warning, one for each command.
fn check_manual(root: &Path) {
    let pages = root.join("usr/share/man/man1");
    let help = run(Command::new(heliograph_binary()).arg("--help"));
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    let commands = commands.lines().take_while(|line| !line.is_empty());
    for command in commands
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
    {
        assert!(
            pages.join(format!("heliograph-{command}.1.gz")).is_file(),
            "{command} has no page"
        );
    }
    if has("groff") {
        let script = format!("gzip -cd '{}'/*.gz | groff -Kutf8 -man -Tutf8 -ww -z", pages.display());
        let (status, out, err) = output(Command::new("sh").args(["-c", &script]), "", PATIENCE);
        assert!(status.success() && (out + &err).is_empty(), "{status}");
    }
}

/// Units that systemd takes, running what the package brings.
fn check_units(root: &Path) {
    if !has("systemd-analyze") {
        return;
    }
    let mut verify = Command::new("systemd-analyze");
    verify
        .arg("verify")
        .arg(format!("--root={}", root.display()))
        .arg("--man=no");
    // What the units lean on is systemd's own, and not in the package.
    for unit in [
        "sysinit.target",
        "network-online.target",
        "multi-user.target",
        "basic.target",
        "shutdown.target",
    ] {
        fs::write(
            root.join("usr/lib/systemd/system").join(unit),
            "[Unit]\nDescription=There\n",
        )
        .expect("it can be written");
    }
    for unit in ["heliograph-mirror-maker.service", "heliograph-connect.service"] {
        let mut one = Command::new(verify.get_program());
        one.args(verify.get_args()).arg(unit);
        let (status, out, err) = output(&mut one, "", PATIENCE);
        let said = out + &err;
        let about_it: Vec<&str> = said.lines().filter(|line| line.contains("heliograph")).collect();
        assert!(status.success() && about_it.is_empty(), "{unit}: {status}\n{said}");
    }
    if has("systemd-sysusers") {
        run(Command::new("systemd-sysusers")
            .arg(format!("--root={}", root.display()))
            .arg("heliograph.conf"));
        let users = fs::read_to_string(root.join("etc/passwd")).expect("it was made");
        assert!(users.lines().any(|line| line.starts_with("heliograph:")), "{users}");
    }
}

/// Each names the commands, and a shell that is here takes its own.
fn check_completions(root: &Path) {
    for file in [
        "usr/share/bash-completion/completions/heliograph",
        "usr/share/zsh/vendor-completions/_heliograph",
        "usr/share/fish/vendor_completions.d/heliograph.fish",
    ] {
        let script = fs::read_to_string(root.join(file)).expect("it is there");
        for command in ["mirror-maker", "connect-distributed", "failover", "environment"] {
            assert!(script.contains(command), "{file}: {command}");
        }
    }
    let bash = root.join("usr/share/bash-completion/completions/heliograph");
    let complete = format!(
        "source '{}'; COMP_WORDS=(heliograph mirr); COMP_CWORD=1; _heliograph heliograph mirr heliograph; echo \"${{COMPREPLY[@]}}\"",
        bash.display()
    );
    assert_eq!(run(Command::new("bash").args(["-c", &complete])).trim(), "mirror-maker");
}

/// Every crate that cargo links, with a licence, and with a checksum if it is not ours.
fn check_bill_of_materials(file: &Path, version: &str) {
    let bill: Value = serde_json::from_str(&fs::read_to_string(file).expect("it is there")).expect("JSON");
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"]),
        (&"CycloneDX".into(), &"1.5".into())
    );
    assert_eq!(bill["metadata"]["component"]["version"], version);
    let components = bill["components"].as_array().expect("components");
    let mut names = BTreeSet::new();
    for component in components {
        let purl = component["purl"].as_str().expect("a purl");
        assert!(names.insert(purl), "{purl} is there twice");
        assert!(
            component["licenses"][0]["expression"].is_string(),
            "{purl} has no licence"
        );
        let is_ours = repository()
            .join("crates")
            .join(component["name"].as_str().expect("a name"))
            .is_dir()
            || component["name"] == "connect-api";
        assert_eq!(component["hashes"][0]["content"].is_string(), !is_ours, "{purl}");
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args([
        "tree",
        "--offline",
        "--locked",
        "--package",
        "connect-cli",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    tree.args(["--target", "x86_64-unknown-linux-gnu"]);
    let tree = run(&mut tree);
    let linked: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!(
                "pkg:cargo/{}@{}",
                words.next()?,
                words.next()?.trim_start_matches('v')
            ))
        })
        .collect();
    let names: BTreeSet<String> = names
        .into_iter()
        .map(str::to_owned)
        .chain([format!("pkg:cargo/connect-cli@{version}")])
        .collect();
    let missing: Vec<_> = linked.difference(&names).collect();
    assert!(missing.is_empty(), "linked and not listed: {missing:?}");
}

/// It runs where it is unpacked: the scripts find the binary beside them.
fn check_tarball(tarball: &Path, version: &str, dir: &Path) {
    fs::create_dir_all(dir).expect("it can be written");
    run(Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(dir));
    let [unpacked] = fs::read_dir(dir)
        .expect("it is there")
        .map(|entry| entry.expect("it is there").path())
        .collect::<Vec<_>>()
        .try_into()
        .expect("one folder");
    let name = unpacked
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a plain name")
        .to_owned();
    assert!(
        name.starts_with(&format!("heliograph-{version}-")) && name.ends_with("-linux"),
        "{name}"
    );
    for file in [
        "share/man/man1/heliograph.1",
        "share/completions/_heliograph",
        "share/doc/LICENSE",
        "share/doc/heliograph.cdx.json",
        "systemd/heliograph-connect.service",
        "etc/mirrormaker2.properties.example",
    ] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    let mut script = Command::new(unpacked.join("bin/connect-mirror-maker.sh"));
    script.arg("/no/such.properties").env("PATH", "/usr/bin:/bin");
    let (status, out, err) = output(&mut script, "", PATIENCE);
    assert_eq!(status.code(), Some(2), "{out}{err}");
    assert!(out.contains("cannot read /no/such.properties"), "{out}{err}");
}
