use config_def::ConfigDef;

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.Filter";

/// Drops every record that its predicate lets through to it.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[]);
