use config_def::Props;

/// What writes the values of headers that a transformation adds (`header.converter`). Headers that come with a record are
/// bytes and stay as they are, whatever is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderConverter {
    /// `ByteArrayConverter`: takes bytes only.
    ByteArray,
    /// `SimpleHeaderConverter`, Kafka's default: texts as Connect writes its types.
    Simple,
    /// `StringConverter`: texts as Java writes its objects.
    String,
    /// `JsonConverter`.
    Json,
}

/// A class that is no header converter of this worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "header.converter {0} is not supported: there are SimpleHeaderConverter, StringConverter, ByteArrayConverter and \
     JsonConverter"
)]
pub struct UnknownHeaderConverter(String);

impl HeaderConverter {
    /// The connector's if it names one, else the worker's, else Kafka's default.
    pub fn of(connector: &Props, worker: &Props) -> Result<Self, UnknownHeaderConverter> {
        let named = |props: &Props| props.get("header.converter").map(|class| class.trim().to_owned());
        let class = named(connector).or_else(|| named(worker)).unwrap_or_default();
        match class.rsplit('.').next().unwrap_or_default() {
            "ByteArrayConverter" | "ByteArray" => Ok(Self::ByteArray),
            "" | "SimpleHeaderConverter" | "Simple" => Ok(Self::Simple),
            "StringConverter" | "String" => Ok(Self::String),
            "JsonConverter" | "Json" => Ok(Self::Json),
            _ => Err(UnknownHeaderConverter(class)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connectors_converter_comes_first() {
        let with = |class: &str| Props::from([("header.converter".to_owned(), class.to_owned())]);
        let of = |connector: &Props, worker: &Props| HeaderConverter::of(connector, worker);
        let bytes = with("org.apache.kafka.connect.converters.ByteArrayConverter");
        assert_eq!(of(&Props::new(), &Props::new()), Ok(HeaderConverter::Simple));
        assert_eq!(of(&Props::new(), &bytes), Ok(HeaderConverter::ByteArray));
        assert_eq!(of(&with("String"), &bytes), Ok(HeaderConverter::String));
        assert!(of(&with("com.example.Mine"), &bytes).is_err());
    }
}
