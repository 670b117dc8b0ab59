use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

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

struct JacksonFormatter;

impl Formatter for JacksonFormatter {
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
}
