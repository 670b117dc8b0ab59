use config_def::{ConfigDef, Importance, Type, Validator, key};

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.DropHeaders";

/// Removes every header whose name is listed.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[key("headers", Type::List)
    .validator(Validator::NON_EMPTY_LIST)
    .importance(Importance::High)
    .doc("The names of the headers to be removed.")]]);
