//! Kafka's own config providers: values that stand in a file, in a directory or in the environment. With the reading of a
//! provider's files, the one place of this crate that does I/O.

mod allowed_paths;
mod directory;
mod env_var;
mod file;
mod missing;

use std::io;

pub use directory::DirectoryConfigProvider;
pub use env_var::EnvVarConfigProvider;
pub use file::FileConfigProvider;
use missing::MissingConfigProvider;

use crate::{ConfigError, ConfigErrors, ConfigTransformer, Props, list_elements, with_prefix_stripped};

/// The package of Kafka's providers.
const PACKAGE: &str = "org.apache.kafka.common.config.provider.";

/// Why a provider cannot say what it should know. Where it only knows nothing, the text stays as it is.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    /// A problem without a cause.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    fn caused_by(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// What, and why, in one line.
    pub fn chain(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {source}", self.message),
            None => self.message.clone(),
        }
    }
}

impl ConfigTransformer {
    /// With the providers that `config.providers` names: `config.providers.<name>.class` and `.param.*`. A name without a
    /// class is passed over, as in Kafka. One of somebody else's class is an error once it is asked.
    pub fn from_props(props: &Props) -> Result<Self, ConfigErrors> {
        let mut transformer = Self::identity();
        let mut errors = ConfigErrors::default();
        let names = props.get("config.providers").map_or("", String::as_str);
        for name in list_elements(names) {
            let prefix = format!("config.providers.{name}.");
            let Some(class) = props.get(&format!("{prefix}class")) else {
                continue;
            };
            let params = with_prefix_stripped(props, &format!("{prefix}param."));
            transformer = match class.trim().strip_prefix(PACKAGE).unwrap_or(class.trim()) {
                "FileConfigProvider" => add(
                    transformer,
                    name,
                    FileConfigProvider::new(&params),
                    &mut errors,
                    &prefix,
                ),
                "DirectoryConfigProvider" => add(
                    transformer,
                    name,
                    DirectoryConfigProvider::new(&params),
                    &mut errors,
                    &prefix,
                ),
                "EnvVarConfigProvider" => {
                    let environment = std::env::vars_os();
                    let provider = EnvVarConfigProvider::new(&params, environment);
                    add(transformer, name, provider, &mut errors, &prefix)
                }
                class if class.contains('.') && !class.starts_with(PACKAGE) => {
                    let class = class.to_owned();
                    transformer.with_provider(name.clone(), MissingConfigProvider { name, class })
                }
                _ => {
                    let why = format!(
                        "Class {class} could not be found. There are {PACKAGE}FileConfigProvider, DirectoryConfigProvider \
                         and EnvVarConfigProvider"
                    );
                    let key = format!("{prefix}class");
                    errors.0.push(ConfigError::invalid(&key, class, why));
                    transformer
                }
            };
        }
        errors.into_result(transformer)
    }
}

fn add<P: crate::ConfigProvider + 'static>(
    transformer: ConfigTransformer,
    name: String,
    provider: Result<P, ConfigError>,
    errors: &mut ConfigErrors,
    prefix: &str,
) -> ConfigTransformer {
    match provider {
        Ok(provider) => transformer.with_provider(name, provider),
        Err(error) => {
            let key = format!("{prefix}param.{}", error.name);
            let message = format!("{key}: {}", error.message);
            errors.0.push(ConfigError::new(key, message));
            transformer
        }
    }
}

