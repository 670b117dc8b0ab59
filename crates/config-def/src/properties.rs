//! `.properties` files, as `java.util.Properties` reads them.

use std::collections::BTreeMap;

use crate::Props;

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: Malformed \\uxxxx encoding.")]
pub struct Error {
    /// The line on which the entry begins, counted from 1.
    pub line: usize,
}

/// One `key=value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved. Blanks at its end belong to it.
    pub value: String,
    /// The line on which the entry begins, counted from 1.
    pub line: usize,
}

/// What a file says, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertiesFile {
    /// Every entry, also those that a later one with the same key replaces.
    pub entries: Vec<Entry>,
}

impl PropertiesFile {
    /// The map that the file stands for: the last entry of a key counts.
    pub fn props(&self) -> Props {
        self.entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect()
    }

    /// The line of the entry that counts for `key`.
    pub fn line(&self, key: &str) -> Option<usize> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.key == key)
            .map(|entry| entry.line)
    }

    /// Keys given more than once, with the lines of all their entries. All but the last have no effect.
    pub fn repeated(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut lines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for entry in &self.entries {
            lines.entry(&entry.key).or_default().push(entry.line);
        }
        lines.retain(|_, lines| lines.len() > 1);
        lines
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file. Its bytes are ISO-8859-1: other characters are written `\uXXXX`. (Half a surrogate pair becomes U+FFFD,
/// which Java would keep.) A byte order mark, which some editors write, is passed over; Java takes it for the first key's
/// beginning.
pub fn parse(bytes: &[u8]) -> Result<PropertiesFile, Error> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut entries = Vec::new();
    let mut lines = LogicalLines { bytes, at: 0, line: 1 };
    while let Some((text, line)) = lines.next_line() {
        let (key, value) = split(&text);
        let convert = |raw| unescape(raw).ok_or(Error { line });
        entries.push(Entry {
            key: convert(key)?,
            value: convert(value)?,
            line,
        });
    }
    Ok(PropertiesFile { entries })
}

/// Joins continued lines and leaves out comments and blank lines, still escaped (`Properties.LineReader`).
struct LogicalLines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl LogicalLines<'_> {
    fn next_line(&mut self) -> Option<(Vec<u8>, usize)> {
        let mut text = Vec::new();
        let mut first_line = self.line;
        let mut at_line_start = true;
        let mut continued = false;
        let mut after_backslash = false;
        while let Some(byte) = self.next_byte() {
            let ends_line = matches!(byte, b'\n' | b'\r');
            if at_line_start {
                // A blank line is skipped, unless it continues something: then it ends it.
                if is_blank(byte) || (ends_line && !continued) {
                    continue;
                }
                at_line_start = false;
                continued = false;
            }
            if text.is_empty() {
                if matches!(byte, b'#' | b'!') {
                    while self.next_byte().is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {}
                    at_line_start = true;
                    continue;
                }
                first_line = self.line;
            }
            if !ends_line {
                text.push(byte);
                after_backslash = byte == b'\\' && !after_backslash;
            } else if text.is_empty() {
                at_line_start = true;
            } else if after_backslash {
                text.pop();
                at_line_start = true;
                continued = true;
                after_backslash = false;
            } else {
                return Some((text, first_line));
            }
        }
        if after_backslash {
            text.pop();
            return Some((text, first_line));
        }
        (!text.is_empty()).then_some((text, first_line))
    }

    /// The next byte; `\r\n` comes as one `\n`. Counts lines once the byte after the line's end is asked for.
    fn next_byte(&mut self) -> Option<u8> {
        if self.at > 0 && matches!(self.bytes[self.at - 1], b'\n' | b'\r') && self.at < self.bytes.len() {
            self.line += 1;
        }
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte == b'\r' && self.bytes.get(self.at) == Some(&b'\n') {
            self.at += 1;
            return Some(b'\n');
        }
        Some(byte)
    }
}

/// Key and value of a logical line: the key ends at the first `=`, `:` or blank that no backslash precedes.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let mut key_end = text.len();
    let mut after_backslash = false;
    for (index, &byte) in text.iter().enumerate() {
        if !after_backslash && (is_blank(byte) || is_separator(byte)) {
            key_end = index;
            break;
        }
        after_backslash = byte == b'\\' && !after_backslash;
    }
    let mut value_start = key_end;
    let mut separator_seen = false;
    while let Some(&byte) = text.get(value_start) {
        if !is_blank(byte) {
            if separator_seen || !is_separator(byte) {
                break;
            }
            separator_seen = true;
        }
        value_start += 1;
    }
    (&text[..key_end], &text[value_start..])
}

