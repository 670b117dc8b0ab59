use std::{collections::BTreeMap, ffi::OsString, fmt};

use java_pattern::JavaPatterns;

use super::ProviderError;
use crate::{ConfigError, ConfigProvider, Props};

const KEY: &str = "allowlist.pattern";

/// `${env:NAME}`: a variable of the environment, as it was when the worker started.
pub struct EnvVarConfigProvider(BTreeMap<String, String>);

impl EnvVarConfigProvider {
    /// Reads `allowlist.pattern`, which has to match the whole name of a variable; without it all are allowed.
    pub fn new(
        params: &Props,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let pattern = params.get(KEY).map_or(".*", String::as_str);
        let allowed = JavaPatterns::new(&[pattern]).map_err(|why| ConfigError::invalid(KEY, pattern, why))?;
        let texts = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Self(texts.filter(|(name, _)| allowed.matches(name)).collect()))
    }
}

impl ConfigProvider for EnvVarConfigProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        if !path.is_empty() {
            let message = format!("Path is not supported for EnvVarConfigProvider, invalid value '{path}'");
            return Err(ProviderError::new(message));
        }
        Ok(self.0.get(key).cloned())
    }
}

/// Names only: values are secrets.
impl fmt::Debug for EnvVarConfigProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::tests::props;

    #[test]
    fn only_what_is_allowed_is_known() {
        let environment = [("MM2_USER", "mirror"), ("MM2_PASSWORD", "s3cret"), ("HOME", "/root")];
        let environment = || environment.map(|(name, value)| (name.into(), value.into()));
        let all = EnvVarConfigProvider::new(&props(&[]), environment()).expect("good");
        assert_eq!(all.get("", "HOME").expect("no path").as_deref(), Some("/root"));
        let some = EnvVarConfigProvider::new(&props(&[(KEY, "MM2_.*")]), environment()).expect("good");
        assert_eq!(
            some.get("", "MM2_PASSWORD").expect("no path").as_deref(),
            Some("s3cret")
        );
        assert_eq!(some.get("", "HOME").expect("no path"), None);
        assert_eq!(format!("{some:?}"), r#"{"MM2_PASSWORD", "MM2_USER"}"#);
        let error = some.get("/etc", "HOME").expect_err("a path");
        assert_eq!(
            error.chain(),
            "Path is not supported for EnvVarConfigProvider, invalid value '/etc'"
        );
    }
}
