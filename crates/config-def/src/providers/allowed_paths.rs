use std::path::{Component, Path, PathBuf};

use crate::{ConfigError, Props};

const KEY: &str = "allowed.paths";

/// `allowed.paths`: where a provider may read. Nothing said: everywhere.
#[derive(Debug)]
pub(super) struct AllowedPaths(Option<Vec<PathBuf>>);

impl AllowedPaths {
    pub(super) fn parse(params: &Props) -> Result<Self, ConfigError> {
        let listed = params.get(KEY).map_or("", String::as_str);
        if listed.is_empty() {
            return Ok(Self(None));
        }
        let mut paths = Vec::new();
        for path in listed.split(',') {
            let path = normalized(Path::new(path));
            if !path.is_absolute() {
                return Err(ConfigError::new(
                    KEY,
                    format!("Path {} is not absolute", path.display()),
                ));
            }
            if !path.exists() {
                return Err(ConfigError::new(KEY, format!("Path {} does not exist", path.display())));
            }
            paths.push(path);
        }
        Ok(Self(Some(paths)))
    }

    /// The path to be read, or `None` if it may not be.
    pub(super) fn check(&self, path: &str) -> Option<PathBuf> {
        match &self.0 {
            None => Some(PathBuf::from(path)),
            Some(allowed) => {
                let path = normalized(Path::new(path));
                allowed.iter().any(|allowed| path.starts_with(allowed)).then_some(path)
            }
        }
    }
}

/// Java's `Path.normalize`: `.` and `..` are resolved without a look at the file system.
fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(result.components().next_back(), Some(Component::Normal(_))) => {
                result.pop();
            }
            // Above the root is the root.
            Component::ParentDir if result.has_root() => {}
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_do_not_lead_out_of_an_allowed_path() {
        let allowed = AllowedPaths(Some(vec![PathBuf::from("/etc/mm2"), PathBuf::from("/run")]));
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(allowed.check(path), expected.map(PathBuf::from), "{path}");
        };
        check("/etc/mm2/secrets", Some("/etc/mm2/secrets"));
        check("/etc/mm2/./a/../secrets", Some("/etc/mm2/secrets"));
        check("/etc/mm2/../passwd", None);
        check("/etc/mm2/../../../../run/x", Some("/run/x"));
        check("/etc/mm2x/secrets", None);
        check("etc/mm2/secrets", None);
        check("", None);
    }
}
