//! A provider that is not here.

use crate::{ConfigProvider, ProviderError};

/// Stands for a provider of somebody else's class, which only a JVM could load: whoever asks it is told so. Files name
/// such providers without asking them, as those that Strimzi writes do.
#[derive(Debug)]
pub(super) struct MissingConfigProvider {
    pub(super) name: String,
    pub(super) class: String,
}

impl ConfigProvider for MissingConfigProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        let Self { name, class } = self;
        let colon = if path.is_empty() { "" } else { ":" };
        Err(ProviderError::new(format!(
            "${{{name}:{path}{colon}{key}}} asks config provider {class}, which could not be found. There are Kafka's \
             FileConfigProvider, DirectoryConfigProvider and EnvVarConfigProvider"
        )))
    }
}
