//! Percent-encoding, as paths and queries have it.

/// Text without its escapes; `None` if it is not UTF-8 then.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first == b'%'
            && let [high, low, more @ ..] = more
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push(high * 16 + low);
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// The pairs of a query; what is not UTF-8 is left out.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(&key.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

/// A path in which slashes stay (JAX-RS' `UriBuilder.path`).
pub(crate) fn encode_path(path: &str) -> String {
    encode(path, b"-._~!$&'()*+,;=:@/")
}

/// One segment of a path, or a value of a query.
pub(crate) fn encode_segment(segment: &str) -> String {
    encode(segment, b"-._~")
}

fn encode(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_come_and_go() {
        assert_eq!(decode("a%20b%2Fc+%3e").as_deref(), Some("a b/c+>"));
        assert_eq!(decode("%C3%BC%").as_deref(), Some("ü%"));
        assert_eq!(decode("%ff"), None);
        assert_eq!(encode_path("a b/c%d->ü"), "a%20b/c%25d-%3E%C3%BC");
        assert_eq!(encode_segment("a b/c"), "a%20b%2Fc");
    }

    #[test]
    fn a_query_is_pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [
            pair("expand", "info"),
            pair("expand", "a b"),
            pair("x", ""),
            pair("", "y"),
        ];
        assert_eq!(query_pairs("expand=info&expand=a+b&&x&=y&z=%ff"), expected);
    }
}
