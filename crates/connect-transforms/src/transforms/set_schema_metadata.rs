use config_def::{ConfigDef, ConfigError, Importance, Type, Values, key};

pub(crate) const KEY_CLASS: &str = "org.apache.kafka.connect.transforms.SetSchemaMetadata$Key";
pub(crate) const VALUE_CLASS: &str = "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value";

/// Names the schema of keys or values. Bytes are written without a schema, so in Kafka too nothing of it is seen in the
/// target: it is accepted and has no effect.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
    key("schema.name", Type::String)
        .default_null()
        .importance(Importance::High)
        .doc("The name of the schema."),
    key("schema.version", Type::Int)
        .default_null()
        .importance(Importance::High)
        .doc("The version of the schema."),
    key("replace.null.with.default", Type::Boolean)
        .default("true")
        .importance(Importance::Medium)
        .doc("Whether fields that are null are read as the default of the schema."),
]]);

/// One of the two has to be given.
pub(crate) fn check(values: &Values) -> Result<(), ConfigError> {
    if values.opt_string("schema.name").is_none() && values.opt_int("schema.version").is_none() {
        return Err(ConfigError::new(
            "schema.name",
            "Neither schema name nor version configured",
        ));
    }
    Ok(())
}
