use std::io::{self, Write};

use serde::Serialize;
use serde_json::{
    Map, Value,
    ser::{CharEscape, Formatter, Serializer},
};

/// `value` as Java's `JsonConverter` (Jackson) would write it: compact, control characters with upper-case hex,
/// characters beyond the BMP as an escaped surrogate pair, everything else raw.
///
/// The difference to serde_json is only in those escapes, but keys of the offset topic are compared byte by byte.
pub(crate) fn to_java_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, JacksonFormatter);
    value
        .serialize(&mut serializer)
        .expect("plain structs and string maps always serialise into memory");
    bytes
}

/// `map` with its members in the order of a Java `HashMap`: by bucket, then by insertion. Whatever has been through
/// Java's REST API has this order.
pub(crate) fn in_hash_order(map: &Map<String, Value>) -> Map<String, Value> {
    let mut capacity = 16;
    while map.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let bucket = |key: &str| {
        let hash = key
            .encode_utf16()
            .fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) as usize & (capacity - 1)
    };
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by_key(|(key, _)| bucket(key));
    members
        .into_iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

struct JacksonFormatter;

impl Formatter for JacksonFormatter {
    /// `Double.toString`: always with a fraction, and with an exponent outside 10^-3 … 10^7.
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').expect("this format has an exponent");
        match exponent.parse::<i32>() {
            Ok(-3..=6) | Err(_) => write!(writer, "{value:?}"),
            Ok(_) if digits.contains('.') => write!(writer, "{digits}E{exponent}"),
            Ok(_) => write!(writer, "{digits}.0E{exponent}"),
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(position) = rest.find(|c: char| u32::from(c) > 0xFFFF) {
            let (plain, tail) = rest.split_at(position);
            writer.write_all(plain.as_bytes())?;
            let beyond_bmp = tail.chars().next().expect("find() has found one");
            for unit in beyond_bmp.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04X}")?;
            }
            rest = &tail[beyond_bmp.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"\\/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_jacksons() {
        let bytes = to_java_json(&"tab\tnl\nq\"b\\s/\u{1}\u{1f}\u{7f}\u{2028}é😀x");
        let expected = "\"tab\\tnl\\nq\\\"b\\\\s/\\u0001\\u001F\u{7f}\u{2028}é\\uD83D\\uDE00x\"";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn numbers_are_javas() {
        for (value, expected) in [
            (2.0, "2.0"),
            (1.5, "1.5"),
            (1e21, "1.0E21"),
            (1.25e-7, "1.25E-7"),
            (0.001, "0.001"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (0.0, "0.0"),
            (-3.0, "-3.0"),
        ] {
            assert_eq!(String::from_utf8(to_java_json(&value)).unwrap(), expected);
        }
        assert_eq!(to_java_json(&Value::from(41)), b"41");
    }

    #[test]
    fn members_come_in_the_order_of_a_hash_map() {
        let golden: Map<String, Value> =
            serde_json::from_slice(include_bytes!("../../testdata/golden-misc.json")).unwrap();
        let mut checked = 0;
        for (name, order) in &golden {
            let Some(keys) = name
                .strip_prefix("HashMap order of [")
                .and_then(|rest| rest.strip_suffix(']'))
            else {
                continue;
            };
            let map = keys.split(", ").map(|key| (key.to_owned(), Value::Null)).collect();
            let ours: Vec<String> = in_hash_order(&map).into_iter().map(|(key, _)| key).collect();
            assert_eq!(Value::from(ours), *order, "{name}");
            checked += 1;
        }
        assert_eq!(checked, 5);
    }
}
