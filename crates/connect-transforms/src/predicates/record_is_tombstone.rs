use config_def::ConfigDef;

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone";

/// True for records whose value is null.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[]);