/// A file's bytes.
fn read(path: &std::path::Path, what: impl FnOnce() -> String) -> Result<Vec<u8>, ProviderError> {
    std::fs::read(path).map_err(|error: io::Error| ProviderError::caused_by(what(), error))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// A directory of a test's own, gone with it.
    pub(super) struct Scratch(tempfile::TempDir);

    impl Scratch {
        pub(super) fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        pub(super) fn path(&self) -> &Path {
            self.0.path()
        }

        pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
            let path = self.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the directory")).expect("created");
            std::fs::write(&path, content).expect("written");
            path
        }
    }

    pub(super) fn props(pairs: &[(&str, &str)]) -> Props {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn providers_are_made_as_the_worker_names_them() {
        let scratch = Scratch::new();
        let file = scratch.write("secrets.properties", "user = mirror\npassword: s3 cret\\u00e9\n");
        scratch.write("dir/token", "abc\n");
        let (file, dir) = (
            file.display().to_string(),
            scratch.path().join("dir").display().to_string(),
        );
        let worker = props(&[
            ("config.providers", "f, d,e,unnamed"),
            (
                "config.providers.f.class",
                "org.apache.kafka.common.config.provider.FileConfigProvider",
            ),
            ("config.providers.d.class", "DirectoryConfigProvider"),
            ("config.providers.d.param.allowed.paths", &dir),
            (
                "config.providers.e.class",
                "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            ),
            ("config.providers.e.param.allowlist.pattern", "PATH|HO.E"),
        ]);
        let transformer = ConfigTransformer::from_props(&worker).expect("good settings");
        let connector = props(&[
            (
                "jaas",
                &format!("user=${{f:{file}:user}} password=${{f:{file}:password}};"),
            ),
            ("token", &format!("${{d:{dir}:token}}")),
            (
                "unknown",
                &format!("${{f:{file}:nobody}} ${{unnamed:x:y}} ${{other:x:y}} ${{e:CARGO_MANIFEST_DIR}}"),
            ),
            ("path", "${e:PATH}"),
        ]);
        let resolved = transformer.transform(&connector).expect("all can be read");
        assert_eq!(resolved["jaas"], "user=mirror password=s3 creté;");
        assert_eq!(resolved["token"], "abc\n", "a file's text is taken as it is");
        assert_eq!(resolved["unknown"], connector["unknown"]);
        assert_eq!(Some(&resolved["path"]), std::env::var("PATH").ok().as_ref());
    }

    #[test]
    fn a_provider_of_somebody_else_is_missed_once_it_is_asked() {
        let class = ("config.providers.vault.class", "com.example.Vault");
        let transformer = ConfigTransformer::from_props(&props(&[("config.providers", "vault"), class])).expect("good");
        let errors = transformer
            .transform(&props(&[("a", "1"), ("password", "${vault:db:key}")]))
            .expect_err("nobody knows");
        assert!(
            errors.to_string().starts_with(
                "password: ${vault:db:key} asks config provider com.example.Vault, which could not be found."
            ),
            "{errors}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_shown() {
        let told = |pairs: &[(&str, &str)]| {
            let errors = ConfigTransformer::from_props(&props(pairs)).expect_err("it is wrong");
            errors.to_string()
        };
        for class in ["FilesConfigProvider", "org.apache.kafka.common.config.provider.Files"] {
            let message = told(&[("config.providers", "p"), ("config.providers.p.class", class)]);
            assert!(
                message.contains(&format!("config.providers.p.class: Class {class} could not be found.")),
                "{message}"
            );
        }
        let file = ("config.providers.p.class", "FileConfigProvider");
        let path = ("config.providers.p.param.allowed.paths", "relative/path");
        assert_eq!(
            told(&[("config.providers", "p"), file, path]),
            "config.providers.p.param.allowed.paths: Path relative/path is not absolute"
        );
        let env = ("config.providers.p.class", "EnvVarConfigProvider");
        let pattern = ("config.providers.p.param.allowlist.pattern", "*");
        assert!(
            told(&[("config.providers", "p"), env, pattern]).starts_with("config.providers.p.param.allowlist.pattern")
        );

        let transformer = ConfigTransformer::from_props(&props(&[("config.providers", "p"), file])).expect("good");
        let errors = transformer
            .transform(&props(&[("a", "1"), ("password", "${p:/nowhere/at-all:key}")]))
            .expect_err("there is no such file");
        assert_eq!(errors.0[0].name, "password");
        let message = errors.to_string();
        assert!(
            message.starts_with("password: Could not read properties from file /nowhere/at-all: "),
            "{message}"
        );
    }
}
