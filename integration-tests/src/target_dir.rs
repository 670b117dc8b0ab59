use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Cargo's target directory, from where the running test lies in it. Jars, logs and scratch files go below it.
pub fn target_dir() -> PathBuf {
    let exe = env::current_exe().expect("the running test has a path");
    // Cargo leaves this in it at every build; its CACHEDIR.TAG is missing where something else made the directory.
    exe.ancestors()
        .find(|dir| dir.join(".rustc_info.json").is_file())
        .unwrap_or_else(|| panic!("{} is not below a cargo target directory", exe.display()))
        .to_owned()
}

/// Where logs of one kind of run stay after it: `target/scenario-logs/<name>`. Overwritten by the next run.
pub(crate) fn log_file(name: &str) -> PathBuf {
    let dir = target_dir().join("scenario-logs");
    fs::create_dir_all(&dir).expect("the target directory can be written");
    dir.join(format!("{name}.log"))
}

/// A new empty directory for one process, removed with it.
pub fn scratch_dir(name: &str) -> PathBuf {
    let dir = target_dir()
        .join("scenario-scratch")
        .join(format!("{name}-{}", std::process::id()));
    remove_dir(&dir);
    fs::create_dir_all(&dir).expect("the target directory can be written");
    dir
}

/// Removes a directory with all that is in it, if it is there.
pub fn remove_dir(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        assert!(
            error.kind() == std::io::ErrorKind::NotFound,
            "cannot remove {}: {error}",
            dir.display()
        );
    }
}
