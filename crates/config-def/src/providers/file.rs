use super::{ProviderError, allowed_paths::AllowedPaths, read};
use crate::{ConfigError, ConfigProvider, Props, properties};

/// `${file:/path/of.properties:key}`: a key of a properties file.
#[derive(Debug)]
pub struct FileConfigProvider(AllowedPaths);

impl FileConfigProvider {
    /// Reads `allowed.paths`.
    pub fn new(params: &Props) -> Result<Self, ConfigError> {
        AllowedPaths::parse(params).map(Self)
    }
}

impl ConfigProvider for FileConfigProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        let Some(allowed) = self.0.check(path).filter(|_| !path.is_empty()) else {
            return Ok(None);
        };
        let what = || format!("Could not read properties from file {path}");
        let bytes = read(&allowed, what)?;
        let file = properties::parse(&bytes).map_err(|error| ProviderError::caused_by(what(), error))?;
        Ok(file.props().remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::tests::{Scratch, props};

    #[test]
    fn a_file_outside_of_the_allowed_paths_is_not_read() {
        let scratch = Scratch::new();
        let inside = scratch.write("in/a.properties", "k=v");
        let outside = scratch.write("out.properties", "k=v");
        let allowed = scratch.path().join("in").display().to_string();
        let provider = FileConfigProvider::new(&props(&[("allowed.paths", &allowed)])).expect("good");
        let get = |path: &str| provider.get(path, "k").expect("readable");
        assert_eq!(get(&inside.display().to_string()).as_deref(), Some("v"));
        assert_eq!(get(&outside.display().to_string()), None);
        assert_eq!(get(&format!("{allowed}/../out.properties")), None);
        assert_eq!(get(""), None);
        let missing = scratch.path().join("nowhere").display().to_string();
        assert!(FileConfigProvider::new(&props(&[("allowed.paths", &missing)])).is_err());
    }
}
