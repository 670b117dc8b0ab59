use axum::http::Uri;

use super::body_framing::BodyFraming;

/// Longest head of a request. Names of connectors and queries are short; a client's cookies may be not.
pub(super) const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) status: u16,
    pub(super) why: String,
}

impl Malformed {
    pub(super) fn new(status: u16, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }
}

/// The end of the head that `input` begins with, if it is there; nothing before `from` has to be looked at again.
pub(super) fn end(input: &[u8], from: usize) -> Option<usize> {
    let line_ends = (from..input.len()).filter(|&at| input[at] == b'\n');
    for at in line_ends {
        match input.get(at + 1..) {
            Some([b'\n', ..]) => return Some(at + 2),
            Some([b'\r', b'\n', ..]) => return Some(at + 3),
            _ => {}
        }
    }
    None
}

/// Makes a head that the HTTP library takes: bytes that may not stand in a request's target are percent-encoded, all
/// others stay. People write `curl …/connectors/a->b.MirrorSourceConnector`, and curl sends it as it is.
pub(super) fn mend(head: &[u8]) -> Result<(Vec<u8>, BodyFraming), Malformed> {
    let bad = |why: &str| Malformed::new(400, why);
    let line_end = head
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or_else(|| bad("No request line"))?;
    let (line, rest) = head.split_at(line_end);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("The request line is not '<method> <target> <version>'"));
    };
    let mut mended = Vec::with_capacity(head.len() + 64);
    mended.extend_from_slice(method);
    mended.push(b' ');
    for &byte in target {
        if is_illegal(byte) {
            mended.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            mended.push(byte);
        }
    }
    let target = String::from_utf8_lossy(&mended[method.len() + 1..]).into_owned();
    mended.push(b' ');
    mended.extend_from_slice(version);
    mended.push(b'\r');
    mended.extend_from_slice(rest);

    let is_target = target.starts_with('/') || target == "*" || target.contains("://");
    if !is_target || has_bad_escape(&target) || Uri::try_from(&target).is_err() {
        return Err(bad("The request's target is not a valid URI"));
    }
    let framing = framing(&mended)?;
    Ok((mended, framing))
}

/// Printable, or beyond ASCII, but not allowed by RFC 3986. Control characters are refused, not encoded.
fn is_illegal(byte: u8) -> bool {
    matches!(
        byte,
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..
    )
}

/// In the path; in a query, Java does not mind.
fn has_bad_escape(target: &str) -> bool {
    let target = target.split('?').next().unwrap_or_default();
    let escapes = target.split('%').skip(1);
    escapes
        .into_iter()
        .any(|text| !matches!(text.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// How the body ends that follows `head`, which must be one that the HTTP library reads the same way.
fn framing(head: &[u8]) -> Result<BodyFraming, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Malformed::new(400, "The request's head is not complete")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::new(431, "Too many headers")),
        Err(httparse::Error::Version) => return Err(Malformed::new(400, "Only HTTP/1.0 and HTTP/1.1 are spoken here")),
        Err(error) => {
            return Err(Malformed::new(
                400,
                format!("The request's head cannot be read: {error}"),
            ));
        }
    }
    let is_1_0 = request.version == Some(0);
    let values = |name: &str| -> Vec<&[u8]> {
        let named = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii()).collect()
    };
    if !is_1_0 && values("host").len() != 1 {
        return Err(Malformed::new(400, "A request needs one Host header"));
    }
    match (&*values("content-length"), &*values("transfer-encoding")) {
        ([], []) => Ok(BodyFraming::Length(0)),
        ([], [coding]) if !is_1_0 && coding.eq_ignore_ascii_case(b"chunked") => Ok(BodyFraming::CHUNKED),
        ([first, more @ ..], []) if more.iter().all(|length| length == first) => content_length(first),
        (_, []) => Err(Malformed::new(400, "Content-Length is given more than once")),
        ([], _) => Err(Malformed::new(400, "This Transfer-Encoding is not understood")),
        // What one side takes for a body may be the other's next request.
        _ => Err(Malformed::new(
            400,
            "Content-Length and Transfer-Encoding exclude each other",
        )),
    }
}

fn content_length(value: &[u8]) -> Result<BodyFraming, Malformed> {
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse::<u64>().ok());
    // The largest values have a meaning of their own inside the HTTP library.
    let length = length.filter(|length| *length <= u64::MAX / 2);
    length
        .map(BodyFraming::Length)
        .ok_or_else(|| Malformed::new(400, "Content-Length is not a length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(head: &str) -> Result<(String, BodyFraming), u16> {
        let (head, framing) = mend(head.as_bytes()).map_err(|malformed| malformed.status)?;
        Ok((String::from_utf8(head).expect("text"), framing))
    }

    #[track_caller]
    fn check(target: &[u8], expected: &str) {
        let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a>b\r\nX: <{}>\r\n\r\n"].concat();
        let (mended, framing) = mend(&head).expect("a good head");
        let expected = format!("GET {expected} HTTP/1.1\r\nHost: a>b\r\nX: <{{}}>\r\n\r\n");
        assert_eq!(String::from_utf8(mended).expect("text"), expected);
        assert_eq!(framing, BodyFraming::Length(0));
    }

    #[test]
    fn only_illegal_bytes_of_the_target_change() {
        check(b"/", "/");
        check(
            b"/connectors/a->b.MirrorSourceConnector?x=<y>",
            "/connectors/a-%3Eb.MirrorSourceConnector?x=%3Cy%3E",
        );
        check(b"/connectors/a-%3Eb%2Fc", "/connectors/a-%3Eb%2Fc");
        check("/connectors/zürich".as_bytes(), "/connectors/z%C3%BCrich");
        check(b"/\"<>\\^`{|}", "/%22%3C%3E%5C%5E%60%7B%7C%7D");
        check(b"/-._~!$&'()*+,;=:@[]", "/-._~!$&'()*+,;=:@[]");
        check(b"http://h:1/connectors", "http://h:1/connectors");
        check(b"*", "*");
        check(b"/?x=%zz%", "/?x=%zz%");
    }

    #[test]
    fn lines_may_end_in_a_line_feed_alone() {
        let (head, _) = mended("GET /> HTTP/1.1\nHost: h\n\n").expect("a good head");
        assert_eq!(head, "GET /%3E HTTP/1.1\r\nHost: h\n\n");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (head, status) in [
            ("\r\n\r\n", 400),
            ("GET\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /\u{1} HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /% HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET relative HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\n", 400),
            ("G\u{7f}T / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                400,
            ),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n",
                400,
            ),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                400,
            ),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (
                &format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS)),
                431,
            ),
        ] {
            assert_eq!(mended(head).expect_err(head), status, "{head}");
        }
    }

    #[test]
    fn the_framing_is_the_headers() {
        let framing = |header: &str| {
            mended(&format!("PUT / HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n"))
                .expect("good")
                .1
        };
        assert_eq!(framing("Content-Length: 7"), BodyFraming::Length(7));
        assert_eq!(
            framing("content-length: 7\r\nContent-LENGTH: 7"),
            BodyFraming::Length(7)
        );
        assert_eq!(framing("Transfer-Encoding: Chunked"), BodyFraming::CHUNKED);
    }

    #[test]
    fn the_end_is_found_wherever_the_reading_goes_on() {
        let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nmore";
        let expected = head.len() - 4;
        for from in 0..expected - 3 {
            assert_eq!(end(head, from), Some(expected));
        }
        assert_eq!(end(&head[..expected - 1], 0), None);
        assert_eq!(end(b"GET / HTTP/1.0\n\n", 0), Some(16));
    }
}
