use std::sync::Arc;

/// One member of a source partition: the primitive JSON values that mirror connectors use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceValue {
    /// A JSON string.
    String(Arc<str>),
    /// A JSON integer.
    Int(i64),
}

/// The map that names a stream of records inside a connector, for example
/// `{"cluster":"source","partition":0,"topic":"orders"}`.
///
/// The order of the members is part of the identity: Java looks offsets up by the exact bytes of the JSON, and writes
/// the members in the iteration order of a `HashMap`. A connector lists them in that order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition(pub Vec<(&'static str, SourceValue)>);

/// The position of a stream: `{"offset": n}`, the one shape that the mirror connectors store. It is the offset of the
/// last record that was handled, not of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceOffset(pub i64);

/// A JSON object: a source partition, or a source offset, as users see and change it.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;

/// What a task may ask about stored offsets, when it starts (Java's `OffsetStorageReader`).
pub trait OffsetStorageReader: Send + Sync {
    /// The offset stored for each of `partitions`, in their order. Missing, null, without the field `offset`, or
    /// negative: `None`.
    fn offsets(&self, partitions: &[SourcePartition]) -> Vec<Option<SourceOffset>>;
}

impl SourcePartition {
    /// The key of this partition in the offsets topic, `["<connector>",{…}]`, as Java writes it.
    ///
    /// Java looks offsets up by these bytes, so the escapes are those of its JSON library too: control characters with
    /// upper-case hex, characters beyond the BMP as an escaped surrogate pair, the rest as it is.
    pub fn key_json(&self, connector: &str) -> String {
        let mut json = String::from("[");
        push_string(&mut json, connector);
        json.push_str(",{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            push_string(&mut json, name);
            json.push(':');
            match value {
                SourceValue::String(text) => push_string(&mut json, text),
                SourceValue::Int(number) => json.push_str(&number.to_string()),
            }
        }
        json.push_str("}]");
        json
    }
}

fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            '\r' => json.push_str("\\r"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{10000}'.. => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    json.push_str(&format!("\\u{unit:04X}"));
                }
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    // More cases, recorded from the Java connectors, are in connect-runtime's testdata.
    #[test]
    fn a_key_is_byte_for_byte_javas() {
        let partition = SourcePartition(vec![
            ("cluster", SourceValue::String("al\\ias/é\u{1}😀".into())),
            ("partition", SourceValue::Int(0)),
            ("topic", SourceValue::String("orders".into())),
        ]);
        let expected = r#"["my \"source\"",{"cluster":"al\\ias/é\u0001\uD83D\uDE00","partition":0,"topic":"orders"}]"#;
        assert_eq!(partition.key_json("my \"source\""), expected);
    }
}
