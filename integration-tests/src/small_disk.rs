use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::target_dir::{remove_dir, scratch_dir};

/// A file system of its own that is soon full. Unmounted when dropped, and when the test run is killed.
#[derive(Debug)]
pub struct SmallDisk {
    dir: PathBuf,
    unmounter: Child,
}

impl SmallDisk {
    /// Mounts one of so many MB, or says why not: only root may.
    pub fn mount(name: &str, megabytes: u32) -> Result<Self, String> {
        let dir = scratch_dir(name);
        let size = format!("size={megabytes}m");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&dir))?;
        // Its end of the pipe closes however this process goes.
        let unmounter = Command::new("sh")
            .args(["-c", r#"read -r _; umount -l "$0""#])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        Ok(Self { dir, unmounter })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Somebody makes space.
    pub fn grow(&self, megabytes: u32) {
        let size = format!("remount,size={megabytes}m");
        run(Command::new("mount").args(["-o", &size]).arg(&self.dir)).expect("who could mount it can mount it again");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.unmounter.stdin.take());
        let _ = self.unmounter.wait();
        remove_dir(&self.dir);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