/// Resolves escapes; `None` if a `\u` is not followed by four hexadecimal digits.
fn unescape(raw: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        match bytes.next() {
            None => {}
            Some(b'u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = char::from(bytes.next()?).to_digit(16)?;
                    unit = unit << 4 | u16::try_from(digit).expect("a hexadecimal digit is below 16");
                }
                units.push(unit);
            }
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'f') => units.push(0x0c),
            Some(other) => units.push(u16::from(other)),
        }
    }
    Some(String::from_utf16_lossy(&units))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'=' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected maps were printed by `java.util.Properties` (OpenJDK 17).
    #[test]
    fn entries_are_read_as_java_reads_them() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let latin1: Vec<u8> = text
                .chars()
                .map(|c| u8::try_from(c).expect("test texts are ISO-8859-1"))
                .collect();
            let expected: Props = expected
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!(parse(&latin1).map(|file| file.props()), Ok(expected), "{text:?}");
        };
        check("", &[]);
        check("a=b", &[("a", "b")]);
        check("a:b", &[("a", "b")]);
        check("a b", &[("a", "b")]);
        check("a  =  b  ", &[("a", "b  ")]);
        check("  a=b", &[("a", "b")]);
        check("#x\n!y\na=1", &[("a", "1")]);
        check("a=1\\\n   2", &[("a", "12")]);
        check("a=1\\\\\n2=3", &[("2", "3"), ("a", "1\\")]);
        check("a\\=b=c", &[("a=b", "c")]);
        check("a\\ b c", &[("a b", "c")]);
        check("\\u0041=\\u00e9", &[("A", "é")]);
        check("a=\\uD83D\\uDE00", &[("a", "😀")]);
        check("a=\\q\\t\\n\\r\\f", &[("a", "q\t\n\r\x0c")]);
        check("a=1\r\nb=2\rc=3", &[("a", "1"), ("b", "2"), ("c", "3")]);
        check("a=1\\\r\n2", &[("a", "12")]);
        check("a", &[("a", "")]);
        check("=b", &[("", "b")]);
        check(":", &[("", "")]);
        check("a=", &[("a", "")]);
        check("a==b", &[("a", "=b")]);
        check("a= :b", &[("a", ":b")]);
        check("a\\", &[("a", "")]);
        check("a=b\\", &[("a", "b")]);
        check("a\\\nb=c", &[("ab", "c")]);
        check("#c\\\na=1", &[("a", "1")]);
        check("a=1\\\n#not", &[("a", "1#not")]);
        check("a=1\\\n\n b=2", &[("a", "1"), ("b", "2")]);
        check("é=1", &[("é", "1")]);
        check("a=1\n\n\n  \n\tb\t2\x0c3", &[("a", "1"), ("b", "2\x0c3")]);
        check("a\x0c=\x0c1", &[("a", "1")]);
        check("   \\\n a=1", &[("a", "1")]);
        check("a=1\\\n   \\\n  b", &[("a", "1b")]);
        check("\\\n#c=1", &[]);
        check("a=x\n#y\\\n\u{85}", &[("a", "x"), ("\u{85}", "")]);
        check("a=1\na=2", &[("a", "2")]);
    }

    #[test]
    fn what_an_editor_puts_before_the_first_key_is_no_part_of_it() {
        let file = parse(b"\xef\xbb\xbfclusters = A, B\nk = \xef\xbb\xbf\n").expect("a good file");
        assert_eq!(file.props()["clusters"], "A, B");
        assert_eq!(file.props()["k"], "\u{ef}\u{bb}\u{bf}");
    }

    #[test]
    fn a_malformed_escape_is_an_error_with_its_line() {
        for text in ["a=\\u12", "a=\\u12g4", "a=\\uuuu", "a=\\u"] {
            assert_eq!(parse(text.as_bytes()), Err(Error { line: 1 }), "{text:?}");
        }
        let error = parse(b"# one\r\n\r\na=1\\\n 2\nb=\\u00\n").expect_err("line 5 is malformed");
        assert_eq!(error.to_string(), "line 5: Malformed \\uxxxx encoding.");
    }

    #[test]
    fn lines_are_kept_per_key() {
        let file = parse(b"# c\na=1\nb=2\\\n  3\n\n\r\nc=4\ra=5").expect("well-formed");
        let lines: Vec<(&str, usize)> = file.entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(lines, [("a", 2), ("b", 3), ("c", 7), ("a", 8)]);
        assert_eq!(file.line("a"), Some(8));
        assert_eq!(file.line("x"), None);
        assert_eq!(file.repeated(), BTreeMap::from([("a", vec![2, 8])]));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_escaped_comes_back(key in "\\PC{1,8}", value in "\\PC{0,8}") {
            let escape = |text: &str| text.encode_utf16().map(|u| format!("\\u{u:04x}")).collect::<String>();
            let file = parse(format!("{}={}\n", escape(&key), escape(&value)).as_bytes()).expect("well-formed");
            proptest::prop_assert_eq!(file.props(), Props::from([(key, value)]));
        }
    }
}
