use config_def::{ConfigDef, Importance, Type, Validator, key};

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.predicates.HasHeaderKey";

/// True for records that have a header of a name.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[key("name", Type::String)
    .validator(Validator::NonEmptyString)
    .importance(Importance::Medium)
    .doc("The name of the header.")]]);
