use std::path::Path;

use super::{ProviderError, allowed_paths::AllowedPaths, read};
use crate::{ConfigError, ConfigProvider, Props};

/// `${dir:/path:key}`: the content of the file of that name in a directory, as it is.
#[derive(Debug)]
pub struct DirectoryConfigProvider(AllowedPaths);

impl DirectoryConfigProvider {
    /// Reads `allowed.paths`.
    pub fn new(params: &Props) -> Result<Self, ConfigError> {
        AllowedPaths::parse(params).map(Self)
    }
}

impl ConfigProvider for DirectoryConfigProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        let Some(directory) = self.0.check(path).filter(|_| !path.is_empty()) else {
            return Ok(None);
        };
        // The name of a file in it, and no path that leads elsewhere.
        if Path::new(key).file_name() != Some(key.as_ref()) {
            return Ok(None);
        }
        let file = directory.join(key);
        if !file.is_file() {
            return Ok(None);
        }
        let what = || format!("Could not read file {} for property {key}", file.display());
        let bytes = read(&file, what)?;
        let text = String::from_utf8(bytes).map_err(|error| ProviderError::caused_by(what(), error.utf8_error()))?;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::tests::{Scratch, props};

    #[test]
    fn each_file_is_a_value() {
        let scratch = Scratch::new();
        scratch.write("dir/password", "s3cret");
        scratch.write("dir/sub/x", "no");
        scratch.write("outside", "no");
        let provider = DirectoryConfigProvider::new(&props(&[])).expect("good");
        let dir = scratch.path().join("dir").display().to_string();
        let get = |path: &str, key: &str| provider.get(path, key).expect("readable");
        assert_eq!(get(&dir, "password").as_deref(), Some("s3cret"));
        for key in [
            "nobody",
            "sub",
            "sub/x",
            "../outside",
            "..",
            "",
            "./password",
            "/etc/hostname",
        ] {
            assert_eq!(get(&dir, key), None, "{key}");
        }
        assert_eq!(get("", "password"), None);
        assert_eq!(get("/nowhere/at-all", "password"), None);
    }
}
