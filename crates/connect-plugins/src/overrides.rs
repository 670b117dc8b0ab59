//! Client settings that a connector overrides, and who may (`ConnectorClientConfigOverridePolicy`).

use config_def::{ConfigDef, ConfigError, ConfigErrors, Props, Value, list_elements};

use crate::{
    ConfigInfo, ConfigInfos, PluginError, PluginType, RawConfig, ValidationContext, definition::Definition, sink,
    validated::Validated,
};

const POLICY_KEY: &str = "connector.client.config.override.policy";
const ALLOWLIST_KEY: &str = "connector.client.config.override.allowlist";
const POLICY_PACKAGE: &str = "org.apache.kafka.connect.connector.policy.";
const POLICY_SUFFIX: &str = "ConnectorClientConfigOverridePolicy";

/// What the policy `Principal` allows.
const PRINCIPAL_KEYS: [&str; 3] = ["sasl.jaas.config", "sasl.mechanism", "security.protocol"];

/// The tables of the clients that tasks use.
#[derive(Clone, Copy, Debug)]
pub struct ClientTables {
    /// `ProducerConfig`.
    pub producer: &'static ConfigDef,
    /// `ConsumerConfig`.
    pub consumer: &'static ConfigDef,
    /// `AdminClientConfig`.
    pub admin: &'static ConfigDef,
}

/// Which client settings connectors may override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverridePolicy {
    /// All.
    All,
    /// None.
    None,
    /// Those of the principal.
    Principal,
    /// Those that the worker lists.
    Allowlist(Vec<String>),
}

impl OverridePolicy {
    /// The policy that a worker's properties name, by class or alias.
    pub fn of_worker(worker: &Props) -> Result<Self, ConfigErrors> {
        let name = worker.get(POLICY_KEY).map_or("All", |name| name.trim());
        let simple = name.strip_prefix(POLICY_PACKAGE).unwrap_or(name);
        match simple.strip_suffix(POLICY_SUFFIX).unwrap_or(simple) {
            "All" => Ok(Self::All),
            "None" => Ok(Self::None),
            "Principal" => Ok(Self::Principal),
            "Allowlist" => Ok(Self::Allowlist(
                worker
                    .get(ALLOWLIST_KEY)
                    .map(|keys| list_elements(keys))
                    .unwrap_or_default(),
            )),
            _ => {
                let why = "there are All, None, Principal and Allowlist";
                Err(ConfigError::invalid(POLICY_KEY, name, why).into())
            }
        }
    }

    /// Whether a client's setting may be overridden.
    pub fn allows(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => PRINCIPAL_KEYS.contains(&key),
            Self::Allowlist(keys) => keys.iter().any(|allowed| allowed == key),
        }
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::All => "All",
            Self::None => "None",
            Self::Principal => "Principal",
            Self::Allowlist(_) => "Allowlist",
        }
    }
}

/// The overrides of each kind of client that the connector uses.
pub(crate) fn validate_overrides(
    kind: PluginType,
    config: &RawConfig,
    context: &ValidationContext,
    tables: &ClientTables,
) -> Result<Vec<ConfigInfos>, PluginError> {
    let uses = uses(kind, config, context);
    let clients = [
        (uses.producer, "producer.override.", tables.producer),
        (uses.consumer, "consumer.override.", tables.consumer),
        (uses.admin, "admin.override.", tables.admin),
    ];
    let used = clients.into_iter().filter(|(used, ..)| *used);
    used.map(|(_, prefix, table)| validate_client(prefix, table, config, &context.override_policy))
        .collect()
}

struct Uses {
    producer: bool,
    consumer: bool,
    admin: bool,
}

fn uses(kind: PluginType, config: &RawConfig, context: &ValidationContext) -> Uses {
    if kind == PluginType::Sink {
        let dead_letters = sink::has_dead_letter_queue(config);
        return Uses {
            producer: dead_letters,
            consumer: true,
            admin: dead_letters,
        };
    }
    let own_offsets = config.get("offsets.storage.topic").and_then(Option::as_deref);
    let is_distributed = context.mode != crate::WorkerMode::Standalone;
    let separate_offsets =
        context.exactly_once() || is_distributed && own_offsets.is_some_and(|topic| !topic.trim().is_empty());
    Uses {
        producer: true,
        consumer: separate_offsets,
        admin: separate_offsets || config.keys().any(|key| key.starts_with("topic.creation.")),
    }
}

fn validate_client(
    prefix: &str,
    table: &ConfigDef,
    config: &RawConfig,
    policy: &OverridePolicy,
) -> Result<ConfigInfos, PluginError> {
    let mut infos = ConfigInfos::default();
    for (full_key, text) in config {
        let Some(key) = full_key.strip_prefix(prefix).filter(|key| !key.is_empty()) else {
            continue;
        };
        let definition = table.key(key).map(Definition::own);
        let value = match (&definition, text) {
            (_, None) => Value::Null,
            (Some(known), Some(text)) => {
                let read = known.row.read_as(key, text);
                read.map_err(|error| PluginError::Internal(error.message))?
            }
            (None, Some(text)) => Value::String(text.clone()),
        };
        let mut validated = Validated::new(key, value);
        if !policy.allows(key) {
            let policy = policy.name();
            validated.errors.push(format!(
                "The '{policy}' policy does not allow '{key}' to be overridden in the connector configuration."
            ));
            infos.error_count += 1;
        }
        let group = definition.as_ref().and_then(|known| known.group.as_deref());
        infos.groups.extend(group.map(str::to_owned));
        let mut info = ConfigInfo {
            definition: definition.as_ref().map(Definition::info),
            value: Some(validated.info()),
        };
        info.put_under(prefix);
        infos.configs.push(info);
    }
    Ok(infos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_by_class_or_alias() {
        let check = |name: &str, expected: Option<OverridePolicy>| {
            let worker = Props::from([
                (POLICY_KEY.to_owned(), name.to_owned()),
                (ALLOWLIST_KEY.to_owned(), "acks, linger.ms".to_owned()),
            ]);
            assert_eq!(OverridePolicy::of_worker(&worker).ok(), expected, "{name}");
        };
        check("All", Some(OverridePolicy::All));
        check(" NoneConnectorClientConfigOverridePolicy", Some(OverridePolicy::None));
        check(
            "org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy",
            Some(OverridePolicy::Principal),
        );
        let listed = vec!["acks".to_owned(), "linger.ms".to_owned()];
        check("Allowlist", Some(OverridePolicy::Allowlist(listed)));
        check("com.example.Mine", None);
        assert_eq!(OverridePolicy::of_worker(&Props::new()), Ok(OverridePolicy::All));
    }
}
